#include "poet/pow.h"

#include "crypto/ripemd256.h"

#define POLL_NONCES 4096u

bool sm_leading_zero_bits(struct sm_slice data, uint32_t bits)
{
    if (bits > 8 * data.n) return false;
    for (uint32_t i = 0; i < bits / 8; i++)
        if (data.p[i]) return false;
    return bits % 8 == 0 || data.p[bits / 8] >> (8 - bits % 8) == 0;
}

/* What every nonce shares. */
static struct sm_ripemd256 prefix(const struct sm_poet_pow *pow)
{
    struct sm_ripemd256 h;
    sm_ripemd256_init(&h);
    sm_ripemd256_update(&h, pow->pow_challenge.p, pow->pow_challenge.n);
    sm_ripemd256_update(&h, pow->node_id.b, sizeof pow->node_id.b);
    sm_ripemd256_update(&h, pow->poet_challenge.p, pow->poet_challenge.n);
    return h;
}

static bool passes(struct sm_ripemd256 h, uint64_t nonce, uint32_t difficulty)
{
    uint8_t le[8], digest[SM_RIPEMD256_BYTES];
    sm_le64_store(le, nonce);
    sm_ripemd256_update(&h, le, sizeof le);
    sm_ripemd256_final(&h, digest);
    return sm_leading_zero_bits((struct sm_slice){digest, sizeof digest}, difficulty);
}

bool sm_poet_pow_check(const struct sm_poet_pow *pow, uint64_t nonce)
{
    return passes(prefix(pow), nonce, pow->difficulty);
}

sm_err sm_poet_pow_search(const struct sm_poet_pow *pow, uint64_t first, const struct sm_cancel *cancel, uint64_t *out,
                          struct sm_errinfo *ei)
{
    const struct sm_ripemd256 h = prefix(pow);
    if (pow->difficulty > 8 * SM_RIPEMD256_BYTES)
        return sm_fail(ei, SM_E_NOTFOUND, "PoET asks for %u zero bits of a hash that has %u", pow->difficulty,
                       8 * SM_RIPEMD256_BYTES);
    for (uint64_t nonce = first;; nonce++) {
        if (nonce % POLL_NONCES == 0 && sm_cancelled(cancel))
            return sm_fail(ei, SM_E_CANCELLED, "the search for a PoET registration nonce was cancelled");
        if (passes(h, nonce, pow->difficulty)) {
            *out = nonce;
            return SM_OK;
        }
        if (nonce == UINT64_MAX) return sm_fail(ei, SM_E_NOTFOUND, "no nonce satisfies the PoET's proof of work");
    }
}
