/* rpc/tls_impl.h: shared by the tls*.c files only. */
#ifndef SM_RPC_TLS_IMPL_H
#define SM_RPC_TLS_IMPL_H

#include <openssl/ssl.h>

#include "rpc/tls.h"

struct sm_tls_context {
    sm_tls_side side;
    char *ca, *cert, *key; /* paths */
    SSL_CTX *ssl;
    int64_t from_s, to_s; /* of our certificate */
    char fingerprint[65];
};

/* Lower-case hex of SHA-256 of the DER. Empty when OpenSSL is out of memory. */
void sm_tls_fingerprint(X509 *cert, char out[65]);
/* Seconds since 1970. */
int64_t sm_tls_seconds(const ASN1_TIME *t);
/* Fills the members of `out` that describe a certificate. */
void sm_tls_describe(X509 *cert, struct sm_peer *out);
/* "DNS:a,IP:b" of a certificate into `out`, whole names only. */
void sm_tls_names(X509 *cert, char *out, size_t room);

struct sm_tls {
    sm_tls_side side;
    SSL *ssl;
    char *where, *name, *ca; /* for messages; name: NULL on servers */
    bool shaken, failed;
    sm_err why;
    struct {             /* what the verification did not like */
        int code, depth; /* code 0: nothing */
        X509 *cert;
    } verdict;
};

/* Why a handshake, read or write failed: takes OpenSSL's error queue and the verdict, writes one sentence and returns
 * SM_E_REFUSED or SM_E_NET. errnum: of the socket, or 0. */
sm_err sm_tls_explain(const struct sm_tls *t, int errnum, struct sm_errinfo *ei);

/* A BIO on a socket (borrowed) that writes with MSG_NOSIGNAL; NULL: out of memory. */
BIO *sm_tls_bio(int fd);

#endif
