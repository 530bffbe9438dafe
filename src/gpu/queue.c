#include "gpu/queue.h"

#include <pthread.h>

#include "util/clock.h"

#define NAP_MIN_NS UINT64_C(20000)
#define NAP_MAX_NS (2 * SM_NS_PER_MS)

sm_err sm_gpu_queue_init(struct sm_gpu_queue *q, const struct sm_cl *cl, cl_context context, cl_device_id dev,
                         const char *device, uint32_t answer_ms, struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    *q = (struct sm_gpu_queue){.cl = cl, .device = device, .answer_ns = answer_ms * SM_NS_PER_MS};
    q->q = cl->CreateCommandQueue(context, dev, 0, &rc);
    return q->q && rc == CL_SUCCESS ? SM_OK : sm_cl_fail(ei, rc, "clCreateCommandQueue on %s", device);
}

void sm_gpu_queue_fini(struct sm_gpu_queue *q)
{
    if (!q->q) return;
    sm_gpu_queue_abandon(q);
    if (atomic_load(&q->hangs)) return;
    (void)q->cl->ReleaseCommandQueue(q->q);
    q->q = NULL;
}

static void pace_learn(struct sm_gpu_pace *p, uint32_t steps, uint64_t ns)
{
    if (2 * (uint64_t)steps < p->steps) return; /* a remainder: mostly overhead, it tells nothing about long launches */
    p->ns_per_step = (double)ns / steps;
    const double fit = p->ns_per_step > 0 ? (double)p->target_ns / p->ns_per_step : p->steps_max;
    if (fit < p->steps) {
        p->steps = fit < 1 ? 1 : (uint32_t)fit;
        return;
    }
    /* At most twice what was measured: the first launches are the shortest and tell least. */
    const double next = fit < 2.0 * steps ? fit : 2.0 * steps;
    if (next > p->steps) p->steps = next < p->steps_max ? (uint32_t)next : p->steps_max;
}

/* Most of the expected time in one piece; waking late costs nothing while further commands are queued. */
static void nap(const struct sm_gpu_queue *q, const struct sm_gpu_pace *pace, uint32_t steps)
{
    if (!pace) return;
    const uint64_t passed = sm_clock_ns() - q->last_done_ns;
    const uint64_t most = (uint64_t)(0.9 * pace->ns_per_step * steps);
    if (most > passed + SM_NS_PER_MS) sm_clock_sleep_ns(most - passed);
}

/* Sleeps until the command behind `ev` has ended. Many drivers spin inside clWaitForEvents, so this asks, and sleeps an
 * eighth of the time waited so far in between. *out: CL_COMPLETE, what the command says is wrong, or CL_QUEUED when the
 * driver does not tell; false: no end. */
static bool doze(const struct sm_gpu_queue *q, cl_event ev, cl_int *out)
{
    const uint64_t start = sm_clock_ns();
    for (;;) {
        *out = CL_QUEUED;
        const cl_int rc = q->cl->GetEventInfo(ev, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof *out, out, NULL);
        if (rc != CL_SUCCESS || *out <= CL_COMPLETE) return true;
        const uint64_t waited = sm_clock_ns() - start, pause = waited / 8;
        if (waited > q->answer_ns) return false;
        sm_clock_sleep_ns(pause < NAP_MIN_NS ? NAP_MIN_NS : pause > NAP_MAX_NS ? NAP_MAX_NS : pause);
    }
}

/* After doze: the wait makes results visible. It says only that an event failed; the event knows why. Some drivers leave
 * the wait at success. */
static cl_int outcome(const struct sm_gpu_queue *q, cl_event ev, cl_int dozed)
{
    if (dozed < 0) return dozed;
    cl_int status = CL_COMPLETE;
    const cl_int rc = q->cl->WaitForEvents(1, &ev);
    if (rc == CL_SUCCESS && dozed == CL_COMPLETE) return CL_SUCCESS;
    if (q->cl->GetEventInfo(ev, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL) == CL_SUCCESS &&
        status < 0)
        return status;
    return rc;
}

