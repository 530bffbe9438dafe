#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "post/prove_impl.h"
#include "post/scan_tune.h"
#include "util/log.h"

/* Ours: minutes of work pay for seconds of tuning. */
#define TUNE_WORTH   ((uint64_t)64 << 30) /* bytes of labels */
#define TUNE_SECONDS 20.0

/* A device that does not exist is a mistake; one that does not work is no reason to go without a proof. */
static sm_err open_device(struct sm_prover *p, const char *id, struct sm_errinfo *ei)
{
    struct sm_errinfo why = {0};
    struct sm_prove_device *d = &p->devices[p->devices_n];
    const bool tune = SM_LABEL_BYTES * p->data.layout.num_labels >= TUNE_WORTH;
    for (unsigned i = 0; i < p->devices_n; i++)
        if (strcmp(p->devices[i].id, id) == 0) return sm_fail(ei, SM_E_ARG, "device %s is given twice", id);
    *d = (struct sm_prove_device){.id = id};
    const sm_err err = sm_scan_open(id, tune ? TUNE_SECONDS : 0, p->cancel, &d->scanner, &why);
    if (err == SM_E_DEVICE || (err == SM_E_NOTFOUND && p->cfg->devices_may_miss)) {
        sm_log(SM_LOG_WARN, "post", "device not used, the processor scans", "device=%s why=\"%s\"", id, why.text);
        return SM_OK;
    }
    if (err) return sm_fail(ei, err, "%s", why.text);
    sm_log(SM_LOG_INFO, "post", "device scans", "device=%s %s", id, sm_gpu_scanner_describe(d->scanner));
    p->devices_n++;
    return SM_OK;
}

sm_err sm_prove_devices_open(struct sm_prover *p, struct sm_errinfo *ei)
{
    const struct sm_prove_cfg *cfg = p->cfg;
    if (cfg->devices_n == 0) return SM_OK;
    p->devices = calloc(cfg->devices_n, sizeof *p->devices);
    if (!p->devices) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu devices", cfg->devices_n);
    sm_err err = SM_OK;
    for (size_t i = 0; i < cfg->devices_n && !err; i++) err = open_device(p, cfg->devices[i], ei);
    return err;
}

void sm_prove_devices_brief(struct sm_prover *p, const struct sm_scan_job *job)
{
    for (unsigned i = 0; i < p->devices_n; i++) {
        struct sm_errinfo why = {0};
        struct sm_prove_device *d = &p->devices[i];
        d->usable = sm_gpu_scanner_set_job(d->scanner, job, &why) == SM_OK;
        if (!d->usable)
            sm_log(SM_LOG_WARN, "post", "device failed, the processor goes on", "device=%s why=\"%s\"", d->id,
                   why.text);
    }
}

void sm_prove_devices_close(struct sm_prover *p)
{
    for (unsigned i = 0; i < p->devices_n; i++) {
        if (!sm_gpu_scanner_hangs(p->devices[i].scanner)) sm_mem_unmap(&p->devices[i].ordinary);
        sm_gpu_scanner_free(p->devices[i].scanner);
    }
    free(p->devices);
}
