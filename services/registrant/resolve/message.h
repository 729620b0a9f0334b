// What a DNS message says about the question that it answers (RFC 1035 4, 2181, 2308, 2782, 3403). Pure;
// glibc's parser reads the wire. Believes only records whose owner is the name that was asked or an alias of
// it.
#ifndef ROLLCALL_REGISTRANT_RESOLVE_MESSAGE_H
#define ROLLCALL_REGISTRANT_RESOLVE_MESSAGE_H

#include "services/registrant/transport/address.h"

#define DNS_MAX_RECORDS   64u  // of one answer, the same ones however a server turns its order
#define DNS_NAME_BYTES    256u // with its NUL
#define DNS_MESSAGE_BYTES 65535u

enum dns_type { DNS_A = 1, DNS_AAAA = 28, DNS_SRV = 33, DNS_NAPTR = 35 };

enum dns_outcome {
    DNS_FOUND,
    DNS_NONE,  // the servers say that there is no such name, or none of that type
    DNS_FAILED // they do not answer, or cannot
};

struct dns_record {
    struct address address;                // A, AAAA; port 0
    uint16_t first, second;                // SRV: priority, weight; NAPTR: order, preference
    uint16_t port;                         // SRV
    enum registration_transport transport; // NAPTR: of its service
    char *name;                            // SRV: target; NAPTR: replacement; lower case, "" for the root
};

struct dns_answer {
    enum dns_outcome outcome;
    uint32_t ttl_s; // least of all that was used; NONE: by SOA, else DNS_NEGATIVE_UNKNOWN; FAILED: 0
    struct dns_record *records; // owned
    size_t count;               // 0 where nothing was found, and of NAPTR and SRV where none is usable
};
#define DNS_NEGATIVE_UNKNOWN UINT32_MAX

void dns_answer_done(struct dns_answer *a);

// Copies a name in lower case without its final dot. False: it cannot be asked for (RFC 1035 2.3.4; other
// than letters, digits, "-", "_" and "."). "" is the root and cannot.
bool dns_name(struct str name, char ret[DNS_NAME_BYTES]);

// What it is an answer to, in lower case. False: nothing that could have been asked.
must_use bool dns_message_question(const uint8_t *bytes, size_t count, enum dns_type *ret_type,
                                   char ret_name[DNS_NAME_BYTES]);

// The first alias of that name. False: it has none.
must_use bool dns_message_alias(const uint8_t *bytes, size_t count, char ret_alias[DNS_NAME_BYTES]);

// False: it is no whole, sound answer to one question; nothing is set. *ret_truncated: TC, there was more.
must_use bool dns_message_read(const uint8_t *bytes, size_t count, enum dns_type type, struct dns_answer *ret,
                               bool *ret_truncated);

#endif
