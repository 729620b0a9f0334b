// Key rings and sealed texts: what one seals it opens, and no other text opens.
#include "common/registration/seal.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct key_ring *known;
    struct str text = str_of_bytes(data, size);
    if (!known)
        HOLDS(key_ring_parse(STR_LIT("k1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
                             &known, NULL) == 0);
    struct key_ring *ring = NULL;
    if (key_ring_parse(text, &ring, NULL) == 0)
        key_ring_free(ring);
    const struct seal_context context = {.account = STR_LIT("default"), .id = 7, .field = "password"};
    struct buf out cleanup(buf_done) = BUF_INIT, sealed cleanup(buf_done) = BUF_INIT;
    HOLDS(seal_open(known, &context, text, &out, NULL) != 0);
    seal_text(known, &context, text, &sealed);
    buf_clear(&out);
    HOLDS(seal_open(known, &context, buf_str(&sealed), &out, NULL) == 0 && str_eq(buf_str(&out), text));
    return 0;
}
