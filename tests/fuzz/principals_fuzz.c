// The principals file: what is taken can be asked for anything, what is refused says why in one line.
#include "services/gateway/auth/principals_file.h"
#include "tests/fuzz/target.h"

#include <string.h>

static void ask(const struct principals *p, struct str text)
{
    const struct account *top = principals_account_at(p, 0);
    for (size_t i = 0; i < principals_account_count(p); i++) {
        const struct account *a = principals_account_at(p, i);
        HOLDS(principals_account(p, str_of(a->name)) == a && account_is_within(a, a));
        HOLDS(principals_account_by_hex_id(p, str_of(a->hex_id)) == a && strlen(a->hex_id) == 32);
        HOLDS(principals_account_by_title(p, str_of(a->title)));
        HOLDS(!a->realm || principals_account_by_realm(p, str_of(a->realm)) == a);
        HOLDS(!a->number || principals_account_by_number(p, a->number) == a);
        (void)account_is_within(a, top);
    }
    (void)principals_account_by_phone(p, text);
    (void)principals_by_username(p, text);
    (void)principals_by_api_key(p, text);
    HOLDS(principals_decoy_hash(p)[0] == '$');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of_bytes(data, size);
    struct principals *p = NULL;
    struct error err = {0};
    if (principals_parse(text, &p, &err)) {
        HOLDS(!p && err.code < 0 && err.text[0] && !strchr(err.text, '\n'));
        return 0;
    }
    ask(p, text);
    principals_unref(p);
    return 0;
}
