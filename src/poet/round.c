#include "poet/round.h"

uint64_t sm_round_open(const struct sm_round_times *t, int64_t now_s)
{
    const int64_t since = now_s - t->genesis_s;
    return since < t->phase_shift_s ? 0 : (uint64_t)(since - t->phase_shift_s) / t->epoch_s + 1;
}

static int64_t epoch_start(const struct sm_round_times *t, uint64_t epoch)
{
    return t->genesis_s + (int64_t)(epoch * t->epoch_s);
}

sm_err sm_round_schedule(const struct sm_round_times *t, uint32_t publish_epoch, struct sm_round_schedule *out,
                         struct sm_errinfo *ei)
{
    if (publish_epoch == 0) return sm_fail(ei, SM_E_ARG, "epoch 0 has no PoET round: the first ATXs are of epoch 1");
    const int64_t start = epoch_start(t, publish_epoch - 1) + t->phase_shift_s;
    const int64_t next = start + t->epoch_s, publish_end = epoch_start(t, (uint64_t)publish_epoch + 1);
    *out = (struct sm_round_schedule){
        .round = publish_epoch - 1,
        .build_start_s = start - t->grace_period_s,
        .positioning_deadline_s = start - t->grace_period_s + t->positioning_timeout_s,
        .start_s = start,
        .end_s = next - t->cycle_gap_s,
        .next_start_s = next,
        .proof_deadline_s = publish_end - t->cycle_gap_s,
        .publish_start_s = epoch_start(t, publish_epoch),
        .publish_end_s = publish_end,
    };
    return SM_OK;
}

void sm_round_query_jitter_ms(const struct sm_round_times *t, uint32_t *out_least, uint32_t *out_most)
{
    *out_least = (uint32_t)((uint64_t)t->cycle_gap_s * 2 / 10); /* 0.0002 of the gap; gs activation/nipost.go */
    *out_most = (uint32_t)((uint64_t)t->cycle_gap_s * 4 / 10);  /* 0.0004 */
}