static sm_err wait_oldest(struct sm_gpu_queue *q, struct sm_errinfo *ei)
{
    const uint32_t at = q->ended % SM_GPU_IN_FLIGHT, steps = q->flight[at].steps;
    const cl_event ev = q->flight[at].ev;
    struct sm_gpu_pace *pace = q->flight[at].pace;

    nap(q, pace, steps);
    cl_int status;
    if (!doze(q, ev, &status)) {
        atomic_store(&q->hangs, true);
        return sm_fail(
            ei, SM_E_DEVICE,
            "%s hangs: a command was not done after %.1f s; it is used no more; if it stays so, restart its driver",
            q->device, 1e-9 * (double)q->answer_ns);
    }
    const cl_int rc = outcome(q, ev, status);
    (void)q->cl->ReleaseEvent(ev);
    q->ended++;
    q->launches -= steps > 0;

    const uint64_t now = sm_clock_ns();
    if (rc == CL_SUCCESS && pace) pace_learn(pace, steps, now - q->last_done_ns);
    q->last_done_ns = now;
    return rc == CL_SUCCESS ? SM_OK : sm_cl_fail(ei, rc, "%s failed at its work", q->device);
}

/* Drivers may otherwise collect commands until somebody waits. */
static sm_err flush(struct sm_gpu_queue *q, struct sm_errinfo *ei)
{
    if (!q->unflushed) return SM_OK;
    const cl_int rc = q->cl->Flush(q->q);
    if (rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "clFlush on %s", q->device);
    q->unflushed = false;
    return SM_OK;
}

sm_err sm_gpu_queue_push(struct sm_gpu_queue *q, cl_int rc, cl_event ev, struct sm_gpu_pace *pace, uint32_t steps,
                         const char *what, struct sm_errinfo *ei)
{
    if (rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "%s on %s", what, q->device);
    if (!ev) return sm_fail(ei, SM_E_DEVICE, "%s on %s: the driver gave no event", what, q->device);
    if (q->pushed == q->ended) q->last_done_ns = sm_clock_ns();
    const uint32_t at = q->pushed++ % SM_GPU_IN_FLIGHT;
    q->flight[at].ev = ev;
    q->flight[at].pace = pace;
    q->flight[at].steps = steps;
    q->launches += steps > 0;
    q->unflushed = true;
    const bool full = q->pushed - q->ended == SM_GPU_IN_FLIGHT;
    sm_err err = steps || full ? flush(q, ei) : SM_OK;
    if (!err && full) err = wait_oldest(q, ei);
    while (!err && q->launches > SM_GPU_LAUNCHES) err = wait_oldest(q, ei);
    return err;
}

sm_err sm_gpu_queue_wait(struct sm_gpu_queue *q, uint64_t n, struct sm_errinfo *ei)
{
    sm_err err = q->ended < n ? flush(q, ei) : SM_OK;
    while (!err && q->ended < n) err = wait_oldest(q, ei);
    return err;
}

sm_err sm_gpu_queue_drain(struct sm_gpu_queue *q, struct sm_errinfo *ei)
{
    return sm_gpu_queue_wait(q, q->pushed, ei);
}

/* The last call is for commands of which there is no event; with the others done it cannot take long. */
void sm_gpu_queue_abandon(struct sm_gpu_queue *q)
{
    (void)flush(q, NULL);
    while (q->ended < q->pushed && !atomic_load(&q->hangs)) (void)wait_oldest(q, NULL);
    if (!atomic_load(&q->hangs)) (void)q->cl->Finish(q->q);
}

void sm_gpu_keep(struct sm_gpu_kept *k)
{
    static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
    static struct sm_gpu_kept *all;
    (void)pthread_mutex_lock(&mu);
    k->next = all;
    all = k;
    (void)pthread_mutex_unlock(&mu);
}
