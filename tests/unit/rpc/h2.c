/* Conformance: raw frames and the error that RFC 9113 asks for. Every row is fed whole and byte by byte.
 *
 * The cases of github.com/summerwind/h2spec 2.2.1 (strict ones included) are among them. The suite itself, with the request
 * headers of gRPC in the place of its own and the hub's /spacemesh.v1.PostService/Register as path, passes all its 146. */
#include "raw.h"

enum verdict {
    FINE,
    GOAWAY,
    EITHER,       /* GOAWAY or RST_STREAM */
    EITHER_WHOLE, /* the same when it comes whole; in pieces the window has been opened again meanwhile */
};
enum {
    D = NGHTTP2_DATA,
    H = NGHTTP2_HEADERS,
    P = NGHTTP2_PRIORITY,
    R = NGHTTP2_RST_STREAM,
    S = NGHTTP2_SETTINGS,
    PP = NGHTTP2_PUSH_PROMISE,
    PING = NGHTTP2_PING,
    GO = NGHTTP2_GOAWAY,
    W = NGHTTP2_WINDOW_UPDATE,
    C = NGHTTP2_CONTINUATION
};
enum {
    ES = NGHTTP2_FLAG_END_STREAM,
    EH = NGHTTP2_FLAG_END_HEADERS,
    PAD = NGHTTP2_FLAG_PADDED,
    PRI = NGHTTP2_FLAG_PRIORITY,
    ACK = NGHTTP2_FLAG_ACK
};
enum {
    PROTO = NGHTTP2_PROTOCOL_ERROR,
    SIZE = NGHTTP2_FRAME_SIZE_ERROR,
    HPACK = NGHTTP2_COMPRESSION_ERROR,
    FLOW = NGHTTP2_FLOW_CONTROL_ERROR,
    GONE = NGHTTP2_STREAM_CLOSED
};

/* clang-format off */
#define OPEN_1     {H, EH, 1, RAW_REQUEST, 0}
#define DONE_1     {H, EH | ES, 1, RAW_REQUEST, 0}
#define BLOCK(hex) {H, EH | ES, 1, hex, 0}
#define ANSWER_1   {H, EH, 1, RAW_ANSWER, 0}
/* clang-format on */
#define GRPC_TAIL "01 04'host' 0f10 10'application/grpc'"

struct row {
    const char *name;
    enum verdict want;
    uint32_t code, other; /* other: also right, unless 0 */
    struct raw_frame frames[6];
};

