/* keys/request.h: what may be signed. A request names an identity and carries the fields of one protocol object; the
 * bytes that are signed, and the slot they take in the journal, are computed from those fields here. There is no way
 * to have arbitrary bytes signed. Source: wire.md §3.1, 3.4, 10.3; poet-nipost.md §16.
 *
 * Slots, at most one signature each:
 *
 *   atx           identity, publish epoch           both ATX versions; epochs only ascend
 *   poet          identity, publish epoch           one challenge per PoET round
 *   ballot        identity, layer                   layers only ascend
 *   proposal      identity, layer                   layers only ascend
 *   hare          identity, layer, absolute round   both hare versions
 *   certify       identity, layer
 *   marriage      identity                          one partner, for ever
 *   beacon_first  identity, epoch
 *   beacon_next   identity, epoch, round
 *   merged_atx    marriage ATX, publish epoch       whichever of the married identities publishes
 *
 * VRF proofs take no slot: a proof is a deterministic function of key and message, its message is fixed by the
 * protocol, and two proofs of one key never accuse it of anything. So there is nothing to equivocate with, and proving
 * again after a crash must give the same bytes anyway. */
#ifndef SM_KEYS_REQUEST_H
#define SM_KEYS_REQUEST_H

#include "codec/atx.h"
#include "codec/consensus.h"
#include "keys/journal.h"

typedef enum sm_sign_kind { /* numbers are part of the socket protocol */
                            SM_SIGN_ATX_V1 = 1,
                            SM_SIGN_ATX_V2 = 2,
                            SM_SIGN_POET_V1 = 3, /* registration of a version 1 challenge */
                            SM_SIGN_POET_V2 = 4,
                            SM_SIGN_BALLOT = 5,
                            SM_SIGN_PROPOSAL = 6,
                            SM_SIGN_HARE3 = 7,
                            SM_SIGN_HARE4 = 8,
                            SM_SIGN_CERTIFY = 9,
                            SM_SIGN_MARRIAGE = 10,
                            SM_SIGN_BEACON_FIRST = 11,
                            SM_SIGN_BEACON_NEXT = 12,
                            SM_SIGN_KINDS,
} sm_sign_kind;

union sm_sign_body { /* by kind, in this order; borrowed */
    const struct sm_atx_v1_inner *atx_v1;
    const struct sm_atx_v2 *atx_v2; /* its smesher_id must be the identity; the signature in it is ignored */
    const struct sm_nipost_challenge_v1 *poet_v1;
    const struct sm_nipost_challenge_v2 *poet_v2;
    const struct sm_inner_ballot *ballot;
    const struct sm_inner_proposal *proposal; /* its ballot must carry the identity and its valid signature */
    const struct sm_hare_body *hare3;
    const struct sm_hare4_body *hare4; /* the full form: without compact proposals */
    const struct sm_certify_content *certify;
    const struct sm_node_id *partner; /* the identity that publishes the marriage ATX; may be the signer itself */
    const struct sm_beacon_first_voting_body *beacon_first;
    const struct sm_beacon_following_voting_body *beacon_next;
    const void *any;
};
struct sm_sign_request {
    struct sm_node_id identity;
    sm_sign_kind kind;
    union sm_sign_body body;
};

struct sm_vrf_request {
    struct sm_node_id identity;
    sm_eligibility_type kind; /* fills the first field of the message; the caller's is ignored */
    union sm_vrf_body {
        struct sm_vrf_voting voting;
        struct sm_vrf_hare hare; /* certification: round SM_CERTIFY_ROUND */
        struct sm_vrf_beacon beacon;
        struct sm_vrf_weak_coin weak_coin;
    } body;
};

/* Description of a kind's body; NULL for an unknown kind. */
const struct sm_scale_type *sm_sign_body_type(sm_sign_kind kind);
const struct sm_scale_type *sm_vrf_body_type(sm_eligibility_type kind);
const char *sm_sign_kind_name(sm_sign_kind kind);

#define SM_SIGN_ENTRIES_MAX 2u
/* What a request comes to. */
struct sm_sign_plan {
    struct sm_scale_writer bytes; /* genesis ID, domain, message; owned */
    struct sm_journal_entry entries[SM_SIGN_ENTRIES_MAX];
    size_t entries_n;
};
/* SM_E_ARG: the object is not the identity's, breaks a rule of its form, or lies beyond what a slot can hold. */
SM_MUST_CHECK sm_err sm_sign_plan_make(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                                       struct sm_sign_plan *out, struct sm_errinfo *ei);
void sm_sign_plan_fini(struct sm_sign_plan *p);
/* The VRF message of a request, appended to `out`. */
SM_MUST_CHECK sm_err sm_vrf_message(const struct sm_vrf_request *r, struct sm_scale_writer *out, struct sm_errinfo *ei);

#endif
