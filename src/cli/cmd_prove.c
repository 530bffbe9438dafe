#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/subject.h"
#include "post/prove.h"
#include "post/scan_devices.h"
#include "util/io.h"
#include "util/log.h"

struct args {
    const char *dir, *out, *cores, *aes, *state_dir;
    struct sm_text_list device;
    struct sm_net_args net;
    struct sm_randomx_args randomx;
    struct sm_remote_args remote;
    uint8_t challenge[32];
    uint32_t nonces, threads, readers, scrypt_n;
    uint64_t checkpoint;
    bool no_state, no_direct_io, device_only, reference_tail, no_self_check;
};

static const struct sm_option options[] = {
    SM_DIR_OPTION(struct args, dir),
    SM_OPT_HEX32(struct args, challenge, "challenge", "what the proof is to answer", .required = true),
    SM_OPT_TEXT(struct args, out, "out", NULL, "FILE", "write the proof here, atomically", .default_note = "stdout"),
    SM_NET_OPTIONS(struct args, net),
    SM_OPT_U32(struct args, nonces, "nonces", NULL, 16, SM_NONCES_MAX, "N",
               "nonces tried in one pass over the data, a multiple of 16", .default_note = "the network's"),
    SM_OPT_U32(struct args, threads, "threads", "0", 0, 1024, "N",
               "threads of the scan and of k2pow; 0 = one per processor"),
    SM_OPT_TEXT(struct args, cores, "cores", NULL, "LIST",
                "pin one thread to each of these processors, for example 0,2,4"),
    SM_RANDOMX_OPTIONS(struct args, randomx, NULL, "the network's"),
    SM_REMOTE_K2POW_OPTIONS(struct args, remote),
    SM_OPT_TEXT(struct args, state_dir, "state-dir", NULL, "DIR", "where checkpoint and finished k2pow are kept",
                .default_note = "the data directory"),
    SM_OPT_FLAG(struct args, no_state, "no-state", "keep no checkpoint: an interrupted proof starts again"),
    SM_OPT_SIZE(struct args, checkpoint, "checkpoint", "4GiB", 4096, UINT64_MAX,
                "save a checkpoint after every so many bytes scanned"),
    SM_OPT_U32(struct args, readers, "readers", "0", 0, 64, "N", "reader threads of each disk; 0 = chosen by the program"),
    SM_OPT_FLAG(struct args, no_direct_io, "no-direct-io", "read through the page cache"),
    SM_OPT_TEXT(struct args, aes, "aes", NULL, "NAME", "AES variant: ref, aesni, vaes256, vaes512, armaes",
                .default_note = "the fastest", .env = "SM_AES_ISA"),
    SM_OPT_LIST(
        struct args, device, "device", NULL, "ID",
        "an OpenCL device (see devices) that scans beside the processor, all (every usable GPU), or several with "
        "commas; cpu = none; may be repeated",
        .default_note = "cpu"),
    SM_OPT_FLAG(struct args, device_only, "device-only",
                "with --device: the processor scans only when the devices fail"),
    SM_OPT_FLAG(struct args, reference_tail, "reference-tail",
                "leave out the labels at the end of each file that the reference prover leaves out"),
    SM_OPT_FLAG(struct args, no_self_check, "no-self-check", "do not verify the finished proof before it is returned"),
    SM_SCRYPT_N_OPTION(struct args, scrypt_n),
    SM_OPT_END,
};

static void on_progress(void *ctx, const struct sm_prove_progress *p)
{
    struct sm_progress_now now = {0};
    switch (p->phase) {
    case SM_PROVE_RANDOMX:
        now.phase = "preparing RandomX";
        break;
    case SM_PROVE_K2POW:
        now = (struct sm_progress_now){
            .phase = "k2pow", .unit = "groups", .done = p->groups_done, .total = p->groups_total};
        if (p->hashes) /* ours; workers do not tell */
            (void)snprintf(now.note, sizeof now.note, "%" PRIu64 " hashes of about %.0f", p->hashes,
                           p->expected_hashes);
        break;
    case SM_PROVE_SCAN:
        now = (struct sm_progress_now){
            .phase = "scanning", .bytes_per_unit = 1, .done = p->bytes_done, .total = p->bytes_total};
        (void)snprintf(now.note, sizeof now.note, "nonces %" PRIu32 "-%" PRIu32 ", best %" PRIu32, p->nonce_first,
                       p->nonce_end - 1, p->best_count);
        break;
    case SM_PROVE_VERIFY:
        now.phase = "verifying";
        break;
    case SM_PROVE_DONE:
        now.phase = "done";
        break;
    }
    sm_progress_update(ctx, &now);
}

