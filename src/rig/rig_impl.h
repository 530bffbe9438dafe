/* rig/rig_impl.h: what the rig's files share; nobody else includes it.
 *
 *   rig.c       life, identities, orders, views
 *   run.c       the thread of an identity: one proof after the other
 *   keeper.c    the thread for small disk work
 *   provider.c  what a node asks
 *   snapshot.c  what the displays show */
#ifndef SM_RIG_RIG_IMPL_H
#define SM_RIG_RIG_IMPL_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "crypto/randomx.h"
#include "gpu/sensors.h"
#include "post/datadir.h"
#include "powsvc/remote.h"
#include "rig/rig.h"
#include "util/cancel.h"

/* A configuration in use: runs keep theirs while a new one comes. */
struct rig_setup {
    atomic_uint refs;
    struct sm_rig_cfg cfg; /* constant */
    struct sm_post_params params;
    struct sm_pow_remote *k2pow; /* NULL: made here. One solve at a time: the gate sees to that */
};

struct sm_rig_identity {
    struct sm_rig *rig;
    struct sm_rig_dataset set;   /* under mu; node_id is constant */
    char name[SM_RIG_NAME_ROOM]; /* loop thread; as set.name */
    struct sm_sched_id *sched;
    void *user;
    bool gone;

    /* under rig->mu */
    struct sm_post_info info; /* as the metadata last said */
    bool refresh_info;        /* for the keeper */
    bool store_fetched;       /* for the keeper: `fetched` is to be stored */
    struct sm_stored_proof fetched;
    bool store_asked;   /* for the keeper: set.asked is to be stored */
    bool keeper_has_it; /* the keeper works on it without the lock */
    struct sm_post_link_state link;
    uint64_t disk_errors;
    uint32_t bad_labels; /* of the last proof, or the one in work */

    /* the run */
    struct sm_cancel cancel;
    pthread_cond_t go; /* the gate is open, or stop */
    pthread_t thread;
    bool has_thread;   /* to be joined */
    bool alive, again; /* the thread is at work; and shall begin anew when it is done */
    struct sm_challenge challenge;
};

struct sm_rig {
    struct sm_rig_hooks hooks;
    struct sm_proof_store *store;
    char work_dir[PATH_MAX], asked_dir[PATH_MAX];
    struct sm_dirlock lock;

    pthread_mutex_t mu;
    pthread_cond_t ended; /* a thread has left */
    struct sm_sched *sched;
    struct rig_setup *setup;
    struct sm_rig_identity **ids; /* changed by the loop thread alone */
    size_t ids_n;
    bool stopping;
    struct sm_sensors *sensors; /* under mu */
    struct sm_randomx *randomx; /* held between the k2pow of one identity and that of the next */

    pthread_t keeper;
    bool has_keeper, keeper_left;
    pthread_cond_t work; /* for the keeper */
    struct sm_cancel keeper_cancel;
    bool rescan, rescan_all; /* to do; not just for more */
    bool has_found;
    struct sm_rig_found found;

    /* for the displays */
    int64_t started_unix_s;
    struct sm_rig_skipped *skipped; /* of the last search */
    size_t skipped_n;
    struct sm_status_error errors[SM_STATUS_ERRORS_MAX];
    size_t errors_n;
};

struct rig_setup *sm_rig_setup_get(struct sm_rig *r); /* under mu */
void sm_rig_setup_put(struct rig_setup *s);

/* Operations of the scheduler: under mu. */
extern const struct sm_sched_ops sm_rig_sched_ops;

void *sm_rig_keeper_main(void *rig);

#endif
