#include "cli/jobs.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "util/io.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)
#define KEYS_MAX       64u
#define KEY_ROOM       32u

struct reader {
    struct sm_jobs *jobs;
    char dir[PATH_MAX]; /* of the file; "" the current one */
    char names[KEYS_MAX][KEY_ROOM];
    struct sm_yaml_key keys[KEYS_MAX]; /* one per option of init, then "name" */
    size_t options_n;
    struct sm_job *job;          /* being read */
    const yaml_node_t *defaults; /* NULL: none */
    uint64_t of_defaults;        /* lists that the job may replace */
};

/* ---- values ---- */

static sm_err own(struct sm_jobs *j, char *text, const char **out, struct sm_errinfo *ei)
{
    char **v = text ? realloc(j->texts, (j->texts_n + 1) * sizeof *v) : NULL;
    if (!v) {
        free(text);
        return sm_fail(ei, SM_E_NOMEM, "out of memory reading %s", j->where);
    }
    j->texts = v;
    v[j->texts_n++] = text;
    *out = text;
    return SM_OK;
}

static bool is_dir(const struct sm_option *o)
{
    return strcmp(o->name, "dir") == 0 || strcmp(o->name, "also") == 0;
}

static sm_err from_file_dir(struct reader *r, const char **text, struct sm_errinfo *ei)
{
    char *full = NULL;
    if ((*text)[0] == '/' || !r->dir[0]) return SM_OK;
    if (asprintf(&full, "%s/%s", r->dir, *text) < 0) full = NULL;
    return own(r->jobs, full, text, ei);
}

static sm_err assign(struct reader *r, struct sm_yaml *y, const struct sm_option *o, const yaml_node_t *node,
                     const char *what, struct sm_errinfo *ei)
{
    const char *text = NULL;
    sm_err err = sm_yaml_value(y, node, o->name, &text, ei);
    if (!err && !*text) err = sm_yaml_fail(y, node, ei, "%s is empty", o->name);
    if (!err && is_dir(o)) err = from_file_dir(r, &text, ei);
    if (err) return err;
    if (o->kind == SM_OPTION_FLAG) {
        const bool yes = !strcmp(text, "yes") || !strcmp(text, "true"),
                   no = !strcmp(text, "no") || !strcmp(text, "false");
        if (!yes && !no) return sm_fail(ei, SM_E_FORMAT, "%s: '%s' is neither yes nor no", what, text);
        text = yes ? "1" : "0";
    }
    err = sm_option_assign(o, r->job->set.target, text, what, ei);
    return err == SM_E_ARG ? SM_E_FORMAT : err;
}

static void clear_list(const struct sm_option *o, void *target)
{
    struct sm_text_list *list = (void *)((char *)target + o->offset);
    free(list->v);
    *list = (struct sm_text_list){0};
}

static sm_err read_option(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                          struct sm_errinfo *ei)
{
    struct reader *r = ctx;
    struct sm_option_set *set = &r->job->set;
    const struct sm_option *o = &set->options[row];
    const uint64_t bit = UINT64_C(1) << row;
    if (o->kind == SM_OPTION_LIST && (r->of_defaults & bit)) clear_list(o, set->target);
    r->of_defaults &= ~bit;
    set->given |= bit;
    if (o->kind != SM_OPTION_LIST || value->type != YAML_SEQUENCE_NODE) return assign(r, y, o, value, what, ei);
    sm_err err = SM_OK;
    for (yaml_node_item_t *i = value->data.sequence.items.start; !err && i < value->data.sequence.items.top; i++)
        err = assign(r, y, o, sm_yaml_node(y, *i), what, ei);
    return err;
}

