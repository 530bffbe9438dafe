#include "rig/config.h"

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
#define WEEK_S         (7u * 86400u)

/* ---- single values ---- */

typedef enum kind {
    KIND_TEXT,
    KIND_PATH,
    KIND_NAME_OR_PATH,
    KIND_U64,
    KIND_SIZE,
    KIND_TIME,
    KIND_FLAG,
    KIND_CORES
} kind;

static const struct key {
    const char *section; /* NULL: top */
    const char *name;
    kind kind;
    size_t offset;
    const char *preset; /* default; NULL: stays empty */
    uint64_t min, max;
    const char *help;
} keys[] = {
#define AT(field) offsetof(struct sm_rig_cfg, field)
    {NULL, "network", KIND_NAME_OR_PATH, AT(network), "mainnet", 0, 0, "network parameters: a preset or a file"},
    {NULL, "state_dir", KIND_PATH, AT(state_dir), NULL, 0, 0, "proofs, checkpoints and finished k2pow are kept here"},
    {NULL, "keep_proofs", KIND_TIME, AT(keep_proofs_s), "42d", 3600, 3650 * (uint64_t)86400,
     "how long finished proofs are kept: 3 epochs"},
    {NULL, "watch_pid", KIND_U64, AT(watch_pid), "0", 0, INT32_MAX, "end when this process has ended; 0 = none"},
    {NULL, "one_shot", KIND_FLAG, AT(one_shot), "no", 0, 0, "end when everything asked for is delivered"},
    {"node", "ca_cert", KIND_PATH, AT(node.ca_cert), NULL, 0, 0,
     "PEM file of the CA that signed the node's certificate"},
    {"node", "cert", KIND_PATH, AT(node.cert), NULL, 0, 0, "PEM file of our certificate"},
    {"node", "key", KIND_PATH, AT(node.key), NULL, 0, 0, "PEM file of our private key"},
    {"node", "server_name", KIND_TEXT, AT(node.server_name), NULL, 0, 0,
     "name in the node's certificate, when it is not the address"},
    {"node", "reconnect_interval", KIND_TIME, AT(node.reconnect_interval_s), "5s", 1, 3600,
     "wait before connecting again"},
    {"node", "max_retries", KIND_U64, AT(node.max_retries), NULL, 0, UINT32_MAX,
     "failed connects in a row before an identity's connection, and the program, gives up; empty = never"},
    {"node", "ping_interval", KIND_TIME, AT(node.ping_interval_s), "600s", 60, 86400,
     "HTTP/2 ping; nodes close connections that ping more often than once a minute"},
    {"data", "depth", KIND_U64, AT(data.depth), "3", 0, 16, "levels below a root that are searched"},
    {"prove", "threads", KIND_U64, AT(prove.threads), "0", 0, 1024, "threads of scan and k2pow; 0 = all processors"},
    {"prove", "cores", KIND_CORES, AT(prove.cores), NULL, 0, 0, "pin one thread to each of these: 0,2,4"},
    {"prove", "nonces", KIND_U64, AT(prove.nonces), "0", 0, SM_NONCES_MAX,
     "nonces tried in one pass, a multiple of 16; 0 = the network's"},
    {"prove", "readers", KIND_U64, AT(prove.readers), "0", 0, 64,
     "reader threads of a pass; 0 = chosen by the program"},
    {"prove", "direct_io", KIND_FLAG, AT(prove.direct_io), "yes", 0, 0, "read around the page cache"},
    {"prove", "randomx", KIND_TEXT, AT(prove.randomx), NULL, 0, 0, "fast (2080 MiB) or light; empty = the network's"},
    {"prove", "large_pages", KIND_FLAG, AT(prove.large_pages), "no", 0, 0, "explicit huge pages for RandomX"},
    {"prove", "dataset_file", KIND_PATH, AT(prove.dataset_file), NULL, 0, 0, "keep the RandomX dataset in this file"},
    {"prove", "checkpoint", KIND_SIZE, AT(prove.checkpoint_bytes), "4GiB", 4096, UINT64_MAX,
     "save a checkpoint after every so many bytes read"},
    {"prove", "scans", KIND_U64, AT(prove.scans_max), "0", 0, 4096, "disk passes at once; 0 = one per disk"},
    {"prove", "window", KIND_TIME, AT(prove.window_s), "12h", 0, 52 * (uint64_t)WEEK_S,
     "time a proof may take from its first request: the cycle gap; 0 = no deadline"},
    {"prove", "aes", KIND_TEXT, AT(prove.aes), NULL, 0, 0, "AES variant; empty = the fastest"},
    {"status", "listen", KIND_TEXT, AT(status.listen), NULL, 0, 0, "HTTP status interface: HOST:PORT; empty = off"},
    {"status", "token_file", KIND_PATH, AT(status.token_file), NULL, 0, 0,
     "file with the bearer token of the interface"},
#undef AT
};
#define KEYS (sizeof keys / sizeof keys[0])

