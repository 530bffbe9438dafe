/* keys/secret.h: one private key in guarded memory. Outside this folder nobody holds one.
 *
 * The 64 bytes (seed, public key) lie between guard pages, locked into RAM and left out of core files (libsodium), and
 * are inaccessible while nobody signs: a stray read faults instead of leaking. Freed means wiped. */
#ifndef SM_KEYS_SECRET_H
#define SM_KEYS_SECRET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "util/ids.h"

#define SM_SECRET_BYTES 64u

struct sm_secret {
    struct sm_node_id node_id; /* constant */
    struct {                   /* under mu */
        pthread_mutex_t mu;
        unsigned users; /* between lend and return; the memory is readable while it is not 0 */
    } shared;
    uint8_t *bytes; /* SM_SECRET_BYTES of sodium_malloc */
};

/* A new key from the system's random source. */
SM_MUST_CHECK sm_err sm_secret_generate(struct sm_secret **out, struct sm_errinfo *ei);
/* Takes over `bytes` (sodium_malloc'd, SM_SECRET_BYTES), also on failure. SM_E_FORMAT when the halves do not belong
 * together; `what` names the source. */
SM_MUST_CHECK sm_err sm_secret_new(uint8_t *bytes, const char *what, struct sm_secret **out, struct sm_errinfo *ei);
/* Wipes. Accepts NULL. */
void sm_secret_free(struct sm_secret *s);

/* Makes the key readable until it is returned. Any thread, many at a time. NULL when the system refuses. */
const uint8_t *sm_secret_lend(struct sm_secret *s);
void sm_secret_return(struct sm_secret *s);

#endif
