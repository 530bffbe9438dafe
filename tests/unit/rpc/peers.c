/* Peers that speak HTTP/2 and not quite gRPC: what a server answers, and what a client makes of answers. */
#include "raw.h"

enum { D = NGHTTP2_DATA, H = NGHTTP2_HEADERS, R = NGHTTP2_RST_STREAM };
enum { ES = NGHTTP2_FLAG_END_STREAM, EH = NGHTTP2_FLAG_END_HEADERS };
#define PATH "04 14'/test.v1.Echo/Stream'"
#define TYPE "0f10 10'application/grpc'"
#define HOST "01 04'host'"
#define HEAD "83 86" PATH HOST

/* ---- requests ---- */

struct request {
    const char *name, *headers;
    unsigned http_status;
    int grpc_status; /* -1: none; -2: the call is served */
    const char *text;
};

static const struct request requests[] = {
    {"good", HEAD TYPE, 200, -2, ""},
    {"sub-type", HEAD "0f10 16'application/grpc+proto'", 200, -2, ""},
    {"parameter", HEAD "0f10 1e'application/grpc;charset=utf-8'", 200, -2, ""},
    {"capitals", HEAD "0f10 10'Application/GRPC'", 200, -2, ""},
    {"no te", HEAD TYPE, 200, -2, ""},
    {"identity", HEAD TYPE "00 0d'grpc-encoding' 08'identity'", 200, -2, ""},
    {"no content type", HEAD, 415, -1, ""},
    {"another type", HEAD "0f10 10'application/json'", 415, -1, ""},
    {"a longer type", HEAD "0f10 14'application/grpc-web'", 415, -1, ""},
    {"GET", "82 86" PATH HOST TYPE, 405, -1, ""},
    {"unknown path", "83 86 04 05'/nope'" HOST TYPE, 200, SM_GRPC_UNIMPLEMENTED, "/nope"},
    {"path of a prefix", "83 86 04 13'/test.v1.Echo/Strea'" HOST TYPE, 200, SM_GRPC_UNIMPLEMENTED, "Strea"},
    {"gzip", HEAD TYPE "00 0d'grpc-encoding' 04'gzip'", 200, SM_GRPC_UNIMPLEMENTED, "ompress"},
    {"bad timeout", HEAD TYPE "00 0c'grpc-timeout' 02'1x'", 200, SM_GRPC_INTERNAL, "grpc-timeout"},
    {"no time at all", HEAD TYPE "00 0c'grpc-timeout' 02'0S'", 200, SM_GRPC_DEADLINE_EXCEEDED, ""},
    {"refused", "83 86 04 15'/test.v1.Echo/Refused'" HOST TYPE, 200, SM_GRPC_FAILED_PRECONDITION, "100%25 %C3%A4"},
};

Test(peers, requests)
{
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        const struct request *q = &requests[i];
        struct raw r;
        struct raw_bytes b = {0};
        raw_start(&r, true, kit_prepare());
        raw_hello(&b, true);
        raw_frame(&b, &(struct raw_frame){H, EH, 1, q->headers, 0});
        raw_feed(&r, &b, i % 2 ? 1 : b.n);
        const bool served = q->grpc_status == -2;
        cr_expect_eq(r.seen.http_status, q->http_status, "%s: %u", q->name, r.seen.http_status);
        cr_expect_eq(r.seen.grpc_status, served ? -1 : q->grpc_status, "%s: %d", q->name, r.seen.grpc_status);
        cr_expect(strstr(r.seen.grpc_message, q->text), "%s: %s", q->name, r.seen.grpc_message);
        cr_expect_eq(r.seen.end_stream, !served, "%s", q->name);
        cr_expect_eq(r.seen.resets, !served, "%s", q->name); /* the client had not half-closed */
        cr_expect_eq(r.seen.reset_code, NGHTTP2_NO_ERROR, "%s", q->name);
        cr_expect_eq(sm_rpc_conn_streams(r.conn), served, "%s", q->name);
        raw_stop(&r);
        free(b.p);
    }
}

/* ---- request bodies ---- */

struct body {
    const char *name;
    struct raw_frame frames[4];
    sm_grpc_code code;
    const char *text;
};

static const struct body bodies[] = {
    {"compressed", {{D, 0, 1, "01 00000001 00", 0}}, SM_GRPC_INTERNAL, "ompress"},
    {"flag 0xff", {{D, 0, 1, "ff", 0}}, SM_GRPC_INTERNAL, "ompress"},
    {"too long", {{D, 0, 1, "00 00a00001", 0}}, SM_GRPC_RESOURCE_EXHAUSTED, "10485761 bytes; the limit is 10485760"},
    {"4 GiB", {{D, 0, 1, "00 ffffffff", 0}}, SM_GRPC_RESOURCE_EXHAUSTED, "4294967295 bytes"},
    {"ends inside a head", {{D, ES, 1, "00 0000", 0}}, SM_GRPC_INTERNAL, "inside a message"},
    {"ends inside a message",
     {{D, 0, 1, "00 00000004 0102", 0}, {D, ES, 1, "03", 0}},
     SM_GRPC_INTERNAL,
     "inside a message"},
    {"reset", {{R, 0, 1, "00000008", 0}}, SM_GRPC_CANCELLED, "CANCEL"},
    {"reset for flow", {{R, 0, 1, "0000000b", 0}}, SM_GRPC_RESOURCE_EXHAUSTED, "CALM"},
};

