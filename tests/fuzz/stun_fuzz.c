// STUN answers: only what says that it is one is read, and an address is one that can be written and equals
// itself.
#include "services/registrant/transport/stun.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str datagram = str_of_bytes(data, size);
    struct stun_answer answer;
    if (stun_read(datagram, &answer))
        return 0;
    HOLDS(stun_is(datagram));
    HOLDS(!(answer.error && answer.has_mapped));
    if (answer.has_mapped) {
        struct buf text cleanup(buf_done) = BUF_INIT;
        address_add(&text, &answer.mapped);
        HOLDS(text.n > 0 && text.n < ADDRESS_TEXT_BYTES);
        HOLDS(address_equal(&answer.mapped, &answer.mapped));
    }
    return 0;
}
