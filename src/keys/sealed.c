#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "keys/keyfile.h"
#include "util/io.h"

#define VERSION 1u
/* What a file may ask of us: beyond, it is damaged or hostile. */
#define PASSES_MAX 64u
#define MEMORY_MAX (UINT64_C(4) << 30)

enum { AT_VERSION = 8, AT_PASSES = 12, AT_MEMORY = 16, AT_SALT = 24, AT_NONCE = 40, AT_PUBLIC = 64, AT_BOX = 96 };
_Static_assert(AT_BOX + SM_SECRET_BYTES + crypto_secretbox_MACBYTES == SM_SEALED_BYTES, "layout");
_Static_assert(AT_NONCE - AT_SALT == crypto_pwhash_SALTBYTES, "layout");
_Static_assert(AT_PUBLIC - AT_NONCE == crypto_secretbox_NONCEBYTES, "layout");

sm_err sm_sealed_peek(struct sm_slice file, const char *what, struct sm_node_id *out, struct sm_errinfo *ei)
{
    if (file.n != SM_SEALED_BYTES || memcmp(file.p, "smeskey\n", 8) != 0)
        return sm_fail(ei, SM_E_FORMAT, "%s is not a sealed key (%u bytes, beginning with smeskey)", what,
                       SM_SEALED_BYTES);
    const uint32_t version = sm_le32_load(file.p + AT_VERSION), passes = sm_le32_load(file.p + AT_PASSES);
    const uint64_t memory = sm_le64_load(file.p + AT_MEMORY);
    if (version != VERSION)
        return sm_fail(ei, SM_E_FORMAT, "%s: sealed by version %u of the format, this program knows version %u", what,
                       version, VERSION);
    if (passes < crypto_pwhash_OPSLIMIT_MIN || passes > PASSES_MAX || memory < crypto_pwhash_MEMLIMIT_MIN ||
        memory > MEMORY_MAX)
        return sm_fail(ei, SM_E_FORMAT, "%s: damaged: its Argon2id cost is out of range", what);
    memcpy(out->b, file.p + AT_PUBLIC, sizeof out->b);
    return SM_OK;
}

static sm_err derive(const uint8_t *header, const struct sm_passphrase *pass, uint8_t *key, struct sm_errinfo *ei)
{
    if (crypto_pwhash(key, crypto_secretbox_KEYBYTES, (const char *)pass->bytes, pass->n, header + AT_SALT,
                      sm_le32_load(header + AT_PASSES), (size_t)sm_le64_load(header + AT_MEMORY),
                      crypto_pwhash_ALG_ARGON2ID13) != 0)
        return sm_fail(ei, SM_E_NOMEM, "not enough memory to derive a key from the passphrase");
    return SM_OK;
}

sm_err sm_sealed_open(struct sm_slice file, const char *what, const struct sm_passphrase *pass, struct sm_secret **out,
                      struct sm_errinfo *ei)
{
    struct sm_node_id claimed;
    struct sm_secret *s = NULL;
    sm_err err = sm_sealed_peek(file, what, &claimed, ei);
    if (!err && sodium_init() < 0) err = sm_fail(ei, SM_E_IO, "libsodium finds no random source");
    if (err) return err;
    uint8_t *key = sodium_malloc(crypto_secretbox_KEYBYTES), *bytes = sodium_malloc(SM_SECRET_BYTES);
    if (!key || !bytes) {
        err = sm_fail(ei, SM_E_NOMEM, "no guarded memory to open %s", what);
        goto out;
    }
    err = derive(file.p, pass, key, ei);
    if (err) goto out;
    if (crypto_secretbox_open_easy(bytes, file.p + AT_BOX, SM_SEALED_BYTES - AT_BOX, file.p + AT_NONCE, key) != 0) {
        err = sm_fail(ei, SM_E_REFUSED, "%s: wrong passphrase, or the file is damaged", what);
        goto out;
    }
    err = sm_secret_new(bytes, what, &s, ei);
    bytes = NULL;
    if (err) goto out;
    if (memcmp(&claimed, &s->node_id, sizeof claimed) != 0) {
        err = sm_fail(ei, SM_E_FORMAT, "%s: the public key written on it is not that of the key inside", what);
        goto out;
    }
    *out = s;
    s = NULL;
out:
    sm_secret_free(s);
    sodium_free(bytes);
    sodium_free(key);
    return err;
}

