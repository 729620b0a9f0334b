// Redis servers that answer what a test tells them, in the test's own loop: for what real ones do only at the
// wrong moment.
#ifndef ROLLCALL_TESTS_REDIS_PEER_H
#define ROLLCALL_TESTS_REDIS_PEER_H

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "tests/unit/peer.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { REDIS_PEER_CONNECTIONS = 16, REDIS_PEER_HEARD = 256 };

struct redis_peer {
    struct event_base *base;
    struct evconnlistener *listener;
    uint16_t port;
    struct bufferevent *connections[REDIS_PEER_CONNECTIONS];
    size_t connection_count;
    char *heard[REDIS_PEER_HEARD]; // commands, their words with a space between, without those of the map
    size_t heard_count;
    // Gives the answer as it goes over the wire; NULL: none.
    const char *(*answer)(struct redis_peer *p, const char *command);
    void *arg;
    char text[512]; // for answers that are put together
};

// One number of the protocol ("*3\r\n"); false where the line is not whole.
static inline bool redis_peer_number(struct evbuffer *in, size_t *at, uint64_t *ret)
{
    struct evbuffer_ptr from, end;
    (void)evbuffer_ptr_set(in, &from, *at, EVBUFFER_PTR_SET);
    end = evbuffer_search(in, "\r\n", 2, &from);
    if (end.pos < 0)
        return false;
    char digits[24] = "";
    size_t bytes = (size_t)end.pos - *at - 1;
    (void)evbuffer_ptr_set(in, &from, *at + 1, EVBUFFER_PTR_SET);
    assert_true(bytes < sizeof(digits));
    (void)evbuffer_copyout_from(in, &from, digits, bytes);
    *ret = strtoull(digits, NULL, 10);
    *at = (size_t)end.pos + 2;
    return true;
}

// The next whole command as one text, caller frees; NULL: there is none.
static inline char *redis_peer_command(struct evbuffer *in)
{
    uint64_t words = 0, bytes = 0;
    size_t at = 0;
    struct buf text = BUF_INIT;
    bool whole = redis_peer_number(in, &at, &words);
    for (uint64_t i = 0; whole && i < words; i++) {
        whole = redis_peer_number(in, &at, &bytes) && evbuffer_get_length(in) >= at + bytes + 2;
        if (!whole)
            break;
        unsigned char *all = evbuffer_pullup(in, -1);
        if (i)
            buf_add_char(&text, ' ');
        buf_add(&text, all + at, bytes);
        at += bytes + 2;
    }
    if (!whole) {
        buf_done(&text);
        return NULL;
    }
    (void)evbuffer_drain(in, at);
    return buf_steal(&text);
}

static inline void redis_peer_read(struct bufferevent *connection, void *arg)
{
    struct redis_peer *p = arg;
    char *command;
    while ((command = redis_peer_command(bufferevent_get_input(connection)))) {
        const char *answer = p->answer(p, command);
        if (answer)
            (void)bufferevent_write(connection, answer, strlen(answer));
        bool of_map = strncmp(command, "CLUSTER", 7) == 0 || strncmp(command, "SENTINEL", 8) == 0;
        if (of_map || p->heard_count == REDIS_PEER_HEARD)
            free(command);
        else
            p->heard[p->heard_count++] = command;
    }
}

static inline void redis_peer_event(struct bufferevent *connection, short what, void *arg)
{
    (void)connection, (void)what, (void)arg; // closed with the peer
}

static inline void redis_peer_accept(struct evconnlistener *listener, evutil_socket_t fd,
                                     struct sockaddr *from, int bytes, void *arg)
{
    (void)listener, (void)from, (void)bytes;
    struct redis_peer *p = arg;
    assert_true(p->connection_count < REDIS_PEER_CONNECTIONS);
    struct bufferevent *connection = bufferevent_socket_new(p->base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(connection, redis_peer_read, NULL, redis_peer_event, p);
    (void)bufferevent_enable(connection, EV_READ | EV_WRITE);
    p->connections[p->connection_count++] = connection;
}

static inline void redis_peer_start(struct redis_peer *p, struct event_base *base,
                                    const char *(*answer)(struct redis_peer *p, const char *command),
                                    void *arg)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    *p = (struct redis_peer){.base = base, .answer = answer, .arg = arg};
    p->listener = evconnlistener_new_bind(base, redis_peer_accept, p, LEV_OPT_CLOSE_ON_FREE, 5,
                                          (struct sockaddr *)(void *)&address, sizeof(address));
    assert_non_null(p->listener);
    assert_int_equal(
        getsockname(evconnlistener_get_fd(p->listener), (struct sockaddr *)(void *)&address, &bytes), 0);
    p->port = ntohs(address.sin_port);
}

// As if it were killed.
static inline void redis_peer_stop(struct redis_peer *p)
{
    if (p->listener)
        evconnlistener_free(p->listener);
    p->listener = NULL;
    while (p->connection_count)
        bufferevent_free(p->connections[--p->connection_count]);
    while (p->heard_count)
        free(p->heard[--p->heard_count]);
}

// How often it was asked exactly that.
static inline size_t redis_peer_count(const struct redis_peer *p, const char *command)
{
    size_t count = 0;
    for (size_t i = 0; i < p->heard_count; i++)
        count += strcmp(p->heard[i], command) == 0;
    return count;
}

// What INFO says of a master with that replication id.
static inline const char *redis_peer_master(struct redis_peer *p, const char *replication_id)
{
    char info[128];
    (void)snprintf(info, sizeof(info), "role:master\r\nloading:0\r\nmaster_replid:%s\r\n", replication_id);
    (void)snprintf(p->text, sizeof(p->text), "$%zu\r\n%s\r\n", strlen(info), info);
    return p->text;
}

#endif
