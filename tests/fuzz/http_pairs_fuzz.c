// Query strings and form bodies: names and values are texts without NUL.
#include "common/http/http.h"
#include "tests/fuzz/target.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_pairs pairs;
    struct str text = str_of_bytes(data, size);
    if (http_pairs_parse(text, &pairs, NULL) == 0) {
        for (size_t i = 0; i < pairs.count; i++)
            HOLDS(strlen(pairs.items[i].name) <= size && strlen(pairs.items[i].value) <= size);
        http_pairs_done(&pairs);
    }
    struct buf coded cleanup(buf_done) = BUF_INIT, back cleanup(buf_done) = BUF_INIT;
    http_encode(&coded, text);
    if (http_decode(&back, buf_str(&coded), false) == 0)
        HOLDS(str_eq(buf_str(&back), text));
    else
        HOLDS(str_has_char(text, '\0'));
    return 0;
}
