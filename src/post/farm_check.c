#include "post/farm_check.h"

#include <string.h>

#include "crypto/scrypt.h"

/* splitmix64: which labels are checked must not be guessable by a pattern, no more. */
static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct check {
    const struct sm_label_job *job;
    struct sm_label_range range;
    const uint8_t *labels;
    struct sm_farm_lie *lie;
};

static void catch (const struct check *c, uint64_t offset, const uint8_t expected[32])
{
    c->lie->caught = true;
    c->lie->index = c->range.first + offset;
    memcpy(c->lie->expected, expected, SM_LABEL_BYTES);
    memcpy(c->lie->actual, c->labels + offset * SM_LABEL_BYTES, SM_LABEL_BYTES);
}

/* The label at `offset` by the reference; a difference is recorded. */
static sm_err recompute(const struct check *c, uint64_t offset, uint8_t out[32], struct sm_errinfo *ei)
{
    sm_err err = sm_scrypt_one(c->job->scrypt_n, c->job->commitment.b, c->range.first + offset, out, ei);
    if (!err && memcmp(out, c->labels + offset * SM_LABEL_BYTES, SM_LABEL_BYTES) != 0) catch (c, offset, out);
    return err;
}

static sm_err search(const struct check *c, struct sm_vrf_best *best, struct sm_errinfo *ei)
{
    const uint8_t *limit = c->job->vrf_difficulty; /* its first 16 bytes; then those of the best */
    for (uint64_t i = 0; limit && i < c->range.count && !c->lie->caught; i++) {
        if (memcmp(c->labels + i * SM_LABEL_BYTES, limit, SM_LABEL_BYTES) > 0) continue;
        uint8_t label[32];
        sm_err err = recompute(c, i, label, ei);
        if (err) return err;
        sm_vrf_best_offer(best, c->job->vrf_difficulty, c->range.first + i, label);
        if (best->found) limit = best->label;
    }
    return SM_OK;
}

static bool same_best(const struct sm_vrf_best *a, const struct sm_vrf_best *b)
{
    if (!a->found || !b->found) return a->found == b->found;
    return a->index == b->index && memcmp(a->label, b->label, sizeof a->label) == 0;
}

/* The search result is wrong although the labels are right: reported at the label that decides. */
static void catch_claim(const struct check *c, const struct sm_vrf_best *best, const struct sm_vrf_best *claimed)
{
    const struct sm_vrf_best *shown = best->found ? best : claimed;
    c->lie->caught = true;
    c->lie->index = shown->index;
    if (best->found) memcpy(c->lie->expected, best->label, SM_LABEL_BYTES); /* else zeros: none */
    if (claimed->found) memcpy(c->lie->actual, claimed->label, SM_LABEL_BYTES);
}

sm_err sm_farm_check(const struct sm_label_job *job, struct sm_label_range range, const uint8_t *labels,
                     const struct sm_vrf_best *claimed, unsigned spot_checks, uint64_t *seed,
                     struct sm_vrf_best *out_best, struct sm_farm_lie *out_lie, struct sm_errinfo *ei)
{
    const struct check c = {.job = job, .range = range, .labels = labels, .lie = out_lie};
    struct sm_vrf_best best = {0};
    *out_lie = (struct sm_farm_lie){0};
    for (unsigned i = 0; i < spot_checks && !out_lie->caught; i++) {
        uint8_t label[32];
        sm_err err = recompute(&c, i ? next_random(seed) % range.count : range.count - 1, label, ei);
        if (err) return err;
    }
    sm_err err = search(&c, &best, ei);
    if (err) return err;
    if (!out_lie->caught && !same_best(&best, claimed)) catch_claim(&c, &best, claimed);
    *out_best = best;
    return SM_OK;
}
