// The compact form of a signed token (RFC 7515 section 7.1), read strictly, because what two readers read
// differently one of them lets through: canonical base64url without padding, three parts, header and claims
// objects in which nothing stands twice. Knows no claims. Why not libjwt's reader: it takes the algorithm
// from the header, so that a public key serves as the key of an HMAC, and parses a PEM at each token.
#ifndef ROLLCALL_GATEWAY_AUTH_JWS_H
#define ROLLCALL_GATEWAY_AUTH_JWS_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/json/json.h"

#include <openssl/evp.h>

enum { JWS_BYTES = 8192 };

struct jws {
    struct json *header, *claims;
    struct str signed_part; // borrows from the token
    struct buf signature;
};

// Appends a token with these claims (a JSON object). Made by libjwt; the secret is not empty.
void jws_issue_hs256(struct buf *out, struct str secret, const char *claims);

// 0, or -EACCES with the reason; to be done in either case. Nothing of it may be believed before its
// signature was checked.
must_use int jws_read(struct jws *ret_init, struct str token, struct error *err);
void jws_done(struct jws *j);

// The algorithm is the caller's: the header must name the same.
bool jws_has_algorithm(const struct jws *j, const char *name);
must_use bool jws_verify_hs256(const struct jws *j, struct str secret); // constant time
must_use bool jws_verify_rs256(const struct jws *j, EVP_PKEY *public_key);

// A NumericDate (RFC 7519 section 2), fractions cut off: 1 present, 0 absent, -EINVAL where it is none.
must_use int jws_date(const struct jws *j, const char *claim, int64_t *ret_s);

#endif
