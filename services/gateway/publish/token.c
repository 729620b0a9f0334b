#include "services/gateway/publish/token.h"

bool token_is_bearer(struct str authorization, struct str token)
{
    struct str scheme = STR_LIT("Bearer ");
    if (!token.n || !str_istarts(authorization, scheme))
        return false;
    struct str given = str_trim(str_slice(authorization, scheme.n, authorization.n));
    unsigned char differs = given.n != token.n;
    for (size_t i = 0; i < given.n; i++)
        differs |= (unsigned char)(given.p[i] ^ token.p[i % token.n]);
    return !differs;
}
