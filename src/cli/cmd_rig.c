#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "rig/daemon.h"
#include "rig/discover.h"
#include "util/log.h"

/* Options that stand for one key of the configuration. They are texts: the file's reader judges them, so that a value
 * means the same wherever it stands. */
enum {
    NETWORK,
    STATE_DIR,
    CA_CERT,
    CERT,
    KEY,
    DOMAIN,
    RECONNECT,
    MAX_RETRIES,
    PING,
    DEPTH,
    RESCAN,
    THREADS,
    CORES,
    NONCES,
    READERS,
    RANDOMX,
    DATASET_FILE,
    CHECKPOINT,
    SCANS,
    WINDOW,
    AES,
    DEVICES,
    K2POW_PARALLELISM,
    K2POW_BACKOFF,
    K2POW_FALLBACK,
    K2POW_TOKEN,
    K2POW_CA,
    STATUS,
    TOKEN_FILE,
    KEEP,
    WATCH_PID,
    SINGLES
};

struct args {
    const char *config;
    struct sm_text_list address, dir, root, k2pow, param, set;
    const char *single[SINGLES];
    bool one_shot, large_pages, device_only, no_direct_io, no_share_connection, check;
};

#define SINGLE(row, opt, meta, ...) SM_OPT_TEXT(struct args, single[row], opt, NULL, meta, __VA_ARGS__)

