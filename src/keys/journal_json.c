#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "keys/journal_db.h"
#include "util/text.h"

#define FORMAT_NAME    "spacemesh-signing-journal"
#define FORMAT_VERSION 1

/* ---- export ---- */

static json_t *hex_json(const void *p, size_t n)
{
    char hex[SM_HEX_ROOM(32)];
    return json_string(sm_hex_encode(p, n, hex));
}

static json_t *slot_json(sm_slot_kind kind, uint64_t n)
{
    const bool pair = sm_slot_kind_is_pair(kind);
    json_t *o = json_pack("{s:s, s:I}", "kind", sm_slot_kind_name(kind), "slot", (json_int_t)(pair ? n >> 32 : n));
    if (o && pair) (void)json_object_set_new(o, "round", json_integer((json_int_t)(n & UINT32_MAX)));
    return o;
}

/* The object of a subject, made when it is not there yet. Rows come in the order of the subjects. */
static json_t *subject_json(json_t *data, const void *subject)
{
    char hex[SM_HEX_ROOM(32)];
    sm_hex_encode(subject, 32, hex);
    for (size_t i = json_array_size(data); i-- > 0;) {
        json_t *o = json_array_get(data, i);
        if (strcmp(json_string_value(json_object_get(o, "subject")), hex) == 0) return o;
    }
    json_t *o = json_pack("{s:s, s:[], s:[]}", "subject", hex, "minimal_slots", "signed");
    return json_array_append_new(data, o) == 0 ? o : NULL;
}

/* Rows of (subject, kind, slot[, hash]) into one of the lists. */
static sm_err export_rows(struct sm_db *db, const char *sql, const char *list, json_t *data, struct sm_errinfo *ei)
{
    sqlite3_stmt *st = NULL;
    sm_err err = SM_OK;
    json_t *o = NULL;
    uint8_t current[32];
    int rc = sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(st);
    for (; rc == SQLITE_ROW; rc = sqlite3_step(st)) {
        const void *subject = sqlite3_column_blob(st, 0);
        if (!o || memcmp(current, subject, sizeof current) != 0) {
            o = subject_json(data, subject);
            memcpy(current, subject, sizeof current);
        }
        json_t *row = slot_json((sm_slot_kind)sqlite3_column_int(st, 1), (uint64_t)sqlite3_column_int64(st, 2));
        if (row && sqlite3_column_count(st) > 3)
            (void)json_object_set_new(row, "hash", hex_json(sqlite3_column_blob(st, 3), 32));
        if (!o || !row || json_array_append_new(json_object_get(o, list), row) != 0) {
            err = sm_fail(ei, SM_E_NOMEM, "out of memory exporting signing journal %s", db->path);
            goto out;
        }
    }
    if (rc != SQLITE_DONE) err = sm_db_fail(db, rc, "be read", ei);
out:
    (void)sqlite3_finalize(st);
    return err;
}

sm_err sm_db_export(struct sm_db *db, char **out, struct sm_errinfo *ei)
{
    static const char signed_rows[] = "SELECT subject, kind, slot, hash FROM signed ORDER BY subject, kind, slot";
    /* One above the highest row, unless the minimum is higher already. */
    static const char minimal_rows[] = "SELECT subject, kind, min(max(slot), 9223372036854775807) FROM ("
                                       " SELECT subject, kind, slot FROM minimum UNION ALL"
                                       " SELECT subject, kind, slot + (slot < 9223372036854775807) FROM signed)"
                                       " GROUP BY subject, kind ORDER BY subject, kind";
    char hex[SM_HEX_ROOM(20)];
    json_t *root = json_pack("{s:{s:s, s:i, s:s}, s:[]}", "metadata", "interchange_format", FORMAT_NAME,
                             "interchange_format_version", FORMAT_VERSION, "genesis_id",
                             sm_hex_encode(db->genesis.b, 20, hex), "data");
    sm_err err = root ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory exporting signing journal %s", db->path);
    json_t *data = json_object_get(root, "data");
    if (!err) err = export_rows(db, minimal_rows, "minimal_slots", data, ei);
    if (!err) err = export_rows(db, signed_rows, "signed", data, ei);
    if (!err) *out = json_dumps(root, JSON_INDENT(1));
    if (!err && !*out) err = sm_fail(ei, SM_E_NOMEM, "out of memory exporting signing journal %s", db->path);
    json_decref(root);
    return err;
}

/* ---- import ---- */

struct import {
    struct sm_db *db;
    size_t subject_at, row_at; /* for error texts */
    const char *list;
    uint64_t rows;
};

static sm_err malformed(const struct import *im, const char *what, struct sm_errinfo *ei)
{
    return sm_fail(ei, SM_E_FORMAT, "journal file: data[%zu].%s[%zu]: %s", im->subject_at, im->list, im->row_at, what);
}

static sm_err read_kind(const struct import *im, const json_t *row, sm_slot_kind *out, struct sm_errinfo *ei)
{
    const char *name = json_string_value(json_object_get(row, "kind"));
    for (int k = SM_SLOT_ATX; name && k < SM_SLOT_KINDS; k++) {
        if (strcmp(name, sm_slot_kind_name((sm_slot_kind)k)) != 0) continue;
        *out = (sm_slot_kind)k;
        return SM_OK;
    }
    return malformed(im, "kind is missing or unknown", ei);
}

