/* cli/hub_files.h: the files of `smesher hub`: who may register, and the proofs that came. */
#ifndef SM_CLI_HUB_FILES_H
#define SM_CLI_HUB_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "postsvc/registry.h"
#include "util/err.h"

#define SM_HUB_PATH_ROOM 4096u

/* --allow FILE: one identity per line, 64 hex digits and what it is bound to; '#' begins a comment:
 *
 *   2fa1…c3  name=post0.key  fingerprint=9b1d…77  san=DNS:rig-1
 *
 * *out is malloc'd, free() it. SM_E_FORMAT names file and line. */
SM_MUST_CHECK sm_err sm_hub_read_allow(const char *path, struct sm_post_known **out, size_t *out_n,
                                       struct sm_errinfo *ei);

/* "NODEID:CHALLENGE" or "NODEID CHALLENGE", 64 hex digits each. SM_E_ARG quotes `what`. */
SM_MUST_CHECK sm_err sm_hub_parse_pair(const char *text, const char *what, struct sm_node_id *id,
                                       struct sm_challenge *challenge, struct sm_errinfo *ei);

/* DIR/NODEID-CHALLENGE.json */
SM_MUST_CHECK sm_err sm_hub_proof_path(const char *dir, const struct sm_node_id *id,
                                       const struct sm_challenge *challenge, char out[SM_HUB_PATH_ROOM],
                                       struct sm_errinfo *ei);
/* Is the proof there already? SM_E_MISMATCH when something else has its name. */
SM_MUST_CHECK sm_err sm_hub_has_proof(const char *dir, const struct sm_node_id *id,
                                      const struct sm_challenge *challenge, bool *out, struct sm_errinfo *ei);
/* Whole or not at all, and never over anything: SM_E_MISMATCH when the name is taken. */
SM_MUST_CHECK sm_err sm_hub_store_proof(const char *dir, const struct sm_post_verified *v, char path[SM_HUB_PATH_ROOM],
                                        struct sm_errinfo *ei);

#endif
