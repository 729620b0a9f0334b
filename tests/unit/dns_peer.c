// See dns_peer.h. RFC 1035 section 4 and RFC 2782, uncompressed names, one question a message.
#include "tests/unit/dns_peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TYPE_A = 1, TYPE_SRV = 33, HEADER_BYTES = 12 };

static size_t put16(unsigned char *out, unsigned value)
{
    out[0] = (unsigned char)(value >> 8);
    out[1] = (unsigned char)value;
    return 2;
}

static size_t put_name(unsigned char *out, const char *name)
{
    size_t n = 0;
    while (*name) {
        size_t label = strcspn(name, ".");
        out[n++] = (unsigned char)label;
        memcpy(out + n, name, label);
        n += label;
        name += label + (name[label] == '.');
    }
    out[n++] = 0;
    return n;
}

// The question's name as text; returns the bytes of the question, or 0.
static size_t read_question(const unsigned char *in, size_t bytes, char name[256], unsigned *type)
{
    size_t at = HEADER_BYTES, n = 0;
    while (at < bytes && in[at]) {
        size_t label = in[at];
        if (at + 1 + label >= bytes || n + label + 2 > 256)
            return 0;
        memcpy(name + n, in + at + 1, label);
        n += label;
        name[n++] = '.';
        at += label + 1;
    }
    if (at + 5 > bytes)
        return 0;
    name[n ? n - 1 : 0] = '\0';
    *type = (unsigned)in[at + 1] << 8 | in[at + 2];
    return at + 5 - HEADER_BYTES;
}

static size_t put_record(unsigned char *out, const struct dns_record *r)
{
    size_t n = put_name(out, r->name);
    n += put16(out + n, r->address ? TYPE_A : TYPE_SRV);
    n += put16(out + n, 1); // IN
    n += put16(out + n, 0);
    n += put16(out + n, 60); // seconds
    unsigned char *length = out + n;
    n += 2;
    if (r->address) {
        (void)inet_pton(AF_INET, r->address, out + n);
        n += 4;
    } else {
        n += put16(out + n, r->priority);
        n += put16(out + n, 1);
        n += put16(out + n, r->port);
        n += put_name(out + n, r->target);
    }
    (void)put16(length, (unsigned)(out + n - length - 2));
    return n;
}

static size_t answer(const struct dns_peer *d, const unsigned char *in, size_t bytes, unsigned char *out)
{
    char name[256];
    unsigned type = 0, answers = 0;
    size_t question = bytes >= HEADER_BYTES ? read_question(in, bytes, name, &type) : 0;
    if (!question)
        return 0;
    size_t n = HEADER_BYTES + question;
    memcpy(out, in, n);
    for (size_t i = 0; i < d->count; i++) {
        const struct dns_record *r = &d->records[i];
        if (strcasecmp(r->name, name) != 0 || type != (r->address ? TYPE_A : TYPE_SRV))
            continue;
        n += put_record(out + n, r);
        answers++;
    }
    (void)put16(out + 2, 0x8580u | (answers ? 0 : 3)); // NXDOMAIN
    (void)put16(out + 6, answers);
    (void)put16(out + 8, 0);
    (void)put16(out + 10, 0);
    return n;
}

static void *serve(void *arg)
{
    const struct dns_peer *d = arg;
    unsigned char in[512], out[2048];
    for (;;) {
        struct sockaddr_in from;
        socklen_t length = sizeof(from);
        ssize_t got = recvfrom(d->fd, in, sizeof(in), 0, (struct sockaddr *)&from, &length);
        if (got <= 1)
            return NULL; // closed
        size_t n = answer(d, in, (size_t)got, out);
        if (n)
            (void)!sendto(d->fd, out, n, 0, (struct sockaddr *)&from, length);
    }
}

void dns_peer_open(struct dns_peer *d, const struct dns_record *records, size_t count)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(at);
    *d = (struct dns_peer){.records = records, .count = count, .resolv_conf = "/tmp/rollcall-resolv-XXXXXX"};
    d->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int file = mkstemp(d->resolv_conf);
    if (d->fd < 0 || file < 0 || bind(d->fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        getsockname(d->fd, (struct sockaddr *)&at, &length) != 0 ||
        dprintf(file, "nameserver 127.0.0.1\nport %u\noptions timeout:1 attempts:1\n", ntohs(at.sin_port)) <
            0 ||
        pthread_create(&d->thread, NULL, serve, d) != 0)
        abort();
    (void)close(file);
}

void dns_peer_close(struct dns_peer *d)
{
    struct sockaddr_in at;
    socklen_t length = sizeof(at);
    if (getsockname(d->fd, (struct sockaddr *)&at, &length) != 0 ||
        sendto(d->fd, "", 1, 0, (struct sockaddr *)&at, length) != 1)
        abort();
    (void)pthread_join(d->thread, NULL);
    (void)close(d->fd);
    (void)unlink(d->resolv_conf);
}
