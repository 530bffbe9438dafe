#include "post/prove_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

/* Ours: large enough for direct I/O to reach the disk's speed, small enough to stay in the cache between reader and
 * scanner; measured, bench/prove. A device wants all that one call takes. */
#define BATCH_BYTES     ((size_t)1 << 20)
#define BATCH_BYTES_MIN ((size_t)64 << 10)
#define ORDINARY_MAX    ((size_t)96 << 20)
#define PINNED_MAX      ((size_t)256 << 20)
#define BUFS_PER_DEVICE (2 * SM_GPU_SCAN_LANES + 2) /* one at work and one waiting for each lane, two being read */
/* Batches on their way for every buffer: the merge may be busy for a moment, writing a checkpoint. What is read and not
 * merged is lost with the process, so not many more. */
#define SLOTS_PER_BUF 2u
#define WAKE_NS       (25 * SM_NS_PER_MS) /* the merging thread looks at the cancel flag at least this often */

static void slot_list_add(struct sm_prove_slot **list, struct sm_prove_slot *s)
{
    s->next = *list;
    *list = s;
}

static struct sm_prove_slot *slot_list_take(struct sm_prove_slot **list)
{
    struct sm_prove_slot *s = *list;
    if (s) *list = s->next;
    return s;
}

/* Smallest label first: the merge waits for that one. */
static void slot_list_insert(struct sm_prove_slot **list, struct sm_prove_slot *s)
{
    while (*list && (*list)->batch.first_label < s->batch.first_label) list = &(*list)->next;
    slot_list_add(list, s);
}

/* ---- buffers ---- */

static void free_list_add(struct sm_prove_ring *r, struct sm_prove_buf *b)
{
    struct sm_prove_buf **list = &r->free_bufs[b->device != SM_PROVE_NO_DEVICE];
    b->next = *list;
    *list = b;
}

/* Devices first: where the disk is the limit, the processors then have nothing to do. */
static struct sm_prove_buf *free_list_take(struct sm_prove_ring *r)
{
    struct sm_prove_buf **list = &r->free_bufs[r->free_bufs[1] != NULL], *b = *list;
    if (b) *list = b->next;
    return b;
}

/* Cuts `mem` into buffers of `bytes`. */
static void add_bufs(struct sm_prove_ring *r, uint8_t *mem, unsigned n, size_t bytes, unsigned device)
{
    for (unsigned i = 0; i < n; i++) {
        struct sm_prove_buf *b = &r->bufs[r->bufs_n++];
        *b = (struct sm_prove_buf){.p = mem + i * bytes, .bytes = bytes, .device = device};
        free_list_add(r, b);
    }
}

/* A buffer's bytes for a device: what one of its calls takes, less when there are many devices. */
static size_t device_batch(const struct sm_prover *p, const struct sm_prove_device *d)
{
    size_t bytes = SM_LABEL_BYTES * sm_gpu_scanner_labels_max(d->scanner);
    while (bytes * BUFS_PER_DEVICE * p->devices_n > PINNED_MAX && bytes > BATCH_BYTES_MIN) bytes /= 2;
    return bytes - bytes % SM_PROVE_ALIGN;
}

/* Pinned once for all passes; ordinary memory where the driver has no other. */
static sm_err device_memory(struct sm_prover *p, struct sm_prove_device *d, struct sm_errinfo *ei)
{
    struct sm_errinfo why = {0};
    const size_t bytes = BUFS_PER_DEVICE * device_batch(p, d);
    if (d->labels) return SM_OK;
    if (sm_gpu_scanner_pin(d->scanner, bytes, &d->labels, &why) == SM_OK) return SM_OK;
    if (!sm_mem_map(&d->ordinary, bytes, SM_PAGES_THP))
        return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu bytes of labels for %s", bytes, d->id);
    d->labels = d->ordinary.p;
    return SM_OK;
}

static sm_err make_bufs(struct sm_prove_ring *r, unsigned cpu_scanners, struct sm_errinfo *ei)
{
    struct sm_prover *p = r->p;
    const unsigned ordinary = cpu_scanners ? 2 * (cpu_scanners + p->readers * p->data.disks.lanes_n) : 0;
    size_t bytes = BATCH_BYTES;
    while (bytes * ordinary > ORDINARY_MAX && bytes > BATCH_BYTES_MIN) bytes /= 2;
    r->bufs = calloc(ordinary + BUFS_PER_DEVICE * p->devices_n, sizeof *r->bufs);
    if (!r->bufs || (ordinary && !sm_mem_map(&r->mem, ordinary * bytes, SM_PAGES_THP)))
        return sm_fail(ei, SM_E_NOMEM, "out of memory for %u buffers of %zu bytes", ordinary, bytes);
    if (ordinary) add_bufs(r, r->mem.p, ordinary, bytes, SM_PROVE_NO_DEVICE);
    sm_err err = SM_OK;
    for (unsigned i = 0; i < p->devices_n && !err; i++) {
        struct sm_prove_device *d = &p->devices[i];
        err = device_memory(p, d, ei);
        if (!err) add_bufs(r, d->labels, BUFS_PER_DEVICE, device_batch(p, d), i);
    }
    return err;
}

