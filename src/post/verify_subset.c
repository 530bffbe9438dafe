#include "post/verify_subset.h"

#include <stdlib.h>
#include <string.h>

#include "post/verify.h"
#include "util/bytes.h"

/* Uniform in [0, remaining): two bytes at a time, those that would favour small numbers thrown away. The limit is the
 * network's; it also throws away a few that need not be. */
static uint32_t draw(struct sm_blake3_xof *stream, uint32_t remaining)
{
    const uint32_t limit = 65535 - 65535 % remaining;
    uint32_t r;
    do {
        uint8_t two[2];
        sm_blake3_xof_read(stream, two, sizeof two);
        r = sm_le16_load(two);
    } while (r >= limit);
    return r % remaining;
}

void sm_verify_shuffle(struct sm_blake3_xof *stream, uint32_t k2, uint32_t k3, uint32_t *items)
{
    for (uint32_t i = 0; i < k2; i++) items[i] = i;
    for (uint32_t i = 0; i < k3 && i < k2; i++) {
        const uint32_t other = i + draw(stream, k2 - i), kept = items[i];
        items[i] = items[other];
        items[other] = kept;
    }
}

sm_err sm_verify_subset(const uint8_t *seed, size_t seed_n, const struct sm_node_id *node_id,
                        const struct sm_challenge *challenge, uint32_t k2, uint32_t k3, uint32_t *out,
                        struct sm_errinfo *ei)
{
    if (k2 > SM_K2_MAX) return sm_fail(ei, SM_E_ARG, "subset of %u indices, at most %u", k2, SM_K2_MAX);
    if (k3 == k2) { /* all, in order: the network does not shuffle here */
        for (uint32_t i = 0; i < k2; i++) out[i] = i;
        return SM_OK;
    }
    uint32_t *items = malloc((k2 + 1) * sizeof *items);
    if (!items) return sm_fail(ei, SM_E_NOMEM, "out of memory choosing indices");
    struct sm_blake3 h;
    struct sm_blake3_xof stream;
    sm_blake3_init(&h);
    sm_blake3_update(&h, seed, seed_n);
    sm_blake3_update(&h, node_id->b, sizeof node_id->b);
    sm_blake3_update(&h, challenge->b, sizeof challenge->b);
    sm_blake3_xof_start(&h, &stream);
    sm_verify_shuffle(&stream, k2, k3, items);
    memcpy(out, items, (k3 < k2 ? k3 : k2) * sizeof *out);
    free(items);
    return SM_OK;
}
