// allowed_ips: the first line is a network, the rest an address. Only what is valid has anything in it.
#include "services/gateway/auth/networks.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str address = str_of_bytes(data, size), network = STR_NONE;
    (void)str_split(&address, '\n', &network);
    bool valid = network_is_valid(network);
    HOLDS(!network_has(network, address) || valid);
    if (valid && !str_has_char(network, '/'))
        HOLDS(network_has(network, network));
    return 0;
}
