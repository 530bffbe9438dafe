/* crypto/randomx_dataset.h: private to randomx*.c: filling the 2080 MiB dataset, from the cache or from a file.
 *
 * File: one 4096-byte header (magic, version, item size, item count, BLAKE3 of the key, fingerprint of the items,
 * BLAKE3 of the header so far), then the items. Ours, little-endian, not portable between RandomX versions. */
#ifndef SM_CRYPTO_RANDOMX_DATASET_H
#define SM_CRYPTO_RANDOMX_DATASET_H

#include <randomx.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cancel.h"
#include "util/err.h"

struct sm_dataset_fill {
    randomx_dataset *dataset; /* exclusively ours during the calls */
    randomx_cache *cache;     /* initialised with the key; only read */
    const void *key;
    size_t key_n;
    unsigned threads;
    const struct sm_cancel *cancel;
};

/* Computes every item; blocks for half a minute on two cores. SM_OK or SM_E_CANCELLED. */
SM_MUST_CHECK sm_err sm_dataset_build(const struct sm_dataset_fill *f, struct sm_errinfo *ei);

/* Reads the items and believes them only when the fingerprint agrees and 64 random items equal their recomputation.
 * SM_E_NOTFOUND (no such file), SM_E_FORMAT or SM_E_MISMATCH (rebuild it), SM_E_IO, SM_E_CANCELLED; the dataset is
 * garbage after a failure. */
SM_MUST_CHECK sm_err sm_dataset_load(const struct sm_dataset_fill *f, const char *path, struct sm_errinfo *ei);

/* Writes a temporary file beside `path` and renames it. SM_E_NOSPACE before writing when it would not fit. */
SM_MUST_CHECK sm_err sm_dataset_save(const struct sm_dataset_fill *f, const char *path, struct sm_errinfo *ei);

#endif
