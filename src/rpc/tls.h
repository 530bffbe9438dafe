/* rpc/tls.h: TLS for gRPC: TLS 1.2 or newer, HTTP/2 agreed on by ALPN, certificates on both sides.
 *
 *   server  requires a client certificate that the CA signed; no name check
 *   client  trusts the given CA alone, no system roots; the server's name (or IP address) must be among the subject
 *           alternative names of its certificate; shows its own certificate
 *
 * A CA file may hold several certificates; each is trusted for itself, roots and intermediates alike. Sessions are not
 * resumed: every connection is verified anew. Ciphers of TLS 1.2 are the ones RFC 9113 allows (ephemeral ECDH with AEAD).
 * Revocation lists are not read: to lock somebody out, use the allow-list of fingerprints or another CA.
 *
 * Threads: a context belongs to the loop thread, except as said. Source: our spec, post-service.md "2.3". */
#ifndef SM_RPC_TLS_H
#define SM_RPC_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/peer.h"
#include "util/err.h"

/* PEM files; all three are needed. */
struct sm_tls_cfg {
    const char *ca;   /* certificates that the peers' must be signed by */
    const char *cert; /* ours, then intermediates, if any */
    const char *key;  /* of ours, without a passphrase */
};

typedef enum sm_tls_side { SM_TLS_CLIENT, SM_TLS_SERVER } sm_tls_side;

struct sm_tls_context;

/* Reads the files. SM_E_NOTFOUND, SM_E_IO (cannot be read), SM_E_FORMAT (not PEM, no certificate, no key, a key with a
 * passphrase), SM_E_MISMATCH (the key is not the certificate's), SM_E_NOMEM; the sentence names the file. Certificates that
 * have expired are taken, for this machine's clock may be wrong: sm_tls_context_validity. Any thread. */
SM_MUST_CHECK sm_err sm_tls_context_new(const struct sm_tls_cfg *cfg, sm_tls_side side, struct sm_tls_context **out,
                                        struct sm_errinfo *ei);
/* Reads the files again (SIGHUP). New connections use what was read; on failure, as above, all stays as it was. */
SM_MUST_CHECK sm_err sm_tls_context_reload(struct sm_tls_context *c, struct sm_errinfo *ei);
/* Connections that use it may go on. Accepts NULL. */
void sm_tls_context_free(struct sm_tls_context *c);

/* Of our certificate: seconds since 1970 UTC, both included. */
void sm_tls_context_validity(const struct sm_tls_context *c, int64_t *out_from_s, int64_t *out_to_s);
/* Of our certificate: what the other side's allow-list would hold. */
const char *sm_tls_context_fingerprint(const struct sm_tls_context *c);

/* ---- one connection ---- */

struct sm_tls;

typedef enum sm_tls_want {
    SM_TLS_DONE,   /* done; for reads: *out_n bytes */
    SM_TLS_READ,   /* again when the socket is readable */
    SM_TLS_WRITE,  /* again when it is writable */
    SM_TLS_CLOSED, /* the peer closed the connection */
    SM_TLS_FAILED, /* `ei` says why in one sentence; sm_tls_why(): whether trying again may help */
} sm_tls_want;

/* On a connected non-blocking socket (borrowed). `name`: client: the server's name or IP address (no brackets);
 * server: NULL. `where`: the peer, for messages; copied. SM_E_NOMEM; SM_E_ARG (name is none). */
SM_MUST_CHECK sm_err sm_tls_new(struct sm_tls_context *c, int fd, const char *name, const char *where,
                                struct sm_tls **out, struct sm_errinfo *ei);
/* Accepts NULL. Says goodbye (close_notify) if that is possible without waiting. */
void sm_tls_free(struct sm_tls *t);

/* Until SM_TLS_DONE; then `peer`'s TLS members are filled. */
sm_tls_want sm_tls_handshake(struct sm_tls *t, struct sm_peer *peer, struct sm_errinfo *ei);
sm_tls_want sm_tls_read(struct sm_tls *t, uint8_t *p, size_t n, size_t *out_n, struct sm_errinfo *ei);
/* Sends at least one byte when SM_TLS_DONE. After READ or WRITE the next call must offer the same bytes again, or more. */
sm_tls_want sm_tls_write(struct sm_tls *t, const uint8_t *p, size_t n, size_t *out_n, struct sm_errinfo *ei);
/* Bytes wait inside that no event of the socket will announce. */
bool sm_tls_pending(const struct sm_tls *t);
/* After SM_TLS_FAILED: SM_E_REFUSED (certificates, names, protocols: somebody must change something) or SM_E_NET. */
sm_err sm_tls_why(const struct sm_tls *t);

#endif
