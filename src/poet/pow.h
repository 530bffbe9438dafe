/* poet/pow.h: the registration proof of work that PoETs without certifier still ask for.
 *
 *   RIPEMD-256(pow challenge || node ID || PoET challenge || le64(nonce)) begins with `difficulty` zero bits
 *
 * Source: our spec, poet-nipost.md §2.3; poet shared/pow.go @3bff648. */
#ifndef SM_POET_POW_H
#define SM_POET_POW_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/cancel.h"
#include "util/err.h"
#include "util/ids.h"

struct sm_poet_pow {
    struct sm_slice pow_challenge, poet_challenge; /* borrowed */
    struct sm_node_id node_id;
    uint32_t difficulty; /* leading zero bits; above 256 nothing passes */
};
bool sm_leading_zero_bits(struct sm_slice data, uint32_t bits);
bool sm_poet_pow_check(const struct sm_poet_pow *pow, uint64_t nonce);
/* Smallest nonce from `first` upwards; 2^difficulty hashes on average on the caller's thread. SM_E_CANCELLED;
 * SM_E_NOTFOUND when difficulty is above 256 or no nonce is left. */
SM_MUST_CHECK sm_err sm_poet_pow_search(const struct sm_poet_pow *pow, uint64_t first, const struct sm_cancel *cancel,
                                        uint64_t *out, struct sm_errinfo *ei);

#endif
