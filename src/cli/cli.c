#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/signals.h"
#include "config/value.h"
#include "util/log.h"
#include "util/text.h"

static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL}; /* positions are sm_log_level */

const struct sm_option sm_cli_global_options[] = {
    SM_OPT_FLAG(struct sm_cli_globals, help, "help", "show this help"),
    SM_OPT_FLAG(struct sm_cli_globals, version, "version", "show the version", .hidden = true),
    SM_OPT_FLAG(struct sm_cli_globals, man, "man", "print the manual page source", .hidden = true),
    SM_OPT_CHOICE(struct sm_cli_globals, completion, "completion", NULL, sm_completion_shells,
                  "print the completion script of a shell", .hidden = true),
    SM_OPT_FLAG(struct sm_cli_globals, json, "json", "print one JSON document on stdout, also on failure"),
    SM_OPT_FLAG(struct sm_cli_globals, no_color, "no-color", "no colours (also: NO_COLOR in the environment)"),
    SM_OPT_CHOICE(struct sm_cli_globals, log_level, "log-level", "info", log_levels,
                  "what to log on stderr: error, warn, info, debug", .env = "SM_LOG_LEVEL"),
    SM_OPT_U32(struct sm_cli_globals, progress_interval_s, "progress-interval", "30", 1, 86400, "SECONDS",
               "seconds between progress lines when stderr is no terminal"),
    SM_OPT_END,
};

bool sm_cli_given(const struct sm_cli *cli, const char *option)
{
    return sm_options_given(cli->set, option);
}

void sm_cli_say(struct sm_cli *cli, const char *fmt, ...)
{
    if (cli->global.json) return;
    va_list ap;
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    (void)putchar('\n');
}

void sm_cli_json(struct sm_cli *cli, json_t *document)
{
    if (cli->global.json && !cli->document_done) {
        char *text = document ? json_dumps(document,
                                           (cli->event_lines ? JSON_COMPACT : JSON_INDENT(2)) | JSON_REAL_PRECISION(12))
                              : NULL;
        (void)puts(text ? text
                        : "{\"error\": {\"code\": \"SM_E_NOMEM\", \"exit\": 1, \"message\": \"out of memory\"}}");
        free(text);
        cli->document_done = true;
    }
    json_decref(document);
}

void sm_cli_event(struct sm_cli *cli, json_t *event)
{
    if (cli->global.json) {
        cli->event_lines = true;
        char *text = event ? json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
        (void)puts(text ? text : "{\"error\":{\"code\":\"SM_E_NOMEM\",\"exit\":1,\"message\":\"out of memory\"}}");
        (void)fflush(stdout);
        free(text);
    }
    json_decref(event);
}

sm_exit sm_cli_exit_of(sm_err err)
{
    switch (err) {
    case SM_OK:
        return SM_EXIT_DONE;
    case SM_E_ARG:
        return SM_EXIT_USAGE;
    case SM_E_FORMAT:
    case SM_E_MISMATCH:
        return SM_EXIT_CONFIG;
    case SM_E_CANCELLED:
        return SM_EXIT_INTERRUPTED;
    default:
        return SM_EXIT_FAILED;
    }
}

static sm_exit report(struct sm_cli *cli, const char *code, sm_exit status, const char *text)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "smesher%s%s: %s\n", cli->command ? " " : "", cli->command ? cli->command->name : "", text);
    if (cli->failure) (void)snprintf(cli->failure->text, sizeof cli->failure->text, "%s", text);
    sm_cli_json(cli, json_pack("{s:{s:s,s:i,s:s}}", "error", "code", code, "exit", (int)status, "message", text));
    return status;
}

sm_exit sm_cli_error(struct sm_cli *cli, sm_err err, const struct sm_errinfo *ei)
{
    if (err == SM_E_CANCELLED)
        return report(cli, sm_err_name(err), SM_EXIT_INTERRUPTED,
                      "interrupted; what can be continued is saved, run the same command again to continue");
    return report(cli, sm_err_name(err), sm_cli_exit_of(err), ei->text[0] ? ei->text : sm_err_name(err));
}

sm_exit sm_cli_refuse(struct sm_cli *cli, sm_exit status, const char *fmt, ...)
{
    static const char *const codes[] = {"OK", "FAILED", "USAGE", "CONFIG", "NO", "INTERRUPTED", "DEGRADED"};
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return report(cli, codes[status], status, text);
}

