/* One connection fed with frames made by hand, and what it answers. */
#ifndef SM_TEST_RPC_RAW_H
#define SM_TEST_RPC_RAW_H

#include <ctype.h>

#include <nghttp2/nghttp2.h>

#include "kit.h"

/* Payloads are spelled as hex digits and 'quoted text', blanks between them as one likes. */
#define RAW_GRPC_TO(length_hex, path) \
    "83 86 04" length_hex "'" path "' 01 04'host' 0f10 10'application/grpc' 00 02'te' 08'trailers'"
#define RAW_REQUEST RAW_GRPC_TO("14", "/test.v1.Echo/Stream")
#define RAW_UNARY   RAW_GRPC_TO("13", "/test.v1.Echo/Unary")
#define RAW_ANSWER  "88 0f10 10'application/grpc'" /* :status 200 */

struct raw_frame {
    uint8_t type, flags;
    uint32_t id;
    const char *payload;
    size_t fill; /* zero bytes behind the payload */
};

struct raw_bytes {
    uint8_t *p;
    size_t n, room;
};

struct raw_seen { /* what came out */
    bool goaway;
    uint32_t goaway_code;
    char goaway_debug[64];
    unsigned resets, settings, settings_acks, pings, ping_acks;
    uint32_t reset_id, reset_code; /* the last one */
    unsigned http_status, data_frames;
    int grpc_status; /* -1: none */
    char grpc_message[256];
    bool end_stream;
    size_t bytes;
};

__attribute__((unused)) static void raw_put(struct raw_bytes *b, const void *p, size_t n)
{
    if (b->n + n > b->room) {
        b->room = 2 * (b->n + n) + 64;
        b->p = realloc(b->p, b->room);
        cr_assert(b->p);
    }
    if (n) memcpy(b->p + b->n, p, n);
    b->n += n;
}

static inline unsigned raw_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(tolower(c) - 'a') + 10;
}

__attribute__((unused)) static void raw_spell(struct raw_bytes *b, const char *text)
{
    for (const char *p = text; p && *p; p++) {
        if (*p == '\'') {
            const char *end = strchr(p + 1, '\'');
            raw_put(b, p + 1, (size_t)(end - p - 1));
            p = end;
        } else if (isxdigit((unsigned char)*p)) {
            const uint8_t v = (uint8_t)(raw_digit(p[0]) << 4 | raw_digit(p[1]));
            raw_put(b, &v, 1);
            p++;
        }
    }
}

__attribute__((unused)) static void raw_frame(struct raw_bytes *b, const struct raw_frame *f)
{
    struct raw_bytes payload = {0};
    raw_spell(&payload, f->payload);
    for (size_t i = 0; i < f->fill; i++) raw_put(&payload, "", 1);
    uint8_t head[9] = {(uint8_t)(payload.n >> 16), (uint8_t)(payload.n >> 8), (uint8_t)payload.n, f->type, f->flags};
    sm_be32_store(head + 5, f->id);
    raw_put(b, head, sizeof head);
    raw_put(b, payload.p, payload.n);
    free(payload.p);
}

/* What a peer says first. */
__attribute__((unused)) static void raw_hello(struct raw_bytes *b, bool to_server)
{
    if (to_server) raw_put(b, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    raw_frame(b, &(struct raw_frame){NGHTTP2_SETTINGS, 0, 0, "", 0});
}

/* ---- reading the answer ---- */

struct raw_reader {
    struct raw_bytes in;
    nghttp2_hd_inflater *hpack;
    bool skip_magic;
};

static inline void raw_see_headers(struct raw_reader *r, struct raw_seen *seen, const uint8_t *p, size_t n)
{
    int flags = 0;
    while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
        nghttp2_nv nv;
        flags = 0;
        const ssize_t used = nghttp2_hd_inflate_hd2(r->hpack, &nv, &flags, p, n, 1);
        cr_assert_geq(used, 0);
        p += used;
        n -= (size_t)used;
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT)) continue;
        char value[256] = "";
        memcpy(value, nv.value, nv.valuelen < 255 ? nv.valuelen : 255);
        if (!strcmp((char *)nv.name, ":status")) seen->http_status = (unsigned)atoi(value);
        if (!strcmp((char *)nv.name, "grpc-status")) seen->grpc_status = atoi(value);
        if (!strcmp((char *)nv.name, "grpc-message")) memcpy(seen->grpc_message, value, sizeof value);
    }
    (void)nghttp2_hd_inflate_end_headers(r->hpack);
}

