/* smesher bench: how fast is this machine, how close to its bounds, and what does that mean for proving. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/forecast.h"
#include "bench/stage.h"
#include "cli/commands.h"
#include "cli/groups.h"
#include "crypto/aes.h"
#include "crypto/scrypt.h"
#include "gpu/labeler.h"
#include "util/log.h"

#define MIB              ((double)(1 << 20))
#define CPU_TUNE_SECONDS 10.0

struct args {
    struct sm_net_args net;
    struct sm_text_list device;
    const char *variant;
    uint32_t threads;
    double seconds;
    struct sm_gpu_args gpu;
    double tune_s;
    uint32_t nonces;
    const char *dir;
    uint64_t size;
    struct sm_randomx_args randomx;
    uint32_t units;
    double window_h, target;
};

static const struct sm_option options[] = {
    SM_NET_OPTIONS(struct args, net),
    SM_OPT_LIST(struct args, device, "device", NULL, "ID",
                "init, prove: measure only cpu or this OpenCL device (see devices), or all; may be repeated",
                .default_note = "cpu and every GPU"),
    SM_OPT_TEXT(struct args, variant, "variant", NULL, "NAME",
                "init or prove: measure only this variant (needs exactly one of the two stages): of the CPU, or for "
                "init on a device item, quad, fetch, baseline (the kernel in general use) or all",
                .default_note = "every one this CPU can run; a device as it is tuned"),
    SM_OPT_U32(struct args, threads, "threads", "0", 0, 4096, "N", "CPU threads; 0 = one per processor"),
    SM_OPT_F64(struct args, seconds, "seconds", "3", 0.05, 3600, "S", "seconds for each row of the result"),
    SM_GPU_OPTIONS(struct args, gpu),
    SM_OPT_F64(struct args, tune_s, "tune-seconds", "60", 0, 3600, "S",
               "init: time to tune a device that no tuning is known for (a CPU variant: at most 10); 0 = do not"),
    SM_OPT_U32(struct args, nonces, "nonces", "0", 0, 4096, "K", "prove: nonces per pass; 0 = those of the network"),
    SM_OPT_TEXT(struct args, dir, "dir", ".", "DIR", "disk, prove: directory on the disk to measure"),
    SM_OPT_SIZE(struct args, size, "size", "1GiB", 1 << 20, UINT64_C(1) << 40,
                "disk, prove: size of the temporary file; should exceed the caches of the disk"),
    SM_RANDOMX_OPTIONS(struct args, randomx, "fast", NULL),
    SM_OPT_U32(struct args, units, "num-units", "0", 0, UINT32_MAX, "N",
               "verdict: size to forecast, in units; 0 = the network's default"),
    SM_OPT_F64(struct args, window_h, "window", "12", 0.001, 100000, "HOURS",
               "verdict: time in which a proof must be found"),
    SM_OPT_F64(struct args, target, "target", "0.999", 0.5, 0.999999999, "P",
               "verdict: probability with which it must be found in that time"),
    SM_OPT_END,
};

enum stage { INIT, DISK, PROVE, K2POW, VERIFY, STAGES };
static const char *const stage_names[STAGES] = {"init", "disk", "prove", "k2pow", "verify"};

#define ROWS_MAX 64u

struct run {
    struct sm_cli *cli;
    const struct args *a;
    struct sm_post_params net;
    uint32_t nonces;
    bool wanted[STAGES];
    struct sm_bench_row rows[ROWS_MAX];
    size_t rows_n;
    struct sm_table *table;
    struct sm_forecast_machine machine;
};

/* ---- rows ---- */

static void rate_text(const struct sm_bench_row *r, double v, char out[32])
{
    if (strcmp(r->unit, "bytes/s") == 0)
        (void)sm_text_rate(v, out);
    else
        (void)snprintf(out, 32, v < 100 ? "%.1f %s" : "%.0f %s", v, r->unit);
}

