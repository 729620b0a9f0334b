// See dns_tcp.h. Refuses to be a resolver: one server, one try, a few seconds.
#include "services/registrant/resolve/dns_tcp.h"

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define TCP_TIMEOUT_S 5

enum { HEADER_BYTES = 12, FLAG_RD = 0x01, CLASS_IN = 1 };

struct dns_tcp {
    struct bufferevent *connection;
    struct event *timeout;
    enum dns_type type;
    unsigned char id[2];
    char name[DNS_NAME_BYTES];
    dns_tcp_fn *fn;
    void *arg;
};

void dns_tcp_cancel(struct dns_tcp *t)
{
    if (!t)
        return;
    if (t->connection)
        bufferevent_free(t->connection);
    if (t->timeout)
        event_free(t->timeout);
    free(t);
}

static void finish(struct dns_tcp *t, struct dns_answer *answer)
{
    dns_tcp_fn *fn = t->fn;
    void *arg = t->arg;
    dns_tcp_cancel(t);
    fn(arg, answer);
}

static void fail(struct dns_tcp *t)
{
    struct dns_answer none = {.outcome = DNS_FAILED};
    finish(t, &none);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    fail(arg);
}

static void on_event(struct bufferevent *connection, short what, void *arg)
{
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        fail(arg);
}

static void on_read(struct bufferevent *connection, void *arg)
{
    struct dns_tcp *t = arg;
    struct evbuffer *in = bufferevent_get_input(connection);
    unsigned char length[2];
    if (evbuffer_copyout(in, length, sizeof(length)) != (ssize_t)sizeof(length))
        return;
    size_t bytes = (size_t)length[0] << 8 | length[1];
    if (evbuffer_get_length(in) < sizeof(length) + bytes)
        return;
    const unsigned char *all = evbuffer_pullup(in, (ssize_t)(sizeof(length) + bytes));
    struct dns_answer answer;
    bool truncated;
    if (!all || bytes < HEADER_BYTES || memcmp(all + sizeof(length), t->id, sizeof(t->id)) != 0 ||
        !dns_message_read(all + sizeof(length), bytes, t->type, &answer, &truncated)) {
        fail(t);
        return;
    }
    finish(t, &answer);
}

// Length, header, question (RFC 1035 4.1, 4.2.2); the name is as dns_name leaves it. Returns its bytes.
static size_t write_question(const struct dns_tcp *t, unsigned char *out)
{
    unsigned char *p = out + 2;
    memset(p, 0, HEADER_BYTES);
    memcpy(p, t->id, sizeof(t->id));
    p[2] = FLAG_RD;
    p[5] = 1; // question
    p += HEADER_BYTES;
    for (const char *label = t->name; *label;) {
        size_t n = strcspn(label, ".");
        *p++ = (unsigned char)n;
        memcpy(p, label, n);
        p += n;
        label += n + (label[n] == '.');
    }
    const unsigned char tail[] = {0, 0, (unsigned char)t->type, 0, CLASS_IN};
    memcpy(p, tail, sizeof(tail));
    p += sizeof(tail);
    size_t bytes = (size_t)(p - out) - 2;
    out[0] = (unsigned char)(bytes >> 8);
    out[1] = (unsigned char)bytes;
    return bytes + 2;
}

struct dns_tcp *dns_tcp_ask(struct event_base *base, const struct address *server, enum dns_type type,
                            const char *name, dns_tcp_fn *fn, void *arg)
{
    struct dns_tcp *t = mem_alloc(sizeof(*t));
    *t = (struct dns_tcp){.type = type, .fn = fn, .arg = arg};
    random_bytes(t->id, sizeof(t->id));
    (void)strncpy(t->name, name, sizeof(t->name) - 1);
    // Deferred: a connection that is refused at once must not call back from in here.
    t->connection = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    t->timeout = evtimer_new(base, on_timeout, t);
    unsigned char question[2 + HEADER_BYTES + DNS_NAME_BYTES + 8];
    size_t bytes = write_question(t, question);
    struct timeval in = {.tv_sec = TCP_TIMEOUT_S};
    if (!t->connection || !t->timeout || event_add(t->timeout, &in) != 0 ||
        bufferevent_write(t->connection, question, bytes) != 0) {
        dns_tcp_cancel(t);
        return NULL;
    }
    bufferevent_setcb(t->connection, on_read, NULL, on_event, t);
    if (bufferevent_enable(t->connection, EV_READ | EV_WRITE) != 0 ||
        bufferevent_socket_connect(t->connection, &server->any, (int)address_bytes(server)) != 0) {
        dns_tcp_cancel(t);
        return NULL;
    }
    return t;
}
