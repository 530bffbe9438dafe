#include "keys/journal_db.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "util/io.h"
#include "util/text.h"

#define APPLICATION_ID 0x736d736a /* "smsj" */
#define SCHEMA_VERSION 1

static const char schema[] = "CREATE TABLE network (genesis_id BLOB NOT NULL CHECK (length(genesis_id) = 20)) STRICT;"
                             "CREATE TABLE identity (node_id BLOB PRIMARY KEY CHECK (length(node_id) = 32)) STRICT,"
                             " WITHOUT ROWID;"
                             "CREATE TABLE signed (subject BLOB NOT NULL CHECK (length(subject) = 32),"
                             " kind INTEGER NOT NULL, slot INTEGER NOT NULL CHECK (slot >= 0),"
                             " hash BLOB NOT NULL CHECK (length(hash) = 32),"
                             " PRIMARY KEY (subject, kind, slot)) STRICT, WITHOUT ROWID;"
                             "CREATE TABLE minimum (subject BLOB NOT NULL CHECK (length(subject) = 32),"
                             " kind INTEGER NOT NULL, slot INTEGER NOT NULL CHECK (slot >= 0),"
                             " PRIMARY KEY (subject, kind)) STRICT, WITHOUT ROWID;";

static const char *const statements[SM_DB_STATEMENTS] = {
    [SM_DB_BEGIN] = "BEGIN IMMEDIATE",
    [SM_DB_COMMIT] = "COMMIT",
    [SM_DB_ROLLBACK] = "ROLLBACK",
    [SM_DB_FIND] = "SELECT hash FROM signed WHERE subject = ?1 AND kind = ?2 AND slot = ?3",
    [SM_DB_HIGHEST] = "SELECT slot FROM signed WHERE subject = ?1 AND kind = ?2 ORDER BY slot DESC LIMIT 1",
    [SM_DB_MINIMUM] = "SELECT slot FROM minimum WHERE subject = ?1 AND kind = ?2",
    [SM_DB_INSERT] = "INSERT INTO signed (subject, kind, slot, hash) VALUES (?1, ?2, ?3, ?4)",
    [SM_DB_RAISE] = ("INSERT INTO minimum (subject, kind, slot) VALUES (?1, ?2, ?3)"
                     " ON CONFLICT DO UPDATE SET slot = max(slot, excluded.slot)"),
    [SM_DB_REGISTER] = "INSERT INTO identity (node_id) VALUES (?1) ON CONFLICT DO NOTHING",
};

static const struct {
    const char *name;
    bool pair;
} kinds[SM_SLOT_KINDS] = {
    [SM_SLOT_ATX] = {"atx", false},
    [SM_SLOT_POET] = {"poet", false},
    [SM_SLOT_BALLOT] = {"ballot", false},
    [SM_SLOT_PROPOSAL] = {"proposal", false},
    [SM_SLOT_HARE] = {"hare", true},
    [SM_SLOT_CERTIFY] = {"certify", false},
    [SM_SLOT_MARRIAGE] = {"marriage", false},
    [SM_SLOT_BEACON_FIRST] = {"beacon_first", false},
    [SM_SLOT_BEACON_NEXT] = {"beacon_next", true},
    [SM_SLOT_MERGED_ATX] = {"merged_atx", false},
};

const char *sm_slot_kind_name(sm_slot_kind kind)
{
    return kind >= SM_SLOT_ATX && kind < SM_SLOT_KINDS ? kinds[kind].name : "unknown";
}

bool sm_slot_kind_is_pair(sm_slot_kind kind)
{
    return kind >= SM_SLOT_ATX && kind < SM_SLOT_KINDS && kinds[kind].pair;
}

sm_err sm_db_fail(struct sm_db *db, int rc, const char *what, struct sm_errinfo *ei)
{
    const char *text = db->sql ? sqlite3_errmsg(db->sql) : sqlite3_errstr(rc);
    sm_err err = SM_E_IO;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        err = SM_E_NOSPACE;
        break;
    case SQLITE_NOMEM:
        err = SM_E_NOMEM;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        err = SM_E_BUSY;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
        err = SM_E_FORMAT;
        break;
    default:
        break;
    }
    return sm_fail(ei, err, "signing journal %s: cannot %s: %s", db->path, what, text);
}

