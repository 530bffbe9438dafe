/* poet/layers.h: the nodes a PoET prover keeps: append-only layers in memory or in files.
 *
 * Every eighth layer is kept (0, 8, 16, …); a node between two of them is joined from at most 128 nodes of the kept
 * layer below. Node i of layer k is bytes [32 i, 32 i + 32) of <dir>/poet-layer-<k>.bin. Files may be longer than
 * what counts: the rest is overwritten as the tree grows again, never cut off. One thread at a time. */
#ifndef SM_POET_LAYERS_H
#define SM_POET_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

#include "poet/merkle.h"

#define SM_LAYERS_STEP 8u
#define SM_LAYERS_KEPT (SM_MERKLE_LAYERS_MAX / SM_LAYERS_STEP)

struct sm_layer {
    int fd;           /* -1: not opened yet, or in memory */
    uint64_t on_file; /* nodes handed to the file system */
    uint8_t *tail;    /* the nodes after those */
    size_t tail_n, tail_room;
};
struct sm_layers {
    char dir[4096]; /* empty: in memory */
    struct sm_layer layer[SM_LAYERS_KEPT];
};

/* `dir` NULL keeps everything in memory. No file is touched. */
SM_MUST_CHECK sm_err sm_layers_init(struct sm_layers *l, const char *dir, struct sm_errinfo *ei);
void sm_layers_fini(struct sm_layers *l);

/* Does any layer file exist? */
SM_MUST_CHECK sm_err sm_layers_exist(const struct sm_layers *l, bool *out, struct sm_errinfo *ei);
/* Continues after `leaves` leaves. SM_E_MISMATCH when a file is missing or holds fewer nodes than that many leaves
 * have. */
SM_MUST_CHECK sm_err sm_layers_resume(struct sm_layers *l, uint64_t leaves, struct sm_errinfo *ei);

/* Appends; layers that are not kept are ignored. Positions follow each other. */
SM_MUST_CHECK sm_err sm_layers_put(struct sm_layers *l, unsigned layer, const uint8_t node[SM_MERKLE_NODE_BYTES],
                                   struct sm_errinfo *ei);
/* Makes everything appended so far durable. */
SM_MUST_CHECK sm_err sm_layers_sync(struct sm_layers *l, struct sm_errinfo *ei);
/* Complete node of any layer. `out` has 32 bytes. */
SM_MUST_CHECK sm_err sm_layers_get(struct sm_layers *l, const struct sm_merkle_hash *hash, unsigned layer,
                                   uint64_t position, uint8_t *out, struct sm_errinfo *ei);

#endif
