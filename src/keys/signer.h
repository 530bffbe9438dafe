/* keys/signer.h: who signs. The same calls in process (keys and journal opened here) and over the Unix socket of a
 * `smesher signer` process, which then is the only one that holds them. Any thread; calls on many threads share disk
 * flushes. */
#ifndef SM_KEYS_SIGNER_H
#define SM_KEYS_SIGNER_H

#include "keys/claim.h"
#include "keys/keyfile.h"
#include "keys/request.h"

struct sm_signer;

struct sm_signer_cfg {
    const char *keys_dir; /* identities/ */
    const char *journal_path;
    struct sm_genesis_id genesis;
    const struct sm_passphrase *pass; /* of sealed keys; read during open only; may be NULL */
    bool allow_missing_keys;          /* the journal may belong to identities whose keys are elsewhere now */
    const char *claims_dir;           /* SM_CLAIMS_DIR; NULL: nothing is held against copies of the files */
};
struct sm_signer_identity {
    struct sm_node_id node_id;
    char name[SM_KEY_NAME_ROOM]; /* of the key file */
};

/* In process. Fails as sm_keyring_load, sm_journal_open, sm_journal_match and sm_claims_take do. */
SM_MUST_CHECK sm_err sm_signer_open(const struct sm_signer_cfg *cfg, struct sm_signer **out, struct sm_errinfo *ei);
/* Over the socket at `path`. SM_E_NET: nobody listens; SM_E_MISMATCH: it signs for another network. Connections are made
 * as needed, one for each call in progress; one that broke is made again by the next call. */
SM_MUST_CHECK sm_err sm_signer_connect(const char *path, const struct sm_genesis_id *genesis, struct sm_signer **out,
                                       struct sm_errinfo *ei);
/* Accepts NULL. No call may be in progress. */
void sm_signer_close(struct sm_signer *s);

/* Both lent until close. */
const struct sm_genesis_id *sm_signer_genesis(const struct sm_signer *s);
const struct sm_signer_identity *sm_signer_identities(const struct sm_signer *s, size_t *out_n);

/* Takes the slot durably, then signs. SM_E_REFUSED: the slot holds something else, or may not be signed any more;
 * SM_E_NOTFOUND: not our identity; SM_E_ARG: see keys/request.h; SM_E_IO, SM_E_NOSPACE: the journal cannot be written.
 * Over the socket also SM_E_NET: no answer; asking again is safe, the answer is the same. */
SM_MUST_CHECK sm_err sm_signer_sign(struct sm_signer *s, const struct sm_sign_request *r, struct sm_signature *out,
                                    struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_signer_vrf(struct sm_signer *s, const struct sm_vrf_request *r, struct sm_vrf_proof *out,
                                   struct sm_errinfo *ei);

#endif
