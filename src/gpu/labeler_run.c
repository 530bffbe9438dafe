#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/labeler_impl.h"
#include "util/bytes.h"

#define LONE_GROUP_STEPS 1024u /* one group alone: milliseconds on anything */

/* The first arguments behind those that labeler.c sets. */
#define ARG_RANGE (2 + SM_ROMIX_PARTS) /* of FILL and MIX: first step, count */
#define ARG_OUT   2                    /* of START: counter; of FINISH: labels, counter, hits */

static sm_err launch(struct sm_gpu_labeler *g, sm_gpu_stage stage, uint32_t count, uint32_t steps,
                     struct sm_errinfo *ei)
{
    const bool ends = stage == SM_GPU_START || stage == SM_GPU_FINISH; /* one item per label, whatever the kernel */
    const uint32_t group_labels = ends ? g->shape.wg_items : sm_gpu_shape_group_labels(&g->shape);
    const size_t local = g->shape.wg_items, global = (count + group_labels - 1) / group_labels * local;
    cl_event ev = NULL;
    const cl_int rc = g->cl->EnqueueNDRangeKernel(g->queue.q, g->kernel[stage], 1, NULL, &global, &local, 0, NULL, &ev);
    const bool paced = steps && count == g->buf.width; /* a narrow launch says nothing about wide ones */
    return sm_gpu_queue_push(&g->queue, rc, ev, paced ? &g->pace[stage] : NULL, steps, sm_gpu_stage_names[stage], ei);
}

/* The N steps of FILL or MIX, in launches of bounded length. */
static sm_err launch_steps(struct sm_gpu_labeler *g, sm_gpu_stage stage, uint32_t count, const struct sm_cancel *cancel,
                           struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    for (cl_uint done = 0, n; done < g->shape.scrypt_n && !err; done += n) {
        if (sm_cancelled(cancel)) return sm_fail(ei, SM_E_CANCELLED, "cancelled");
        n = g->pace[stage].steps;
        if (count <= sm_gpu_shape_group_labels(&g->shape) && n < LONE_GROUP_STEPS) n = LONE_GROUP_STEPS;
        if (n > g->shape.scrypt_n - done) n = g->shape.scrypt_n - done;
        cl_int rc = g->cl->SetKernelArg(g->kernel[stage], ARG_RANGE, sizeof done, &done);
        if (rc == CL_SUCCESS) rc = g->cl->SetKernelArg(g->kernel[stage], ARG_RANGE + 1, sizeof n, &n);
        if (rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "clSetKernelArg on %s", g->dev.info.name);
        err = launch(g, stage, count, n, ei);
    }
    return err;
}

static sm_err set_outputs(struct sm_gpu_labeler *g, unsigned turn, struct sm_errinfo *ei)
{
    const cl_mem *labels = &g->buf.labels[turn], *hits = &g->buf.hits[turn];
    cl_int rc = g->cl->SetKernelArg(g->kernel[SM_GPU_START], ARG_OUT, sizeof *hits, hits);
    if (rc == CL_SUCCESS) rc = g->cl->SetKernelArg(g->kernel[SM_GPU_FINISH], ARG_OUT, sizeof *labels, labels);
    for (cl_uint i = 1; i <= 2 && rc == CL_SUCCESS; i++)
        rc = g->cl->SetKernelArg(g->kernel[SM_GPU_FINISH], ARG_OUT + i, sizeof *hits, hits);
    return rc == CL_SUCCESS ? SM_OK : sm_cl_fail(ei, rc, "clSetKernelArg on %s", g->dev.info.name);
}

static sm_err read_back(struct sm_gpu_labeler *g, cl_mem from, size_t offset, size_t bytes, void *to,
                        struct sm_errinfo *ei)
{
    cl_event ev = NULL;
    const cl_int rc = g->cl->EnqueueReadBuffer(g->queue.q, from, CL_FALSE, offset, bytes, to, 0, NULL, &ev);
    return sm_gpu_queue_push(&g->queue, rc, ev, NULL, 0, "clEnqueueReadBuffer", ei);
}

/* Enqueues one batch. Its reads wait behind its last launch, on the device. */
static sm_err enqueue_batch(struct sm_gpu_labeler *g, unsigned turn, const struct sm_cancel *cancel, uint8_t *out,
                            struct sm_errinfo *ei)
{
    struct sm_gpu_turn *t = &g->turn[turn];
    const uint32_t count = t->job.count;
    sm_err err = set_outputs(g, turn, ei);
    if (err) return err;
    cl_event ev = NULL;
    const cl_int rc =
        g->cl->EnqueueWriteBuffer(g->queue.q, g->buf.job, CL_FALSE, 0, sizeof t->job, &t->job, 0, NULL, &ev);
    err = sm_gpu_queue_push(&g->queue, rc, ev, NULL, 0, "clEnqueueWriteBuffer", ei);
    if (!err) err = launch(g, SM_GPU_START, count, 0, ei);
    if (!err) err = launch_steps(g, SM_GPU_FILL, count, cancel, ei);
    if (!err) err = launch_steps(g, SM_GPU_MIX, count, cancel, ei);
    if (!err) err = launch(g, SM_GPU_FINISH, count, 0, ei);
    if (!err) err = read_back(g, g->buf.labels[turn], 0, (size_t)count * SM_GPU_LABEL_BYTES, t->labels, ei);
    if (!err) {
        const uint32_t records = 1 + (count < SM_GPU_HITS_READ ? count : SM_GPU_HITS_READ);
        err = read_back(g, g->buf.hits[turn], 0, records * sizeof t->records[0], t->records, ei);
    }
    t->last = g->queue.pushed;
    t->out = err ? NULL : out;
    return err;
}

