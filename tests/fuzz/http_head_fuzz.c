// The head of an HTTP request: cut anywhere, its end is found at the same place.
#include "common/http/head.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of_bytes(data, size);
    struct head_scan whole = {0}, parts = {0};
    enum head_found at_once = head_scan(&whole, text), in_parts = HEAD_MORE;
    for (size_t i = 0; i < size && in_parts == HEAD_MORE; i++)
        in_parts = head_scan(&parts, str_slice(text, i, i + 1));
    HOLDS(at_once == in_parts);
    if (at_once != HEAD_WHOLE)
        return 0;
    HOLDS(whole.seen == parts.seen && whole.seen <= size && whole.blank <= whole.seen);
    struct head head;
    const char *why = NULL;
    int status = head_parse(str_slice(text, whole.blank, whole.seen), &head, &why);
    HOLDS(status == 0 || (status >= 400 && status < 600 && why));
    return 0;
}