Test(peers, request_bodies)
{
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const struct body *q = &bodies[i];
        struct raw r;
        struct raw_bytes b = {0};
        raw_start(&r, true, kit_prepare());
        raw_hello(&b, true);
        raw_frame(&b, &(struct raw_frame){H, EH, 1, RAW_REQUEST, 0});
        for (size_t f = 0; q->frames[f].payload; f++) raw_frame(&b, &q->frames[f]);
        raw_feed(&r, &b, i % 2 ? 1 : b.n);
        kit_assert_end(&r.kit->server.calls[0], q->code, q->text);
        if (q->frames[0].type == D)
            cr_expect_eq(r.seen.grpc_status, (int)q->code, "%s: %d", q->name, r.seen.grpc_status);
        cr_expect_not(r.seen.goaway, "%s", q->name);
        raw_stop(&r);
        free(b.p);
    }
}

/* A call whose time is over before anything of it was sent is refused in one header block. */
Test(peers, an_answer_in_one_block)
{
    struct raw r;
    struct raw_bytes b = {0};
    static struct sm_grpc_status no = {.code = SM_GRPC_NOT_FOUND, .message = "none"};
    raw_start(&r, true, kit_prepare());
    r.kit->server.calls[0].finish_on_message = &no;
    raw_hello(&b, true);
    raw_frame(&b, &(struct raw_frame){H, EH, 1, RAW_UNARY, 0});
    raw_frame(&b, &(struct raw_frame){D, ES, 1, "0000000000", 0});
    raw_feed(&r, &b, b.n);
    cr_assert_eq(r.seen.grpc_status, SM_GRPC_NOT_FOUND);
    cr_assert_str_eq(r.seen.grpc_message, "none");
    cr_assert_eq(r.seen.data_frames, 0);
    cr_assert_eq(r.seen.resets, 0); /* the client has said everything */
    raw_stop(&r);
    free(b.p);
}

/* ---- answers ---- */

struct answer {
    const char *name;
    struct raw_frame frames[4];
    sm_grpc_code code;
    const char *text;
    unsigned messages;
};

#define GOOD                    \
    {                           \
        H, EH, 1, RAW_ANSWER, 0 \
    }
#define STATUS(n) "00 0b'grpc-status' 01'" n "'"

