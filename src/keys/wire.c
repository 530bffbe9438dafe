#include "keys/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/clock.h"

#define HEAD_BYTES 35u /* version, operation, kind, identity */

static sm_err put(struct sm_scale_writer *w, const void *p, size_t n, struct sm_errinfo *ei)
{
    const struct sm_scale_type raw = {.name = "bytes", .kind = SM_SCALE_FIXED, .size = n};
    return n ? sm_scale_encode(&raw, p, w, ei) : SM_OK;
}

/* ---- requests ---- */

sm_err sm_wire_request_encode(const struct sm_wire_request *r, struct sm_scale_writer *w, struct sm_errinfo *ei)
{
    uint8_t head[HEAD_BYTES] = {SM_WIRE_VERSION, (uint8_t)r->op};
    const struct sm_scale_type *t = NULL;
    const void *body = NULL;
    if (r->op == SM_WIRE_SIGN) {
        head[2] = (uint8_t)r->sign.kind;
        memcpy(head + 3, r->sign.identity.b, 32);
        t = sm_sign_body_type(r->sign.kind);
        body = r->sign.body.any;
    } else if (r->op == SM_WIRE_VRF) {
        head[2] = (uint8_t)r->vrf.kind;
        memcpy(head + 3, r->vrf.identity.b, 32);
        t = sm_vrf_body_type(r->vrf.kind);
    }
    if (r->op != SM_WIRE_HELLO && !t) return sm_fail(ei, SM_E_ARG, "unknown kind of request: %u", head[2]);
    sm_err err = put(w, head, sizeof head, ei);
    if (!err && r->op == SM_WIRE_VRF) return sm_vrf_message(&r->vrf, w, ei);
    if (!err && t) err = sm_scale_encode(t, body, w, ei);
    if (!err && w->n > SM_WIRE_MAX)
        err = sm_fail(ei, SM_E_ARG, "the request has %zu bytes, at most %u can be sent", w->n, SM_WIRE_MAX);
    return err;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

static sm_err decode_body(const struct sm_scale_type *t, struct sm_slice in, struct sm_arena *arena, void **out,
                          struct sm_errinfo *ei)
{
    if (!t) return sm_fail(ei, SM_E_FORMAT, "request of an unknown kind");
    *out = sm_arena_alloc(arena, t->size);
    if (!*out) return sm_fail(ei, SM_E_NOMEM, "out of memory for a request");
    return sm_scale_decode(t, in, arena, *out, ei);
}

static sm_err decode_vrf(struct sm_slice in, struct sm_arena *arena, struct sm_vrf_request *r, struct sm_errinfo *ei)
{
    void *body = NULL;
    uint16_t type;
    const struct sm_scale_type *t = sm_vrf_body_type(r->kind);
    sm_err err = decode_body(t, in, arena, &body, ei);
    if (err) return err;
    memcpy(&r->body, body, t->size);
    memcpy(&type, &r->body, sizeof type);
    return type == r->kind ? SM_OK : sm_fail(ei, SM_E_FORMAT, "VRF message of another type than the request's");
}

/* Scale decoding is lenient in places; what is signed is computed from the fields, so that does no harm, but one request
 * should have one form. */
static sm_err check_canonical(const struct sm_wire_request *r, struct sm_slice in, struct sm_errinfo *ei)
{
    struct sm_scale_writer w = {0};
    sm_err err = sm_wire_request_encode(r, &w, ei);
    if (!err && (w.n != in.n || memcmp(w.p, in.p, in.n) != 0))
        err = sm_fail(ei, SM_E_FORMAT, "request is not in its canonical form");
    sm_scale_writer_fini(&w);
    return err;
}

sm_err sm_wire_request_decode(struct sm_slice in, struct sm_arena *arena, struct sm_wire_request *out,
                              struct sm_errinfo *ei)
{
    struct sm_wire_request r = {0};
    if (in.n < HEAD_BYTES || in.n > SM_WIRE_MAX || in.p[0] != SM_WIRE_VERSION)
        return sm_fail(ei, SM_E_FORMAT, "not a request of protocol version %u", SM_WIRE_VERSION);
    const struct sm_slice body = {in.p + HEAD_BYTES, in.n - HEAD_BYTES};
    sm_err err = SM_OK;
    r.op = (sm_wire_op)in.p[1];
    switch (in.p[1]) {
    case SM_WIRE_HELLO:
        if (body.n || !is_zero(in.p + 2, HEAD_BYTES - 2)) err = sm_fail(ei, SM_E_FORMAT, "malformed hello");
        break;
    case SM_WIRE_SIGN: {
        void *obj = NULL;
        r.sign.kind = (sm_sign_kind)in.p[2];
        memcpy(r.sign.identity.b, in.p + 3, 32);
        err = decode_body(sm_sign_body_type(r.sign.kind), body, arena, &obj, ei);
        r.sign.body.any = obj;
        break;
    }
    case SM_WIRE_VRF:
        r.vrf.kind = (sm_eligibility_type)in.p[2];
        memcpy(r.vrf.identity.b, in.p + 3, 32);
        err = decode_vrf(body, arena, &r.vrf, ei);
        break;
    default:
        err = sm_fail(ei, SM_E_FORMAT, "unknown operation %u", in.p[1]);
    }
    if (!err) err = check_canonical(&r, in, ei);
    if (!err) *out = r;
    return err;
}

/* ---- answers ---- */

/* Their position is the number on the wire. */
static const sm_err statuses[] = {SM_OK,       SM_E_ARG,      SM_E_STATE,    SM_E_NOMEM, SM_E_IO,     SM_E_NOSPACE,
                                  SM_E_FORMAT, SM_E_MISMATCH, SM_E_NOTFOUND, SM_E_BUSY,  SM_E_REFUSED};
#define STATUSES (sizeof statuses / sizeof statuses[0])

static uint8_t status_number(sm_err err)
{
    for (size_t i = 0; i < STATUSES; i++)
        if (statuses[i] == err) return (uint8_t)i;
    return 2; /* SM_E_STATE: nothing else should happen in a signer */
}

sm_err sm_wire_answer_encode(sm_err status, const char *text, struct sm_slice body, struct sm_scale_writer *w,
                             struct sm_errinfo *ei)
{
    const uint8_t head[2] = {SM_WIRE_VERSION, status_number(status)};
    sm_err err = put(w, head, sizeof head, ei);
    if (err) return err;
    return status ? put(w, text, strnlen(text, SM_WIRE_TEXT), ei) : put(w, body.p, body.n, ei);
}

sm_err sm_wire_answer_decode(struct sm_slice in, struct sm_wire_answer *out, struct sm_errinfo *ei)
{
    if (in.n < 2 || in.p[0] != SM_WIRE_VERSION || in.p[1] >= STATUSES || (in.p[1] && in.n - 2 > SM_WIRE_TEXT))
        return sm_fail(ei, SM_E_FORMAT, "the signer's answer is malformed");
    *out = (struct sm_wire_answer){.status = statuses[in.p[1]]};
    if (out->status)
        memcpy(out->text, in.p + 2, in.n - 2);
    else
        out->body = (struct sm_slice){in.p + 2, in.n - 2};
    return SM_OK;
}

sm_err sm_wire_hello_encode(const struct sm_genesis_id *genesis, const struct sm_signer_identity *ids, size_t n,
                            struct sm_scale_writer *w, struct sm_errinfo *ei)
{
    const uint8_t count[2] = {(uint8_t)n, (uint8_t)(n >> 8)};
    if (n > UINT16_MAX) return sm_fail(ei, SM_E_ARG, "%zu identities: at most %d can be served", n, UINT16_MAX);
    sm_err err = put(w, genesis, sizeof *genesis, ei);
    if (!err) err = put(w, count, sizeof count, ei);
    for (size_t i = 0; !err && i < n; i++) {
        const uint8_t len = (uint8_t)strnlen(ids[i].name, SM_KEY_NAME_ROOM - 1);
        err = put(w, &ids[i].node_id, 32, ei);
        if (!err) err = put(w, &len, 1, ei);
        if (!err) err = put(w, ids[i].name, len, ei);
    }
    return err;
}

sm_err sm_wire_hello_decode(struct sm_slice in, struct sm_genesis_id *out_genesis, struct sm_signer_identity **out,
                            size_t *out_n, struct sm_errinfo *ei)
{
    size_t at = 22;
    if (in.n < at) return sm_fail(ei, SM_E_FORMAT, "the signer's greeting is malformed");
    const size_t n = in.p[20] | (size_t)in.p[21] << 8;
    if (n > (in.n - at) / 33) return sm_fail(ei, SM_E_FORMAT, "the signer's greeting is malformed");
    struct sm_signer_identity *ids = calloc(n ? n : 1, sizeof *ids);
    if (!ids) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu identities", n);
    for (size_t i = 0; i < n; i++) {
        const size_t left = in.n - at;
        if (left < 33 || left - 33 < in.p[at + 32]) goto malformed;
        memcpy(ids[i].node_id.b, in.p + at, 32);
        memcpy(ids[i].name, in.p + at + 33, in.p[at + 32]);
        at += 33u + in.p[at + 32];
    }
    if (at != in.n) goto malformed;
    memcpy(out_genesis, in.p, 20);
    *out = ids;
    *out_n = n;
    return SM_OK;
malformed:
    free(ids);
    return sm_fail(ei, SM_E_FORMAT, "the signer's greeting is malformed");
}

/* ---- frames ---- */

static sm_err wait_for(int fd, short events, uint64_t deadline_ns, struct sm_errinfo *ei)
{
    for (;;) {
        const uint64_t now = sm_clock_ns();
        const int ms = deadline_ns == UINT64_MAX ? -1
                       : deadline_ns <= now      ? 0
                                                 : (int)((deadline_ns - now) / SM_NS_PER_MS) + 1;
        struct pollfd p = {.fd = fd, .events = events};
        const int rc = poll(&p, 1, ms);
        if (rc > 0) return SM_OK;
        if (rc == 0) return sm_fail(ei, SM_E_NET, "the other end of the signer's socket is too slow");
        if (errno != EINTR) return sm_fail(ei, SM_E_NET, "cannot wait for the signer's socket: %s", strerror(errno));
    }
}

static bool again(int why)
{
    return why == EINTR || why == EAGAIN || why == EWOULDBLOCK;
}

/* *deadline_ns is set at the first byte. */
static sm_err read_n(int fd, unsigned deadline_ms, uint64_t *deadline_ns, uint8_t *out, size_t n, struct sm_errinfo *ei)
{
    for (size_t got = 0; got < n;) {
        sm_err err = wait_for(fd, POLLIN, *deadline_ns, ei);
        if (err) return err;
        const ssize_t k = recv(fd, out + got, n - got, MSG_DONTWAIT);
        if (k < 0 && again(errno)) continue;
        if (k < 0) return sm_fail(ei, SM_E_NET, "cannot read from the signer's socket: %s", strerror(errno));
        if (k == 0 && *deadline_ns == UINT64_MAX) return sm_fail(ei, SM_E_NOTFOUND, "the signer's socket was closed");
        if (k == 0) return sm_fail(ei, SM_E_NET, "the signer's socket was closed in the middle of a message");
        if (*deadline_ns == UINT64_MAX) *deadline_ns = sm_clock_ns() + deadline_ms * SM_NS_PER_MS;
        got += (size_t)k;
    }
    return SM_OK;
}

sm_err sm_wire_read(int fd, unsigned deadline_ms, uint8_t **out, size_t *out_n, struct sm_errinfo *ei)
{
    uint8_t head[4], *body = NULL;
    uint64_t deadline_ns = UINT64_MAX;
    sm_err err = read_n(fd, deadline_ms, &deadline_ns, head, sizeof head, ei);
    if (err) return err;
    const uint32_t n = sm_le32_load(head);
    if (n == 0 || n > SM_WIRE_MAX)
        return sm_fail(ei, SM_E_FORMAT, "a message of %u bytes: at most %u are allowed", n, SM_WIRE_MAX);
    body = malloc(n);
    if (!body) return sm_fail(ei, SM_E_NOMEM, "out of memory for a message of %u bytes", n);
    err = read_n(fd, deadline_ms, &deadline_ns, body, n, ei);
    if (err) {
        free(body);
        return err;
    }
    *out = body;
    *out_n = n;
    return SM_OK;
}

static sm_err write_n(int fd, uint64_t deadline_ns, const uint8_t *p, size_t n, struct sm_errinfo *ei)
{
    for (size_t put_n = 0; put_n < n;) {
        const ssize_t k = send(fd, p + put_n, n - put_n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (k > 0) {
            put_n += (size_t)k;
            continue;
        }
        if (k < 0 && !again(errno))
            return sm_fail(ei, SM_E_NET, "cannot write to the signer's socket: %s", strerror(errno));
        sm_err err = wait_for(fd, POLLOUT, deadline_ns, ei);
        if (err) return err;
    }
    return SM_OK;
}

sm_err sm_wire_write(int fd, unsigned deadline_ms, struct sm_slice body, struct sm_errinfo *ei)
{
    uint8_t head[4];
    const uint64_t deadline_ns = sm_clock_ns() + deadline_ms * SM_NS_PER_MS;
    sm_le32_store(head, (uint32_t)body.n);
    sm_err err = write_n(fd, deadline_ns, head, sizeof head, ei);
    return err ? err : write_n(fd, deadline_ns, body.p, body.n, ei);
}