static const struct row server_rows[] = {
    /* 4.1 frame format */
    {"4.1 unknown type is ignored", FINE, 0, 0, {{0xee, 0, 0, "0102", 0}, OPEN_1, {0xee, 0xff, 1, "", 0}}},
    {"4.1 unknown flags are ignored", FINE, 0, 0, {{PING, 0xf2, 0, "0102030405060708", 0}}},
    {"4.1 reserved bit is ignored", FINE, 0, 0, {{PING, 0, 0x80000000u, "0102030405060708", 0}}},
    /* 4.2 frame size */
    {"4.2 DATA of 16384 bytes", FINE, 0, 0, {OPEN_1, {D, 0, 1, "00 00003ffb", 16379}}},
    {"4.2 DATA too long", EITHER, SIZE, 0, {OPEN_1, {D, 0, 1, "", 16385}}},
    {"4.2 HEADERS too long", GOAWAY, SIZE, 0, {{H, EH, 1, RAW_REQUEST, 16385}}},
    {"4.2 SETTINGS of 5 bytes", GOAWAY, SIZE, 0, {{S, 0, 0, "0003000000", 0}}},
    /* 4.3 header compression */
    {"4.3 index that does not exist", GOAWAY, HPACK, 0, {BLOCK("ff ff ff 07")}},
    {"4.3 index 0", GOAWAY, HPACK, 0, {BLOCK("80")}},
    {"4.3 block ends inside a field", GOAWAY, HPACK, 0, {BLOCK("83 86 04 14 2f")}},
    {"4.3 table size beyond the limit", GOAWAY, HPACK, 0, {BLOCK("3f e2 1f 83 86")}},
    {"4.3 table size update not at the start", GOAWAY, HPACK, 0, {BLOCK("83 20 86")}},
    {"4.3 bad Huffman padding", GOAWAY, HPACK, 0, {BLOCK("83 86 04 81 00")}},
    {"4.3 PRIORITY inside a block", GOAWAY, PROTO, 0, {{H, 0, 1, RAW_REQUEST, 0}, {P, 0, 1, "00000000 10", 0}}},
    {"4.3 HEADERS inside a block", GOAWAY, PROTO, 0, {{H, 0, 1, RAW_REQUEST, 0}, {H, EH, 3, RAW_REQUEST, 0}}},
    {"4.3 unknown frame inside a block", GOAWAY, PROTO, 0, {{H, 0, 1, RAW_REQUEST, 0}, {0xee, 0, 0, "", 0}}},
    /* 5.1 stream states */
    {"5.1 idle: DATA", GOAWAY, PROTO, 0, {{D, ES, 1, "00", 0}}},
    {"5.1 idle: RST_STREAM", GOAWAY, PROTO, 0, {{R, 0, 1, "00000008", 0}}},
    {"5.1 idle: WINDOW_UPDATE", GOAWAY, PROTO, 0, {{W, 0, 1, "00000064", 0}}},
    {"5.1 idle: CONTINUATION", GOAWAY, PROTO, 0, {{C, EH, 1, RAW_REQUEST, 0}}},
    {"5.1 idle: PRIORITY", FINE, 0, 0, {{P, 0, 1, "00000000 10", 0}}},
    {"5.1 half-closed: DATA", EITHER, GONE, 0, {DONE_1, {D, ES, 1, "00", 0}}},
    {"5.1 half-closed: HEADERS", EITHER, GONE, 0, {DONE_1, {H, EH | ES, 1, RAW_REQUEST, 0}}},
    {"5.1 half-closed: CONTINUATION", GOAWAY, PROTO, GONE, {DONE_1, {C, EH, 1, RAW_REQUEST, 0}}},
    {"5.1 half-closed: WINDOW_UPDATE", FINE, 0, 0, {DONE_1, {W, 0, 1, "00000064", 0}}},
    {"5.1 half-closed: RST_STREAM", FINE, 0, 0, {DONE_1, {R, 0, 1, "00000008", 0}}},
    {"5.1 closed: DATA", GOAWAY, GONE, 0, {OPEN_1, {R, 0, 1, "00000008", 0}, {D, ES, 1, "00", 0}}},
    {"5.1 closed: HEADERS", GOAWAY, GONE, 0, {OPEN_1, {R, 0, 1, "00000008", 0}, OPEN_1}},
    {"5.1 closed: CONTINUATION", GOAWAY, PROTO, GONE, {OPEN_1, {R, 0, 1, "00000008", 0}, {C, EH, 1, "84", 0}}},
    {"5.1 closed: PRIORITY", FINE, 0, 0, {OPEN_1, {R, 0, 1, "00000008", 0}, {P, 0, 1, "00000000 10", 0}}},
    {"5.1 closed: WINDOW_UPDATE", FINE, 0, 0, {OPEN_1, {R, 0, 1, "00000008", 0}, {W, 0, 1, "00000064", 0}}},
    {"5.1 closed: RST_STREAM", FINE, 0, 0, {OPEN_1, {R, 0, 1, "00000008", 0}, {R, 0, 1, "00000008", 0}}},
    /* 5.1.1 identifiers */
    {"5.1.1 even stream", GOAWAY, PROTO, 0, {{H, EH, 2, RAW_REQUEST, 0}}},
    {"5.1.1 smaller stream", GOAWAY, PROTO, 0, {{H, EH, 5, RAW_REQUEST, 0}, {H, EH, 3, RAW_REQUEST, 0}}},
    /* 5.1.2 concurrency: three at a time here */
    {"5.1.2 one call too many",
     EITHER,
     NGHTTP2_REFUSED_STREAM,
     PROTO,
     {OPEN_1, {H, EH, 3, RAW_REQUEST, 0}, {H, EH, 5, RAW_REQUEST, 0}, {H, EH, 7, RAW_REQUEST, 0}}},
    /* 6.1 DATA */
    {"6.1 DATA on stream 0", GOAWAY, PROTO, 0, {{D, 0, 0, "00", 0}}},
    {"6.1 padding longer than the frame", GOAWAY, PROTO, 0, {OPEN_1, {D, PAD, 1, "06 00", 4}}},
    {"6.1 padding", FINE, 0, 0, {OPEN_1, {D, PAD, 1, "05 00 00000000", 5}}},
    /* 6.2 HEADERS */
    {"6.2 HEADERS on stream 0", GOAWAY, PROTO, 0, {{H, EH, 0, RAW_REQUEST, 0}}},
    {"6.2 padding longer than the frame", GOAWAY, PROTO, 0, {{H, EH | PAD, 1, "ff" RAW_REQUEST, 0}}},
    {"6.2 padding and priority", FINE, 0, 0, {{H, EH | PAD | PRI, 1, "02 00000000 0f" RAW_REQUEST, 2}}},
    {"6.2 too short for its padding", GOAWAY, SIZE, PROTO, {{H, EH | PAD, 1, "", 0}}},
    /* 6.3 PRIORITY */
    {"6.3 PRIORITY on stream 0", GOAWAY, PROTO, 0, {{P, 0, 0, "00000000 10", 0}}},
    {"6.3 PRIORITY of 4 bytes", EITHER, SIZE, 0, {OPEN_1, {P, 0, 1, "00000000", 0}}},
    /* 6.4 RST_STREAM */
    {"6.4 RST_STREAM on stream 0", GOAWAY, PROTO, 0, {{R, 0, 0, "00000008", 0}}},
    {"6.4 RST_STREAM of 3 bytes", GOAWAY, SIZE, 0, {OPEN_1, {R, 0, 1, "000008", 0}}},
    {"6.4 unknown error code", FINE, 0, 0, {OPEN_1, {R, 0, 1, "12345678", 0}}},
    /* 6.5 SETTINGS */
    {"6.5 ACK with payload", GOAWAY, SIZE, 0, {{S, ACK, 0, "000300000064", 0}}},
    {"6.5 on a stream", GOAWAY, PROTO, 0, {{S, 0, 1, "000300000064", 0}}},
    {"6.5.2 ENABLE_PUSH 2", GOAWAY, PROTO, 0, {{S, 0, 0, "000200000002", 0}}},
    {"6.5.2 window 2^31", GOAWAY, FLOW, 0, {{S, 0, 0, "000480000000", 0}}},
    {"6.5.2 frame size 16383", GOAWAY, PROTO, 0, {{S, 0, 0, "000500003fff", 0}}},
    {"6.5.2 frame size 2^24", GOAWAY, PROTO, 0, {{S, 0, 0, "000501000000", 0}}},
    {"6.5.2 unknown parameter", FINE, 0, 0, {{S, 0, 0, "00ff00000001", 0}}},
    {"6.5.3 same parameter twice", FINE, 0, 0, {{S, 0, 0, "000400000064 000400000001", 0}}},
    /* 6.6 PUSH_PROMISE */
    {"6.6 from a client", GOAWAY, PROTO, 0, {OPEN_1, {PP, EH, 1, "00000002" RAW_REQUEST, 0}}},
    /* 6.7 PING */
    {"6.7 on a stream", GOAWAY, PROTO, 0, {{PING, 0, 1, "0102030405060708", 0}}},
    {"6.7 of 7 bytes", GOAWAY, SIZE, 0, {{PING, 0, 0, "01020304050607", 0}}},
    {"6.7 ACK nobody waits for", FINE, 0, 0, {{PING, ACK, 0, "0102030405060708", 0}}},
    /* 6.8 GOAWAY */
    {"6.8 on a stream", GOAWAY, PROTO, 0, {{GO, 0, 1, "00000000 00000000", 0}}},
    {"6.8 of 7 bytes", GOAWAY, SIZE, 0, {{GO, 0, 0, "00000000 000000", 0}}},
    {"6.8 a goodbye", FINE, 0, 0, {{GO, 0, 0, "00000000 00000000", 0}}},
    {"7 a goodbye for a reason nobody knows", FINE, 0, 0, {{GO, 0, 0, "00000000 000000ff", 0}}},
    {"6.8 calls go on behind it", FINE, 0, 0, {OPEN_1, {GO, 0, 0, "00000000 00000000", 0}, {D, 0, 1, "0000000000", 0}}},
    /* 6.9 WINDOW_UPDATE */
    {"6.9 of 3 bytes", GOAWAY, SIZE, 0, {{W, 0, 0, "000001", 0}}},
    {"6.9 increment 0", GOAWAY, PROTO, 0, {{W, 0, 0, "00000000", 0}}},
    {"6.9 increment 0 on a stream", EITHER, PROTO, 0, {OPEN_1, {W, 0, 1, "00000000", 0}}},
    {"6.9.1 window beyond 2^31 - 1", GOAWAY, FLOW, 0, {{W, 0, 0, "7fffffff", 0}}},
    {"6.9.1 the same on a stream", EITHER, FLOW, 0, {OPEN_1, {W, 0, 1, "7fffffff", 0}}},
    /* The RFC asks for a connection error; the library resets the stream. */
    {"6.9.2 SETTINGS push a window beyond",
     EITHER,
     FLOW,
     0,
     {OPEN_1, {W, 0, 1, "7fff0000", 0}, {S, 0, 0, "00047fffffff", 0}}},
    {"6.9.1 more DATA than the window", EITHER_WHOLE, FLOW, 0, {OPEN_1, {D, 0, 1, "00 0000c000", 16379}}},
    /* 6.10 CONTINUATION */
    {"6.10 request in three frames",
     FINE,
     0,
     0,
     {{H, 0, 1, "8386", 0},
      {C, 0, 1, "0414'/test.v1.Echo/Stream'", 0},
      {C, EH, 1, "01 04'host' 0f10 10'application/grpc'", 0}}},
    {"6.10 on stream 0", GOAWAY, PROTO, 0, {{H, 0, 1, "8386", 0}, {C, EH, 0, "84", 0}}},
    {"6.10 on another stream", GOAWAY, PROTO, 0, {{H, 0, 1, "8386", 0}, {C, EH, 3, "84", 0}}},
    {"6.10 after END_HEADERS", GOAWAY, PROTO, 0, {OPEN_1, {C, EH, 1, "84", 0}}},
    {"6.10 after DATA", GOAWAY, PROTO, 0, {OPEN_1, {D, 0, 1, "00", 0}, {C, EH, 1, "84", 0}}},
    /* 8.1 messages, 8.2 fields, 8.3 control data */
    {"8.1 trailers without END_STREAM", EITHER, PROTO, 0, {OPEN_1, {H, EH, 1, "00 01'a' 01'b'", 0}}},
    {"8.1 trailers", FINE, 0, 0, {OPEN_1, {H, EH | ES, 1, "00 01'a' 01'b'", 0}}},
    {"8.1 pseudo field in trailers", EITHER, PROTO, 0, {OPEN_1, {H, EH | ES, 1, "83", 0}}},
    {"8.1.1 content-length too large",
     EITHER,
     PROTO,
     0,
     {{H, EH, 1, RAW_REQUEST "0f0d 01'9'", 0}, {D, ES, 1, "0000000000", 0}}},
    {"8.1.1 content-length too small",
     EITHER,
     PROTO,
     0,
     {{H, EH, 1, RAW_REQUEST "0f0d 01'1'", 0}, {D, ES, 1, "0000000000", 0}}},
    {"8.2 upper case", EITHER, PROTO, 0, {BLOCK("83 86 84" GRPC_TAIL "00 01'A' 01'b'")}},
    {"8.2.1 NUL in a value", EITHER, PROTO, 0, {BLOCK("83 86 84" GRPC_TAIL "00 01'a' 01 00")}},
    {"8.2.1 blank in a name", EITHER, PROTO, 0, {BLOCK("83 86 84" GRPC_TAIL "00 02'a ' 01'b'")}},
    {"8.2.2 connection", EITHER, PROTO, 0, {BLOCK("83 86 84" GRPC_TAIL "00 0a'connection' 05'close'")}},
    {"8.2.2 transfer-encoding", EITHER, PROTO, 0, {BLOCK("83 86 84" GRPC_TAIL "0f2a 07'chunked'")}},
    {"8.2.2 te other than trailers", EITHER, PROTO, 0, {BLOCK("83 86 84" GRPC_TAIL "00 02'te' 04'gzip'")}},
    {"8.3 pseudo field after others", EITHER, PROTO, 0, {BLOCK("83 86 00 01'a' 01'b' 84" GRPC_TAIL)}},
    {"8.3 unknown pseudo field", EITHER, PROTO, 0, {BLOCK("83 86 84 00 05':test' 01'b'" GRPC_TAIL)}},
    {"8.3 :status in a request", EITHER, PROTO, 0, {BLOCK("83 86 84 88" GRPC_TAIL)}},
    {"8.3.1 no :method", EITHER, PROTO, 0, {BLOCK("86 84" GRPC_TAIL)}},
    {"8.3.1 no :scheme", EITHER, PROTO, 0, {BLOCK("83 84" GRPC_TAIL)}},
    {"8.3.1 no :path", EITHER, PROTO, 0, {BLOCK("83 86" GRPC_TAIL)}},
    {"8.3.1 empty :path", EITHER, PROTO, 0, {BLOCK("83 86 04 00" GRPC_TAIL)}},
    {"8.3.1 :method twice", EITHER, PROTO, 0, {BLOCK("83 83 86 84" GRPC_TAIL)}},
    {"8.3.1 :path twice", EITHER, PROTO, 0, {BLOCK("83 86 84 84" GRPC_TAIL)}},
};