static const struct sm_option options[] = {
    SM_OPT_TEXT(struct args, config, "config", NULL, "FILE", "configuration in YAML; options win over it"),
    SM_OPT_LIST(struct args, address, "address", NULL, "URI",
                "node: host:port, or a URI of http or https; repeated: the first that answers"),
    SM_OPT_LIST(struct args, dir, "dir", NULL, "DIR", "a data set; may be repeated"),
    SM_OPT_LIST(struct args, root, "root", NULL, "DIR|PATTERN", "search for data sets below it; may be repeated"),
    SINGLE(DEPTH, "depth", "N", "levels below a root that are searched", .default_note = "3"),
    SINGLE(RESCAN, "rescan", "TIME",
           "wait before what could not be served is looked at again; it doubles up to an hour; 0 = never",
           .default_note = "1min"),
    SINGLE(STATE_DIR, "state-dir", "DIR", "where proofs, checkpoints and finished k2pow are kept"),
    SINGLE(NETWORK, "network", "NAME|FILE", "network parameters: a preset or a YAML file", .default_note = "mainnet",
           .env = "SM_NETWORK"),
    SM_OPT_LIST(struct args, param, "param", NULL, "KEY=VALUE", "replace one network parameter; may be repeated"),
    SINGLE(CA_CERT, "ca-cert", "FILE", "PEM file of the CA that signed the node's certificate"),
    SINGLE(CERT, "cert", "FILE", "PEM file of our certificate"),
    SINGLE(KEY, "key", "FILE", "PEM file of our private key"),
    SINGLE(DOMAIN, "domain", "NAME", "name in the node's certificate", .default_note = "the address's host"),
    SINGLE(RECONNECT, "reconnect-interval", "TIME", "wait before connecting again", .default_note = "5s"),
    SINGLE(MAX_RETRIES, "max-retries", "N", "end after so many failed connects in a row", .default_note = "never"),
    SINGLE(PING, "ping-interval", "TIME", "HTTP/2 ping, at least 60s", .default_note = "600s"),
    SM_OPT_FLAG(struct args, no_share_connection, "no-share-connection", "a connection to the node for each identity"),
    SINGLE(THREADS, "threads", "N", "threads of scan and k2pow; 0 = one per processor", .default_note = "0"),
    SINGLE(CORES, "cores", "LIST", "pin one thread to each of these processors, for example 0,2,4"),
    SINGLE(NONCES, "nonces", "N", "nonces tried in one pass, a multiple of 16", .default_note = "the network's"),
    SINGLE(READERS, "readers", "N", "reader threads of a pass", .default_note = "chosen by the program"),
    SM_OPT_FLAG(struct args, no_direct_io, "no-direct-io", "read through the page cache"),
    SINGLE(RANDOMX, "randomx", "MODE", "fast (2080 MiB) or light", .default_note = "the network's"),
    SM_OPT_FLAG(struct args, large_pages, "large-pages", "back RandomX by explicit huge pages"),
    SINGLE(DATASET_FILE, "dataset-file", "FILE", "keep the RandomX dataset in this file"),
    SINGLE(CHECKPOINT, "checkpoint", "SIZE", "save a checkpoint after every so many bytes read",
           .default_note = "4GiB"),
    SINGLE(SCANS, "scans", "N", "disk passes at once; 0 = one per disk", .default_note = "0"),
    SINGLE(WINDOW, "proving-window", "TIME", "from the first request to the deadline; 0 = none", .default_note = "12h"),
    SINGLE(AES, "aes", "NAME", "AES variant", .default_note = "the fastest", .env = "SM_AES_ISA"),
    SINGLE(DEVICES, "device", "ID", "OpenCL devices that scan too, ids with commas, or all", .default_note = "cpu"),
    SM_OPT_FLAG(struct args, device_only, "device-only", "the processors scan only when the devices fail"),
    SM_OPT_LIST(struct args, k2pow, "remote-k2pow", NULL, "URL", "k2pow worker on another machine; may be repeated",
                .default_note = "k2pow is made here"),
    SINGLE(K2POW_PARALLELISM, "remote-k2pow-parallelism", "N", "groups asked for at a time", .default_note = "5"),
    SINGLE(K2POW_BACKOFF, "remote-k2pow-backoff", "TIME", "first wait after a worker failed", .default_note = "5s"),
    SINGLE(K2POW_FALLBACK, "remote-k2pow-fallback", "TIME",
           "no worker at work for so long: the rest is made here; 0 = never", .default_note = "30min"),
    SINGLE(K2POW_TOKEN, "remote-k2pow-token-file", "FILE", "bearer token of the workers"),
    SINGLE(K2POW_CA, "remote-k2pow-ca", "FILE", "PEM file of the CA of https workers"),
    SINGLE(STATUS, "operator-address", "HOST:PORT", "HTTP status interface", .default_note = "off"),
    SINGLE(TOKEN_FILE, "operator-token-file", "FILE", "bearer token of the interface"),
    SINGLE(KEEP, "keep-proofs", "TIME", "how long finished proofs are kept", .default_note = "42d"),
    SINGLE(WATCH_PID, "watch-pid", "PID", "end when this process has ended"),
    SM_OPT_FLAG(struct args, one_shot, "one-shot", "end when everything that was asked for is delivered"),
    SM_OPT_LIST(struct args, set, "set", NULL, "KEY=VALUE", "any single-valued key of the file; may be repeated"),
    SM_OPT_FLAG(struct args, check, "check", "read the configuration, say whether it is right, and end"),
    SM_OPT_END,
};

