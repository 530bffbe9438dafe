/* gpu/queue.h: one in-order command queue, the commands in flight, and sleeping until they have ended.
 *
 * Every command is watched by its event, so no failure stays hidden. Of the launches that take long a few are in flight:
 * enough that the device has its next work while the host prepares another, and few enough that a cancelled run stops
 * soon. What comes between them, transfers and short launches, is queued behind them without waiting. The time between
 * the ends of two commands, with the queue never empty, is the duration of the second; it paces how much work the next
 * launches get.
 *
 * A driver that does not end a command in time hangs: nothing more is asked of it, not even whether it is done, and the
 * owner keeps whatever the commands in flight may still read or write (sm_gpu_keep). One thread at a time, but `hangs`
 * may be asked by any. */
#ifndef SM_GPU_QUEUE_H
#define SM_GPU_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "gpu/cl.h"

#define SM_GPU_LAUNCHES  2u  /* long ones in flight */
#define SM_GPU_IN_FLIGHT 16u /* commands in flight: more than a batch has beside its long launches */

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
    uint64_t answer_ns; /* see `hangs` */
    struct {
        cl_event ev;
        struct sm_gpu_pace *pace; /* NULL: its duration teaches nothing */
        uint32_t steps;           /* 0: not a long launch */
    } flight[SM_GPU_IN_FLIGHT];   /* command k at k % SM_GPU_IN_FLIGHT */
    uint64_t pushed, ended;       /* commands so far */
    uint32_t launches;            /* long ones in flight */
    bool unflushed;
    uint64_t last_done_ns; /* when the last one ended */
    atomic_bool hangs;     /* a command had not ended answer_ns after everything before it had */
};

SM_MUST_CHECK sm_err sm_gpu_queue_init(struct sm_gpu_queue *q, const struct sm_cl *cl, cl_context context,
                                       cl_device_id dev, const char *device, uint32_t answer_ms, struct sm_errinfo *ei);
/* Waits for whatever is in flight, without judging it. Accepts a zeroed queue. One that hangs is left as it is. */
void sm_gpu_queue_fini(struct sm_gpu_queue *q);

/* Takes over the event of a command just enqueued, or reports why there is none: `rc` and `ev` as the enqueue call left
 * them. A launch of ROMix steps says how many, and `pace` (may be NULL) learns from its duration; it must outlive the
 * queue's next drain. Sleeps while too many are in flight. */
SM_MUST_CHECK sm_err sm_gpu_queue_push(struct sm_gpu_queue *q, cl_int rc, cl_event ev, struct sm_gpu_pace *pace,
                                       uint32_t steps, const char *what, struct sm_errinfo *ei);

/* Sleeps until the first `n` commands pushed so far have ended; the first failure is returned. */
SM_MUST_CHECK sm_err sm_gpu_queue_wait(struct sm_gpu_queue *q, uint64_t n, struct sm_errinfo *ei);

/* The same for all commands. */
SM_MUST_CHECK sm_err sm_gpu_queue_drain(struct sm_gpu_queue *q, struct sm_errinfo *ei);

/* After a failure: waits until nothing is in flight and drops all events, whatever their outcome; or until it hangs. */
void sm_gpu_queue_abandon(struct sm_gpu_queue *q);

/* Keeps for ever what contains this member, because a hanging driver may still use it. */
struct sm_gpu_kept {
    struct sm_gpu_kept *next;
};
void sm_gpu_keep(struct sm_gpu_kept *k);

#endif
