/* post/verify_subset.h: private to verify*.c and its test: the shuffle behind SM_VERIFY_SUBSET. Source: post.md §6.4. */
#ifndef SM_POST_VERIFY_SUBSET_H
#define SM_POST_VERIFY_SUBSET_H

#include <stdint.h>

#include "crypto/blake3.h"

/* The first min(k3, k2) positions of 0 … k2 - 1 shuffled by `stream`. k2 <= 65535; `items` is scratch of k2 entries
 * whose beginning becomes the result. */
void sm_verify_shuffle(struct sm_blake3_xof *stream, uint32_t k2, uint32_t k3, uint32_t *items);

#endif
