// Framing of a stream: the same bytes give the same pieces however they are cut, pieces follow each other
// without gaps, and each message begins and ends as one.
#include "services/registrant/transport/frame.h"
#include "tests/fuzz/target.h"

#include <string.h>

#define MAX_PIECES 256

struct pieces {
    size_t count;
    struct {
        enum frame_kind kind;
        size_t end;
    } all[MAX_PIECES];
    bool bad;
};

// As a connection does it: what is not taken is given again with `step` bytes more.
static void cut(struct str bytes, size_t step, struct pieces *ret)
{
    struct frame f = {0};
    struct str piece;
    size_t taken = 0, came = 0;
    *ret = (struct pieces){0};
    while (came < bytes.n && !ret->bad) {
        came = came + step < bytes.n ? came + step : bytes.n;
        for (;;) {
            enum frame_kind kind = frame_next(&f, str_slice(bytes, taken, came), &piece);
            ret->bad = kind == FRAME_BAD;
            if (kind == FRAME_MORE || kind == FRAME_BAD)
                break;
            HOLDS(piece.p == bytes.p + taken && piece.n > 0 && taken + piece.n <= came);
            HOLDS(kind != FRAME_MESSAGE || (frame_is_start(piece) && piece.n >= sizeof("SIP/2.0 \n\n") - 1));
            HOLDS(kind == FRAME_MESSAGE || (piece.n <= 2 && piece.p[piece.n - 1] == '\n'));
            taken += piece.n;
            if (ret->count == MAX_PIECES)
                return;
            ret->all[ret->count].kind = kind;
            ret->all[ret->count++].end = taken;
        }
        HOLDS(ret->bad || came - taken <= FRAME_MAX_HEADER_BYTES + FRAME_MAX_BODY_BYTES);
    }
}

// One byte at a time, and some at a time, may only find what all at once finds.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pieces whole, bytewise, some;
    struct str bytes = str_of_bytes(data, size);
    cut(bytes, size ? size : 1, &whole);
    cut(bytes, 1, &bytewise);
    cut(bytes, 1 + size / 7, &some);
    HOLDS(whole.count == bytewise.count && whole.bad == bytewise.bad);
    HOLDS(memcmp(whole.all, bytewise.all, whole.count * sizeof(whole.all[0])) == 0);
    HOLDS(whole.count == some.count && whole.bad == some.bad);
    HOLDS(memcmp(whole.all, some.all, whole.count * sizeof(whole.all[0])) == 0);
    return 0;
}
