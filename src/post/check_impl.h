/* post/check_impl.h: what the full check and the sampling one share. Private to check*.c. */
#ifndef SM_POST_CHECK_IMPL_H
#define SM_POST_CHECK_IMPL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/scrypt.h"
#include "post/check.h"
#include "post/datadir_set.h"
#include "util/cancel.h"
#include "util/err.h"

struct sm_check {
    const struct sm_check_cfg *cfg;
    const struct sm_cancel *cancel;
    struct sm_dataset set;
    uint64_t total;             /* labels to be checked */
    struct sm_check_result res; /* file_problems: see problems */
    size_t bad_room;
    struct sm_sentences problems;
    struct { /* the file at hand */
        int fd;
        char path[PATH_MAX];
        uint64_t number, first, labels;
        bool unreadable;
    } file;
};

/* Records `labels` bad ones from `position` of the file at hand. */
SM_MUST_CHECK sm_err sm_check_note_bad(struct sm_check *c, uint64_t position, uint64_t labels, struct sm_errinfo *ei);
/* Records that the file at hand cannot be read; the caller leaves it. */
SM_MUST_CHECK sm_err sm_check_note_unreadable(struct sm_check *c, const struct sm_errinfo *why, struct sm_errinfo *ei);
/* Repairing: rewrite every run of bad labels found together, settle once, then reread every run. */
SM_MUST_CHECK sm_err sm_check_rewrite(struct sm_check *c, uint64_t position, uint64_t labels, const uint8_t *right,
                                      struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_check_settle(struct sm_check *c, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_check_reread(struct sm_check *c, uint64_t position, uint64_t labels, const uint8_t *right,
                                     struct sm_errinfo *ei);
void sm_check_progress(const struct sm_check *c);

/* All labels of the file at hand, in order, against those of a farm. */
struct sm_check_full;
SM_MUST_CHECK sm_err sm_check_full_new(struct sm_check *c, struct sm_check_full **out, struct sm_errinfo *ei);
void sm_check_full_free(struct sm_check_full *f);
SM_MUST_CHECK sm_err sm_check_full_file(struct sm_check_full *f, struct sm_errinfo *ei);

/* A sample of the file at hand, on all processors. */
struct sm_check_sample;
SM_MUST_CHECK sm_err sm_check_sample_new(struct sm_check *c, struct sm_check_sample **out, struct sm_errinfo *ei);
void sm_check_sample_free(struct sm_check_sample *s);
SM_MUST_CHECK sm_err sm_check_sample_file(struct sm_check_sample *s, struct sm_errinfo *ei);
uint64_t sm_check_sample_size(uint64_t labels, double fraction);

#endif
