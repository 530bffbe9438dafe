#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "keys/signer_impl.h"
#include "keys/wire.h"
#include "util/io.h"

#define IDLE_MAX    16u    /* connections kept for the next calls */
#define DEADLINE_MS 10000u /* for a message to pass, once it moves */
#define ANSWER_MS   60000  /* for the answer to begin: a disk may be slow to flush */

struct remote {
    struct sm_signer base;
    struct sockaddr_un address;
    struct { /* under mu */
        pthread_mutex_t mu;
        int idle[IDLE_MAX];
        size_t idle_n;
    } shared;
};

static sm_err dial(const struct remote *r, int *out_fd, struct sm_errinfo *ei)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return sm_fail(ei, SM_E_NET, "cannot make a socket: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&r->address, sizeof r->address) != 0) {
        const int why = errno;
        (void)close(fd);
        return sm_fail(ei, SM_E_NET, "no signer answers at %s: %s; is smesher signer running?", r->address.sun_path,
                       strerror(why));
    }
    *out_fd = fd;
    return SM_OK;
}

static int take_idle(struct remote *r)
{
    (void)pthread_mutex_lock(&r->shared.mu);
    const int fd = r->shared.idle_n ? r->shared.idle[--r->shared.idle_n] : -1;
    (void)pthread_mutex_unlock(&r->shared.mu);
    return fd;
}

static void give_back(struct remote *r, int fd)
{
    (void)pthread_mutex_lock(&r->shared.mu);
    const bool kept = r->shared.idle_n < IDLE_MAX;
    if (kept) r->shared.idle[r->shared.idle_n++] = fd;
    (void)pthread_mutex_unlock(&r->shared.mu);
    if (!kept) (void)close(fd);
}

static sm_err await_answer(int fd, struct sm_errinfo *ei)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int rc;
    do rc = poll(&p, 1, ANSWER_MS);
    while (rc < 0 && errno == EINTR);
    return rc > 0 ? SM_OK : sm_fail(ei, SM_E_NET, "the signer does not answer");
}

/* *out_raw owns what the answer points to. */
static sm_err exchange(int fd, struct sm_slice request, uint8_t **out_raw, struct sm_wire_answer *out,
                       struct sm_errinfo *ei)
{
    size_t n = 0;
    sm_err err = sm_wire_write(fd, DEADLINE_MS, request, ei);
    if (!err) err = await_answer(fd, ei);
    if (!err) err = sm_wire_read(fd, DEADLINE_MS, out_raw, &n, ei);
    if (!err) err = sm_wire_answer_decode((struct sm_slice){*out_raw, n}, out, ei);
    if (err == SM_E_NOTFOUND) err = SM_E_NET;
    return err;
}

/* An idle connection may have died with an earlier signer process: then once more over a new one. Asking twice is safe. */
static sm_err call(struct remote *r, const struct sm_wire_request *request, uint8_t *out, size_t out_n,
                   struct sm_slice *out_any, uint8_t **out_raw, struct sm_errinfo *ei)
{
    struct sm_scale_writer w = {0};
    struct sm_wire_answer answer = {0};
    uint8_t *raw = NULL;
    int fd = take_idle(r);
    bool fresh = fd < 0;
    sm_err err = sm_wire_request_encode(request, &w, ei);
    for (; !err; fresh = true) {
        if (fd < 0) err = dial(r, &fd, ei);
        if (err) break;
        err = exchange(fd, (struct sm_slice){w.p, w.n}, &raw, &answer, ei);
        if (!err) break;
        free(raw);
        raw = NULL;
        sm_io_close(fd);
        fd = -1;
        if (fresh || err != SM_E_NET) break;
        err = SM_OK;
    }
    sm_scale_writer_fini(&w);
    if (fd >= 0) give_back(r, fd);
    if (!err && answer.status)
        err = sm_fail(ei, answer.status, "%s", answer.text);
    else if (!err && out && answer.body.n != out_n)
        err = sm_fail(ei, SM_E_FORMAT, "the signer's answer has %zu bytes, %zu are expected", answer.body.n, out_n);
    else if (!err && out)
        memcpy(out, answer.body.p, out_n);
    if (!err && out_any) {
        *out_any = answer.body;
        *out_raw = raw;
        raw = NULL;
    }
    free(raw);
    return err;
}

static sm_err remote_sign(struct sm_signer *s, const struct sm_sign_request *r, struct sm_signature *out,
                          struct sm_errinfo *ei)
{
    const struct sm_wire_request request = {.op = SM_WIRE_SIGN, .sign = *r};
    return call((struct remote *)s, &request, out->b, sizeof out->b, NULL, NULL, ei);
}

static sm_err remote_vrf(struct sm_signer *s, const struct sm_vrf_request *r, struct sm_vrf_proof *out,
                         struct sm_errinfo *ei)
{
    const struct sm_wire_request request = {.op = SM_WIRE_VRF, .vrf = *r};
    return call((struct remote *)s, &request, out->b, sizeof out->b, NULL, NULL, ei);
}

static void remote_close(struct sm_signer *s)
{
    struct remote *r = (struct remote *)s;
    while (r->shared.idle_n) (void)close(r->shared.idle[--r->shared.idle_n]);
    (void)pthread_mutex_destroy(&r->shared.mu);
    free(r->base.identities);
    free(r);
}

static const struct sm_signer_ops remote_ops = {.sign = remote_sign, .vrf = remote_vrf, .close = remote_close};

static sm_err greet(struct remote *r, struct sm_errinfo *ei)
{
    const struct sm_wire_request hello = {.op = SM_WIRE_HELLO};
    struct sm_slice body;
    struct sm_genesis_id theirs;
    uint8_t *raw = NULL;
    sm_err err = call(r, &hello, NULL, 0, &body, &raw, ei);
    if (err) return err;
    err = sm_wire_hello_decode(body, &theirs, &r->base.identities, &r->base.identities_n, ei);
    free(raw);
    if (!err && memcmp(&theirs, &r->base.genesis, sizeof theirs) != 0)
        err = sm_fail(ei, SM_E_MISMATCH, "the signer at %s signs for another network", r->address.sun_path);
    return err;
}

sm_err sm_signer_connect(const char *path, const struct sm_genesis_id *genesis, struct sm_signer **out,
                         struct sm_errinfo *ei)
{
    struct remote *r = calloc(1, sizeof *r);
    if (!r) return sm_fail(ei, SM_E_NOMEM, "out of memory for a signer");
    if (strlen(path) >= sizeof r->address.sun_path || pthread_mutex_init(&r->shared.mu, NULL) != 0) {
        free(r);
        return sm_fail(ei, SM_E_ARG, "%s: too long a path for a socket", path);
    }
    r->base.ops = &remote_ops;
    r->base.genesis = *genesis;
    r->address.sun_family = AF_UNIX;
    memcpy(r->address.sun_path, path, strlen(path));
    sm_err err = greet(r, ei);
    if (err)
        remote_close(&r->base);
    else
        *out = &r->base;
    return err;
}
