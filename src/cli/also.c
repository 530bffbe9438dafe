#include "cli/also.h"

#include <stdlib.h>
#include <string.h>

#include "config/value.h"

static sm_err parse_one(const char *text, struct sm_spread_want *out, struct sm_errinfo *ei)
{
    const char *equals = strrchr(text, '=');
    struct sm_errinfo ignored = {0};
    *out = (struct sm_spread_want){.max_bytes = SM_SPREAD_UNLIMITED};
    const bool sized = equals && !sm_value_size(equals + 1, "--also", 0, INT64_MAX, &out->max_bytes, &ignored);
    char *dir = sized ? strndup(text, (size_t)(equals - text)) : strdup(text);
    if (!dir) return sm_fail(ei, SM_E_NOMEM, "out of memory reading --also");
    out->dir = dir;
    return dir[0] ? SM_OK : sm_fail(ei, SM_E_ARG, "--also %s names no directory", text);
}

sm_err sm_also_parse(const struct sm_text_list *list, struct sm_also *out, struct sm_errinfo *ei)
{
    *out = (struct sm_also){.v = calloc(list->n + 1, sizeof *out->v)};
    sm_err err = out->v ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory reading --also");
    for (; !err && out->n < list->n; out->n++) err = parse_one(list->v[out->n], &out->v[out->n], ei);
    if (err) sm_also_fini(out);
    return err;
}

void sm_also_fini(struct sm_also *a)
{
    for (size_t i = 0; i < a->n; i++) free((void *)(size_t)a->v[i].dir);
    free(a->v);
    *a = (struct sm_also){0};
}
