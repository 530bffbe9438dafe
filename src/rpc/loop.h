/* rpc/loop.h: the event loop: one thread that waits for descriptors, timers, and work posted by other threads.
 *
 * A turn: wait; then the descriptors that are ready, the posts in their order, the timers that are due. What a callback
 * posts or sets for "now" comes in the same or the next turn, so nobody can keep the others from their turn.
 *
 * Callbacks run on the thread inside sm_loop_run and must not block. Unless said otherwise every function belongs to that
 * thread (or to the only one, while the loop does not run). Sockets are written with MSG_NOSIGNAL throughout this folder. */
#ifndef SM_RPC_LOOP_H
#define SM_RPC_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "rpc/timers.h"
#include "util/cancel.h"
#include "util/err.h"

struct sm_loop;

/* A descriptor that is waited for; lives in its owner's struct. Set fn and ctx, zero the rest. */
struct sm_loop_fd {
    void (*fn)(void *ctx, uint32_t events); /* EPOLLIN, ...; may end the watch or release the struct */
    void *ctx;
    struct { /* private; all zero: no watch */
        bool on;
        int fd;
        uint32_t events;
    } watch;
};

/* Work for the loop thread; lives in its owner's struct. */
struct sm_loop_job {
    void (*fn)(void *ctx);
    void *ctx;
    struct sm_loop_job *next; /* private */
};

/* SM_E_NOMEM, SM_E_IO (no more descriptors). */
SM_MUST_CHECK sm_err sm_loop_new(struct sm_loop **out, struct sm_errinfo *ei);
/* Accepts NULL. The loop must not run; watches and timers that are left are forgotten, posts that are left never run. */
void sm_loop_free(struct sm_loop *l);

/* Runs until sm_loop_stop, or until `cancel` (may be NULL) is set, which is looked at each turn and at least every 100 ms.
 * Can be run again. SM_OK, or SM_E_IO when the kernel refuses to wait. */
SM_MUST_CHECK sm_err sm_loop_run(struct sm_loop *l, const struct sm_cancel *cancel, struct sm_errinfo *ei);
/* The turn that is under way is the last; a loop that does not run ends at its next start. Any thread, signal handlers. */
void sm_loop_stop(struct sm_loop *l);
/* Begins a turn soon, so that a `cancel` that was just set is seen at once. Any thread, signal handlers. */
void sm_loop_wake(struct sm_loop *l);
/* Monotonic time, constant during a turn. */
uint64_t sm_loop_now(const struct sm_loop *l);

/* Watches `fd` (borrowed; end the watch before closing it). `events` as of epoll, level-triggered; EPOLLERR and EPOLLHUP
 * always come. SM_E_NOMEM, SM_E_IO. */
SM_MUST_CHECK sm_err sm_loop_fd_add(struct sm_loop *l, struct sm_loop_fd *w, int fd, uint32_t events,
                                    struct sm_errinfo *ei);
/* Waits for other events from now on. */
void sm_loop_fd_mod(struct sm_loop *l, struct sm_loop_fd *w, uint32_t events);
/* Ends the watch; its fn is not called again. Nothing when it has ended or never began. */
void sm_loop_fd_del(struct sm_loop *l, struct sm_loop_fd *w);

/* fn is called once, in the first turn that begins at `at_ns` (sm_loop_now's clock) or later. UINT64_MAX clears. */
void sm_loop_timer_set(struct sm_loop *l, struct sm_loop_timer *t, uint64_t at_ns);
void sm_loop_timer_clear(struct sm_loop *l, struct sm_loop_timer *t);

/* Any thread: runs fn(ctx) on the loop thread, in order of posting. The queue grows with what is posted; producers bound
 * themselves. SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_loop_post(struct sm_loop *l, void (*fn)(void *ctx), void *ctx, struct sm_errinfo *ei);
/* The same, cannot fail: `job` is the queue's until its fn is called, which may release it. Not posted twice at a time. */
void sm_loop_post_job(struct sm_loop *l, struct sm_loop_job *job);
/* Takes a job back, if it still waits. True: it was taken and will not run. Any thread. */
bool sm_loop_take_job(struct sm_loop *l, struct sm_loop_job *job);

/* 64 KiB to read into, lent to the callback that is running. */
#define SM_LOOP_SCRATCH 65536u
uint8_t *sm_loop_scratch(struct sm_loop *l);

#endif
