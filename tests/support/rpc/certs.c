#include "support/rpc/certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static void need(bool good, const char *what)
{
    if (good) return;
    (void)fprintf(stderr, "certificates: %s failed\n", what);
    abort();
}

static FILE *open_in(const char *dir, const char *name, const char *kind, const char *mode)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s.%s", dir, name, kind);
    FILE *f = fopen(path, mode);
    need(f, path);
    return f;
}

static X509 *load_cert(const char *dir, const char *name)
{
    FILE *f = open_in(dir, name, "pem", "r");
    X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
    need(cert, name);
    (void)fclose(f);
    return cert;
}

static EVP_PKEY *load_key(const char *dir, const char *name)
{
    FILE *f = open_in(dir, name, "key", "r");
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    need(key, name);
    (void)fclose(f);
    return key;
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    if (!value) return;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    need(e && X509_add_ext(cert, e, -1) == 1, value);
    X509_EXTENSION_free(e);
}

static void fill(X509 *cert, X509 *issuer, const struct cert *c)
{
    uint64_t serial;
    const bool always = c->from_s == 0 && c->to_s == 0;
    X509_NAME *subject = X509_get_subject_name(cert);
    need(RAND_bytes((uint8_t *)&serial, sizeof serial) == 1, "random serial");
    need(X509_set_version(cert, 2) == 1 && ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) == 1 &&
             X509_gmtime_adj(X509_getm_notBefore(cert), always ? -3600 : c->from_s) &&
             X509_gmtime_adj(X509_getm_notAfter(cert), always ? 86400 : c->to_s) &&
             X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const uint8_t *)c->name, -1, -1, 0) == 1 &&
             X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1,
         "filling a certificate");
    add_extension(cert, issuer, NID_basic_constraints, c->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add_extension(cert, issuer, NID_key_usage, c->ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
    add_extension(cert, issuer, NID_subject_key_identifier, "hash");
    add_extension(cert, issuer, NID_authority_key_identifier, c->issuer ? "keyid:always" : NULL);
    add_extension(cert, issuer, NID_subject_alt_name, c->san);
    add_extension(cert, issuer, NID_ext_key_usage, c->eku);
}

void cert_make(const char *dir, const struct cert *c)
{
    X509 *cert = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    need(cert && key && X509_set_pubkey(cert, key) == 1, "making a key");
    X509 *issuer = c->issuer ? load_cert(dir, c->issuer) : cert;
    EVP_PKEY *signer = c->issuer ? load_key(dir, c->issuer) : key;
    fill(cert, issuer, c);
    need(X509_sign(cert, signer, EVP_sha256()) > 0, "signing");
    FILE *f = open_in(dir, c->name, "pem", "w");
    need(PEM_write_X509(f, cert) == 1 && fclose(f) == 0, c->name);
    f = open_in(dir, c->name, "key", "w");
    need(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0, c->name);
    if (c->issuer) {
        X509_free(issuer);
        EVP_PKEY_free(signer);
    }
    EVP_PKEY_free(key);
    X509_free(cert);
}

static void write_chain(const char *dir)
{
    FILE *f = open_in(dir, "deep_chain", "pem", "w");
    X509 *deep = load_cert(dir, "deep"), *below = load_cert(dir, "below");
    need(PEM_write_X509(f, deep) == 1 && PEM_write_X509(f, below) == 1 && fclose(f) == 0, "writing a chain");
    X509_free(deep);
    X509_free(below);
}

static void write_locked(const char *dir)
{
    FILE *f = open_in(dir, "locked", "key", "w");
    EVP_PKEY *key = load_key(dir, "client");
    need(PEM_write_PKCS8PrivateKey(f, key, EVP_aes_128_cbc(), "x", 1, NULL, NULL) == 1 && fclose(f) == 0,
         "locking a key");
    EVP_PKEY_free(key);
}

void cert_make_all(const char *dir)
{
    static const char here[] = "DNS:node,IP:127.0.0.1,IP:::1";
    static const struct cert all[] = {
        {.name = "ca", .ca = 1},
        {.name = "server", .issuer = "ca", .san = here, .eku = "serverAuth"},
        {.name = "client", .issuer = "ca", .san = "DNS:post", .eku = "clientAuth"},
        {.name = "wrongname", .issuer = "ca", .san = "DNS:elsewhere"},
        {.name = "expired", .issuer = "ca", .san = here, .from_s = -7200, .to_s = -3600},
        {.name = "future", .issuer = "ca", .san = here, .from_s = 3600, .to_s = 7200},
        {.name = "nosan", .issuer = "ca"},
        {.name = "purpose", .issuer = "ca", .san = here, .eku = "clientAuth"},
        {.name = "below", .issuer = "ca", .ca = 1},
        {.name = "deep", .issuer = "below", .san = here},
        {.name = "foreign_ca", .ca = 1},
        {.name = "foreign", .issuer = "foreign_ca", .san = here},
        {.name = "alone", .san = here},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) cert_make(dir, &all[i]);
    write_chain(dir);
    write_locked(dir);
}