static sm_err read_name(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                        struct sm_errinfo *ei)
{
    (void)row, (void)what;
    struct reader *r = ctx;
    sm_err err = sm_yaml_value(y, value, "name", &r->job->name, ei);
    if (err) return err;
    for (const char *p = r->job->name; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return sm_yaml_fail(y, value, ei, "a name has no control characters");
    return r->job->name[0] ? SM_OK : sm_yaml_fail(y, value, ei, "name is empty");
}

/* ---- jobs ---- */

/* The options of init, but for those that make no sense in a queue. */
static void make_keys(struct reader *r)
{
    const struct sm_option *o = sm_cmd_init.options;
    for (size_t i = 0; o[i].name; i++) {
        assert(i + 1 < KEYS_MAX);
        (void)snprintf(r->names[i], KEY_ROOM, "%s", o[i].name);
        for (char *c = r->names[i]; *c; c++)
            if (*c == '-') *c = '_';
        r->keys[i] = (struct sm_yaml_key){r->names[i], read_option};
        r->options_n = i + 1;
    }
    r->keys[r->options_n] = (struct sm_yaml_key){"name", read_name};
}

static sm_err refuse_dry_run(struct reader *r, struct sm_yaml *y, const yaml_node_t *node, struct sm_errinfo *ei)
{
    if (!sm_options_given(&r->job->set, "dry-run")) return SM_OK;
    return sm_yaml_fail(y, node, ei, "dry_run is no key of a job: smesher queue --check shows what would be done");
}

static const char *dir_of(const struct sm_job *job)
{
    for (const struct sm_option *o = job->set.options; o->name; o++)
        if (strcmp(o->name, "dir") == 0) return *(const char **)((char *)job->set.target + o->offset);
    return NULL;
}

static sm_err finish_job(struct reader *r, struct sm_yaml *y, const yaml_node_t *node, struct sm_errinfo *ei)
{
    struct sm_job *job = r->job;
    struct sm_errinfo why = {0};
    sm_err err = refuse_dry_run(r, y, node, ei);
    if (!err && !sm_options_given(&job->set, "dir")) err = sm_yaml_fail(y, node, ei, "a job needs a dir");
    if (err) return err;
    err = sm_options_complete(&job->set, &why);
    if (err) return sm_yaml_fail(y, node, ei, "%s", why.text);
    job->dir = dir_of(job);
    if (!job->name) job->name = job->dir;
    for (const struct sm_job *other = r->jobs->v; other < job; other++)
        if (strcmp(other->dir, job->dir) == 0)
            return sm_yaml_fail(y, node, ei, "%s is the directory of the job in line %lu already", job->dir,
                                other->line);
    return SM_OK;
}

static sm_err read_job(struct reader *r, struct sm_yaml *y, const yaml_node_t *node, struct sm_errinfo *ei)
{
    uint64_t seen;
    sm_err err = SM_OK;
    struct sm_job *job = r->job = &r->jobs->v[r->jobs->n];
    job->line = (unsigned long)node->start_mark.line + 1;
    job->set = (struct sm_option_set){.options = sm_cmd_init.options, .target = calloc(1, sm_cmd_init.args_bytes)};
    if (!job->set.target) return sm_fail(ei, SM_E_NOMEM, "out of memory reading %s", r->jobs->where);
    r->jobs->n++;
    if (r->defaults) err = sm_yaml_map(y, r->defaults, r->keys, r->options_n, r, &seen, ei);
    r->of_defaults = job->set.given;
    if (!err) err = sm_yaml_map(y, node, r->keys, r->options_n + 1, r, &seen, ei);
    return err ? err : finish_job(r, y, node, ei);
}

static sm_err take_defaults(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                            struct sm_errinfo *ei)
{
    (void)y, (void)row, (void)what, (void)ei;
    ((struct reader *)ctx)->defaults = value;
    return SM_OK;
}

static sm_err take_jobs(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                        struct sm_errinfo *ei)
{
    (void)ctx, (void)row;
    if (value->type != YAML_SEQUENCE_NODE) return sm_yaml_fail(y, value, ei, "a list is expected for %s", what);
    const ptrdiff_t n = value->data.sequence.items.top - value->data.sequence.items.start;
    if (n == 0) return sm_yaml_fail(y, value, ei, "there is no job in the list");
    return n <= (ptrdiff_t)SM_JOBS_MAX ? SM_OK : sm_yaml_fail(y, value, ei, "more than %u jobs", SM_JOBS_MAX);
}

/* The list was looked at by take_jobs; defaults may stand behind it in the file. */
static const yaml_node_t *find_jobs(struct sm_yaml *y)
{
    const yaml_node_t *top = sm_yaml_root(y);
    for (yaml_node_pair_t *i = top->data.mapping.pairs.start; i < top->data.mapping.pairs.top; i++)
        if (strcmp(sm_yaml_text(sm_yaml_node(y, i->key)), "jobs") == 0) return sm_yaml_node(y, i->value);
    return NULL;
}

static sm_err read_all(struct reader *r, struct sm_yaml *y, struct sm_errinfo *ei)
{
    static const struct sm_yaml_key top[] = {{"defaults", take_defaults}, {"jobs", take_jobs}};
    uint64_t seen = 0;
    sm_err err = sm_yaml_map(y, sm_yaml_root(y), top, 2, r, &seen, ei);
    if (err) return err;
    const yaml_node_t *list = find_jobs(y);
    if (!list) return sm_yaml_fail(y, sm_yaml_root(y), ei, "there is no list of jobs");
    const yaml_node_item_t *begin = list->data.sequence.items.start, *end = list->data.sequence.items.top;
    r->jobs->v = calloc((size_t)(end - begin), sizeof *r->jobs->v);
    if (!r->jobs->v) return sm_fail(ei, SM_E_NOMEM, "out of memory reading %s", r->jobs->where);
    for (const yaml_node_item_t *i = begin; !err && i < end; i++) err = read_job(r, y, sm_yaml_node(y, *i), ei);
    return err;
}

sm_err sm_jobs_load(const char *path, struct sm_jobs *out, struct sm_errinfo *ei)
{
    struct reader *r = calloc(1, sizeof *r);
    char *text = NULL;
    size_t n = 0;
    *out = (struct sm_jobs){.where = strdup(path)};
    if (!r || !out->where || strlen(path) >= sizeof r->dir) {
        free(r);
        free(out->where);
        return sm_fail(ei, SM_E_NOMEM, "out of memory reading %s", path);
    }
    r->jobs = out;
    (void)snprintf(r->dir, sizeof r->dir, "%s", path);
    char *slash = strrchr(r->dir, '/');
    r->dir[slash ? slash - r->dir + (slash == r->dir) : 0] = '\0';
    make_keys(r);
    sm_err err = sm_io_read_file(path, FILE_MAX_BYTES, &text, &n, ei);
    if (!err) err = sm_yaml_parse(&out->yaml, text, n, out->where, ei);
    free(text);
    if (err) {
        free(out->where);
        *out = (struct sm_jobs){0};
    } else {
        err = read_all(r, &out->yaml, ei);
        if (err) sm_jobs_fini(out);
    }
    free(r);
    return err;
}

void sm_jobs_fini(struct sm_jobs *j)
{
    if (!j->where) return;
    for (size_t i = 0; i < j->n; i++) {
        sm_options_fini(&j->v[i].set);
        free(j->v[i].set.target);
    }
    for (size_t i = 0; i < j->texts_n; i++) free(j->texts[i]);
    free(j->texts);
    free(j->v);
    sm_yaml_fini(&j->yaml);
    free(j->where);
    *j = (struct sm_jobs){0};
}
