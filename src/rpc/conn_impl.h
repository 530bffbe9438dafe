/* rpc/conn_impl.h: the inside of connections and streams, shared by conn.c, conn_h2.c, stream.c, answer.c, call.c and
 * keepalive.c only. */
#ifndef SM_RPC_CONN_IMPL_H
#define SM_RPC_CONN_IMPL_H

#include <sys/types.h>

#include <nghttp2/nghttp2.h>

#include "rpc/buf.h"
#include "rpc/conn.h"
#include "rpc/frame.h"
#include "rpc/guard.h"
#include "rpc/mem.h"

#define SM_RPC_PATH_ROOM 256u /* longer paths are no method of anybody */
#define SM_RPC_PROBES    8u
#define SM_RPC_NEVER     UINT64_MAX

/* What a header block said, as far as a call is concerned. */
struct sm_rpc_headers {
    char path[SM_RPC_PATH_ROOM]; /* server */
    bool path_too_long, is_post;
    unsigned http_status; /* client */
    bool content_type_seen, is_grpc;
    bool encoding_foreign; /* grpc-encoding other than identity */
    bool status_seen;      /* grpc-status */
    struct sm_grpc_status status;
    bool timeout_seen, timeout_bad;
    uint64_t timeout_ns;
    size_t list_bytes; /* as RFC 9113 counts: name + value + 32 */
};

/* One call. It is linked into its connection until the application has heard of its end (delivered) and the HTTP/2
 * library has let go of it (detached). */
struct sm_rpc_stream {
    struct sm_rpc_stream *next, **link;
    struct sm_rpc_conn *c;
    int32_t id;
    const struct sm_rpc_method *method; /* server; NULL before open */
    const struct sm_rpc_stream_events *ev;
    void *ctx;

    struct sm_rpc_headers in;
    struct sm_rpc_frame_reader rx;
    struct sm_rpc_buf tx;
    size_t messages; /* received */

    bool reading;               /* inside on_message, whose message may lie in rx */
    bool announced;             /* the application knows the stream: on_end is owed */
    bool answered;              /* server: response headers are submitted; client: they have come */
    bool local_done;            /* half_close, finish: no more messages from here */
    bool end_sent;              /* our END_STREAM has gone out */
    bool remote_done;           /* the peer's END_STREAM has come */
    bool ended;                 /* `end` holds; no event but on_end any more */
    bool delivered;             /* on_end has been called, or nobody wanted it */
    bool detached;              /* the HTTP/2 library does not know us any more */
    bool blocked;               /* send said SM_E_BUSY: on_writable is owed */
    struct sm_grpc_status last; /* server: given to finish */
    struct sm_grpc_status end;  /* what on_end says */

    uint64_t deadline_ns;      /* SM_RPC_NEVER: none */
    uint64_t message_since_ns; /* 0: no message is half received */
    uint64_t stall_since_ns;   /* 0: not armed */
};

struct sm_rpc_probe {
    uint64_t id; /* 0: free */
    uint64_t deadline_ns;
    bool over, acked;
    void (*done)(void *ctx, bool acked);
    void *ctx;
};

typedef enum sm_rpc_state {
    SM_RPC_OPEN,
    SM_RPC_NOTICE,   /* server: the first GOAWAY is out, calls under way on the wire are still taken */
    SM_RPC_DRAINING, /* the last GOAWAY is out: open calls end, new ones are refused */
    SM_RPC_DEAD,     /* no input is read any more; output ends with a GOAWAY */
} sm_rpc_state;

struct sm_rpc_conn {
    struct sm_rpc_conn_cfg cfg; /* defaults filled in; strings below */
    char scheme[8], authority[300], user_agent[64];
    nghttp2_session *h2;
    struct sm_rpc_guard guard;
    struct sm_rpc_budget input;
    struct sm_rpc_stream *streams;
    size_t streams_n; /* announced, not delivered */
    uint64_t now_ns;

    struct sm_rpc_buf out;
    size_t queued;           /* bytes in the tx of all streams */
    bool muted;              /* nothing is taken from the HTTP/2 library any more */
    uint64_t stall_since_ns; /* out does not shrink since then; 0: not armed */

    sm_rpc_state state;
    bool busy;         /* inside a turn of the transport: no wake-up needed */
    bool woken;        /* on_wake was called and no turn has come since */
    bool due;          /* events wait to be delivered */
    bool blocked;      /* a stream is */
    bool peer_away;    /* GOAWAY has come */
    bool said_goodbye; /* server: GOAWAY(NO_ERROR) has come that the library does not like */
    bool drain_failed;
    sm_err why;
    char why_text[SM_GRPC_MESSAGE_ROOM];
    char h2_text[128]; /* what the HTTP/2 library last complained about */
    uint64_t drain_deadline_ns, notice_deadline_ns, notice_ping;

