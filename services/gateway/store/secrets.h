// Secrets on their way into and out of a registration. No secret leaves here in clear but to who asks for it.
#ifndef ROLLCALL_GATEWAY_STORE_SECRETS_H
#define ROLLCALL_GATEWAY_STORE_SECRETS_H

#include "common/registration/registration.h"
#include "common/registration/seal.h"

// Seals every clear password and HA1 of r, whose id and account are final. One that equals what `before`
// (NULL: nothing) holds sealed for the same realm takes that text, because equal configuration must give
// equal bytes; a sealed text that r took over from another realm of `before` is sealed anew, since a seal
// holds for its realm only. 0, or -ENOKEY, -EBADMSG for the last case.
must_use int secrets_seal(const struct key_ring *ring, const struct registration *before,
                          struct registration *r, struct error *err);

// Only the first of the two: takes what equals a sealed text. False: something of r is new, and still clear.
must_use bool secrets_keep(const struct key_ring *ring, const struct registration *before,
                           struct registration *r);

// Is every secret of r under that key?
bool secrets_are_with(const struct registration *r, const char *key_id);
// The key that its secrets are under: "*" several, "" it has none.
void secrets_key(const struct registration *r, struct buf *out);
// Seals what is under other keys of `ring` with its first one; what r holds is sealed. 0, or -ENOKEY,
// -EBADMSG: r is to be thrown away.
must_use int secrets_reseal(const struct key_ring *ring, struct registration *r, struct error *err);

// Clear text of credential i's password; caller wipes and frees. -ENOENT there is none; -ENOKEY, -EBADMSG.
must_use int secrets_open(const struct key_ring *ring, const struct registration *r, size_t i, char **ret,
                          struct error *err);

#endif
