/* post/prove_impl.h: what the prover's files share with each other; nobody else includes it.
 *
 *   prove.c             one proof: refusals, passes, the result
 *   prove_data.c        the data set: complete, and what identifies it
 *   prove_k2pow.c       proofs of work of a pass, and the ciphers they give
 *   prove_scan.c        one pass over the labels: scan threads and the merge
 *   prove_ring.c        batches on their way from the readers over the scanners to the merge
 *   prove_lanes.c       one cursor per disk, and what is ahead of the order of the labels
 *   prove_reader.c      reader threads, read-ahead
 *   prove_device.c      OpenCL devices that scan too
 *   prove_bad.c         labels that verification found wrong on disk
 *   prove_checkpoint.c  what survives a restart
 *
 * Readers, some for each disk, fill slots with consecutive batches of the labels there, scanners turn a batch into a list of
 * hits, and the calling thread merges the lists in the order of the labels; what is ahead of it waits. So the result depends
 * neither on the number of threads nor on that of disks: it is the one of a single thread (post.md §5.6). */
#ifndef SM_POST_PROVE_IMPL_H
#define SM_POST_PROVE_IMPL_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "crypto/aes.h"
#include "gpu/scanner.h"
#include "post/layout.h"
#include "post/prove.h"
#include "post/prove_lanes.h"
#include "util/mem.h"

/* The data set, checked: every file is there and long enough. */
struct sm_prove_data {
    const char *dir; /* borrowed */
    struct sm_node_id node_id;
    struct sm_atx_id commitment_atx_id;
    uint32_t num_units;
    uint64_t labels_per_unit;
    struct sm_layout layout;
    bool reference_tail;
    struct sm_prove_disks disks;
    uint8_t identity[32]; /* changes when the metadata, or a file's size or modification time does */
};

/* SM_E_NOTFOUND, SM_E_FORMAT, SM_E_MISMATCH as sm_prove_run. */
SM_MUST_CHECK sm_err sm_prove_data_open(const struct sm_prove_cfg *cfg, struct sm_prove_data *out,
                                        struct sm_errinfo *ei);
void sm_prove_data_fini(struct sm_prove_data *d); /* accepts a zeroed one */

/* Good labels of a pass, per nonce, in scan order (which is ascending). */
struct sm_prove_lists {
    uint32_t nonces, k2;
    uint32_t *counts; /* [nonces], each at most k2 */
    uint64_t *labels; /* [nonces][k2] */
    uint32_t longest;
};
SM_MUST_CHECK sm_err sm_prove_lists_init(struct sm_prove_lists *l, uint32_t nonces, uint32_t k2, struct sm_errinfo *ei);
void sm_prove_lists_fini(struct sm_prove_lists *l); /* accepts a zeroed struct */

/* One pass: the nonces [first_nonce, first_nonce + lists.nonces). This is what a checkpoint holds. */
struct sm_prove_pass {
    uint32_t number, first_nonce;
    bool has_pow;        /* pow[] is filled; false only between passes */
    uint64_t pow[256];   /* per group of the pass */
    uint64_t next_label; /* every label below it is in the lists */
    struct sm_prove_lists lists;
    bool found;
    uint32_t winner; /* index into the lists */
};

/* Labels that are wrong on disk, ascending: no scan takes them. */
struct sm_prove_bad {
    uint32_t n;
    uint64_t labels[SM_PROVE_BAD_MAX];
};
bool sm_prove_is_bad(const struct sm_prove_bad *b, uint64_t label);

/* An OpenCL device. Its lanes are scanners like the processor's threads. */
struct sm_prove_device {
    const char *id; /* borrowed */
    struct sm_gpu_scanner *scanner;
    uint8_t *labels;        /* of its buffers: pinned, or `ordinary` */
    struct sm_mem ordinary; /* unset when pinned */
    bool usable;            /* has the job of this pass */
};

