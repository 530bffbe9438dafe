#include "rig/config_impl.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/network.h"
#include "config/value.h"
#include "config/yaml.h"
#include "post/proof.h"
#include "util/io.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)
#define KEYS           SM_RIG_KEYS

struct reader {
    struct sm_rig_cfg *c;
    const char *dir;                  /* of the file */
    const char *section;              /* being read; NULL: top */
    const struct rig_key *rows[KEYS]; /* of the section's own keys, by row of the YAML table */
    struct sm_rig_set *set;
};

static sm_err read_list(struct reader *r, struct sm_yaml *y, const yaml_node_t *value, const char *what, bool paths,
                        struct sm_rig_list *out, struct sm_errinfo *ei)
{
    if (value->type != YAML_SEQUENCE_NODE) return sm_yaml_fail(y, value, ei, "a list is expected for %s", what);
    const yaml_node_item_t *begin = value->data.sequence.items.start, *end = value->data.sequence.items.top;
    if (end - begin > (ptrdiff_t)SM_RIG_LIST_MAX)
        return sm_yaml_fail(y, value, ei, "more than %u entries in %s", SM_RIG_LIST_MAX, what);
    sm_rig_list_clear(out);
    sm_err err = SM_OK;
    for (const yaml_node_item_t *i = begin; !err && i < end; i++) {
        const yaml_node_t *node = sm_yaml_node(y, *i);
        const char *text = NULL;
        char *path = NULL;
        err = sm_yaml_value(y, node, what, &text, ei);
        if (!err && !*text) err = sm_yaml_fail(y, node, ei, "an empty entry in %s", what);
        if (!err) err = sm_rig_cfg_set_path(&path, text, paths ? r->dir : "", ei);
        if (!err) err = sm_rig_list_add(out, path, ei);
        free(path);
    }
    return err;
}

static sm_err read_single(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                          struct sm_errinfo *ei)
{
    struct reader *r = ctx;
    const char *text = NULL;
    sm_err err = sm_yaml_value(y, value, r->rows[row]->name, &text, ei);
    return err ? err : sm_rig_cfg_set_key(r->c, r->rows[row], text, what, r->dir, ei);
}

static sm_err read_addresses(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                             struct sm_errinfo *ei)
{
    (void)row, (void)what;
    struct reader *r = ctx;
    return read_list(r, y, value, "addresses", false, &r->c->node.addresses, ei);
}

static sm_err read_roots(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                         struct sm_errinfo *ei)
{
    (void)row, (void)what;
    struct reader *r = ctx;
    return read_list(r, y, value, "roots", true, &r->c->data.roots, ei);
}

static sm_err read_urls(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                        struct sm_errinfo *ei)
{
    (void)row, (void)what;
    struct reader *r = ctx;
    return read_list(r, y, value, "urls", false, &r->c->k2pow.urls, ei);
}

/* params: {k1: 12, …}: kept as text, so that the network's reader judges them. */
static sm_err read_params(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                          struct sm_errinfo *ei)
{
    (void)row, (void)what;
    struct reader *r = ctx;
    if (value->type != YAML_MAPPING_NODE) return sm_yaml_fail(y, value, ei, "keys and values are expected for params");
    sm_rig_list_clear(&r->c->params);
    sm_err err = SM_OK;
    for (yaml_node_pair_t *i = value->data.mapping.pairs.start; !err && i < value->data.mapping.pairs.top; i++) {
        const yaml_node_t *key = sm_yaml_node(y, i->key);
        const char *name = NULL, *text = NULL;
        char pair[256];
        struct sm_post_params ignored = {0};
        struct sm_errinfo inner = {0};
        err = sm_yaml_value(y, key, "a parameter", &name, ei);
        if (!err) err = sm_yaml_value(y, sm_yaml_node(y, i->value), name, &text, ei);
        if (!err && sm_network_set(&ignored, name, text, "params", &inner))
            err = sm_yaml_fail(y, key, ei, "%s", inner.text);
        if (!err && (size_t)snprintf(pair, sizeof pair, "%s=%s", name, text) >= sizeof pair)
            err = sm_yaml_fail(y, key, ei, "the value is too long");
        if (!err) err = sm_rig_list_add(&r->c->params, pair, ei);
    }
    return err;
}

/* ---- data.sets ---- */

typedef enum set_row { SET_DIR, SET_NAME, SET_DISK, SET_NONCES, SET_WINDOW, SET_PAUSED } set_row;

static sm_err check_name(struct sm_yaml *y, const yaml_node_t *value, const char *text, struct sm_errinfo *ei)
{
    if (!*text || strlen(text) >= SM_RIG_NAME_ROOM)
        return sm_yaml_fail(y, value, ei, "a name or disk has 1 to %u characters", SM_RIG_NAME_ROOM - 1);
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == '"' || *p == 0x7f)
            return sm_yaml_fail(y, value, ei, "a name or disk holds no quotes and no control characters");
    return SM_OK;
}

static sm_err read_set_key(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                           struct sm_errinfo *ei)
{
    struct reader *r = ctx;
    struct sm_rig_set *set = r->set;
    const char *text = NULL;
    sm_err err = sm_yaml_value(y, value, "a key of a set", &text, ei);
    if (!err && (row == SET_NAME || row == SET_DISK)) err = check_name(y, value, text, ei);
    if (err) return err;
    switch ((set_row)row) {
    case SET_DIR:
        return sm_rig_cfg_set_path(&set->dir, text, r->dir, ei);
    case SET_NAME:
        return sm_rig_cfg_set_text(&set->name, text, ei);
    case SET_DISK:
        return sm_rig_cfg_set_text(&set->disk, text, ei);
    case SET_NONCES:
        err = sm_value_u64(text, what, SM_NONCES_PER_GROUP, SM_NONCES_MAX, &set->nonces, ei);
        if (!err && set->nonces % SM_NONCES_PER_GROUP)
            err = sm_fail(ei, SM_E_FORMAT, "%s: %s is not a multiple of %u", what, text, SM_NONCES_PER_GROUP);
        return err;
    case SET_WINDOW:
        return sm_value_duration(text, what, 1, 52 * (uint64_t)SM_RIG_WEEK_S, &set->window_s, ei);
    case SET_PAUSED:
        return sm_rig_cfg_set_flag(&set->paused, text, what, ei);
    }
    return SM_E_STATE;
}

