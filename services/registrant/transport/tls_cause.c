// See tls.h: why a handshake or a connection failed, in words that an operator can act on.
#include "services/registrant/transport/tls_private.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

// ---- the peer's certificate

static const struct {
    int error;
    const char *words; // what follows "the certificate " or "the CA's certificate "
} chain_words[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, "has expired"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "is not valid yet"},
    {X509_V_ERR_CERT_REVOKED, "is revoked"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "is signed by itself and not trusted"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "is signed by itself and not trusted"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "is signed by a CA that is not trusted"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "is signed by a CA that is not trusted"},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "is signed by a CA that is not trusted"},
    {X509_V_ERR_INVALID_PURPOSE, "is not for a server"},
    {X509_V_ERR_INVALID_CA, "signs without being a CA's"},
};

static const char *words_of(int error)
{
    for (size_t i = 0; i < ARRAY_LEN(chain_words); i++)
        if (chain_words[i].error == error)
            return chain_words[i].words;
    return NULL;
}

void tls_cause_of_chain(struct tls_check *check, X509 *certificate, int error, int depth)
{
    const char *whose = depth ? "the CA's certificate" : "the certificate", *words = words_of(error);
    struct buf name cleanup(buf_done) = BUF_INIT;
    buf_add_cstr(&name, "CN=");
    if (certificate)
        tls_add_common_name(&name, certificate);
    if (words)
        (void)snprintf(check->cause, sizeof(check->cause), "%s %s (%s)", whose, words, name.p);
    else
        (void)snprintf(check->cause, sizeof(check->cause), "%s is refused: %s (%s)", whose,
                       X509_verify_cert_error_string(error), name.p);
}

void tls_cause_of_name(struct tls_check *check, X509 *certificate)
{
    struct buf names cleanup(buf_done) = BUF_INIT;
    tls_add_names(&names, certificate);
    (void)snprintf(check->cause, sizeof(check->cause), "the certificate is for %s, not for %.255s",
                   names.n ? names.p : "no name", check->name);
}

// ---- alerts

// The alert that the peer sent, or −1.
static int alert_of(unsigned long code)
{
    int reason = ERR_GET_REASON(code);
    bool is_alert = ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET &&
                    reason < SSL_AD_REASON_OFFSET + 256;
    return is_alert ? reason - SSL_AD_REASON_OFFSET : -1;
}

static bool is_about_certificate(int alert)
{
    return (alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_CERTIFICATE_UNKNOWN) ||
           alert == SSL_AD_UNKNOWN_CA || alert == SSL_AD_ACCESS_DENIED ||
           alert == TLS13_AD_CERTIFICATE_REQUIRED;
}

// Before TLS 1.3 there was no alert of its own for a certificate that is missing.
static bool misses_certificate(const struct tls_check *check, int alert)
{
    return check->asked_in_vain && (is_about_certificate(alert) || alert == SSL_AD_HANDSHAKE_FAILURE);
}

bool tls_refuses_us(SSL *session)
{
    int alert = alert_of(ERR_peek_error());
    return is_about_certificate(alert) || misses_certificate(tls_check_of(session), alert);
}

static void add_alert(const struct tls_check *check, int alert, struct buf *out)
{
    if (misses_certificate(check, alert))
        buf_add_cstr(out, "the registrar asks for a certificate");
    else if (is_about_certificate(alert))
        buf_addf(out, "the registrar refuses our certificate: %s", SSL_alert_desc_string_long(alert));
    else
        buf_addf(out, "the registrar refuses TLS: %s", SSL_alert_desc_string_long(alert));
}

void tls_cause(SSL *session, struct buf *out)
{
    const struct tls_check *check = tls_check_of(session);
    unsigned long code = ERR_peek_error();
    const char *words = code ? ERR_reason_error_string(code) : NULL;
    int alert = alert_of(code);
    if (check->cause[0])
        buf_add_cstr(out, check->cause);
    else if (alert >= 0)
        add_alert(check, alert, out);
    else
        buf_addf(out, "TLS: %s", words ? words : "failed");
    ERR_clear_error();
}
