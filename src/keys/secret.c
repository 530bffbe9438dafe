#include "keys/secret.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static sm_err derive(uint8_t *bytes, uint8_t public_key[32], struct sm_errinfo *ei)
{
    uint8_t *again = sodium_malloc(SM_SECRET_BYTES);
    if (!again) return sm_fail(ei, SM_E_NOMEM, "no guarded memory for a key: is the limit of locked memory too low?");
    const int rc = crypto_sign_seed_keypair(public_key, again, bytes);
    sodium_free(again);
    return rc == 0 ? SM_OK : sm_fail(ei, SM_E_STATE, "cannot derive a public key");
}

/* Takes `bytes`, checked. */
static sm_err wrap(uint8_t *bytes, const uint8_t public_key[32], struct sm_secret **out, struct sm_errinfo *ei)
{
    struct sm_secret *s = calloc(1, sizeof *s);
    if (!s) {
        sodium_free(bytes);
        return sm_fail(ei, SM_E_NOMEM, "out of memory for a key");
    }
    memcpy(s->node_id.b, public_key, sizeof s->node_id.b);
    s->bytes = bytes;
    if (pthread_mutex_init(&s->shared.mu, NULL) != 0 || sodium_mprotect_noaccess(bytes) != 0) {
        sodium_free(bytes);
        free(s);
        return sm_fail(ei, SM_E_NOMEM, "cannot guard the memory of a key");
    }
    *out = s;
    return SM_OK;
}

sm_err sm_secret_generate(struct sm_secret **out, struct sm_errinfo *ei)
{
    if (sodium_init() < 0) return sm_fail(ei, SM_E_IO, "libsodium finds no random source");
    uint8_t *bytes = sodium_malloc(SM_SECRET_BYTES), public_key[32];
    if (!bytes) return sm_fail(ei, SM_E_NOMEM, "no guarded memory for a key: is the limit of locked memory too low?");
    randombytes_buf(bytes, 32);
    sm_err err = derive(bytes, public_key, ei);
    if (err) {
        sodium_free(bytes);
        return err;
    }
    memcpy(bytes + 32, public_key, 32);
    return wrap(bytes, public_key, out, ei);
}

sm_err sm_secret_new(uint8_t *bytes, const char *what, struct sm_secret **out, struct sm_errinfo *ei)
{
    uint8_t public_key[32];
    sm_err err = derive(bytes, public_key, ei);
    if (!err && sodium_memcmp(public_key, bytes + 32, 32) != 0)
        err = sm_fail(ei, SM_E_FORMAT, "%s: private and public do not match: restore the file from a copy", what);
    if (err) {
        sodium_free(bytes);
        return err;
    }
    return wrap(bytes, public_key, out, ei);
}

void sm_secret_free(struct sm_secret *s)
{
    if (!s) return;
    sodium_free(s->bytes); /* makes it writable, wipes it */
    (void)pthread_mutex_destroy(&s->shared.mu);
    free(s);
}

const uint8_t *sm_secret_lend(struct sm_secret *s)
{
    (void)pthread_mutex_lock(&s->shared.mu);
    const bool readable = s->shared.users || sodium_mprotect_readonly(s->bytes) == 0;
    if (readable) s->shared.users++;
    (void)pthread_mutex_unlock(&s->shared.mu);
    return readable ? s->bytes : NULL;
}

void sm_secret_return(struct sm_secret *s)
{
    (void)pthread_mutex_lock(&s->shared.mu);
    if (--s->shared.users == 0) (void)sodium_mprotect_noaccess(s->bytes);
    (void)pthread_mutex_unlock(&s->shared.mu);
}