/* Towards a client that has call 1 open. */
static const struct row client_rows[] = {
    {"an answer", FINE, 0, 0, {{H, EH, 1, RAW_ANSWER, 0}, {D, 0, 1, "0000000000", 0}}},
    {"4.1 unknown type is ignored", FINE, 0, 0, {{0xee, 0, 0, "0102", 0}, ANSWER_1, {0xee, 0xff, 1, "", 0}}},
    {"4.2 DATA too long", EITHER, SIZE, 0, {ANSWER_1, {D, 0, 1, "", 16385}}},
    {"4.2 HEADERS too long", GOAWAY, SIZE, 0, {{H, EH, 1, RAW_ANSWER, 16385}}},
    {"4.2 SETTINGS of 5 bytes", GOAWAY, SIZE, 0, {{S, 0, 0, "0003000000", 0}}},
    {"4.3 index that does not exist", GOAWAY, HPACK, 0, {{H, EH, 1, "ff ff ff 07", 0}}},
    {"4.3 index 0", GOAWAY, HPACK, 0, {{H, EH, 1, "80", 0}}},
    {"4.3 table size beyond the limit", GOAWAY, HPACK, 0, {{H, EH, 1, "3f e2 1f" RAW_ANSWER, 0}}},
    {"4.3 bad Huffman padding", GOAWAY, HPACK, 0, {{H, EH, 1, "88 04 81 00", 0}}},
    {"4.3 PING inside a block", GOAWAY, PROTO, 0, {{H, 0, 1, RAW_ANSWER, 0}, {PING, 0, 0, "0102030405060708", 0}}},
    {"6.1 DATA on stream 0", GOAWAY, PROTO, 0, {{D, 0, 0, "00", 0}}},
    {"6.1 padding longer than the frame", GOAWAY, PROTO, 0, {ANSWER_1, {D, PAD, 1, "06 00", 4}}},
    {"6.2 HEADERS on stream 0", GOAWAY, PROTO, 0, {{H, EH, 0, RAW_ANSWER, 0}}},
    {"6.2 padding longer than the frame", GOAWAY, PROTO, 0, {{H, EH | PAD, 1, "ff" RAW_ANSWER, 0}}},
    {"6.4 RST_STREAM on stream 0", GOAWAY, PROTO, 0, {{R, 0, 0, "00000008", 0}}},
    {"6.4 RST_STREAM of 3 bytes", GOAWAY, SIZE, 0, {{R, 0, 1, "000008", 0}}},
    {"6.4 RST_STREAM", FINE, 0, 0, {{R, 0, 1, "00000008", 0}}},
    {"6.5 ACK with payload", GOAWAY, SIZE, 0, {{S, ACK, 0, "000300000064", 0}}},
    {"6.5 on a stream", GOAWAY, PROTO, 0, {{S, 0, 1, "000300000064", 0}}},
    {"6.5.2 window 2^31", GOAWAY, FLOW, 0, {{S, 0, 0, "000480000000", 0}}},
    {"6.5.2 frame size 16383", GOAWAY, PROTO, 0, {{S, 0, 0, "000500003fff", 0}}},
    {"6.7 on a stream", GOAWAY, PROTO, 0, {{PING, 0, 1, "0102030405060708", 0}}},
    {"6.7 of 7 bytes", GOAWAY, SIZE, 0, {{PING, 0, 0, "01020304050607", 0}}},
    {"6.8 on a stream", GOAWAY, PROTO, 0, {{GO, 0, 1, "00000001 00000000", 0}}},
    {"6.8 of 7 bytes", GOAWAY, SIZE, 0, {{GO, 0, 0, "00000001 000000", 0}}},
    {"6.8 the call goes on behind it", FINE, 0, 0, {{GO, 0, 0, "00000001 00000000", 0}, ANSWER_1}},
    {"6.9 increment 0", GOAWAY, PROTO, 0, {{W, 0, 0, "00000000", 0}}},
    {"6.9 increment 0 on a stream", EITHER, PROTO, 0, {{W, 0, 1, "00000000", 0}}},
    {"6.9.1 window beyond 2^31 - 1", GOAWAY, FLOW, 0, {{W, 0, 0, "7fffffff", 0}}},
    {"6.9.1 the same on a stream", EITHER, FLOW, 0, {{W, 0, 1, "7fffffff", 0}}},
    {"6.10 answer in two frames", FINE, 0, 0, {{H, 0, 1, "88", 0}, {C, EH, 1, "0f10 10'application/grpc'", 0}}},
    {"6.10 after END_HEADERS", GOAWAY, PROTO, 0, {ANSWER_1, {C, EH, 1, "84", 0}}},
    {"8.2 upper case", EITHER, PROTO, 0, {{H, EH, 1, RAW_ANSWER "00 01'A' 01'b'", 0}}},
    {"8.2.2 connection", EITHER, PROTO, 0, {{H, EH, 1, RAW_ANSWER "00 0a'connection' 05'close'", 0}}},
    {"8.3 pseudo field after others", EITHER, PROTO, 0, {{H, EH, 1, "00 01'a' 01'b'" RAW_ANSWER, 0}}},
    {"5.1 idle: HEADERS", GOAWAY, PROTO, 0, {{H, EH, 5, RAW_ANSWER, 0}}},
    {"5.1 idle: DATA", GOAWAY, PROTO, 0, {{D, 0, 5, "00", 0}}},
    {"5.1 idle: RST_STREAM", GOAWAY, PROTO, 0, {{R, 0, 5, "00000008", 0}}},
    {"5.1 idle: WINDOW_UPDATE", GOAWAY, PROTO, 0, {{W, 0, 5, "00000001", 0}}},
    {"5.1.1 a call from the server", GOAWAY, PROTO, 0, {{H, EH, 2, RAW_REQUEST, 0}}},
    {"6.5.2 ENABLE_PUSH from a server", GOAWAY, PROTO, 0, {{S, 0, 0, "000200000001", 0}}},
    {"6.6 PUSH_PROMISE though push is off", GOAWAY, PROTO, 0, {{PP, EH, 1, "00000002" RAW_REQUEST, 0}}},
    {"6.6 PUSH_PROMISE on stream 0", GOAWAY, PROTO, 0, {{PP, EH, 0, "00000002" RAW_REQUEST, 0}}},
    {"8.1 DATA before HEADERS", EITHER, PROTO, 0, {{D, 0, 1, "0000000000", 0}}},
    {"8.1 interim answer that ends the stream", EITHER, PROTO, 0, {{H, EH | ES, 1, "08 03'103'", 0}}},
    {"8.1 interim answer", FINE, 0, 0, {{H, EH, 1, "08 03'103'", 0}, {H, EH, 1, RAW_ANSWER, 0}}},
    {"8.3.2 no :status", EITHER, PROTO, 0, {{H, EH, 1, "0f10 10'application/grpc'", 0}}},
    {"8.3.2 :status of four digits", EITHER, PROTO, 0, {{H, EH, 1, "08 04'2000'", 0}}},
    {"8.3.2 :status 101", EITHER, PROTO, 0, {{H, EH, 1, "08 03'101'", 0}}},
    {"8.3 request field in an answer", EITHER, PROTO, 0, {{H, EH, 1, RAW_ANSWER "83", 0}}},
    {"6.9.1 more DATA than the window",
     EITHER_WHOLE,
     FLOW,
     0,
     {{H, EH, 1, RAW_ANSWER, 0}, {D, 0, 1, "00 0000c000", 16379}}},
};

