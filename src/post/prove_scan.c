#include "post/prove_impl.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"

/* Ours: large enough for direct I/O to reach the disk's speed, small enough to stay in the cache between reader and
 * scanner; measured, bench/prove. */
#define BATCH_BYTES     ((size_t)1 << 20)
#define BATCH_BYTES_MIN ((size_t)64 << 10)
#define RING_BYTES_MAX  ((size_t)96 << 20)

#define CHECKPOINT_BYTES ((uint64_t)4 << 30)
#define WAKE_NS          (25 * SM_NS_PER_MS) /* the merging thread looks at the cancel flag at least this often */
#define REPORT_NS        (200 * SM_NS_PER_MS)
#define PIECE_MIN        1024u /* labels between two looks at the stop flag; adapted to PIECE_NS */
#define PIECE_MAX        65536u
#define PIECE_NS         (5 * SM_NS_PER_MS)

/* --- lists --- */

sm_err sm_prove_lists_init(struct sm_prove_lists *l, uint32_t nonces, uint32_t k2, struct sm_errinfo *ei)
{
    *l = (struct sm_prove_lists){.nonces = nonces, .k2 = k2};
    l->counts = calloc(nonces, sizeof *l->counts);
    l->labels = calloc((size_t)nonces * k2, sizeof *l->labels);
    if (l->counts && l->labels) return SM_OK;
    sm_prove_lists_fini(l);
    return sm_fail(ei, SM_E_NOMEM, "out of memory for the good labels of %" PRIu32 " nonces", nonces);
}

void sm_prove_lists_fini(struct sm_prove_lists *l)
{
    free(l->counts);
    free(l->labels);
    *l = (struct sm_prove_lists){0};
}

/* Appends a batch's hits. A list that becomes full ends the pass. */
static void merge_hits(struct sm_prove_pass *pass, const struct sm_prove_slot *slot)
{
    struct sm_prove_lists *l = &pass->lists;
    for (size_t i = 0; i < slot->hits_n; i++) {
        const uint32_t nonce = slot->hits[i].nonce - pass->first_nonce;
        assert(nonce < l->nonces && l->counts[nonce] < l->k2);
        l->labels[(size_t)nonce * l->k2 + l->counts[nonce]++] = slot->first_label + slot->hits[i].label;
        if (l->counts[nonce] > l->longest) l->longest = l->counts[nonce];
        if (l->counts[nonce] == l->k2) {
            pass->found = true;
            pass->winner = nonce;
            return;
        }
    }
}

/* --- scanners --- */

struct scanner {
    struct sm_prove_ring *ring;
    pthread_t thread;
    bool started;
    unsigned index;
    struct sm_gpu_scanner *gpu; /* scans by its lane; NULL: by the processor, also once the device has failed */
    unsigned lane;
    struct sm_scan_scratch *scratch;
    uint32_t *counts;           /* hits per nonce in this batch */
    size_t piece;               /* labels per call of the scan */
    struct sm_prove_slot *slot; /* being scanned */
    size_t done;                /* labels of it scanned */
    bool full;                  /* a list is full by this batch alone: the pass ends in it */
};

static bool room_for_hits(struct sm_prove_slot *slot, size_t n)
{
    if (n <= slot->hits_room - slot->hits_n) return true;
    const size_t room = slot->hits_n + n < 256 ? 256 : 2 * (slot->hits_n + n);
    struct sm_scan_hit *hits = realloc(slot->hits, room * sizeof *hits);
    if (!hits) return false;
    slot->hits = hits;
    slot->hits_room = room;
    return true;
}

/* More than k2 hits of one nonce in a batch are of no use, so a batch never holds more than nonces * k2. */
static bool on_hits(void *ctx, const struct sm_scan_hit *hits, size_t n)
{
    struct scanner *s = ctx;
    struct sm_prove_slot *slot = s->slot;
    if (!room_for_hits(slot, n)) {
        slot->err = sm_fail(&slot->ei, SM_E_NOMEM, "out of memory for %zu good labels", slot->hits_n + n);
        return false;
    }
    const struct sm_prove_pass *pass = &s->ring->p->pass;
    const struct sm_prove_bad *bad = &s->ring->p->bad;
    for (size_t i = 0; i < n; i++) {
        if (sm_prove_is_bad(bad, slot->first_label + s->done + hits[i].label)) continue;
        slot->hits[slot->hits_n++] =
            (struct sm_scan_hit){.label = (uint32_t)s->done + hits[i].label, .nonce = hits[i].nonce};
        if (++s->counts[hits[i].nonce - pass->first_nonce] == pass->lists.k2) {
            s->full = true;
            return false;
        }
    }
    return true;
}

