#include "status/fields.h"

#include "status/snapshot.h"

const char *const sm_fields_rate[3] = {"10s", "60s", "15min"};

#define FIELD(T, group_, key_, kind_, member)                                                      \
    {                                                                                              \
        .key = (key_), .group = (group_), .kind = SM_FIELD_##kind_, .offset = offsetof(T, member), \
        .room = sizeof(((T *)0)->member)                                                           \
    }
#define END         \
    {               \
        .key = NULL \
    }

// clang-format off
#define RIG(group, key, kind, member) FIELD(struct sm_status_snapshot, group, key, kind, member)
const struct sm_field sm_fields_rig[] = {
    RIG("rig", "version", TEXT, version),
    RIG("rig", "host", TEXT, host),
    RIG("rig", "network", TEXT, network),
    RIG("rig", "now_unix_s", TIME, now_unix_s),
    RIG("rig", "started_unix_s", TIME, started_unix_s),
    RIG("counts", "proofs_made", U64, counts.proofs_made),
    RIG("counts", "proofs_recalled", U64, counts.proofs_recalled),
    RIG("counts", "proofs_failed", U64, counts.proofs_failed),
    RIG("counts", "proofs_retried", U64, counts.proofs_retried),
    RIG("counts", "proofs_delivered", U64, counts.proofs_delivered),
    END,
};

#define ID(group, key, kind, member) FIELD(struct sm_status_identity, group, key, kind, member)
const struct sm_field sm_fields_identity[] = {
    ID(NULL, "node_id", HEX32, node_id),
    ID(NULL, "name", TEXT, name),
    ID(NULL, "dir", TEXT, dir),
    {.key = "disks", .kind = SM_FIELD_NAMES, .offset = offsetof(struct sm_status_identity, disks),
     .room = SM_STATUS_NAME_ROOM, .flag = offsetof(struct sm_status_identity, disks_n)},
    ID(NULL, "num_units", U32, num_units),
    ID(NULL, "labels_per_unit", U64, labels_per_unit),
    ID(NULL, "paused", BOOL, paused),
    ID("link", "state", LINK, link),
    ID("link", "reason", TEXT, link_reason),
    ID("link", "text", TEXT, link_text),
    ID("link", "address", TEXT, link_address),
    ID("link", "since_unix_s", TIME, link_since_unix_s),
    ID("link", "retry_unix_s", TIME, link_retry_unix_s),
    ID(NULL, "phase", PHASE, phase),
    ID(NULL, "message", TEXT, message),
    {.key = "challenge", .kind = SM_FIELD_MAYBE, .offset = offsetof(struct sm_status_identity, challenge),
     .room = sizeof(struct sm_challenge), .flag = offsetof(struct sm_status_identity, has_challenge)},
    ID(NULL, "pass", U32, pass),
    ID("nonces", "start", U32, nonce_first),
    ID("nonces", "end", U32, nonce_end),
    ID("k2pow", "groups_done", U32, groups_done),
    ID("k2pow", "groups_total", U32, groups_total),
    ID("k2pow", "hashes_per_s", RATE, hashes),
    ID("reading", "bytes_done", U64, bytes_done),
    ID("reading", "bytes_total", U64, bytes_total),
    ID("reading", "bytes_per_s", RATE, read_bytes),
    ID(NULL, "eta_s", KNOWN, eta_s),
    ID(NULL, "deadline_unix_s", TIME, deadline_unix_s),
    ID(NULL, "tries", U32, tries),
    ID("last_proof", "unix_s", TIME, last_proof_unix_s),
    ID("last_proof", "fetched", BOOL, last_fetched),
    ID(NULL, "disk_errors", U64, disk_errors),
    ID(NULL, "bad_labels", U32, bad_labels),
    END,
};

#define DEVICE(key, kind, member) FIELD(struct sm_status_device, NULL, key, kind, member)
const struct sm_field sm_fields_device[] = {
    DEVICE("id", TEXT, id),
    DEVICE("name", TEXT, name),
    DEVICE("variant", TEXT, variant),
    DEVICE("bytes_per_s", SPEED, bytes_per_s),
    DEVICE("hashes_per_s", SPEED, hashes_per_s),
    DEVICE("temperature_c", KNOWN, temperature_c),
    DEVICE("power_w", KNOWN, power_w),
    DEVICE("quarantined", BOOL, quarantined),
    DEVICE("why", TEXT, why),
    END,
};

#define DISK(key, kind, member) FIELD(struct sm_status_disk, NULL, key, kind, member)
const struct sm_field sm_fields_disk[] = {
    DISK("name", TEXT, name),
    DISK("rotational", BOOL, rotational),
    DISK("reading", U32, reading),
    DISK("waiting", U32, waiting),
    END,
};

#define SKIPPED(key, kind, member) FIELD(struct sm_status_skipped, NULL, key, kind, member)
const struct sm_field sm_fields_skipped[] = {
    SKIPPED("dir", TEXT, dir),
    SKIPPED("why", TEXT, why),
    END,
};

#define ERROR(key, kind, member) FIELD(struct sm_status_error, NULL, key, kind, member)
const struct sm_field sm_fields_error[] = {
    ERROR("unix_s", TIME, unix_s),
    ERROR("subject", TEXT, subject),
    ERROR("text", TEXT, text),
    END,
};
// clang-format on
