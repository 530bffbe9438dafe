/* crypto/ed25519.h: judging signatures exactly as the network does. Signing is libsodium's, in keys/.
 * Source: wire.md §3.1-3.2 (curve25519-voi default options). */
#ifndef SM_CRYPTO_ED25519_H
#define SM_CRYPTO_ED25519_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/ids.h"

/* The byte between the genesis ID and the message. */
typedef enum sm_domain {
    SM_DOMAIN_ATX = 0,
    SM_DOMAIN_PROPOSAL = 1,
    SM_DOMAIN_BALLOT = 2,
    SM_DOMAIN_HARE = 3, /* also certificates */
    SM_DOMAIN_POET = 4,
    SM_DOMAIN_MARRIAGE = 5,
    SM_DOMAIN_BEACON_FIRST = 10,
    SM_DOMAIN_BEACON_FOLLOWUP = 11,
} sm_domain;

/* Cofactored: 8 S B = 8 R + 8 k A. S below the group order; A canonical and not of small order; R canonical. `parts` are
 * concatenated to the message. Public data only. */
bool sm_ed25519_verify(const uint8_t public_key[32], const struct sm_slice *parts, size_t parts_n,
                       const uint8_t signature[64]);

/* genesis ID || domain || message */
bool sm_signature_valid(const struct sm_genesis_id *genesis, sm_domain domain, const struct sm_node_id *node_id,
                        struct sm_slice message, const struct sm_signature *signature);

#endif
