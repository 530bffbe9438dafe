/* tests/support/rpc/certs.h: certificates made at run time, so that no key is ever part of the tree. Failures abort. */
#ifndef SM_TESTS_CERTS_H
#define SM_TESTS_CERTS_H

struct cert {
    const char *name;   /* DIR/NAME.pem and DIR/NAME.key are written */
    const char *issuer; /* the name of another one; NULL: signs itself */
    int ca;
    const char *san;  /* as of OpenSSL's configuration: "DNS:node,IP:127.0.0.1"; NULL: none */
    const char *eku;  /* "serverAuth"; NULL: none */
    int from_s, to_s; /* relative to now; both 0: from an hour ago for a day */
};

void cert_make(const char *dir, const struct cert *c);

/* The set of the tests:
 *   ca          signs server (DNS:node, IP:127.0.0.1, IP:::1), client (DNS:post), below, and those with an odd name:
 *   wrongname   DNS:elsewhere         expired, future   a server's, out of time
 *   nosan       only a common name    purpose           for clients only
 *   below       an intermediate CA, which signed deep   deep_chain.pem: deep, then below
 *   foreign_ca  signs foreign         alone             a certificate that signed itself
 *   locked.key  client's key with a passphrase */
void cert_make_all(const char *dir);

#endif
