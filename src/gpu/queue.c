#include "gpu/queue.h"

#include "util/clock.h"

#define NAP_MIN_NS UINT64_C(20000)
#define NAP_MAX_NS (2 * SM_NS_PER_MS)

/* Naps are an eighth of the time waited so far. The wait at the end costs nothing; it is what makes results visible. Some
 * drivers leave it at success when a command failed: the event knows better. */
cl_int sm_gpu_wait(const struct sm_cl *cl, cl_event ev)
{
    const uint64_t start = sm_clock_ns();
    cl_int status = CL_QUEUED;
    while (cl->GetEventInfo(ev, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL) == CL_SUCCESS) {
        if (status < 0) return status;
        if (status == CL_COMPLETE) break;
        const uint64_t nap = (sm_clock_ns() - start) / 8;
        sm_clock_sleep_ns(nap < NAP_MIN_NS ? NAP_MIN_NS : nap > NAP_MAX_NS ? NAP_MAX_NS : nap);
    }
    const cl_int rc = cl->WaitForEvents(1, &ev);
    if (rc != CL_SUCCESS &&
        cl->GetEventInfo(ev, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL) == CL_SUCCESS &&
        status < 0)
        return status; /* the wait says only that an event failed */
    return rc;
}

sm_err sm_gpu_queue_init(struct sm_gpu_queue *q, const struct sm_cl *cl, cl_context context, cl_device_id dev,
                         const char *device, struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    *q = (struct sm_gpu_queue){.cl = cl, .device = device};
    q->q = cl->CreateCommandQueue(context, dev, 0, &rc);
    return q->q && rc == CL_SUCCESS ? SM_OK : sm_cl_fail(ei, rc, "clCreateCommandQueue on %s", device);
}

void sm_gpu_queue_fini(struct sm_gpu_queue *q)
{
    if (!q->q) return;
    sm_gpu_queue_abandon(q);
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

static sm_err wait_oldest(struct sm_gpu_queue *q, struct sm_errinfo *ei)
{
    cl_event ev = q->window[q->first].ev;
    struct sm_gpu_pace *pace = q->window[q->first].pace;
    const uint32_t steps = q->window[q->first].steps;
    q->first = (q->first + 1) % SM_GPU_WINDOW;
    q->n--;

    nap(q, pace, steps);
    sm_err err = SM_OK;
    const cl_int rc = sm_gpu_wait(q->cl, ev);
    if (rc != CL_SUCCESS) err = sm_cl_fail(ei, rc, "%s failed at its work", q->device);
    (void)q->cl->ReleaseEvent(ev);

    const uint64_t now = sm_clock_ns();
    if (!err && pace) pace_learn(pace, steps, now - q->last_done_ns);
    q->last_done_ns = now;
    return err;
}

sm_err sm_gpu_queue_push(struct sm_gpu_queue *q, cl_int rc, cl_event ev, struct sm_gpu_pace *pace, uint32_t steps,
                         const char *what, struct sm_errinfo *ei)
{
    if (rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "%s on %s", what, q->device);
    if (!ev) return sm_fail(ei, SM_E_DEVICE, "%s on %s: the driver gave no event", what, q->device);
    if (q->n == 0) q->last_done_ns = sm_clock_ns();
    const uint32_t at = (q->first + q->n) % SM_GPU_WINDOW;
    q->window[at].ev = ev;
    q->window[at].pace = pace;
    q->window[at].steps = steps;
    q->n++;
    rc = q->cl->Flush(q->q); /* drivers may otherwise collect commands until somebody waits */
    if (rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "clFlush on %s", q->device);
    return q->n == SM_GPU_WINDOW ? wait_oldest(q, ei) : SM_OK;
}

sm_err sm_gpu_queue_drain(struct sm_gpu_queue *q, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    while (q->n && !err) err = wait_oldest(q, ei);
    if (err) sm_gpu_queue_abandon(q);
    return err;
}

void sm_gpu_queue_abandon(struct sm_gpu_queue *q)
{
    (void)q->cl->Finish(q->q);
    for (; q->n; q->n--) {
        (void)q->cl->ReleaseEvent(q->window[q->first].ev);
        q->first = (q->first + 1) % SM_GPU_WINDOW;
    }
}