static sm_err set_text(char **at, const char *text, struct sm_errinfo *ei)
{
    char *copy = *text ? strdup(text) : NULL;
    if (*text && !copy) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    free(*at);
    *at = copy;
    return SM_OK;
}

/* A relative path of the file is relative to the file, not to where somebody stood when he started us. */
static sm_err set_path(char **at, const char *text, const char *dir, struct sm_errinfo *ei)
{
    char path[PATH_MAX];
    if (!*text || *text == '/' || !*dir) return set_text(at, text, ei);
    sm_err err = sm_io_path(path, sizeof path, dir, text, ei);
    return err ? err : set_text(at, path, ei);
}

static sm_err set_flag(bool *at, const char *text, const char *what, struct sm_errinfo *ei)
{
    const bool yes = !strcmp(text, "yes") || !strcmp(text, "true"), no = !strcmp(text, "no") || !strcmp(text, "false");
    if (!yes && !no) return sm_fail(ei, SM_E_FORMAT, "%s: '%s' is neither yes nor no", what, text);
    *at = yes;
    return SM_OK;
}

static bool has_core(const unsigned *cores, size_t n, uint64_t core)
{
    for (size_t i = 0; i < n; i++)
        if (cores[i] == core) return true;
    return false;
}

static sm_err set_cores(struct sm_rig_cfg *c, const char *text, const char *what, struct sm_errinfo *ei)
{
    unsigned *cores = calloc(SM_RIG_CORES_MAX, sizeof *cores);
    size_t n = 0;
    sm_err err = cores ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory");
    for (const char *p = text; !err && *p;) {
        char word[16];
        uint64_t v = 0;
        const size_t len = strcspn(p, ",");
        (void)snprintf(word, sizeof word, "%.*s", (int)(len < 15 ? len : 15), p);
        err = sm_value_u64(word, what, 0, 4095, &v, ei);
        if (!err && has_core(cores, n, v)) err = sm_fail(ei, SM_E_FORMAT, "%s: processor %s twice", what, word);
        if (!err && n == SM_RIG_CORES_MAX)
            err = sm_fail(ei, SM_E_FORMAT, "%s: more than %u processors", what, SM_RIG_CORES_MAX);
        if (!err) cores[n++] = (unsigned)v;
        p += len + (p[len] == ',');
    }
    if (err || n == 0) {
        free(cores);
        if (err) return err;
        cores = NULL;
    }
    free(c->prove.cores);
    c->prove.cores = cores;
    c->prove.cores_n = n;
    return SM_OK;
}

static sm_err check_choice(const struct key *k, const char *text, const char *what, struct sm_errinfo *ei)
{
    if (strcmp(k->name, "randomx") != 0 || !*text || !strcmp(text, "fast") || !strcmp(text, "light")) return SM_OK;
    return sm_fail(ei, SM_E_FORMAT, "%s: '%s' is neither light nor fast", what, text);
}

static sm_err set_number(const struct key *k, uint64_t *at, const char *text, const char *what, struct sm_errinfo *ei)
{
    uint64_t v = SM_RIG_NO_LIMIT;
    sm_err err = SM_OK;
    if (!*text && !k->preset) { /* empty: no limit */
    } else if (k->kind == KIND_SIZE) {
        err = sm_value_size(text, what, k->min, k->max, &v, ei);
    } else if (k->kind == KIND_TIME) {
        err = sm_value_duration(text, what, k->min, k->max, &v, ei);
    } else {
        err = sm_value_u64(text, what, k->min, k->max, &v, ei);
    }
    if (!err && !strcmp(k->name, "nonces") && v % SM_NONCES_PER_GROUP)
        err = sm_fail(ei, SM_E_FORMAT, "%s: %s is not a multiple of %u", what, text, SM_NONCES_PER_GROUP);
    if (!err) *at = v;
    return err;
}

