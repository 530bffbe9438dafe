#include "keys/journal.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "keys/journal_db.h"
#include "util/text.h"

#define ENTRIES_MAX 4u
#define BATCH_MAX   1024u /* requests of one transaction: bounds its time, not its use */

/* One call of sm_journal_record, on its caller's stack. */
struct ticket {
    const struct sm_journal_entry *entries;
    size_t n;
    sm_err err;
    struct sm_errinfo ei;
    bool done;
    struct ticket *next;
};

struct sm_journal {
    struct sm_db db; /* the thread that set `busy` */
    struct {         /* under mu */
        pthread_mutex_t mu;
        pthread_cond_t changed; /* tickets done, or the database free */
        struct ticket *first, **end;
        bool busy;   /* a thread is in the database */
        bool broken; /* a commit may be on disk or not */
    } shared;
};

/* Kinds of which a lower slot than the highest is refused even when it is free: smeshing-service.md §2.12, A2 and B2. */
static bool ascends(sm_slot_kind kind)
{
    return kind == SM_SLOT_ATX || kind == SM_SLOT_BALLOT || kind == SM_SLOT_PROPOSAL;
}

/* ---- life ---- */

static sm_err open_journal(const char *path, const struct sm_genesis_id *genesis, bool create, struct sm_journal **out,
                           struct sm_errinfo *ei)
{
    struct sm_journal *j = calloc(1, sizeof *j);
    if (!j) return sm_fail(ei, SM_E_NOMEM, "out of memory opening %s", path);
    if (pthread_mutex_init(&j->shared.mu, NULL) != 0 || pthread_cond_init(&j->shared.changed, NULL) != 0) {
        free(j);
        return sm_fail(ei, SM_E_NOMEM, "out of memory opening %s", path);
    }
    j->shared.end = &j->shared.first;
    sm_err err = sm_db_open(path, genesis, create, &j->db, ei);
    if (err)
        sm_journal_close(j);
    else
        *out = j;
    return err;
}

sm_err sm_journal_open(const char *path, const struct sm_genesis_id *genesis, struct sm_journal **out,
                       struct sm_errinfo *ei)
{
    return open_journal(path, genesis, false, out, ei);
}

sm_err sm_journal_create(const char *path, const struct sm_genesis_id *genesis, struct sm_journal **out,
                         struct sm_errinfo *ei)
{
    return open_journal(path, genesis, true, out, ei);
}

void sm_journal_close(struct sm_journal *j)
{
    if (!j) return;
    sm_db_close(&j->db);
    (void)pthread_cond_destroy(&j->shared.changed);
    (void)pthread_mutex_destroy(&j->shared.mu);
    free(j);
}

/* ---- recording ---- */

sm_err sm_slot_conflict(sm_err err, const struct sm_journal_entry *e, const struct sm_hash32 *held,
                        struct sm_errinfo *ei)
{
    char subject[SM_HEX_ROOM(32)], a[SM_HEX_ROOM(32)], b[SM_HEX_ROOM(32)];
    const bool pair = sm_slot_kind_is_pair(e->slot.kind);
    sm_hex_encode(e->slot.subject.b, 32, subject);
    subject[10] = '\0';
    (void)sm_fail(ei, err, "%s of %s, slot %" PRIu64, sm_slot_kind_name(e->slot.kind), subject,
                  pair ? e->slot.n >> 32 : e->slot.n);
    if (pair) (void)sm_fail_add(ei, err, " round %" PRIu64, e->slot.n & UINT32_MAX);
    return sm_fail_add(ei, err, ": %s is signed already, %s would be a second one: refused",
                       sm_hex_encode(held->b, 32, a), sm_hex_encode(e->hash.b, 32, b));
}

/* SM_OK with *out_new for a free slot. */
static sm_err judge(struct sm_db *db, const struct sm_journal_entry *e, bool *out_new, struct sm_errinfo *ei)
{
    struct sm_hash32 held;
    bool found = false;
    uint64_t lowest = 0;
    *out_new = false;
    if (e->slot.kind < SM_SLOT_ATX || e->slot.kind >= SM_SLOT_KINDS || e->slot.n > INT64_MAX)
        return sm_fail(ei, SM_E_ARG, "no such slot");
    sm_err err = sm_db_find(db, &e->slot, &found, &held, ei);
    if (err) return err;
    if (found) return memcmp(&held, &e->hash, sizeof held) == 0 ? SM_OK : sm_slot_conflict(SM_E_REFUSED, e, &held, ei);
    err = sm_db_lowest(db, &e->slot, ascends(e->slot.kind), &lowest, ei);
    if (err) return err;
    if (e->slot.n < lowest) {
        const bool pair = sm_slot_kind_is_pair(e->slot.kind);
        return sm_fail(ei, SM_E_REFUSED,
                       "%s: slot %" PRIu64 " lies below %" PRIu64 ", the lowest that may still be signed: refused",
                       sm_slot_kind_name(e->slot.kind), pair ? e->slot.n >> 32 : e->slot.n,
                       pair ? lowest >> 32 : lowest);
    }
    *out_new = true;
    return SM_OK;
}

