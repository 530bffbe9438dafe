/* OpenSSL says "certificate verify failed"; an operator needs to know which file to change on which machine. */
#include "rpc/tls_impl.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *other(const struct sm_tls *t)
{
    return t->side == SM_TLS_CLIENT ? "server" : "client";
}

static const char *day(int64_t s, char out[32])
{
    const time_t t = (time_t)s;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0) (void)snprintf(out, 32, "?");
    return out;
}

/* ---- the peer's certificate does not pass ---- */

static sm_err explain_name(const struct sm_tls *t, struct sm_errinfo *ei)
{
    char names[256] = "";
    if (t->verdict.cert) sm_tls_names(t->verdict.cert, names, sizeof names);
    return sm_fail(ei, SM_E_REFUSED,
                   "%s: the server's certificate is not for %s but for %s: name the server as its certificate does, or "
                   "get it a certificate with this name as subjectAltName",
                   t->where, t->name ? t->name : "?", *names ? names : "no name at all (no subjectAltName)");
}

static sm_err explain_date(const struct sm_tls *t, bool expired, struct sm_errinfo *ei)
{
    char text[32] = "?";
    const char *which = t->verdict.depth ? "CA above the " : "";
    if (t->verdict.cert)
        (void)day(sm_tls_seconds(expired ? X509_get0_notAfter(t->verdict.cert) : X509_get0_notBefore(t->verdict.cert)),
                  text);
    if (expired)
        return sm_fail(ei, SM_E_REFUSED,
                       "%s: the certificate of the %s%s expired at %s: renew it, or set this machine's clock", t->where,
                       which, other(t), text);
    return sm_fail(ei, SM_E_REFUSED,
                   "%s: the certificate of the %s%s is not valid before %s: is this machine's clock right?", t->where,
                   which, other(t), text);
}

static sm_err explain_verify(const struct sm_tls *t, struct sm_errinfo *ei)
{
    switch (t->verdict.code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return explain_date(t, true, ei);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return explain_date(t, false, ei);
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return explain_name(t, ei);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return sm_fail(
            ei, SM_E_REFUSED,
            "%s: the %s's certificate is not signed by the CA in %s: wrong CA file, or a peer of another set", t->where,
            other(t), t->ca);
    case X509_V_ERR_INVALID_PURPOSE:
        return sm_fail(ei, SM_E_REFUSED,
                       "%s: the %s's certificate is not meant for a TLS %s: its extended key usage must hold %s",
                       t->where, other(t), other(t), t->side == SM_TLS_CLIENT ? "serverAuth" : "clientAuth");
    default:
        return sm_fail(ei, SM_E_REFUSED, "%s: the %s's certificate does not pass: %s", t->where, other(t),
                       X509_verify_cert_error_string(t->verdict.code));
    }
}

/* ---- everything else ---- */

struct reason {
    int code;
    sm_err err;
    const char *text; /* behind "WHERE: " */
};

static const struct reason reasons[] = {
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, SM_E_REFUSED,
     "the client shows no certificate, or none of our CA: it needs one, with its key"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, SM_E_REFUSED, "the other side demands a certificate, and we showed none"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, SM_E_REFUSED,
     "the other side does not accept our certificate: the CA that it trusts did not sign it"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, SM_E_REFUSED,
     "the other side says that our certificate has expired (or is not valid yet, or its clock is wrong)"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, SM_E_REFUSED, "the other side says that our certificate was revoked"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, SM_E_REFUSED,
     "the other side does not accept our certificate (wrong CA, name or purpose)"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, SM_E_REFUSED, "the other side does not accept our certificate"},
    {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, SM_E_REFUSED,
     "the other side says that our certificate is of the wrong kind (extended key usage?)"},
    {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, SM_E_REFUSED,
     "the other side does not speak HTTP/2 over TLS (ALPN h2)"},
    {SSL_R_NO_APPLICATION_PROTOCOL, SM_E_REFUSED, "the other side does not offer HTTP/2 over TLS (ALPN h2)"},
    {SSL_R_WRONG_VERSION_NUMBER, SM_E_REFUSED,
     "the other side does not speak TLS there: is it a plain-text port, or an http address?"},
    {SSL_R_HTTP_REQUEST, SM_E_REFUSED, "the other side speaks plain HTTP to a TLS port: use https"},
    {SSL_R_UNSUPPORTED_PROTOCOL, SM_E_REFUSED, "the other side has no TLS 1.2 or newer"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, SM_E_REFUSED, "the other side and we have no version of TLS in common"},
    {SSL_R_NO_SHARED_CIPHER, SM_E_REFUSED, "the other side and we have no cipher in common"},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, SM_E_REFUSED,
     "the other side ends the handshake: no cipher in common, or no acceptable certificate"},
};

static const struct reason *find_reason(int code)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].code == code) return &reasons[i];
    return NULL;
}

static sm_err explain_queue(const char *where, unsigned long code, int errnum, struct sm_errinfo *ei)
{
    const struct reason *r = ERR_GET_LIB(code) == ERR_LIB_SSL ? find_reason(ERR_GET_REASON(code)) : NULL;
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    if (r) return sm_fail(ei, r->err, "%s: %s", where, r->text);
    if (text) return sm_fail(ei, SM_E_NET, "%s: TLS failed: %s", where, text);
    if (errnum) {
        (void)sm_fail_errno(ei, errnum, "%s", where);
        return SM_E_NET;
    }
    return sm_fail(ei, SM_E_NET,
                   "%s: the other side closed the connection during the TLS handshake: perhaps it does not accept our "
                   "certificate",
                   where);
}

sm_err sm_tls_explain(const struct sm_tls *t, int errnum, struct sm_errinfo *ei)
{
    const unsigned long code = ERR_get_error(); /* the first; what follows are its consequences */
    ERR_clear_error();
    if (t->verdict.code && !t->shaken) return explain_verify(t, ei);
    return explain_queue(t->where, code, errnum, ei);
}
