/* post/params.h: the parameters on which a network's members must agree, and our defaults that go with them.
 * Values come from configs/NAME.yaml (config/network.h); nothing here is compiled in. Source: post.md §7. */
#ifndef SM_POST_PARAMS_H
#define SM_POST_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct sm_post_params {
    char name[32];
    uint32_t min_num_units, max_num_units;
    uint64_t labels_per_unit;
    uint32_t k1, k2, k3;
    uint8_t pow_difficulty[32]; /* big-endian, unscaled */
    uint32_t scrypt_n;
    /* defaults of this machine's work on that network, not consensus */
    uint32_t nonces;        /* per pass; multiple of 16 */
    bool randomx_fast;
    uint32_t num_units;     /* default */
    uint64_t max_file_size; /* bytes */
};

/* Ranges and products (labels_per_unit * max_num_units, * k1 must not overflow; N a power of two; …).
 * SM_E_FORMAT naming the field. */
SM_MUST_CHECK sm_err sm_post_params_check(const struct sm_post_params *p, struct sm_errinfo *ei);

#endif
