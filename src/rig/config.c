#include "rig/config_impl.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/network.h"
#include "config/value.h"
#include "config/yaml.h"
#include "post/proof.h"
#include "postsvc/client.h"
#include "powsvc/remote.h"
#include "util/io.h"

/* ---- single values ---- */

const struct rig_key sm_rig_keys[] = {
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
    {"node", "share_connection", KIND_FLAG, AT(node.share_connection), "yes", 0, 0,
     "one connection for all identities; no: one for each, which takes more memory and isolates them better"},
    {"data", "depth", KIND_U64, AT(data.depth), "3", 0, 16, "levels below a root that are searched"},
    {"data", "rescan", KIND_TIME, AT(data.rescan_s), "1min", 0, 86400,
     "wait before what could not be served is looked at again; it doubles up to an hour; 0 = never"},
    {"prove", "threads", KIND_U64, AT(prove.threads), "0", 0, 1024, "threads of scan and k2pow; 0 = all processors"},
    {"prove", "cores", KIND_CORES, AT(prove.cores), NULL, 0, 0, "pin one thread to each of these: 0,2,4"},
    {"prove", "nonces", KIND_U64, AT(prove.nonces), "0", 0, SM_NONCES_MAX,
     "nonces tried in one pass, a multiple of 16; 0 = the network's"},
    {"prove", "readers", KIND_U64, AT(prove.readers), "0", 0, 64,
     "reader threads of each disk; 0 = chosen by the program"},
    {"prove", "direct_io", KIND_FLAG, AT(prove.direct_io), "yes", 0, 0, "read around the page cache"},
    {"prove", "randomx", KIND_TEXT, AT(prove.randomx), NULL, 0, 0, "fast (2080 MiB) or light; empty = the network's"},
    {"prove", "large_pages", KIND_FLAG, AT(prove.large_pages), "no", 0, 0, "explicit huge pages for RandomX"},
    {"prove", "dataset_file", KIND_PATH, AT(prove.dataset_file), NULL, 0, 0, "keep the RandomX dataset in this file"},
    {"prove", "checkpoint", KIND_SIZE, AT(prove.checkpoint_bytes), "4GiB", 4096, UINT64_MAX,
     "save a checkpoint after every so many bytes read"},
    {"prove", "scans", KIND_U64, AT(prove.scans_max), "0", 0, 4096, "disk passes at once; 0 = one per disk"},
    {"prove", "window", KIND_TIME, AT(prove.window_s), "12h", 0, 52 * (uint64_t)SM_RIG_WEEK_S,
     "time a proof may take from its first request: the cycle gap; 0 = no deadline"},
    {"prove", "aes", KIND_TEXT, AT(prove.aes), NULL, 0, 0, "AES variant; empty = the fastest"},
    {"prove", "devices", KIND_TEXT, AT(prove.devices), "cpu", 0, 0,
     "OpenCL devices that scan too: ids with commas, or all (every usable GPU); cpu = none"},
    {"prove", "device_only", KIND_FLAG, AT(prove.device_only), "no", 0, 0,
     "the processors scan only when the devices fail"},
    {"k2pow", "token_file", KIND_PATH, AT(k2pow.token_file), NULL, 0, 0, "file with the bearer token of the workers"},
    {"k2pow", "ca_file", KIND_PATH, AT(k2pow.ca_file), NULL, 0, 0, "PEM file of the CA of https workers"},
    {"k2pow", "parallelism", KIND_U64, AT(k2pow.parallelism), "5", 1, 256, "groups asked for at a time"},
    {"k2pow", "backoff", KIND_TIME, AT(k2pow.backoff_s), "5s", 1, 60, "first wait after a worker failed"},
    {"k2pow", "fallback", KIND_TIME, AT(k2pow.fallback_s), "30min", 0, 30 * (uint64_t)86400,
     "no worker at work for so long: the rest is made here; 0 = never"},
    {"status", "listen", KIND_TEXT, AT(status.listen), NULL, 0, 0, "HTTP status interface: HOST:PORT; empty = off"},
    {"status", "token_file", KIND_PATH, AT(status.token_file), NULL, 0, 0,
     "file with the bearer token of the interface"},
#undef AT
};
#define KEYS SM_RIG_KEYS
_Static_assert(sizeof sm_rig_keys / sizeof sm_rig_keys[0] == SM_RIG_KEYS, "number of keys");

sm_err sm_rig_cfg_set_text(char **at, const char *text, struct sm_errinfo *ei)
{
    char *copy = *text ? strdup(text) : NULL;
    if (*text && !copy) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    free(*at);
    *at = copy;
    return SM_OK;
}

/* A relative path of the file is relative to the file, not to where somebody stood when he started us. */
sm_err sm_rig_cfg_set_path(char **at, const char *text, const char *dir, struct sm_errinfo *ei)
{
    char path[PATH_MAX];
    if (!*text || *text == '/' || !*dir) return sm_rig_cfg_set_text(at, text, ei);
    sm_err err = sm_io_path(path, sizeof path, dir, text, ei);
    return err ? err : sm_rig_cfg_set_text(at, path, ei);
}

sm_err sm_rig_cfg_set_flag(bool *at, const char *text, const char *what, struct sm_errinfo *ei)
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

static sm_err check_choice(const struct rig_key *k, const char *text, const char *what, struct sm_errinfo *ei)
{
    if (strcmp(k->name, "randomx") != 0 || !*text || !strcmp(text, "fast") || !strcmp(text, "light")) return SM_OK;
    return sm_fail(ei, SM_E_FORMAT, "%s: '%s' is neither light nor fast", what, text);
}