/* ---- opening ---- */

static sm_err run_sql(struct sm_db *db, const char *sql, const char *what, struct sm_errinfo *ei)
{
    const int rc = sqlite3_exec(db->sql, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? SM_OK : sm_db_fail(db, rc, what, ei);
}

static sm_err read_number(struct sm_db *db, const char *sql, int64_t *out, struct sm_errinfo *ei)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) *out = sqlite3_column_int64(st, 0);
    sm_err err = rc == SQLITE_ROW ? SM_OK : sm_db_fail(db, rc, "be read", ei);
    (void)sqlite3_finalize(st);
    return err;
}

static sm_err take_lock(struct sm_db *db, struct sm_errinfo *ei)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s.lock", db->path) >= sizeof path)
        return sm_fail(ei, SM_E_ARG, "path too long: %s", db->path);
    sm_err err = sm_io_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, &db->lock_fd, ei);
    if (err) return err;
    if (flock(db->lock_fd, LOCK_EX | LOCK_NB) == 0) return SM_OK;
    if (errno == EWOULDBLOCK)
        return sm_fail(ei, SM_E_BUSY, "signing journal %s is in use by another process: one signer per journal",
                       db->path);
    return sm_fail_errno(ei, errno, "cannot lock %s", path);
}

/* The journal appears whole: all tables and the network in one transaction. */
static sm_err make_tables(struct sm_db *db, struct sm_errinfo *ei)
{
    char sql[1536], hex[SM_HEX_ROOM(20)];
    (void)snprintf(sql, sizeof sql,
                   "BEGIN IMMEDIATE; PRAGMA application_id = %d; PRAGMA user_version = %d; %s"
                   "INSERT INTO network (genesis_id) VALUES (x'%s'); COMMIT;",
                   APPLICATION_ID, SCHEMA_VERSION, schema, sm_hex_encode(db->genesis.b, 20, hex));
    return run_sql(db, sql, "be made", ei);
}

static sm_err check_network(struct sm_db *db, struct sm_errinfo *ei)
{
    sqlite3_stmt *st = NULL;
    sm_err err = SM_OK;
    char a[SM_HEX_ROOM(20)], b[SM_HEX_ROOM(20)];
    int rc = sqlite3_prepare_v2(db->sql, "SELECT genesis_id FROM network", -1, &st, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(st);
    if (rc != SQLITE_ROW || sqlite3_column_bytes(st, 0) != 20)
        err = sm_fail(ei, SM_E_FORMAT, "signing journal %s names no network: it is damaged", db->path);
    else if (memcmp(sqlite3_column_blob(st, 0), db->genesis.b, 20) != 0)
        err = sm_fail(ei, SM_E_MISMATCH, "signing journal %s is of the network with genesis ID %s, not of %s", db->path,
                      sm_hex_encode(sqlite3_column_blob(st, 0), 20, a), sm_hex_encode(db->genesis.b, 20, b));
    (void)sqlite3_finalize(st);
    return err;
}

static sm_err check_tables(struct sm_db *db, bool create, struct sm_errinfo *ei)
{
    int64_t app = 0, version = 0, tables = 0;
    sm_err err = read_number(db, "PRAGMA application_id", &app, ei);
    if (!err) err = read_number(db, "PRAGMA user_version", &version, ei);
    if (!err) err = read_number(db, "SELECT count(*) FROM sqlite_schema", &tables, ei);
    if (err) return err;
    if (app == 0 && version == 0 && tables == 0) {
        if (!create)
            return sm_fail(ei, SM_E_FORMAT, "signing journal %s is empty: restore it, or import an exported one",
                           db->path);
        return make_tables(db, ei);
    }
    if (app != APPLICATION_ID) return sm_fail(ei, SM_E_FORMAT, "%s is not a signing journal", db->path);
    if (version != SCHEMA_VERSION)
        return sm_fail(ei, SM_E_FORMAT, "signing journal %s has version %" PRId64 ", this program knows version %d",
                       db->path, version, SCHEMA_VERSION);
    return SM_OK;
}

/* Exclusive locking keeps the WAL index in our memory: no shared-memory file, no other reader. */
static const char pragmas[] =
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
    "PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL;";

static sm_err use_wal(struct sm_db *db, struct sm_errinfo *ei)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db->sql, "PRAGMA journal_mode = WAL", -1, &st, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(st);
    const char *mode = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    sm_err err = mode && strcmp(mode, "wal") == 0 ? SM_OK : sm_db_fail(db, rc, "be switched to WAL", ei);
    (void)sqlite3_finalize(st);
    return err;
}

