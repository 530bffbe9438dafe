/* gpu/queue.h: waiting for commands; one in-order command queue with a short window of commands in flight.
 *
 * Every enqueued command is watched by its event, so no failure stays hidden. The window is long enough that the device
 * has its next command while the host prepares another, and short enough that a cancelled run stops soon. The time
 * between the ends of two commands, with the queue never empty, is the duration of the second; it paces how much work
 * the next launches get. */
#ifndef SM_GPU_QUEUE_H
#define SM_GPU_QUEUE_H

#include "gpu/cl.h"

#define SM_GPU_WINDOW 3u

/* How many ROMix steps a launch takes, adapted so that it stays near target_ns. */
struct sm_gpu_pace {
    uint32_t steps, steps_max;
    uint64_t target_ns;
    double ns_per_step; /* last measured at full width; 0 unknown */
};

struct sm_gpu_queue {
    const struct sm_cl *cl;
    const char *device; /* name for messages; borrowed */
    cl_command_queue q;
    struct {
        cl_event ev;
        struct sm_gpu_pace *pace; /* NULL: not a paced launch */
        uint32_t steps;
    } window[SM_GPU_WINDOW];
    uint32_t first, n;     /* oldest, and how many are in flight */
    uint64_t last_done_ns; /* when the last one ended */
};

/* Sleeps until the command behind `ev` has ended, by asking now and then: many drivers spin inside clWaitForEvents.
 * CL_SUCCESS, or what the command or the driver says is wrong. */
cl_int sm_gpu_wait(const struct sm_cl *cl, cl_event ev);

SM_MUST_CHECK sm_err sm_gpu_queue_init(struct sm_gpu_queue *q, const struct sm_cl *cl, cl_context context,
                                       cl_device_id dev, const char *device, struct sm_errinfo *ei);
/* Waits for whatever is in flight, without judging it. Accepts a zeroed queue. */
void sm_gpu_queue_fini(struct sm_gpu_queue *q);

/* Takes over the event of a command just enqueued, or reports why there is none: `rc` and `ev` as the enqueue call left
 * them. `pace` (may be NULL) learns from the command's duration; it must outlive the queue's next drain. Waits for the
 * oldest command when the window is full. */
SM_MUST_CHECK sm_err sm_gpu_queue_push(struct sm_gpu_queue *q, cl_int rc, cl_event ev, struct sm_gpu_pace *pace,
                                       uint32_t steps, const char *what, struct sm_errinfo *ei);

/* Waits for all commands; the first failure is returned. */
SM_MUST_CHECK sm_err sm_gpu_queue_drain(struct sm_gpu_queue *q, struct sm_errinfo *ei);

/* Waits until nothing is in flight and drops all events, whatever their outcome. */
void sm_gpu_queue_abandon(struct sm_gpu_queue *q);

#endif
