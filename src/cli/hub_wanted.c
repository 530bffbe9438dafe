/* The proofs that a hub was asked for. */
#include <stdlib.h>
#include <string.h>

#include "cli/hub.h"
#include "cli/hub_files.h"
#include "util/clock.h"

static bool is_open(const struct sm_wanted *w)
{
    return w->state != SM_WANTED_DONE && w->state != SM_WANTED_FAILED;
}

static bool is_of(const struct sm_wanted *w, const struct sm_node_id *id)
{
    return memcmp(&w->id, id, sizeof *id) == 0;
}

/* The one that is under way for this identity. */
static struct sm_wanted *current(struct sm_hub *h, const struct sm_node_id *id)
{
    struct sm_wanted *w = h->wanted;
    while (w && !(is_of(w, id) && (w->state == SM_WANTED_ASKING || w->state == SM_WANTED_PAUSED))) w = w->next;
    return w;
}

void sm_hub_check_done(struct sm_hub *h)
{
    if (h->once && h->open_n == 0) sm_loop_stop(h->loop);
}

static void start_next(struct sm_hub *h, const struct sm_node_id *id);

static void settle(struct sm_wanted *w, sm_wanted_state state)
{
    struct sm_hub *h = w->hub;
    sm_loop_timer_clear(h->loop, &w->timer);
    w->state = state;
    h->open_n--;
    if (state == SM_WANTED_DONE)
        h->done_n++;
    else
        h->failed_n++;
}

static void fail(struct sm_wanted *w, const char *reason, const char *text)
{
    struct sm_hub *h = w->hub;
    settle(w, SM_WANTED_FAILED);
    sm_hub_tell_failed(h, w, reason, text, 0);
}

/* Puts the question to the identity's rig, or finds the answer in the directory. */
static void ask(struct sm_wanted *w)
{
    struct sm_hub *h = w->hub;
    struct sm_errinfo ei = {0};
    bool there = false;
    sm_err err = sm_hub_has_proof(h->out_dir, &w->id, &w->challenge, &there, &ei);
    if (!err && there) {
        char path[SM_HUB_PATH_ROOM] = "";
        err = sm_hub_proof_path(h->out_dir, &w->id, &w->challenge, path, &ei);
        if (!err) {
            settle(w, SM_WANTED_DONE);
            sm_hub_tell_proof(h, w, path, NULL);
        }
    } else if (!err) {
        w->state = SM_WANTED_ASKING;
        err = sm_post_server_request(h->post, &w->id, &w->challenge, NULL, w->deadline_ns, &ei);
    }
    if (err) fail(w, err == SM_E_TIMEOUT ? "deadline" : "store", ei.text);
}

static void retry_due(void *ctx)
{
    struct sm_wanted *w = ctx;
    struct sm_hub *h = w->hub;
    ask(w);
    if (!is_open(w)) start_next(h, &w->id);
    sm_hub_check_done(h);
}

static void start_next(struct sm_hub *h, const struct sm_node_id *id)
{
    for (struct sm_wanted *w = h->wanted; w; w = w->next)
        if (w->state == SM_WANTED_QUEUED && is_of(w, id)) {
            ask(w);
            if (is_open(w)) return;
        }
}

sm_err sm_hub_want(struct sm_hub *h, const struct sm_node_id *id, const struct sm_challenge *challenge,
                   struct sm_errinfo *ei)
{
    for (const struct sm_wanted *w = h->wanted; w; w = w->next)
        if (is_open(w) && is_of(w, id) && memcmp(&w->challenge, challenge, sizeof *challenge) == 0)
            return sm_fail(ei, SM_E_BUSY, "this proof is requested already");
    struct sm_wanted *w = calloc(1, sizeof *w);
    if (!w) return sm_fail(ei, SM_E_NOMEM, "out of memory for a request");
    w->hub = h;
    w->id = *id;
    w->challenge = *challenge;
    w->timer = (struct sm_loop_timer){.fn = retry_due, .ctx = w};
    w->deadline_ns = h->deadline_ns ? sm_loop_now(h->loop) + h->deadline_ns : UINT64_MAX;
    const bool busy = current(h, id) != NULL;
    *h->wanted_last = w;
    h->wanted_last = &w->next;
    h->open_n++;
    sm_hub_tell_requested(h, w);
    if (!busy) ask(w);
    return SM_OK;
}

bool sm_hub_unwant(struct sm_hub *h, const struct sm_node_id *id)
{
    bool any = false;
    for (struct sm_wanted *w = h->wanted; w; w = w->next) {
        if (!is_open(w) || !is_of(w, id)) continue;
        settle(w, SM_WANTED_FAILED);
        any = true;
    }
    (void)sm_post_server_cancel(h->post, id);
    return any;
}

void sm_hub_on_proof(void *ctx, const struct sm_post_identity *id, const struct sm_post_verified *v)
{
    struct sm_hub *h = ctx;
    struct sm_wanted *w = current(h, &id->id);
    struct sm_errinfo ei = {0};
    char path[SM_HUB_PATH_ROOM];
    if (!w) return;
    if (sm_hub_store_proof(h->out_dir, v, path, &ei)) {
        fail(w, "store", ei.text);
    } else {
        settle(w, SM_WANTED_DONE);
        sm_hub_tell_proof(h, w, path, v);
    }
    start_next(h, &id->id);
    sm_hub_check_done(h);
}

/* A node asks again at the next layer; so do we. */
void sm_hub_on_failed(void *ctx, const struct sm_post_identity *id, sm_post_failure reason, const char *text)
{
    struct sm_hub *h = ctx;
    struct sm_wanted *w = current(h, &id->id);
    if (!w) return;
    const uint64_t again = sm_loop_now(h->loop) + h->retry_ns;
    if (reason != SM_POST_FAILURE_DEADLINE && h->retry_ns && again < w->deadline_ns) {
        w->state = SM_WANTED_PAUSED;
        sm_loop_timer_set(h->loop, &w->timer, again);
        sm_hub_tell_failed(h, w, sm_post_failure_name(reason), text, h->retry_ns);
        return;
    }
    fail(w, sm_post_failure_name(reason), text);
    start_next(h, &id->id);
    sm_hub_check_done(h);
}

void sm_hub_wanted_fini(struct sm_hub *h)
{
    for (struct sm_wanted *w = h->wanted, *next; w; w = next) {
        next = w->next;
        sm_loop_timer_clear(h->loop, &w->timer);
        free(w);
    }
    h->wanted = NULL;
}
