/* post/init_writer.h: labels to disk on a thread of their own, so that engines do not wait for the disk. Two large
 * aligned buffers; direct I/O for whole blocks where the file system has it; checkpoints. Private to init*.c. */
#ifndef SM_POST_INIT_WRITER_H
#define SM_POST_INIT_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "post/label.h"
#include "post/layout.h"
#include "post/spread.h"

/* Called on the writer's thread, or by finish, when every label below `position` that was put is durable. `best` covers
 * them at least. */
typedef sm_err (*sm_init_checkpoint_fn)(void *ctx, uint64_t position, const struct sm_vrf_best *best,
                                        struct sm_errinfo *ei);

struct sm_init_writer_cfg {
    const char *dir;                /* borrowed */
    const struct sm_spread *spread; /* borrowed; where files that do not exist yet are made */
    struct sm_layout layout;
    bool direct_io;
    uint64_t checkpoint_bytes;
    sm_init_checkpoint_fn checkpoint;
    void *ctx;
};
struct sm_init_writer;
SM_MUST_CHECK sm_err sm_init_writer_new(const struct sm_init_writer_cfg *cfg, struct sm_init_writer **out,
                                        struct sm_errinfo *ei);
/* Stops without writing what is still buffered. */
void sm_init_writer_free(struct sm_init_writer *w);

/* Labels `first` … of the data set, in increasing order between calls; `best`: smallest of all so far. Copied. Waits
 * while both buffers are full. A failure of an earlier write is reported here. */
SM_MUST_CHECK sm_err sm_init_writer_put(struct sm_init_writer *w, struct sm_label_range range, const uint8_t *labels,
                                        const struct sm_vrf_best *best, struct sm_errinfo *ei);
/* Writes the rest and makes a checkpoint. Last call before free. */
SM_MUST_CHECK sm_err sm_init_writer_finish(struct sm_init_writer *w, struct sm_errinfo *ei);

#endif