static const struct answer answers[] = {
    {"complete", {GOOD, {D, 0, 1, "0000000002 'ok'", 0}, {H, EH | ES, 1, STATUS("0"), 0}}, SM_GRPC_OK, "", 1},
    {"error after a message",
     {GOOD, {D, 0, 1, "0000000002 'ok'", 0}, {H, EH | ES, 1, STATUS("9") "00 0c'grpc-message' 06'no%25%'", 0}},
     SM_GRPC_FAILED_PRECONDITION,
     "no%%",
     1},
    {"trailers only", {{H, EH | ES, 1, RAW_ANSWER STATUS("5"), 0}}, SM_GRPC_NOT_FOUND, "", 0},
    {"trailers only under another status", {{H, EH | ES, 1, "8d" TYPE STATUS("5"), 0}}, SM_GRPC_NOT_FOUND, "", 0},
    {"status nobody knows", {{H, EH | ES, 1, RAW_ANSWER "00 0b'grpc-status' 02'77'", 0}}, SM_GRPC_UNKNOWN, "", 0},
    {"no status", {{H, EH | ES, 1, RAW_ANSWER, 0}}, SM_GRPC_UNKNOWN, "without a status", 0},
    {"no trailers", {GOOD, {D, ES, 1, "0000000002 'ok'", 0}}, SM_GRPC_UNKNOWN, "without a status", 1},
    {"trailers without status", {GOOD, {H, EH | ES, 1, "00 01'a' 01'b'", 0}}, SM_GRPC_UNKNOWN, "without a status", 0},
    {"ends inside a message",
     {GOOD, {D, 0, 1, "0000000009 'x'", 0}, {H, EH | ES, 1, STATUS("0"), 0}},
     SM_GRPC_INTERNAL,
     "inside a message",
     0},
    {"404", {{H, EH, 1, "8d", 0}}, SM_GRPC_UNIMPLEMENTED, "HTTP status 404", 0},
    {"404 that ends", {{H, EH | ES, 1, "8d", 0}}, SM_GRPC_UNIMPLEMENTED, "HTTP status 404", 0},
    {"503", {{H, EH, 1, "08 03'503'" TYPE, 0}}, SM_GRPC_UNAVAILABLE, "HTTP status 503", 0},
    {"415", {{H, EH | ES, 1, "08 03'415'", 0}}, SM_GRPC_UNKNOWN, "HTTP status 415", 0},
    {"a web page", {{H, EH, 1, "88 0f10 09'text/html'", 0}}, SM_GRPC_UNKNOWN, "another content type", 0},
    {"no content type", {{H, EH, 1, "88", 0}}, SM_GRPC_UNKNOWN, "no content type", 0},
    {"gzip", {{H, EH, 1, RAW_ANSWER "00 0d'grpc-encoding' 04'gzip'", 0}}, SM_GRPC_INTERNAL, "compresses", 0},
    {"compressed", {GOOD, {D, 0, 1, "01 00000001 00", 0}}, SM_GRPC_INTERNAL, "ompress", 0},
    {"too long",
     {GOOD, {D, 0, 1, "00 00400001", 0}},
     SM_GRPC_RESOURCE_EXHAUSTED,
     "4194305 bytes; the limit is 4194304",
     0},
    {"refused stream", {{R, 0, 1, "00000007", 0}}, SM_GRPC_UNAVAILABLE, "REFUSED_STREAM", 0},
    {"cancelled", {{R, 0, 1, "00000008", 0}}, SM_GRPC_CANCELLED, "CANCEL", 0},
    {"calm", {{R, 0, 1, "0000000b", 0}}, SM_GRPC_RESOURCE_EXHAUSTED, "CALM", 0},
    {"internal", {{R, 0, 1, "00000002", 0}}, SM_GRPC_INTERNAL, "INTERNAL_ERROR", 0},
    {"reset without a status", {GOOD, {R, 0, 1, "00000000", 0}}, SM_GRPC_INTERNAL, "NO_ERROR", 0},
    {"reset behind the trailers", {GOOD, {H, EH | ES, 1, STATUS("0"), 0}, {R, 0, 1, "00000000", 0}}, SM_GRPC_OK, "", 0},
    {"interim answers",
     {{H, EH, 1, "08 03'103'", 0}, {H, EH, 1, "08 03'103'", 0}, {H, EH | ES, 1, RAW_ANSWER STATUS("0"), 0}},
     SM_GRPC_OK,
     "",
     0},
    {"GOAWAY that leaves it out",
     {{NGHTTP2_GOAWAY, 0, 0, "00000000 00000000", 0}},
     SM_GRPC_UNAVAILABLE,
     "REFUSED_STREAM",
     0},
};

static void run_answer(const struct answer *a, size_t step)
{
    struct raw r;
    struct raw_bytes b = {0};
    struct kit_call call = {0};
    struct sm_rpc_stream *s;
    raw_start(&r, false, kit_prepare());
    cr_assert_eq(sm_rpc_call(r.conn, KIT_PATH, 0, r.kit->now, &kit_events, &call, &s, NULL), SM_OK);
    raw_drain(&r);
    raw_hello(&b, false);
    for (size_t f = 0; f < 4 && a->frames[f].payload; f++) raw_frame(&b, &a->frames[f]);
    raw_feed(&r, &b, step ? step : b.n);
    cr_expect_eq(call.ends, 1, "%s: has not ended", a->name);
    cr_expect_eq(call.end.code, a->code, "%s: %s %s", a->name, sm_grpc_code_name(call.end.code), call.end.message);
    cr_expect(strstr(call.end.message, a->text), "%s: %s", a->name, call.end.message);
    cr_expect_eq(call.messages, a->messages, "%s", a->name);
    cr_expect_not(r.seen.goaway, "%s", a->name);
    cr_expect_eq(sm_rpc_conn_streams(r.conn), 0, "%s", a->name);
    raw_stop(&r);
    free(b.p);
}

Test(peers, answers)
{
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        for (size_t step = 0; step < 3; step++) run_answer(&answers[i], step);
}

/* Header lists that are too long are refused on both sides, and the connection goes on. */
Test(peers, answer_headers_too_long)
{
    struct raw r;
    struct raw_bytes b = {0};
    struct kit_call call = {0};
    struct sm_rpc_stream *s;
    struct kit *k = kit_prepare();
    k->client_cfg.limits.header_list_max = 100;
    raw_start(&r, false, k);
    cr_assert_eq(sm_rpc_call(r.conn, KIT_PATH, 0, k->now, &kit_events, &call, &s, NULL), SM_OK);
    raw_drain(&r);
    raw_hello(&b, false);
    raw_frame(&b, &(struct raw_frame){H, EH, 1, RAW_ANSWER "00 01'a' 0a'0123456789'", 0});
    raw_feed(&r, &b, b.n);
    kit_assert_end(&call, SM_GRPC_RESOURCE_EXHAUSTED, "longer than 100 bytes");
    cr_assert(sm_rpc_conn_usable(r.conn));
    raw_stop(&r);
    free(b.p);
}
