// HTTP Digest as RFC 3261 22, RFC 7616 and RFC 8760 want it of a client: parsing challenges, choosing among
// them, computing the answer. Pure: the cnonce is an argument. Basic is never used (RFC 3261 22), and neither
// is username*: SIP's quoted strings hold UTF-8.
#ifndef ROLLCALL_REGISTRANT_CORE_DIGEST_H
#define ROLLCALL_REGISTRANT_CORE_DIGEST_H

#include "common/base/buf.h"
#include "common/registration/registration.h"

enum digest_algorithm {
    DIGEST_MD5,
    DIGEST_MD5_SESS,
    DIGEST_SHA256,
    DIGEST_SHA256_SESS,
    DIGEST_SHA512_256,
    DIGEST_SHA512_256_SESS,
    DIGEST_UNKNOWN,
};
const char *digest_algorithm_name(enum digest_algorithm a); // "SHA-512-256-sess"; NULL for unknown
enum digest_algorithm digest_algorithm_of(struct str name); // empty: MD5 (RFC 7616 3.3)
bool digest_is_session(enum digest_algorithm a);            // -sess
enum credential_ha1 digest_ha1_of(enum digest_algorithm a); // which HA1 it begins from; a is known

enum digest_qop { QOP_NONE, QOP_AUTH, QOP_AUTH_INT, QOP_UNKNOWN };
const char *digest_qop_name(enum digest_qop q); // NULL for none and unknown

// One challenge, borrowed from the header value. Texts are without quotes, their escapes left in, as they go
// back to the registrar byte for byte.
struct digest_challenge {
    struct str realm, nonce, opaque; // opaque.p NULL: none given
    enum digest_algorithm algorithm;
    bool algorithm_given;
    enum digest_qop qop; // the one to use: auth before auth-int (RFC 8760 2.6)
    bool stale;
    bool userhash; // it understands the hash of the user in place of the user (RFC 7616 3.4.4)
    bool proxy;    // 407
};

// Is `quoted` (without its quotes, escapes left in) the quoted form of `plain`?
bool digest_is_text(struct str quoted, struct str plain);

// Appends the Digest challenges of one WWW- or Proxy-Authenticate value, which may hold several schemes
// joined by commas (RFC 7235 4.1), to ret[0 … max). Returns the new count; what is not Digest, has no realm
// or nonce, is left out.
size_t digest_parse(struct str value, bool proxy, struct digest_challenge *ret, size_t count, size_t max);

// Drops the challenges that nobody here can answer: of an unknown algorithm or qop, or -sess without qop (RFC
// 3261 22.4 number 8). Keeps the order; returns how many are left.
size_t digest_drop_unknown(struct digest_challenge *challenges, size_t count);

// Keeps for each realm (and each of 401 and 407 apart) the topmost challenge that `can` be answered (RFC 8760
// 2.4), in order; drops the rest. Returns how many are left.
typedef bool digest_can(const struct digest_challenge *c, void *arg);
size_t digest_choose(struct digest_challenge *challenges, size_t count, digest_can *can, void *arg);

// realm, nonce and opaque as in struct digest_challenge; the rest is plain.
struct digest_input {
    enum digest_algorithm algorithm;
    bool algorithm_given;
    enum digest_qop qop;
    bool proxy, userhash;
    struct str user, password, realm, nonce, opaque;
    struct str ha1; // in place of the password, of digest_ha1_of(algorithm); empty: none
    struct str method, uri, cnonce, body;
    uint32_t nc;
};

struct digest; // the algorithms, looked up once; one thread
struct digest *digest_new(void);
void digest_free(struct digest *d);

// Appends the response, lower-case hexadecimal. 0, or -ENOTSUP when OpenSSL lacks the algorithm (MD5 under
// FIPS).
must_use int digest_response(struct digest *d, const struct digest_input *in, struct buf *out);

// Appends "Authorization: Digest …" or "Proxy-Authorization: Digest …" without the end of the line.
must_use int digest_authorization(struct digest *d, const struct digest_input *in, struct buf *out);

#endif
