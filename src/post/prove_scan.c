#include "post/prove_impl.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"

#define CHECKPOINT_BYTES ((uint64_t)4 << 30)
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

/* Appends a good label. A list that becomes full ends the pass. */
static void merge_hit(struct sm_prove_pass *pass, uint64_t label, uint32_t of_nonce)
{
    struct sm_prove_lists *l = &pass->lists;
    const uint32_t nonce = of_nonce - pass->first_nonce;
    assert(nonce < l->nonces && l->counts[nonce] < l->k2);
    l->labels[(size_t)nonce * l->k2 + l->counts[nonce]++] = label;
    if (l->counts[nonce] > l->longest) l->longest = l->counts[nonce];
    if (l->counts[nonce] < l->k2) return;
    pass->found = true;
    pass->winner = nonce;
}

static void merge_batch(struct sm_prove_pass *pass, const struct sm_prove_slot *slot)
{
    for (size_t i = 0; i < slot->hits_n && !pass->found; i++)
        merge_hit(pass, slot->batch.first_label + slot->hits[i].label, slot->hits[i].nonce);
    if (!pass->found) pass->next_label = slot->batch.next_label;
}

static void merge_run(struct sm_prove_pass *pass, const struct sm_prove_run *run)
{
    for (size_t i = 0; i < run->hits_n && !pass->found; i++) merge_hit(pass, run->hits[i].label, run->hits[i].nonce);
    if (!pass->found) pass->next_label = run->next;
}

/* --- scanners --- */

struct scanner {
    struct sm_prove_ring *ring;
    pthread_t thread;
    unsigned device, lane; /* position; SM_PROVE_NO_DEVICE: the processor, also once the device has failed */
    int core;              /* to be pinned to; -1: none */
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
        if (sm_prove_is_bad(bad, slot->batch.first_label + s->done + hits[i].label)) continue;
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
    if (s->device == SM_PROVE_NO_DEVICE) {
        (void)sm_scan_run(r->p->variant, &r->job, s->scratch, labels, n, on_hits, s);
        return n;
    }
    const struct sm_prove_device *d = &r->p->devices[s->device];
    if (sm_gpu_scanner_run(d->scanner, s->lane, labels, n, on_hits, s, &done, &why) == SM_OK) return done;
    sm_log(SM_LOG_WARN, "post", "device failed, the processor goes on", "device=%s lane=%u why=\"%s\"", d->id, s->lane,
           why.text);
    s->device = SM_PROVE_NO_DEVICE;
    return done;
}

/* Labels of the next call. A device adapts its launches itself. */
static size_t next_piece(const struct scanner *s)
{
    const size_t left = s->slot->batch.labels - s->done;
    const size_t most =
        s->device == SM_PROVE_NO_DEVICE ? s->piece : sm_gpu_scanner_labels_max(s->ring->p->devices[s->device].scanner);
    return left < most ? left : most;
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
    while (s->done < slot->batch.labels && !s->full && !slot->err && !atomic_load(&r->stop)) {
        const uint64_t start = sm_clock_ns();
        s->done += scan_piece(s, slot->buf->p + SM_LABEL_BYTES * s->done, next_piece(s));
        const uint64_t took = sm_clock_ns() - start;
        if (took < PIECE_NS && s->piece < PIECE_MAX) s->piece *= 2;
        if (took > 4 * PIECE_NS && s->piece > PIECE_MIN) s->piece /= 2;
    }
}

static void *scanner_main(void *ctx)
{
    struct scanner *s = ctx;
    if (s->core >= 0) (void)sm_thread_pin((unsigned)s->core);
    while ((s->slot = sm_prove_ring_take_ready(s->ring, s->device))) {
        scan_batch(s);
        sm_prove_ring_scanned(s->ring, s->slot);
    }
    return NULL;
}

/* --- the crew --- */

/* Threads that scan on the processor. A device's lanes go on there when it fails, so none may be enough. */
static unsigned cpu_scanners(const struct sm_prover *p)
{
    return p->devices_n && p->cfg->device_only ? 0 : p->threads;
}

