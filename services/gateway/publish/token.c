// See token.h.
#include "services/gateway/publish/token.h"

#include <openssl/crypto.h>

bool token_is_bearer(struct str authorization, struct str token)
{
    struct str scheme = STR_LIT("Bearer ");
    if (!token.n || !str_istarts(authorization, scheme))
        return false;
    struct str given = str_trim(str_slice(authorization, scheme.n, authorization.n));
    return given.n == token.n && CRYPTO_memcmp(given.p, token.p, token.n) == 0;
}