static sm_err read_sets(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                        struct sm_errinfo *ei)
{
    (void)row, (void)what;
    static const struct sm_yaml_key table[] = {
        [SET_DIR] = {"dir", read_set_key},       [SET_NAME] = {"name", read_set_key},
        [SET_DISK] = {"disk", read_set_key},     [SET_NONCES] = {"nonces", read_set_key},
        [SET_WINDOW] = {"window", read_set_key}, [SET_PAUSED] = {"paused", read_set_key},
    };
    struct reader *r = ctx;
    if (value->type != YAML_SEQUENCE_NODE) return sm_yaml_fail(y, value, ei, "a list is expected for sets");
    const yaml_node_item_t *begin = value->data.sequence.items.start, *end = value->data.sequence.items.top;
    if (end - begin > (ptrdiff_t)SM_RIG_LIST_MAX)
        return sm_yaml_fail(y, value, ei, "more than %u entries in sets", SM_RIG_LIST_MAX);
    sm_rig_cfg_clear_sets(r->c);
    sm_err err = SM_OK;
    for (const yaml_node_item_t *i = begin; !err && i < end; i++) {
        const yaml_node_t *node = sm_yaml_node(y, *i);
        uint64_t seen = 0;
        r->set = sm_rig_cfg_new_set(r->c, ei);
        if (!r->set) return SM_E_NOMEM;
        err = sm_yaml_map(y, node, table, sizeof table / sizeof table[0], r, &seen, ei);
        if (!err && (!r->set->dir || !*r->set->dir)) err = sm_yaml_fail(y, node, ei, "a set needs a dir");
    }
    return err;
}

/* ---- the whole ---- */

static const struct {
    const char *section, *name;
    sm_err (*read)(void *, struct sm_yaml *, size_t, const yaml_node_t *, const char *, struct sm_errinfo *);
} lists[] = {
    {NULL, "params", read_params}, {"node", "addresses", read_addresses}, {"data", "roots", read_roots},
    {"data", "sets", read_sets},   {"k2pow", "urls", read_urls},
};

static bool same_section(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static sm_err read_section(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *map, const char *what,
                           struct sm_errinfo *ei);
static const char *const sections[] = {"node", "data", "prove", "k2pow", "status"};
#define SECTIONS (sizeof sections / sizeof sections[0])

/* The YAML keys of r->section, single-valued ones first. */
static size_t make_table(struct reader *r, struct sm_yaml_key *out)
{
    size_t n = 0;
    for (size_t i = 0; i < KEYS; i++) {
        if (!same_section(sm_rig_keys[i].section, r->section)) continue;
        r->rows[n] = &sm_rig_keys[i];
        out[n++] = (struct sm_yaml_key){sm_rig_keys[i].name, read_single};
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (same_section(lists[i].section, r->section)) out[n++] = (struct sm_yaml_key){lists[i].name, lists[i].read};
    for (size_t i = 0; !r->section && i < SECTIONS; i++) out[n++] = (struct sm_yaml_key){sections[i], read_section};
    return n;
}

static sm_err read_map(struct reader *r, struct sm_yaml *y, const yaml_node_t *map, struct sm_errinfo *ei)
{
    struct sm_yaml_key table[KEYS + SECTIONS + sizeof lists / sizeof lists[0]];
    uint64_t seen = 0;
    const size_t n = make_table(r, table);
    return sm_yaml_map(y, map, table, n, r, &seen, ei);
}

static sm_err read_section(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *map, const char *what,
                           struct sm_errinfo *ei)
{
    (void)row;
    const struct reader *top = ctx;
    const char *name = strrchr(what, ' ') + 1; /* "FILE:LINE: NAME" */
    struct reader r = {.c = top->c, .dir = top->dir};
    for (size_t i = 0; i < SECTIONS; i++)
        if (strcmp(sections[i], name) == 0) r.section = sections[i];
    return read_map(&r, y, map, ei);
}

sm_err sm_rig_cfg_parse(struct sm_rig_cfg *c, const char *yaml, size_t n, const char *where, const char *dir,
                        struct sm_errinfo *ei)
{
    struct sm_yaml y;
    struct reader r = {.c = c, .dir = dir};
    sm_err err = sm_yaml_parse(&y, yaml, n, where, ei);
    if (err) return err;
    err = read_map(&r, &y, sm_yaml_root(&y), ei);
    sm_yaml_fini(&y);
    return err;
}

sm_err sm_rig_cfg_load(struct sm_rig_cfg *c, const char *path, struct sm_errinfo *ei)
{
    char *text = NULL, dir[PATH_MAX];
    size_t n = 0;
    if ((size_t)snprintf(dir, sizeof dir, "%s", path) >= sizeof dir)
        return sm_fail(ei, SM_E_ARG, "path too long: %s", path);
    char *slash = strrchr(dir, '/');
    if (slash) slash[slash == dir] = '\0';
    sm_err err = sm_io_read_file(path, FILE_MAX_BYTES, &text, &n, ei);
    if (!err) err = sm_rig_cfg_parse(c, text, n, path, slash ? dir : "", ei);
    free(text);
    return err;
}