static sm_err read_slot(const struct import *im, const json_t *row, bool hashed, struct sm_slot *out,
                        struct sm_errinfo *ei)
{
    sm_err err = read_kind(im, row, &out->kind, ei);
    if (err) return err;
    const bool pair = sm_slot_kind_is_pair(out->kind);
    const json_t *slot = json_object_get(row, "slot"), *round = json_object_get(row, "round");
    const json_int_t major = json_integer_value(slot), minor = json_integer_value(round);
    if (!json_is_integer(slot) || major < 0 || (pair && major > INT32_MAX))
        return malformed(im, "slot is not a number in range", ei);
    if (pair ? !json_is_integer(round) || minor < 0 || minor > UINT32_MAX : round != NULL)
        return malformed(im, pair ? "round is not a number in range" : "a round does not belong here", ei);
    if (json_object_size(row) != 2u + pair + hashed) return malformed(im, "unknown members", ei);
    out->n = pair ? (uint64_t)major << 32 | (uint64_t)minor : (uint64_t)major;
    return SM_OK;
}

static sm_err import_minimum(struct import *im, const json_t *row, const struct sm_hash32 *subject,
                             struct sm_errinfo *ei)
{
    struct sm_slot slot = {.subject = *subject};
    sm_err err = read_slot(im, row, false, &slot, ei);
    return err ? err : sm_db_raise(im->db, &slot, ei);
}

static sm_err import_signed(struct import *im, const json_t *row, const struct sm_hash32 *subject,
                            struct sm_errinfo *ei)
{
    struct sm_journal_entry e = {.slot.subject = *subject};
    struct sm_hash32 held;
    bool found = false;
    const char *hash = json_string_value(json_object_get(row, "hash"));
    sm_err err = read_slot(im, row, true, &e.slot, ei);
    if (err) return err;
    if (!hash || sm_hex_decode(hash, "hash", e.hash.b, 32, NULL)) return malformed(im, "hash is not 64 hex digits", ei);
    err = sm_db_find(im->db, &e.slot, &found, &held, ei);
    if (err) return err;
    if (found && memcmp(&held, &e.hash, sizeof held) != 0) return sm_slot_conflict(SM_E_MISMATCH, &e, &held, ei);
    if (!found) err = sm_db_insert(im->db, &e, ei);
    if (!err) im->rows += !found;
    struct sm_slot above = e.slot;
    above.n += above.n < INT64_MAX;
    return err ? err : sm_db_raise(im->db, &above, ei);
}

static sm_err import_list(struct import *im, const json_t *subject, const char *list, const struct sm_hash32 *id,
                          sm_err (*take)(struct import *, const json_t *, const struct sm_hash32 *,
                                         struct sm_errinfo *),
                          struct sm_errinfo *ei)
{
    const json_t *rows = json_object_get(subject, list);
    im->list = list;
    im->row_at = 0;
    if (!json_is_array(rows)) return malformed(im, "a list is expected", ei);
    for (; im->row_at < json_array_size(rows); im->row_at++) {
        sm_err err = take(im, json_array_get(rows, im->row_at), id, ei);
        if (err) return err;
    }
    return SM_OK;
}

static sm_err import_subject(struct import *im, const json_t *o, struct sm_errinfo *ei)
{
    struct sm_hash32 id;
    const char *hex = json_string_value(json_object_get(o, "subject"));
    if (!hex || sm_hex_decode(hex, "subject", id.b, 32, NULL) || json_object_size(o) != 3)
        return sm_fail(ei, SM_E_FORMAT,
                       "journal file: data[%zu]: subject (64 hex digits), minimal_slots and signed are expected",
                       im->subject_at);
    sm_err err = import_list(im, o, "minimal_slots", &id, import_minimum, ei);
    return err ? err : import_list(im, o, "signed", &id, import_signed, ei);
}

static sm_err check_metadata(const struct sm_db *db, const json_t *meta, struct sm_errinfo *ei)
{
    struct sm_genesis_id theirs;
    char ours[SM_HEX_ROOM(20)];
    const char *name = json_string_value(json_object_get(meta, "interchange_format"));
    const char *genesis = json_string_value(json_object_get(meta, "genesis_id"));
    if (!name || strcmp(name, FORMAT_NAME) != 0)
        return sm_fail(ei, SM_E_FORMAT, "not a signing journal: metadata.interchange_format is not " FORMAT_NAME);
    if (json_integer_value(json_object_get(meta, "interchange_format_version")) != FORMAT_VERSION)
        return sm_fail(ei, SM_E_FORMAT, "journal file: this program knows interchange_format_version %d only",
                       FORMAT_VERSION);
    if (!genesis || sm_hex_decode(genesis, "genesis_id", theirs.b, 20, NULL))
        return sm_fail(ei, SM_E_FORMAT, "journal file: metadata.genesis_id is not 40 hex digits");
    if (memcmp(&theirs, &db->genesis, sizeof theirs) != 0)
        return sm_fail(ei, SM_E_MISMATCH, "the file is of the network with genesis ID %s, the journal of %s", genesis,
                       sm_hex_encode(db->genesis.b, 20, ours));
    return SM_OK;
}

sm_err sm_db_import(struct sm_db *db, const char *text, size_t n, uint64_t *out_rows, struct sm_errinfo *ei)
{
    json_error_t why;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (!root) return sm_fail(ei, SM_E_FORMAT, "journal file: line %d: %s", why.line, why.text);
    struct import im = {.db = db};
    const json_t *data = json_object_get(root, "data");
    sm_err err = check_metadata(db, json_object_get(root, "metadata"), ei);
    if (!err && !json_is_array(data)) err = sm_fail(ei, SM_E_FORMAT, "journal file: data is not a list");
    for (; !err && im.subject_at < json_array_size(data); im.subject_at++)
        err = import_subject(&im, json_array_get(data, im.subject_at), ei);
    json_decref(root);
    if (!err) *out_rows = im.rows;
    return err;
}
