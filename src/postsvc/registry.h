/* postsvc/registry.h: the node's side of Register without sockets and clock: which identity is served by which stream, and
 * the requests for proofs. postsvc/server.h gives it connections, time and verification threads.
 *
 * A stream is asked for its metadata first; what it answers says which identity it serves. Then it is asked for proofs as
 * the owner requests them: one outstanding question per stream, repeated every 2 s until a proof, an error or the
 * deadline. A request outlives streams: it waits for an identity that is not there, and goes on with its next stream. A
 * proof reaches the owner only after all its indices were verified against the requested challenge, the commitment known of
 * the identity and the network's limits (post-service.md OUR-21).
 *
 * Ours beyond the reference: answers within 30 s (OUR-10), lengths and nonce of metadata are checked, a second registration
 * of an identity is refused only when the first still answers a PING (OUR-8), identities can be bound to certificates
 * (OUR-2). One thread. Source: our spec, post-service.md §2.4, 2.9. */
#ifndef SM_POSTSVC_REGISTRY_H
#define SM_POSTSVC_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/params.h"
#include "post/verify.h"
#include "postsvc/message.h"
#include "rpc/peer.h"
#include "rpc/status.h"
#include "util/err.h"

#define SM_POST_NAME_ROOM 64u
#define SM_POST_SAN_ROOM  128u

/* An identity that the owner expects. */
struct sm_post_known {
    struct sm_node_id id;
    char name[SM_POST_NAME_ROOM]; /* "post0.key", or "" */
    char fingerprint[65];         /* hex SHA-256 of the client certificate that may register it, or "": any */
    char san[SM_POST_SAN_ROOM];   /* a subjectAltName of it ("DNS:post"), or "": any */
};

typedef enum sm_post_request_phase {
    SM_POST_REQUEST_NONE,
    SM_POST_REQUEST_WAITING, /* for the identity's stream */
    SM_POST_REQUEST_ASKING,
    SM_POST_REQUEST_VERIFYING,
} sm_post_request_phase;

typedef enum sm_post_failure {
    SM_POST_FAILURE_DEADLINE,
    SM_POST_FAILURE_RIG,   /* the post service answered ERROR, or what is no answer */
    SM_POST_FAILURE_DATA,  /* its proof does not hold: a data problem, to be looked at there */
    SM_POST_FAILURE_CHECK, /* the proof could not be verified here: memory */
} sm_post_failure;
/* "deadline", "rig", "data", "check". Static string. */
const char *sm_post_failure_name(sm_post_failure f);

struct sm_post_identity { /* a view, valid during the call that shows it */
    struct sm_node_id id;
    const char *name;
    bool known;      /* the owner expects it */
    bool registered; /* a stream serves it */
    const char *address;
    uint64_t since_ns; /* of `registered` */
    bool has_info;
    struct sm_post_info info; /* of the last registration */
    sm_post_request_phase request;
    struct sm_challenge challenge;
    uint64_t questions; /* asked for this challenge */
};

struct sm_post_verified {
    struct sm_proof proof;
    struct sm_proof_meta meta; /* its labels_per_unit is the network's */
    struct sm_post_info info;  /* as reported with the proof; has_nonce always holds */
};

/* What the owner hears. An event may call sm_post_registry_request, and nothing else of the registry. */
struct sm_post_events {
    void (*registered)(void *ctx, const struct sm_post_identity *id);
    void (*gone)(void *ctx, const struct sm_post_identity *id, const char *why);
    /* A stream that was not taken; `id` is NULL while it has not said whom it serves. */
    void (*refused)(void *ctx, const struct sm_node_id *id, const char *address, const struct sm_grpc_status *why);
    /* The request is over. */
    void (*proof)(void *ctx, const struct sm_post_identity *id, const struct sm_post_verified *v);
    void (*failed)(void *ctx, const struct sm_post_identity *id, sm_post_failure reason, const char *text);
};

/* A proof on its way to the verification threads and back. */
struct sm_post_check {
    uint64_t serial;
    struct sm_post_verified what;
};

