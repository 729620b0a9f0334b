// JSON: what is read can be written, and what was written reads back as the same bytes.
#include "common/json/json.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *first cleanup(json_free_ptr) = NULL, *second cleanup(json_free_ptr) = NULL;
    if (json_parse(str_of_bytes(data, size), NULL, &first, NULL))
        return 0;
    struct buf once cleanup(buf_done) = BUF_INIT, twice cleanup(buf_done) = BUF_INIT;
    json_write_value(&once, first);
    HOLDS(json_parse(buf_str(&once), &(struct json_limits){.max_bytes = 8u << 20, .max_depth = 64}, &second,
                     NULL) == 0);
    json_write_value(&twice, second);
    HOLDS(str_eq(buf_str(&once), buf_str(&twice)));
    return 0;
}