/* "93 % alu, 26 % memory" */
static void shares_text(const struct sm_bench_row *row, char *out, size_t room)
{
    for (unsigned i = 0; i < row->bounds_n; i++) {
        const size_t n = strlen(out);
        (void)snprintf(out + n, room - n, "%s%.0f %% %s", n ? ", " : "", 100 * row->rate.median / row->bounds[i].rate,
                       row->bounds[i].kind);
    }
}

static void row_done(struct run *r, const struct sm_bench_row *row)
{
    char rate[32], spread[48] = "", bytes[32] = "", bound[64] = "", share[96] = "", threads[16] = "", nonces[16] = "";
    rate_text(row, row->rate.median, rate);
    if (row->rate.slices > 1 && row->rate.median > 0)
        (void)snprintf(spread, sizeof spread, "-%.0f/+%.0f %%", 100 * (1 - row->rate.min / row->rate.median),
                       100 * (row->rate.max / row->rate.median - 1));
    if (row->bytes_per_s > 0 && strcmp(row->unit, "bytes/s") != 0) (void)sm_text_rate(row->bytes_per_s, bytes);
    const struct sm_bench_bound *b = sm_bench_row_bound(row);
    if (b) {
        char text[32];
        rate_text(row, b->rate, text);
        (void)snprintf(bound, sizeof bound, "%s (%s)", text, b->kind);
        shares_text(row, share, sizeof share);
    }
    if (row->threads) (void)snprintf(threads, sizeof threads, "%u", row->threads);
    if (row->nonces) (void)snprintf(nonces, sizeof nonces, "%" PRIu32, row->nonces);
    SM_TABLE_ROW(r->table, row->stage, row->device, row->variant, threads, nonces, rate, spread, bytes, bound, share,
                 row->note);
    sm_log(SM_LOG_INFO, "bench", "measured", "stage=%s device=%s variant=%s rate=\"%s\"", row->stage, row->device,
           row->variant, rate);
    if (r->rows_n < ROWS_MAX) r->rows[r->rows_n++] = *row;
}

static json_t *row_json(const struct sm_bench_row *row)
{
    const bool labels = strcmp(row->unit, "labels/s") == 0, hashes = strcmp(row->unit, "hashes/s") == 0,
               proofs = strcmp(row->unit, "proofs/s") == 0;
    json_t *o = json_object();
    (void)json_object_set_new(o, "stage", json_string(row->stage));
    (void)json_object_set_new(o, "device", json_string(row->device));
    (void)json_object_set_new(o, hashes ? "mode" : "variant", json_string(row->variant));
    if (row->threads) (void)json_object_set_new(o, "threads", json_integer(row->threads));
    if (row->nonces) (void)json_object_set_new(o, "nonces", json_integer(row->nonces));
    if (labels) (void)json_object_set_new(o, "labels_per_s", sm_cli_json_real(row->rate.median));
    if (hashes) (void)json_object_set_new(o, "hashes_per_s", sm_cli_json_real(row->rate.median));
    if (proofs) (void)json_object_set_new(o, "proofs_per_s", sm_cli_json_real(row->rate.median));
    if (row->bytes_per_s > 0) (void)json_object_set_new(o, "bytes_per_s", sm_cli_json_real(row->bytes_per_s));
    (void)json_object_set_new(o, "min", sm_cli_json_real(row->rate.min));
    (void)json_object_set_new(o, "max", sm_cli_json_real(row->rate.max));
    (void)json_object_set_new(o, "slices", json_integer(row->rate.slices));
    json_t *bounds = json_object();
    for (unsigned i = 0; i < row->bounds_n; i++)
        (void)json_object_set_new(bounds, row->bounds[i].kind, sm_cli_json_real(row->bounds[i].rate));
    /* the contract's name for the compute bound; null where none was measured */
    if (labels) {
        json_t *alu = json_object_get(bounds, "alu");
        (void)json_object_set_new(o, "bound_labels_per_s", alu ? json_incref(alu) : json_null());
    }
    (void)json_object_set_new(o, "bounds", bounds);
    if (row->note[0]) (void)json_object_set_new(o, "note", json_string(row->note));
    return o;
}

/* ---- stages ---- */

