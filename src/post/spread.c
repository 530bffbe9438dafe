#include "post/spread.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "util/io.h"
#include "util/text.h"

#define MANIFEST_VERSION 1
#define MANIFEST_MAX     (1u << 20)
#define STRETCHES_MAX    4096u

void sm_spread_fini(struct sm_spread *s)
{
    free(s->dirs);
    free(s->stretches);
    *s = (struct sm_spread){0};
}

/* ---- which directory ---- */

size_t sm_spread_walk_to(struct sm_spread_walk *w, uint64_t number)
{
    const struct sm_spread *s = w->s;
    while (w->stretch < s->stretches_n && s->stretches[w->stretch].to < number) {
        w->stretch++;
        w->inside = false;
    }
    if (w->stretch == s->stretches_n || number < s->stretches[w->stretch].from) return 0;
    const struct sm_spread_stretch *t = &s->stretches[w->stretch];
    if (!w->inside) {
        memcpy(w->left, t->share, sizeof w->left);
        w->next = t->from;
        w->turn = s->dirs_n - 1;
        w->inside = true;
    }
    for (; w->next <= number; w->next++) {
        do w->turn = (w->turn + 1) % s->dirs_n;
        while (!w->left[w->turn]); /* the sum of the shares is the length of the stretch */
        w->left[w->turn]--;
    }
    return w->turn;
}

size_t sm_spread_dir_of(const struct sm_spread *s, uint64_t number)
{
    return sm_spread_walk_to(&(struct sm_spread_walk){.s = s}, number);
}

void sm_spread_cut(struct sm_spread *s, uint64_t from)
{
    while (s->stretches_n && s->stretches[s->stretches_n - 1].from >= from) s->stretches_n--;
    if (!s->stretches_n || s->stretches[s->stretches_n - 1].to < from) return;
    /* The same files go to the same directories when each has as its share what it had before the cut. */
    struct sm_spread_stretch *t = &s->stretches[s->stretches_n - 1], shorter = {.from = t->from, .to = from - 1};
    struct sm_spread_walk walk = {.s = s};
    for (uint64_t i = t->from; i < from; i++) shorter.share[sm_spread_walk_to(&walk, i)]++;
    *t = shorter;
}

/* ---- reading ---- */

struct reader {
    const char *path;
    struct sm_errinfo *ei;
};

static sm_err broken(const struct reader *r, const char *what)
{
    return sm_fail(r->ei, SM_E_FORMAT,
                   "%s: %s; restore it from a copy, or name the directories again by init --also after removing it",
                   r->path, what);
}

static bool get_number(const json_t *o, const char *key, uint64_t *out)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0) return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static sm_err read_dir(const struct reader *r, const json_t *o, bool is_main, struct sm_spread_dir *out)
{
    const char *path = json_string_value(json_object_get(o, "path"));
    out->max_bytes = SM_SPREAD_UNLIMITED;
    if (!path || strlen(path) >= sizeof out->path || (is_main ? strcmp(path, ".") != 0 : path[0] != '/'))
        return broken(r, "a directory has no \"path\", or the first one is not \".\", or another one is not absolute");
    if (json_object_get(o, "max_bytes") && !get_number(o, "max_bytes", &out->max_bytes))
        return broken(r, "\"max_bytes\" is not a number of bytes");
    memcpy(out->path, path, strlen(path) + 1);
    return SM_OK;
}

static sm_err read_dirs(const struct reader *r, const json_t *list, struct sm_spread *s)
{
    const size_t n = json_array_size(list);
    if (n < 1 || n > SM_SPREAD_DIRS_MAX) return broken(r, "\"directories\" is not a list of 1 to 32");
    s->dirs = calloc(n, sizeof *s->dirs);
    if (!s->dirs) return sm_fail(r->ei, SM_E_NOMEM, "out of memory reading %s", r->path);
    for (; s->dirs_n < n; s->dirs_n++) {
        sm_err err = read_dir(r, json_array_get(list, s->dirs_n), s->dirs_n == 0, &s->dirs[s->dirs_n]);
        if (err) return err;
    }
    return SM_OK;
}

static bool read_shares(const json_t *list, size_t n, struct sm_spread_stretch *t)
{
    uint64_t left = t->to - t->from + 1; /* `to` is below 2^63 */
    if (json_array_size(list) != n) return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > left) return false;
        t->share[i] = (uint64_t)json_integer_value(v);
        left -= t->share[i];
    }
    return left == 0;
}

