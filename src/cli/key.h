/* cli/key.h: making the key file of a new identity, as the reference's initializer does. */
#ifndef SM_CLI_KEY_H
#define SM_CLI_KEY_H

#include "post/ids.h"
#include "util/err.h"

#define SM_KEY_FILE "identity.key"

/* Writes DIR/identity.key: 128 hex digits, seed then public key, no newline, mode 0600, durable. The directory is
 * created (0700) when missing. An existing file is never replaced: SM_E_MISMATCH. The private half exists in guarded
 * memory only and is wiped. Source: post.md §3.4. */
SM_MUST_CHECK sm_err sm_key_generate(const char *dir, struct sm_node_id *out, struct sm_errinfo *ei);

#endif