static inline void raw_see(struct raw_reader *r, struct raw_seen *seen, const uint8_t *head, const uint8_t *p, size_t n)
{
    const bool ack = head[4] & NGHTTP2_FLAG_ACK;
    switch (head[3]) {
    case NGHTTP2_GOAWAY:
        seen->goaway = true;
        seen->goaway_code = sm_be32_load(p + 4);
        memset(seen->goaway_debug, 0, sizeof seen->goaway_debug);
        memcpy(seen->goaway_debug, p + 8, n - 8 < 63 ? n - 8 : 63);
        break;
    case NGHTTP2_RST_STREAM:
        seen->resets++;
        seen->reset_id = sm_be32_load(head + 5);
        seen->reset_code = sm_be32_load(p);
        break;
    case NGHTTP2_HEADERS:
        raw_see_headers(r, seen, p, n);
        seen->end_stream |= head[4] & NGHTTP2_FLAG_END_STREAM;
        break;
    case NGHTTP2_DATA:
        seen->data_frames++;
        break;
    case NGHTTP2_SETTINGS:
        ack ? seen->settings_acks++ : seen->settings++;
        break;
    case NGHTTP2_PING:
        ack ? seen->ping_acks++ : seen->pings++;
        break;
    default:
        break;
    }
}

static inline void raw_take(struct raw_reader *r, struct raw_seen *seen)
{
    size_t at = 0;
    if (r->skip_magic && r->in.n >= NGHTTP2_CLIENT_MAGIC_LEN) {
        at = NGHTTP2_CLIENT_MAGIC_LEN;
        r->skip_magic = false;
    }
    while (!r->skip_magic && r->in.n - at >= 9) {
        const uint8_t *head = r->in.p + at;
        const size_t n = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (r->in.n - at < 9 + n) break;
        raw_see(r, seen, head, head + 9, n);
        at += 9 + n;
    }
    memmove(r->in.p, r->in.p + at, r->in.n - at);
    r->in.n -= at;
}

/* One connection under test. */
struct raw {
    struct kit *kit; /* for its methods and clock; only one side is made */
    struct sm_rpc_conn *conn;
    struct raw_reader reader;
    struct raw_seen seen;
    sm_err err;
    struct sm_errinfo ei;
};

__attribute__((unused)) static void raw_start(struct raw *r, bool server, struct kit *kit)
{
    *r = (struct raw){.kit = kit, .reader.skip_magic = !server, .seen.grpc_status = -1};
    cr_assert_eq(nghttp2_hd_inflate_new(&r->reader.hpack), 0);
    cr_assert_eq(sm_rpc_conn_new(server ? &kit->server_cfg : &kit->client_cfg, kit->now, &r->conn, NULL), SM_OK);
}

/* Takes what the connection has to say, without ticking. */
__attribute__((unused)) static void raw_drain(struct raw *r)
{
    const uint8_t *p;
    size_t n;
    while ((n = sm_rpc_conn_output(r->conn, &p)) > 0) {
        raw_put(&r->reader.in, p, n);
        r->seen.bytes += n;
        sm_rpc_conn_sent(r->conn, n);
        if (r->reader.in.n) raw_take(&r->reader, &r->seen);
    }
}

__attribute__((unused)) static void raw_feed_only(struct raw *r, const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (n) memcpy(copy, p, n);
    r->err = sm_rpc_conn_feed(r->conn, copy, n, r->kit->now, &r->ei);
    free(copy);
}

__attribute__((unused)) static void raw_feed(struct raw *r, const struct raw_bytes *b, size_t step)
{
    for (size_t at = 0; at < b->n; at += step) {
        raw_feed_only(r, b->p + at, b->n - at < step ? b->n - at : step);
        raw_drain(r);
        while (sm_rpc_conn_deadline(r->conn) <= r->kit->now) sm_rpc_conn_tick(r->conn, r->kit->now);
        raw_drain(r);
    }
}

__attribute__((unused)) static void raw_stop(struct raw *r)
{
    sm_rpc_conn_free(r->conn);
    nghttp2_hd_inflate_del(r->reader.hpack);
    free(r->reader.in.p);
    free(r->kit);
}

#endif