static sm_err read_plan(const struct reader *r, const json_t *list, struct sm_spread *s)
{
    const size_t n = json_array_size(list);
    if (!json_is_array(list) || n > STRETCHES_MAX) return broken(r, "\"plan\" is not a list");
    s->stretches = calloc(n ? n : 1, sizeof *s->stretches);
    if (!s->stretches) return sm_fail(r->ei, SM_E_NOMEM, "out of memory reading %s", r->path);
    for (size_t i = 0; i < n; i++) {
        struct sm_spread_stretch *t = &s->stretches[i];
        const json_t *o = json_array_get(list, i);
        if (!get_number(o, "from", &t->from) || !get_number(o, "to", &t->to) || t->from > t->to ||
            (i && t->from <= t[-1].to) || !read_shares(json_object_get(o, "share"), s->dirs_n, t))
            return broken(r, "an entry of \"plan\" is no ascending range of files with one share per directory");
        s->stretches_n++;
    }
    return SM_OK;
}

static sm_err decode(const struct reader *r, const json_t *root, struct sm_spread *s)
{
    uint64_t version = 0;
    const char *hex = json_string_value(json_object_get(root, "commitment"));
    if (!get_number(root, "version", &version) || version != MANIFEST_VERSION)
        return broken(r, "\"version\" is not 1: it was made by a newer program, or is no list of disks");
    if (!hex || sm_hex_decode(hex, "commitment", s->commitment.b, sizeof s->commitment.b, NULL))
        return broken(r, "\"commitment\" is not 64 hex digits");
    sm_err err = read_dirs(r, json_object_get(root, "directories"), s);
    return err ? err : read_plan(r, json_object_get(root, "plan"), s);
}

sm_err sm_spread_load(const char *main_dir, struct sm_spread *out, struct sm_errinfo *ei)
{
    char path[PATH_MAX], *text = NULL;
    size_t n = 0;
    struct sm_spread s = {0};
    sm_err err = sm_io_path(path, sizeof path, main_dir, SM_SPREAD_FILE, ei);
    if (!err) err = sm_io_read_file(path, MANIFEST_MAX, &text, &n, ei);
    if (err) return err;
    const struct reader r = {path, ei};
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    err = root ? decode(&r, root, &s) : broken(&r, "it is not JSON");
    json_decref(root);
    free(text);
    if (err)
        sm_spread_fini(&s);
    else
        *out = s;
    return err;
}

/* ---- writing ---- */

static json_t *dirs_json(const struct sm_spread *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->dirs_n; i++) {
        json_t *o = json_pack("{s:s}", "path", s->dirs[i].path);
        if (s->dirs[i].max_bytes != SM_SPREAD_UNLIMITED)
            json_object_set_new(o, "max_bytes", json_integer((json_int_t)s->dirs[i].max_bytes));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *plan_json(const struct sm_spread *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->stretches_n; i++) {
        const struct sm_spread_stretch *t = &s->stretches[i];
        json_t *share = json_array();
        for (size_t d = 0; d < s->dirs_n; d++) json_array_append_new(share, json_integer((json_int_t)t->share[d]));
        json_array_append_new(
            list, json_pack("{s:I, s:I, s:o}", "from", (json_int_t)t->from, "to", (json_int_t)t->to, "share", share));
    }
    return list;
}

sm_err sm_spread_save(const char *main_dir, const struct sm_spread *s, struct sm_errinfo *ei)
{
    char path[PATH_MAX], hex[SM_HEX_ROOM(32)];
    sm_err err = sm_io_path(path, sizeof path, main_dir, SM_SPREAD_FILE, ei);
    if (err) return err;
    json_t *root = json_pack("{s:i, s:s, s:o, s:o}", "version", MANIFEST_VERSION, "commitment",
                             sm_hex_encode(s->commitment.b, sizeof s->commitment.b, hex), "directories", dirs_json(s),
                             "plan", plan_json(s));
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    json_decref(root);
    if (!text) return sm_fail(ei, SM_E_IO, "%s: a path in it is not UTF-8, or there is no memory", path);
    err = sm_io_write_atomic(path, text, strlen(text), 0600, ei);
    free(text);
    return err;
}