/* One piece; returns the labels dealt with. What a device does not finish is left to the processor. */
static size_t scan_piece(struct scanner *s, const uint8_t *labels, size_t n)
{
    struct sm_prove_ring *r = s->ring;
    struct sm_errinfo why = {0};
    size_t done = 0;
    if (!s->gpu) {
        (void)sm_scan_run(r->p->variant, &r->job, s->scratch, labels, n, on_hits, s);
        return n;
    }
    const size_t most = sm_gpu_scanner_labels_max(s->gpu);
    if (sm_gpu_scanner_run(s->gpu, s->lane, labels, n < most ? n : most, on_hits, s, &done, &why) == SM_OK) return done;
    sm_log(SM_LOG_WARN, "post", "device failed, the processor goes on", "device=%s lane=%u why=\"%s\"",
           r->p->cfg->device, s->lane, why.text);
    s->gpu = NULL;
    return done;
}

/* Scans piece by piece, so that a stop takes effect at once even with many nonces on a slow machine. */
static void scan_batch(struct scanner *s)
{
    struct sm_prove_ring *r = s->ring;
    struct sm_prove_slot *slot = s->slot;
    memset(s->counts, 0, r->p->pass.lists.nonces * sizeof *s->counts);
    slot->hits_n = 0;
    slot->err = SM_OK;
    s->full = false;
    s->done = 0;
    while (s->done < slot->labels && !s->full && !slot->err && !atomic_load(&r->stop)) {
        const size_t left = slot->labels - s->done, n = left < s->piece ? left : s->piece;
        const uint64_t start = sm_clock_ns();
        s->done += scan_piece(s, slot->buf + SM_LABEL_BYTES * s->done, n);
        const uint64_t took = sm_clock_ns() - start;
        if (took < PIECE_NS && s->piece < PIECE_MAX) s->piece *= 2;
        if (took > 4 * PIECE_NS && s->piece > PIECE_MIN) s->piece /= 2;
    }
}

/* The oldest batch that is ready: what the merge waits for. */
static struct sm_prove_slot *oldest_ready(struct sm_prove_ring *r)
{
    for (unsigned i = 0; i < r->slots_n; i++) {
        struct sm_prove_slot *slot = &r->slots[(r->at.merge_seq + i) % r->slots_n];
        if (slot->state == SM_SLOT_READY) return slot;
    }
    return NULL;
}

static bool take_ready(struct scanner *s)
{
    struct sm_prove_ring *r = s->ring;
    s->slot = NULL;
    (void)pthread_mutex_lock(&r->mu);
    while (!atomic_load(&r->stop) && !(s->slot = oldest_ready(r))) (void)pthread_cond_wait(&r->ready_cond, &r->mu);
    if (s->slot) s->slot->state = SM_SLOT_SCANNING;
    (void)pthread_mutex_unlock(&r->mu);
    return s->slot != NULL;
}

static void *scanner_main(void *ctx)
{
    struct scanner *s = ctx;
    struct sm_prove_ring *r = s->ring;
    const struct sm_prove_cfg *cfg = r->p->cfg;
    const unsigned lanes = r->p->gpu ? SM_GPU_SCAN_LANES : 0; /* not pinned: they mostly wait */
    if (cfg->cores && s->index >= lanes) (void)sm_thread_pin(cfg->cores[s->index - lanes]);
    while (take_ready(s)) {
        scan_batch(s);
        (void)pthread_mutex_lock(&r->mu);
        s->slot->state = s->slot->err ? SM_SLOT_FAILED : SM_SLOT_DONE;
        (void)pthread_cond_signal(&r->done_cond);
        (void)pthread_mutex_unlock(&r->mu);
    }
    return NULL;
}

static bool scanner_init(struct scanner *s, struct sm_prove_ring *r, unsigned index)
{
    *s = (struct scanner){.ring = r, .index = index, .piece = PIECE_MIN};
    s->scratch = sm_scan_scratch_new();
    s->counts = calloc(r->p->pass.lists.nonces, sizeof *s->counts);
    if (r->p->gpu && index < SM_GPU_SCAN_LANES) s->gpu = r->p->gpu, s->lane = index;
    return s->scratch && s->counts;
}

static void scanner_fini(struct scanner *s)
{
    sm_scan_scratch_free(s->scratch);
    free(s->counts);
}

/* --- the ring --- */

/* Threads that scan: one per lane of the device, and those of the processor. */
static unsigned scanners_wanted(const struct sm_prover *p)
{
    const unsigned lanes = p->gpu ? SM_GPU_SCAN_LANES : 0;
    return lanes + (lanes && p->cfg->device_only ? 0 : p->threads);
}