static sm_err bench_cpu_labels(struct run *r, struct sm_errinfo *ei)
{
    struct sm_bench_row row;
    sm_err err = SM_OK;
    /* A short measurement is not worth a long tuning. */
    const double most = 5 * r->a->seconds < CPU_TUNE_SECONDS ? 5 * r->a->seconds : CPU_TUNE_SECONDS;
    const double tune_s = r->a->tune_s < most ? r->a->tune_s : most;
    const bool of_device = r->a->variant && (strcmp(r->a->variant, "baseline") == 0 || sm_gpu_kernel_of(r->a->variant));
    if (of_device && r->a->device.n == 0) return SM_OK; /* every GPU is meant */
    if (r->a->variant && strcmp(r->a->variant, "all") != 0) {
        err = sm_bench_init_cpu(r->a->variant, r->net.scrypt_n, r->a->threads, tune_s, r->a->seconds, r->cli->cancel,
                                &row, ei);
        if (!err) row_done(r, &row);
        return err;
    }
    for (const struct sm_scrypt_variant *const *v = sm_scrypt_all(); *v && !err; v++) {
        if (!(*v)->usable(sm_cpu())) continue;
        err = sm_bench_init_cpu((*v)->name, r->net.scrypt_n, r->a->threads, tune_s, r->a->seconds, r->cli->cancel, &row,
                                ei);
        if (!err) row_done(r, &row);
    }
    return err;
}

/* NULL: as it is tuned. */
static sm_err bench_gpu_kernel(struct run *r, const char *id, const char *kernel, struct sm_errinfo *ei)
{
    struct sm_bench_row row;
    const struct sm_label_gpu_opts opts = sm_gpu_opts(&r->a->gpu);
    const sm_err err = kernel && strcmp(kernel, "baseline") == 0
                           ? sm_bench_init_baseline(id, r->net.scrypt_n, &opts, r->a->seconds, r->cli->cancel, &row, ei)
                           : sm_bench_init_gpu(id, r->net.scrypt_n, kernel, &opts, r->a->tune_s, r->a->seconds,
                                               r->cli->cancel, &row, ei);
    if (!err) row_done(r, &row);
    return err;
}

static sm_err bench_gpu_labels(struct run *r, const char *id, struct sm_errinfo *ei)
{
    const char *v = r->a->variant;
    if (v && strcmp(v, "all") != 0) {
        if (strcmp(v, "baseline") == 0 || sm_gpu_kernel_of(v)) return bench_gpu_kernel(r, id, v, ei);
        return r->a->device.n ? sm_fail(ei, SM_E_ARG,
                                        "--variant %s: on an OpenCL device it is item, quad, fetch, baseline or all", v)
                              : SM_OK; /* a variant of the processor was meant */
    }
    sm_err err = bench_gpu_kernel(r, id, NULL, ei);
    for (unsigned k = SM_GPU_KERNEL_ITEM; v && !err && k < SM_GPU_KERNELS_END; k++)
        err = bench_gpu_kernel(r, id, sm_gpu_kernel_name((sm_gpu_kernel)k), ei);
    return err || !v ? err : bench_gpu_kernel(r, id, "baseline", ei);
}

typedef sm_err (*bench_device)(struct run *r, const char *id, struct sm_errinfo *ei);

static sm_err bench_every_gpu(struct run *r, bench_device one, struct sm_errinfo *ei)
{
    struct sm_gpu_device *list = NULL;
    struct sm_gpu_report report;
    size_t n = 0;
    sm_err err = sm_gpu_list(&list, &n, &report, ei);
    for (size_t i = 0; i < n && !err; i++) {
        if (list[i].type != SM_GPU_TYPE_GPU) continue; /* an OpenCL driver for the CPU only when it is asked for */
        err = list[i].problem[0] ? sm_fail(ei, SM_E_DEVICE, "%s", list[i].problem) : one(r, list[i].id, ei);
        if (err == SM_E_DEVICE) { /* the others still count */
            sm_log(SM_LOG_WARN, "bench", "device skipped", "device=%s why=\"%s\"", list[i].id, ei->text);
            err = SM_OK;
        }
    }
    free(list);
    return err;
}

