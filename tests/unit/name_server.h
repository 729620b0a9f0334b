// A name server of a few records on loopback, UDP and TCP, in the test's own event loop, which can also be
// silent, fail, cut its answers, or answer with bytes of the test's own; or in a thread of its own, for a
// test that blocks. And the resolver file that points to it.
#ifndef ROLLCALL_TESTS_UNIT_NAME_SERVER_H
#define ROLLCALL_TESTS_UNIT_NAME_SERVER_H

#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_record {
    const char *name;
    // "A", "AAAA", "SRV", "NAPTR", "CNAME"
    const char *type;
    uint32_t ttl;
    // "192.0.2.1"; "2001:db8::1"; "priority weight port target"; "order preference flags service
    // replacement"; "alias". A "." is the root.
    const char *data;
};

struct name_server {
    struct event_base *base;
    int udp, tcp;
    uint16_t port;
    struct event *on_udp, *on_tcp;
    char resolv_conf[64];
    pthread_t thread; // of one that was started

    const struct name_record *records;
    size_t count;
    uint32_t negative_ttl; // SOA minimum; 0: no SOA
    bool silent;
    unsigned code;      // RCODE in place of an answer; 0: none
    bool truncate;      // UDP: the header with TC, and nothing else
    bool no_edns;       // FORMERR to a question with an additional record
    bool other_name;    // answers as if another name had been asked for
    const uint8_t *raw; // in place of everything after the question; the answer count is raw_answers
    size_t raw_bytes;
    unsigned raw_answers;

    unsigned asked, asked_tcp; // questions
    char last_name[256];
    unsigned last_type;
    unsigned asked_by_type[64]; // A 1, AAAA 28, SRV 33, NAPTR 35
};

void name_server_open(struct name_server *s, struct event_base *base, const struct name_record *records,
                      size_t count);
void name_server_move(struct name_server *s, const char *address, uint16_t port); // its UDP alone
void name_server_close(struct name_server *s);

// The same in a thread of its own: nothing of `s` but its resolv_conf is the caller's until it is ended.
void name_server_start(struct name_server *s, const struct name_record *records, size_t count);
void name_server_end(struct name_server *s);

#endif
