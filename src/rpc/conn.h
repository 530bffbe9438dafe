/* rpc/conn.h: one HTTP/2 connection that carries gRPC calls, either side of it. No sockets and no clock: bytes and the
 * time are handed in, so that tests feed it bytes and decide what time it is.
 *
 * The transport's turn: sm_rpc_conn_feed() what came in, sm_rpc_conn_tick() when sm_rpc_conn_deadline() has passed,
 * then write what sm_rpc_conn_output() lends. It closes when sm_rpc_conn_finished() holds and nothing is left to write.
 *
 * Streams live from open (server) or sm_rpc_call (client) until on_end has returned. Events are called from inside
 * feed, tick, eof and free only, never from inside sm_rpc_call, send, finish or cancel; an event may call anything here
 * except feed, tick, eof, output, sent and free of its own connection.
 *
 * Everything is bounded (struct sm_rpc_limits). A peer that exceeds a limit on calls gets RESOURCE_EXHAUSTED for that
 * call; one that floods the connection gets GOAWAY(ENHANCE_YOUR_CALM) and is dropped.
 *
 * Threads: one connection and its streams belong to one thread.
 * Source: RFC 9113; grpc/grpc doc/PROTOCOL-HTTP2.md; our spec, post-service.md "2.3". */
#ifndef SM_RPC_CONN_H
#define SM_RPC_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/status.h"
#include "util/bytes.h"
#include "util/err.h"

struct sm_rpc_conn;
struct sm_rpc_stream;

struct sm_rpc_stream_events {
    /* `msg` is valid during the call. */
    void (*on_message)(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg);
    /* Server: the client sends no more. May be NULL. */
    void (*on_half_close)(void *ctx, struct sm_rpc_stream *s);
    /* There is room again after sm_rpc_send said SM_E_BUSY. May be NULL. */
    void (*on_writable)(void *ctx, struct sm_rpc_stream *s);
    /* Exactly once, and last: the stream is gone when it returns. Server: the status given to sm_rpc_finish when the
     * trailers went out, else why not (CANCELLED: the client cancelled; DEADLINE_EXCEEDED; UNAVAILABLE: connection
     * lost). */
    void (*on_end)(void *ctx, const struct sm_grpc_status *st);
};

typedef enum sm_rpc_kind {
    SM_RPC_STREAMING = 0, /* any number of messages either way */
    SM_RPC_UNARY, /* exactly one message from the client, held to message_timeout_ns from its start; else INTERNAL */
} sm_rpc_kind;

/* A method of a server. Rows are borrowed for the life of the connection. */
struct sm_rpc_method {
    const char *path; /* "/spacemesh.v1.PostService/Register" */
    sm_rpc_kind kind;
    void *ctx; /* handed to open */
    /* A call begins. True: *ev and *ev_ctx say who hears of it; the events may start at once. False: `refuse` (zeroed
     * before the call) is the answer, and the stream is gone on return. May send already. Called from inside feed. */
    bool (*open)(void *ctx, struct sm_rpc_stream *s, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                 struct sm_grpc_status *refuse);
};

/* 0 = the default. */
struct sm_rpc_limits {
    size_t message_max;        /* bytes of one received message; 4 MiB client, 10 MiB server */
    size_t input_max;          /* bytes of half-received messages, all calls together; 4 * message_max */
    size_t output_max;         /* bytes waiting to be sent, all calls together; 16 MiB */
    uint32_t streams_max;      /* calls at a time that the peer may open; 100 */
    uint32_t header_list_max;  /* bytes of one decoded header list, as RFC 9113 counts; 16 KiB */
    uint32_t header_block_max; /* bytes of one header block on the wire, CONTINUATION frames included; 16 KiB */
    uint32_t stream_window;    /* receive window of a call; 1 MiB */
    uint32_t conn_window;      /* receive window of the connection; 4 MiB */
};

struct sm_rpc_conn_cfg {
    bool server;
    /* server */
    const struct sm_rpc_method *methods;
    size_t methods_n;
    /* client; copied */
    const char *scheme;     /* "http" or "https"; NULL: http */
    const char *authority;  /* "host:port" */
    const char *user_agent; /* NULL: smesher/VERSION */

    struct sm_rpc_limits limits;
    /* Times in ns. 0 switches each off, except where a default is named. */
    uint64_t
        ping_interval_ns; /* PING after this long without input; the client only while a call is open, and never below
                                   * SM_RPC_PING_MIN_NS (SM_E_ARG) */
    uint64_t ping_timeout_ns; /* without the answer for this long the connection is lost; default 20 s */
    uint64_t ping_min_ns;     /* server: PINGs of the client closer than this are strikes, the third ends the connection
                                   * with too_many_pings; 2 h while no call is open */
    uint64_t
        header_timeout_ns; /* preface and SETTINGS, and each header block, must be complete in this; default 10 s */
    uint64_t message_timeout_ns; /* a message that has begun must be complete in this; default 60 s */
    uint64_t
        write_timeout_ns; /* output the peer does not take ends the connection, an answer it has no window for ends the
                                   * call; default 60 s */
    uint64_t idle_timeout_ns; /* server: a connection without calls for this long is shut down */
    const void *peer;         /* the transport's notes about the peer, lent to methods: sm_rpc_stream_peer() */
    /* Something is to be written or sm_rpc_conn_deadline() has become sooner, because of a call from outside the
     * transport's turn. May be NULL; must only take note. */
    void (*on_wake)(void *ctx);
    void *wake_ctx;
};

