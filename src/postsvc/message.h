/* postsvc/message.h: the messages of the Register stream and of PostStates, as values.
 *
 * The wire is proto/spacemesh/v1/post_types.proto, unchanged; here lengths are checked, so that what a decoder returns
 * can be used as it is. Decoders take fields in any order and skip those they do not know. No state; any thread.
 * Source: our spec, post-service.md §2.2, 2.9 (OUR-10, OUR-12). */
#ifndef SM_POSTSVC_MESSAGE_H
#define SM_POSTSVC_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/proof.h"
#include "util/bytes.h"
#include "util/err.h"
#include "util/ids.h"

#define SM_POST_REGISTER_PATH "/spacemesh.v1.PostService/Register"
#define SM_POST_STATES_PATH   "/spacemesh.v1.PostInfoService/PostStates"

#define SM_POST_MESSAGE_MAX   16384u /* bytes taken from a peer; ours: real messages are below 600 */
#define SM_POST_REQUEST_ROOM  64u    /* any encoded request */
#define SM_POST_RESPONSE_ROOM 1280u  /* any encoded response: 800 bytes of indices and less than 300 others */

/* An identity's data as its post service reports it: "Metadata" of the wire. */
struct sm_post_info {
    struct sm_node_id node_id;
    struct sm_atx_id commitment_atx_id;
    bool has_nonce;
    uint64_t nonce; /* VRF nonce, a label index */
    uint32_t num_units;
    uint64_t labels_per_unit;
};

typedef enum sm_post_kind {
    SM_POST_KIND_NONE, /* empty, or a kind that is newer than we are */
    SM_POST_KIND_METADATA,
    SM_POST_KIND_GEN_PROOF,
} sm_post_kind;

/* Node to post service. */
struct sm_post_request {
    sm_post_kind kind;
    uint32_t challenge_n; /* GEN_PROOF: bytes that came; the challenge is usable when this is 32, and zero otherwise */
    struct sm_challenge challenge;
};

/* "GenProofStatus"; a peer may send other numbers too. */
typedef enum sm_post_status { SM_POST_STATUS_UNSPECIFIED, SM_POST_STATUS_OK, SM_POST_STATUS_ERROR } sm_post_status;

/* Post service to node. */
struct sm_post_response {
    sm_post_kind kind;
    bool has_info; /* METADATA, or with has_challenge of GEN_PROOF: `info` came */
    struct sm_post_info info;
    int status; /* GEN_PROOF: sm_post_status or another number */
    bool has_proof;
    struct sm_proof proof;
    bool has_challenge; /* GEN_PROOF: what the proof is about came with it */
    struct sm_challenge challenge;
};

/* SM_E_FORMAT: no such message, or longer than SM_POST_MESSAGE_MAX. */
SM_MUST_CHECK sm_err sm_post_request_decode(struct sm_slice in, struct sm_post_request *out, struct sm_errinfo *ei);
/* Bytes written; a GEN_PROOF challenge is written with challenge_n <= 32 bytes. */
size_t sm_post_request_encode(const struct sm_post_request *r, uint8_t out[SM_POST_REQUEST_ROOM]);

/* SM_E_FORMAT: as above, an ID or challenge that has not 32 bytes (named), or more indices than a proof can have. */
SM_MUST_CHECK sm_err sm_post_response_decode(struct sm_slice in, struct sm_post_response *out, struct sm_errinfo *ei);
size_t sm_post_response_encode(const struct sm_post_response *r, uint8_t out[SM_POST_RESPONSE_ROOM]);

/* "PostState.State". */
typedef enum sm_post_state { SM_POST_STATE_UNUSED, SM_POST_STATE_IDLE, SM_POST_STATE_PROVING } sm_post_state;

struct sm_post_state_row {
    struct sm_node_id id;
    sm_post_state state;
    const char *name; /* of the key file, or "" */
};

/* "PostStatesResponse"; *out is malloc'd (never NULL on success), free() it. SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_post_states_encode(const struct sm_post_state_row *rows, size_t n, uint8_t **out, size_t *out_n,
                                           struct sm_errinfo *ei);

#endif
