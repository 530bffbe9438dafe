#include "post/metadata.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "post/layout.h"
#include "post/metadata_json.h"
#include "util/bytes.h"
#include "util/io.h"
#include "util/log.h"
#include "util/text.h"

enum member {
    M_VERSION,
    M_NODE_ID,
    M_ATX_ID,
    M_LABELS_PER_UNIT,
    M_NUM_UNITS,
    M_MAX_FILE_SIZE,
    M_SCRYPT,
    M_NONCE,
    M_NONCE_VALUE,
    M_LAST_POSITION,
    MEMBERS
};
static const char *const member_names[MEMBERS] = {
    "Version",     "NodeId", "CommitmentAtxId", "LabelsPerUnit", "NumUnits",
    "MaxFileSize", "Scrypt", "Nonce",           "NonceValue",    "LastPosition",
};

/* The raw values of one file. */
struct raw {
    const char *where;
    struct sm_json_text value[MEMBERS]; /* null and absent: p == NULL */
};

void sm_metadata_fini(struct sm_metadata *m)
{
    free(m->extra);
    m->extra = NULL;
}

/* ---- reading ---- */

/* As Go finds a struct field: the exact name, else the same letters in any case. */
static enum member member_of(struct sm_json_text name)
{
    char text[32];
    if (!sm_json_string(name, text, sizeof text)) return MEMBERS;
    for (enum member i = 0; i < MEMBERS; i++)
        if (strcmp(text, member_names[i]) == 0) return i;
    for (enum member i = 0; i < MEMBERS; i++)
        if (strcasecmp(text, member_names[i]) == 0) return i;
    return MEMBERS;
}

/* Sorts the members of `object` into `r` and the rest into *extra_end, which has room for all of them. */
static sm_err sort_members(struct sm_json_text object, struct raw *r, char **extra_end, struct sm_errinfo *ei)
{
    bool seen[MEMBERS] = {false};
    struct sm_json_text name, value;
    char *e = *extra_end;
    for (size_t at = 0; sm_json_next(object, &at, &name, &value);) {
        const enum member i = member_of(name);
        if (i == MEMBERS) {
            *e++ = ',';
            e = sm_json_compact(name, e);
            *e++ = ':';
            e = sm_json_compact(value, e);
            continue;
        }
        if (seen[i])
            return sm_fail(ei, SM_E_FORMAT, "%s: %s appears twice: remove the wrong one", r->where, member_names[i]);
        seen[i] = true;
        if (!sm_json_is(value, "null")) r->value[i] = value;
    }
    *extra_end = e;
    return SM_OK;
}

static sm_err need(const struct raw *r, enum member i, struct sm_errinfo *ei)
{
    if (r->value[i].p) return SM_OK;
    return sm_fail(ei, SM_E_FORMAT, "%s: %s is missing", r->where, member_names[i]);
}

static sm_err get_u64(const struct raw *r, enum member i, uint64_t min, uint64_t max, uint64_t *out,
                      struct sm_errinfo *ei)
{
    uint64_t v = 0;
    if (!sm_json_u64(r->value[i], &v) || v < min || v > max)
        return sm_fail(ei, SM_E_FORMAT, "%s: %s is %.*s, expected a whole number from %" PRIu64 " to %" PRIu64,
                       r->where, member_names[i], (int)(r->value[i].n < 40 ? r->value[i].n : 40), r->value[i].p, min,
                       max);
    *out = v;
    return SM_OK;
}

static sm_err get_id(const struct raw *r, enum member i, uint8_t out[32], struct sm_errinfo *ei)
{
    char text[128], what[300];
    sm_err err = need(r, i, ei);
    if (err) return err;
    if (!sm_json_string(r->value[i], text, sizeof text))
        return sm_fail(ei, SM_E_FORMAT, "%s: %s is not a string of 44 base64 characters", r->where, member_names[i]);
    (void)snprintf(what, sizeof what, "%s: %s", r->where, member_names[i]);
    return sm_base64_decode(text, what, out, 32, ei);
}

