// Bearer tokens of the dialects: JWT, the algorithm pinned by whoever verifies, since libjwt takes whatever
// the header names. Pure but for the keys of the principals.
#ifndef ROLLCALL_GATEWAY_AUTH_TOKEN_H
#define ROLLCALL_GATEWAY_AUTH_TOKEN_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "services/gateway/auth/principals.h"

#include <stdint.h>

// ---- Yeti: HS256, audience "admin" (contract yeti 6.2)

// Appends a token for the subject. lifetime_s 0: no exp claim.
void token_issue(struct buf *out, struct str secret, uint64_t subject, uint64_t now_s, int64_t lifetime_s);

// 0 with the subject, or -EACCES with the reason: not a token, another algorithm, bad signature, expired, not
// yet valid, wrong audience, no subject.
must_use int token_verify(struct str token, struct str secret, uint64_t now_s, uint64_t *ret_subject,
                          struct error *err);

// ---- Kazoo: HS256, audience "kazoo", opaque to clients (contract kazoo 2)

#define TOKEN_ID_BYTES 33 // 32 hex digits and a NUL
struct session_token {
    char id[TOKEN_ID_BYTES]; // jti: what a revocation names
    char account[33];        // hex id of the account that logged in
    uint64_t user;           // 0: logged in with an API key
    char key[65];            // id of that key; else empty
    const char *method;      // "cb_user_auth", "cb_api_auth"
    uint64_t expires_s;      // wall
};
void session_token_issue(struct buf *out, struct str secret, const struct session_token *t);

// ---- Voximplant: RS256 by key id (contract voximplant 2)

enum token_problem {
    TOKEN_GOOD,
    TOKEN_MALFORMED,   // not a JWT, claims missing or of another type
    TOKEN_ALGORITHM,   // not the one that is asked for
    TOKEN_UNKNOWN_KEY, // no such kid, or its principal is gone
    TOKEN_SIGNATURE,
    TOKEN_TTL,    // exp - iat over the maximum
    TOKEN_FUTURE, // iat or nbf ahead of the clock by more than the skew
    TOKEN_EXPIRED,
};
#define TOKEN_SKEW_S    10
#define TOKEN_MAX_TTL_S 3600

// `method` points to a constant. Only what the signature covers is given.
must_use enum token_problem session_token_verify(struct str token, struct str secret, uint64_t now_s,
                                                 struct session_token *ret);

struct key_token {
    const struct principal *principal; // of the key
    uint64_t issuer;                   // account number: the key's own, or a child's
};
// iss may be a number or a decimal text, nbf may stand. The public key is parsed once, when the file is read.
must_use enum token_problem key_token_verify(struct str token, const struct principals *p, uint64_t now_s,
                                             struct key_token *ret);

#endif
