/* status/snapshot.h: what a rig is doing, as plain data: filled by the rig under its lock, printed by status/format.h,
 * read back from another rig by status/parse.h, drawn by `smesher top`.
 *
 * Times are seconds since 1970 UTC, 0 = never or unknown. Rates are per second, 0 = nothing measured. Texts come from
 * disks and peers: any bytes but NUL; whoever prints them escapes them. A snapshot owns its arrays and belongs to one
 * thread at a time. Source: post-service.md §3.3, OUR-13. */
#ifndef SM_STATUS_SNAPSHOT_H
#define SM_STATUS_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/ids.h"

#define SM_STATUS_NAME_ROOM  64u
#define SM_STATUS_TEXT_ROOM  256u
#define SM_STATUS_PATH_ROOM  1024u /* longer ones are cut: for display only */
#define SM_STATUS_DISKS_MAX  32u   /* of one identity */
#define SM_STATUS_ERRORS_MAX 16u

typedef enum sm_status_phase {
    SM_STATUS_IDLE,
    SM_STATUS_QUEUED, /* waits for a disk, the processors, or the next try: `message` says */
    SM_STATUS_RANDOMX_INIT,
    SM_STATUS_K2POW,
    SM_STATUS_READING,
    SM_STATUS_VERIFYING,
    SM_STATUS_DONE,   /* the proof is there */
    SM_STATUS_FAILED, /* and the node has not been told yet */
    SM_STATUS_PHASES
} sm_status_phase;
const char *sm_status_phase_name(sm_status_phase p); /* "idle", "queued", "randomx-init", "k2pow", … */
/* False: no such name. */
bool sm_status_phase_of(const char *name, sm_status_phase *out);

typedef enum sm_status_link {
    SM_STATUS_LINK_STOPPED,    /* not wanted, or given up */
    SM_STATUS_LINK_WAITING,    /* no connection; tried again at link_retry_unix_s */
    SM_STATUS_LINK_CONNECTING, /* and not yet registered */
    SM_STATUS_LINK_REGISTERED,
    SM_STATUS_LINK_REJECTED, /* the node was reached and said no; tried again at link_retry_unix_s */
    SM_STATUS_LINKS
} sm_status_link;
const char *sm_status_link_name(sm_status_link l); /* "stopped", "waiting", … */
bool sm_status_link_of(const char *name, sm_status_link *out);

struct sm_status_rate {
    double s10, s60, s900; /* averaged over 10 s, 60 s, 15 min */
};

struct sm_status_identity {
    struct sm_node_id node_id;
    char name[SM_STATUS_NAME_ROOM];
    char dir[SM_STATUS_PATH_ROOM];
    char disks[SM_STATUS_DISKS_MAX][SM_STATUS_NAME_ROOM]; /* as in the table of disks */
    size_t disks_n;
    uint32_t num_units;
    uint64_t labels_per_unit;
    bool paused;

    sm_status_link link;
    char link_reason[SM_STATUS_NAME_ROOM]; /* "duplicate", "unreachable"; "" none */
    char link_text[SM_STATUS_TEXT_ROOM];   /* of the reason, in the peer's or the system's words */
    char link_address[SM_STATUS_TEXT_ROOM];
    int64_t link_since_unix_s, link_retry_unix_s;

    sm_status_phase phase;
    char message[SM_STATUS_TEXT_ROOM]; /* what it waits for, or why it failed; may be empty */
    bool has_challenge;
    struct sm_challenge challenge;
    uint32_t pass;                            /* from 0 */
    uint32_t nonce_first, nonce_end;          /* of the pass; before the first pass: of that one, as configured */
    uint32_t groups_done, groups_total;       /* k2pow of this pass */
    uint64_t bytes_done, bytes_total;         /* of this pass, contiguous from the start of the labels */
    struct sm_status_rate read_bytes, hashes; /* label bytes read; RandomX hashes of k2pow */
    double eta_s;                             /* until the proof; negative: unknown */
    int64_t deadline_unix_s;
    unsigned tries; /* failed ones for this challenge */

