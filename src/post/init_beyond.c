#include <inttypes.h>
#include <string.h>

#include "post/init_run.h"
#include "util/clock.h"

#define STEP_MIN 256u
#define STEP_MAX (1u << 20) /* post config/config.go DefaultComputeBatchSize @d483b39 */
#define ROUND    64u        /* steps given to the farm at once */
#define SAVE_NS  (60 * SM_NS_PER_S)
#define RATIO    16u /* a step against the data: one in two data sets' worth of steps finds it */

/* The search ends with the smallest label of the first step that has one, so the step must not depend on the machine. */
static uint64_t step_of(uint64_t num_labels)
{
    uint64_t step = STEP_MIN;
    while (step < STEP_MAX && step * 2 <= num_labels / RATIO) step *= 2;
    return step;
}

struct search {
    struct sm_init_run *r;
    uint64_t step, at; /* the step being searched starts here */
    struct sm_vrf_best best;
    uint64_t saved_ns;
};

static sm_err save_position(struct search *s, struct sm_errinfo *ei)
{
    struct sm_metadata *m = &s->r->meta;
    if (m->has_last_position && m->last_position == s->at) return SM_OK;
    m->has_last_position = true;
    m->last_position = s->at;
    s->saved_ns = sm_clock_ns();
    return sm_metadata_save(s->r->cfg->dir, m, ei);
}

/* Stops the farm with SM_E_CANCELLED when the step is over and has a nonce. */
static sm_err take_labels(void *ctx, struct sm_label_range range, const uint8_t *labels, const struct sm_vrf_best *best,
                          struct sm_errinfo *ei)
{
    struct search *s = ctx;
    (void)labels;
    sm_vrf_best_merge(&s->best, best);
    s->r->progress.searched += range.count;
    sm_init_report(s->r, false);
    if (range.first + range.count < s->at + s->step) return SM_OK;
    if (s->best.found) return sm_fail(ei, SM_E_CANCELLED, "found");
    s->at += s->step;
    return sm_clock_ns() - s->saved_ns >= SAVE_NS ? save_position(s, ei) : SM_OK;
}

static sm_err search_round(struct search *s, struct sm_errinfo *ei)
{
    struct sm_init_run *r = s->r;
    struct sm_label_range ranges[ROUND]; /* chunks do not cross their borders, so that each step is judged alone */
    for (uint64_t i = 0; i < ROUND; i++)
        ranges[i] = (struct sm_label_range){.first = s->at + i * s->step, .count = s->step};
    const struct sm_label_job job = {
        .commitment = r->commitment, .scrypt_n = r->cfg->scrypt_n, .vrf_difficulty = r->difficulty};
    return sm_label_farm_run(r->farm, &job, ranges, ROUND, r->cancel, take_labels, s, ei);
}

sm_err sm_init_search_beyond(struct sm_init_run *r, struct sm_errinfo *ei)
{
    const uint64_t end = r->layout.num_labels;
    struct search s = {.r = r, .step = step_of(end), .at = end, .saved_ns = sm_clock_ns()};
    if (r->meta.has_last_position && r->meta.last_position >= end) s.at = r->meta.last_position;
    sm_err err = sm_init_farm(r, ei);
    while (!err && !s.best.found) {
        if (s.at > UINT64_MAX - s.step * ROUND)
            return sm_fail(ei, SM_E_NOTFOUND, "%s: no VRF nonce up to the last index", r->cfg->dir);
        err = search_round(&s, ei);
        if (err == SM_E_CANCELLED && s.best.found && !sm_cancelled(r->cancel)) err = SM_OK;
    }
    if (err == SM_E_CANCELLED) {
        struct sm_errinfo late = {0};
        const sm_err save_err = save_position(&s, &late);
        return save_err ? sm_fail(ei, save_err, "%s", late.text) : err;
    }
    if (err) return err;
    r->meta.has_last_position = true;
    r->meta.last_position = s.at;
    r->best = s.best;
    return SM_OK;
}
