// Multipart forms and cookies: the first line is the content type or the cookie's name, the rest the text.
#include "common/base/mem.h"
#include "common/http/cookie.h"
#include "common/http/http.h"
#include "tests/fuzz/target.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_of_bytes(data, size), line = STR_NONE, value;
    struct http_pairs pairs;
    (void)str_split(&rest, '\n', &line);
    if (http_multipart_parse(line, rest, &pairs, NULL) == 0) {
        for (size_t i = 0; i < pairs.count; i++) // a Latin-1 value may grow to twice its size
            HOLDS(strlen(pairs.items[i].name) <= size && strlen(pairs.items[i].value) <= 2 * size);
        http_pairs_done(&pairs);
    }
    char *name cleanup(mem_free_cstr) = str_dup(line);
    if (cookie_find(rest, name, &value))
        HOLDS(value.p >= rest.p && value.p + value.n <= rest.p + rest.n && !str_has_char(value, ';'));
    return 0;
}