/* A running proof: constant but for what stands from `bad` on, which belongs to the calling thread. */
struct sm_prover {
    const struct sm_prove_cfg *cfg;
    const struct sm_cancel *cancel;
    unsigned threads, readers; /* readers: of each disk */
    struct sm_prove_data data;
    const struct sm_scan_variant *variant;
    struct sm_prove_device *devices; /* [devices_n] */
    unsigned devices_n;
    uint64_t difficulty; /* of labels */
    uint8_t k2pow_difficulty[32];
    char state_dir[4096]; /* "" keeps nothing */
    char checkpoint_path[4096 + 64];
    uint8_t binding[32]; /* what a checkpoint must be about */
    bool checkpoint_warned;
    struct sm_randomx *randomx; /* only while proofs of work are made */
    struct sm_randomx_cfg randomx_cfg;
    struct sm_prove_bad bad; /* constant during a scan */
    bool pow_holds;          /* of this pass: made, or checked after a restart */
    struct sm_prove_pass pass;
    struct sm_prove_progress progress;
    struct sm_prove_result result;
};

/* Opens the devices of the configuration; those that do not work are logged and left out. SM_E_NOTFOUND, SM_E_ARG: there is
 * no such device. SM_E_CANCELLED. */
SM_MUST_CHECK sm_err sm_prove_devices_open(struct sm_prover *p, struct sm_errinfo *ei);
/* Tells them what is scanned for; one that fails is left out of the pass. */
void sm_prove_devices_brief(struct sm_prover *p, const struct sm_scan_job *job);
void sm_prove_devices_close(struct sm_prover *p);

void sm_prove_report(struct sm_prover *p); /* calls cfg->progress, if any */

/* Fills pass.pow from the checkpoint, the cache or by searching. A pow of the checkpoint that does not hold is
 * SM_E_MISMATCH: forget the checkpoint. */
SM_MUST_CHECK sm_err sm_prove_k2pow(struct sm_prover *p, struct sm_errinfo *ei);
/* The ciphers of the pass; `out` has one entry per group. */
void sm_prove_ciphers(const struct sm_prover *p, struct sm_scan_group *out);

/* Scans from pass.next_label until a list is full (pass.found) or the labels end. On failure pass.next_label and the
 * lists hold what was finished. */
SM_MUST_CHECK sm_err sm_prove_scan(struct sm_prover *p, struct sm_errinfo *ei);

/* Positions bad[0 … n) of the result's indices, ascending, are wrong on disk: logs where, leaves them out, and puts the
 * pass back to where the scan goes on; the indices of the result are garbage then. SM_E_MISMATCH: too many, or all of the
 * data seems wrong. SM_E_IO, SM_E_CANCELLED. */
SM_MUST_CHECK sm_err sm_prove_leave_out(struct sm_prover *p, const uint32_t *bad, uint32_t n, struct sm_errinfo *ei);
/* Fills the result's bad labels. */
void sm_prove_bad_summary(struct sm_prover *p);

/* All may be called with an empty checkpoint_path and then do nothing. A checkpoint that cannot be written is worth a
 * warning, not the proof. */
void sm_prove_checkpoint_save(struct sm_prover *p);
void sm_prove_checkpoint_remove(struct sm_prover *p);
/* False when there is none that fits; the reason is logged. `pass` has lists of cfg->nonces * k2 entries and is only
 * touched on success. */
bool sm_prove_checkpoint_load(struct sm_prover *p);

/* --- the ring (prove_scan.c, prove_reader.c) --- */

typedef enum sm_prove_slot_state {
    SM_SLOT_FREE,
    SM_SLOT_READING,
    SM_SLOT_READY,
    SM_SLOT_SCANNING,
    SM_SLOT_DONE,
    SM_SLOT_FAILED
} sm_prove_slot_state;

#define SM_PROVE_NO_DEVICE UINT_MAX
#define SM_PROVE_ALIGN     4096u /* of buffers and their sizes: direct I/O */

