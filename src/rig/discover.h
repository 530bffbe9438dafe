/* rig/discover.h: the data sets of a machine: those named in the configuration and those found under its roots.
 *
 * A directory with metadata is a data set; nothing below it is searched. Links are followed; a directory reached twice
 * counts once. What cannot be proved with is reported with the reason and left out, the rest is served: incomplete
 * data, no VRF nonce (finding 7), sizes that the network does not take, two directories of one identity (both are left
 * out: which one is right nobody but their owner knows). */
#ifndef SM_RIG_DISCOVER_H
#define SM_RIG_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/ids.h"
#include "rig/asked.h"
#include "rig/config.h"
#include "rig/disks.h"
#include "rig/sched.h"
#include "util/cancel.h"
#include "util/err.h"

#define SM_RIG_SETS_MAX 4096u /* of one machine; ours */

struct sm_rig_dataset {
    char *dir; /* owned; links resolved */
    char name[SM_RIG_NAME_ROOM];
    struct sm_node_id node_id;
    struct sm_atx_id commitment_atx_id;
    uint32_t num_units;
    uint64_t labels_per_unit, vrf_nonce;
    uint64_t nonces, window_s; /* of its entry in the configuration, or the general ones */
    bool paused;
    struct sm_disks disks;
    bool rotational;
    struct sm_asked asked; /* from another time; set by who keeps it, not found here */
};

struct sm_rig_skipped {
    char *dir, *why; /* owned */
};

struct sm_rig_found {
    struct sm_rig_dataset *sets; /* sorted by name, then directory */
    size_t sets_n;
    struct sm_rig_skipped *skipped;
    size_t skipped_n;
    bool adds; /* what is served and not among the sets stays; set by who asked */
};

/* Reads directories and metadata, no labels. Only SM_E_NOMEM and SM_E_CANCELLED are failures. Worker threads only:
 * sleeping disks take seconds. */
SM_MUST_CHECK sm_err sm_rig_discover(const struct sm_rig_cfg *cfg, const struct sm_post_params *params,
                                     const struct sm_disk_tables *tables, const struct sm_cancel *cancel,
                                     struct sm_rig_found *out, struct sm_errinfo *ei);
void sm_rig_found_fini(struct sm_rig_found *f);

#endif