static sm_err ring_init(struct sm_prove_ring *r, struct sm_prover *p, struct sm_errinfo *ei)
{
    *r = (struct sm_prove_ring){.p = p, .batch_bytes = BATCH_BYTES, .slots_n = 2 * (scanners_wanted(p) + p->readers)};
    while (r->batch_bytes * r->slots_n > RING_BYTES_MAX && r->batch_bytes > BATCH_BYTES_MIN) r->batch_bytes /= 2;

    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&r->mu, NULL);
    (void)pthread_cond_init(&r->free_cond, NULL);
    (void)pthread_cond_init(&r->ready_cond, NULL);
    (void)pthread_cond_init(&r->done_cond, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);

    const uint32_t groups_n = p->pass.lists.nonces / SM_NONCES_PER_GROUP;
    struct sm_scan_group *groups = aligned_alloc(_Alignof(struct sm_scan_group), groups_n * sizeof *groups);
    r->slots = calloc(r->slots_n, sizeof *r->slots);
    r->job = (struct sm_scan_job){.groups = groups,
                                  .groups_n = groups_n,
                                  .difficulty_msb = (uint8_t)(p->difficulty >> 56),
                                  .difficulty_lsb = p->difficulty & ((UINT64_C(1) << 56) - 1)};
    if (!groups || !r->slots || !sm_mem_map(&r->mem, r->slots_n * r->batch_bytes, SM_PAGES_THP))
        return sm_fail(ei, SM_E_NOMEM, "out of memory for %u buffers of %zu bytes", r->slots_n, r->batch_bytes);
    sm_prove_ciphers(p, groups);
    for (unsigned i = 0; i < r->slots_n; i++) r->slots[i].buf = (uint8_t *)r->mem.p + i * r->batch_bytes;
    sm_prove_ring_seek(r, p->pass.next_label);
    return SM_OK;
}

static void ring_fini(struct sm_prove_ring *r)
{
    for (unsigned i = 0; r->slots && i < r->slots_n; i++) free(r->slots[i].hits);
    free(r->slots);
    free((void *)(size_t)r->job.groups);
    sm_mem_unmap(&r->mem);
    (void)pthread_cond_destroy(&r->done_cond);
    (void)pthread_cond_destroy(&r->ready_cond);
    (void)pthread_cond_destroy(&r->free_cond);
    (void)pthread_mutex_destroy(&r->mu);
}

struct crew {
    struct scanner *scanners;
    pthread_t *readers;
    unsigned scanners_n, readers_n; /* running */
};

static sm_err crew_start(struct crew *c, struct sm_prove_ring *r, struct sm_errinfo *ei)
{
    const unsigned threads = scanners_wanted(r->p), readers = r->p->readers;
    c->scanners = calloc(threads, sizeof *c->scanners);
    c->readers = calloc(readers, sizeof *c->readers);
    if (!c->scanners || !c->readers) return sm_fail(ei, SM_E_NOMEM, "out of memory for %u threads", threads + readers);
    for (; c->scanners_n < threads; c->scanners_n++) {
        struct scanner *s = &c->scanners[c->scanners_n];
        if (!scanner_init(s, r, c->scanners_n) || pthread_create(&s->thread, NULL, scanner_main, s) != 0) {
            scanner_fini(s);
            break;
        }
    }
    while (c->readers_n < readers && pthread_create(&c->readers[c->readers_n], NULL, sm_prove_reader_main, r) == 0)
        c->readers_n++;
    if (c->scanners_n == 0 || c->readers_n == 0) /* fewer than wanted will do */
        return sm_fail(ei, SM_E_NOMEM, "the system refuses to start threads for proving");
    return SM_OK;
}

static void crew_stop(struct crew *c, struct sm_prove_ring *r)
{
    (void)pthread_mutex_lock(&r->mu);
    atomic_store(&r->stop, true);
    (void)pthread_cond_broadcast(&r->free_cond);
    (void)pthread_cond_broadcast(&r->ready_cond);
    (void)pthread_mutex_unlock(&r->mu);
    for (unsigned i = 0; i < c->readers_n; i++) (void)pthread_join(c->readers[i], NULL);
    for (unsigned i = 0; i < c->scanners_n; i++) {
        (void)pthread_join(c->scanners[i].thread, NULL);
        scanner_fini(&c->scanners[i]);
    }
    free(c->scanners);
    free(c->readers);
}

/* --- the merging thread --- */

