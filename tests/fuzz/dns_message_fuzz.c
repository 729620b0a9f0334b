// DNS answers, the first byte choosing what was asked for: whatever they say, what is taken from them are
// names that can be asked for, addresses, and not more than the bound.
#include "services/registrant/resolve/message.h"
#include "tests/fuzz/target.h"

#include <string.h>

static void check_record(const struct dns_record *r, enum dns_type type)
{
    char name[DNS_NAME_BYTES];
    if (type == DNS_A || type == DNS_AAAA) {
        HOLDS(r->address.any.sa_family == (type == DNS_A ? AF_INET : AF_INET6));
        HOLDS(address_port(&r->address) == 0);
        HOLDS(!r->name);
        return;
    }
    HOLDS(r->name);
    HOLDS((type == DNS_SRV && !*r->name) || (dns_name(str_of(r->name), name) && !strcmp(name, r->name)));
    HOLDS(type == DNS_NAPTR || r->port || !*r->name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_SRV, DNS_NAPTR};
    if (!size)
        return 0;
    enum dns_type type = types[data[0] % 4];
    char name[DNS_NAME_BYTES], again[DNS_NAME_BYTES];
    enum dns_type asked;
    if (dns_message_question(data + 1, size - 1, &asked, name))
        HOLDS(dns_name(str_of(name), again) && !strcmp(name, again));
    if (dns_message_alias(data + 1, size - 1, name))
        HOLDS(dns_name(str_of(name), again) && !strcmp(name, again));
    struct dns_answer a;
    bool truncated;
    if (!dns_message_read(data + 1, size - 1, type, &a, &truncated))
        return 0;
    HOLDS(a.count <= DNS_MAX_RECORDS);
    HOLDS(a.outcome == DNS_FOUND || !a.count);
    for (size_t i = 0; i < a.count; i++)
        check_record(&a.records[i], type);
    dns_answer_done(&a);
    return 0;
}