json_t *sm_cli_json_real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *sm_cli_json_u64(uint64_t v)
{
    if (v <= INT64_MAX) return json_integer((json_int_t)v);
    char text[24];
    (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, (json_int_t)(v / 10));
    const size_t n = strlen(text);
    text[n] = (char)('0' + v % 10);
    text[n + 1] = '\0';
    return json_string(text);
}

json_t *sm_cli_json_hex(const uint8_t *p, size_t n)
{
    char *text = malloc(SM_HEX_ROOM(n));
    json_t *out = text ? json_string(sm_hex_encode(p, n, text)) : NULL;
    free(text);
    return out;
}

const char *sm_cli_paint(const struct sm_cli *cli, sm_paint paint)
{
    static const char *const codes[] = {"\033[0m", "\033[32m", "\033[31m", "\033[33m", "\033[1m"};
    return cli->color_out ? codes[paint] : "";
}

bool sm_cli_confirm(const struct sm_cli *cli, const char *question, const char *word)
{
    if (cli->global.json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) return false;
    (void)fflush(stdout);
    (void)fprintf(stderr, "%s Type '%s' to go on: ", question, word);
    char line[64];
    if (!fgets(line, sizeof line, stdin)) return false;
    line[strcspn(line, "\r\n")] = '\0';
    return strcmp(line, word) == 0;
}

/* ---- from argv to the command ---- */

static bool wants_color(int fd, bool forbidden)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return !forbidden && isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

/* --json counts from the first word on, so that errors in later words are reported in JSON too. */
static bool asks_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0) return true;
    return false;
}

static const struct sm_command *find_command(int argc, char **argv, int *at)
{
    for (const struct sm_command *const *c = sm_commands; *c; c++) {
        const char *name = (*c)->name, *space = strchr(name, ' ');
        const size_t first = space ? (size_t)(space - name) : strlen(name);
        if (strlen(argv[*at]) != first || strncmp(argv[*at], name, first) != 0) continue;
        if (!space) {
            (*at)++;
            return *c;
        }
        if (*at + 1 < argc && strcmp(argv[*at + 1], space + 1) == 0) {
            *at += 2;
            return *c;
        }
    }
    return NULL;
}

/* The second words of the commands whose first word this is: "new, import, list". False: there are none. */
static bool second_words(const char *first, char *out, size_t room)
{
    size_t n = 0;
    for (const struct sm_command *const *c = sm_commands; *c; c++) {
        const char *space = strchr((*c)->name, ' ');
        if (!space || (*c)->hidden || strlen(first) != (size_t)(space - (*c)->name)) continue;
        if (strncmp((*c)->name, first, strlen(first)) != 0) continue;
        const int put = snprintf(out + n, room - n, "%s%s", n ? ", " : "", space + 1);
        if (put < 0 || (size_t)put >= room - n) return n > 0;
        n += (size_t)put;
    }
    return n > 0;
}

static sm_exit unknown_command(struct sm_cli *cli, const char *word)
{
    struct sm_nearest near = {.word = word};
    char second[200];
    if (second_words(word, second, sizeof second))
        return sm_cli_refuse(cli, SM_EXIT_USAGE, "after '%s' comes one of: %s; see smesher --help", word, second);
    for (const struct sm_command *const *c = sm_commands; *c; c++)
        if (!(*c)->hidden) sm_nearest_offer(&near, (*c)->name);
    if (near.best)
        return sm_cli_refuse(cli, SM_EXIT_USAGE, "unknown command '%s' (did you mean %s?); see smesher --help", word,
                             near.best);
    return sm_cli_refuse(cli, SM_EXIT_USAGE, "unknown command '%s'; see smesher --help", word);
}

/* A word that the command has no use for; most often a directory without --dir before it. */
static sm_err surplus(const struct sm_option_set *own, const char *word, struct sm_errinfo *ei)
{
    sm_err err = sm_fail(ei, SM_E_ARG, "unexpected argument '%s'", word);
    for (const struct sm_option *o = own->options; o && o->name; o++)
        if (strcmp(o->name, "dir") == 0 && !sm_options_given(own, "dir"))
            err = sm_fail_add(ei, err, " (did you mean --dir %s?)", word);
    return err;
}