/* --device: the processor by `cpu`, everything else by `gpu`. */
static sm_err bench_devices(struct run *r, sm_err (*cpu)(struct run *r, struct sm_errinfo *ei), bench_device gpu,
                            struct sm_errinfo *ei)
{
    const struct sm_text_list *wanted = &r->a->device;
    sm_err err = wanted->n == 0 ? cpu(r, ei) : SM_OK;
    if (wanted->n == 0 && !err) err = bench_every_gpu(r, gpu, ei);
    for (size_t i = 0; i < wanted->n && !err; i++) {
        const bool all = strcmp(wanted->v[i], "all") == 0;
        if (all || strcmp(wanted->v[i], "cpu") == 0) err = cpu(r, ei);
        if (!err && all)
            err = bench_every_gpu(r, gpu, ei);
        else if (!err && strcmp(wanted->v[i], "cpu") != 0)
            err = gpu(r, wanted->v[i], ei);
    }
    return err;
}

static sm_err stage_init(struct run *r, struct sm_errinfo *ei)
{
    return bench_devices(r, bench_cpu_labels, bench_gpu_labels, ei);
}

static sm_err stage_disk(struct run *r, struct sm_errinfo *ei)
{
    struct sm_bench_row rows[2];
    sm_err err = sm_bench_disk(r->a->dir, r->a->size, r->cli->cancel, rows, ei);
    if (err) return err;
    row_done(r, &rows[0]);
    row_done(r, &rows[1]);
    r->machine.disk_bytes_per_s = rows[1].rate.median;
    return SM_OK;
}

static sm_err scan_variant(struct run *r, const char *name, struct sm_errinfo *ei)
{
    struct sm_bench_row row;
    sm_err err = sm_bench_scan(name, r->nonces, r->a->threads, r->a->seconds, r->cli->cancel, &row, ei);
    if (err) return err;
    row_done(r, &row);
    const double one_group = row.rate.median * r->nonces / 16; /* the scan's time is proportional to the groups */
    if (one_group > r->machine.aes_bytes_per_s) r->machine.aes_bytes_per_s = one_group;
    return SM_OK;
}

static sm_err bench_gpu_scan(struct run *r, const char *id, struct sm_errinfo *ei)
{
    struct sm_bench_row row;
    sm_err err = sm_bench_scan_device(id, r->nonces, r->a->seconds, r->cli->cancel, &row, ei);
    if (!err) row_done(r, &row);
    return err;
}

/* The scan's variants from memory, then the whole prover. */
static sm_err bench_cpu_scan(struct run *r, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    for (const struct sm_scan_variant *const *v = sm_scan_all(); *v && !err; v++)
        if ((*v)->usable(sm_cpu())) err = scan_variant(r, (*v)->name, ei);
    for (int direct = 0; direct < 2 && !err; direct++) {
        struct sm_bench_row row;
        err = sm_bench_prove_file(r->a->dir, r->a->size, r->nonces, r->a->threads, direct, r->machine.disk_bytes_per_s,
                                  r->cli->cancel, &row, ei);
        if (!err) row_done(r, &row);
    }
    return err;
}

static sm_err stage_prove(struct run *r, struct sm_errinfo *ei)
{
    if (r->a->variant) return scan_variant(r, r->a->variant, ei);
    return bench_devices(r, bench_cpu_scan, bench_gpu_scan, ei);
}

static sm_err stage_k2pow(struct run *r, struct sm_errinfo *ei)
{
    struct sm_bench_row row;
    struct sm_randomx_cfg cfg = sm_randomx_cfg_of(&r->a->randomx);
    cfg.threads = r->a->threads;
    sm_err err = sm_bench_k2pow(&cfg, r->a->threads, r->a->seconds, r->cli->cancel, &row, ei);
    if (err) return err;
    row_done(r, &row);
    r->machine.hashes_per_s = row.rate.median;
    return SM_OK;
}

