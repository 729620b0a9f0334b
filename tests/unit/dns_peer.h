// A name server of a few records on loopback, in a thread of its own, and the resolver file that points to
// it.
#ifndef ROLLCALL_TESTS_UNIT_DNS_PEER_H
#define ROLLCALL_TESTS_UNIT_DNS_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dns_record {
    const char *name;
    const char *address; // A; or
    const char *target;  // SRV, with port and priority
    uint16_t port, priority;
};

struct dns_peer {
    const struct dns_record *records;
    size_t count;
    int fd;
    pthread_t thread;
    char resolv_conf[64]; // path of the file
};

// The records are borrowed until close. What is not among them does not exist.
void dns_peer_open(struct dns_peer *d, const struct dns_record *records, size_t count);
void dns_peer_close(struct dns_peer *d);

#endif
