/* post/metadata.h: postdata_metadata.json, as the Go and the Rust writers know it. Source: post.md §3.2.
 *
 * Unknown members are preserved. Written the Go way (tabs, field order, no trailing newline). Our own knowledge that
 * the format has no room for (scrypt N, …) is in the side file, post/sidecar.h. */
#ifndef SM_POST_METADATA_H
#define SM_POST_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/ids.h"
#include "util/err.h"

#define SM_METADATA_FILE "postdata_metadata.json"
#define SM_METADATA_BACKUP_FILE "postdata_metadata.json.bak"
#define SM_METADATA_MAX_BYTES 65536u
#define SM_METADATA_VERSION 1u /* newest Version we may write; a missing one is 0 */

struct sm_metadata {
    uint32_t version; /* 0 when absent */
    struct sm_node_id node_id;
    struct sm_atx_id commitment_atx_id;
    uint64_t labels_per_unit;
    uint32_t num_units;
    uint64_t max_file_size;
    bool has_scrypt;                    /* "Scrypt" of the unmerged dialect */
    uint64_t scrypt_n, scrypt_r, scrypt_p;
    bool has_nonce;
    uint64_t nonce;
    bool has_nonce_value;
    uint8_t nonce_value[16];
    bool has_last_position;
    uint64_t last_position;
    char *extra; /* members we do not know, as a compact JSON object text; NULL if none; owned */
};

void sm_metadata_fini(struct sm_metadata *m); /* frees extra */

/* Pure: bytes <-> struct. SM_E_FORMAT naming the member. Accepts both dialects: names matched exactly first, then
 * case-insensitively as Go does; null options count as absent. `where` prefixes the error text (a path). */
SM_MUST_CHECK sm_err sm_metadata_decode(const char *text, size_t n, const char *where, struct sm_metadata *out,
                                        struct sm_errinfo *ei);
/* malloc'd NUL-terminated text. SM_E_FORMAT when version > SM_METADATA_VERSION. */
SM_MUST_CHECK sm_err sm_metadata_encode(const struct sm_metadata *m, char **out, struct sm_errinfo *ei);

/* SM_E_NOTFOUND when there is neither file nor backup. When the file is empty or broken (a crash of another program,
 * a full disk) and the backup parses, the backup is used, *out_from_backup set, and a warning logged. */
SM_MUST_CHECK sm_err sm_metadata_load(const char *dir, struct sm_metadata *out, bool *out_from_backup,
                                      struct sm_errinfo *ei);
/* Atomic; the previous content, if it parses, becomes the backup first. New files get mode 0600. */
SM_MUST_CHECK sm_err sm_metadata_save(const char *dir, const struct sm_metadata *m, struct sm_errinfo *ei);

#endif
