#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/groups.h"
#include "crypto/scrypt.h"
#include "gpu/labeler.h"
#include "post/gpu_tune.h"
#include "post/label_tune.h"
#include "util/log.h"
#include "util/thread.h"

struct building {
    const struct sm_engine_args *args;
    uint32_t scrypt_n;
    struct sm_label_engine *engines;
    size_t n;
    bool has_cpu;
    struct sm_gpu_device *devices; /* listed when first needed */
    size_t devices_n;
    bool listed;
};

static sm_err room_for(struct building *b, size_t more, struct sm_errinfo *ei)
{
    struct sm_label_engine *p = realloc(b->engines, (b->n + more) * sizeof *p);
    if (!p) return sm_fail(ei, SM_E_NOMEM, "out of memory creating label engines");
    b->engines = p;
    return SM_OK;
}

#define TUNE_SECONDS 10.0
#define TUNE_WORK    (UINT64_C(1) << 34) /* rows, N per label: minutes on any machine, so that tuning is a few per cent */

/* Once per machine, variant and N, when the work is long enough to pay. The variant's default serves otherwise. */
static void tune_cpu(const struct building *b, unsigned threads)
{
    const struct sm_scrypt_variant *v = NULL;
    struct sm_label_tuned known;
    struct sm_scrypt_tune tune;
    struct sm_errinfo why = {0};
    double rate = 0;
    if (b->args->labels < TUNE_WORK / b->scrypt_n) return;
    if (sm_scrypt_pick(sm_cpu(), b->args->variant, &v, &why) || v->tunes_n < 2) return;
    if (sm_label_tune_load(v, b->scrypt_n, threads, &known) && known.threads == threads) return;
    sm_log(SM_LOG_INFO, "label", "tuning for this machine, once", "variant=%s threads=%u seconds=%.0f", v->name,
           threads, TUNE_SECONDS);
    if (sm_label_cpu_tune(v->name, b->scrypt_n, threads, TUNE_SECONDS, b->args->cancel, &tune, &rate, &why))
        sm_log(SM_LOG_WARN, "label", "tuning failed, using the defaults", "why=\"%s\"", why.text);
    else
        sm_log(SM_LOG_INFO, "label", "tuned", "variant=%s groups=%u sets=%u lookup_gap=%u labels_per_s=%.0f", v->name,
               tune.groups, tune.sets, tune.lookup_gap, rate);
}

static sm_err add_cpu(struct building *b, struct sm_errinfo *ei)
{
    if (b->has_cpu) return sm_fail(ei, SM_E_ARG, "--device cpu is given twice");
    b->has_cpu = true;
    const unsigned threads = b->args->threads ? b->args->threads : sm_cpu_count();
    tune_cpu(b, threads);
    sm_err err = room_for(b, threads, ei);
    for (unsigned i = 0; !err && i < threads; i++) {
        err = sm_label_engine_cpu(b->args->variant, b->scrypt_n, threads, &b->engines[b->n], ei);
        if (!err) b->n++;
    }
    return err;
}

static sm_err list_devices(struct building *b, struct sm_errinfo *ei)
{
    if (b->listed) return SM_OK;
    b->listed = true;
    struct sm_gpu_report report;
    return sm_gpu_list(&b->devices, &b->devices_n, &report, ei);
}

struct sm_label_gpu_opts sm_gpu_opts(const struct sm_gpu_args *args)
{
    return (struct sm_label_gpu_opts){
        .memory_cap_bytes = args->memory, .launch_ms = args->launch_ms, .tuning_file = args->tuning};
}

#define GPU_TUNE_SECONDS 60.0
#define GPU_TUNE_WORK    (UINT64_C(1) << 40)

/* As for the CPU; the engine then finds the row. */
static void tune_gpu(const struct building *b, const char *id)
{
    struct sm_gpu_tuned t;
    struct sm_errinfo why = {0};
    const struct sm_gpu_device *d = NULL;
    const struct sm_label_gpu_opts opts = sm_gpu_opts(&b->args->gpu);
    for (size_t i = 0; i < b->devices_n; i++)
        if (strcmp(b->devices[i].id, id) == 0) d = &b->devices[i];
    if (!d || b->args->labels < GPU_TUNE_WORK / b->scrypt_n || sm_gpu_tune_load(d, b->scrypt_n, opts.tuning_file, &t))
        return;
    sm_log(SM_LOG_INFO, "gpu", "tuning this device, once", "device=%s seconds=%.0f", id, GPU_TUNE_SECONDS);
    if (sm_gpu_tune(d, b->scrypt_n, &opts, GPU_TUNE_SECONDS, b->args->cancel, &t, &why))
        sm_log(SM_LOG_WARN, "gpu", "tuning failed, using the defaults", "device=%s why=\"%s\"", id, why.text);
    else
        sm_log(SM_LOG_INFO, "gpu", "tuned", "device=%s kernel=%s wg_items=%u lookup_gap=%u labels_per_s=%.0f", id,
               sm_gpu_kernel_name(t.cfg.kernel), t.cfg.wg_items, t.cfg.lookup_gap, t.labels_per_s);
}

static sm_err add_gpu(struct building *b, const char *id, struct sm_errinfo *ei)
{
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->engines[i].device, id) == 0)
            return sm_fail(ei, SM_E_ARG, "--device %s is given twice, or is already part of auto", id);
    tune_gpu(b, id);
    sm_err err = room_for(b, 1, ei);
    const struct sm_label_gpu_opts opts = sm_gpu_opts(&b->args->gpu);
    if (!err) err = sm_label_engine_gpu(id, b->scrypt_n, &opts, &b->engines[b->n], ei);
    if (!err) b->n++;
    return err;
}