/* Found out before hours of work, not after. */
static sm_err check_out(const char *path, struct sm_errinfo *ei)
{
    char dir[PATH_MAX];
    struct stat st;
    if ((size_t)snprintf(dir, sizeof dir, "%s", path) >= sizeof dir)
        return sm_fail(ei, SM_E_ARG, "path too long: %s", path);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return sm_fail(ei, SM_E_ARG, "--out %s is %s, not a file; leave --out away to print the proof", path,
                       S_ISDIR(st.st_mode) ? "a directory" : "a device or pipe");
    if (access(dirname(dir), W_OK) != 0) return sm_fail_errno(ei, errno, "cannot write into %s for --out", dir);
    return SM_OK;
}

static sm_err configure(struct sm_cli *cli, const struct args *a, struct sm_prove_cfg *cfg, struct sm_errinfo *ei)
{
    struct sm_subject subject = {0};
    sm_err err = sm_subject_load(cli, a->dir, &a->net, &subject, ei);
    if (!err) err = sm_subject_need_meta(&subject, ei);
    if (!err) err = sm_subject_scrypt_n(&subject, a->scrypt_n, &cfg->params.scrypt_n, ei);
    if (!err) err = sm_subject_fits_network(&subject, ei);
    if (err) goto out;
    cfg->params = subject.params;
    cfg->nonces = sm_cli_given(cli, "nonces") ? a->nonces : cfg->params.nonces;
    cfg->randomx = sm_randomx_cfg_of(&a->randomx);
    if (!sm_cli_given(cli, "randomx"))
        cfg->randomx.mode = cfg->params.randomx_fast ? SM_RANDOMX_FAST : SM_RANDOMX_LIGHT;
    if (cfg->nonces % SM_NONCES_PER_GROUP)
        err = sm_fail(ei, SM_E_ARG, "--nonces %" PRIu32 " is not a multiple of %u", cfg->nonces, SM_NONCES_PER_GROUP);
    else if (a->cores && sm_cli_given(cli, "threads"))
        err = sm_fail(ei, SM_E_ARG, "--cores and --threads exclude each other");
    else if (a->no_state && a->state_dir)
        err = sm_fail(ei, SM_E_ARG, "--state-dir and --no-state exclude each other");
    else if (a->out)
        err = check_out(a->out, ei);
out:
    sm_subject_fini(&subject);
    return err;
}

/* As `verify --json` names them. */
static json_t *bad_ranges(const struct sm_prove_result *r)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->bad_n; i++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "file", sm_cli_json_u64(r->bad[i].file), "offset",
                                              sm_cli_json_u64(r->bad[i].offset), "labels",
                                              sm_cli_json_u64(r->bad[i].labels)));
    return list;
}

static json_t *document(const struct sm_prove_result *r, const char *text)
{
    json_t *o = json_loads(text, 0, NULL), *indices = json_array();
    if (!o || !indices) {
        json_decref(o);
        json_decref(indices);
        return NULL;
    }
    for (uint32_t i = 0; i < r->indices_n; i++) json_array_append_new(indices, sm_cli_json_u64(r->indices[i]));
    json_object_set_new(o, "indices", indices);
    json_object_set_new(o, "statistics",
                        json_pack("{s:i, s:o, s:o, s:o, s:b}", "passes", (int)r->passes, "bytes_read",
                                  sm_cli_json_u64(r->bytes_read), "k2pow_seconds", sm_cli_json_real(r->k2pow_s),
                                  "scan_seconds", sm_cli_json_real(r->scan_s), "resumed", r->resumed));
    json_object_set_new(o, "bad_labels", json_integer(r->bad_labels));
    json_object_set_new(o, "bad", bad_ranges(r));
    return o;
}

/* What is at --out before the work begins: nothing (or an empty file, as mktemp makes), or this very proof. Anything else
 * is not ours to overwrite. */
static sm_err read_proof(void *args_of_command, const struct sm_proof_meta *meta, struct sm_proof *out, bool *found,
                         struct sm_errinfo *ei)
{
    const struct args *a = args_of_command;
    struct sm_proof_meta its = {0};
    char *text = NULL;
    size_t n = 0;
    bool has_meta = false;
    sm_err err = sm_io_read_file(a->out, SM_PROOF_JSON_MAX, &text, &n, ei);
    if (err == SM_E_NOTFOUND || (!err && n == 0)) {
        free(text);
        return SM_OK;
    }
    if (!err) err = sm_proof_decode_json(text, n, a->out, out, &its, &has_meta, ei);
    free(text);
    *found = !err && has_meta && sm_proof_meta_equal(meta, &its);
    if (*found || (err && err != SM_E_FORMAT)) return err;
    return sm_fail(ei, SM_E_MISMATCH,
                   "--out %s exists and is not a proof over this data for this challenge; it is left as it is: move it "
                   "away or choose another name",
                   a->out);
}