static sm_err set_key(struct sm_rig_cfg *c, const struct key *k, const char *text, const char *what, const char *dir,
                      struct sm_errinfo *ei)
{
    void *at = (char *)c + k->offset;
    sm_err err = SM_OK;
    switch (k->kind) {
    case KIND_TEXT:
        err = check_choice(k, text, what, ei);
        return err ? err : set_text(at, text, ei);
    case KIND_PATH:
        return set_path(at, text, dir, ei);
    case KIND_NAME_OR_PATH:
        return strpbrk(text, "/.") ? set_path(at, text, dir, ei) : set_text(at, text, ei);
    case KIND_FLAG:
        return set_flag(at, text, what, ei);
    case KIND_CORES:
        return set_cores(c, text, what, ei);
    case KIND_U64:
    case KIND_SIZE:
    case KIND_TIME:
        return set_number(k, at, text, what, ei);
    }
    return SM_E_STATE;
}

static const char *dotted(const struct key *k, char out[64])
{
    (void)snprintf(out, 64, "%s%s%s", k->section ? k->section : "", k->section ? "." : "", k->name);
    return out;
}

bool sm_rig_cfg_key(size_t index, const char **out_key, const char **out_help)
{
    static _Thread_local char name[64];
    if (index >= KEYS) return false;
    *out_key = dotted(&keys[index], name);
    *out_help = keys[index].help;
    return true;
}

sm_err sm_rig_cfg_set(struct sm_rig_cfg *c, const char *key, const char *value, const char *what, struct sm_errinfo *ei)
{
    struct sm_nearest near = {.word = key};
    char names[KEYS][64];
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(dotted(&keys[i], names[i]), key) == 0) return set_key(c, &keys[i], value, what, "", ei);
        sm_nearest_offer(&near, names[i]);
    }
    return sm_yaml_unknown(what, key, &near, ei);
}

/* ---- life ---- */

void sm_rig_list_clear(struct sm_rig_list *l)
{
    for (size_t i = 0; i < l->n; i++) free(l->v[i]);
    free(l->v);
    *l = (struct sm_rig_list){0};
}

sm_err sm_rig_list_add(struct sm_rig_list *l, const char *text, struct sm_errinfo *ei)
{
    char **v = realloc(l->v, (l->n + 1) * sizeof *v);
    if (v) l->v = v;
    char *copy = v ? strdup(text) : NULL;
    if (!copy) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    l->v[l->n++] = copy;
    return SM_OK;
}

void sm_rig_cfg_init(struct sm_rig_cfg *c)
{
    *c = (struct sm_rig_cfg){.node.max_retries = SM_RIG_NO_LIMIT};
}

static void clear_sets(struct sm_rig_cfg *c)
{
    for (size_t i = 0; i < c->data.sets_n; i++) {
        free(c->data.sets[i].dir);
        free(c->data.sets[i].name);
        free(c->data.sets[i].disk);
    }
    free(c->data.sets);
    c->data.sets = NULL;
    c->data.sets_n = 0;
}

void sm_rig_cfg_fini(struct sm_rig_cfg *c)
{
    for (size_t i = 0; i < KEYS; i++) {
        const kind k = keys[i].kind;
        if (k == KIND_TEXT || k == KIND_PATH || k == KIND_NAME_OR_PATH) free(*(char **)((char *)c + keys[i].offset));
    }
    sm_rig_list_clear(&c->params);
    sm_rig_list_clear(&c->node.addresses);
    sm_rig_list_clear(&c->data.roots);
    clear_sets(c);
    free(c->prove.cores);
    sm_rig_cfg_init(c);
}

sm_err sm_rig_cfg_defaults(struct sm_rig_cfg *c, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    for (size_t i = 0; !err && i < KEYS; i++)
        if (keys[i].preset) err = set_key(c, &keys[i], keys[i].preset, keys[i].name, "", ei);
    return err;
}

static struct sm_rig_set *new_set(struct sm_rig_cfg *c, struct sm_errinfo *ei)
{
    struct sm_rig_set *sets = realloc(c->data.sets, (c->data.sets_n + 1) * sizeof *sets);
    if (!sets) {
        (void)sm_fail(ei, SM_E_NOMEM, "out of memory");
        return NULL;
    }
    c->data.sets = sets;
    sets[c->data.sets_n] = (struct sm_rig_set){0};
    return &sets[c->data.sets_n++];
}

sm_err sm_rig_cfg_add_dir(struct sm_rig_cfg *c, const char *dir, struct sm_errinfo *ei)
{
    struct sm_rig_set *set = new_set(c, ei);
    return set ? set_text(&set->dir, dir, ei) : SM_E_NOMEM;
}

