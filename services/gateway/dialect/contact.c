// The Contact of registrations whose dialect gives none: see dialect.h.
#include "common/sip/uri.h"
#include "services/gateway/dialect/dialect.h"

void dialect_contact(const struct dialect_shared *shared, struct str username, struct buf *out)
{
    static const struct str user = {"{username}", 10};
    struct str rest = shared->contact;
    while (rest.n) {
        size_t at = str_find_str(rest, user);
        buf_add_str(out, str_slice(rest, 0, at));
        if (at < rest.n)
            sip_escape_user(out, username);
        rest = str_slice(rest, at + user.n, rest.n);
    }
}