static sm_exit run_command(struct sm_cli *cli, struct sm_parse *p, int argc, char **argv, int at)
{
    struct sm_errinfo ei = {0};
    const struct sm_command *c = cli->command;
    struct sm_option_set *global = &p->sets[0], *own = &p->sets[1];
    own->options = c->options;
    cli->set = own;
    p->sets_n = 2;
    p->stop_at_operand = false;
    sm_exit status = SM_EXIT_FAILED;
    sm_err err = SM_E_NOMEM;
    own->target = calloc(1, c->args_bytes ? c->args_bytes : 1);
    if (own->target) err = sm_options_parse(p, argc, argv, &at, &ei);
    if (!err && cli->global.help) {
        sm_help_print(c);
        status = SM_EXIT_DONE;
        goto out;
    }
    if (!err && p->operands_n && !c->operands) err = surplus(own, p->operands[0], &ei);
    if (!err) err = sm_options_complete(global, &ei);
    if (!err) err = sm_options_complete(own, &ei);
    if (!err && p->operands_n < c->operands_min) err = sm_fail(&ei, SM_E_ARG, "%s is missing", c->operands);
    if (err) {
        if (err == SM_E_ARG) (void)sm_fail_add(&ei, err, "; see smesher %s --help", c->name);
        status = sm_cli_error(cli, err, &ei);
        goto out;
    }
    cli->operands = p->operands;
    cli->operands_n = p->operands_n;
    cli->color_out = wants_color(STDOUT_FILENO, cli->global.no_color) && !cli->global.json;
    cli->color_err = wants_color(STDERR_FILENO, cli->global.no_color);
    sm_log_set_level((sm_log_level)cli->global.log_level);
    status = c->run(cli, own->target);
out:
    if (own->target) sm_options_fini(own);
    free(own->target);
    return status;
}

/* Options before the command, then the command's own line. */
static sm_exit dispatch(struct sm_cli *cli, int argc, char **argv, const char **operands)
{
    struct sm_errinfo ei = {0};
    struct sm_option_set sets[2] = {{.options = sm_cli_global_options, .target = &cli->global}};
    struct sm_parse p = {.sets = sets, .sets_n = 1, .stop_at_operand = true, .operands = operands};
    int at = 1;
    sm_err err = sm_options_parse(&p, argc, argv, &at, &ei);
    if (err == SM_E_ARG)
        (void)sm_fail_add(&ei, err, "; a command's options follow its name: smesher COMMAND [OPTIONS]");
    if (err) return sm_cli_error(cli, err, &ei);
    if (cli->global.man) {
        sm_man_print();
        return SM_EXIT_DONE;
    }
    if (sm_options_given(&sets[0], "completion")) {
        sm_completion_print(cli->global.completion);
        return SM_EXIT_DONE;
    }
    static char version[] = "version", help[] = "help";
    char *version_argv[] = {argv[0], version};
    if (cli->global.version && at == argc) {
        argc = 2;
        at = 1;
        argv = version_argv;
    }
    if (at < argc && strcmp(argv[at], help) == 0) {
        cli->global.help = true;
        at++;
    }
    if (at == argc) {
        if (!cli->global.help) return sm_cli_refuse(cli, SM_EXIT_USAGE, "no command given; see smesher --help");
        sm_help_print(NULL);
        return SM_EXIT_DONE;
    }
    const char *word = argv[at];
    cli->command = find_command(argc, argv, &at);
    return cli->command ? run_command(cli, &p, argc, argv, at) : unknown_command(cli, word);
}

int sm_cli_main(int argc, char **argv)
{
    struct sm_cli cli = {.global = {.json = asks_json(argc, argv)}, .cancel = sm_signals_install()};
    const char **operands = calloc((size_t)argc + 1, sizeof *operands);
    if (!operands || sodium_init() < 0) {
        free(operands);
        return (int)sm_cli_refuse(&cli, SM_EXIT_FAILED, "cannot start: out of memory or no random numbers");
    }
    sm_exit status = dispatch(&cli, argc, argv, operands);
    free(operands);
    /* A result that did not reach its reader is a failure, whatever the command thought. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (errno != EPIPE) (void)fprintf(stderr, "smesher: cannot write the result: %s\n", strerror(errno));
        if (status == SM_EXIT_DONE) status = SM_EXIT_FAILED;
    }
    return (int)status;
}