    /* keepalive.c */
    uint64_t start_ns, last_rx_ns, quiet_since_ns, idle_since_ns;
    uint64_t keepalive_ping, keepalive_deadline_ns; /* 0: none under way */
    uint64_t ping_ids;
    uint64_t next_interval_ns;
    struct sm_rpc_probe probes[SM_RPC_PROBES];
    uint64_t last_ping_ns; /* server: of the client */
    bool pinged, strikes_forgiven;
    unsigned strikes;
};

/* ---- conn.c ---- */
/* The connection is over: GOAWAY(h2_error, debug), every call ends with UNAVAILABLE, `text` is for the operator. */
void sm_rpc_conn_die(struct sm_rpc_conn *c, sm_err why, uint32_t h2_error, const char *debug, const char *fmt, ...)
    SM_PRINTF(5, 6);
/* Tells the transport, unless it is its turn. */
void sm_rpc_conn_wake(struct sm_rpc_conn *c);

/* ---- conn_h2.c ---- */
/* SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_rpc_h2_open(struct sm_rpc_conn *c, struct sm_errinfo *ei);
/* DATA of a call: sm_rpc_stream_output. */
extern const nghttp2_data_provider sm_rpc_h2_data;
/* Fills `out` from the library, up to a little more than one write. */
void sm_rpc_h2_pump(struct sm_rpc_conn *c);

/* ---- stream.c ---- */
struct sm_rpc_stream *sm_rpc_stream_new(struct sm_rpc_conn *c);
void sm_rpc_stream_end(struct sm_rpc_stream *s, sm_grpc_code code, const char *fmt, ...) SM_PRINTF(3, 4);
/* Ends for the application and on the wire: RST_STREAM(h2_error). */
void sm_rpc_stream_reset(struct sm_rpc_stream *s, uint32_t h2_error, sm_grpc_code code, const char *fmt, ...)
    SM_PRINTF(4, 5);
/* We cannot go on with this call: a server answers with the status, a client resets. */
void sm_rpc_stream_fail(struct sm_rpc_stream *s, sm_grpc_code code, const char *fmt, ...) SM_PRINTF(3, 4);
void sm_rpc_stream_detach(struct sm_rpc_stream *s);
/* DATA of the peer. */
void sm_rpc_stream_input(struct sm_rpc_stream *s, const uint8_t *p, size_t n);
/* END_STREAM of the peer. */
void sm_rpc_stream_input_end(struct sm_rpc_stream *s);
/* Bytes for a DATA frame; as nghttp2_data_source_read_callback. */
ssize_t sm_rpc_stream_output(struct sm_rpc_stream *s, uint8_t *to, size_t room, uint32_t *flags);
/* Calls the events that wait; frees streams that nobody knows any more. */
void sm_rpc_streams_deliver(struct sm_rpc_conn *c);
uint64_t sm_rpc_stream_next(const struct sm_rpc_stream *s);
void sm_rpc_stream_tick(struct sm_rpc_stream *s);
void sm_rpc_stream_free(struct sm_rpc_stream *s);

/* ---- headers.c ---- */
/* Takes one header into `h`; false when the list has become longer than `list_max`. */
bool sm_rpc_headers_add(struct sm_rpc_headers *h, struct sm_slice name, struct sm_slice value, size_t list_max);

/* ---- answer.c (server) ---- */
void sm_rpc_answer_open(struct sm_rpc_stream *s);  /* the request's header block is whole */
void sm_rpc_answer_begin(struct sm_rpc_stream *s); /* response headers, if they are owed */
void sm_rpc_answer_finish(struct sm_rpc_stream *s, const struct sm_grpc_status *st);
int sm_rpc_answer_trailers(struct sm_rpc_stream *s); /* behind the last message */

/* ---- call.c (client) ---- */
void sm_rpc_call_headers(struct sm_rpc_stream *s, bool end_stream); /* a header block of the answer is whole */
void sm_rpc_call_end(struct sm_rpc_stream *s);                      /* END_STREAM has come */

/* ---- keepalive.c ---- */
void sm_rpc_keepalive_init(struct sm_rpc_conn *c, uint64_t now_ns);
void sm_rpc_keepalive_ping(struct sm_rpc_conn *c);                        /* PING of the peer */
void sm_rpc_keepalive_pong(struct sm_rpc_conn *c, const uint8_t data[8]); /* PING answer of the peer */
void sm_rpc_keepalive_goaway(struct sm_rpc_conn *c, uint32_t h2_error, struct sm_slice debug);
uint64_t sm_rpc_keepalive_next(const struct sm_rpc_conn *c);
void sm_rpc_keepalive_tick(struct sm_rpc_conn *c);
/* Sends a PING; 0 when there is no memory. */
uint64_t sm_rpc_ping_send(struct sm_rpc_conn *c);
/* Calls `done` of what is over; `all`: of every one. */
void sm_rpc_probes_deliver(struct sm_rpc_conn *c, bool all);

#endif
