/* util/u256.h: 256-bit unsigned numbers as 32 bytes big-endian, as difficulties are compared and stored.
 * Comparing as numbers is memcmp. */
#ifndef SM_UTIL_U256_H
#define SM_UTIL_U256_H

#include <stdbool.h>
#include <stdint.h>

/* out = floor(in / d); d >= 1. in and out may be the same. */
void sm_u256_div_u64(const uint8_t in[32], uint64_t d, uint8_t out[32]);

/* out = floor(2^256 / d); d >= 2, or the quotient does not fit. */
void sm_u256_pow256_div_u64(uint64_t d, uint8_t out[32]);

/* out = in << n, n < 8; true when bits were lost. */
bool sm_u256_shl(const uint8_t in[32], unsigned n, uint8_t out[32]);

/* Nearest double (for estimates and display). */
double sm_u256_to_double(const uint8_t in[32]);

#endif
