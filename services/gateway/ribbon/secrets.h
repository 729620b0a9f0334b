// Passwords of sipremoteauthentry: sealed where they are stored, opened only to make a registration of them.
#ifndef ROLLCALL_GATEWAY_RIBBON_SECRETS_H
#define ROLLCALL_GATEWAY_RIBBON_SECRETS_H

#include "common/registration/seal.h"
#include "services/gateway/ribbon/derive.h"
#include "services/gateway/ribbon/reader.h"

// Seals the password of a row where it is clear. One equal to what `before` (NULL: nothing) holds keeps its
// sealed text.
void secrets_hide(const struct key_ring *ring, const char *account, struct row_id id,
                  const struct fieldset *before, struct fieldset *v);

// Seals the password of a row, as it is stored, with the first key of `ring`; who looks at the row sees no
// other password. 1: done; 0: it was under that key; -ENOKEY, -EBADMSG.
must_use int secrets_hide_anew(const struct key_ring *ring, const char *account, struct row_id id,
                               struct fieldset *v, struct error *err);
// The password's mark, of whatever key it is under: not made of the password.
void secrets_mark(const struct fieldset *v, struct buf *out);

// ret->values NULL: what is stored is damaged. ret->password NULL: it cannot be opened now. Either with the
// reason.
must_use int auth_row_read(const struct key_ring *ring, const char *account, uint64_t table,
                           const struct object *o, struct auth_row *ret, struct error *err);
void auth_row_done(struct auth_row *row);

#endif
