/* rig/proofs.h: finished, verified proofs on disk. Source: post-service.md OUR-4.
 *
 * A proof is stored before it is first offered and served for the same challenge at any later time, whatever happens to
 * the connection, the node or this process in between. One small file per proof; its name is a hash of what the proof
 * is about, its content the document that verify-proof reads, with members of ours behind it:
 *
 *   {"proof":{…},"metadata":{…},"vrf_nonce":"12","made_unix_s":1700000000,"fetched":false,"blake3":"…"}
 *
 * A file that does not parse or whose checksum is wrong is never served: a proof with one bad index costs the identity
 * (finding 25). It is renamed to NAME.bad and counts as absent. Any thread; one process (the caller locks the directory).
 * All calls touch the disk. */
#ifndef SM_RIG_PROOFS_H
#define SM_RIG_PROOFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/proof.h"
#include "util/err.h"

struct sm_stored_proof {
    struct sm_proof proof;
    struct sm_proof_meta meta;
    bool has_vrf_nonce;
    uint64_t vrf_nonce; /* of the metadata at the time of the proof */
    int64_t made_unix_s;
    bool fetched; /* a node went on after it was sent */
};

struct sm_proof_store;

/* Creates `dir` if need be; its parent exists. Removes what an interrupted write left. */
SM_MUST_CHECK sm_err sm_proof_store_open(const char *dir, struct sm_proof_store **out, struct sm_errinfo *ei);
void sm_proof_store_close(struct sm_proof_store *s); /* accepts NULL */

/* On disk, and durable, when it returns SM_OK. Replaces. */
SM_MUST_CHECK sm_err sm_proof_store_put(struct sm_proof_store *s, const struct sm_stored_proof *p,
                                        struct sm_errinfo *ei);

/* The proof about exactly `meta` (node ID, commitment ATX, units, labels per unit, challenge). SM_E_NOTFOUND also when
 * the file was damaged; that is logged. */
SM_MUST_CHECK sm_err sm_proof_store_get(struct sm_proof_store *s, const struct sm_proof_meta *meta,
                                        struct sm_stored_proof *out, struct sm_errinfo *ei);

/* Removes proofs made more than keep_s seconds before now_unix_s, and damaged ones as old by their file time. A proof of
 * the future, or a clock before 2023, removes nothing: then it is the clock that is wrong. Files of others stay. */
SM_MUST_CHECK sm_err sm_proof_store_prune(struct sm_proof_store *s, int64_t now_unix_s, uint64_t keep_s,
                                          size_t *out_removed, struct sm_errinfo *ei);

#endif