struct crew {
    struct scanner *scanners;
    struct sm_prove_reader *readers;
    unsigned scanners_n, readers_n; /* running */
};

static void scanner_fini(struct scanner *s)
{
    sm_scan_scratch_free(s->scratch);
    free(s->counts);
}

static bool start_scanner(struct crew *c, struct sm_prove_ring *r, struct scanner how)
{
    struct scanner *s = &c->scanners[c->scanners_n];
    *s = how;
    s->ring = r;
    s->piece = PIECE_MIN;
    s->scratch = sm_scan_scratch_new();
    s->counts = calloc(r->p->pass.lists.nonces, sizeof *s->counts);
    if (s->scratch && s->counts && pthread_create(&s->thread, NULL, scanner_main, s) == 0) {
        c->scanners_n++;
        return true;
    }
    scanner_fini(s);
    return false;
}

/* Threads of devices are not pinned: they mostly wait. */
static void start_scanners(struct crew *c, struct sm_prove_ring *r, unsigned threads)
{
    const struct sm_prover *p = r->p;
    for (unsigned d = 0; d < p->devices_n; d++)
        for (unsigned lane = 0; p->devices[d].usable && lane < SM_GPU_SCAN_LANES; lane++)
            if (!start_scanner(c, r, (struct scanner){.device = d, .lane = lane, .core = -1})) return;
    for (unsigned i = 0; i < threads; i++) {
        const int core = p->cfg->cores ? (int)p->cfg->cores[i] : -1;
        if (!start_scanner(c, r, (struct scanner){.device = SM_PROVE_NO_DEVICE, .core = core})) return;
    }
}

static sm_err crew_start(struct crew *c, struct sm_prove_ring *r, struct sm_errinfo *ei)
{
    unsigned usable = 0, threads = cpu_scanners(r->p);
    for (unsigned i = 0; i < r->p->devices_n; i++) usable += r->p->devices[i].usable;
    if (usable == 0 && threads == 0) threads = r->p->threads; /* all devices failed at once */
    const unsigned lanes = r->p->data.disks.lanes_n, readers = r->p->readers * lanes,
                   most = usable * SM_GPU_SCAN_LANES + threads;
    c->scanners = calloc(most, sizeof *c->scanners);
    c->readers = calloc(readers, sizeof *c->readers);
    if (!c->scanners || !c->readers) return sm_fail(ei, SM_E_NOMEM, "out of memory for %u threads", most + readers);
    start_scanners(c, r, threads);
    for (; c->readers_n < readers; c->readers_n++) {
        struct sm_prove_reader *reader = &c->readers[c->readers_n];
        *reader = (struct sm_prove_reader){.ring = r, .lane = c->readers_n % lanes};
        if (pthread_create(&reader->thread, NULL, sm_prove_reader_main, reader) != 0) break;
    }
    if (c->scanners_n == 0 || c->readers_n < lanes) /* fewer than wanted will do, but one for every disk */
        return sm_fail(ei, SM_E_NOMEM, "the system refuses to start threads for proving");
    return SM_OK;
}

static void crew_stop(struct crew *c, struct sm_prove_ring *r)
{
    sm_prove_ring_stop(r);
    for (unsigned i = 0; i < c->readers_n; i++) (void)pthread_join(c->readers[i].thread, NULL);
    for (unsigned i = 0; i < c->scanners_n; i++) {
        (void)pthread_join(c->scanners[i].thread, NULL);
        scanner_fini(&c->scanners[i]);
    }
    free(c->scanners);
    free(c->readers);
}

/* --- the merging thread --- */

struct merge {
    struct sm_prove_parked parked;
    struct sm_prove_slot *failed; /* the one with the smallest label; NULL: none */
    uint64_t reported_ns;
};