static sm_err prepare(struct sm_db *db, struct sm_errinfo *ei)
{
    for (size_t i = 0; i < SM_DB_STATEMENTS; i++) {
        const int rc = sqlite3_prepare_v3(db->sql, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &db->st[i], NULL);
        if (rc != SQLITE_OK) return sm_db_fail(db, rc, "be used", ei);
    }
    return SM_OK;
}

/* The name of the new file must survive a power failure before anything is signed by it. */
static sm_err sync_name(const char *path, struct sm_errinfo *ei)
{
    char dir[PATH_MAX];
    (void)snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (!slash) return sm_io_sync_dir(".", ei);
    slash[slash == dir ? 1 : 0] = '\0';
    return sm_io_sync_dir(dir, ei);
}

sm_err sm_db_open(const char *path, const struct sm_genesis_id *genesis, bool create, struct sm_db *db,
                  struct sm_errinfo *ei)
{
    struct stat st;
    *db = (struct sm_db){.lock_fd = -1, .genesis = *genesis, .path = strdup(path)};
    if (!db->path) return sm_fail(ei, SM_E_NOMEM, "out of memory opening %s", path);
    if (!create && stat(path, &st) != 0) {
        if (errno != ENOENT) return sm_fail_errno(ei, errno, "cannot open signing journal %s", path);
        return sm_fail(ei, SM_E_NOTFOUND,
                       "there is no signing journal %s: restore it or import an exported one; make a new one only for "
                       "keys that have never signed",
                       path);
    }
    sm_err err = take_lock(db, ei);
    if (err) return err;
    if (create) { /* by us, so that nobody else can read it; SQLite gives its other files the same mode */
        int fd = -1;
        err = sm_io_open(path, O_RDWR | O_CREAT, 0600, &fd, ei);
        sm_io_close(fd);
        if (err) return err;
    }
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE |
                      (create ? SQLITE_OPEN_CREATE : 0);
    const int rc = sqlite3_open_v2(path, &db->sql, flags, NULL);
    if (rc != SQLITE_OK) return sm_db_fail(db, rc, "be opened", ei);
    (void)sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    err = run_sql(db, pragmas, "be set up", ei);
    if (!err) err = use_wal(db, ei);
    if (!err) err = check_tables(db, create, ei);
    if (!err) err = check_network(db, ei);
    if (!err) err = prepare(db, ei);
    return err ? err : sync_name(path, ei);
}

void sm_db_close(struct sm_db *db)
{
    if (!db->path) return;
    for (size_t i = 0; i < SM_DB_STATEMENTS; i++) (void)sqlite3_finalize(db->st[i]);
    (void)sqlite3_close(db->sql);
    sm_io_close(db->lock_fd);
    free(db->path);
    *db = (struct sm_db){.lock_fd = -1};
}

/* ---- statements ---- */

/* Steps once and resets; SQLITE_ROW leaves the columns to `take` first. */
static int step(struct sm_db *db, sm_db_statement which)
{
    const int rc = sqlite3_step(db->st[which]);
    (void)sqlite3_reset(db->st[which]);
    return rc;
}

static void bind_slot(sqlite3_stmt *st, const struct sm_slot *s, bool with_number)
{
    (void)sqlite3_bind_blob(st, 1, s->subject.b, sizeof s->subject.b, SQLITE_STATIC);
    (void)sqlite3_bind_int(st, 2, (int)s->kind);
    if (with_number) (void)sqlite3_bind_int64(st, 3, (sqlite3_int64)s->n);
}

sm_err sm_db_begin(struct sm_db *db, struct sm_errinfo *ei)
{
    const int rc = step(db, SM_DB_BEGIN);
    return rc == SQLITE_DONE ? SM_OK : sm_db_fail(db, rc, "be written", ei);
}

