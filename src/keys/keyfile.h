/* keys/keyfile.h: identity keys on disk.
 *
 * Plain (NAME.key), as go-spacemesh reads and writes them: exactly 128 hex digits, seed then public key, no newline,
 * mode 0600; written in lower case. Reading takes either case and one trailing newline (LF or CRLF). Source: wire.md
 * §3.3, post-service.md §9.3.
 *
 * Sealed (NAME.skey), ours: 176 bytes, little endian.
 *
 *   0    8  "smeskey\n"
 *   8    4  version, 1
 *   12   4  Argon2id passes
 *   16   8  Argon2id memory, bytes
 *   24  16  salt
 *   40  24  nonce
 *   64  32  public key, so that identities can be listed without the passphrase
 *   96  80  crypto_secretbox(the 64 bytes of the key), key = Argon2id(passphrase, salt)
 *
 * The stored public key must be the one inside. A file is never overwritten, and appears whole or not at all. */
#ifndef SM_KEYS_KEYFILE_H
#define SM_KEYS_KEYFILE_H

#include <stddef.h>
#include <stdint.h>

#include "keys/secret.h"
#include "util/bytes.h"

#define SM_KEY_SUFFIX     ".key"
#define SM_SEALED_SUFFIX  ".skey"
#define SM_SEALED_BYTES   176u
#define SM_KEY_NAME_ROOM  256u
#define SM_PASSPHRASE_MAX 1024u
#define SM_KEY_LOCAL_NAME "local.key" /* reserved for the only identity of a node */

/* A passphrase in guarded memory; n bytes, no terminator. */
struct sm_passphrase {
    uint8_t *bytes;
    size_t n;
};
/* Reads to the end of `fd`; one trailing newline is not part of it. SM_E_FORMAT when empty or too long. */
SM_MUST_CHECK sm_err sm_passphrase_read(int fd, const char *what, struct sm_passphrase *out, struct sm_errinfo *ei);
/* Asks on the terminal without echo, twice when `confirm`. SM_E_NOTFOUND without a terminal. */
SM_MUST_CHECK sm_err sm_passphrase_ask(const char *prompt, bool confirm, struct sm_passphrase *out,
                                       struct sm_errinfo *ei);
void sm_passphrase_fini(struct sm_passphrase *p);

/* Cost of sealing. Zero: libsodium's MODERATE (3 passes, 256 MiB). */
struct sm_seal_cost {
    uint32_t passes;
    uint64_t memory_bytes;
};

/* One key file. `name` is the file's name, by which go-spacemesh knows the identity. */
struct sm_keyfile {
    char name[SM_KEY_NAME_ROOM];
    struct sm_node_id node_id;
    bool sealed;
    bool exposed;             /* readable by group or others: warn */
    int lock_fd;              /* -1: not locked */
    struct sm_secret *secret; /* NULL when only listed */
};
struct sm_keyring {
    struct sm_keyfile *v; /* in the order of the names */
    size_t n;
};

/* Decodes the text of a plain file. `what` names it. Does not keep `text`, which the caller wipes. */
SM_MUST_CHECK sm_err sm_keyfile_decode(struct sm_slice text, const char *what, struct sm_secret **out,
                                       struct sm_errinfo *ei);
/* The public key of a sealed file, its structure checked; no passphrase. */
SM_MUST_CHECK sm_err sm_sealed_peek(struct sm_slice file, const char *what, struct sm_node_id *out,
                                    struct sm_errinfo *ei);
/* SM_E_REFUSED: the passphrase is wrong or the file damaged. Takes seconds and memory by design. */
SM_MUST_CHECK sm_err sm_sealed_open(struct sm_slice file, const char *what, const struct sm_passphrase *pass,
                                    struct sm_secret **out, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_sealed_make(struct sm_secret *s, const struct sm_passphrase *pass, struct sm_seal_cost cost,
                                    uint8_t out[SM_SEALED_BYTES], struct sm_errinfo *ei);

/* Reads one file of either kind, told apart by content. `pass` may be NULL for plain files; a sealed one then is
 * SM_E_REFUSED. */
SM_MUST_CHECK sm_err sm_keyfile_read(const char *path, const struct sm_passphrase *pass, struct sm_secret **out,
                                     bool *out_exposed, struct sm_errinfo *ei);
/* Writes DIR/NAME, durable, mode 0600; the directory is made (0700) when missing. `name` ends in .key, or in .skey when
 * `pass` is given. SM_E_MISMATCH when the file exists, or when another file of the directory holds the same key. */
SM_MUST_CHECK sm_err sm_keyfile_write_new(const char *dir, const char *name, struct sm_secret *s,
                                          const struct sm_passphrase *pass, struct sm_seal_cost cost,
                                          struct sm_errinfo *ei);

typedef enum sm_keyring_mode { SM_KEYRING_LIST, SM_KEYRING_OPEN } sm_keyring_mode;
/* All identities of a directory: regular files directly in it named *.key or *.skey. Two files with one key are
 * SM_E_MISMATCH, as is local.key beside others. LIST keeps no secret. OPEN keeps them, and locks every file against
 * a second process for as long as the ring lives (SM_E_BUSY). */
SM_MUST_CHECK sm_err sm_keyring_load(const char *dir, sm_keyring_mode mode, const struct sm_passphrase *pass,
                                     struct sm_keyring *out, struct sm_errinfo *ei);
void sm_keyring_fini(struct sm_keyring *r);
/* NULL when the ring has no such identity. */
const struct sm_keyfile *sm_keyring_find(const struct sm_keyring *r, const struct sm_node_id *id);

#endif