/* The outside. None of these calls the registry back. */
struct sm_post_registry_io {
    /* False: the stream takes no more; its end is on the way. */
    bool (*send)(void *stream, struct sm_slice msg);
    /* Ends the stream with this status; sm_post_registry_ended follows. */
    void (*finish)(void *stream, const struct sm_grpc_status *st);
    /* As finish, for a stream whose connection is dead. */
    void (*drop)(void *stream, const struct sm_grpc_status *st);
    bool (*same_connection)(const void *a, const void *b);
    /* PING of the connection: sm_post_registry_probed follows, with id and serial. False: it is dead. */
    bool (*probe)(void *ctx, void *stream, const struct sm_node_id *id, uint64_t serial);
    /* Takes the job over; it comes back by sm_post_registry_verified. False: no memory, not taken. */
    bool (*verify)(void *ctx, struct sm_post_check *job);
};

struct sm_post_registry_cfg {
    const struct sm_post_params *params; /* borrowed */
    const struct sm_post_known *known;   /* copied */
    size_t known_n;
    bool only_known;         /* others are refused with PERMISSION_DENIED */
    uint32_t identities_max; /* table rows, known ones beside; 0 = 65536 */
    const struct sm_post_registry_io *io;
    void *io_ctx;
    const struct sm_post_events *events; /* NULL members are allowed */
    void *events_ctx;
};

struct sm_post_registry;
struct sm_post_session; /* a Register stream */

/* SM_E_ARG: the same identity twice in `known`. SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_post_registry_new(const struct sm_post_registry_cfg *cfg, struct sm_post_registry **out,
                                          struct sm_errinfo *ei);
/* Every stream must have ended and every check have come back. Accepts NULL. */
void sm_post_registry_free(struct sm_post_registry *r);

/* ---- streams ---- */

/* A stream begins; `stream` is handed to io and to nothing else, peer is borrowed until sm_post_registry_ended. NULL: out of
 * memory, or the stream is refused: *refuse says how. */
struct sm_post_session *sm_post_registry_open(struct sm_post_registry *r, void *stream, const struct sm_peer *peer,
                                              uint64_t now_ns, struct sm_grpc_status *refuse);
void sm_post_registry_message(struct sm_post_session *s, struct sm_slice msg, uint64_t now_ns);
/* Once per stream, also after finish or drop; the session is gone. */
void sm_post_registry_ended(struct sm_post_session *s, const char *why, uint64_t now_ns);
void sm_post_registry_probed(struct sm_post_registry *r, const struct sm_node_id *id, uint64_t serial, bool acked,
                             uint64_t now_ns);
/* err: it could not be told (text); else the verdict. Frees the job. */
void sm_post_registry_verified(struct sm_post_registry *r, struct sm_post_check *job, sm_err err,
                               const struct sm_verdict *verdict, const char *text);

uint64_t sm_post_registry_deadline(const struct sm_post_registry *r); /* UINT64_MAX: never */
void sm_post_registry_tick(struct sm_post_registry *r, uint64_t now_ns);

/* ---- the owner ---- */

/* Asks for a proof, until deadline_ns (UINT64_MAX: none). The identity need not be registered or known. commitment: what the
 * owner knows of it, or NULL: what the registration says. SM_E_BUSY: a request of this identity is under way; SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_post_registry_request(struct sm_post_registry *r, const struct sm_node_id *id,
                                              const struct sm_challenge *challenge, const struct sm_atx_id *commitment,
                                              uint64_t deadline_ns, uint64_t now_ns, struct sm_errinfo *ei);
/* Forgets the request; no event. False: there was none. */
bool sm_post_registry_cancel(struct sm_post_registry *r, const struct sm_node_id *id);
/* Every identity: known, registered, or with a request. The order is no order. */
void sm_post_registry_list(struct sm_post_registry *r, void (*fn)(void *ctx, const struct sm_post_identity *id),
                           void *ctx);
/* Rows of the table. */
size_t sm_post_registry_count(const struct sm_post_registry *r);
/* The answer of PostInfoService.PostStates; free() it. PROVING while a request is under way, IDLE otherwise. */
SM_MUST_CHECK sm_err sm_post_registry_states(struct sm_post_registry *r, uint8_t **out, size_t *out_n,
                                             struct sm_errinfo *ei);

#endif