static const struct {
    const char *key, *option;
} keys[SINGLES] = {
    [NETWORK] = {"network", "--network"},
    [STATE_DIR] = {"state_dir", "--state-dir"},
    [CA_CERT] = {"node.ca_cert", "--ca-cert"},
    [CERT] = {"node.cert", "--cert"},
    [KEY] = {"node.key", "--key"},
    [DOMAIN] = {"node.server_name", "--domain"},
    [RECONNECT] = {"node.reconnect_interval", "--reconnect-interval"},
    [MAX_RETRIES] = {"node.max_retries", "--max-retries"},
    [PING] = {"node.ping_interval", "--ping-interval"},
    [DEPTH] = {"data.depth", "--depth"},
    [RESCAN] = {"data.rescan", "--rescan"},
    [THREADS] = {"prove.threads", "--threads"},
    [CORES] = {"prove.cores", "--cores"},
    [NONCES] = {"prove.nonces", "--nonces"},
    [READERS] = {"prove.readers", "--readers"},
    [RANDOMX] = {"prove.randomx", "--randomx"},
    [DATASET_FILE] = {"prove.dataset_file", "--dataset-file"},
    [CHECKPOINT] = {"prove.checkpoint", "--checkpoint"},
    [SCANS] = {"prove.scans", "--scans"},
    [WINDOW] = {"prove.window", "--proving-window"},
    [AES] = {"prove.aes", "--aes"},
    [DEVICES] = {"prove.devices", "--device"},
    [K2POW_PARALLELISM] = {"k2pow.parallelism", "--remote-k2pow-parallelism"},
    [K2POW_BACKOFF] = {"k2pow.backoff", "--remote-k2pow-backoff"},
    [K2POW_FALLBACK] = {"k2pow.fallback", "--remote-k2pow-fallback"},
    [K2POW_TOKEN] = {"k2pow.token_file", "--remote-k2pow-token-file"},
    [K2POW_CA] = {"k2pow.ca_file", "--remote-k2pow-ca"},
    [STATUS] = {"status.listen", "--operator-address"},
    [TOKEN_FILE] = {"status.token_file", "--operator-token-file"},
    [KEEP] = {"keep_proofs", "--keep-proofs"},
    [WATCH_PID] = {"watch_pid", "--watch-pid"},
};

/* ---- the configuration ---- */

/* What was given on the command line replaces the file's list, as a single value replaces the file's. */
static sm_err replace(struct sm_rig_list *to, const struct sm_text_list *from, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    if (from->n) sm_rig_list_clear(to);
    for (size_t i = 0; !err && i < from->n; i++) err = sm_rig_list_add(to, from->v[i], ei);
    return err;
}

static sm_err apply_set(struct sm_rig_cfg *c, const char *pair, struct sm_errinfo *ei)
{
    char key[64], what[96];
    const char *equals = strchr(pair, '=');
    if (!equals || (size_t)(equals - pair) >= sizeof key)
        return sm_fail(ei, SM_E_FORMAT, "--set %s: KEY=VALUE is expected, for example prove.scans=2", pair);
    (void)snprintf(key, sizeof key, "%.*s", (int)(equals - pair), pair);
    (void)snprintf(what, sizeof what, "--set %s", key);
    return sm_rig_cfg_set(c, key, equals + 1, what, ei);
}

static sm_err apply_options(struct sm_rig_cfg *c, const struct args *a, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    for (size_t i = 0; !err && i < SINGLES; i++)
        if (a->single[i]) err = sm_rig_cfg_set(c, keys[i].key, a->single[i], keys[i].option, ei);
    for (size_t i = 0; !err && i < a->set.n; i++) err = apply_set(c, a->set.v[i], ei);
    if (!err) err = replace(&c->node.addresses, &a->address, ei);
    if (!err) err = replace(&c->data.roots, &a->root, ei);
    if (!err) err = replace(&c->k2pow.urls, &a->k2pow, ei);
    for (size_t i = 0; !err && i < a->dir.n; i++) err = sm_rig_cfg_add_dir(c, a->dir.v[i], ei);
    for (size_t i = 0; !err && i < a->param.n; i++) err = sm_rig_list_add(&c->params, a->param.v[i], ei);
    if (a->one_shot) c->one_shot = true;
    if (a->large_pages) c->prove.large_pages = true;
    if (a->device_only) c->prove.device_only = true;
    if (a->no_direct_io) c->prove.direct_io = false;
    if (a->no_share_connection) c->node.share_connection = false;
    return err;
}