/* ---- YAML ---- */

struct reader {
    struct sm_rig_cfg *c;
    const char *dir;              /* of the file */
    const char *section;          /* being read; NULL: top */
    const struct key *rows[KEYS]; /* of the section's own keys, by row of the YAML table */
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
        if (!err) err = set_path(&path, text, paths ? r->dir : "", ei);
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
    return err ? err : set_key(r->c, r->rows[row], text, what, r->dir, ei);
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
        return set_path(&set->dir, text, r->dir, ei);
    case SET_NAME:
        return set_text(&set->name, text, ei);
    case SET_DISK:
        return set_text(&set->disk, text, ei);
    case SET_NONCES:
        err = sm_value_u64(text, what, SM_NONCES_PER_GROUP, SM_NONCES_MAX, &set->nonces, ei);
        if (!err && set->nonces % SM_NONCES_PER_GROUP)
            err = sm_fail(ei, SM_E_FORMAT, "%s: %s is not a multiple of %u", what, text, SM_NONCES_PER_GROUP);
        return err;
    case SET_WINDOW:
        return sm_value_duration(text, what, 1, 52 * (uint64_t)WEEK_S, &set->window_s, ei);
    case SET_PAUSED:
        return set_flag(&set->paused, text, what, ei);
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
    clear_sets(r->c);
    sm_err err = SM_OK;
    for (const yaml_node_item_t *i = begin; !err && i < end; i++) {
        const yaml_node_t *node = sm_yaml_node(y, *i);
        uint64_t seen = 0;
        r->set = new_set(r->c, ei);
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
    {NULL, "params", read_params},
    {"node", "addresses", read_addresses},
    {"data", "roots", read_roots},
    {"data", "sets", read_sets},
};

static bool same_section(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static sm_err read_section(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *map, const char *what,
                           struct sm_errinfo *ei);
static const char *const sections[] = {"node", "data", "prove", "status"};
#define SECTIONS (sizeof sections / sizeof sections[0])

/* The YAML keys of r->section, single-valued ones first. */
static size_t make_table(struct reader *r, struct sm_yaml_key *out)
{
    size_t n = 0;
    for (size_t i = 0; i < KEYS; i++) {
        if (!same_section(keys[i].section, r->section)) continue;
        r->rows[n] = &keys[i];
        out[n++] = (struct sm_yaml_key){keys[i].name, read_single};
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

/* ---- checks ---- */

sm_err sm_rig_cfg_check(const struct sm_rig_cfg *c, struct sm_errinfo *ei)
{
    const int tls = (c->node.ca_cert != NULL) + (c->node.cert != NULL) + (c->node.key != NULL);
    if (!c->state_dir) return sm_fail(ei, SM_E_FORMAT, "state_dir is not set: finished proofs need a place");
    if (c->node.addresses.n == 0)
        return sm_fail(ei, SM_E_FORMAT, "node.addresses is empty: give the address of a node");
    if (c->data.roots.n == 0 && c->data.sets_n == 0)
        return sm_fail(ei, SM_E_FORMAT, "data.roots and data.sets are empty: say where the data is");
    if (tls != 0 && tls != 3)
        return sm_fail(ei, SM_E_FORMAT, "node.ca_cert, node.cert and node.key belong together: %d of 3 are set", tls);
    if (c->prove.cores && c->prove.threads && c->prove.threads != c->prove.cores_n)
        return sm_fail(ei, SM_E_FORMAT, "prove.threads and prove.cores contradict each other: leave threads out");
    return SM_OK;
}

sm_err sm_rig_cfg_params(const struct sm_rig_cfg *c, struct sm_post_params *out, struct sm_errinfo *ei)
{
    sm_err err = sm_network_load(c->network, out, ei);
    for (size_t i = 0; !err && i < c->params.n; i++) {
        char key[64];
        const char *pair = c->params.v[i], *equals = strchr(pair, '=');
        if (!equals || (size_t)(equals - pair) >= sizeof key)
            return sm_fail(ei, SM_E_FORMAT, "parameter %s: KEY=VALUE is expected, for example k1=12", pair);
        (void)snprintf(key, sizeof key, "%.*s", (int)(equals - pair), pair);
        err = sm_network_set(out, key, equals + 1, "parameter", ei);
    }
    return err ? err : sm_post_params_check(out, ei);
}
