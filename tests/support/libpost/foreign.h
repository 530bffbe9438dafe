/* tests/support/libpost/foreign.h: libpost's interface as a stranger would declare it from the text of post.md §9.1-9.2
 * alone: no word of src/libpost/post.h is used, so that a slip there shows. */
#ifndef SM_TESTS_FOREIGN_H
#define SM_TESTS_FOREIGN_H

#include <stdint.h>

struct bytes {
    uint8_t *p;
    uintptr_t len, cap;
};
struct proof {
    uint32_t nonce;
    struct bytes indices;
    uint64_t pow;
};
struct subject {
    uint8_t node[32], atx[32], challenge[32];
    uint32_t units;
};
struct proving {
    uint32_t k1, k2;
    uint8_t difficulty[32];
};
struct scrypt {
    uintptr_t n, r, p;
};
struct network {
    uint32_t least, most;
    uint64_t labels_per_unit;
    struct scrypt scrypt;
};
struct provider {
    char name[64];
    uint32_t id;
    int32_t kind;
};
struct verdict {
    int32_t tag;
    uintptr_t position;
};
struct pos_verdict {
    int32_t tag;
    uintptr_t file;
    uint64_t offset;
};
struct text {
    const char *p;
    uintptr_t len;
};
struct line {
    uintptr_t level;
    struct text message, module, file;
    int64_t number;
};

const char *version(void);
int32_t set_logging_callback(uintptr_t level, void (*callback)(const struct line *));
uintptr_t get_providers_count(void);
int32_t get_providers(struct provider *out, uintptr_t room);
void *new_initializer(uint32_t provider, uintptr_t n, const uint8_t *commitment, const uint8_t *difficulty);
int32_t initialize(void *initializer, uint64_t start, uint64_t end, uint8_t *out, uint64_t *out_nonce);
void free_initializer(void *initializer);
struct pos_verdict verify_pos(const char *dir, const uint32_t *from, const uint32_t *to, double percent, struct scrypt);
uint32_t recommended_pow_flags(void);
struct proof *generate_proof(const char *dir, const unsigned char *challenge, struct proving, uintptr_t nonces,
                             uintptr_t threads, uint32_t flags);
void free_proof(struct proof *);
int32_t new_verifier(uint32_t flags, void **out);
void free_verifier(void *verifier);
struct verdict verify_proof(const void *verifier, struct proof, const struct subject *, struct proving, struct network);
struct verdict verify_proof_index(const void *verifier, struct proof, const struct subject *, struct proving,
                                  struct network, uintptr_t index);
struct verdict verify_proof_subset(const void *verifier, struct proof, const struct subject *, struct proving,
                                   struct network, uintptr_t k3, const uint8_t *seed, uintptr_t seed_len);

#endif
