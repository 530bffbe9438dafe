/* status/fields.h: the members of /v1/status: one table for writing and reading. Private to this folder. */
#ifndef SM_STATUS_FIELDS_H
#define SM_STATUS_FIELDS_H

#include <stddef.h>
#include <stdint.h>

typedef enum sm_field_kind {
    SM_FIELD_TEXT,  /* char[room] */
    SM_FIELD_BOOL,  /* bool */
    SM_FIELD_U32,   /* uint32_t */
    SM_FIELD_U64,   /* uint64_t */
    SM_FIELD_TIME,  /* int64_t seconds since 1970; null for 0 */
    SM_FIELD_SPEED, /* double, >= 0 */
    SM_FIELD_KNOWN, /* double; null when negative: not known */
    SM_FIELD_RATE,  /* struct sm_status_rate: {"10s", "60s", "15min"} */
    SM_FIELD_HEX32, /* uint8_t[32] */
    SM_FIELD_MAYBE, /* uint8_t[32] behind a bool at `flag`; null when false */
    SM_FIELD_PHASE, /* sm_status_phase */
    SM_FIELD_LINK,  /* sm_status_link */
    SM_FIELD_NAMES, /* char[SM_STATUS_DISKS_MAX][room], their number (size_t) at `flag` */
} sm_field_kind;

struct sm_field {
    const char *key;   /* NULL ends */
    const char *group; /* the object that holds the member; NULL: the row itself */
    sm_field_kind kind;
    size_t offset, room, flag;
};

extern const struct sm_field sm_fields_rig[]; /* of struct sm_status_snapshot */
extern const struct sm_field sm_fields_identity[];
extern const struct sm_field sm_fields_device[];
extern const struct sm_field sm_fields_disk[];
extern const struct sm_field sm_fields_skipped[];
extern const struct sm_field sm_fields_error[];

extern const char *const sm_fields_rate[3]; /* members of SM_FIELD_RATE in the order of the struct */

#endif
