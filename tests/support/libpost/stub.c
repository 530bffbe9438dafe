/* tests/support/libpost/stub.c: another libpost.so, for the foreign program to be linked with: it has the names and no
 * more. Run with it the program fails; run with ours instead it must not. */
#include <stddef.h>

#include "support/libpost/foreign.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"
#define ANSWERS(value) { return value; }
#define VERIFYING      const void *v, struct proof p, const struct subject *s, struct proving c, struct network n
#define INVALID        ((struct verdict){.tag = 1})

/* clang-format off */
const char *version(void) ANSWERS("0.7.0-stub")
int32_t set_logging_callback(uintptr_t level, void (*callback)(const struct line *)) ANSWERS(1)
uintptr_t get_providers_count(void) ANSWERS(0)
int32_t get_providers(struct provider *out, uintptr_t room) ANSWERS(5)
void *new_initializer(uint32_t provider, uintptr_t n, const uint8_t *c, const uint8_t *d) ANSWERS(NULL)
int32_t initialize(void *i, uint64_t start, uint64_t end, uint8_t *out, uint64_t *nonce) ANSWERS(3)
void free_initializer(void *i) {}
struct pos_verdict verify_pos(const char *dir, const uint32_t *from, const uint32_t *to, double percent, struct scrypt s)
    ANSWERS((struct pos_verdict){.tag = 3})
uint32_t recommended_pow_flags(void) ANSWERS(0)
struct proof *generate_proof(const char *dir, const unsigned char *challenge, struct proving c, uintptr_t nonces,
                             uintptr_t threads, uint32_t flags) ANSWERS(NULL)
void free_proof(struct proof *p) {}
int32_t new_verifier(uint32_t flags, void **out) ANSWERS(2)
void free_verifier(void *v) {}
struct verdict verify_proof(VERIFYING) ANSWERS(INVALID)
struct verdict verify_proof_index(VERIFYING, uintptr_t index) ANSWERS(INVALID)
struct verdict verify_proof_subset(VERIFYING, uintptr_t k3, const uint8_t *seed, uintptr_t seed_n) ANSWERS(INVALID)
