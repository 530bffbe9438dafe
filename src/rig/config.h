/* rig/config.h: what one machine's daemon is told: nodes, data, limits. From a YAML file and flags.
 *
 *   network: mainnet             # preset or FILE
 *   state_dir: /var/lib/smesher/rig
 *   node:  {addresses: [https://node:9094], ca_cert: …}
 *   data:  {roots: ["/mnt/disk*"], sets: [{dir: /mnt/a/post, name: alpha, disk: shelf-1}]}
 *   prove: {nonces: 288, randomx: fast}
 *
 * Strict as config/yaml.h. Every single-valued key can also be set by text under its dotted name ("prove.nonces"): that
 * is what flags do. configs/rig.yaml shows all keys with their defaults. */
#ifndef SM_RIG_CONFIG_H
#define SM_RIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/params.h"
#include "util/err.h"

#define SM_RIG_NAME_ROOM 64u
#define SM_RIG_LIST_MAX  4096u /* entries of a list in the file; ours */
#define SM_RIG_CORES_MAX 1024u
#define SM_RIG_NO_LIMIT  UINT64_MAX

struct sm_rig_list {
    char **v; /* owned */
    size_t n;
};

/* What the file says about one directory. */
struct sm_rig_set {
    char *dir, *name, *disk; /* name, disk: NULL = found out */
    uint64_t nonces;         /* 0 = prove.nonces */
    uint64_t window_s;       /* 0 = prove.window */
    bool paused;             /* until resumed over the status interface */
};

struct sm_rig_cfg {
    char *network;
    struct sm_rig_list params; /* "k1=12": replaced parameters */
    char *state_dir;           /* required */
    struct {
        struct sm_rig_list addresses; /* in order of preference; at least one */
        char *ca_cert, *cert, *key, *server_name;
        uint64_t reconnect_interval_s;
        uint64_t max_retries; /* failed connects in a row; SM_RIG_NO_LIMIT */
        uint64_t ping_interval_s;
        bool share_connection; /* by all identities */
    } node;
    struct {
        struct sm_rig_list roots; /* directories or glob patterns to search for data sets */
        uint64_t depth;           /* levels below a root */
        uint64_t rescan_s;        /* until what could not be served is looked at again, first; 0 = never */
        struct sm_rig_set *sets;
        size_t sets_n;
    } data;
    struct {
        uint64_t threads; /* 0 = all */
        unsigned *cores;  /* pinning; NULL = none; then threads == cores_n */
        size_t cores_n;
        uint64_t nonces;  /* 0 = the network's */
        uint64_t readers; /* 0 = default */
        bool direct_io;
        char *randomx; /* "fast", "light"; NULL = the network's */
        bool large_pages;
        char *dataset_file;
        uint64_t checkpoint_bytes;
        uint64_t scans_max; /* disk passes at once; 0 = one per disk */
        uint64_t window_s;  /* from the first request to the deadline; 0 = unknown */
        char *aes;
        char *devices; /* OpenCL devices that scan too: "cpu" (none), "all", ids with commas */
        bool device_only;
    } prove;
    struct {
        struct sm_rig_list urls; /* of k2pow workers; none: k2pow is made here */
        char *token_file, *ca_file;
        uint64_t parallelism; /* groups asked for at a time */
        uint64_t backoff_s;   /* first wait after a failure */
        uint64_t fallback_s;  /* no result for so long: the rest is made here; 0 = never */
    } k2pow;
    struct {
        char *listen; /* "127.0.0.1:9090"; NULL = off */
        char *token_file;
    } status;
    uint64_t keep_proofs_s;
    uint64_t watch_pid; /* 0 = none */
    bool one_shot;
};

void sm_rig_cfg_init(struct sm_rig_cfg *c); /* zero; defaults are set by load and set */
void sm_rig_cfg_fini(struct sm_rig_cfg *c);

/* The defaults of all keys. SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_rig_cfg_defaults(struct sm_rig_cfg *c, struct sm_errinfo *ei);
/* Reads the file over what `c` holds; relative paths in it are relative to the file's directory. SM_E_FORMAT with file and
 * line, SM_E_NOTFOUND. `c` must be finished by the caller also on failure. */
SM_MUST_CHECK sm_err sm_rig_cfg_load(struct sm_rig_cfg *c, const char *path, struct sm_errinfo *ei);
/* YAML text; `where` names it in errors, `dir` is where relative paths start ("" keeps them). */
SM_MUST_CHECK sm_err sm_rig_cfg_parse(struct sm_rig_cfg *c, const char *yaml, size_t n, const char *where,
                                      const char *dir, struct sm_errinfo *ei);

/* One value by key ("prove.nonces"); `what` names the source in errors ("--nonces"). */
SM_MUST_CHECK sm_err sm_rig_cfg_set(struct sm_rig_cfg *c, const char *key, const char *value, const char *what,
                                    struct sm_errinfo *ei);
/* Appends. */
SM_MUST_CHECK sm_err sm_rig_list_add(struct sm_rig_list *l, const char *text, struct sm_errinfo *ei);
void sm_rig_list_clear(struct sm_rig_list *l);
SM_MUST_CHECK sm_err sm_rig_cfg_add_dir(struct sm_rig_cfg *c, const char *dir, struct sm_errinfo *ei);

/* What must hold of the whole: something to prove, somewhere to keep it, addresses that are some, all TLS files or none.
 * Opens no file. SM_E_FORMAT. */
SM_MUST_CHECK sm_err sm_rig_cfg_check(const struct sm_rig_cfg *c, struct sm_errinfo *ei);
/* The network's parameters with the replaced ones, checked. */
SM_MUST_CHECK sm_err sm_rig_cfg_params(const struct sm_rig_cfg *c, struct sm_post_params *out, struct sm_errinfo *ei);

/* The single-valued keys, for --help and the test of configs/rig.yaml: dotted name and help; false at the end. */
bool sm_rig_cfg_key(size_t index, const char **out_key, const char **out_help);

#endif
