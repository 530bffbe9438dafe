/* keys/journal.h: which slots are taken. (subject, kind, slot) -> BLAKE3 of the signed bytes, for one network.
 *
 * sm_journal_record returns SM_OK only when the rows are on disk; the caller signs after that and not before. The same
 * hash may be recorded again, another one is refused. Callers on many threads share one transaction and one disk flush.
 *
 * SQLite, journal_mode WAL with synchronous FULL: one flush per transaction, and the commit is durable when it returns.
 * The rollback modes need three flushes for that, and DELETE with FULL is not durable at all: its commit is the removal
 * of the rollback file, which a power failure can bring back. The price is that the newest rows may be in PATH-wal:
 * copy the journal by export, not by cp.
 *
 * PATH.lock is locked for as long as the journal is open, so a second process is refused. After a commit that may or may
 * not have reached the disk the journal refuses everything until it is opened again. */
#ifndef SM_KEYS_JOURNAL_H
#define SM_KEYS_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/ids.h"

typedef enum sm_slot_kind { /* numbers are in journals on disk */
                            SM_SLOT_ATX = 1,
                            SM_SLOT_POET = 2,
                            SM_SLOT_BALLOT = 3,
                            SM_SLOT_PROPOSAL = 4,
                            SM_SLOT_HARE = 5,
                            SM_SLOT_CERTIFY = 6,
                            SM_SLOT_MARRIAGE = 7,
                            SM_SLOT_BEACON_FIRST = 8,
                            SM_SLOT_BEACON_NEXT = 9,
                            SM_SLOT_MERGED_ATX = 10,
                            SM_SLOT_KINDS,
} sm_slot_kind;

struct sm_slot {
    struct sm_hash32 subject; /* the identity; merged ATXs: the marriage ATX */
    sm_slot_kind kind;
    uint64_t n; /* below 2^63; see keys/request.h; of two numbers the first is in the upper half */
};
struct sm_journal_entry {
    struct sm_slot slot;
    struct sm_hash32 hash;
};

struct sm_journal;

/* Opens an existing journal. SM_E_NOTFOUND: there is none (deleting a journal deletes the protection, so one is made
 * only by sm_journal_create); SM_E_BUSY: another process has it; SM_E_MISMATCH: of another network; SM_E_FORMAT: damaged
 * or no journal. */
SM_MUST_CHECK sm_err sm_journal_open(const char *path, const struct sm_genesis_id *genesis, struct sm_journal **out,
                                     struct sm_errinfo *ei);
/* As open, making an empty one when there is none. */
SM_MUST_CHECK sm_err sm_journal_create(const char *path, const struct sm_genesis_id *genesis, struct sm_journal **out,
                                       struct sm_errinfo *ei);
/* Accepts NULL. No call may be in progress. */
void sm_journal_close(struct sm_journal *j);

/* Takes the slots of n entries (at most 4), all or none. SM_E_REFUSED: a slot holds another hash (both are in the text),
 * or lies below what may still be signed. Any thread; blocks for a disk flush. */
SM_MUST_CHECK sm_err sm_journal_record(struct sm_journal *j, const struct sm_journal_entry *entries, size_t n,
                                       struct sm_errinfo *ei);

/* Declares that this journal is the record of an identity from now on. Idempotent. */
SM_MUST_CHECK sm_err sm_journal_register(struct sm_journal *j, const struct sm_node_id *id, struct sm_errinfo *ei);
/* Rows and minimal slots known of an identity. */
SM_MUST_CHECK sm_err sm_journal_count(struct sm_journal *j, const struct sm_node_id *id, uint64_t *out_rows,
                                      bool *out_registered, struct sm_errinfo *ei);
/* The registered identities must be exactly `ids`; with `allow_missing`, keys of registered ones may be absent.
 * SM_E_MISMATCH names the first that is not. */
SM_MUST_CHECK sm_err sm_journal_match(struct sm_journal *j, const struct sm_node_id *ids, size_t n, bool allow_missing,
                                      struct sm_errinfo *ei);

/* Interchange, modelled on EIP-3076 with the genesis ID as binder:
 *
 *   {"metadata": {"interchange_format": "spacemesh-signing-journal", "interchange_format_version": 1,
 *                 "genesis_id": hex},
 *    "data": [{"subject": hex,
 *              "minimal_slots": [{"kind": "hare", "slot": 181446, "round": 0}, …],
 *              "signed": [{"kind": "hare", "slot": 181445, "round": 7, "hash": hex}, …]}, …]}
 *
 * A minimal slot is the lowest that may still be signed, apart from repeating rows; export makes it at least one more
 * than the highest row, so that an incomplete or old file protects too. `round` only for kinds of two numbers.
 * Export: *out is malloc'd text. */
SM_MUST_CHECK sm_err sm_journal_export(struct sm_journal *j, char **out, struct sm_errinfo *ei);
/* Merges a file: all of it or nothing. Every minimal slot becomes the higher of both, and at least one more than the
 * highest imported row. SM_E_MISMATCH: another network, or a slot with another hash than here (both in the text).
 * SM_E_FORMAT names the place. Registers nothing. */
SM_MUST_CHECK sm_err sm_journal_import(struct sm_journal *j, const char *text, size_t n, uint64_t *out_rows,
                                       struct sm_errinfo *ei);

const char *sm_slot_kind_name(sm_slot_kind kind);

#endif
