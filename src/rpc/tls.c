#include "rpc/tls.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/tls_impl.h"
#include "util/io.h"

#define PEM_MAX (1024u * 1024u)

static const uint8_t alpn_h2[] = {2, 'h', '2'};

/* ---- PEM files ---- */

static sm_err read_pem(const char *path, BIO **out, char **out_text, struct sm_errinfo *ei)
{
    size_t n;
    sm_err err = sm_io_read_file(path, PEM_MAX, out_text, &n, ei);
    if (err) return err;
    *out = BIO_new_mem_buf(*out_text, (int)n);
    return *out ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory for %s", path);
}

/* Instead of OpenSSL's, which asks on the terminal. */
static int no_passphrase(char *buf, int room, int writing, void *ctx)
{
    (void)buf, (void)room, (void)writing;
    *(bool *)ctx = true;
    return -1;
}

static sm_err explain_use(const char *path, size_t which, sm_err err, struct sm_errinfo *ei)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error()); /* "ee key too small", "malloc failure" */
    return sm_fail(ei, err, "%s: cannot use certificate %zu: %s", path, which, why ? why : "unknown reason");
}

/* Calls use(certificate) on each of the file; the certificate is borrowed. */
static sm_err each_cert(const char *path, sm_err (*use)(void *ctx, X509 *cert), void *ctx, struct sm_errinfo *ei)
{
    char *text = NULL;
    BIO *bio = NULL;
    bool asked = false;
    size_t n = 0;
    sm_err err = read_pem(path, &bio, &text, ei);
    ERR_clear_error();
    while (!err) {
        X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, &asked);
        if (!cert) break;
        err = use(ctx, cert);
        if (err) err = explain_use(path, n + 1, err, ei);
        X509_free(cert);
        n++;
    }
    const unsigned long why = ERR_peek_last_error();
    ERR_clear_error();
    if (!err && n == 0) err = sm_fail(ei, SM_E_FORMAT, "%s holds no PEM certificate", path);
    if (!err && ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
        err = sm_fail(ei, SM_E_FORMAT, "%s: certificate %zu is damaged", path, n + 1);
    BIO_free(bio);
    free(text);
    return err;
}

static sm_err read_key(const char *path, EVP_PKEY **out, struct sm_errinfo *ei)
{
    char *text = NULL;
    BIO *bio = NULL;
    bool asked = false;
    sm_err err = read_pem(path, &bio, &text, ei);
    if (!err) *out = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
    ERR_clear_error();
    if (!err && !*out && asked)
        err = sm_fail(ei, SM_E_FORMAT,
                      "%s: the key is locked with a passphrase: store it without (openssl pkey -in ...)", path);
    else if (!err && !*out)
        err = sm_fail(ei, SM_E_FORMAT, "%s holds no PEM private key", path);
    BIO_free(bio);
    if (text) OPENSSL_cleanse(text, strlen(text));
    free(text);
    return err;
}

/* ---- building an SSL_CTX ---- */

static sm_err use_ca(void *ctx, X509 *cert)
{
    SSL_CTX *ssl = ctx;
    const bool added = X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), cert) == 1;
    return added && SSL_CTX_add_client_CA(ssl, cert) == 1 ? SM_OK : SM_E_NOMEM;
}

static sm_err use_own(void *ctx, X509 *cert)
{
    SSL_CTX *ssl = ctx;
    if (!SSL_CTX_get0_certificate(ssl)) return SSL_CTX_use_certificate(ssl, cert) == 1 ? SM_OK : SM_E_FORMAT;
    return SSL_CTX_add1_chain_cert(ssl, cert) == 1 ? SM_OK : SM_E_NOMEM;
}

