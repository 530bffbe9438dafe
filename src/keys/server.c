#include "keys/server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "keys/wire.h"
#include "util/io.h"
#include "util/log.h"

#define DEADLINE_MS 10000u /* for a message to pass, once it moves */
#define TICK_MS     100

struct sm_server {
    struct sm_signer *signer; /* borrowed */
    struct sockaddr_un address;
    int listen_fd;
    bool bound;
    struct { /* under mu */
        pthread_mutex_t mu;
        pthread_cond_t changed; /* a connection ended, or has become idle */
        struct connection *list[SM_SERVER_CONNECTIONS];
        size_t n;
        uint64_t turn;
    } shared;
};
struct connection { /* owned by its thread, which takes it off the list */
    struct sm_server *server;
    int fd;
    uint64_t idle_since; /* under the server's mu: a turn; 0 = in a request, or told to end */
};

/* ---- one connection ---- */

static sm_err answer_hello(struct sm_signer *signer, struct sm_scale_writer *body, struct sm_errinfo *ei)
{
    size_t n;
    const struct sm_signer_identity *ids = sm_signer_identities(signer, &n);
    return sm_wire_hello_encode(sm_signer_genesis(signer), ids, n, body, ei);
}

static sm_err perform(struct sm_signer *signer, const struct sm_wire_request *r, struct sm_slice *out, uint8_t room[80],
                      struct sm_scale_writer *body, struct sm_errinfo *ei)
{
    struct sm_signature signature;
    struct sm_vrf_proof proof;
    sm_err err = SM_OK;
    switch (r->op) {
    case SM_WIRE_HELLO:
        err = answer_hello(signer, body, ei);
        *out = (struct sm_slice){body->p, body->n};
        break;
    case SM_WIRE_SIGN:
        err = sm_signer_sign(signer, &r->sign, &signature, ei);
        if (!err) memcpy(room, signature.b, sizeof signature.b);
        *out = (struct sm_slice){room, sizeof signature.b};
        break;
    case SM_WIRE_VRF:
        err = sm_signer_vrf(signer, &r->vrf, &proof, ei);
        if (!err) memcpy(room, proof.b, sizeof proof.b);
        *out = (struct sm_slice){room, sizeof proof.b};
        break;
    }
    return err;
}

/* SM_OK: go on with this connection. */
static sm_err serve_one(const struct connection *c)
{
    struct sm_errinfo ei = {0};
    struct sm_arena arena = {.limit = 16u * SM_WIRE_MAX};
    struct sm_wire_request request = {0};
    struct sm_scale_writer body = {0}, w = {0};
    struct sm_slice result = {0};
    uint8_t room[80], *in = NULL;
    size_t n = 0;
    sm_err err = sm_wire_read(c->fd, DEADLINE_MS, &in, &n, &ei);
    if (err) return err;
    sm_err status = sm_wire_request_decode((struct sm_slice){in, n}, &arena, &request, &ei);
    if (!status) status = perform(c->server->signer, &request, &result, room, &body, &ei);
    err = sm_wire_answer_encode(status, ei.text, result, &w, NULL);
    if (!err) err = sm_wire_write(c->fd, DEADLINE_MS, (struct sm_slice){w.p, w.n}, NULL);
    if (status == SM_E_FORMAT) err = status; /* who does not speak the protocol is not spoken to */
    sm_scale_writer_fini(&w);
    sm_scale_writer_fini(&body);
    sm_arena_free(&arena);
    free(in);
    return err;
}

static void forget(struct connection *c)
{
    struct sm_server *s = c->server;
    (void)pthread_mutex_lock(&s->shared.mu);
    for (size_t i = 0; i < s->shared.n; i++)
        if (s->shared.list[i] == c) s->shared.list[i] = s->shared.list[--s->shared.n];
    (void)close(c->fd); /* under the lock: only listed descriptors are shut down */
    free(c);
    (void)pthread_cond_broadcast(&s->shared.changed);
    (void)pthread_mutex_unlock(&s->shared.mu);
}

/* Until there is something to read, if only the end. */
static void await_request(struct connection *c)
{
    struct sm_server *s = c->server;
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    (void)pthread_mutex_lock(&s->shared.mu);
    c->idle_since = ++s->shared.turn;
    (void)pthread_cond_broadcast(&s->shared.changed);
    (void)pthread_mutex_unlock(&s->shared.mu);
    while (poll(&p, 1, -1) < 0 && errno == EINTR) {}
    (void)pthread_mutex_lock(&s->shared.mu);
    c->idle_since = 0;
    (void)pthread_mutex_unlock(&s->shared.mu);
}

static void *serve(void *arg)
{
    struct connection *c = arg;
    do await_request(c);
    while (!serve_one(c));
    forget(c);
    return NULL;
}

/* ---- accepting ---- */

static bool is_welcome(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0) return false;
    if (peer.uid == geteuid() || peer.uid == 0) return true;
    sm_log(SM_LOG_DEBUG, "signer", "connection of another user refused", "uid=%u pid=%d", peer.uid, (int)peer.pid);
    return false;
}

static bool start_thread(struct connection *c)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (pthread_attr_init(&attr) != 0) return false;
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    const bool started = pthread_create(&thread, &attr, serve, c) == 0;
    (void)pthread_attr_destroy(&attr);
    return started;
}

