#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/option.h"

struct args {
    bool flag;
    uint32_t u32, choice;
    uint64_t u64, size;
    double f64;
    const char *text;
    uint8_t hex[32];
    struct sm_text_list list;
};

static const char *const choices[] = {"light", "fast", NULL};
static const struct sm_option options[] = {
    SM_OPT_FLAG(struct args, flag, "flag", "a flag"),
    SM_OPT_U32(struct args, u32, "num-units", "4", 1, 100, "N", "units"),
    SM_OPT_U64(struct args, u64, "label", NULL, 0, UINT64_MAX, "N", "label"),
    SM_OPT_SIZE(struct args, size, "size", "4GiB", 1, UINT64_MAX, "bytes"),
    SM_OPT_F64(struct args, f64, "fraction", "0.2", 0, 100, "PERCENT", "share"),
    SM_OPT_TEXT(struct args, text, "dir", NULL, "DIR", "directory", .env = "SM_TEST_DIR"),
    SM_OPT_HEX32(struct args, hex, "challenge", "hex"),
    SM_OPT_CHOICE(struct args, choice, "mode", "fast", choices, "mode"),
    SM_OPT_LIST(struct args, list, "device", NULL, "ID", "devices"),
    SM_OPT_END,
};

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000001"

static sm_err parse(char *line, struct args *a, struct sm_option_set *set, const char **operands, size_t *operands_n,
                    struct sm_errinfo *ei)
{
    static char name[] = "x";
    char *argv[32] = {name};
    int argc = 1, at = 1;
    for (char *w = strtok(line, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
    *a = (struct args){0};
    *set = (struct sm_option_set){.options = options, .target = a};
    struct sm_parse p = {.sets = set, .sets_n = 1, .operands = operands};
    sm_err err = sm_options_parse(&p, argc, argv, &at, ei);
    if (!err) err = sm_options_complete(set, ei);
    *operands_n = p.operands_n;
    return err;
}

struct bad_case {
    char line[160];
    char wants[2][64];
};

ParameterizedTestParameters(option, refused)
{
    static struct bad_case cases[] = {
        {"--num-unit 3", {"--num-unit", "did you mean --num-units?"}},
        {"-numUnits 3", {"-numUnits", "did you mean --num-units?"}},
        {"--numunits=3", {"--numunits", "did you mean --num-units?"}},
        {"--zzzzzz", {"unknown option --zzzzzz"}},
        {"-x", {"unknown option -x"}},
        {"--num-units", {"--num-units needs a value"}},
        {"--num-units 0", {"--num-units", "outside 1 ... 100"}},
        {"--num-units 101", {"--num-units", "outside"}},
        {"--num-units 4294967297", {"--num-units", "outside"}},
        {"--num-units 99999999999999999999999", {"--num-units", "not a whole number"}},
        {"--num-units -1", {"--num-units", "not a whole number"}},
        {"--num-units 3x", {"--num-units", "not a whole number"}},
        {"--num-units=", {"--num-units", "not a whole number"}},
        {"--num-units 3 --num-units 4", {"--num-units is given twice"}},
        {"--flag=1", {"--flag takes no value"}},
        {"--size 4Q", {"--size", "not a size"}},
        {"--fraction 101", {"--fraction", "outside"}},
        {"--fraction nan", {"--fraction", "not a number"}},
        {"--challenge abc", {"--challenge", "64 hex digits"}},
        {"--challenge " ZEROS "00", {"--challenge", "64 hex digits"}},
        {"--challenge 0x00000000000000000000000000000000000000000000000000000000000000", {"--challenge", "not hex"}},
        {"--mode quick", {"--mode", "light, fast"}},
        {"--mode fats", {"--mode", "did you mean fast?"}},
    };
    return cr_make_param_array(struct bad_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct bad_case *c, option, refused)
{
    struct args a;
    struct sm_option_set set;
    struct sm_errinfo ei = {0};
    const char *operands[32];
    size_t n = 0;
    char line[160];
    memcpy(line, c->line, sizeof line);
    cr_assert_eq(parse(line, &a, &set, operands, &n, &ei), SM_E_ARG, "%s", c->line);
    for (size_t i = 0; i < 2; i++) cr_assert(strstr(ei.text, c->wants[i]), "'%s' not in '%s'", c->wants[i], ei.text);
    sm_options_fini(&set);
}

Test(option, values_and_defaults)
{
    struct args a;
    struct sm_option_set set;
    struct sm_errinfo ei = {0};
    const char *operands[32];
    size_t n = 0;
    char line[] = "one --num-units=7 --flag --size 1KiB two --device a --device=b --challenge " ZEROS
                  " --mode light -- --flag -x";
    cr_assert_eq(parse(line, &a, &set, operands, &n, &ei), SM_OK, "%s", ei.text);
    cr_assert(a.flag);
    cr_assert_eq(a.u32, 7);
    cr_assert_eq(a.size, 1024);
    cr_assert_float_eq(a.f64, 0.2, 1e-9);
    cr_assert_eq(a.choice, 0);
    cr_assert_eq(a.hex[31], 1);
    cr_assert_eq(a.u64, 0);
    cr_assert_null(a.text);
    cr_assert_eq(a.list.n, 2);
    cr_assert_str_eq(a.list.v[0], "a");
    cr_assert_str_eq(a.list.v[1], "b");
    cr_assert_eq(n, 4);
    cr_assert_str_eq(operands[0], "one");
    cr_assert_str_eq(operands[2], "--flag");
    cr_assert_str_eq(operands[3], "-x");
    cr_assert(sm_options_given(&set, "num-units"));
    cr_assert_not(sm_options_given(&set, "fraction"));
    sm_options_fini(&set);
    cr_assert_eq(a.list.n, 0);
}

Test(option, environment_is_weaker_than_a_flag)
{
    struct args a;
    struct sm_option_set set;
    struct sm_errinfo ei = {0};
    const char *operands[32];
    size_t n = 0;
    setenv("SM_TEST_DIR", "/env", 1);
    char empty[] = "", flag[] = "--dir /flag";
    cr_assert_eq(parse(empty, &a, &set, operands, &n, &ei), SM_OK);
    cr_assert_str_eq(a.text, "/env");
    cr_assert(sm_options_given(&set, "dir"));
    cr_assert_eq(parse(flag, &a, &set, operands, &n, &ei), SM_OK);
    cr_assert_str_eq(a.text, "/flag");
    setenv("SM_TEST_DIR", "", 1);
    char again[] = "";
    cr_assert_eq(parse(again, &a, &set, operands, &n, &ei), SM_OK);
    cr_assert_null(a.text, "an empty variable counts as unset");
}

Test(option, required)
{
    struct args a = {0};
    struct sm_errinfo ei = {0};
    static const struct sm_option needed[] = {
        SM_OPT_TEXT(struct args, text, "dir", NULL, "DIR", "directory", .required = true), SM_OPT_END};
    struct sm_option_set set = {.options = needed, .target = &a};
    cr_assert_eq(sm_options_complete(&set, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "--dir DIR is required"), "%s", ei.text);
}

/* Every row of every table: a default that parses, a help text, room in the bitmap, no name twice or shadowed. */
Test(option, tables_are_sound)
{
    for (const struct sm_command *const *c = sm_commands; *c; c++) {
        size_t rows = 0;
        cr_assert((*c)->summary && (*c)->summary[0] && (*c)->run, "%s", (*c)->name);
        for (const struct sm_option *o = (*c)->options; o->name; o++, rows++) {
            struct sm_errinfo ei = {0};
            cr_assert(o->help && o->help[0], "%s --%s has no help", (*c)->name, o->name);
            cr_assert(o->kind == SM_OPTION_FLAG || o->kind == SM_OPTION_CHOICE || o->metavar, "%s", o->name);
            cr_assert(o->kind != SM_OPTION_U32 || o->max <= UINT32_MAX, "%s", o->name);
            for (const struct sm_option *p = (*c)->options; p < o; p++)
                cr_assert_str_neq(o->name, p->name, "%s has it twice", (*c)->name);
            for (const struct sm_option *p = sm_cli_global_options; p->name; p++)
                cr_assert_str_neq(o->name, p->name, "%s hides a global option", (*c)->name);
            void *target = calloc(1, (*c)->args_bytes);
            if (o->default_text && o->kind != SM_OPTION_LIST)
                cr_assert_eq(sm_option_assign(o, target, o->default_text, o->name, &ei), SM_OK, "%s: %s", o->name,
                             ei.text);
            cr_assert_lt(o->offset, (*c)->args_bytes);
            free(target);
        }
        cr_assert_leq(rows, SM_OPTIONS_MAX);
    }
}