static void report(struct sm_prover *p, struct merge *m)
{
    const uint64_t now = sm_clock_ns();
    if (now - m->reported_ns < REPORT_NS) return;
    m->reported_ns = now;
    p->progress.bytes_done = SM_LABEL_BYTES * (p->pass.next_label + m->parked.labels);
    p->progress.best_count = p->pass.lists.longest;
    sm_prove_report(p);
}

/* A failure counts when the merge gets there: a proof may be found before. */
static void keep_failed(struct sm_prove_ring *r, struct merge *m, struct sm_prove_slot *slot)
{
    struct sm_prove_slot *other = slot;
    if (!m->failed || slot->batch.first_label < m->failed->batch.first_label) {
        other = m->failed;
        m->failed = slot;
    }
    if (other) sm_prove_ring_merged(r, other);
}

/* In order, or later. Then everything that was waiting for it. */
static sm_err take(struct sm_prover *p, struct sm_prove_ring *r, struct merge *m, struct sm_prove_slot *slot,
                   struct sm_errinfo *ei)
{
    struct sm_prove_pass *pass = &p->pass;
    sm_err err = SM_OK;
    if (slot->err) {
        keep_failed(r, m, slot);
        return SM_OK;
    }
    if (slot->batch.first_label == pass->next_label)
        merge_batch(pass, slot);
    else
        err = sm_prove_park(&m->parked, &slot->batch, slot->hits, slot->hits_n, ei);
    sm_prove_ring_merged(r, slot);
    while (!pass->found) {
        struct sm_prove_run *run = sm_prove_unpark(&m->parked, pass->next_label);
        if (!run) break;
        merge_run(pass, run);
        sm_prove_run_free(run);
    }
    return err;
}

static sm_err merge_all(struct sm_prover *p, struct sm_prove_ring *r, struct merge *m, struct sm_errinfo *ei)
{
    struct sm_prove_pass *pass = &p->pass;
    const uint64_t step = p->cfg->checkpoint_bytes ? p->cfg->checkpoint_bytes : CHECKPOINT_BYTES;
    uint64_t saved = pass->next_label;
    for (;;) {
        if (sm_cancelled(p->cancel))
            return sm_fail(ei, SM_E_CANCELLED, "proving was stopped in pass %" PRIu32 " after %.1f %% of the data",
                           pass->number, 100.0 * (double)pass->next_label / (double)p->data.layout.num_labels);
        report(p, m);
        struct sm_prove_slot *slot = NULL;
        const sm_prove_next next = sm_prove_ring_next(r, &slot);
        const sm_err err = next == SM_NEXT_READY ? take(p, r, m, slot, ei) : SM_OK;
        if (err || pass->found) return err;
        if (m->failed && m->failed->batch.first_label == pass->next_label)
            return sm_fail(ei, m->failed->err, "%s", m->failed->ei.text);
        if (next == SM_NEXT_END) {
            assert(pass->next_label == p->data.layout.num_labels);
            m->reported_ns = 0; /* the end of a pass is always told */
            report(p, m);
            return SM_OK;
        }
        if (SM_LABEL_BYTES * (pass->next_label - saved) < step) continue;
        saved = pass->next_label;
        sm_prove_checkpoint_save(p);
    }
}

sm_err sm_prove_scan(struct sm_prover *p, struct sm_errinfo *ei)
{
    struct sm_prove_ring ring;
    struct crew crew = {0};
    struct merge merge = {0};
    const uint64_t start = sm_clock_ns();
    sm_err err = sm_prove_ring_init(&ring, p, cpu_scanners(p), ei);
    if (!err) sm_prove_devices_brief(p, &ring.job);
    if (!err) err = crew_start(&crew, &ring, ei);
    if (!err) err = merge_all(p, &ring, &merge, ei);
    crew_stop(&crew, &ring);
    p->result.bytes_read += atomic_load(&ring.bytes_read);
    p->result.scan_s += sm_clock_seconds_since(start);
    sm_prove_parked_fini(&merge.parked);
    sm_prove_ring_fini(&ring);
    return err;
}
