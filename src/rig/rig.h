/* rig/rig.h: all identities of a machine at work: schedule, runs on threads, finished proofs. No sockets: what a node
 * asks comes through a struct sm_post_provider per identity, what an operator asks through calls. Source:
 * post-service.md §2.9 (OUR-3 … OUR-14); rig/daemon.h connects it to the world.
 *
 * Threads: one per identity that is asked for a proof, and a keeper that does the small disk work, so that no call here
 * waits for a disk, RandomX or a verification (OUR-9). All calls from any thread unless said otherwise. */
#ifndef SM_RIG_RIG_H
#define SM_RIG_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/prove.h"
#include "postsvc/provider.h"
#include "rig/config.h"
#include "rig/discover.h"
#include "rig/sched.h"
#include "status/api.h"
#include "status/snapshot.h"
#include "util/err.h"

struct sm_rig;
struct sm_rig_identity;

struct sm_rig_hooks {
    /* sm_prove_run, or a test's. */
    sm_err (*prove)(const struct sm_prove_cfg *cfg, const struct sm_cancel *cancel, struct sm_prove_result *out,
                    struct sm_errinfo *ei);
    /* Something has changed: look at sm_rig_next_ns, sm_rig_take_found, sm_rig_all_delivered. Any thread; must not call
     * back. */
    void (*wake)(void *ctx);
    void *ctx;
};

/* Opens (makes) and locks state_dir. `cfg` is taken over on success and left on failure. SM_E_BUSY: another rig uses the
 * directory. */
SM_MUST_CHECK sm_err sm_rig_new(struct sm_rig_cfg *cfg, const struct sm_rig_hooks *hooks, struct sm_rig **out,
                                struct sm_errinfo *ei);
/* Tells every run to stop and waits for it, at most `patience_ns`. False: something hangs (a disk that does not answer);
 * then the rig must not be freed, and the process should end: all files survive that. */
SM_MUST_CHECK bool sm_rig_stop(struct sm_rig *r, uint64_t patience_ns);
void sm_rig_free(struct sm_rig *r); /* accepts NULL; after sm_rig_stop */

/* What holds now; lent until the next sm_rig_reconfigure. Loop thread. */
const struct sm_rig_cfg *sm_rig_config(const struct sm_rig *r);

/* ---- identities ---- */

/* Starts a search for data sets by the current configuration; the hook tells when it is done. `adds`: for more of them: a
 * disk that is away for a moment takes nothing from what is served. */
void sm_rig_rescan(struct sm_rig *r, bool adds);
/* The result of a search, once: true and *out, which the caller owns. */
bool sm_rig_take_found(struct sm_rig *r, struct sm_rig_found *out);
/* What holds from now on: new ones are added, known ones take new settings while their runs go on, those that are gone
 * are told to stop (unless the search was for more). Takes the sets over; logs what changed. On SM_E_NOMEM some may be missing. Loop thread. */
SM_MUST_CHECK sm_err sm_rig_apply(struct sm_rig *r, struct sm_rig_found *found, struct sm_errinfo *ei);
/* The configuration of later runs and searches; taken over. Its state_dir must be the same (SM_E_ARG). */
SM_MUST_CHECK sm_err sm_rig_reconfigure(struct sm_rig *r, struct sm_rig_cfg *cfg, struct sm_errinfo *ei);

/* Loop thread, which alone adds and removes: identities by position, NULL at the end. `gone` ones are no longer served:
 * end their connection, then sm_rig_release. */
struct sm_rig_identity *sm_rig_at(struct sm_rig *r, size_t index);
bool sm_rig_is_gone(const struct sm_rig_identity *id);
/* False while its run is still stopping: try again after the hook. Frees. */
bool sm_rig_release(struct sm_rig_identity *id);
const char *sm_rig_name(const struct sm_rig_identity *id);
const struct sm_node_id *sm_rig_node_id(const struct sm_rig_identity *id);
void **sm_rig_user(struct sm_rig_identity *id); /* the daemon's, for its connection */

/* For sm_post_client_new, with the identity as ctx. */
extern const struct sm_post_provider sm_rig_provider;

/* ---- the operator ---- */

/* `which`: a node ID in hex, at least 10 digits of it, a name, or "all". SM_E_NOTFOUND; SM_E_REFUSED: nothing to cancel. */
SM_MUST_CHECK sm_err sm_rig_order_give(struct sm_rig *r, const char *which, sm_status_order order,
                                       struct sm_errinfo *ei);

/* ---- time ---- */

uint64_t sm_rig_next_ns(struct sm_rig *r); /* when the next tick is due; SM_SCHED_NEVER */
void sm_rig_tick(struct sm_rig *r);
bool sm_rig_all_delivered(struct sm_rig *r);

/* ---- views ---- */

/* What goes on, copied; the caller frees it with sm_status_snapshot_fini. SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_rig_snapshot(struct sm_rig *r, struct sm_status_snapshot *out, struct sm_errinfo *ei);
struct sm_sched_counts sm_rig_counts(struct sm_rig *r);

#endif
