/* tests/support/dataset.h: small finished data sets, made without sm_init_run. Failures abort the test.
 * Needs sm_post linked. */
#ifndef SM_TESTS_DATASET_H
#define SM_TESTS_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "post/layout.h"

struct dataset {
    uint8_t node_id, atx_id; /* repeated 32 times */
    uint32_t scrypt_n;
    uint64_t labels_per_unit;
    uint32_t num_units;
    uint64_t max_file_size;
    uint64_t from, to; /* inclusive; SM_LAYOUT_ALL: all files */
    bool no_nonce;     /* leave the metadata without one */
    bool no_sidecar;
};
/* 2 units of 128 labels in four files of 64, N = 2. */
extern const struct dataset dataset_tiny;

/* Writes files, metadata (with the smallest label of these files as nonce when it is below the difficulty) and side
 * file into `dir`, which exists. */
void dataset_put(const char *dir, const struct dataset *d);

/* The right 32 bytes of a label. */
void dataset_label(const struct dataset *d, uint64_t index, uint8_t out[32]);

/* True when file `number` in `dir` has exactly its labels. */
bool dataset_file_right(const char *dir, const struct dataset *d, uint64_t number);

#endif
