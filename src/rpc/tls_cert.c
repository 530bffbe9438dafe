#include "rpc/tls_impl.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void sm_tls_fingerprint(X509 *cert, char out[65])
{
    uint8_t md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    out[0] = '\0';
    if (!X509_digest(cert, EVP_sha256(), md, &n)) return;
    for (unsigned i = 0; i < n && i < 32; i++) (void)snprintf(out + 2 * i, 3, "%02x", md[i]);
}

int64_t sm_tls_seconds(const ASN1_TIME *t)
{
    struct tm tm;
    return t && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* What could be mistaken for something else is no name: separators, spaces, control characters, NUL. */
static bool is_plain(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] <= 0x20 || p[i] >= 0x7f || p[i] == ',') return false;
    return n > 0;
}

static void append(char *out, size_t room, const char *kind, const uint8_t *p, size_t n)
{
    const size_t at = strlen(out);
    if (!is_plain(p, n) || at + strlen(kind) + n + 2 > room) return;
    (void)snprintf(out + at, room - at, "%s%s%.*s", at ? "," : "", kind, (int)n, (const char *)p);
}

static void append_name(char *out, size_t room, const GENERAL_NAME *name)
{
    int type;
    char ip[INET6_ADDRSTRLEN];
    const ASN1_STRING *s = GENERAL_NAME_get0_value(name, &type);
    if (type != GEN_DNS && type != GEN_URI && type != GEN_IPADD) return;
    const uint8_t *p = ASN1_STRING_get0_data(s);
    const size_t n = (size_t)ASN1_STRING_length(s);
    if (type != GEN_IPADD)
        append(out, room, type == GEN_DNS ? "DNS:" : "URI:", p, n);
    else if ((n == 4 || n == 16) && inet_ntop(n == 4 ? AF_INET : AF_INET6, p, ip, sizeof ip))
        append(out, room, "IP:", (const uint8_t *)ip, strlen(ip));
}

void sm_tls_names(X509 *cert, char *out, size_t room)
{
    out[0] = '\0';
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) append_name(out, room, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
}

void sm_tls_describe(X509 *cert, struct sm_peer *out)
{
    char *text = X509_NAME_oneline(X509_get_subject_name(cert), NULL, 0);
    (void)snprintf(out->subject, sizeof out->subject, "%s", text ? text : "");
    OPENSSL_free(text);
    for (char *p = out->subject; *p; p++)
        if (*p < 0x20 || *p >= 0x7f) *p = '?';
    sm_tls_fingerprint(cert, out->fingerprint_sha256);
    sm_tls_names(cert, out->sans, sizeof out->sans);
}