/* All entries are judged before the first is written. A verdict is in t->err; what is returned concerns the database. */
static sm_err take_slots(struct sm_db *db, struct ticket *t, struct sm_errinfo *ei)
{
    bool fresh[ENTRIES_MAX];
    for (size_t i = 0; i < t->n; i++) {
        t->err = judge(db, &t->entries[i], &fresh[i], &t->ei);
        if (t->err == SM_E_REFUSED || t->err == SM_E_ARG) return SM_OK;
        if (t->err) return sm_fail(ei, t->err, "%s", t->ei.text);
    }
    for (size_t i = 0; i < t->n; i++) {
        sm_err err = fresh[i] ? sm_db_insert(db, &t->entries[i], ei) : SM_OK;
        if (err) return err;
    }
    return SM_OK;
}

static void fail_all(struct ticket *batch, sm_err err, const struct sm_errinfo *ei)
{
    for (struct ticket *t = batch; t; t = t->next) {
        t->err = err;
        t->ei = *ei;
    }
}

/* One transaction for a whole batch. A refused request does not disturb the others. */
static void run_batch(struct sm_journal *j, struct ticket *batch, bool *out_broken)
{
    struct sm_errinfo ei = {0};
    sm_err err = sm_db_begin(&j->db, &ei);
    for (struct ticket *t = batch; !err && t; t = t->next) err = take_slots(&j->db, t, &ei);
    if (!err)
        err = sm_db_commit(&j->db, out_broken, &ei);
    else
        sm_db_rollback(&j->db);
    if (err) fail_all(batch, err, &ei);
}

/* Takes waiting tickets off the queue, oldest first. */
static struct ticket *take_batch(struct sm_journal *j)
{
    struct ticket *first = j->shared.first, **end = &first;
    for (size_t n = 0; *end && n < BATCH_MAX; n++) end = &(*end)->next;
    j->shared.first = *end;
    if (!*end) j->shared.end = &j->shared.first;
    *end = NULL;
    return first;
}

static void finish_batch(struct ticket *batch)
{
    while (batch) {
        struct ticket *next = batch->next; /* its owner may return as soon as the lock is released */
        batch->done = true;
        batch = next;
    }
}

static sm_err broken(const struct sm_journal *j, struct sm_errinfo *ei)
{
    return sm_fail(ei, SM_E_IO, "signing journal %s failed while writing and may lack what was last signed: restart",
                   j->db.path);
}

/* Whoever finds the database free works off the queue up to and including its own ticket; the others wait. While one
 * flush is under way the next batch gathers. */
sm_err sm_journal_record(struct sm_journal *j, const struct sm_journal_entry *entries, size_t n, struct sm_errinfo *ei)
{
    struct ticket mine = {.entries = entries, .n = n};
    if (n == 0 || n > ENTRIES_MAX) return sm_fail(ei, SM_E_ARG, "%zu journal entries at once", n);
    (void)pthread_mutex_lock(&j->shared.mu);
    *j->shared.end = &mine;
    j->shared.end = &mine.next;
    while (!mine.done) {
        if (j->shared.busy) {
            (void)pthread_cond_wait(&j->shared.changed, &j->shared.mu);
            continue;
        }
        struct ticket *batch = take_batch(j);
        bool unsure = j->shared.broken;
        j->shared.busy = true;
        (void)pthread_mutex_unlock(&j->shared.mu);
        struct sm_errinfo why = {0};
        if (unsure)
            fail_all(batch, broken(j, &why), &why);
        else
            run_batch(j, batch, &unsure);
        (void)pthread_mutex_lock(&j->shared.mu);
        finish_batch(batch);
        j->shared.busy = false;
        j->shared.broken = unsure;
        (void)pthread_cond_broadcast(&j->shared.changed);
    }
    (void)pthread_mutex_unlock(&j->shared.mu);
    return mine.err ? sm_fail(ei, mine.err, "%s", mine.ei.text) : SM_OK;
}

/* ---- everything else, alone in the database ---- */

static sm_err enter(struct sm_journal *j, struct sm_errinfo *ei)
{
    (void)pthread_mutex_lock(&j->shared.mu);
    while (j->shared.busy) (void)pthread_cond_wait(&j->shared.changed, &j->shared.mu);
    sm_err err = j->shared.broken ? broken(j, ei) : SM_OK;
    j->shared.busy = !err;
    (void)pthread_mutex_unlock(&j->shared.mu);
    return err;
}

static void leave(struct sm_journal *j, bool unsure)
{
    (void)pthread_mutex_lock(&j->shared.mu);
    j->shared.busy = false;
    j->shared.broken = j->shared.broken || unsure;
    (void)pthread_cond_broadcast(&j->shared.changed);
    (void)pthread_mutex_unlock(&j->shared.mu);
}

