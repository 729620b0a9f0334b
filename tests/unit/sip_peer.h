// The other end of a SIP conversation in a test: a UDP socket and a TCP listener on one loopback port, and
// requests and responses as plain text. Every wait has a deadline.
#ifndef ROLLCALL_TESTS_UNIT_SIP_PEER_H
#define ROLLCALL_TESTS_UNIT_SIP_PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sip_peer {
    int udp, listener, stream; // stream: the accepted connection, -1 before
    uint16_t port;
    struct sockaddr_in from; // of the last datagram
};
struct sip_message {
    char text[65536];
    size_t bytes;
    bool over_tcp;
};

#define PEER_DEADLINE_MS 5000

void sip_peer_open(struct sip_peer *p, bool with_tcp); // without: connections are refused
void sip_peer_close(struct sip_peer *p);

// The next message by either way; false when none came before the deadline.
bool sip_peer_receive(struct sip_peer *p, struct sip_message *ret, int deadline_ms);
// The value of the first header of that name, cut at its line's end, in a static buffer; "" when absent.
const char *sip_header(const struct sip_message *m, const char *name);
size_t sip_header_count(const struct sip_message *m, const char *name);
// Answers the request the way it came: status line after "SIP/2.0 ", then header lines that end in CRLF.
void sip_peer_answer(struct sip_peer *p, const struct sip_message *request, const char *status,
                     const char *lines);
void sip_peer_send(struct sip_peer *p, uint16_t to_port, const char *text);

#endif
