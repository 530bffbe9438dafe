/* post/ids.h: what PoST adds to the identifiers of util/ids.h. */
#ifndef SM_POST_IDS_H
#define SM_POST_IDS_H

#include "util/ids.h"

/* BLAKE3(node ID || commitment ATX ID). Source: our spec, post.md §1.1. */
struct sm_commitment sm_commitment_of(const struct sm_node_id *node_id, const struct sm_atx_id *atx_id);

#endif
