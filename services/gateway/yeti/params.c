// See params.h.
#include "services/gateway/yeti/params.h"

struct param param_of(const struct http_pair *pair)
{
    struct str name = str_of(pair->name);
    size_t open = str_find(name, '[', 0);
    struct param p = {.base = str_slice(name, 0, open), .value = str_of(pair->value)};
    struct str brackets = str_slice(name, open, name.n);
    if (str_ends(brackets, STR_LIT("[]"))) {
        p.list = true;
        brackets.n -= 2;
    }
    if (brackets.n > 2 && brackets.p[brackets.n - 1] == ']')
        p.key = str_slice(brackets, 1, brackets.n - 1);
    return p;
}