/* Commits when `err` is none. */
static sm_err end(struct sm_journal *j, sm_err err, struct sm_errinfo *ei)
{
    bool unsure = false;
    if (err)
        sm_db_rollback(&j->db);
    else
        err = sm_db_commit(&j->db, &unsure, ei);
    leave(j, unsure);
    return err;
}

static sm_err start(struct sm_journal *j, struct sm_errinfo *ei)
{
    sm_err err = enter(j, ei);
    if (err) return err;
    err = sm_db_begin(&j->db, ei);
    if (err) leave(j, false);
    return err;
}

sm_err sm_journal_register(struct sm_journal *j, const struct sm_node_id *id, struct sm_errinfo *ei)
{
    sm_err err = start(j, ei);
    return err ? err : end(j, sm_db_register(&j->db, id, ei), ei);
}

sm_err sm_journal_export(struct sm_journal *j, char **out, struct sm_errinfo *ei)
{
    sm_err err = start(j, ei);
    return err ? err : end(j, sm_db_export(&j->db, out, ei), ei);
}

sm_err sm_journal_import(struct sm_journal *j, const char *text, size_t n, uint64_t *out_rows, struct sm_errinfo *ei)
{
    sm_err err = start(j, ei);
    return err ? err : end(j, sm_db_import(&j->db, text, n, out_rows, ei), ei);
}

static sm_err count(struct sm_db *db, const char *sql, const struct sm_node_id *id, uint64_t *out,
                    struct sm_errinfo *ei)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL);
    if (rc == SQLITE_OK) (void)sqlite3_bind_blob(st, 1, id->b, sizeof id->b, SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) *out = (uint64_t)sqlite3_column_int64(st, 0);
    sm_err err = rc == SQLITE_ROW ? SM_OK : sm_db_fail(db, rc, "be read", ei);
    (void)sqlite3_finalize(st);
    return err;
}

sm_err sm_journal_count(struct sm_journal *j, const struct sm_node_id *id, uint64_t *out_rows, bool *out_registered,
                        struct sm_errinfo *ei)
{
    uint64_t registered = 0;
    sm_err err = start(j, ei);
    if (err) return err;
    err = count(&j->db,
                "SELECT (SELECT count(*) FROM signed WHERE subject = ?1) +"
                " (SELECT count(*) FROM minimum WHERE subject = ?1)",
                id, out_rows, ei);
    if (!err) err = count(&j->db, "SELECT count(*) FROM identity WHERE node_id = ?1", id, &registered, ei);
    *out_registered = registered != 0;
    return end(j, err, ei);
}

static bool holds(const struct sm_node_id *ids, size_t n, const void *id)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(ids[i].b, id, sizeof ids[i].b) == 0) return true;
    return false;
}

static sm_err match_keys(struct sm_db *db, const struct sm_node_id *ids, size_t n, struct sm_errinfo *ei)
{
    for (size_t i = 0; i < n; i++) {
        char hex[SM_HEX_ROOM(32)];
        uint64_t registered = 0;
        sm_err err = count(db, "SELECT count(*) FROM identity WHERE node_id = ?1", &ids[i], &registered, ei);
        if (err) return err;
        if (!registered)
            return sm_fail(ei, SM_E_MISMATCH,
                           "signing journal %s does not belong to identity %s: import its journal if it has signed "
                           "elsewhere, then its key (smesher keys import)",
                           db->path, sm_hex_encode(ids[i].b, 32, hex));
    }
    return SM_OK;
}

static sm_err match_identities(struct sm_db *db, const struct sm_node_id *ids, size_t n, struct sm_errinfo *ei)
{
    sqlite3_stmt *st = NULL;
    sm_err err = SM_OK;
    int rc = sqlite3_prepare_v2(db->sql, "SELECT node_id FROM identity ORDER BY node_id", -1, &st, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(st);
    for (; !err && rc == SQLITE_ROW; rc = sqlite3_step(st)) {
        char hex[SM_HEX_ROOM(32)];
        if (!holds(ids, n, sqlite3_column_blob(st, 0)))
            err = sm_fail(ei, SM_E_MISMATCH, "the key of identity %s, which signing journal %s belongs to, is missing",
                          sm_hex_encode(sqlite3_column_blob(st, 0), 32, hex), db->path);
        if (err) break;
    }
    if (!err && rc != SQLITE_DONE) err = sm_db_fail(db, rc, "be read", ei);
    (void)sqlite3_finalize(st);
    return err;
}

sm_err sm_journal_match(struct sm_journal *j, const struct sm_node_id *ids, size_t n, bool allow_missing,
                        struct sm_errinfo *ei)
{
    sm_err err = start(j, ei);
    if (err) return err;
    err = match_keys(&j->db, ids, n, ei);
    if (!err && !allow_missing) err = match_identities(&j->db, ids, n, ei);
    return end(j, err, ei);
}
