#include "crypto/pbkdf2.h"

#include <string.h>

#define IPAD 0x3636363636363636u
#define OPAD 0x5c5c5c5c5c5c5c5cu

/* PBKDF2's block number as u32be at byte 0 of a word, the padding's 0x01 behind it. */
#define COUNTER_AND_PAD(i) ((uint64_t)(i) << 24 | (uint64_t)1 << 32)
#define PAD_FIRST          ((uint64_t)1)          /* 0x01 at byte 0 of a word */
#define PAD_LAST           ((uint64_t)0x80 << 56) /* 0x80 at byte 71, the last of the block */

/* A working state on the stack. */
struct state {
    _Alignas(64) uint64_t a[SM_KECCAK_WORDS * SM_KECCAK_LANES_MAX];
};

static void state_copy(const struct sm_keccak_lanes *k, const uint64_t *from, struct state *to)
{
    memcpy(to->a, from, sizeof(uint64_t) * SM_KECCAK_WORDS * k->lanes);
}

static void xor_words(const struct sm_keccak_lanes *k, uint64_t *a, const uint64_t *m, unsigned words)
{
    for (unsigned i = 0; i < words * k->lanes; i++) a[i] ^= m[i];
}

/* The same value into word `i` of every lane. */
static void xor_all(const struct sm_keccak_lanes *k, uint64_t *a, unsigned i, uint64_t v)
{
    for (unsigned l = 0; l < k->lanes; l++) a[i * k->lanes + l] ^= v;
}

static void absorb_key(const struct sm_keccak_lanes *k, const uint64_t *password, uint64_t pad, uint64_t *a)
{
    memset(a, 0, sizeof(uint64_t) * SM_KECCAK_WORDS * k->lanes);
    xor_words(k, a, password, SM_PBKDF2_PASSWORD_WORDS);
    for (unsigned i = 0; i < SM_KECCAK512_RATE; i++) xor_all(k, a, i, pad);
    k->permute(a);
}

/* H(outer key || the 64-byte digest in `s`), digest back in `s`. */
static void outer_hash(const struct sm_keccak_lanes *k, const struct sm_pbkdf2_key *key, struct state *s)
{
    struct state o;
    state_copy(k, key->outer, &o);
    xor_words(k, o.a, s->a, 8);
    xor_all(k, o.a, 8, PAD_FIRST | PAD_LAST);
    k->permute(o.a);
    *s = o;
}

void sm_pbkdf2_key(const struct sm_keccak_lanes *k, const uint64_t *password, struct sm_pbkdf2_key *key)
{
    absorb_key(k, password, IPAD, key->inner);
    absorb_key(k, password, OPAD, key->outer);
}

void sm_pbkdf2_expand(const struct sm_keccak_lanes *k, const struct sm_pbkdf2_key *key, uint64_t *chunk)
{
    for (unsigned i = 0; i < 2; i++) {
        struct state s;
        state_copy(k, key->inner, &s);
        xor_all(k, s.a, 0, COUNTER_AND_PAD(i + 1));
        xor_all(k, s.a, 8, PAD_LAST);
        k->permute(s.a);
        outer_hash(k, key, &s);
        memcpy(chunk + 8 * k->lanes * i, s.a, sizeof(uint64_t) * 8 * k->lanes);
    }
}

void sm_pbkdf2_finish(const struct sm_keccak_lanes *k, const struct sm_pbkdf2_key *key, const uint64_t *chunk,
                      uint64_t *out)
{
    struct state s;
    state_copy(k, key->inner, &s);
    xor_words(k, s.a, chunk, SM_KECCAK512_RATE);
    k->permute(s.a);
    xor_words(k, s.a, chunk + SM_KECCAK512_RATE * k->lanes, SM_PBKDF2_CHUNK_WORDS - SM_KECCAK512_RATE);
    xor_all(k, s.a, 7, COUNTER_AND_PAD(1));
    xor_all(k, s.a, 8, PAD_LAST);
    k->permute(s.a);
    outer_hash(k, key, &s);
    memcpy(out, s.a, sizeof(uint64_t) * SM_PBKDF2_OUT_WORDS * k->lanes);
}