static sm_err stage_verify(struct run *r, struct sm_errinfo *ei)
{
    struct sm_bench_row row;
    sm_err err = sm_bench_verify(r->a->threads, r->a->seconds, r->cli->cancel, &row, ei);
    if (!err) row_done(r, &row);
    return err;
}

static sm_err (*const stages[STAGES])(struct run *r, struct sm_errinfo *ei) = {stage_init, stage_disk, stage_prove,
                                                                               stage_k2pow, stage_verify};

/* ---- verdict ---- */

static json_t *forecast_json(const struct sm_forecast *f)
{
    json_t *o = json_object();
    (void)json_object_set_new(o, "nonces", json_integer(f->nonces));
    (void)json_object_set_new(o, "pass_success", sm_cli_json_real(f->pass_success));
    (void)json_object_set_new(o, "expected_passes", sm_cli_json_real(f->expected_passes));
    (void)json_object_set_new(o, "k2pow_s", sm_cli_json_real(f->k2pow_s));
    (void)json_object_set_new(o, "read_s", sm_cli_json_real(f->read_s));
    (void)json_object_set_new(o, "expected_s", sm_cli_json_real(f->expected_s));
    (void)json_object_set_new(o, "passes_in_window", json_integer(f->passes_needed));
    (void)json_object_set_new(o, "read_limit", json_string(f->disk_bound ? "disk" : "cpu"));
    (void)json_object_set_new(o, "max_units", sm_cli_json_u64(f->max_units));
    return o;
}

static void verdict(struct run *r, json_t *doc)
{
    const uint32_t units = r->a->units ? r->a->units : r->net.num_units;
    if (r->machine.hashes_per_s <= 0 || r->machine.aes_bytes_per_s <= 0 || r->machine.disk_bytes_per_s <= 0) {
        sm_cli_say(r->cli, "No verdict: it needs the stages disk, prove and k2pow.");
        (void)json_object_set_new(doc, "verdict", json_null());
        return;
    }
    const double window_s = r->a->window_h * 3600;
    const struct sm_forecast best = sm_forecast_best(&r->net, &r->machine, units, window_s, r->a->target);
    const struct sm_forecast now = sm_forecast_at(&r->net, &r->machine, units, r->nonces, window_s, r->a->target);
    char k2pow[32], read[32], expected[32], now_expected[32];
    (void)sm_text_duration(best.k2pow_s, k2pow);
    (void)sm_text_duration(best.read_s, read);
    (void)sm_text_duration(best.expected_s, expected);
    (void)sm_text_duration(now.expected_s, now_expected);
    sm_cli_say(r->cli, "Verdict for network %s (K1 %" PRIu32 ", K2 %" PRIu32 "):", r->net.name, r->net.k1, r->net.k2);
    sm_cli_say(r->cli, "  nonces per pass to use: %" PRIu32 " (one pass finds a proof with probability %.2f %%)",
               best.nonces, 100 * best.pass_success);
    sm_cli_say(r->cli, "  %" PRIu32 " units: %s per proof on average (a pass: k2pow %s, reading %s, limited by the %s)",
               units, expected, k2pow, read, best.disk_bound ? "disk" : "CPU");
    if (now.nonces != best.nonces)
        sm_cli_say(r->cli, "  with the network's %" PRIu32 " nonces: %s on average, %.2f %% in one pass", now.nonces,
                   now_expected, 100 * now.pass_success);
    sm_cli_say(r->cli, "  in %g hours this machine proves up to %" PRIu64 " units with probability %g %%%s",
               r->a->window_h, best.max_units, 100 * r->a->target, best.max_units ? "" : ": too slow for a single one");
    json_t *v = json_object();
    (void)json_object_set_new(v, "num_units", json_integer(units));
    (void)json_object_set_new(v, "window_s", sm_cli_json_real(window_s));
    (void)json_object_set_new(v, "target", sm_cli_json_real(r->a->target));
    (void)json_object_set_new(v, "best", forecast_json(&best));
    (void)json_object_set_new(v, "network_nonces", forecast_json(&now));
    (void)json_object_set_new(doc, "verdict", v);
}