static sm_err load_files(SSL_CTX *ssl, const struct sm_tls_context *c, struct sm_errinfo *ei)
{
    EVP_PKEY *key = NULL;
    sm_err err = each_cert(c->ca, use_ca, ssl, ei);
    if (!err) err = each_cert(c->cert, use_own, ssl, ei);
    if (!err) err = read_key(c->key, &key, ei);
    if (!err &&
        (X509_check_private_key(SSL_CTX_get0_certificate(ssl), key) != 1 || SSL_CTX_use_PrivateKey(ssl, key) != 1))
        err = sm_fail(ei, SM_E_MISMATCH, "the key in %s does not belong to the certificate in %s", c->key, c->cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return err;
}

static int select_h2(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned in_n,
                     void *ctx)
{
    (void)ssl, (void)ctx;
    for (unsigned i = 0; i < in_n; i += 1u + in[i]) {
        if (in_n - i < sizeof alpn_h2 || memcmp(in + i, alpn_h2, sizeof alpn_h2) != 0) continue;
        *out = in + i + 1;
        *out_n = in[i];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Keeps what the verification did not like: OpenSSL drops the certificate together with the handshake. */
static int on_verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct sm_tls *t = SSL_get_app_data(ssl);
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    if (ok || t->verdict.code) return ok;
    t->verdict.code = X509_STORE_CTX_get_error(store);
    t->verdict.depth = X509_STORE_CTX_get_error_depth(store);
    if (cert && X509_up_ref(cert)) t->verdict.cert = cert;
    return 0;
}

static bool set_rules(SSL_CTX *ssl, sm_tls_side side)
{
    const int verify = SSL_VERIFY_PEER | (side == SM_TLS_SERVER ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    SSL_CTX_set_verify(ssl, verify, on_verify);
    /* A CA file may hold an intermediate, or the peer's own certificate: Go and rustls trust what they are given, too. */
    (void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
    /* Without tickets and sessions every connection is verified, also after a reload with another CA. */
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* Idle connections keep no record buffers; writes go on from wherever the output queue moved. */
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (side == SM_TLS_SERVER) SSL_CTX_set_alpn_select_cb(ssl, select_h2, NULL);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 && SSL_CTX_set_num_tickets(ssl, 0) == 1 &&
           SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
           (side == SM_TLS_SERVER || SSL_CTX_set_alpn_protos(ssl, alpn_h2, sizeof alpn_h2) == 0);
}

sm_err sm_tls_context_reload(struct sm_tls_context *c, struct sm_errinfo *ei)
{
    SSL_CTX *ssl = SSL_CTX_new(c->side == SM_TLS_SERVER ? TLS_server_method() : TLS_client_method());
    sm_err err = SM_OK;
    if (!ssl || !set_rules(ssl, c->side)) err = sm_fail(ei, SM_E_NOMEM, "OpenSSL cannot be set up");
    if (!err) err = load_files(ssl, c, ei);
    if (err) {
        SSL_CTX_free(ssl);
        ERR_clear_error();
        return err;
    }
    SSL_CTX_free(c->ssl); /* connections hold references of their own */
    c->ssl = ssl;
    X509 *own = SSL_CTX_get0_certificate(ssl);
    c->from_s = sm_tls_seconds(X509_get0_notBefore(own));
    c->to_s = sm_tls_seconds(X509_get0_notAfter(own));
    sm_tls_fingerprint(own, c->fingerprint);
    return SM_OK;
}

sm_err sm_tls_context_new(const struct sm_tls_cfg *cfg, sm_tls_side side, struct sm_tls_context **out,
                          struct sm_errinfo *ei)
{
    struct sm_tls_context *c = calloc(1, sizeof *c);
    if (!c) return sm_fail(ei, SM_E_NOMEM, "out of memory for TLS");
    sm_err err = SM_OK;
    c->side = side;
    if (!cfg->ca || !cfg->cert || !cfg->key) {
        err = sm_fail(ei, SM_E_ARG, "TLS needs three files: the CA, our certificate and its key; %s is missing",
                      !cfg->ca     ? "the CA"
                      : !cfg->cert ? "our certificate"
                                   : "the key");
    } else {
        c->ca = strdup(cfg->ca);
        c->cert = strdup(cfg->cert);
        c->key = strdup(cfg->key);
        if (!c->ca || !c->cert || !c->key) err = sm_fail(ei, SM_E_NOMEM, "out of memory for TLS");
    }
    if (!err) err = sm_tls_context_reload(c, ei);
    if (err)
        sm_tls_context_free(c);
    else
        *out = c;
    return err;
}

void sm_tls_context_free(struct sm_tls_context *c)
{
    if (!c) return;
    SSL_CTX_free(c->ssl);
    free(c->ca);
    free(c->cert);
    free(c->key);
    free(c);
}

void sm_tls_context_validity(const struct sm_tls_context *c, int64_t *out_from_s, int64_t *out_to_s)
{
    *out_from_s = c->from_s;
    *out_to_s = c->to_s;
}

const char *sm_tls_context_fingerprint(const struct sm_tls_context *c)
{
    return c->fingerprint;
}
