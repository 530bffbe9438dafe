#include <stdio.h>
#include <string.h>

#include "rig/sched_impl.h"
#include "util/clock.h"

/* p->hashes counts those of one group and starts again with the next. */
static uint64_t total_hashes(struct sm_sched_id *id, const struct sm_prove_progress *p)
{
    if (p->hashes < id->progress.hashes) id->hashes_before += id->progress.hashes;
    return id->hashes_before + p->hashes;
}

void sm_sched_progress(struct sm_sched_id *id, const struct sm_prove_progress *p, uint64_t now_ns)
{
    const uint64_t hashes = total_hashes(id, p);
    if (p->phase == SM_PROVE_K2POW) sm_meter_update(&id->hashes, hashes, now_ns);
    if (p->phase == SM_PROVE_SCAN) sm_meter_update(&id->bytes, p->bytes_done, now_ns);
    id->progress = *p;
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

/* ---- estimates ---- */

static double k2pow_left_s(const struct sm_sched_id *id)
{
    const struct sm_prove_progress *p = &id->progress;
    const bool needed = !id->running || id->hold == NEED_CPU || id->wish == NEED_CPU || !id->gated;
    if (!needed) return 0;
    const double rate = sm_meter_rate(&id->hashes);
    if (rate <= 0 || p->groups_total == 0) return -1;
    const double hashes = p->expected_hashes * (p->groups_total - p->groups_done) - (double)p->hashes;
    return hashes > 0 ? hashes / rate : 0;
}

/* Any identity's rate on the same disk will do for one that has not read yet. */
static double read_rate(const struct sm_sched_id *id)
{
    double rate = sm_meter_rate(&id->bytes);
    for (size_t i = 0; rate <= 0 && i < id->s->n; i++)
        if (sm_disks_shared(&id->s->ids[i]->what.disks, &id->what.disks)) rate = sm_meter_rate(&id->s->ids[i]->bytes);
    return rate;
}

/* Of this pass; whether another one is needed nobody knows. */
static double read_left_s(const struct sm_sched_id *id)
{
    if (id->running && id->verifying) return 0;
    const double rate = read_rate(id);
    const uint64_t done = id->hold == NEED_DISK ? id->progress.bytes_done : 0;
    if (rate <= 0) return -1;
    return done < id->what.bytes ? (double)(id->what.bytes - done) / rate : 0;
}

static double add(double a, double b)
{
    return a < 0 || b < 0 ? -1 : a + b;
}

/* What is read before it on its disks. The k2pow of others overlaps with that and is left out. */
static double wait_s(const struct sm_sched_id *id)
{
    double sum = 0;
    if (id->hold == NEED_DISK || id->verifying) return 0;
    for (size_t i = 0; i < id->s->n; i++) {
        const struct sm_sched_id *other = id->s->ids[i];
        if (other == id || !sm_sched_active(other) || other->paused) continue;
        if (other->hold != NEED_DISK && !sm_sched_before(other, id)) continue;
        if (sm_disks_shared(&other->what.disks, &id->what.disks)) sum = add(sum, read_left_s(other));
    }
    return sum;
}

double sm_sched_eta(const struct sm_sched_id *id)
{
    if (!sm_sched_active(id) || id->paused) return -1;
    return add(add(k2pow_left_s(id), read_left_s(id)), wait_s(id));
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
