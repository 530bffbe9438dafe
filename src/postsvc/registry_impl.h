/* postsvc/registry_impl.h: what the registry's files share. Private to src/postsvc. */
#ifndef SM_POSTSVC_REGISTRY_IMPL_H
#define SM_POSTSVC_REGISTRY_IMPL_H

#include "postsvc/registry.h"
#include "rpc/timers.h"

/* One row of the table. It stays while it is known, served or wanted. */
struct sm_post_row {
    struct sm_post_registry *r;
    struct sm_post_row *next; /* in its bucket */
    struct sm_node_id id;
    struct sm_post_known *known;                 /* NULL: not expected */
    struct sm_post_session *session, *candidate; /* candidate: waits for the PING of `session` */
    uint64_t probe_serial;
    bool has_info;
    struct sm_post_info info;
    uint64_t since_ns;
    struct {
        sm_post_request_phase phase;
        struct sm_challenge challenge;
        bool has_commitment;
        struct sm_atx_id commitment;
        uint64_t serial, questions;
        struct sm_loop_timer deadline;
    } request;
};

typedef enum sm_post_session_phase {
    SM_POST_SESSION_METADATA, /* asked who it is */
    SM_POST_SESSION_PROBING,  /* a candidate */
    SM_POST_SESSION_IDLE,
    SM_POST_SESSION_ASKED,  /* for a proof */
    SM_POST_SESSION_PAUSED, /* until the next poll */
    SM_POST_SESSION_CLOSED, /* finished by us; its end is on the way */
} sm_post_session_phase;

struct sm_post_session {
    struct sm_post_registry *r;
    void *stream;
    const struct sm_peer *peer;
    sm_post_session_phase phase;
    struct sm_post_row *row; /* whose session or candidate it is; NULL: of none */
    struct sm_post_info info;
    uint64_t asked_serial; /* of the request it was asked about */
    struct sm_loop_timer timer;
};

struct sm_post_registry {
    struct sm_post_registry_cfg cfg;
    struct sm_post_known *known;
    struct sm_post_row **buckets;
    size_t buckets_n, rows_n, sessions_n;
    uint8_t hash_key[16]; /* peers choose the IDs, so they must not know where they land */
    uint64_t serials;
    struct sm_timers timers;
    uint64_t now_ns; /* of the tick that runs timers */
};

struct sm_post_row *sm_post_row_find(struct sm_post_registry *r, const struct sm_node_id *id);
/* Finds or makes. NULL: no memory, or the table is full. */
struct sm_post_row *sm_post_row_get(struct sm_post_registry *r, const struct sm_node_id *id);
/* Removes a row that nobody needs any more. */
void sm_post_row_reap(struct sm_post_row *row);
struct sm_post_identity sm_post_row_view(const struct sm_post_row *row);

/* Asks the row's stream about its request, if it is free to be asked. */
void sm_post_row_ask(struct sm_post_row *row, uint64_t now_ns);
/* The request is over: reports and forgets it. */
void sm_post_row_fail(struct sm_post_row *row, sm_post_failure reason, const char *text);
/* A proof came: checks what can be checked at once and sends it to the verification threads. */
void sm_post_row_proof(struct sm_post_row *row, const struct sm_post_response *m);

#endif
