#include "cli/option.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/value.h"
#include "util/text.h"

static sm_err assign_choice(const struct sm_option *o, uint32_t *field, const char *text, const char *what,
                            struct sm_errinfo *ei)
{
    struct sm_nearest near = {.word = text};
    char all[256] = "";
    for (uint32_t i = 0; o->choices[i]; i++) {
        if (strcmp(o->choices[i], text) == 0) {
            *field = i;
            return SM_OK;
        }
        sm_nearest_offer(&near, o->choices[i]);
        const size_t n = strlen(all);
        (void)snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "", o->choices[i]);
    }
    sm_err err = sm_fail(ei, SM_E_ARG, "%s: '%s' is not one of %s", what, text, all);
    return near.best ? sm_fail_add(ei, err, " (did you mean %s?)", near.best) : err;
}

static sm_err append(struct sm_text_list *list, const char *text, struct sm_errinfo *ei)
{
    const char **v = realloc(list->v, (list->n + 1) * sizeof *v);
    if (!v) return sm_fail(ei, SM_E_NOMEM, "out of memory reading the options");
    v[list->n] = text;
    *list = (struct sm_text_list){.v = v, .n = list->n + 1};
    return SM_OK;
}

sm_err sm_option_assign(const struct sm_option *o, void *target, const char *text, const char *what,
                        struct sm_errinfo *ei)
{
    void *field = (char *)target + o->offset;
    sm_err err = SM_OK;
    uint64_t v = 0;
    switch (o->kind) {
    case SM_OPTION_FLAG:
        if (strcmp(text, "1") != 0 && strcmp(text, "0") != 0)
            return sm_fail(ei, SM_E_ARG, "%s: '%s' is neither 1 nor 0", what, text);
        *(bool *)field = *text == '1';
        return SM_OK;
    case SM_OPTION_U32:
        err = sm_value_u64(text, what, o->min, o->max, &v, ei);
        if (!err) *(uint32_t *)field = (uint32_t)v;
        break;
    case SM_OPTION_U64:
        err = sm_value_u64(text, what, o->min, o->max, field, ei);
        break;
    case SM_OPTION_SIZE:
        err = sm_value_size(text, what, o->min, o->max, field, ei);
        break;
    case SM_OPTION_F64:
        err = sm_value_f64(text, what, o->fmin, o->fmax, field, ei);
        break;
    case SM_OPTION_TEXT:
        *(const char **)field = text;
        break;
    case SM_OPTION_HEX32:
        err = sm_hex_decode(text, what, field, 32, ei);
        break;
    case SM_OPTION_CHOICE:
        return assign_choice(o, field, text, what, ei);
    case SM_OPTION_LIST:
        return append(field, text, ei);
    }
    return err ? SM_E_ARG : SM_OK; /* whatever is wrong with the text, the user is to change the command line */
}

static const struct sm_option *find(const struct sm_option_set *set, const char *name, size_t name_n, size_t *out_row)
{
    for (size_t i = 0; set->options[i].name; i++) {
        const char *known = set->options[i].name;
        if (strncmp(known, name, name_n) == 0 && !known[name_n]) {
            *out_row = i;
            return &set->options[i];
        }
    }
    return NULL;
}

static sm_err unknown(const struct sm_parse *p, const char *word, struct sm_errinfo *ei)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    struct sm_nearest near = {.word = name};
    for (size_t s = 0; s < p->sets_n; s++)
        for (const struct sm_option *o = p->sets[s].options; o->name; o++)
            if (!o->hidden) sm_nearest_offer(&near, o->name);
    sm_err err = sm_fail(ei, SM_E_ARG, "unknown option %s", name);
    return near.best ? sm_fail_add(ei, err, " (did you mean --%s?)", near.best) : err;
}

/* argv[*at] begins with "--"; advances over it and its value. */
static sm_err parse_option(struct sm_parse *p, int argc, char **argv, int *at, struct sm_errinfo *ei)
{
    const char *word = argv[(*at)++], *name = word + 2;
    const size_t name_n = strcspn(name, "=");
    const char *value = name[name_n] ? name + name_n + 1 : NULL;
    const struct sm_option *o = NULL;
    struct sm_option_set *set = NULL;
    size_t row = 0;
    for (size_t s = 0; s < p->sets_n && !o; s++) {
        set = &p->sets[s];
        o = find(set, name, name_n, &row);
    }
    if (!o) return unknown(p, word, ei);
    if (o->kind == SM_OPTION_FLAG) {
        if (value) return sm_fail(ei, SM_E_ARG, "--%s takes no value", o->name);
        value = "1";
    } else if (!value) {
        /* A value that looks like an option is one whose value was forgotten; --name=--value says it on purpose. */
        if (*at >= argc || strncmp(argv[*at], "--", 2) == 0)
            return sm_fail(ei, SM_E_ARG, "--%s needs a value", o->name);
        value = argv[(*at)++];
    }
    const uint64_t bit = UINT64_C(1) << row;
    if ((set->given & bit) && o->kind != SM_OPTION_LIST && o->kind != SM_OPTION_FLAG)
        return sm_fail(ei, SM_E_ARG, "--%s is given twice", o->name);
    set->given |= bit;
    char what[80];
    (void)snprintf(what, sizeof what, "--%s", o->name);
    return sm_option_assign(o, set->target, value, what, ei);
}

sm_err sm_options_parse(struct sm_parse *p, int argc, char **argv, int *at, struct sm_errinfo *ei)
{
    bool options = true;
    while (*at < argc) {
        const char *word = argv[*at];
        if (options && strcmp(word, "--") == 0) {
            options = false;
            (*at)++;
        } else if (options && strcmp(word, "-h") == 0) {
            static char help[] = "--help";
            argv[*at] = help; /* the one short option; everybody tries it */
        } else if (options && strncmp(word, "--", 2) == 0) {
            sm_err err = parse_option(p, argc, argv, at, ei);
            if (err) return err;
        } else if (options && word[0] == '-' && word[1]) {
            return unknown(p, word, ei);
        } else if (p->stop_at_operand) {
            return SM_OK;
        } else {
            p->operands[p->operands_n++] = word;
            (*at)++;
        }
    }
    return SM_OK;
}

sm_err sm_options_complete(struct sm_option_set *set, struct sm_errinfo *ei)
{
    for (size_t i = 0; set->options[i].name; i++) {
        const struct sm_option *o = &set->options[i];
        const uint64_t bit = UINT64_C(1) << i;
        assert(i < SM_OPTIONS_MAX);
        if (set->given & bit) continue;
        const char *env = o->env ? getenv(o->env) : NULL;
        const char *text = env && *env ? env : o->default_text;
        if (text) {
            sm_err err = sm_option_assign(o, set->target, text, text == env ? o->env : o->name, ei);
            if (err) return err;
        }
        if (text && text == env) set->given |= bit;
        if (o->required && !text) return sm_fail(ei, SM_E_ARG, "--%s %s is required", o->name, o->metavar);
    }
    return SM_OK;
}

void sm_options_fini(struct sm_option_set *set)
{
    for (const struct sm_option *o = set->options; o && o->name; o++) {
        if (o->kind != SM_OPTION_LIST) continue;
        struct sm_text_list *list = (void *)((char *)set->target + o->offset);
        free(list->v);
        *list = (struct sm_text_list){0};
    }
}

bool sm_options_given(const struct sm_option_set *set, const char *name)
{
    size_t row = 0;
    const struct sm_option *o = find(set, name, strlen(name), &row);
    assert(o);
    return o && (set->given & (UINT64_C(1) << row));
}