static bool code_is(const struct row *row, uint32_t code)
{
    return code == row->code || (row->other && code == row->other);
}

static void judge(const struct row *row, const struct raw_seen *seen, sm_err err, const char *text, size_t step)
{
    const bool reset = seen->resets && code_is(row, seen->reset_code);
    const bool goaway = seen->goaway && code_is(row, seen->goaway_code);
    const bool quiet = !seen->goaway && !seen->resets;
    bool right = false;
    switch (row->want) {
    case FINE:
        right = quiet;
        break;
    case GOAWAY:
        right = goaway;
        break;
    case EITHER:
        right = reset || goaway;
        break;
    case EITHER_WHOLE:
        right = reset || goaway || (step == 1 && quiet);
        break;
    }
    cr_expect(right, "%s (%zu bytes at a time): goaway %d %u, reset %u of stream %u, code %u", row->name, step,
              seen->goaway, seen->goaway_code, seen->resets, seen->reset_id, seen->reset_code);
    cr_expect_eq(err == SM_OK, !seen->goaway, "%s: feed returned %s", row->name, sm_err_name(err));
    if (!right) cr_log_warn("%s", text);
}

static struct kit *small_kit(uint32_t window)
{
    struct kit *k = kit_prepare();
    k->server_cfg.limits.streams_max = 3;
    k->server_cfg.limits.stream_window = k->client_cfg.limits.stream_window = window;
    return k;
}

