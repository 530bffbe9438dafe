/* keys/journal_db.h: the tables of the journal; inside keys/ only. One thread at a time. */
#ifndef SM_KEYS_JOURNAL_DB_H
#define SM_KEYS_JOURNAL_DB_H

#include <sqlite3.h>

#include "keys/journal.h"

typedef enum sm_db_statement {
    SM_DB_BEGIN,
    SM_DB_COMMIT,
    SM_DB_ROLLBACK,
    SM_DB_FIND,    /* hash of a slot */
    SM_DB_HIGHEST, /* slot of a subject and kind */
    SM_DB_MINIMUM, /* minimal slot of a subject and kind */
    SM_DB_INSERT,
    SM_DB_RAISE, /* a minimal slot */
    SM_DB_REGISTER,
    SM_DB_STATEMENTS,
} sm_db_statement;

struct sm_db {
    sqlite3 *sql;
    sqlite3_stmt *st[SM_DB_STATEMENTS];
    char *path;
    int lock_fd;
    struct sm_genesis_id genesis;
};

SM_MUST_CHECK sm_err sm_db_open(const char *path, const struct sm_genesis_id *genesis, bool create, struct sm_db *db,
                                struct sm_errinfo *ei);
void sm_db_close(struct sm_db *db); /* accepts what open left behind */

/* A failure of SQLite as ours, with its text. */
sm_err sm_db_fail(struct sm_db *db, int rc, const char *what, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_db_begin(struct sm_db *db, struct sm_errinfo *ei);
/* *out_unsure: it may or may not be on disk. Rolls back otherwise. */
SM_MUST_CHECK sm_err sm_db_commit(struct sm_db *db, bool *out_unsure, struct sm_errinfo *ei);
void sm_db_rollback(struct sm_db *db);

/* Inside a transaction. */
SM_MUST_CHECK sm_err sm_db_find(struct sm_db *db, const struct sm_slot *slot, bool *out_found, struct sm_hash32 *out,
                                struct sm_errinfo *ei);
/* The lowest slot of the subject and kind that has no row and may be signed. */
SM_MUST_CHECK sm_err sm_db_lowest(struct sm_db *db, const struct sm_slot *slot, bool ascending, uint64_t *out,
                                  struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_db_insert(struct sm_db *db, const struct sm_journal_entry *e, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_db_raise(struct sm_db *db, const struct sm_slot *minimum, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_db_register(struct sm_db *db, const struct sm_node_id *id, struct sm_errinfo *ei);

/* Does the kind take two numbers? */
bool sm_slot_kind_is_pair(sm_slot_kind kind);

/* Import and export inside a transaction. */
SM_MUST_CHECK sm_err sm_db_export(struct sm_db *db, char **out, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_db_import(struct sm_db *db, const char *text, size_t n, uint64_t *out_rows,
                                  struct sm_errinfo *ei);
/* The refusal of a second hash, both shown. */
sm_err sm_slot_conflict(sm_err err, const struct sm_journal_entry *e, const struct sm_hash32 *held,
                        struct sm_errinfo *ei);

#endif
