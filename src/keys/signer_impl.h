/* keys/signer_impl.h: the two kinds of signer; inside keys/ only. */
#ifndef SM_KEYS_SIGNER_IMPL_H
#define SM_KEYS_SIGNER_IMPL_H

#include "keys/signer.h"

struct sm_signer {
    const struct sm_signer_ops {
        sm_err (*sign)(struct sm_signer *s, const struct sm_sign_request *r, struct sm_signature *out,
                       struct sm_errinfo *ei);
        sm_err (*vrf)(struct sm_signer *s, const struct sm_vrf_request *r, struct sm_vrf_proof *out,
                      struct sm_errinfo *ei);
        void (*close)(struct sm_signer *s); /* frees s */
    } * ops;
    struct sm_genesis_id genesis;
    struct sm_signer_identity *identities; /* owned */
    size_t identities_n;
};

#endif