static sm_err add_named(struct building *b, const char *id, struct sm_errinfo *ei)
{
    sm_err err = list_devices(b, ei);
    if (err) return err;
    char known[300] = "cpu";
    for (size_t i = 0; i < b->devices_n; i++) {
        const struct sm_gpu_device *d = &b->devices[i];
        if (strcmp(d->id, id) == 0) {
            if (d->problem[0]) return sm_fail(ei, SM_E_DEVICE, "--device %s cannot be used: %s", id, d->problem);
            return add_gpu(b, id, ei);
        }
        const size_t n = strlen(known);
        (void)snprintf(known + n, sizeof known - n, ", %s", d->id);
    }
    return sm_fail(ei, SM_E_ARG, "--device %s does not exist; there are: %s (and auto)", id, known);
}

/* Every usable GPU; one that fails its test is left out with a log line. OpenCL on the CPU is slower than our own code
 * and is used only when named. */
static sm_err add_auto(struct building *b, struct sm_errinfo *ei)
{
    const size_t before = b->n;
    struct sm_errinfo why = {0};
    if (list_devices(b, &why)) sm_log(SM_LOG_WARN, "gpu", "cannot list OpenCL devices", "%s", why.text);
    for (size_t i = 0; i < b->devices_n; i++) {
        const struct sm_gpu_device *d = &b->devices[i];
        if (d->problem[0] || d->type != SM_GPU_TYPE_GPU) continue;
        sm_err err = add_gpu(b, d->id, &why);
        if (err == SM_E_NOMEM || err == SM_E_ARG) return sm_fail(ei, err, "%s", why.text);
        if (err) sm_log(SM_LOG_WARN, "gpu", "device left out", "id=%s why=%s", d->id, why.text);
    }
    return b->n > before || b->has_cpu ? SM_OK : add_cpu(b, ei);
}

static sm_err add_all(struct building *b, struct sm_errinfo *ei)
{
    sm_err err = b->has_cpu ? SM_OK : add_cpu(b, ei);
    return err ? err : add_auto(b, ei);
}

static bool is_device(struct building *b, const char *id)
{
    struct sm_errinfo ignored = {0};
    if (list_devices(b, &ignored)) return false;
    for (size_t i = 0; i < b->devices_n; i++)
        if (strcmp(b->devices[i].id, id) == 0) return true;
    return false;
}

static sm_err add_device(struct building *b, const char *id, struct sm_errinfo *ei)
{
    if (strcmp(id, "cpu") == 0) return add_cpu(b, ei);
    if (strcmp(id, "auto") == 0) return add_auto(b, ei);
    if (strcmp(id, "all") == 0) return add_all(b, ei);
    return add_named(b, id, ei);
}

/* One id, or several with commas between them; a driver may have put one into a name. */
static sm_err add_devices(struct building *b, const char *text, struct sm_errinfo *ei)
{
    if (!strchr(text, ',') || is_device(b, text)) return add_device(b, text, ei);
    char *ids = strdup(text), *rest = ids;
    sm_err err = ids ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory creating label engines");
    for (const char *id; !err && (id = strsep(&rest, ",")) != NULL;) err = add_device(b, id, ei);
    free(ids);
    return err;
}

sm_err sm_engines_make(const struct sm_engine_args *args, uint32_t scrypt_n, struct sm_label_engine **out,
                       size_t *out_n, struct sm_errinfo *ei)
{
    struct building b = {.args = args, .scrypt_n = scrypt_n};
    sm_err err = SM_OK;
    if (!args->device.n) err = add_auto(&b, ei);
    for (size_t i = 0; !err && i < args->device.n; i++) err = add_devices(&b, args->device.v[i], ei);
    if (!err) {
        *out = b.engines;
        *out_n = b.n;
        b.engines = NULL;
    }
    sm_engines_free(b.engines, err ? b.n : 0);
    free(b.devices);
    return err;
}

void sm_engines_free(struct sm_label_engine *engines, size_t n)
{
    for (size_t i = 0; engines && i < n; i++) sm_label_engine_free(&engines[i]);
    free(engines);
}

static sm_err throttle_one(struct sm_label_engine *engines, size_t n, const char *text, struct sm_errinfo *ei)
{
    const char *equals = strrchr(text, '='), *number = equals ? equals + 1 : text;
    char *end;
    const unsigned long percent = strtoul(number, &end, 10);
    if (number[0] < '0' || number[0] > '9' || *end || percent < 1 || percent > 100)
        return sm_fail(ei, SM_E_ARG, "--throttle %s: expected [ID=]PERCENT, from 1 to 100", text);
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        const char *id = engines[i].device;
        if (equals && (strncmp(id, text, (size_t)(equals - text)) != 0 || id[equals - text])) continue;
        engines[i].duty = (double)percent / 100;
        any = true;
    }
    if (any) return SM_OK;
    return sm_fail(ei, SM_E_ARG, "--throttle %s: that device is not among those that compute", text);
}

sm_err sm_engines_throttle(struct sm_label_engine *engines, size_t n, const struct sm_text_list *list,
                           struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    for (size_t i = 0; !err && i < list->n; i++) err = throttle_one(engines, n, list->v[i], ei);
    return err;
}
