#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/tls_impl.h"

/* ---- making one ---- */

/* The name goes into the verification, and, unless it is an IP address, into the handshake (RFC 6066 has no place for those). */
static bool set_name(SSL *ssl, const char *name)
{
    uint8_t ip[16];
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static sm_err attach(struct sm_tls *t, SSL_CTX *ctx, int fd, struct sm_errinfo *ei)
{
    t->ssl = SSL_new(ctx);
    BIO *bio = t->ssl ? sm_tls_bio(fd) : NULL;
    if (!bio) return sm_fail(ei, SM_E_NOMEM, "%s: out of memory for TLS", t->where);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    if (t->side == SM_TLS_SERVER) {
        SSL_set_accept_state(t->ssl);
        return SM_OK;
    }
    SSL_set_connect_state(t->ssl);
    if (!set_name(t->ssl, t->name))
        return sm_fail(ei, SM_E_ARG, "%s: '%s' is not a name that a server can have", t->where, t->name);
    return SM_OK;
}

sm_err sm_tls_new(struct sm_tls_context *c, int fd, const char *name, const char *where, struct sm_tls **out,
                  struct sm_errinfo *ei)
{
    if (c->side == SM_TLS_CLIENT && (!name || !*name))
        return sm_fail(ei, SM_E_ARG, "%s: the server's name is missing", where);
    struct sm_tls *t = calloc(1, sizeof *t);
    if (!t) return sm_fail(ei, SM_E_NOMEM, "%s: out of memory for TLS", where);
    sm_err err = SM_OK;
    t->side = c->side;
    t->where = strdup(where);
    t->ca = strdup(c->ca);
    t->name = c->side == SM_TLS_CLIENT ? strdup(name) : NULL;
    if (!t->where || !t->ca || (c->side == SM_TLS_CLIENT && !t->name))
        err = sm_fail(ei, SM_E_NOMEM, "%s: out of memory for TLS", where);
    if (!err) err = attach(t, c->ssl, fd, ei);
    ERR_clear_error();
    if (err)
        sm_tls_free(t);
    else
        *out = t;
    return err;
}

void sm_tls_free(struct sm_tls *t)
{
    if (!t) return;
    if (t->ssl && t->shaken && !t->failed) (void)SSL_shutdown(t->ssl);
    SSL_free(t->ssl);
    X509_free(t->verdict.cert);
    ERR_clear_error();
    free(t->where);
    free(t->name);
    free(t->ca);
    free(t);
}

/* ---- traffic ---- */

/* What an OpenSSL call that did not succeed is waiting for. `errnum`: of just after the call. */
static sm_tls_want sort(struct sm_tls *t, int rc, int errnum, struct sm_errinfo *ei)
{
    switch (SSL_get_error(t->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return SM_TLS_READ;
    case SSL_ERROR_WANT_WRITE:
        return SM_TLS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        if (t->shaken) return SM_TLS_CLOSED;
        errnum = 0;
        break;
    case SSL_ERROR_SYSCALL:
        break;
    default:
        errnum = 0; /* OpenSSL's own errors say more */
        break;
    }
    t->why = sm_tls_explain(t, errnum, ei);
    t->failed = true;
    return SM_TLS_FAILED;
}

static sm_tls_want refuse(struct sm_tls *t, const char *text, struct sm_errinfo *ei)
{
    t->failed = true;
    t->why = sm_fail(ei, SM_E_REFUSED, "%s: %s", t->where, text);
    return SM_TLS_FAILED;
}

sm_tls_want sm_tls_handshake(struct sm_tls *t, struct sm_peer *peer, struct sm_errinfo *ei)
{
    const unsigned char *alpn;
    unsigned alpn_n;
    ERR_clear_error();
    errno = 0;
    const int rc = SSL_do_handshake(t->ssl);
    if (rc != 1) return sort(t, rc, errno, ei);
    SSL_get0_alpn_selected(t->ssl, &alpn, &alpn_n);
    if (alpn_n != 2 || memcmp(alpn, "h2", 2) != 0)
        return refuse(t, "the other side does not offer HTTP/2 over TLS (ALPN h2)", ei);
    X509 *cert = SSL_get0_peer_certificate(t->ssl);
    if (!cert ||
        SSL_get_verify_result(t->ssl) != X509_V_OK) /* the verification mode has seen to it; no second chance */
        return refuse(t, "the other side's certificate was not verified", ei);
    sm_tls_describe(cert, peer);
    if (!*peer->fingerprint_sha256) return refuse(t, "out of memory for the certificate", ei);
    peer->tls = true;
    t->shaken = true;
    return SM_TLS_DONE;
}

sm_tls_want sm_tls_read(struct sm_tls *t, uint8_t *p, size_t n, size_t *out_n, struct sm_errinfo *ei)
{
    ERR_clear_error();
    errno = 0;
    const int rc = SSL_read_ex(t->ssl, p, n, out_n);
    return rc == 1 ? SM_TLS_DONE : sort(t, rc, errno, ei);
}

sm_tls_want sm_tls_write(struct sm_tls *t, const uint8_t *p, size_t n, size_t *out_n, struct sm_errinfo *ei)
{
    ERR_clear_error();
    errno = 0;
    const int rc = SSL_write_ex(t->ssl, p, n, out_n);
    return rc == 1 ? SM_TLS_DONE : sort(t, rc, errno, ei);
}

bool sm_tls_pending(const struct sm_tls *t)
{
    return SSL_has_pending(t->ssl) == 1;
}

sm_err sm_tls_why(const struct sm_tls *t)
{
    return t->why;
}