static bool is_silent(const struct connection *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

/* What is asked after all is still read and answered before the thread meets the end. */
static void end_longest_idle(struct sm_server *s)
{
    struct connection *found = NULL;
    for (size_t i = 0; i < s->shared.n; i++) {
        struct connection *c = s->shared.list[i];
        if (c->idle_since && (!found || c->idle_since < found->idle_since) && is_silent(c)) found = c;
    }
    if (!found) return;
    found->idle_since = 0;
    (void)shutdown(found->fd, SHUT_RD);
}

/* False: not yet. */
static bool make_room(struct sm_server *s)
{
    struct timespec until;
    (void)pthread_mutex_lock(&s->shared.mu);
    if (s->shared.n == SM_SERVER_CONNECTIONS) {
        end_longest_idle(s);
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TICK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void)pthread_cond_clockwait(&s->shared.changed, &s->shared.mu, CLOCK_MONOTONIC, &until);
    }
    const bool room = s->shared.n < SM_SERVER_CONNECTIONS;
    (void)pthread_mutex_unlock(&s->shared.mu);
    return room;
}

static void welcome(struct sm_server *s)
{
    const int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    if (!is_welcome(fd)) {
        (void)close(fd);
        return;
    }
    struct connection *c = malloc(sizeof *c);
    if (!c) {
        (void)close(fd);
        return;
    }
    *c = (struct connection){.server = s, .fd = fd};
    (void)pthread_mutex_lock(&s->shared.mu);
    s->shared.list[s->shared.n++] = c;
    (void)pthread_mutex_unlock(&s->shared.mu);
    if (!start_thread(c)) forget(c);
}

static void stop_all(struct sm_server *s)
{
    (void)pthread_mutex_lock(&s->shared.mu);
    for (size_t i = 0; i < s->shared.n; i++) (void)shutdown(s->shared.list[i]->fd, SHUT_RD); /* answers still go out */
    while (s->shared.n) (void)pthread_cond_wait(&s->shared.changed, &s->shared.mu);
    (void)pthread_mutex_unlock(&s->shared.mu);
}

sm_err sm_server_run(struct sm_server *s, const struct sm_cancel *cancel, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    while (!err && !sm_cancelled(cancel)) {
        struct pollfd p = {.fd = s->listen_fd, .events = POLLIN};
        const int rc = poll(&p, 1, TICK_MS);
        if (rc > 0 && make_room(s))
            welcome(s);
        else if (rc < 0 && errno != EINTR)
            err = sm_fail_errno(ei, errno, "cannot wait for connections at %s", s->address.sun_path);
    }
    stop_all(s);
    return err;
}

/* ---- opening ---- */

static sm_err check_dir(const char *path, struct sm_errinfo *ei)
{
    struct stat st;
    char dir[sizeof((struct sockaddr_un *)0)->sun_path];
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) : 0;
    memcpy(dir, path, n);
    dir[n] = '\0';
    const char *name = !slash ? "." : n ? dir : "/";
    if (stat(name, &st) != 0) return sm_fail_errno(ei, errno, "cannot stat %s", name);
    if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & (S_IWGRP | S_IWOTH)))
        return sm_fail(ei, SM_E_MISMATCH,
                       "directory %s of the signer's socket can be changed by others: make it private (chmod 700)",
                       name);
    return SM_OK;
}

/* A name that nobody answers at is left over from a crash. */
static sm_err clear_name(const struct sockaddr_un *a, struct sm_errinfo *ei)
{
    struct stat st;
    if (lstat(a->sun_path, &st) != 0) return SM_OK;
    if (!S_ISSOCK(st.st_mode)) return sm_fail(ei, SM_E_MISMATCH, "%s exists and is no socket", a->sun_path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool answered = fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof *a) == 0;
    sm_io_close(fd);
    if (answered) return sm_fail(ei, SM_E_BUSY, "another signer answers at %s", a->sun_path);
    return sm_io_unlink(a->sun_path, ei);
}

static sm_err listen_at(struct sm_server *s, struct sm_errinfo *ei)
{
    sm_err err = check_dir(s->address.sun_path, ei);
    if (!err) err = clear_name(&s->address, ei);
    if (err) return err;
    s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const mode_t mask = umask(0177); /* the socket is never more than 0600 */
    s->bound = s->listen_fd >= 0 && bind(s->listen_fd, (const struct sockaddr *)&s->address, sizeof s->address) == 0;
    const int why = errno;
    (void)umask(mask);
    if (!s->bound) return sm_fail_errno(ei, why, "cannot make the socket %s", s->address.sun_path);
    if (listen(s->listen_fd, 64) != 0) return sm_fail_errno(ei, errno, "cannot listen at %s", s->address.sun_path);
    return SM_OK;
}

sm_err sm_server_open(const char *path, struct sm_signer *signer, struct sm_server **out, struct sm_errinfo *ei)
{
    struct sm_server *s = calloc(1, sizeof *s);
    if (!s) return sm_fail(ei, SM_E_NOMEM, "out of memory for a signer");
    s->signer = signer;
    s->listen_fd = -1;
    s->address.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof s->address.sun_path || pthread_mutex_init(&s->shared.mu, NULL) != 0 ||
        pthread_cond_init(&s->shared.changed, NULL) != 0) {
        free(s);
        return sm_fail(ei, SM_E_ARG, "%s: too long a path for a socket", path);
    }
    memcpy(s->address.sun_path, path, strlen(path));
    sm_err err = listen_at(s, ei);
    if (err)
        sm_server_close(s);
    else
        *out = s;
    return err;
}

void sm_server_close(struct sm_server *s)
{
    if (!s) return;
    sm_io_close(s->listen_fd);
    if (s->bound) (void)unlink(s->address.sun_path);
    (void)pthread_cond_destroy(&s->shared.changed);
    (void)pthread_mutex_destroy(&s->shared.mu);
    free(s);
}