/* ---- command ---- */

static sm_err wanted_stages(struct run *r, struct sm_errinfo *ei)
{
    for (size_t i = 0; i < r->cli->operands_n; i++) {
        int found = -1;
        for (int s = 0; s < STAGES; s++)
            if (strcmp(r->cli->operands[i], stage_names[s]) == 0) found = s;
        if (found < 0)
            return sm_fail(ei, SM_E_ARG, "unknown stage \"%s\": init, disk, prove, k2pow or verify",
                           r->cli->operands[i]);
        r->wanted[found] = true;
    }
    for (int s = 0; s < STAGES; s++) r->wanted[s] |= r->cli->operands_n == 0;
    if (r->a->variant && r->wanted[INIT] == r->wanted[PROVE])
        return sm_fail(ei, SM_E_ARG,
                       "--variant needs exactly one of the stages init and prove: `smesher bench init --variant %s`",
                       r->a->variant);
    if (r->nonces % 16)
        return sm_fail(ei, SM_E_ARG, "--nonces is %" PRIu32 ": must be a multiple of 16, up to 4096", r->nonces);
    return SM_OK;
}

static sm_exit run_bench(struct sm_cli *cli, void *p)
{
    struct run *r = calloc(1, sizeof *r);
    struct sm_errinfo ei = {0};
    if (!r) return sm_cli_error(cli, SM_E_NOMEM, &ei);
    r->cli = cli;
    r->a = p;
    r->table = sm_table_new("lllrrrrrrrl");
    SM_TABLE_ROW(r->table, "stage", "device", "variant", "threads", "nonces", "rate", "spread", "data", "bound",
                 "share", "");
    sm_err err = sm_net_params(&r->a->net, &r->net, &ei);
    r->nonces = r->a->nonces ? r->a->nonces : r->net.nonces;
    if (!err) err = wanted_stages(r, &ei);
    for (int s = 0; s < STAGES && !err; s++)
        if (r->wanted[s]) err = stages[s](r, &ei);

    sm_exit status = SM_EXIT_DONE;
    if (r->rows_n) sm_table_say(cli, r->table); /* also when a later stage failed */
    if (err) {
        status = sm_cli_error(cli, err, &ei);
    } else {
        json_t *doc = json_object(), *results = json_array();
        for (size_t i = 0; i < r->rows_n; i++) (void)json_array_append_new(results, row_json(&r->rows[i]));
        (void)json_object_set_new(doc, "results", results);
        (void)json_object_set_new(doc, "network", json_string(r->net.name));
        (void)json_object_set_new(doc, "scrypt_n", json_integer(r->net.scrypt_n));
        if (cli->operands_n == 0 || (r->wanted[DISK] && r->wanted[PROVE] && r->wanted[K2POW])) verdict(r, doc);
        sm_cli_json(cli, doc);
    }
    sm_table_free(r->table);
    free(r);
    return status;
}

const struct sm_command sm_cmd_bench = {
    .name = "bench",
    .summary = "measure this machine against its bounds and forecast proving",
    .details =
        "Stages: init (labels, for each CPU variant and GPU), disk (sequential direct writes and reads), prove (the "
        "label scan from memory, for each CPU variant and GPU, and one pass of the real prover over a file), k2pow "
        "(RandomX), verify (whole proofs). All of them by default. Each stage checks for correct results before it "
        "measures.\n\n"
        "A bound is the rate at which one resource alone would work: alu (the same code with its data in the L1 "
        "cache), memory (the same traffic without the arithmetic), disk, bus (the transfer to a device); alu_computed "
        "and memory_computed follow from what the driver says of a device's units, clock and memory. Shown are the "
        "tightest bound, and how much of each is reached. Rates are medians of several slices; the spread shows how "
        "calm the machine was.\n\n"
        "The verdict at the end says which number of nonces per pass to use, how long a proof takes, and how many "
        "units this machine can prove in the given window.\n\n"
        "Temporary files are created in --dir and removed again.",
    .operands = "[STAGE...]",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run_bench,
};
