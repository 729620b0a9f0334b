// The chunked coding: however its bytes are cut, the same of them are body, and it ends or breaks at the same
// place.
#include "common/base/buf.h"
#include "common/http/chunked.h"
#include "tests/fuzz/target.h"

struct decoded {
    enum chunked_run last;
    size_t taken;
    struct buf body;
};

static void decode(struct str text, size_t step, struct decoded *ret)
{
    struct chunked c = {0};
    *ret = (struct decoded){.last = CHUNKED_FRAMING, .body = BUF_INIT};
    while (ret->taken < text.n) {
        size_t count = 0, end = ret->taken + step < text.n ? ret->taken + step : text.n;
        struct str piece = str_slice(text, ret->taken, end);
        ret->last = chunked_next(&c, piece, &count);
        if (ret->last == CHUNKED_BROKEN)
            return;
        HOLDS(count >= 1 && count <= piece.n);
        if (ret->last == CHUNKED_DATA)
            buf_add(&ret->body, piece.p, count);
        ret->taken += count;
        if (ret->last == CHUNKED_END)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of_bytes(data, size);
    struct decoded whole, bytewise;
    if (!size)
        return 0;
    decode(text, size, &whole);
    decode(text, 1, &bytewise);
    HOLDS(str_eq(buf_str(&whole.body), buf_str(&bytewise.body)));
    HOLDS((whole.last == CHUNKED_END) == (bytewise.last == CHUNKED_END));
    HOLDS((whole.last == CHUNKED_BROKEN) == (bytewise.last == CHUNKED_BROKEN));
    HOLDS(whole.last != CHUNKED_END || whole.taken == bytewise.taken);
    buf_done(&whole.body);
    buf_done(&bytewise.body);
    return 0;
}