/* ---- making it ---- */

sm_err sm_prove_ring_init(struct sm_prove_ring *r, struct sm_prover *p, unsigned cpu_scanners, struct sm_errinfo *ei)
{
    *r = (struct sm_prove_ring){.p = p};
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&r->mu, NULL);
    (void)pthread_cond_init(&r->free_cond, NULL);
    for (unsigned i = 0; i < 2; i++) (void)pthread_cond_init(&r->ready_cond[i], NULL);
    (void)pthread_cond_init(&r->done_cond, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);

    const uint32_t groups_n = p->pass.lists.nonces / SM_NONCES_PER_GROUP;
    struct sm_scan_group *groups = aligned_alloc(_Alignof(struct sm_scan_group), groups_n * sizeof *groups);
    r->job = (struct sm_scan_job){.groups = groups,
                                  .groups_n = groups_n,
                                  .difficulty_msb = (uint8_t)(p->difficulty >> 56),
                                  .difficulty_lsb = p->difficulty & ((UINT64_C(1) << 56) - 1)};
    if (!groups) return sm_fail(ei, SM_E_NOMEM, "out of memory for a pass over the labels");
    sm_prove_ciphers(p, groups);
    sm_prove_lanes_seek(&r->lanes, &p->data.disks, &p->data.layout, p->data.reference_tail, p->pass.next_label);
    p->pass.next_label = sm_prove_lanes_next(&r->lanes, p->pass.next_label);
    sm_err err = make_bufs(r, cpu_scanners, ei);
    if (err) return err;
    r->slots = calloc(SLOTS_PER_BUF * r->bufs_n, sizeof *r->slots);
    if (!r->slots) return sm_fail(ei, SM_E_NOMEM, "out of memory for a pass over the labels");
    for (; r->slots_n < SLOTS_PER_BUF * r->bufs_n; r->slots_n++) slot_list_add(&r->free_slots, &r->slots[r->slots_n]);
    return SM_OK;
}

void sm_prove_ring_fini(struct sm_prove_ring *r)
{
    for (unsigned i = 0; r->slots && i < r->slots_n; i++) free(r->slots[i].hits);
    free(r->slots);
    free(r->bufs);
    free((void *)(size_t)r->job.groups);
    bool hangs = false; /* such a driver may still read the labels */
    for (unsigned i = 0; i < r->p->devices_n; i++) hangs |= sm_gpu_scanner_hangs(r->p->devices[i].scanner);
    if (!hangs) sm_mem_unmap(&r->mem);
    (void)pthread_cond_destroy(&r->done_cond);
    for (unsigned i = 0; i < 2; i++) (void)pthread_cond_destroy(&r->ready_cond[i]);
    (void)pthread_cond_destroy(&r->free_cond);
    (void)pthread_mutex_destroy(&r->mu);
}

void sm_prove_ring_stop(struct sm_prove_ring *r)
{
    (void)pthread_mutex_lock(&r->mu);
    atomic_store(&r->stop, true);
    (void)pthread_cond_broadcast(&r->free_cond);
    for (unsigned i = 0; i < 2; i++) (void)pthread_cond_broadcast(&r->ready_cond[i]);
    (void)pthread_mutex_unlock(&r->mu);
}

/* ---- readers ---- */

/* Under mu. A slot and a buffer with the lane's next batch; NULL: one of them is missing. */
static struct sm_prove_slot *try_empty(struct sm_prove_ring *r, unsigned lane)
{
    struct sm_prove_buf *buf = r->free_slots ? free_list_take(r) : NULL;
    if (!buf) return NULL;
    struct sm_prove_slot *slot = slot_list_take(&r->free_slots);
    (void)sm_prove_lanes_cut(&r->lanes, lane, buf->bytes / SM_LABEL_BYTES, &slot->batch); /* there is one */
    slot->buf = buf;
    slot->state = SM_SLOT_READING;
    slot->err = SM_OK;
    r->busy++;
    return slot;
}

struct sm_prove_slot *sm_prove_ring_take_empty(struct sm_prove_ring *r, unsigned lane)
{
    struct sm_prove_slot *slot = NULL;
    (void)pthread_mutex_lock(&r->mu);
    while (!atomic_load(&r->stop) && sm_prove_lanes_more(&r->lanes, lane)) {
        slot = try_empty(r, lane);
        if (slot) break;
        (void)pthread_cond_wait(&r->free_cond, &r->mu);
    }
    if (!slot) { /* what woke this reader may be for another lane; those of this lane may go home */
        (void)pthread_cond_broadcast(&r->free_cond);
        (void)pthread_cond_signal(&r->done_cond);
    }
    (void)pthread_mutex_unlock(&r->mu);
    return slot;
}