static sm_err get_nonce_value(const struct raw *r, struct sm_metadata *m, struct sm_errinfo *ei)
{
    char text[64], what[300];
    if (!r->value[M_NONCE_VALUE].p) return SM_OK;
    if (!sm_json_string(r->value[M_NONCE_VALUE], text, sizeof text))
        return sm_fail(ei, SM_E_FORMAT, "%s: NonceValue is not a string of 32 hex digits", r->where);
    if (text[0] == '\0') return SM_OK; /* how Go reads an omitted one */
    (void)snprintf(what, sizeof what, "%s: NonceValue", r->where);
    m->has_nonce_value = true;
    return sm_hex_decode(text, what, m->nonce_value, sizeof m->nonce_value, ei);
}

/* "Scrypt" has exactly N, R and P in the versions we may write, so nothing is lost by keeping only these. */
static sm_err get_scrypt(const struct raw *r, struct sm_metadata *m, struct sm_errinfo *ei)
{
    const struct sm_json_text object = r->value[M_SCRYPT];
    if (!object.p) return SM_OK;
    uint64_t *const fields[3] = {&m->scrypt_n, &m->scrypt_r, &m->scrypt_p};
    unsigned seen = 0;
    struct sm_json_text name, value;
    if (sm_json_is(object, "{")) {
        for (size_t at = 0; sm_json_next(object, &at, &name, &value);) {
            char text[8];
            if (!sm_json_string(name, text, sizeof text) || strlen(text) != 1) continue;
            const char *hit = strchr("NRPnrp", text[0]);
            if (hit && sm_json_u64(value, fields[(hit - "NRPnrp") % 3])) seen |= 1u << ((hit - "NRPnrp") % 3);
        }
    }
    if (seen != 7) return sm_fail(ei, SM_E_FORMAT, "%s: Scrypt is not an object with the numbers N, R and P", r->where);
    m->has_scrypt = true;
    return SM_OK;
}

static sm_err get_numbers(const struct raw *r, struct sm_metadata *m, struct sm_errinfo *ei)
{
    uint64_t version = 0, units = 0;
    sm_err err = r->value[M_VERSION].p ? get_u64(r, M_VERSION, 0, UINT32_MAX, &version, ei) : SM_OK;
    for (enum member i = M_LABELS_PER_UNIT; !err && i <= M_MAX_FILE_SIZE; i++) err = need(r, i, ei);
    if (!err) err = get_u64(r, M_LABELS_PER_UNIT, 1, UINT64_MAX, &m->labels_per_unit, ei);
    if (!err) err = get_u64(r, M_NUM_UNITS, 1, UINT32_MAX, &units, ei);
    if (!err) err = get_u64(r, M_MAX_FILE_SIZE, SM_LABEL_BYTES, UINT64_MAX, &m->max_file_size, ei);
    m->has_nonce = r->value[M_NONCE].p != NULL;
    if (!err && m->has_nonce) err = get_u64(r, M_NONCE, 0, UINT64_MAX, &m->nonce, ei);
    m->has_last_position = r->value[M_LAST_POSITION].p != NULL;
    if (!err && m->has_last_position) err = get_u64(r, M_LAST_POSITION, 0, UINT64_MAX, &m->last_position, ei);
    if (err) return err;
    m->version = (uint32_t)version;
    m->num_units = (uint32_t)units;
    uint64_t bytes;
    if (sm_mul_overflows_u64(m->labels_per_unit, units, &bytes) || sm_mul_overflows_u64(bytes, SM_LABEL_BYTES, &bytes))
        return sm_fail(ei, SM_E_FORMAT,
                       "%s: NumUnits %" PRIu64 " times LabelsPerUnit %" PRIu64
                       " is more than any disk holds: one is wrong",
                       r->where, units, m->labels_per_unit);
    return SM_OK;
}