static sm_err tell(const struct sm_gpu_labeler *g, const struct sm_gpu_label_job *job, const struct sm_gpu_turn *t,
                   const struct sm_romix_hit *hits, uint32_t n, struct sm_errinfo *ei)
{
    for (uint32_t i = 0; i < n; i++) {
        uint8_t label[32];
        if (hits[i].label >= t->job.count)
            return sm_fail(ei, SM_E_DEVICE, "%s (%s) reports label %" PRIu32 " of %" PRIu32, g->dev.info.id,
                           g->dev.info.name, hits[i].label, t->job.count);
        for (unsigned w = 0; w < 8; w++) sm_le32_store(label + 4 * w, hits[i].hash[w]);
        job->hit(job->ctx, t->job.first_label + hits[i].label, label);
    }
    return SM_OK;
}

/* Waits for a batch, if one is under way, and hands out its labels and hits, reading those hits that the records have no
 * room for. */
static sm_err collect(struct sm_gpu_labeler *g, unsigned turn, const struct sm_gpu_label_job *job,
                      struct sm_errinfo *ei)
{
    struct sm_gpu_turn *t = &g->turn[turn];
    if (!t->out) return SM_OK;
    sm_err err = sm_gpu_queue_wait(&g->queue, t->last, ei);
    if (err) return err;
    memcpy(t->out, t->labels, (size_t)t->job.count * SM_GPU_LABEL_BYTES);
    t->out = NULL;
    const uint32_t n = t->records[0].label, near = n < SM_GPU_HITS_READ ? n : SM_GPU_HITS_READ;
    if (n > t->job.count)
        return sm_fail(ei, SM_E_DEVICE, "%s (%s) reports %" PRIu32 " labels below the threshold among %" PRIu32,
                       g->dev.info.id, g->dev.info.name, n, t->job.count);
    if (!job->threshold) return SM_OK;
    err = tell(g, job, t, t->records + 1, near, ei);
    if (err || n == near) return err;
    struct sm_romix_hit *rest = malloc((n - near) * sizeof *rest);
    if (!rest) return sm_fail(ei, SM_E_NOMEM, "out of memory for %" PRIu32 " labels below the threshold", n);
    err = read_back(g, g->buf.hits[turn], (1 + near) * sizeof *rest, (n - near) * sizeof *rest, rest, ei);
    if (!err) err = sm_gpu_queue_drain(&g->queue, ei);
    if (err) sm_gpu_queue_abandon(&g->queue); /* nothing may write to `rest` any more */
    if (!err) err = tell(g, job, t, rest, n - near, ei);
    if (atomic_load(&g->queue.hangs))
        g->kept_hits = rest;
    else
        free(rest);
    return err;
}

static void describe_batch(struct sm_romix_job *out, const struct sm_gpu_labeler *g, const struct sm_gpu_label_job *job,
                           size_t done)
{
    const size_t left = job->count - done;
    *out = (struct sm_romix_job){.first_label = job->first + done,
                                 .count = left < g->buf.width ? (uint32_t)left : g->buf.width,
                                 .width = g->buf.width,
                                 .labels_per_part = g->buf.labels_per_part};
    memcpy(out->commitment, job->commitment, sizeof out->commitment);
    for (unsigned i = 0; job->threshold && i < 4; i++) out->threshold[i] = sm_be64_load(job->threshold + 8 * i);
}

sm_err sm_gpu_labeler_run(struct sm_gpu_labeler *g, const struct sm_gpu_label_job *job, const struct sm_cancel *cancel,
                          uint8_t *out, struct sm_errinfo *ei)
{
    if (job->count == 0 || job->first > UINT64_MAX - (job->count - 1))
        return sm_fail(ei, SM_E_ARG, "label range %" PRIu64 " + %zu is empty or wraps", job->first, job->count);
    if (g->lost)
        return sm_fail(ei, SM_E_DEVICE, "%s (%s) failed earlier and is no longer used", g->dev.info.id,
                       g->dev.info.name);
    sm_err err = SM_OK;
    unsigned turn = 0;
    for (size_t done = 0; done < job->count && !err; turn = (turn + 1) % SM_GPU_TURNS) {
        err = collect(g, turn, job, ei);
        if (err) break;
        describe_batch(&g->turn[turn].job, g, job, done);
        err = enqueue_batch(g, turn, cancel, out + done * SM_GPU_LABEL_BYTES, ei);
        done += g->turn[turn].job.count;
    }
    for (unsigned i = 0; i < SM_GPU_TURNS && !err; i++) err = collect(g, (turn + i) % SM_GPU_TURNS, job, ei);
    if (err) sm_gpu_queue_abandon(&g->queue);
    for (unsigned i = 0; i < SM_GPU_TURNS; i++) g->turn[i].out = NULL;
    if (err == SM_E_DEVICE) g->lost = true;
    return err;
}
