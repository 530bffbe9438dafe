#include "post/sidecar.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "post/metadata_json.h"
#include "util/io.h"

#define SIDECAR_MAX_BYTES 65536u
#define SIDECAR_VERSION   1u

enum member { M_VERSION, M_SCRYPT_N, M_FROM, M_TO, M_GROW_TO, M_GROW_SCANNED, M_SEARCHED, MEMBERS };
static const char *const member_names[MEMBERS] = {
    "version", "scrypt_n", "from_file", "to_file", "grow_to", "grow_scanned", "searched",
};
static const uint64_t member_max[MEMBERS] = {
    SIDECAR_VERSION, UINT32_MAX, UINT64_MAX, UINT64_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX,
};

static sm_err decode(const char *text, size_t n, const char *path, struct sm_sidecar *out, struct sm_errinfo *ei)
{
    uint64_t v[MEMBERS] = {0};
    bool has[MEMBERS] = {false};
    struct sm_json_text name, value;
    sm_err err = sm_json_check(text, n, path, ei);
    if (err) return err;
    for (size_t at = 0; sm_json_next((struct sm_json_text){text, n}, &at, &name, &value);) {
        char key[32];
        if (!sm_json_string(name, key, sizeof key)) continue;
        for (int i = 0; i < MEMBERS; i++) {
            if (strcmp(key, member_names[i]) != 0) continue;
            if (has[i] || !sm_json_u64(value, &v[i]) || v[i] > member_max[i])
                return sm_fail(ei, SM_E_FORMAT, "%s: %s is wrong or appears twice; the file may be deleted", path, key);
            has[i] = true;
        }
    }
    if (has[M_FROM] != has[M_TO] || v[M_FROM] > v[M_TO])
        return sm_fail(ei, SM_E_FORMAT, "%s: from_file and to_file are not a range; the file may be deleted", path);
    *out = (struct sm_sidecar){
        .scrypt_n = (uint32_t)v[M_SCRYPT_N],
        .has_subset = has[M_FROM],
        .from = v[M_FROM],
        .to = v[M_TO],
        .grow_to = (uint32_t)v[M_GROW_TO],
        .grow_scanned = v[M_GROW_SCANNED],
        .has_searched = has[M_SEARCHED],
        .searched = v[M_SEARCHED],
    };
    return SM_OK;
}

sm_err sm_sidecar_load(const char *dir, struct sm_sidecar *out, struct sm_errinfo *ei)
{
    char path[PATH_MAX], *text = NULL;
    size_t n = 0;
    sm_err err = sm_io_path(path, sizeof path, dir, SM_SIDECAR_FILE, ei);
    if (err) return err;
    err = sm_io_read_file(path, SIDECAR_MAX_BYTES, &text, &n, ei);
    if (err) return err;
    err = decode(text, n, path, out, ei);
    free(text);
    return err;
}

static size_t put(char *text, size_t room, size_t at, enum member i, uint64_t v)
{
    return at + (size_t)snprintf(text + at, room - at, "%s\n\t\"%s\": %" PRIu64, at > 1 ? "," : "", member_names[i], v);
}

sm_err sm_sidecar_save(const char *dir, const struct sm_sidecar *s, struct sm_errinfo *ei)
{
    char path[PATH_MAX], text[1024] = "{"; /* seven short members always fit */
    size_t n = 1;
    sm_err err = sm_io_path(path, sizeof path, dir, SM_SIDECAR_FILE, ei);
    if (err) return err;
    n = put(text, sizeof text, n, M_VERSION, SIDECAR_VERSION);
    if (s->scrypt_n) n = put(text, sizeof text, n, M_SCRYPT_N, s->scrypt_n);
    if (s->has_subset) n = put(text, sizeof text, n, M_FROM, s->from);
    if (s->has_subset) n = put(text, sizeof text, n, M_TO, s->to);
    if (s->grow_to) n = put(text, sizeof text, n, M_GROW_TO, s->grow_to);
    if (s->grow_to) n = put(text, sizeof text, n, M_GROW_SCANNED, s->grow_scanned);
    if (s->has_searched) n = put(text, sizeof text, n, M_SEARCHED, s->searched);
    n += (size_t)snprintf(text + n, sizeof text - n, "\n}\n");
    return sm_io_write_atomic(path, text, n, 0600, ei);
}
