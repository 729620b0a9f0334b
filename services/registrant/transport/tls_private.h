// What the files of TLS share: what a session is checked for, and why it failed. Not for anyone outside this
// folder.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_TLS_PRIVATE_H
#define ROLLCALL_REGISTRANT_TRANSPORT_TLS_PRIVATE_H

#include "services/registrant/transport/tls.h"

// Of one session, and freed with it.
struct tls_check {
    char name[256];     // whom the certificate must be for
    char cause[400];    // why it was refused; empty: it was not
    bool asked_in_vain; // the peer asked for a certificate and there was none to show
};
struct tls_check *tls_check_of(const SSL *session);

// They set check->cause.
void tls_cause_of_chain(struct tls_check *check, X509 *certificate, int error, int depth);
void tls_cause_of_name(struct tls_check *check, X509 *certificate);

bool tls_is_number(struct str name);
// "a.example, b.example": whom the certificate is for, by what tls_name_matches compares; some of them.
void tls_add_names(struct buf *out, X509 *certificate);
// The subject's CN, or nothing; with "?" for what is not plain.
void tls_add_common_name(struct buf *out, X509 *certificate);

#endif
