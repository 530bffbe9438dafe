/* postsvc/link.h: one identity's registration with a node, as a machine without sockets and clock: events and the time
 * come in, actions go out. postsvc/client.h carries them out.
 *
 *   STOPPED -START-> WAITING -due-> CONNECTING -UP-> OPENING -metadata answered-> REGISTERED
 *                       ^---------------+--------------+--------- any failure ---------'
 *
 * What is done after a failure depends on its reason (table `reactions` in link.c; post-service.md §2.6): how long to wait,
 * growing to a minute, each wait a random quarter shorter or longer so that many rigs do not return at the same moment;
 * and whether another address comes next. A registration that has lasted a minute or brought a proof request starts the
 * waits anew. With max_retries the wait stays at the interval, as in the reference.
 *
 * One thread. Source: our spec, post-service.md §2.4 to 2.9, reference: post-rs service/src/client.rs @a2d155a. */
#ifndef SM_POSTSVC_LINK_H
#define SM_POSTSVC_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "postsvc/message.h"
#include "rpc/status.h"
#include "util/bytes.h"
#include "util/err.h"

typedef enum sm_post_link_phase {
    SM_POST_LINK_STOPPED,
    SM_POST_LINK_WAITING,
    SM_POST_LINK_CONNECTING,
    SM_POST_LINK_OPENING, /* connected; the node has not asked yet who we are */
    SM_POST_LINK_REGISTERED,
} sm_post_link_phase;

/* Why there is no registration, or why the last one ended. */
typedef enum sm_post_link_reason {
    SM_POST_LINK_NONE,
    SM_POST_LINK_UNREACHABLE, /* nothing answers at the address */
    SM_POST_LINK_LOST,        /* a connection that was there ended: the node restarts, or the way to it broke */
    SM_POST_LINK_TLS,         /* certificates */
    SM_POST_LINK_NO_COINBASE, /* the node does not take post services yet */
    SM_POST_LINK_DUPLICATE,   /* another rig serves this identity */
    SM_POST_LINK_WRONG_PORT,  /* a gRPC server, but not the post listener */
    SM_POST_LINK_FORBIDDEN,   /* the node does not take this identity from us */
    SM_POST_LINK_BAD_DATA,    /* the node does not take the identity's metadata */
    SM_POST_LINK_PINGS,       /* the node finds our PINGs too frequent; the interval is doubled */
    SM_POST_LINK_SILENT,      /* connected, but the node does not ask */
    SM_POST_LINK_BROKEN,      /* the node sends what is no request */
    SM_POST_LINK_NO_DATA,     /* our own data cannot be shown: the provider said why */
    SM_POST_LINK_OTHER,
    SM_POST_LINK_GIVEN_UP, /* max_retries */
    SM_POST_LINK_REASONS_N
} sm_post_link_reason;

/* "unreachable", "duplicate"; "" for NONE. Static string. */
const char *sm_post_link_reason_name(sm_post_link_reason reason);
/* "stopped", "waiting", "connecting", "opening", "registered". */
const char *sm_post_link_phase_name(sm_post_link_phase phase);

struct sm_post_link_state { /* plain data, may be copied */
    sm_post_link_phase phase;
    sm_post_link_reason reason;
    char text[SM_GRPC_MESSAGE_ROOM]; /* of the reason, in the peer's or the system's words */
    uint32_t address;                /* in use or next, from 0 */
    uint64_t since_ns;               /* of the phase */
    uint64_t retry_ns;               /* WAITING: when */
    uint32_t connects_failed;        /* in a row */
};

struct sm_post_link_cfg {
    char name[32];        /* in log lines */
    uint32_t addresses_n; /* >= 1, tried in order */
    uint64_t interval_ns; /* first wait; 0 = 5 s */
    bool limited;         /* max_retries counts */
    uint32_t max_retries; /* failed connects in a row beyond the first */
    uint64_t seed;        /* of the random part of waits */
};

typedef enum sm_post_link_event_kind {
    SM_POST_LINK_START,
    SM_POST_LINK_STOP,
    SM_POST_LINK_TICK,    /* sm_post_link_deadline has passed, or not: harmless */
    SM_POST_LINK_UP,      /* CONNECT succeeded */
    SM_POST_LINK_DOWN,    /* CONNECT failed or the connection is lost: why, text, tls */
    SM_POST_LINK_MESSAGE, /* on the stream: msg */
    SM_POST_LINK_ENDED,   /* the stream: status */
    SM_POST_LINK_ACKED,   /* what was sent with this confirm number has reached the node's machine */
} sm_post_link_event_kind;

struct sm_post_link_event {
    sm_post_link_event_kind kind;
    const char *text;
    bool tls;
    bool pings; /* DOWN, ENDED: too_many_pings was the node's complaint */
    struct sm_slice msg;
    const struct sm_grpc_status *status;
    uint32_t confirm;
};

typedef enum sm_post_link_action_kind {
    SM_POST_LINK_DO_NOTHING,
    SM_POST_LINK_DO_CONNECT, /* to `address`; UP or DOWN follows */
    SM_POST_LINK_DO_OPEN,    /* the Register stream; MESSAGE or ENDED follows */
    SM_POST_LINK_DO_SEND,    /* `bytes` on the stream; when confirm is not 0, tell by ACKED when they have arrived */
    SM_POST_LINK_DO_CLOSE,   /* stream and connection; nothing follows */
    SM_POST_LINK_DO_GIVE_UP, /* as DO_CLOSE; the machine has stopped for good: state.text says why */
} sm_post_link_action_kind;

struct sm_post_link_action {
    sm_post_link_action_kind kind;
    uint32_t address;
    uint32_t confirm;
    size_t bytes_n;
    uint8_t bytes[SM_POST_RESPONSE_ROOM];
};

struct sm_post_provider;

struct sm_post_link { /* members are the machine's own; read `state` */
    struct sm_post_link_cfg cfg;
    const struct sm_post_provider *provider;
    void *provider_ctx;
    struct sm_post_link_state state;
    uint64_t deadline_ns;
    uint64_t random;
    uint32_t setbacks; /* waits since the last good registration */
    uint32_t tried;    /* addresses since the last wait */
    sm_post_link_reason logged;
    uint32_t offered; /* confirm number of a proof on its way, or 0 */
    uint32_t confirms;
    struct sm_challenge offered_for;
};

/* The provider is borrowed for the machine's life. */
void sm_post_link_init(struct sm_post_link *l, const struct sm_post_link_cfg *cfg,
                       const struct sm_post_provider *provider, void *provider_ctx);
/* `out` is always written. Events that do not fit the phase (a late DOWN) are ignored. */
void sm_post_link_step(struct sm_post_link *l, const struct sm_post_link_event *ev, uint64_t now_ns,
                       struct sm_post_link_action *out);
/* When TICK is due; UINT64_MAX: never. */
uint64_t sm_post_link_deadline(const struct sm_post_link *l);

#endif