/* What is no error leaves the connection as it was, or ends it. */
static void expect_alive(struct raw *r, const char *name)
{
    const unsigned acks = r->seen.ping_acks;
    struct raw_bytes b = {0};
    raw_frame(&b, &(struct raw_frame){PING, 0, 0, "0807060504030201", 0});
    raw_feed(r, &b, b.n);
    cr_expect(sm_rpc_conn_finished(r->conn) || r->seen.ping_acks == acks + 1, "%s: the connection answers no more",
              name);
    free(b.p);
}

static void run_row(const struct row *row, bool server, size_t step)
{
    const uint32_t window = strstr(row->name, "more DATA than the window") ? 12000 : 0;
    struct raw r;
    struct raw_bytes b = {0};
    struct kit_call call = {0};
    raw_start(&r, server, small_kit(window));
    if (!server) {
        struct sm_rpc_stream *s;
        cr_assert_eq(sm_rpc_call(r.conn, KIT_PATH, 0, r.kit->now, &kit_events, &call, &s, NULL), SM_OK);
    }
    raw_drain(&r);
    raw_hello(&b, server);
    raw_frame(&b, &(struct raw_frame){S, ACK, 0, "", 0});
    for (size_t i = 0; i < 6 && (row->frames[i].payload || row->frames[i].type); i++) raw_frame(&b, &row->frames[i]);
    raw_feed(&r, &b, step ? step : b.n);
    judge(row, &r.seen, r.err, r.ei.text, step);
    if (row->want == FINE) expect_alive(&r, row->name);
    raw_stop(&r);
    free(b.p);
}

