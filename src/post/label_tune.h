/* post/label_tune.h: saved results of sm_label_cpu_tune: cpu-tune.json in the cache directory. */
#ifndef SM_POST_LABEL_TUNE_H
#define SM_POST_LABEL_TUNE_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/scrypt.h"

#define SM_LABEL_TUNE_FILE "cpu-tune.json"

struct sm_label_tuned {
    struct sm_scrypt_tune tune;
    unsigned threads;    /* it was measured with so many at once */
    double labels_per_s; /* of all of them */
};

/* The entry for this processor, variant and N whose thread count is nearest to `threads`. False when there is none or
 * the file cannot be used. Any thread. */
bool sm_label_tune_load(const struct sm_scrypt_variant *v, uint32_t n, unsigned threads, struct sm_label_tuned *out);

/* Adds or replaces one entry; a broken file is replaced. */
SM_MUST_CHECK sm_err sm_label_tune_save(const struct sm_scrypt_variant *v, uint32_t n, const struct sm_label_tuned *t,
                                        struct sm_errinfo *ei);

#endif
