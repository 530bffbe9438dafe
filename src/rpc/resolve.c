#include "rpc/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sm_resolve {
    struct sm_loop *loop;
    struct sm_rpc_address address;
    sm_resolve_done done;
    void *ctx;
    struct sm_loop_job job;
    struct sm_resolved list; /* written by the lookup thread, read by the loop after the job is posted */
    int code;
    enum { WAITING, RUNNING, POSTED } state; /* under pool.mu, as all below */
    bool cancelled;                          /* RUNNING: the thread releases it */
    struct sm_resolve *next;
};

static struct {
    pthread_mutex_t mu;
    struct sm_resolve *first, **end;
    unsigned threads;
} pool = {.mu = PTHREAD_MUTEX_INITIALIZER, .end = &pool.first};

/* ---- the lookup ---- */

static int lookup_libc(const char *host, uint16_t port, struct sm_resolved *out)
{
    char service[8];
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
    (void)snprintf(service, sizeof service, "%u", port);
    int rc = getaddrinfo(host, service, &hints, &list);
    if (rc != 0) { /* AI_ADDRCONFIG hides even "localhost" on a machine that has nothing but loopback */
        const struct addrinfo plain = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
        rc = rc == EAI_AGAIN ? rc : getaddrinfo(host, service, &plain, &list);
    }
    if (rc != 0) return rc;
    for (const struct addrinfo *r = list; r && out->n < SM_RESOLVED_MAX; r = r->ai_next) {
        if ((r->ai_family != AF_INET && r->ai_family != AF_INET6) || r->ai_addrlen > sizeof out->a[0]) continue;
        memcpy(&out->a[out->n++], r->ai_addr, r->ai_addrlen);
    }
    freeaddrinfo(list);
    return out->n ? 0 : EAI_NONAME;
}

static sm_resolve_lookup lookup = lookup_libc;

void sm_resolve_set_lookup(sm_resolve_lookup fn)
{
    lookup = fn ? fn : lookup_libc;
}

void sm_resolved_interleave(struct sm_resolved *list)
{
    for (size_t i = 1; i + 1 < list->n; i++) {
        if (list->a[i].sa.sa_family != list->a[i - 1].sa.sa_family) continue;
        size_t other = i + 1;
        while (other < list->n && list->a[other].sa.sa_family == list->a[i].sa.sa_family) other++;
        if (other == list->n) return;
        const union sm_sockaddr moved = list->a[other];
        memmove(&list->a[i + 1], &list->a[i], (other - i) * sizeof list->a[0]);
        list->a[i] = moved;
    }
}

/* ---- threads ---- */

static void *work(void *arg)
{
    struct sm_resolve *r;
    (void)arg;
    (void)pthread_mutex_lock(&pool.mu);
    while ((r = pool.first)) {
        pool.first = r->next;
        if (!pool.first) pool.end = &pool.first;
        r->state = RUNNING;
        (void)pthread_mutex_unlock(&pool.mu);
        r->code = lookup(r->address.host, r->address.port, &r->list);
        (void)pthread_mutex_lock(&pool.mu);
        if (r->cancelled) {
            free(r);
        } else {
            r->state = POSTED;
            sm_loop_post_job(r->loop, &r->job);
        }
    }
    pool.threads--;
    (void)pthread_mutex_unlock(&pool.mu);
    return NULL;
}

/* Under pool.mu. False: no thread at all would take what waits. */
static bool add_thread(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (pool.threads >= SM_RESOLVE_THREADS) return true;
    if (pthread_attr_init(&attr) != 0) return pool.threads > 0;
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, work, NULL) == 0) pool.threads++;
    (void)pthread_attr_destroy(&attr);
    return pool.threads > 0;
}

/* ---- on the loop ---- */

static void finish(void *ctx)
{
    struct sm_resolve *r = ctx;
    char text[SM_RPC_HOST_ROOM + 128];
    /* The lock orders this thread behind the lookup's last write of the state. */
    (void)pthread_mutex_lock(&pool.mu);
    (void)pthread_mutex_unlock(&pool.mu);
    const struct sm_resolved list = r->list;
    const sm_resolve_done done = r->done;
    const int code = r->code;
    ctx = r->ctx;
    (void)snprintf(text, sizeof text, "cannot look up host %s: %s", r->address.host, code ? gai_strerror(code) : "");
    free(r);
    done(ctx, code ? NULL : &list, text);
}

static void enqueue(struct sm_resolve *r)
{
    *pool.end = r;
    pool.end = &r->next;
}

static void dequeue(struct sm_resolve *r)
{
    for (struct sm_resolve **at = &pool.first; *at; at = &(*at)->next) {
        if (*at != r) continue;
        *at = r->next;
        if (!*at) pool.end = at;
        return;
    }
}

sm_err sm_resolve_start(struct sm_loop *l, const struct sm_rpc_address *a, sm_resolve_done done, void *ctx,
                        struct sm_resolve **out, struct sm_errinfo *ei)
{
    struct sm_resolve *r = calloc(1, sizeof *r);
    if (!r) return sm_fail(ei, SM_E_NOMEM, "out of memory for looking up host %s", a->host);
    *r = (struct sm_resolve){.loop = l, .address = *a, .done = done, .ctx = ctx, .state = WAITING};
    r->job = (struct sm_loop_job){.fn = finish, .ctx = r};
    (void)pthread_mutex_lock(&pool.mu);
    enqueue(r);
    const bool served = add_thread();
    if (!served) dequeue(r);
    (void)pthread_mutex_unlock(&pool.mu);
    if (!served) {
        free(r);
        return sm_fail(ei, SM_E_NOMEM, "cannot start a thread for looking up host %s", a->host);
    }
    *out = r;
    return SM_OK;
}

void sm_resolve_cancel(struct sm_resolve *r)
{
    if (!r) return;
    (void)pthread_mutex_lock(&pool.mu);
    const bool running = r->state == RUNNING;
    if (running) r->cancelled = true;
    if (r->state == WAITING) dequeue(r);
    if (r->state == POSTED) (void)sm_loop_take_job(r->loop, &r->job);
    (void)pthread_mutex_unlock(&pool.mu);
    if (!running) free(r);
}
