// See name_server.h. RFC 1035 4, uncompressed names, one question a message.
#include "tests/unit/name_server.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER = 12, MAX_MESSAGE = 60000 };

struct writer {
    unsigned char *p;
    size_t n;
};

static void put16(struct writer *w, unsigned value)
{
    w->p[w->n++] = (unsigned char)(value >> 8);
    w->p[w->n++] = (unsigned char)value;
}

static void put32(struct writer *w, uint32_t value)
{
    put16(w, value >> 16);
    put16(w, value & 0xffff);
}

static void put_name(struct writer *w, const char *name)
{
    while (*name && strcmp(name, ".") != 0) {
        size_t label = strcspn(name, ".");
        w->p[w->n++] = (unsigned char)label;
        memcpy(w->p + w->n, name, label);
        w->n += label;
        name += label + (name[label] == '.');
    }
    w->p[w->n++] = 0;
}

static void put_string(struct writer *w, const char *text)
{
    size_t n = strcmp(text, "-") == 0 ? 0 : strlen(text);
    w->p[w->n++] = (unsigned char)n;
    memcpy(w->p + w->n, text, n);
    w->n += n;
}

static unsigned type_number(const char *type)
{
    static const struct {
        const char *name;
        unsigned number;
    } types[] = {{"A", 1}, {"CNAME", 5}, {"AAAA", 28}, {"SRV", 33}, {"NAPTR", 35}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, type) == 0)
            return types[i].number;
    abort();
}

static void put_data(struct writer *w, const struct name_record *r)
{
    unsigned a, b, c;
    char x[256], y[256], z[256];
    switch (type_number(r->type)) {
    case 1:
        w->n += inet_pton(AF_INET, r->data, w->p + w->n) == 1 ? 4 : 0;
        return;
    case 28:
        w->n += inet_pton(AF_INET6, r->data, w->p + w->n) == 1 ? 16 : 0;
        return;
    case 5:
        put_name(w, r->data);
        return;
    case 33:
        if (sscanf(r->data, "%u %u %u %255s", &a, &b, &c, x) != 4)
            abort();
        put16(w, a);
        put16(w, b);
        put16(w, c);
        put_name(w, x);
        return;
    default:
        if (sscanf(r->data, "%u %u %255s %255s %255s", &a, &b, x, y, z) != 5)
            abort();
        put16(w, a);
        put16(w, b);
        put_string(w, x);
        put_string(w, y);
        put_string(w, "-");
        put_name(w, z);
    }
}

static void put_record(struct writer *w, const char *name, unsigned type, uint32_t ttl, size_t *ret_length_at)
{
    put_name(w, name);
    put16(w, type);
    put16(w, 1);
    put32(w, ttl);
    *ret_length_at = w->n;
    put16(w, 0);
}

static void end_record(struct writer *w, size_t length_at)
{
    struct writer at = {w->p + length_at, 0};
    put16(&at, (unsigned)(w->n - length_at - 2));
}

static unsigned put_answers(const struct name_server *s, struct writer *w, const char *name, unsigned type)
{
    unsigned answers = 0;
    char wanted[256];
    (void)snprintf(wanted, sizeof(wanted), "%s", name);
    for (size_t i = 0; i < s->count && w->n < MAX_MESSAGE - 1024; i++) {
        const struct name_record *r = &s->records[i];
        unsigned is = type_number(r->type);
        if (strcasecmp(r->name, wanted) != 0 || (is != type && is != 5))
            continue;
        size_t at;
        put_record(w, r->name, is, r->ttl, &at);
        put_data(w, r);
        end_record(w, at);
        answers++;
        if (is == 5) // what it is an alias of comes after it in the table
            (void)snprintf(wanted, sizeof(wanted), "%s", r->data);
    }
    return answers;
}

static void put_soa(const struct name_server *s, struct writer *w)
{
    size_t at;
    put_record(w, "test", 6, 3600, &at);
    put_name(w, "ns.test");
    put_name(w, "admin.test");
    for (int i = 0; i < 4; i++)
        put32(w, 1);
    put32(w, s->negative_ttl);
    end_record(w, at);
}

// The question's name as text; returns its end, or 0.
static size_t read_question(const unsigned char *in, size_t bytes, char name[256], unsigned *type)
{
    size_t at = HEADER, n = 0;
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
    return at + 5;
}

static size_t answer(struct name_server *s, const unsigned char *in, size_t bytes, unsigned char *out,
                     bool by_tcp)
{
    unsigned answers = 0, authority = 0, code = s->code;
    size_t question = bytes >= HEADER ? read_question(in, bytes, s->last_name, &s->last_type) : 0;
    if (!question || s->silent)
        return 0;
    struct writer w = {out, question};
    memcpy(out, in, question);
    out[HEADER + 1] = s->other_name ? 'x' : out[HEADER + 1]; // its first letter
    bool cut = s->truncate && !by_tcp;
    if (s->no_edns && in[11])
        code = 1;
    else if (s->raw) {
        memcpy(out + w.n, s->raw, s->raw_bytes);
        w.n += s->raw_bytes;
        answers = s->raw_answers;
    } else if (!code && !cut) {
        answers = put_answers(s, &w, s->last_name, s->last_type);
        code = answers ? 0 : 3;
        if (!answers && s->negative_ttl) {
            put_soa(s, &w);
            authority = 1;
        }
    }
    struct writer header = {out, 2};
    put16(&header, 0x8580u | (cut ? 0x200u : 0) | code);
    put16(&header, 1);
    put16(&header, answers);
    put16(&header, authority);
    put16(&header, 0);
    return w.n;
}

