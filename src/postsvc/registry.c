/* The table of identities and its owner's calls. */
#include "postsvc/registry.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "postsvc/registry_impl.h"

#define IDENTITIES_MAX 65536u
#define BUCKETS_MIN    64u

/* ---- rows ---- */

static size_t bucket_of(const struct sm_post_registry *r, const struct sm_node_id *id)
{
    uint64_t h;
    _Static_assert(sizeof h == crypto_shorthash_BYTES && sizeof r->hash_key == crypto_shorthash_KEYBYTES,
                   "SipHash-2-4");
    (void)crypto_shorthash((uint8_t *)&h, id->b, sizeof id->b, r->hash_key);
    return (size_t)h & (r->buckets_n - 1);
}

struct sm_post_row *sm_post_row_find(struct sm_post_registry *r, const struct sm_node_id *id)
{
    struct sm_post_row *row = r->buckets[bucket_of(r, id)];
    while (row && memcmp(&row->id, id, sizeof *id) != 0) row = row->next;
    return row;
}

static void insert(struct sm_post_registry *r, struct sm_post_row *row)
{
    struct sm_post_row **b = &r->buckets[bucket_of(r, &row->id)];
    row->next = *b;
    *b = row;
}

/* Twice the buckets; without memory the chains just become longer. */
static void grow(struct sm_post_registry *r)
{
    struct sm_post_row **old = r->buckets;
    const size_t old_n = r->buckets_n;
    struct sm_post_row **buckets = calloc(2 * old_n, sizeof(struct sm_post_row *));
    if (!buckets) return;
    r->buckets = buckets;
    r->buckets_n = 2 * old_n;
    for (size_t i = 0; i < old_n; i++)
        for (struct sm_post_row *row = old[i], *next; row; row = next) {
            next = row->next;
            insert(r, row);
        }
    free(old);
}

static void deadline_passed(void *row)
{
    sm_post_row_fail(row, SM_POST_FAILURE_DEADLINE, "no proof before the deadline");
}

struct sm_post_row *sm_post_row_get(struct sm_post_registry *r, const struct sm_node_id *id)
{
    struct sm_post_row *row = sm_post_row_find(r, id);
    if (row) return row;
    if (r->rows_n >= (size_t)r->cfg.identities_max + r->cfg.known_n) return NULL;
    row = calloc(1, sizeof *row);
    if (!row) return NULL;
    row->r = r;
    row->id = *id;
    row->request.deadline.fn = deadline_passed;
    row->request.deadline.ctx = row;
    if (r->rows_n >= r->buckets_n) grow(r);
    insert(r, row);
    r->rows_n++;
    return row;
}

void sm_post_row_reap(struct sm_post_row *row)
{
    struct sm_post_registry *r = row->r;
    if (row->known || row->session || row->candidate || row->request.phase != SM_POST_REQUEST_NONE) return;
    struct sm_post_row **at = &r->buckets[bucket_of(r, &row->id)];
    while (*at != row) at = &(*at)->next;
    *at = row->next;
    sm_timers_clear(&r->timers, &row->request.deadline);
    free(row);
    r->rows_n--;
}

struct sm_post_identity sm_post_row_view(const struct sm_post_row *row)
{
    return (struct sm_post_identity){
        .id = row->id,
        .name = row->known ? row->known->name : "",
        .known = row->known != NULL,
        .registered = row->session != NULL,
        .address = row->session ? row->session->peer->address : "",
        .since_ns = row->since_ns,
        .has_info = row->has_info,
        .info = row->info,
        .request = row->request.phase,
        .challenge = row->request.challenge,
        .questions = row->request.questions,
    };
}

/* ---- new and free ---- */

static sm_err take_known(struct sm_post_registry *r, const struct sm_post_registry_cfg *cfg, struct sm_errinfo *ei)
{
    r->known = calloc(cfg->known_n + 1, sizeof *r->known);
    if (!r->known) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu identities", cfg->known_n);
    if (cfg->known_n) memcpy(r->known, cfg->known, cfg->known_n * sizeof *r->known);
    for (size_t i = 0; i < cfg->known_n; i++) {
        struct sm_post_row *row = sm_post_row_get(r, &r->known[i].id);
        if (!row) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu identities", cfg->known_n);
        if (row->known)
            return sm_fail(ei, SM_E_ARG, "identity %02x%02x%02x%02x%02x is listed twice", row->id.b[0], row->id.b[1],
                           row->id.b[2], row->id.b[3], row->id.b[4]);
        row->known = &r->known[i];
    }
    return SM_OK;
}

