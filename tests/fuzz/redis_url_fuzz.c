// URLs of Redis: what is taken is freed whole, what is refused says why in one line.
#include "common/redis/url.h"
#include "tests/fuzz/target.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_url url;
    struct error err = {0};
    if (redis_url_parse(str_of_bytes(data, size), &url, &err)) {
        HOLDS(err.code < 0 && err.text[0] && !strchr(err.text, '\n'));
        return 0;
    }
    redis_url_done(&url);
    return 0;
}