/* Called again for SIGHUP: the options stay, the file may have changed. */
static sm_err load(void *ctx, struct sm_rig_cfg *out, struct sm_errinfo *ei)
{
    const struct args *a = ctx;
    sm_err err = sm_rig_cfg_defaults(out, ei);
    if (!err && a->config) err = sm_rig_cfg_load(out, a->config, ei);
    if (!err) err = apply_options(out, a, ei);
    if (!err) err = sm_rig_cfg_check(out, ei);
    return err == SM_E_NOTFOUND ? SM_E_FORMAT : err; /* a file that is not there: the configuration is wrong */
}

/* ---- --check: what would be served ---- */

static json_t *found_json(const struct sm_rig_found *f)
{
    json_t *sets = json_array(), *skipped = json_array();
    for (size_t i = 0; i < f->sets_n; i++) {
        const struct sm_rig_dataset *d = &f->sets[i];
        json_t *o = json_pack("{s:s, s:s, s:o}", "identity", d->name, "dir", d->dir, "node_id",
                              sm_cli_json_hex(d->node_id.b, 32));
        json_object_set_new(o, "num_units", sm_cli_json_u64(d->num_units));
        json_array_append_new(sets, o);
    }
    for (size_t i = 0; i < f->skipped_n; i++)
        json_array_append_new(skipped, json_pack("{s:s, s:s}", "dir", f->skipped[i].dir, "why", f->skipped[i].why));
    return json_pack("{s:o, s:o}", "data_sets", sets, "skipped", skipped);
}

static void say_found(struct sm_cli *cli, const struct sm_rig_found *f)
{
    for (size_t i = 0; i < f->sets_n; i++)
        sm_cli_say(cli, "served   %s: %s, %" PRIu32 " units", f->sets[i].name, f->sets[i].dir, f->sets[i].num_units);
    for (size_t i = 0; i < f->skipped_n; i++) sm_cli_say(cli, "skipped  %s: %s", f->skipped[i].dir, f->skipped[i].why);
    if (f->sets_n + f->skipped_n == 0) sm_cli_say(cli, "no data set was found");
    sm_cli_say(cli, "the configuration is right");
}

static sm_err check(struct sm_cli *cli, const struct args *a, struct sm_errinfo *ei)
{
    struct sm_rig_cfg cfg;
    struct sm_post_params params;
    struct sm_rig_found found = {0};
    struct args copy = *a;
    sm_rig_cfg_init(&cfg);
    sm_err err = load(&copy, &cfg, ei);
    if (!err) err = sm_rig_cfg_params(&cfg, &params, ei);
    if (!err) err = sm_rig_discover(&cfg, &params, &sm_disk_tables_linux, cli->cancel, &found, ei);
    if (!err) {
        say_found(cli, &found);
        sm_cli_json(cli, found_json(&found));
    }
    sm_rig_found_fini(&found);
    sm_rig_cfg_fini(&cfg);
    return err;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    const struct sm_rig_daemon_cfg cfg = {.load = load, .ctx = args_of_command, .cancel = cli->cancel};
    const sm_err err = a->check ? check(cli, a, &ei) : sm_rig_daemon_run(&cfg, &ei);
    if (err) return sm_cli_error(cli, err, &ei);
    if (!a->check) sm_cli_json(cli, json_object());
    return SM_EXIT_DONE;
}

const struct sm_command sm_cmd_rig = {
    .name = "rig",
    .summary = "serve proofs over all data sets of this machine to a node",
    .details =
        "One daemon for any number of data sets, in place of one post-service per data set. It finds the data, "
        "registers every identity with the node, and proves what the node asks for: one pass per disk at a time, the "
        "k2pow of "
        "one identity while the data of another is read, the nearest deadline first. A finished proof is verified and "
        "on "
        "disk before it is offered, and is offered again as often as the node asks, whatever happened in between. An "
        "interrupted proof continues where it stopped.\n\n"
        "configs/rig.yaml shows every key of the configuration. SIGHUP reads configuration, certificates and data sets "
        "again without stopping proofs; SIGTERM saves and ends within seconds.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
