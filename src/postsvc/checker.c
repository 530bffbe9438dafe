#include "postsvc/checker.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct item {
    struct sm_post_checker *c;
    struct sm_post_check *job;
    struct item *next; /* waiting, or in the list of all that are out */
    struct sm_loop_job post;
    sm_err err;
    struct sm_verdict verdict;
    struct sm_errinfo ei;
};

struct sm_post_checker {
    struct sm_post_checker_cfg cfg; /* constant after creation */
    struct sm_randomx_cfg randomx;
    pthread_t *threads;
    unsigned threads_n;
    struct { /* any thread, under mu */
        pthread_mutex_t mu;
        pthread_cond_t more;
        struct item *first, **last;
        struct item *posted; /* results on their way to the loop */
        bool stop;
    } shared;
    struct { /* any of the threads, under mu */
        pthread_mutex_t mu;
        struct sm_verifier *verifier;
    } tool;
};

/* ---- on the loop ---- */

static void unlink_posted(struct item *it)
{
    struct sm_post_checker *c = it->c;
    (void)pthread_mutex_lock(&c->shared.mu);
    struct item **at = &c->shared.posted;
    while (*at != it) at = &(*at)->next;
    *at = it->next;
    (void)pthread_mutex_unlock(&c->shared.mu);
}

static void give_back(struct item *it)
{
    it->c->cfg.done(it->c->cfg.ctx, it->job, it->err, &it->verdict, it->ei.text);
    free(it);
}

static void arrived(void *ctx)
{
    unlink_posted(ctx);
    give_back(ctx);
}

bool sm_post_checker_add(struct sm_post_checker *c, struct sm_post_check *job)
{
    struct item *it = calloc(1, sizeof *it);
    if (!it) return false;
    it->c = c;
    it->job = job;
    it->post = (struct sm_loop_job){.fn = arrived, .ctx = it};
    (void)pthread_mutex_lock(&c->shared.mu);
    *c->shared.last = it;
    c->shared.last = &it->next;
    (void)pthread_cond_signal(&c->shared.more);
    (void)pthread_mutex_unlock(&c->shared.mu);
    return true;
}

/* ---- on the threads ---- */

static struct item *take(struct sm_post_checker *c)
{
    (void)pthread_mutex_lock(&c->shared.mu);
    while (!c->shared.first && !c->shared.stop) (void)pthread_cond_wait(&c->shared.more, &c->shared.mu);
    struct item *it = c->shared.stop ? NULL : c->shared.first;
    if (it) {
        c->shared.first = it->next;
        if (!c->shared.first) c->shared.last = &c->shared.first;
        it->next = NULL;
    }
    (void)pthread_mutex_unlock(&c->shared.mu);
    return it;
}

/* Made once, by the first thread that needs it, while the others wait: a second or so. */
static sm_err verifier_of(struct sm_post_checker *c, struct sm_verifier **out, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    (void)pthread_mutex_lock(&c->tool.mu);
    if (!c->tool.verifier) err = sm_verifier_new(c->cfg.params, &c->randomx, &c->tool.verifier, ei);
    *out = c->tool.verifier;
    (void)pthread_mutex_unlock(&c->tool.mu);
    return err;
}

static void *work(void *ctx)
{
    struct sm_post_checker *c = ctx;
    for (struct item *it; (it = take(c));) {
        struct sm_verifier *v = NULL;
        const struct sm_verify_job job = {
            .proof = &it->job->what.proof, .meta = &it->job->what.meta, .mode = SM_VERIFY_STRICT};
        it->err = verifier_of(c, &v, &it->ei);
        if (!it->err) it->err = sm_verify_one(v, &job, &it->verdict, &it->ei);
        (void)pthread_mutex_lock(&c->shared.mu);
        it->next = c->shared.posted;
        c->shared.posted = it;
        (void)pthread_mutex_unlock(&c->shared.mu);
        sm_loop_post_job(c->cfg.loop, &it->post);
    }
    return NULL;
}

/* ---- new and free ---- */

sm_err sm_post_checker_new(const struct sm_post_checker_cfg *cfg, struct sm_post_checker **out, struct sm_errinfo *ei)
{
    const unsigned n = cfg->threads ? cfg->threads : 1;
    struct sm_post_checker *c = calloc(1, sizeof *c);
    pthread_t *threads = calloc(n, sizeof *threads);
    if (!c || !threads) {
        free(c);
        free(threads);
        return sm_fail(ei, SM_E_NOMEM, "out of memory for %u verification threads", n);
    }
    c->cfg = *cfg;
    c->randomx = *cfg->randomx;
    c->threads = threads;
    c->shared.last = &c->shared.first;
    (void)pthread_mutex_init(&c->shared.mu, NULL);
    (void)pthread_mutex_init(&c->tool.mu, NULL);
    (void)pthread_cond_init(&c->shared.more, NULL);
    while (c->threads_n < n && pthread_create(&threads[c->threads_n], NULL, work, c) == 0) c->threads_n++;
    if (c->threads_n < n) {
        sm_post_checker_free(c);
        return sm_fail(ei, SM_E_STATE, "cannot start %u verification threads", n);
    }
    *out = c;
    return SM_OK;
}

static void drain(struct item *list, sm_err err)
{
    for (struct item *next; list; list = next) {
        next = list->next;
        if (err) list->err = err;
        give_back(list);
    }
}

void sm_post_checker_free(struct sm_post_checker *c)
{
    if (!c) return;
    (void)pthread_mutex_lock(&c->shared.mu);
    c->shared.stop = true;
    (void)pthread_cond_broadcast(&c->shared.more);
    (void)pthread_mutex_unlock(&c->shared.mu);
    for (unsigned i = 0; i < c->threads_n; i++) (void)pthread_join(c->threads[i], NULL);
    for (struct item *it = c->shared.posted; it; it = it->next) (void)sm_loop_take_job(c->cfg.loop, &it->post);
    drain(c->shared.posted, SM_OK);
    drain(c->shared.first, SM_E_CANCELLED);
    sm_verifier_free(c->tool.verifier);
    (void)pthread_mutex_destroy(&c->tool.mu);
    (void)pthread_cond_destroy(&c->shared.more);
    (void)pthread_mutex_destroy(&c->shared.mu);
    free(c->threads);
    free(c);
}