sm_err sm_db_commit(struct sm_db *db, bool *out_unsure, struct sm_errinfo *ei)
{
    *out_unsure = false;
    const int rc = step(db, SM_DB_COMMIT);
    if (rc == SQLITE_DONE) return SM_OK;
    sm_err err = sm_db_fail(db, rc, "be written", ei);
    *out_unsure = (rc & 0xff) != SQLITE_FULL; /* a full disk is known before anything is committed */
    sm_db_rollback(db);
    return err;
}

void sm_db_rollback(struct sm_db *db)
{
    if (!sqlite3_get_autocommit(db->sql)) (void)step(db, SM_DB_ROLLBACK);
}

sm_err sm_db_find(struct sm_db *db, const struct sm_slot *slot, bool *out_found, struct sm_hash32 *out,
                  struct sm_errinfo *ei)
{
    sqlite3_stmt *st = db->st[SM_DB_FIND];
    bind_slot(st, slot, true);
    const int rc = sqlite3_step(st);
    sm_err err = SM_OK;
    *out_found = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW && sqlite3_column_bytes(st, 0) == (int)sizeof *out)
        memcpy(out, sqlite3_column_blob(st, 0), sizeof *out);
    else if (rc == SQLITE_ROW)
        err = sm_fail(ei, SM_E_FORMAT, "signing journal %s is damaged: a row without hash", db->path);
    else if (rc != SQLITE_DONE)
        err = sm_db_fail(db, rc, "be read", ei);
    (void)sqlite3_reset(st);
    return err;
}

static sm_err read_slot(struct sm_db *db, sm_db_statement which, const struct sm_slot *slot, bool *out_found,
                        uint64_t *out, struct sm_errinfo *ei)
{
    sqlite3_stmt *st = db->st[which];
    bind_slot(st, slot, false);
    const int rc = sqlite3_step(st);
    *out_found = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW) *out = (uint64_t)sqlite3_column_int64(st, 0);
    sm_err err = rc == SQLITE_ROW || rc == SQLITE_DONE ? SM_OK : sm_db_fail(db, rc, "be read", ei);
    (void)sqlite3_reset(st);
    return err;
}

sm_err sm_db_lowest(struct sm_db *db, const struct sm_slot *slot, bool ascending, uint64_t *out, struct sm_errinfo *ei)
{
    bool found = false;
    uint64_t minimum = 0, highest = 0;
    sm_err err = read_slot(db, SM_DB_MINIMUM, slot, &found, &minimum, ei);
    if (!found) minimum = 0;
    if (!err && ascending) {
        err = read_slot(db, SM_DB_HIGHEST, slot, &found, &highest, ei);
        if (found && highest + 1 > minimum) minimum = highest + 1;
    }
    *out = minimum;
    return err;
}

sm_err sm_db_insert(struct sm_db *db, const struct sm_journal_entry *e, struct sm_errinfo *ei)
{
    bind_slot(db->st[SM_DB_INSERT], &e->slot, true);
    (void)sqlite3_bind_blob(db->st[SM_DB_INSERT], 4, e->hash.b, sizeof e->hash.b, SQLITE_STATIC);
    const int rc = step(db, SM_DB_INSERT);
    return rc == SQLITE_DONE ? SM_OK : sm_db_fail(db, rc, "take a row", ei);
}

sm_err sm_db_raise(struct sm_db *db, const struct sm_slot *minimum, struct sm_errinfo *ei)
{
    bind_slot(db->st[SM_DB_RAISE], minimum, true);
    const int rc = step(db, SM_DB_RAISE);
    return rc == SQLITE_DONE ? SM_OK : sm_db_fail(db, rc, "take a minimal slot", ei);
}

sm_err sm_db_register(struct sm_db *db, const struct sm_node_id *id, struct sm_errinfo *ei)
{
    (void)sqlite3_bind_blob(db->st[SM_DB_REGISTER], 1, id->b, sizeof id->b, SQLITE_STATIC);
    const int rc = step(db, SM_DB_REGISTER);
    return rc == SQLITE_DONE ? SM_OK : sm_db_fail(db, rc, "take an identity", ei);
}