sm_err sm_post_registry_new(const struct sm_post_registry_cfg *cfg, struct sm_post_registry **out,
                            struct sm_errinfo *ei)
{
    struct sm_post_registry *r = calloc(1, sizeof *r);
    if (!r) return sm_fail(ei, SM_E_NOMEM, "out of memory for a table of identities");
    r->cfg = *cfg;
    r->cfg.known = NULL; /* ours is r->known */
    if (!r->cfg.identities_max) r->cfg.identities_max = IDENTITIES_MAX;
    r->buckets_n = BUCKETS_MIN;
    r->buckets = calloc(r->buckets_n, sizeof(struct sm_post_row *));
    sm_err err = r->buckets ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory for a table of identities");
    if (!err && sodium_init() < 0) err = sm_fail(ei, SM_E_STATE, "libsodium does not start");
    if (!err) {
        randombytes_buf(r->hash_key, sizeof r->hash_key);
        err = take_known(r, cfg, ei);
    }
    if (err)
        sm_post_registry_free(r);
    else
        *out = r;
    return err;
}

void sm_post_registry_free(struct sm_post_registry *r)
{
    if (!r) return;
    assert(r->sessions_n == 0);
    for (size_t i = 0; r->buckets && i < r->buckets_n; i++)
        for (struct sm_post_row *row = r->buckets[i], *next; row; row = next) {
            next = row->next;
            free(row);
        }
    free(r->buckets);
    free(r->known);
    free(r);
}

/* ---- time ---- */

uint64_t sm_post_registry_deadline(const struct sm_post_registry *r)
{
    return r->timers.root ? r->timers.root->heap.at_ns : UINT64_MAX;
}

void sm_post_registry_tick(struct sm_post_registry *r, uint64_t now_ns)
{
    r->now_ns = now_ns;
    while (sm_post_registry_deadline(r) <= now_ns) {
        struct sm_loop_timer *t = r->timers.root;
        sm_timers_clear(&r->timers, t);
        t->fn(t->ctx);
    }
}

/* ---- the owner ---- */

sm_err sm_post_registry_request(struct sm_post_registry *r, const struct sm_node_id *id,
                                const struct sm_challenge *challenge, const struct sm_atx_id *commitment,
                                uint64_t deadline_ns, uint64_t now_ns, struct sm_errinfo *ei)
{
    if (deadline_ns <= now_ns) return sm_fail(ei, SM_E_TIMEOUT, "the deadline of the request has passed");
    struct sm_post_row *row = sm_post_row_get(r, id);
    if (!row) return sm_fail(ei, SM_E_NOMEM, "no room for a request beside %zu identities", r->rows_n);
    if (row->request.phase != SM_POST_REQUEST_NONE)
        return sm_fail(ei, SM_E_BUSY, "a request of this identity is under way; cancel it first");
    row->request.phase = SM_POST_REQUEST_WAITING;
    row->request.challenge = *challenge;
    row->request.has_commitment = commitment != NULL;
    if (commitment) row->request.commitment = *commitment;
    row->request.serial = ++r->serials;
    row->request.questions = 0;
    if (deadline_ns != UINT64_MAX) sm_timers_set(&r->timers, &row->request.deadline, deadline_ns);
    sm_post_row_ask(row, now_ns);
    return SM_OK;
}

bool sm_post_registry_cancel(struct sm_post_registry *r, const struct sm_node_id *id)
{
    struct sm_post_row *row = sm_post_row_find(r, id);
    if (!row || row->request.phase == SM_POST_REQUEST_NONE) return false;
    row->request.phase = SM_POST_REQUEST_NONE;
    sm_timers_clear(&r->timers, &row->request.deadline);
    sm_post_row_reap(row);
    return true;
}

void sm_post_registry_list(struct sm_post_registry *r, void (*fn)(void *ctx, const struct sm_post_identity *id),
                           void *ctx)
{
    for (size_t i = 0; i < r->buckets_n; i++)
        for (const struct sm_post_row *row = r->buckets[i]; row; row = row->next) {
            const struct sm_post_identity id = sm_post_row_view(row);
            fn(ctx, &id);
        }
}

size_t sm_post_registry_count(const struct sm_post_registry *r)
{
    return r->rows_n;
}

struct states {
    struct sm_post_state_row *rows;
    size_t n;
};

static void add_state(void *ctx, const struct sm_post_identity *id)
{
    struct states *s = ctx;
    s->rows[s->n++] = (struct sm_post_state_row){
        .id = id->id,
        .state = id->request == SM_POST_REQUEST_NONE ? SM_POST_STATE_IDLE : SM_POST_STATE_PROVING,
        .name = id->name,
    };
}

sm_err sm_post_registry_states(struct sm_post_registry *r, uint8_t **out, size_t *out_n, struct sm_errinfo *ei)
{
    struct states s = {.rows = calloc(r->rows_n + 1, sizeof *s.rows)};
    if (!s.rows) return sm_fail(ei, SM_E_NOMEM, "out of memory for the states of %zu identities", r->rows_n);
    sm_post_registry_list(r, add_state, &s);
    const sm_err err = sm_post_states_encode(s.rows, s.n, out, out_n, ei);
    free(s.rows);
    return err;
}