sm_err sm_metadata_decode(const char *text, size_t n, const char *where, struct sm_metadata *out, struct sm_errinfo *ei)
{
    struct raw r = {.where = where};
    struct sm_metadata m = {0};
    sm_err err = sm_json_check(text, n, where, ei);
    if (err) return err;
    m.extra = malloc(n + 2); /* compacted members are never longer than the text they come from */
    if (!m.extra) return sm_fail(ei, SM_E_NOMEM, "out of memory reading %s", where);

    char *end = m.extra;
    err = sort_members((struct sm_json_text){text, n}, &r, &end, ei);
    if (!err) err = get_id(&r, M_NODE_ID, m.node_id.b, ei);
    if (!err) err = get_id(&r, M_ATX_ID, m.commitment_atx_id.b, ei);
    if (!err) err = get_numbers(&r, &m, ei);
    if (!err) err = get_scrypt(&r, &m, ei);
    if (!err) err = get_nonce_value(&r, &m, ei);
    if (err || end == m.extra) {
        sm_metadata_fini(&m);
    } else {
        m.extra[0] = '{'; /* in place of the first comma */
        end[0] = '}';
        end[1] = '\0';
    }
    if (!err) *out = m;
    return err;
}

/* ---- writing ---- */

static void put_extra(FILE *f, const char *extra)
{
    if (!extra) return;
    const struct sm_json_text object = {extra, strlen(extra)};
    struct sm_json_text name, value;
    for (size_t at = 0; sm_json_next(object, &at, &name, &value);)
        (void)fprintf(f, ",\n\t%.*s: %.*s", (int)name.n, name.p, (int)value.n, value.p);
}

static void put_members(FILE *f, const struct sm_metadata *m)
{
    char id[SM_BASE64_ROOM(32)], hex[SM_HEX_ROOM(16)];
    (void)fputs("{\n", f);
    if (m->version) (void)fprintf(f, "\t\"Version\": %" PRIu32 ",\n", m->version);
    (void)fprintf(f, "\t\"NodeId\": \"%s\",\n", sm_base64_encode(m->node_id.b, 32, id));
    (void)fprintf(f, "\t\"CommitmentAtxId\": \"%s\",\n", sm_base64_encode(m->commitment_atx_id.b, 32, id));
    (void)fprintf(f, "\t\"LabelsPerUnit\": %" PRIu64 ",\n", m->labels_per_unit);
    (void)fprintf(f, "\t\"NumUnits\": %" PRIu32 ",\n", m->num_units);
    (void)fprintf(f, "\t\"MaxFileSize\": %" PRIu64, m->max_file_size);
    if (m->has_scrypt)
        (void)fprintf(
            f, ",\n\t\"Scrypt\": {\n\t\t\"N\": %" PRIu64 ",\n\t\t\"R\": %" PRIu64 ",\n\t\t\"P\": %" PRIu64 "\n\t}",
            m->scrypt_n, m->scrypt_r, m->scrypt_p);
    if (m->has_nonce) (void)fprintf(f, ",\n\t\"Nonce\": %" PRIu64, m->nonce);
    if (m->has_nonce_value) (void)fprintf(f, ",\n\t\"NonceValue\": \"%s\"", sm_hex_encode(m->nonce_value, 16, hex));
    if (m->has_last_position) (void)fprintf(f, ",\n\t\"LastPosition\": %" PRIu64, m->last_position);
    put_extra(f, m->extra);
    (void)fputs("\n}", f);
}

static sm_err version_writable(const char *where, uint32_t version, struct sm_errinfo *ei)
{
    if (version <= SM_METADATA_VERSION) return SM_OK;
    return sm_fail(ei, SM_E_FORMAT,
                   "%s has Version %" PRIu32 ", newer than the %u this program may write: use the program that made it",
                   where, version, SM_METADATA_VERSION);
}

sm_err sm_metadata_encode(const struct sm_metadata *m, char **out, struct sm_errinfo *ei)
{
    sm_err err = version_writable("the metadata", m->version, ei);
    if (!err && m->extra) err = sm_json_check(m->extra, strlen(m->extra), "the metadata's extra members", ei);
    if (err) return err;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return sm_fail(ei, SM_E_NOMEM, "out of memory writing metadata");
    put_members(f, m);
    const bool bad = ferror(f) != 0;
    if (fclose(f) != 0 || bad) {
        free(text);
        return sm_fail(ei, SM_E_NOMEM, "out of memory writing metadata");
    }
    *out = text;
    return SM_OK;
}

