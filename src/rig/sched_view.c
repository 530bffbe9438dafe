#include <stdio.h>
#include <string.h>

#include "rig/sched_impl.h"
#include "util/clock.h"

/* p->hashes counts those of one group and starts again with the next. Of other machines' groups nobody knows more than what
 * they take on average. */
static uint64_t new_hashes(const struct sm_prove_progress *before, const struct sm_prove_progress *p)
{
    const uint64_t here = p->hashes < before->hashes ? p->hashes : p->hashes - before->hashes;
    const uint32_t groups = p->groups_remote > before->groups_remote ? p->groups_remote - before->groups_remote : 0;
    return here + (uint64_t)(p->expected_hashes * groups);
}

void sm_sched_progress(struct sm_sched_id *id, const struct sm_prove_progress *p, uint64_t now_ns)
{
    id->hashes_done += new_hashes(&id->progress, p);
    struct sm_meter *meter = p->phase == SM_PROVE_K2POW ? &id->hashes : p->phase == SM_PROVE_SCAN ? &id->bytes : NULL;
    const uint64_t value = meter == &id->hashes ? id->hashes_done : p->bytes_done;
    if (meter && meter == id->metered)
        sm_meter_update(meter, value, now_ns);
    else if (meter)
        sm_meter_begin(meter, value, now_ns);
    id->metered = meter;
    id->progress = *p;
    id->s->planned = false;
}

const char *sm_sched_phase_name(sm_sched_phase p)
{
    static const char *const names[] = {"idle",    "queued",    "randomx-init", "k2pow",
                                        "reading", "verifying", "done",         "failed"};
    return names[p];
}

static sm_sched_phase phase_of(const struct sm_sched_id *id)
{
    if (!id->has_challenge) return SM_SCHED_IDLE;
    if (id->done) return SM_SCHED_DONE;
    if (id->failed) return SM_SCHED_FAILED;
    if (!id->running || id->stopping) return SM_SCHED_QUEUED;
    if (id->hold == NEED_CPU) return id->progress.phase == SM_PROVE_RANDOMX ? SM_SCHED_RANDOMX : SM_SCHED_K2POW;
    if (id->hold == NEED_DISK) return SM_SCHED_READING;
    return id->verifying ? SM_SCHED_VERIFYING : SM_SCHED_QUEUED;
}

static void message_of(const struct sm_sched_id *id, uint64_t now_ns, char *out, size_t room)
{
    out[0] = '\0';
    if (id->has_challenge && id->failed)
        (void)snprintf(out, room, "%s", id->why);
    else if (!sm_sched_active(id))
        return;
    else if (id->retry_at_ns != SM_SCHED_NEVER)
        (void)snprintf(out, room, "retry %u of %u in %.0f s after: %.180s", id->tries, SM_SCHED_RETRIES,
                       id->retry_at_ns > now_ns ? (double)(id->retry_at_ns - now_ns) / (double)SM_NS_PER_S : 0.0,
                       id->why);
    else if (id->stopping)
        (void)snprintf(out, room, "waits for the run before to stop");
    else if (id->wish == NEED_CPU)
        (void)snprintf(out, room, "waits for the processors");
    else if (id->wish == NEED_DISK)
        (void)snprintf(out, room, "waits for disk %s", id->what.disks.n ? id->what.disks.name[0] : "");
}

void sm_sched_look(const struct sm_sched_id *id, uint64_t now_ns, struct sm_sched_view *out)
{
    *out = (struct sm_sched_view){.phase = phase_of(id),
                                  .paused = id->paused,
                                  .waits_for_disk = id->wish == NEED_DISK && !id->stopping,
                                  .has_challenge = id->has_challenge,
                                  .challenge = id->challenge,
                                  .progress = id->progress,
                                  .bytes = id->bytes,
                                  .hashes = id->hashes,
                                  .eta_s = sm_sched_eta(id),
                                  .deadline_ns = sm_sched_active(id) ? id->deadline_ns : SM_SCHED_NEVER,
                                  .tries = id->tries,
                                  .last = id->has_last ? &id->last : NULL};
    message_of(id, now_ns, out->message, sizeof out->message);
}

bool sm_sched_wants_randomx(const struct sm_sched *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct sm_sched_id *id = s->ids[i];
        if (id->running && (id->hold == NEED_CPU || id->wish == NEED_CPU || !id->gated)) return true;
    }
    return false;
}

bool sm_sched_all_delivered(const struct sm_sched *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct sm_sched_id *id = s->ids[i];
        if (id->has_challenge && !(id->done && id->delivered)) return false;
    }
    return s->counts.delivered > 0;
}

struct sm_sched_counts sm_sched_counts(const struct sm_sched *s)
{
    return s->counts;
}