/* Wakes one that will take the slot; when nobody waits, the first to come back will. */
static void wake_for(struct sm_prove_ring *r, const struct sm_prove_slot *slot)
{
    const unsigned wanted = slot->buf->device != SM_PROVE_NO_DEVICE, which = r->idle[wanted] ? wanted : !wanted;
    if (r->idle[which]) (void)pthread_cond_signal(&r->ready_cond[which]);
}

/* Under mu. The slot leaves the hands of readers and scanners: only its hits, or its error, wait for the merge. */
static void finish(struct sm_prove_ring *r, struct sm_prove_slot *slot)
{
    slot->state = slot->err ? SM_SLOT_FAILED : SM_SLOT_DONE;
    if (slot->err) sm_prove_lanes_stop_at(&r->lanes, slot->batch.first_label); /* before it, reading goes on */
    free_list_add(r, slot->buf);
    slot->buf = NULL;
    r->busy--;
    slot_list_insert(&r->done, slot);
    (void)pthread_cond_signal(&r->free_cond);
    (void)pthread_cond_signal(&r->done_cond);
}

void sm_prove_ring_filled(struct sm_prove_ring *r, struct sm_prove_slot *slot, sm_err err)
{
    (void)pthread_mutex_lock(&r->mu);
    slot->err = err;
    if (err) {
        finish(r, slot);
        (void)pthread_cond_broadcast(&r->free_cond); /* readers may have nothing left */
    } else {
        slot->state = SM_SLOT_READY;
        slot_list_insert(&r->ready, slot);
        wake_for(r, slot);
    }
    (void)pthread_mutex_unlock(&r->mu);
}

/* ---- scanners ---- */

/* The oldest slot in the device's own memory (for the processor: in ordinary memory), else the oldest of all: the merge
 * waits for that one. What lies in a device's memory is left to the devices while one of them is idle. */
static struct sm_prove_slot **choose_ready(struct sm_prove_ring *r, unsigned device)
{
    struct sm_prove_slot **oldest = NULL;
    for (struct sm_prove_slot **at = &r->ready; *at; at = &(*at)->next) {
        const unsigned home = (*at)->buf->device;
        if (home == device) return at;
        const bool mine = device != SM_PROVE_NO_DEVICE || !r->idle[1];
        if (!oldest && mine) oldest = at;
    }
    return oldest;
}

struct sm_prove_slot *sm_prove_ring_take_ready(struct sm_prove_ring *r, unsigned device)
{
    const unsigned kind = device != SM_PROVE_NO_DEVICE;
    struct sm_prove_slot *slot = NULL;
    (void)pthread_mutex_lock(&r->mu);
    while (!atomic_load(&r->stop)) {
        struct sm_prove_slot **at = choose_ready(r, device);
        if (at) {
            slot = *at;
            *at = slot->next;
            slot->state = SM_SLOT_SCANNING;
            if (r->ready) wake_for(r, r->ready); /* its own signal may have met one that was awake already */
            break;
        }
        r->idle[kind]++;
        (void)pthread_cond_wait(&r->ready_cond[kind], &r->mu);
        r->idle[kind]--;
    }
    (void)pthread_mutex_unlock(&r->mu);
    return slot;
}

void sm_prove_ring_scanned(struct sm_prove_ring *r, struct sm_prove_slot *slot)
{
    (void)pthread_mutex_lock(&r->mu);
    finish(r, slot);
    (void)pthread_mutex_unlock(&r->mu);
}

/* ---- the merging thread ---- */

static void wait_a_little(pthread_cond_t *cond, pthread_mutex_t *mu)
{
    const uint64_t until = sm_clock_ns() + WAKE_NS;
    const struct timespec ts = {.tv_sec = (time_t)(until / SM_NS_PER_S), .tv_nsec = (long)(until % SM_NS_PER_S)};
    (void)pthread_cond_timedwait(cond, mu, &ts);
}

sm_prove_next sm_prove_ring_next(struct sm_prove_ring *r, struct sm_prove_slot **out)
{
    (void)pthread_mutex_lock(&r->mu);
    if (!r->done && r->busy) wait_a_little(&r->done_cond, &r->mu);
    *out = slot_list_take(&r->done);
    sm_prove_next next = *out ? SM_NEXT_READY : SM_NEXT_WAIT;
    if (!*out && !r->busy) {
        if (sm_prove_lanes_end(&r->lanes))
            next = SM_NEXT_END;
        else
            wait_a_little(&r->done_cond, &r->mu); /* the readers are about to begin */
    }
    (void)pthread_mutex_unlock(&r->mu);
    return next;
}

void sm_prove_ring_merged(struct sm_prove_ring *r, struct sm_prove_slot *slot)
{
    (void)pthread_mutex_lock(&r->mu);
    slot->state = SM_SLOT_FREE;
    slot_list_add(&r->free_slots, slot);
    (void)pthread_cond_signal(&r->free_cond); /* one slot, one reader */
    (void)pthread_mutex_unlock(&r->mu);
}