/* Called with the finished proof while the prover still remembers it. */
static sm_err write_proof(void *args_of_command, const struct sm_prove_result *r, struct sm_errinfo *ei)
{
    const struct args *a = args_of_command;
    char *text = NULL;
    sm_err err = sm_proof_encode_json(&r->proof, &r->meta, &text, ei);
    if (!err) err = sm_io_write_atomic(a->out, text, strlen(text), 0644, ei);
    free(text);
    return err;
}

/* With the proof itself on stdout, nothing else goes there. */
static void advise_repair(struct sm_cli *cli, const struct args *a, const struct sm_prove_result *r)
{
    if (a->out)
        sm_cli_say(cli,
                   "bad labels %" PRIu32 " on disk, left out of the proof; there may be more: smesher verify --dir %s "
                   "--all --repair",
                   r->bad_labels, a->dir);
    else
        sm_log(SM_LOG_WARN, "prove", "bad labels on disk; there may be more: repair them with verify --all --repair",
               "dir=%s bad_labels=%" PRIu32, a->dir, r->bad_labels);
}

static sm_exit report(struct sm_cli *cli, const struct args *a, const struct sm_prove_result *r)
{
    struct sm_errinfo ei = {0};
    char *text = NULL, k2pow[32], scan[32], size[32];
    sm_err err = sm_proof_encode_json(&r->proof, &r->meta, &text, &ei);
    if (err) return sm_cli_error(cli, err, &ei);
    if (a->out && r->passes == 0) {
        sm_cli_say(cli, "proof      %s was there already, and verifies", a->out);
    } else if (a->out) {
        sm_cli_say(cli, "proof      %s", a->out);
        sm_cli_say(cli, "nonce      %" PRIu32 ", found in pass %" PRIu32, r->proof.nonce, r->passes);
        sm_cli_say(cli, "time       k2pow %s, scan %s of %s", sm_text_duration(r->k2pow_s, k2pow),
                   sm_text_duration(r->scan_s, scan), sm_text_bytes((double)r->bytes_read, size));
    } else {
        sm_cli_say(cli, "%s", text);
    }
    if (r->bad_labels) advise_repair(cli, a, r);
    sm_cli_json(cli, document(r, text));
    free(text);
    return SM_EXIT_DONE;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    unsigned *cores = NULL, cores_n = 0;
    struct sm_prove_cfg cfg = {0};
    struct sm_pow_remote *remote = NULL;
    struct sm_scan_devices devices = {0};
    struct sm_prove_result *result = calloc(1, sizeof *result);
    sm_err err = result ? configure(cli, a, &cfg, &ei) : sm_fail(&ei, SM_E_NOMEM, "out of memory");
    if (!err && a->cores) err = sm_cores_parse(a->cores, &cores, &cores_n, &ei);
    if (!err) err = sm_scan_devices_find(a->device.v, a->device.n, &devices, &ei);
    if (!err) err = sm_remote_open(&a->remote, &remote, &ei);
    if (!err) {
        struct sm_progress *progress = sm_progress_new(cli, "prove");
        cfg.dir = a->dir;
        memcpy(cfg.challenge.b, a->challenge, sizeof cfg.challenge.b);
        cfg.threads = cores ? cores_n : a->threads;
        cfg.cores = cores;
        cfg.readers = a->readers;
        cfg.direct_io = !a->no_direct_io;
        cfg.reference_tail = a->reference_tail;
        cfg.isa = a->aes;
        cfg.devices = (const char *const *)devices.ids;
        cfg.devices_n = devices.n;
        cfg.device_only = a->device_only;
        cfg.state_dir = a->no_state ? "" : a->state_dir;
        cfg.checkpoint_bytes = a->checkpoint;
        cfg.verify = !a->no_self_check;
        cfg.recall = a->out ? read_proof : NULL;
        cfg.deliver = a->out ? write_proof : NULL;
        cfg.deliver_ctx = args_of_command;
        cfg.k2pow = remote ? sm_pow_remote_source(remote) : NULL;
        cfg.progress = on_progress;
        cfg.progress_ctx = progress;
        err = sm_prove_run(&cfg, cli->cancel, result, &ei);
        sm_progress_free(progress);
    }
    const sm_exit status = err ? sm_cli_error(cli, err, &ei) : report(cli, a, result);
    sm_pow_remote_free(remote);
    sm_scan_devices_free(&devices);
    free(cores);
    free(result);
    return status;
}

const struct sm_command sm_cmd_prove = {
    .name = "prove",
    .summary = "find a proof over the data for a challenge",
    .details =
        "Solves k2pow for every group of 16 nonces, then reads all data once per pass until a nonce has enough good "
        "labels. An interrupted proof continues where it stopped when the same command is run again. The proof is "
        "a JSON document that verify-proof reads. When FILE of --out holds the proof already, it is verified and left; "
        "any "
        "other content is refused."
        "\n\n"
        "With --remote-k2pow, workers (smesher k2pow) make the proofs of work; each result is checked before it is "
        "used, and "
        "what they do not deliver is searched here.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