static void on_udp(evutil_socket_t fd, short what, void *arg)
{
    struct name_server *s = arg;
    unsigned char in[2048];
    static unsigned char out[MAX_MESSAGE];
    struct sockaddr_in from;
    socklen_t length = sizeof(from);
    ssize_t got = recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *)&from, &length);
    if (got == 1) // of name_server_end
        (void)event_base_loopbreak(s->base);
    if (got <= 1)
        return;
    s->asked++;
    size_t n = answer(s, in, (size_t)got, out, false);
    s->asked_by_type[s->last_type % 64]++;
    if (n)
        (void)!sendto(fd, out, n, 0, (struct sockaddr *)&from, length);
}

struct caller {
    struct name_server *server;
    struct event *event;
};

// One question a connection, which comes in one piece.
static void on_caller(evutil_socket_t fd, short what, void *arg)
{
    struct caller *c = arg;
    unsigned char in[2048];
    static unsigned char out[MAX_MESSAGE + 2];
    ssize_t got = recv(fd, in, sizeof(in), 0);
    if (got > 2) {
        c->server->asked_tcp++;
        size_t n = answer(c->server, in + 2, (size_t)got - 2, out + 2, true);
        struct writer length = {out, 0};
        put16(&length, (unsigned)n);
        if (n)
            (void)!send(fd, out, n + 2, MSG_NOSIGNAL);
    }
    event_free(c->event);
    free(c);
    (void)close(fd);
}

static void on_tcp(evutil_socket_t fd, short what, void *arg)
{
    struct name_server *s = arg;
    int peer = accept(fd, NULL, NULL);
    struct caller *c = malloc(sizeof(*c));
    if (peer < 0 || !c)
        abort();
    *c = (struct caller){.server = s, .event = event_new(s->base, peer, EV_READ, on_caller, c)};
    if (!c->event || event_add(c->event, NULL) != 0)
        abort();
}

void name_server_open(struct name_server *s, struct event_base *base, const struct name_record *records,
                      size_t count)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(at);
    *s = (struct name_server){
        .base = base, .records = records, .count = count, .resolv_conf = "/tmp/rollcall-resolv-XXXXXX"};
    s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int file = mkstemp(s->resolv_conf);
    if (s->udp < 0 || s->tcp < 0 || file < 0 || bind(s->tcp, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(s->tcp, 16) != 0 || getsockname(s->tcp, (struct sockaddr *)&at, &length) != 0 ||
        bind(s->udp, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        dprintf(file, "nameserver 127.0.0.1\nport %u\n", ntohs(at.sin_port)) < 0)
        abort();
    (void)close(file);
    s->port = ntohs(at.sin_port);
    s->on_udp = event_new(base, s->udp, EV_READ | EV_PERSIST, on_udp, s);
    s->on_tcp = event_new(base, s->tcp, EV_READ | EV_PERSIST, on_tcp, s);
    if (!s->on_udp || !s->on_tcp || event_add(s->on_udp, NULL) != 0 || event_add(s->on_tcp, NULL) != 0)
        abort();
}

void name_server_move(struct name_server *s, const char *address, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    event_free(s->on_udp);
    (void)close(s->udp);
    s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (inet_pton(AF_INET, address, &at.sin_addr) != 1 || s->udp < 0 ||
        bind(s->udp, (struct sockaddr *)&at, sizeof(at)) != 0)
        abort();
    s->on_udp = event_new(s->base, s->udp, EV_READ | EV_PERSIST, on_udp, s);
    if (!s->on_udp || event_add(s->on_udp, NULL) != 0)
        abort();
}

void name_server_close(struct name_server *s)
{
    event_free(s->on_udp);
    event_free(s->on_tcp);
    (void)close(s->udp);
    (void)close(s->tcp);
    (void)unlink(s->resolv_conf);
}

static void *serve(void *arg)
{
    struct name_server *s = arg;
    (void)event_base_dispatch(s->base);
    return NULL;
}

void name_server_start(struct name_server *s, const struct name_record *records, size_t count)
{
    struct event_base *base = event_base_new();
    if (!base)
        abort();
    name_server_open(s, base, records, count);
    if (pthread_create(&s->thread, NULL, serve, s) != 0)
        abort();
}

void name_server_end(struct name_server *s)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(s->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (sendto(s->udp, "", 1, 0, (struct sockaddr *)&at, sizeof(at)) != 1)
        abort();
    (void)pthread_join(s->thread, NULL);
    name_server_close(s);
    event_base_free(s->base);
}