static sm_err set_number(const struct rig_key *k, uint64_t *at, const char *text, const char *what,
                         struct sm_errinfo *ei)
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

sm_err sm_rig_cfg_set_key(struct sm_rig_cfg *c, const struct rig_key *k, const char *text, const char *what,
                          const char *dir, struct sm_errinfo *ei)
{
    void *at = (char *)c + k->offset;
    sm_err err = SM_OK;
    switch (k->kind) {
    case KIND_TEXT:
        err = check_choice(k, text, what, ei);
        return err ? err : sm_rig_cfg_set_text(at, text, ei);
    case KIND_PATH:
        return sm_rig_cfg_set_path(at, text, dir, ei);
    case KIND_NAME_OR_PATH:
        return strpbrk(text, "/.") ? sm_rig_cfg_set_path(at, text, dir, ei) : sm_rig_cfg_set_text(at, text, ei);
    case KIND_FLAG:
        return sm_rig_cfg_set_flag(at, text, what, ei);
    case KIND_CORES:
        return set_cores(c, text, what, ei);
    case KIND_U64:
    case KIND_SIZE:
    case KIND_TIME:
        return set_number(k, at, text, what, ei);
    }
    return SM_E_STATE;
}

static const char *dotted(const struct rig_key *k, char out[64])
{
    (void)snprintf(out, 64, "%s%s%s", k->section ? k->section : "", k->section ? "." : "", k->name);
    return out;
}

bool sm_rig_cfg_key(size_t index, const char **out_key, const char **out_help)
{
    static _Thread_local char name[64];
    if (index >= KEYS) return false;
    *out_key = dotted(&sm_rig_keys[index], name);
    *out_help = sm_rig_keys[index].help;
    return true;
}

sm_err sm_rig_cfg_set(struct sm_rig_cfg *c, const char *key, const char *value, const char *what, struct sm_errinfo *ei)
{
    struct sm_nearest near = {.word = key};
    char names[KEYS][64];
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(dotted(&sm_rig_keys[i], names[i]), key) == 0)
            return sm_rig_cfg_set_key(c, &sm_rig_keys[i], value, what, "", ei);
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

void sm_rig_cfg_clear_sets(struct sm_rig_cfg *c)
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
        const rig_kind k = sm_rig_keys[i].kind;
        if (k == KIND_TEXT || k == KIND_PATH || k == KIND_NAME_OR_PATH)
            free(*(char **)((char *)c + sm_rig_keys[i].offset));
    }
    sm_rig_list_clear(&c->params);
    sm_rig_list_clear(&c->node.addresses);
    sm_rig_list_clear(&c->data.roots);
    sm_rig_list_clear(&c->k2pow.urls);
    sm_rig_cfg_clear_sets(c);
    free(c->prove.cores);
    sm_rig_cfg_init(c);
}

sm_err sm_rig_cfg_defaults(struct sm_rig_cfg *c, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    for (size_t i = 0; !err && i < KEYS; i++)
        if (sm_rig_keys[i].preset)
            err = sm_rig_cfg_set_key(c, &sm_rig_keys[i], sm_rig_keys[i].preset, sm_rig_keys[i].name, "", ei);
    return err;
}

struct sm_rig_set *sm_rig_cfg_new_set(struct sm_rig_cfg *c, struct sm_errinfo *ei)
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
    struct sm_rig_set *set = sm_rig_cfg_new_set(c, ei);
    return set ? sm_rig_cfg_set_text(&set->dir, dir, ei) : SM_E_NOMEM;
}

/* ---- checks ---- */

/* Without its token, which is a file. */
static sm_err check_k2pow(const struct sm_rig_cfg *c, struct sm_errinfo *ei)
{
    const struct sm_pow_remote_cfg remote = {.urls = (const char *const *)c->k2pow.urls.v, .urls_n = c->k2pow.urls.n};
    struct sm_pow_remote *r = NULL;
    sm_err err = c->k2pow.urls.n ? sm_pow_remote_new(&remote, &r, ei) : SM_OK;
    sm_pow_remote_free(r);
    return err;
}

static sm_err check_addresses(const struct sm_rig_cfg *c, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    if (c->node.addresses.n > SM_POST_ADDRESSES_MAX)
        return sm_fail(ei, SM_E_FORMAT, "%zu node addresses: at most %u", c->node.addresses.n, SM_POST_ADDRESSES_MAX);
    for (size_t i = 0; !err && i < c->node.addresses.n; i++) {
        struct sm_rpc_address a;
        err = sm_rpc_address_parse(c->node.addresses.v[i], &a, ei);
        if (!err) err = sm_rpc_address_check_tls(&a, c->node.ca_cert != NULL, ei);
    }
    if (!err) err = check_k2pow(c, ei);
    return err == SM_E_ARG ? SM_E_FORMAT : err;
}

/* Orders go by name. */
static sm_err check_names(const struct sm_rig_cfg *c, struct sm_errinfo *ei)
{
    for (size_t i = 0; i < c->data.sets_n; i++) {
        const char *name = c->data.sets[i].name;
        if (!name) continue;
        if (strcmp(name, "all") == 0) return sm_fail(ei, SM_E_FORMAT, "a data set cannot be called all");
        for (size_t k = 0; k < i; k++)
            if (c->data.sets[k].name && strcmp(name, c->data.sets[k].name) == 0)
                return sm_fail(ei, SM_E_FORMAT, "two data sets are called %s: %s and %s", name, c->data.sets[k].dir,
                               c->data.sets[i].dir);
    }
    return SM_OK;
}

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
    sm_err err = check_names(c, ei);
    return err ? err : check_addresses(c, ei);
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