#define SM_RPC_PING_MIN_NS (60ull * 1000000000ull) /* post-service.md OUR-1: nodes drop clients that ping more often */

/* SM_E_ARG, SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_rpc_conn_new(const struct sm_rpc_conn_cfg *cfg, uint64_t now_ns, struct sm_rpc_conn **out,
                                     struct sm_errinfo *ei);
/* Ends every stream with UNAVAILABLE and every ping as lost, then releases. Accepts NULL. */
void sm_rpc_conn_free(struct sm_rpc_conn *c);

/* Bytes from the peer. SM_E_NET, SM_E_FORMAT (the peer broke HTTP/2), SM_E_REFUSED (it flooded), SM_E_NOMEM: every
 * stream has ended; write the remaining output (a GOAWAY that says why) and close. Further input is ignored. */
SM_MUST_CHECK sm_err sm_rpc_conn_feed(struct sm_rpc_conn *c, const uint8_t *p, size_t n, uint64_t now_ns,
                                      struct sm_errinfo *ei);
/* The transport is lost or was closed by the peer; `why` goes into the status of the open calls. */
void sm_rpc_conn_eof(struct sm_rpc_conn *c, uint64_t now_ns, const char *why);
/* Bytes to send, lent until the next call on the connection; 0 when there are none. */
size_t sm_rpc_conn_output(struct sm_rpc_conn *c, const uint8_t **out);
/* The first n of them are sent. */
void sm_rpc_conn_sent(struct sm_rpc_conn *c, size_t n);
/* False while so much output waits that reading more would only add to it: leave the bytes in the socket. */
bool sm_rpc_conn_wants_input(const struct sm_rpc_conn *c);
/* When sm_rpc_conn_tick is needed next; 0 at once, UINT64_MAX never. Output is asked for anyway after feed, tick and
 * on_wake: what calls have queued shows there, not here. */
uint64_t sm_rpc_conn_deadline(const struct sm_rpc_conn *c);
void sm_rpc_conn_tick(struct sm_rpc_conn *c, uint64_t now_ns);
/* Nothing more will come of this connection: write what output is left, then close. */
bool sm_rpc_conn_finished(const struct sm_rpc_conn *c);
/* Why it is finished: SM_OK after an orderly end, else as feed returned, SM_E_TIMEOUT or SM_E_NET; the text for the
 * operator. */
sm_err sm_rpc_conn_why(const struct sm_rpc_conn *c, struct sm_errinfo *ei);

/* No new calls; those that are open may take `grace_ns` to end, then they end with UNAVAILABLE. May be called again to
 * shorten the grace. */
void sm_rpc_conn_shutdown(struct sm_rpc_conn *c, uint64_t now_ns, uint64_t grace_ns);
/* Is the other side there? `done` is called exactly once, from inside feed, tick, eof or free. An unanswered ping of
 * this kind does not end the connection by itself. SM_E_NET (connection ended), SM_E_BUSY (8 under way already). */
SM_MUST_CHECK sm_err sm_rpc_conn_ping(struct sm_rpc_conn *c, void (*done)(void *ctx, bool acked), void *ctx,
                                      uint64_t timeout_ns, uint64_t now_ns, struct sm_errinfo *ei);
/* The keepalive interval that the next connection to this peer should use: doubled after too_many_pings. */
uint64_t sm_rpc_conn_ping_interval(const struct sm_rpc_conn *c);
/* Calls that are open. */
size_t sm_rpc_conn_streams(const struct sm_rpc_conn *c);
/* Client: can a call be opened now? False once either side has announced the end. */
bool sm_rpc_conn_usable(const struct sm_rpc_conn *c);
/* Client: how many calls more the peer allows now; 0 when it is not usable. */
size_t sm_rpc_conn_room(const struct sm_rpc_conn *c);

/* Client: opens a call. timeout_ns 0: no deadline. *out is valid until on_end returns.
 * SM_E_NET: the connection is ending, make a new one; SM_E_BUSY: as many calls are open as the peer allows;
 * SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_rpc_call(struct sm_rpc_conn *c, const char *path, uint64_t timeout_ns, uint64_t now_ns,
                                 const struct sm_rpc_stream_events *ev, void *ctx, struct sm_rpc_stream **out,
                                 struct sm_errinfo *ei);

/* Either side: copies the message. SM_E_BUSY: output_max is reached (a single message always fits when nothing waits);
 * on_writable follows. SM_E_NET: the call or this side of it has ended. SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_rpc_send(struct sm_rpc_stream *s, struct sm_slice msg, struct sm_errinfo *ei);
/* Client: no more messages from here. */
void sm_rpc_half_close(struct sm_rpc_stream *s);
/* Server: what was sent, then the trailers. */
void sm_rpc_finish(struct sm_rpc_stream *s, const struct sm_grpc_status *st);
/* Either side: stop at once; on_end follows with CANCELLED. */
void sm_rpc_cancel(struct sm_rpc_stream *s);
struct sm_rpc_conn *sm_rpc_stream_conn(struct sm_rpc_stream *s);
/* cfg.peer of the connection. */
const void *sm_rpc_stream_peer(const struct sm_rpc_stream *s);
/* Bytes of this call that wait to be sent. */
size_t sm_rpc_stream_queued(const struct sm_rpc_stream *s);

#endif