static void wait_a_little(pthread_cond_t *cond, pthread_mutex_t *mu)
{
    const uint64_t until = sm_clock_ns() + WAKE_NS;
    const struct timespec ts = {.tv_sec = (time_t)(until / SM_NS_PER_S), .tv_nsec = (long)(until % SM_NS_PER_S)};
    (void)pthread_cond_timedwait(cond, mu, &ts);
}

typedef enum next_batch { NEXT_READY, NEXT_WAIT, NEXT_END } next_batch;

/* Waits a little for the next batch in order. */
static next_batch next_done(struct sm_prove_ring *r, struct sm_prove_slot **out)
{
    struct sm_prove_slot *slot = &r->slots[r->at.merge_seq % r->slots_n];
    next_batch next = NEXT_WAIT;
    (void)pthread_mutex_lock(&r->mu);
    const bool end = r->at.no_more && r->at.merge_seq == r->at.read_seq;
    if (!end && slot->state != SM_SLOT_DONE && slot->state != SM_SLOT_FAILED) wait_a_little(&r->done_cond, &r->mu);
    if (slot->state == SM_SLOT_DONE || slot->state == SM_SLOT_FAILED) next = NEXT_READY;
    (void)pthread_mutex_unlock(&r->mu);
    *out = slot;
    return end ? NEXT_END : next;
}

static void give_back(struct sm_prove_ring *r, struct sm_prove_slot *slot)
{
    (void)pthread_mutex_lock(&r->mu);
    slot->state = SM_SLOT_FREE;
    r->at.merge_seq++;
    (void)pthread_cond_signal(&r->free_cond); /* one slot, one reader */
    (void)pthread_mutex_unlock(&r->mu);
}

static void report(struct sm_prover *p, uint64_t *reported_ns)
{
    const uint64_t now = sm_clock_ns();
    if (now - *reported_ns < REPORT_NS) return;
    *reported_ns = now;
    p->progress.bytes_done = SM_LABEL_BYTES * p->pass.next_label;
    p->progress.best_count = p->pass.lists.longest;
    sm_prove_report(p);
}

static sm_err merge_all(struct sm_prover *p, struct sm_prove_ring *r, struct sm_errinfo *ei)
{
    struct sm_prove_pass *pass = &p->pass;
    const uint64_t step = p->cfg->checkpoint_bytes ? p->cfg->checkpoint_bytes : CHECKPOINT_BYTES;
    uint64_t saved = pass->next_label, reported_ns = 0;
    for (;;) {
        if (sm_cancelled(p->cancel))
            return sm_fail(ei, SM_E_CANCELLED, "proving was stopped in pass %" PRIu32 " after %.1f %% of the data",
                           pass->number, 100.0 * (double)pass->next_label / (double)p->data.layout.num_labels);
        report(p, &reported_ns);
        struct sm_prove_slot *slot = NULL;
        const next_batch next = next_done(r, &slot);
        if (next == NEXT_END) {
            reported_ns = 0; /* the end of a pass is always told */
            report(p, &reported_ns);
            return SM_OK;
        }
        if (next == NEXT_WAIT) continue;
        if (slot->err) return sm_fail(ei, slot->err, "%s", slot->ei.text);
        merge_hits(pass, slot);
        if (pass->found) return SM_OK;
        pass->next_label = slot->next_label;
        give_back(r, slot);
        if (SM_LABEL_BYTES * (pass->next_label - saved) >= step) {
            saved = pass->next_label;
            sm_prove_checkpoint_save(p);
        }
    }
}

static void brief_device(struct sm_prover *p, const struct sm_scan_job *job)
{
    struct sm_errinfo why = {0};
    if (!p->gpu || sm_gpu_scanner_set_job(p->gpu, job, &why) == SM_OK) return;
    sm_log(SM_LOG_WARN, "post", "device failed, the processor goes on", "device=%s why=\"%s\"", p->cfg->device,
           why.text);
    sm_gpu_scanner_free(p->gpu);
    p->gpu = NULL;
}

sm_err sm_prove_scan(struct sm_prover *p, struct sm_errinfo *ei)
{
    struct sm_prove_ring ring;
    struct crew crew = {0};
    const uint64_t start = sm_clock_ns();
    sm_err err = ring_init(&ring, p, ei);
    if (!err) brief_device(p, &ring.job);
    if (!err) err = crew_start(&crew, &ring, ei);
    if (!err) err = merge_all(p, &ring, ei);
    crew_stop(&crew, &ring);
    p->result.bytes_read += atomic_load(&ring.bytes_read);
    p->result.scan_s += sm_clock_seconds_since(start);
    ring_fini(&ring);
    return err;
}
