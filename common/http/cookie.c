// See cookie.h.
#include "common/http/cookie.h"

// No cookie value holds a comma (RFC 6265 4.1.1), so one that stands in a field joins two Set-Cookie values
// or belongs to an attribute's date, whose second half is no pair.
static bool next_piece(struct str *rest, struct str *ret)
{
    if (!rest->n)
        return false;
    size_t semicolon = str_find(*rest, ';', 0), comma = str_find(*rest, ',', 0);
    size_t end = semicolon < comma ? semicolon : comma;
    *ret = str_trim(str_slice(*rest, 0, end));
    *rest = str_slice(*rest, end + 1, rest->n);
    return true;
}

static struct str without_quotes(struct str value)
{
    bool quoted = value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"';
    return quoted ? str_slice(value, 1, value.n - 1) : value;
}

bool cookie_find(struct str field, const char *name, struct str *ret_value)
{
    struct str piece;
    while (next_piece(&field, &piece)) {
        size_t equals = str_find(piece, '=', 0);
        if (equals == piece.n || !str_eq_cstr(str_trim(str_slice(piece, 0, equals)), name))
            continue;
        *ret_value = without_quotes(str_trim(str_slice(piece, equals + 1, piece.n)));
        return true;
    }
    return false;
}
