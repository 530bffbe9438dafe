#include "gpu/scanner_impl.h"
#include "util/clock.h"

#define NAP_MIN_NS UINT64_C(20000)
#define NAP_MAX_NS (2 * SM_NS_PER_MS)

sm_err sm_gpu_scan_queue_init(struct sm_gpu_scan_queue *q, const struct sm_cl *cl, cl_context context, cl_device_id dev,
                              const char *device, struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    q->cl = cl;
    q->device = device;
    q->q = cl->CreateCommandQueue(context, dev, 0, &rc);
    return q->q && rc == CL_SUCCESS ? SM_OK : sm_cl_fail(ei, rc, "clCreateCommandQueue on %s", device);
}

void sm_gpu_scan_queue_fini(struct sm_gpu_scan_queue *q)
{
    if (!q->q) return;
    sm_gpu_scan_abandon(q);
    (void)q->cl->ReleaseCommandQueue(q->q);
    q->q = NULL;
}

sm_err sm_gpu_scan_push(struct sm_gpu_scan_queue *q, cl_int rc, cl_event ev, const char *what, struct sm_errinfo *ei)
{
    if (rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "%s on %s", what, q->device);
    if (!ev) return sm_fail(ei, SM_E_DEVICE, "%s on %s: the driver gave no event", what, q->device);
    q->events[q->n++] = ev;
    return q->n == SM_GPU_SCAN_IN_FLIGHT ? sm_gpu_scan_drain(q, ei) : SM_OK;
}

/* Many drivers spin inside clWaitForEvents, so this asks, and sleeps an eighth of the time waited so far in between.
 * The other lanes keep the device at work meanwhile. Whatever is wrong is for `outcome` to say; false: no answer. */
static bool doze(const struct sm_gpu_scan_queue *q)
{
    const uint64_t start = sm_clock_ns();
    for (;;) {
        cl_int status = CL_COMPLETE;
        const cl_int rc =
            q->cl->GetEventInfo(q->events[q->n - 1], CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
        if (rc != CL_SUCCESS || status <= CL_COMPLETE) return true;
        const uint64_t waited = sm_clock_ns() - start, nap = waited / 8;
        if (waited > q->answer_ns) return false;
        sm_clock_sleep_ns(nap < NAP_MIN_NS ? NAP_MIN_NS : nap > NAP_MAX_NS ? NAP_MAX_NS : nap);
    }
}

/* The wait says only that an event failed; the event knows why. Some drivers leave the wait at success. */
static cl_int outcome(const struct sm_gpu_scan_queue *q, cl_event ev)
{
    cl_int status = CL_COMPLETE;
    const cl_int rc = q->cl->WaitForEvents(1, &ev);
    if (q->cl->GetEventInfo(ev, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL) == CL_SUCCESS &&
        status < 0)
        return status;
    return rc;
}

sm_err sm_gpu_scan_drain(struct sm_gpu_scan_queue *q, struct sm_errinfo *ei)
{
    if (q->n == 0) return SM_OK;
    cl_int rc = q->cl->Flush(q->q); /* drivers may otherwise collect commands until somebody waits */
    if (rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "clFlush on %s", q->device);
    if (!doze(q)) {
        atomic_store(&q->hangs, true);
        return sm_fail(ei, SM_E_DEVICE, "%s hangs: a launch was not done after %.1f s", q->device,
                       1e-9 * (double)q->answer_ns);
    }
    for (unsigned i = 0; i < q->n && rc == CL_SUCCESS; i++) rc = outcome(q, q->events[i]);
    if (rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "%s failed at its work", q->device);
    while (q->n) (void)q->cl->ReleaseEvent(q->events[--q->n]);
    return SM_OK;
}

void sm_gpu_scan_abandon(struct sm_gpu_scan_queue *q)
{
    if (atomic_load(&q->hangs)) return;
    (void)q->cl->Finish(q->q);
    while (q->n) (void)q->cl->ReleaseEvent(q->events[--q->n]);
}