Test(h2, server)
{
    for (size_t i = 0; i < sizeof server_rows / sizeof server_rows[0]; i++)
        for (size_t step = 0; step < 2; step++) run_row(&server_rows[i], true, step);
}

Test(h2, client)
{
    for (size_t i = 0; i < sizeof client_rows / sizeof client_rows[0]; i++)
        for (size_t step = 0; step < 2; step++) run_row(&client_rows[i], false, step);
}

/* 3.4 connection preface */
static void run_start(bool server, const char *text, const struct raw_frame *f, sm_err want)
{
    for (size_t step = 1; step < 3; step++) {
        struct raw r;
        struct raw_bytes b = {0};
        raw_start(&r, server, kit_prepare());
        raw_put(&b, text, strlen(text));
        if (f) raw_frame(&b, f);
        raw_feed(&r, &b, step == 1 ? 1 : b.n);
        cr_expect_eq(r.err, want, "%s: %s", text, sm_err_name(r.err));
        cr_expect_eq(r.seen.goaway, want != SM_OK);
        if (want) cr_expect_eq(r.seen.goaway_code, PROTO);
        cr_expect_eq(sm_rpc_conn_finished(r.conn), want != SM_OK);
        raw_stop(&r);
        free(b.p);
    }
}

Test(h2, preface)
{
    const struct raw_frame settings = {S, 0, 0, "", 0}, ping = {PING, 0, 0, "0102030405060708", 0};
    run_start(true, NGHTTP2_CLIENT_MAGIC, &settings, SM_OK);
    run_start(true, NGHTTP2_CLIENT_MAGIC, &ping, SM_E_FORMAT);
    run_start(true, "GET / HTTP/1.1\r\nHost: node\r\n\r\n", NULL, SM_E_FORMAT);
    run_start(true, "PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", NULL, SM_E_FORMAT);
    run_start(false, "", &settings, SM_OK);
    run_start(false, "", &ping, SM_E_FORMAT);
    run_start(false, "HTTP/1.1 400 Bad Request\r\n\r\n", NULL, SM_E_FORMAT);
}

/* The library quotes what it refuses; operators see nothing but printable characters. */
Test(h2, words_of_the_peer_are_made_printable)
{
    struct raw r;
    struct raw_bytes b = {0};
    raw_start(&r, true, kit_prepare());
    raw_hello(&b, true);
    raw_frame(&b, &(struct raw_frame){H, EH, 1, "83 86 84" GRPC_TAIL "00 04 'a' 0a 1b5b 04 'b' 0a 0a 0a", 0});
    raw_frame(&b, &(struct raw_frame){S, 0, 1, "", 0});
    raw_feed(&r, &b, b.n);
    cr_assert_eq(r.err, SM_E_FORMAT);
    for (const char *p = r.ei.text; *p; p++) cr_assert(*p >= 0x20 && *p < 0x7f, "%s", r.ei.text);
    raw_stop(&r);
    free(b.p);
}