/* Memory for one batch, of one size for all buffers of a device. */
struct sm_prove_buf {
    uint8_t *p;
    size_t bytes;
    unsigned device; /* that reads it fastest, by position; SM_PROVE_NO_DEVICE: ordinary memory */
    struct sm_prove_buf *next;
};

/* A batch on its way. The state says who owns the rest: a reader while READING, a scanner while SCANNING, the
 * merging thread when DONE or FAILED. */
struct sm_prove_slot {
    sm_prove_slot_state state;  /* under ring.mu */
    struct sm_prove_slot *next; /* in the list of the free, of the ready or of the done ones */
    struct sm_prove_buf *buf;   /* until it is scanned */
    struct sm_prove_batch batch;
    struct sm_scan_hit *hits;
    size_t hits_n, hits_room;
    sm_err err;
    struct sm_errinfo ei;
};

/* Index 1 of a pair: devices, 0: the processor. */
struct sm_prove_ring {
    struct sm_prover *p; /* constant parts only */
    unsigned slots_n;
    struct sm_prove_slot *slots;
    struct sm_prove_buf *bufs;
    unsigned bufs_n;
    struct sm_mem mem; /* of the ordinary buffers */
    struct sm_scan_job job;
    atomic_bool stop; /* everybody out, work unfinished */
    atomic_uint_fast64_t bytes_read;
    pthread_mutex_t mu;
    pthread_cond_t free_cond;          /* readers: a slot or a buffer is free, or stop */
    pthread_cond_t ready_cond[2];      /* scanners: a slot is ready, or stop */
    pthread_cond_t done_cond;          /* merging thread: a slot is done or failed */
    struct sm_prove_buf *free_bufs[2]; /* under mu */
    struct sm_prove_slot *free_slots;  /* under mu */
    struct sm_prove_slot *ready;       /* under mu: smallest label first */
    struct sm_prove_slot *done;        /* under mu: scanned or failed, for the merge; likewise */
    unsigned busy;                     /* under mu: slots that are being read, wait for a scanner, or are with one */
    unsigned idle[2];                  /* under mu: scanners that wait */
    struct sm_prove_lanes lanes;       /* under mu: what is read next */
};

/* `cpu_scanners`: threads that scan on the processor. */
SM_MUST_CHECK sm_err sm_prove_ring_init(struct sm_prove_ring *r, struct sm_prover *p, unsigned cpu_scanners,
                                        struct sm_errinfo *ei);
void sm_prove_ring_fini(struct sm_prove_ring *r);
void sm_prove_ring_stop(struct sm_prove_ring *r); /* all threads return soon */

/* Waits for a free slot and a buffer and takes them with the next batch of the lane; NULL when there is nothing more to
 * read in it. Then the slot is given on: filled, or the failure to do so, behind which nothing is read. */
struct sm_prove_slot *sm_prove_ring_take_empty(struct sm_prove_ring *r, unsigned lane);
void sm_prove_ring_filled(struct sm_prove_ring *r, struct sm_prove_slot *slot, sm_err err);
/* Waits for a filled slot; NULL: stop. `device`: position, or SM_PROVE_NO_DEVICE. Then the slot is given on. */
struct sm_prove_slot *sm_prove_ring_take_ready(struct sm_prove_ring *r, unsigned device);
void sm_prove_ring_scanned(struct sm_prove_ring *r, struct sm_prove_slot *slot);
/* Waits a little for a batch that was scanned, or failed; in any order. */
typedef enum sm_prove_next { SM_NEXT_READY, SM_NEXT_WAIT, SM_NEXT_END } sm_prove_next;
sm_prove_next sm_prove_ring_next(struct sm_prove_ring *r, struct sm_prove_slot **out);
void sm_prove_ring_merged(struct sm_prove_ring *r, struct sm_prove_slot *slot); /* it is free again */

/* A thread that reads one lane. */
struct sm_prove_reader {
    struct sm_prove_ring *ring;
    unsigned lane;
    pthread_t thread;
};
void *sm_prove_reader_main(void *reader);

#endif