sm_err sm_sealed_make(struct sm_secret *s, const struct sm_passphrase *pass, struct sm_seal_cost cost,
                      uint8_t out[SM_SEALED_BYTES], struct sm_errinfo *ei)
{
    uint8_t *key = sodium_malloc(crypto_secretbox_KEYBYTES);
    if (!key) return sm_fail(ei, SM_E_NOMEM, "no guarded memory to seal a key");
    memcpy(out, "smeskey\n", 8);
    sm_le32_store(out + AT_VERSION, VERSION);
    sm_le32_store(out + AT_PASSES, cost.passes ? cost.passes : (uint32_t)crypto_pwhash_OPSLIMIT_MODERATE);
    sm_le64_store(out + AT_MEMORY, cost.memory_bytes ? cost.memory_bytes : crypto_pwhash_MEMLIMIT_MODERATE);
    randombytes_buf(out + AT_SALT, AT_PUBLIC - AT_SALT); /* salt and nonce */
    memcpy(out + AT_PUBLIC, s->node_id.b, sizeof s->node_id.b);
    sm_err err = derive(out, pass, key, ei);
    const uint8_t *bytes = err ? NULL : sm_secret_lend(s);
    if (!err && !bytes) err = sm_fail(ei, SM_E_NOMEM, "the memory of the key cannot be made readable");
    if (bytes) {
        (void)crypto_secretbox_easy(out + AT_BOX, bytes, SM_SECRET_BYTES, out + AT_NONCE, key);
        sm_secret_return(s);
    }
    sodium_free(key);
    return err;
}

/* ---- passphrases ---- */

sm_err sm_passphrase_read(int fd, const char *what, struct sm_passphrase *out, struct sm_errinfo *ei)
{
    size_t n = 0;
    sm_err err = SM_OK;
    if (sodium_init() < 0) return sm_fail(ei, SM_E_IO, "libsodium finds no random source");
    uint8_t *p = sodium_malloc(SM_PASSPHRASE_MAX + 2);
    if (!p) return sm_fail(ei, SM_E_NOMEM, "no guarded memory for a passphrase");
    while (n < SM_PASSPHRASE_MAX + 2) {
        const ssize_t k = read(fd, p + n, SM_PASSPHRASE_MAX + 2 - n);
        if (k == 0) break;
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) {
            err = sm_fail_errno(ei, errno, "cannot read the passphrase from %s", what);
            goto out;
        }
        n += (size_t)k;
        if (isatty(fd) && p[n - 1] == '\n') break;
    }
    if (n && p[n - 1] == '\n') n--;
    if (n == 0 || n > SM_PASSPHRASE_MAX) {
        err = sm_fail(ei, SM_E_FORMAT, "%s: a passphrase of 1 to %u bytes is expected", what, SM_PASSPHRASE_MAX);
        goto out;
    }
    *out = (struct sm_passphrase){p, n};
    p = NULL;
out:
    sodium_free(p);
    return err;
}

static sm_err ask_once(int tty, const char *prompt, struct sm_passphrase *out, struct sm_errinfo *ei)
{
    struct termios old, quiet;
    if (tcgetattr(tty, &old) != 0) return sm_fail_errno(ei, errno, "cannot ask for a passphrase");
    quiet = old;
    quiet.c_lflag &= (tcflag_t)~ECHO;
    /* Silent before the question: whoever answers at once is not shown, nor is the answer thrown away. */
    if (tcsetattr(tty, TCSAFLUSH, &quiet) != 0) return sm_fail_errno(ei, errno, "cannot ask for a passphrase");
    sm_err err =
        write(tty, prompt, strlen(prompt)) < 0 ? sm_fail_errno(ei, errno, "cannot ask for a passphrase") : SM_OK;
    if (!err) err = sm_passphrase_read(tty, "the terminal", out, ei);
    (void)tcsetattr(tty, TCSAFLUSH, &old);
    if (write(tty, "\n", 1) < 0) { /* nobody reads the answer */
    }
    return err;
}

sm_err sm_passphrase_ask(const char *prompt, bool confirm, struct sm_passphrase *out, struct sm_errinfo *ei)
{
    int tty = -1;
    struct sm_passphrase first = {0}, again = {0};
    if (sm_io_open("/dev/tty", O_RDWR | O_NOCTTY, 0, &tty, NULL))
        return sm_fail(ei, SM_E_NOTFOUND, "no terminal to ask for the passphrase: give it by file or descriptor");
    sm_err err = ask_once(tty, prompt, &first, ei);
    if (!err && confirm) err = ask_once(tty, "The same again: ", &again, ei);
    if (!err && confirm && (first.n != again.n || sodium_memcmp(first.bytes, again.bytes, first.n) != 0))
        err = sm_fail(ei, SM_E_MISMATCH, "the two passphrases differ");
    sm_passphrase_fini(&again);
    if (err)
        sm_passphrase_fini(&first);
    else
        *out = first;
    sm_io_close(tty);
    return err;
}

void sm_passphrase_fini(struct sm_passphrase *p)
{
    sodium_free(p->bytes);
    *p = (struct sm_passphrase){0};
}
