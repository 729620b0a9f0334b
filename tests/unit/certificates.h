// Certificates made on the spot, for tests of TLS.
#ifndef ROLLCALL_TESTS_CERTIFICATES_H
#define ROLLCALL_TESTS_CERTIFICATES_H

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
// cmocka needs setjmp.h, stdarg.h and stdlib.h
#include <cmocka.h>

struct pair {
    EVP_PKEY *key;
    X509 *cert;
};

struct wish {
    const char *cn, *san, *usage; // san and usage as in openssl.cnf; NULL: none
    long from_s, to_s;            // from now; both 0: an hour from now on
    bool is_ca;
};

static inline void add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

// Signed by `ca`; by itself where that is NULL.
static inline struct pair make_pair(const struct pair *ca, const struct wish *w)
{
    static long serial = 1;
    struct pair p = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
    X509_NAME *subject = X509_get_subject_name(p.cert);
    (void)X509_set_version(p.cert, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(p.cert), serial++);
    if (w->cn)
        (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)w->cn, -1, -1,
                                         0);
    (void)X509_set_issuer_name(p.cert, ca ? X509_get_subject_name(ca->cert) : subject);
    (void)X509_gmtime_adj(X509_getm_notBefore(p.cert), w->from_s ? w->from_s : -60);
    (void)X509_gmtime_adj(X509_getm_notAfter(p.cert), w->to_s ? w->to_s : 3600);
    (void)X509_set_pubkey(p.cert, p.key);
    if (w->is_ca)
        add_extension(p.cert, NID_basic_constraints, "critical,CA:TRUE");
    if (w->san)
        add_extension(p.cert, NID_subject_alt_name, w->san);
    if (w->usage)
        add_extension(p.cert, NID_ext_key_usage, w->usage);
    assert_true(X509_sign(p.cert, ca ? ca->key : p.key, EVP_sha256()) > 0);
    return p;
}

static inline void free_pair(struct pair *p)
{
    X509_free(p->cert);
    EVP_PKEY_free(p->key);
}

// Into one file; either may be NULL.
static inline void write_pem(const char *file, const struct pair *with_cert, const struct pair *with_key)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    if (with_cert)
        assert_int_equal(PEM_write_X509(out, with_cert->cert), 1);
    if (with_key)
        assert_int_equal(PEM_write_PrivateKey(out, with_key->key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(out);
}

#endif