    int64_t last_proof_unix_s;
    bool last_fetched;    /* that proof was taken by the node */
    uint64_t disk_errors; /* counter: runs that ended because a disk did not read or write */
    uint32_t bad_labels;  /* wrong on disk, met by the last proof or the one in work; 0: none, as far as is known */
};

struct sm_status_device {
    char id[SM_STATUS_NAME_ROOM];      /* "cpu", "gpu-0000:01:00.0": as `smesher devices` names it */
    char name[SM_STATUS_TEXT_ROOM];    /* of its maker */
    char variant[SM_STATUS_NAME_ROOM]; /* "vaes512", "avx2"; may be empty */
    double bytes_per_s, hashes_per_s;  /* now; 0: not in use */
    double temperature_c, power_w;     /* now; negative: not known */
    bool quarantined;
    char why[SM_STATUS_TEXT_ROOM]; /* it is quarantined */
};

struct sm_status_disk {
    char name[SM_STATUS_NAME_ROOM];
    bool rotational;
    uint32_t reading, waiting; /* identities that read it now, and that wait for it */
};

struct sm_status_skipped { /* a directory that is not served */
    char dir[SM_STATUS_PATH_ROOM];
    char why[SM_STATUS_TEXT_ROOM];
};

struct sm_status_error {
    int64_t unix_s;
    char subject[SM_STATUS_NAME_ROOM]; /* name of the identity or device; "" the rig */
    char text[SM_STATUS_TEXT_ROOM];
};

struct sm_status_counts { /* since the start */
    uint64_t proofs_made, proofs_recalled, proofs_failed, proofs_retried, proofs_delivered;
};

struct sm_status_snapshot { /* zero-initialise */
    char version[SM_STATUS_NAME_ROOM], host[SM_STATUS_TEXT_ROOM], network[SM_STATUS_NAME_ROOM];
    int64_t now_unix_s, started_unix_s;
    struct sm_status_counts counts;
    struct sm_status_identity *identities; /* in the order to be shown */
    size_t identities_n;
    struct sm_status_device *devices;
    size_t devices_n;
    struct sm_status_disk *disks;
    size_t disks_n;
    struct sm_status_skipped *skipped;
    size_t skipped_n;
    struct sm_status_error errors[SM_STATUS_ERRORS_MAX]; /* the last ones, newest first */
    size_t errors_n;
};

/* Append a zeroed element (eta_s of an identity, temperature and power of a device: unknown); valid until the next one is added. NULL: memory is short. */
struct sm_status_identity *sm_status_add_identity(struct sm_status_snapshot *s);
struct sm_status_device *sm_status_add_device(struct sm_status_snapshot *s);
struct sm_status_disk *sm_status_add_disk(struct sm_status_snapshot *s);
struct sm_status_skipped *sm_status_add_skipped(struct sm_status_snapshot *s);

/* Puts an error in front of the others of a ring of SM_STATUS_ERRORS_MAX; texts are cut. */
void sm_status_error_put(struct sm_status_error *ring, size_t *n, int64_t unix_s, const char *subject,
                         const char *text);

/* How far this pass is: proofs of work in K2POW, bytes in READING, 100 in VERIFYING and DONE; negative: does not apply. */
double sm_status_percent(const struct sm_status_identity *id);

/* The identity that `which` names: its node ID in hex or at least 10 digits of it, or its name. NULL: none or several. */
const struct sm_status_identity *sm_status_find(const struct sm_status_snapshot *s, const char *which);

/* Copies and cuts, between characters of UTF-8. `room` >= 1. */
void sm_status_text(char *out, size_t room, const char *text);

void sm_status_snapshot_fini(struct sm_status_snapshot *s); /* accepts a zeroed one, and leaves one */

#endif
