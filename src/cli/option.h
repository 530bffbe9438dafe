/* cli/option.h: option tables. One row gives parsing, range check, default, environment variable, --help and the
 * manual page.
 *
 *   struct args { uint32_t num_units; bool dry_run; const char *dir; };
 *   static const struct sm_option options[] = {
 *       SM_OPT_TEXT(struct args, dir, "dir", NULL, "DIR", "data directory", .required = true),
 *       SM_OPT_U32(struct args, num_units, "num-units", NULL, 1, UINT32_MAX, "N", "size in units",
 *                  .default_note = "the metadata's"),
 *       SM_OPT_FLAG(struct args, dry_run, "dry-run", "show what would be done"),
 *       SM_OPT_END,
 *   };
 *
 * On the command line: --name value or --name=value; flags take no value; an option is given once unless it is a
 * list; "--" ends the options. Precedence: flag, environment variable, default. A field without any of these stays
 * zero. Texts are borrowed from argv, the environment or the table. */
#ifndef SM_CLI_OPTION_H
#define SM_CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

typedef enum sm_option_kind {
    SM_OPTION_FLAG,   /* bool */
    SM_OPTION_U32,    /* uint32_t */
    SM_OPTION_U64,    /* uint64_t */
    SM_OPTION_SIZE,   /* uint64_t bytes, "4GiB" */
    SM_OPTION_F64,    /* double */
    SM_OPTION_TEXT,   /* const char * */
    SM_OPTION_HEX32,  /* uint8_t[32], 64 hex digits */
    SM_OPTION_CHOICE, /* uint32_t: position in `choices` */
    SM_OPTION_LIST,   /* struct sm_text_list: may be given many times */
} sm_option_kind;

struct sm_text_list {
    const char **v;
    size_t n;
};

struct sm_option {
    const char *name; /* without dashes; NULL ends a table */
    sm_option_kind kind;
    size_t offset;              /* of the field in the argument struct */
    const char *metavar;        /* "N", "DIR", "HEX"; NULL for flags */
    const char *help;           /* one sentence without full stop; says the unit */
    const char *default_text;   /* parsed like a value; NULL: the field stays zero */
    const char *default_note;   /* shown as the default when it depends on something */
    const char *env;            /* environment variable; NULL: none */
    uint64_t min, max;          /* U32, U64, SIZE */
    double fmin, fmax;          /* F64 */
    const char *const *choices; /* CHOICE: NULL-terminated */
    bool required, hidden;
};

/* Offset of a field, checked to have the type that the option writes. */
#define SM_OPT_AT(T, field, type) \
    (offsetof(T, field) + 0 * sizeof(char[_Generic(&((T *)0)->field, __typeof__(type) * : 1)]))

/* The last arguments are the help text and further members, for example `, .required = true`. */
#define SM_OPT_FLAG(T, field, opt, ...)                                                                 \
    {                                                                                                   \
        .name = (opt), .kind = SM_OPTION_FLAG, .offset = SM_OPT_AT(T, field, bool), .help = __VA_ARGS__ \
    }
#define SM_OPT_U32(T, field, opt, def, lo, hi, meta, ...)                                                     \
    {                                                                                                         \
        .name = (opt), .kind = SM_OPTION_U32, .offset = SM_OPT_AT(T, field, uint32_t), .default_text = (def), \
        .min = (lo), .max = (hi), .metavar = (meta), .help = __VA_ARGS__                                      \
    }
#define SM_OPT_U64(T, field, opt, def, lo, hi, meta, ...)                                                     \
    {                                                                                                         \
        .name = (opt), .kind = SM_OPTION_U64, .offset = SM_OPT_AT(T, field, uint64_t), .default_text = (def), \
        .min = (lo), .max = (hi), .metavar = (meta), .help = __VA_ARGS__                                      \
    }
#define SM_OPT_SIZE(T, field, opt, def, lo, hi, ...)                                                           \
    {                                                                                                          \
        .name = (opt), .kind = SM_OPTION_SIZE, .offset = SM_OPT_AT(T, field, uint64_t), .default_text = (def), \
        .min = (lo), .max = (hi), .metavar = "SIZE", .help = __VA_ARGS__                                       \
    }
#define SM_OPT_F64(T, field, opt, def, lo, hi, meta, ...)                                                   \
    {                                                                                                       \
        .name = (opt), .kind = SM_OPTION_F64, .offset = SM_OPT_AT(T, field, double), .default_text = (def), \
        .fmin = (lo), .fmax = (hi), .metavar = (meta), .help = __VA_ARGS__                                  \
    }
#define SM_OPT_TEXT(T, field, opt, def, meta, ...)                                                                 \
    {                                                                                                              \
        .name = (opt), .kind = SM_OPTION_TEXT, .offset = SM_OPT_AT(T, field, const char *), .default_text = (def), \
        .metavar = (meta), .help = __VA_ARGS__                                                                     \
    }
#define SM_OPT_HEX32(T, field, opt, ...)                                                                      \
    {                                                                                                         \
        .name = (opt), .kind = SM_OPTION_HEX32, .offset = SM_OPT_AT(T, field, uint8_t[32]), .metavar = "HEX", \
        .help = __VA_ARGS__                                                                                   \
    }
#define SM_OPT_CHOICE(T, field, opt, def, list, ...)                                                             \
    {                                                                                                            \
        .name = (opt), .kind = SM_OPTION_CHOICE, .offset = SM_OPT_AT(T, field, uint32_t), .default_text = (def), \
        .choices = (list), .help = __VA_ARGS__                                                                   \
    }
#define SM_OPT_LIST(T, field, opt, def, meta, ...)                                                 \
    {                                                                                              \
        .name = (opt), .kind = SM_OPTION_LIST, .offset = SM_OPT_AT(T, field, struct sm_text_list), \
        .default_text = (def), .metavar = (meta), .help = __VA_ARGS__                              \
    }
#define SM_OPT_END   \
    {                \
        .name = NULL \
    }

#define SM_OPTIONS_MAX 64u /* rows of a table */

/* A table, the struct it fills, and which rows were given by flag or environment (bit = row). */
struct sm_option_set {
    const struct sm_option *options;
    void *target;
    uint64_t given;
};

struct sm_parse {
    struct sm_option_set *sets; /* searched in order */
    size_t sets_n;
    bool stop_at_operand;  /* return at the first word that is no option */
    const char **operands; /* room for argc entries, caller's */
    size_t operands_n;
};

/* Parses argv[*at …], advancing *at. SM_E_ARG with a sentence for the user: unknown option (with the nearest known
 * one), missing or superfluous value, value out of range, option given twice. */
SM_MUST_CHECK sm_err sm_options_parse(struct sm_parse *p, int argc, char **argv, int *at, struct sm_errinfo *ei);

/* Fills what the command line left open from the environment and the defaults; then SM_E_ARG for a missing required
 * option. */
SM_MUST_CHECK sm_err sm_options_complete(struct sm_option_set *set, struct sm_errinfo *ei);

/* Frees the lists in the target. */
void sm_options_fini(struct sm_option_set *set);

bool sm_options_given(const struct sm_option_set *set, const char *name);

/* One value as text into its field; used for every source. `what` names the source in errors. */
SM_MUST_CHECK sm_err sm_option_assign(const struct sm_option *o, void *target, const char *text, const char *what,
                                      struct sm_errinfo *ei);

#endif
