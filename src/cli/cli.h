/* cli/cli.h: the frame every subcommand stands in.
 *
 * A command is one file, cli/cmd_NAME.c, with a private argument struct, an option table (cli/option.h), a run function
 * and one row in cli/commands.c:
 *
 *   struct args { const char *dir; };
 *   static const struct sm_option options[] = {SM_OPT_TEXT(…), SM_OPT_END};
 *   static sm_exit run(struct sm_cli *cli, void *args_of_command);
 *   const struct sm_command sm_cmd_info = {
 *       .name = "info", .summary = "…", .options = options, .args_bytes = sizeof(struct args), .run = run,
 *   };
 *
 * Rules: results go to stdout, log lines and progress to stderr. With --json exactly one JSON document goes to stdout,
 * also on failure; sm_cli_json, sm_cli_error and sm_cli_say keep that rule by themselves, so a command never calls
 * printf. A run function cleans up and returns; it never exits.
 *
 * One thread owns a struct sm_cli; the progress display and the cancel flag may be used from any thread. */
#ifndef SM_CLI_CLI_H
#define SM_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/exit.h"
#include "cli/option.h"
#include "util/cancel.h"
#include "util/err.h"

struct sm_cli;

struct sm_command {
    const char *name;     /* "init"; "config dump" is called with two words */
    const char *summary;  /* one line, no full stop */
    const char *details;  /* paragraphs separated by empty lines, for --help and the manual page; NULL: none */
    const char *operands; /* what follows the options, for the usage line ("[STAGE...]"); NULL: nothing may follow */
    size_t operands_min;
    const struct sm_option *options; /* ends with SM_OPT_END */
    size_t args_bytes;               /* size of the argument struct, zeroed and filled from `options` */
    sm_exit (*run)(struct sm_cli *cli, void *args);
    bool hidden; /* left out of the lists; still works */
};

/* Every command in the order of the help; NULL ends. cli/commands.c */
extern const struct sm_command *const sm_commands[];

/* Options that every command has. */
struct sm_cli_globals {
    bool help, version, man, json, no_color;
    uint32_t completion;          /* position in sm_completion_shells, when given */
    uint32_t log_level;           /* sm_log_level */
    uint32_t progress_interval_s; /* between progress lines when stderr is no terminal */
};
extern const struct sm_option sm_cli_global_options[];

struct sm_cli {
    const struct sm_command *command; /* NULL before it is known */
    struct sm_cli_globals global;
    const struct sm_option_set *set; /* of the command */
    const char *const *operands;     /* words after the options */
    size_t operands_n;
    const struct sm_cancel *cancel; /* set by SIGINT, SIGTERM, SIGHUP; hand it to all long work */
    bool color_out, color_err;      /* terminal, and not forbidden by --no-color, NO_COLOR or TERM=dumb */
    bool document_done;             /* the JSON document of this run is written */
    struct sm_errinfo *failure;     /* receives the sentence of a failure; NULL: nobody asks */
    bool event_lines;               /* events were written: a document would be one line too */
};

/* Was the option given on the command line or in the environment? */
bool sm_cli_given(const struct sm_cli *cli, const char *option);

/* A line for humans on stdout; nothing with --json. */
void sm_cli_say(struct sm_cli *cli, const char *fmt, ...) SM_PRINTF(2, 3);

/* The document for machines: printed with --json, dropped otherwise. Takes the reference; NULL means that building it
 * ran out of memory. Call it once per run. */
void sm_cli_json(struct sm_cli *cli, json_t *document);

/* For commands that run on: one line of JSON for each thing that happens, and no document at the end; with --json only.
 * Takes the reference; NULL means that building it ran out of memory. */
void sm_cli_event(struct sm_cli *cli, json_t *event);

/* Reports a failure: one sentence on stderr, and {"error":{"code","exit","message"}} with --json. Returns the exit
 * status for `err`:
 *   SM_E_ARG -> 2;  SM_E_FORMAT, SM_E_MISMATCH -> 3;  SM_E_CANCELLED -> 5;  others -> 1 */
SM_MUST_CHECK sm_exit sm_cli_error(struct sm_cli *cli, sm_err err, const struct sm_errinfo *ei);
sm_exit sm_cli_exit_of(sm_err err);
/* The same for a sentence and a status of the command's own. Returns `status`. */
SM_MUST_CHECK sm_exit sm_cli_refuse(struct sm_cli *cli, sm_exit status, const char *fmt, ...) SM_PRINTF(3, 4);

/* JSON members: null for what JSON has no number for. */
json_t *sm_cli_json_real(double v);  /* null for NaN and infinities */
json_t *sm_cli_json_u64(uint64_t v); /* decimal string above 2^63 - 1 */
json_t *sm_cli_json_hex(const uint8_t *p, size_t n);

/* ---- text for humans (cli/text.c) ---- */

/* "4.00 GiB", "17 B" */
char *sm_text_bytes(double bytes, char out[32]);
/* "2.31 MiB/s" */
char *sm_text_rate(double bytes_per_s, char out[32]);
/* "1 234 567" */
char *sm_text_count(uint64_t v, char out[32]);
/* "850 ms", "12 s", "3 min 05 s", "4 h 12 min", "3 d 04 h"; "unknown" when negative or not finite */
char *sm_text_duration(double seconds, char out[32]);
/* "3 h 12 min (Tue 2026-01-06 04:12)": duration and local date; without a date below a minute */
char *sm_text_eta(double seconds, char out[64]);

typedef enum sm_paint { SM_PAINT_OFF, SM_PAINT_GOOD, SM_PAINT_BAD, SM_PAINT_WARN, SM_PAINT_BOLD } sm_paint;
/* Terminal sequence for stdout, or "" when colours are off. */
const char *sm_cli_paint(const struct sm_cli *cli, sm_paint paint);

/* Columns of text. `align` has one letter per column: 'l' or 'r'. Cells are copied; NULL is an empty cell. */
struct sm_table;
struct sm_table *sm_table_new(const char *align); /* never NULL: aborts when out of memory, as do the rows */
void sm_table_row(struct sm_table *t, const char *const *cells);
void sm_table_say(struct sm_cli *cli, const struct sm_table *t);
void sm_table_free(struct sm_table *t);
/* A row literal: SM_TABLE_ROW(t, "device", name, speed); */
#define SM_TABLE_ROW(t, ...) sm_table_row((t), (const char *const[]){__VA_ARGS__})

/* Reads a line from the terminal and compares it: true when the user typed exactly `word`. False without asking when
 * stdin or stderr is no terminal. */
bool sm_cli_confirm(const struct sm_cli *cli, const char *question, const char *word);

/* Parses and runs; the whole program but for main(). */
int sm_cli_main(int argc, char **argv);

/* --help of one command, of the program (command NULL), and the manual page, on stdout. */
void sm_help_print(const struct sm_command *command);
void sm_man_print(void);

/* The script that completes our command line in a shell, on stdout. cli/completion.c */
extern const char *const sm_completion_shells[]; /* "bash", "zsh", "fish"; NULL ends */
void sm_completion_print(uint32_t shell);        /* position in sm_completion_shells */

#endif