/* ---- files ---- */

/* *out_text may be NULL when the caller does not want it. */
static sm_err load_one(const char *path, struct sm_metadata *out, char **out_text, size_t *out_n, struct sm_errinfo *ei)
{
    char *text = NULL;
    size_t n = 0;
    sm_err err = sm_io_read_file(path, SM_METADATA_MAX_BYTES, &text, &n, ei);
    if (err) return err;
    err = sm_metadata_decode(text, n, path, out, ei);
    if (err || !out_text) {
        free(text);
        return err;
    }
    *out_text = text;
    *out_n = n;
    return SM_OK;
}

sm_err sm_metadata_load(const char *dir, struct sm_metadata *out, bool *out_from_backup, struct sm_errinfo *ei)
{
    char path[PATH_MAX], backup[PATH_MAX];
    struct sm_errinfo why = {0}, also = {0};
    *out_from_backup = false;
    sm_err err = sm_io_path(path, sizeof path, dir, SM_METADATA_FILE, ei);
    if (!err) err = sm_io_path(backup, sizeof backup, dir, SM_METADATA_BACKUP_FILE, ei);
    if (err) return err;

    err = load_one(path, out, NULL, NULL, &why);
    if (err == SM_E_FORMAT || err == SM_E_NOTFOUND) {
        const sm_err second = load_one(backup, out, NULL, NULL, &also);
        if (second == SM_OK) {
            sm_log(SM_LOG_WARN, "post", "metadata unusable, its backup is used", "backup=%s why=\"%s\"", backup,
                   why.text);
            *out_from_backup = true;
            return SM_OK;
        }
        /* A backup that exists and cannot be read now must not pass for a directory without metadata. */
        if (second != SM_E_FORMAT && second != SM_E_NOTFOUND) return sm_fail(ei, second, "%s", also.text);
    }
    return err ? sm_fail(ei, err, "%s", why.text) : SM_OK;
}

/* Copies what is about to be replaced into the backup, unless it does not parse. *out_same: it is `text` already. */
static sm_err keep_backup(const char *dir, const char *path, const char *text, bool *out_same, struct sm_errinfo *ei)
{
    struct sm_metadata old = {0};
    char *old_text = NULL, backup[PATH_MAX];
    size_t old_n = 0;
    struct sm_errinfo why = {0};
    *out_same = false;
    sm_err err = load_one(path, &old, &old_text, &old_n, &why);
    if (err == SM_E_NOTFOUND || err == SM_E_FORMAT) return SM_OK; /* nothing worth keeping */
    if (err) return sm_fail(ei, err, "%s", why.text);

    err = version_writable(path, old.version, ei);
    if (err) goto out;
    *out_same = old_n == strlen(text) && memcmp(old_text, text, old_n) == 0;
    if (*out_same) goto out;
    err = sm_io_path(backup, sizeof backup, dir, SM_METADATA_BACKUP_FILE, ei);
    if (err) goto out;
    err = sm_io_write_atomic(backup, old_text, old_n, 0600, ei);
out:
    free(old_text);
    sm_metadata_fini(&old);
    return err;
}

sm_err sm_metadata_save(const char *dir, const struct sm_metadata *m, struct sm_errinfo *ei)
{
    char path[PATH_MAX], *text = NULL;
    bool same = false;
    sm_err err = sm_io_path(path, sizeof path, dir, SM_METADATA_FILE, ei);
    if (err) return err;
    err = sm_metadata_encode(m, &text, ei);
    if (err) return err;
    err = keep_backup(dir, path, text, &same, ei);
    if (err) goto out;
    if (!same) err = sm_io_write_atomic(path, text, strlen(text), 0600, ei);
out:
    free(text);
    return err;
}
