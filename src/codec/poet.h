/* codec/poet.h: PoET proofs and certificates as they travel. Source: wire.md §5.1, 5.4. */
#ifndef SM_CODEC_POET_H
#define SM_CODEC_POET_H

#include "codec/scale.h"
#include "util/ids.h"

/* PoetProof; its BLAKE3 is the proof reference. The 32-byte nodes are byte strings with a length of their own. */
struct sm_poet_proof {
    struct sm_scale_bytes root;
    struct sm_scale_list proven_leaves; /* struct sm_scale_bytes */
    struct sm_scale_list proof_nodes;   /* struct sm_scale_bytes */
    uint64_t leaf_count;
};
struct sm_poet_proof_message {
    struct sm_poet_proof proof;
    struct sm_scale_bytes poet_service_id, round_id;
    struct sm_hash32 statement;
    struct sm_signature signature; /* zero; neither filled nor checked by the reference */
};
/* Signed by the certifier as it is, without domain or prefix. */
struct sm_poet_certificate {
    struct sm_scale_bytes pubkey;
    uint64_t *expiration; /* Unix seconds */
};

#define SM_POET_PROVEN_LEAVES 150u /* T, the security parameter */

extern const struct sm_scale_type sm_poet_proof_type, sm_poet_proof_message_type, sm_poet_certificate_type;

#endif
