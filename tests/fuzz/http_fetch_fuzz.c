// What a server may answer to the client that fetches snapshots: whatever comes, it ends once; no line holds
// a line end or is longer than allowed, and only a whole 200 is no error.
#include "common/base/mem.h"
#include "common/http/http.h"
#include "tests/fuzz/target.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES 4096

static struct event_base *base;
static char url[64];
static struct str answer; // to be given to whoever connects
static unsigned done_count, line_count;

static void on_gone(struct bufferevent *peer, short what, void *arg)
{
    (void)what, (void)arg;
    bufferevent_free(peer);
}

static void on_written(struct bufferevent *peer, void *arg)
{
    on_gone(peer, 0, arg);
}

static void on_connection(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int bytes,
                          void *arg)
{
    (void)l, (void)from, (void)bytes, (void)arg;
    struct bufferevent *peer = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    HOLDS(peer);
    bufferevent_setcb(peer, NULL, on_written, on_gone, NULL);
    (void)bufferevent_write(peer, answer.p, answer.n);
    (void)bufferevent_enable(peer, EV_WRITE);
}

static void listen_on_loopback(void)
{
    int fd;
    uint16_t port;
    (void)signal(SIGPIPE, SIG_IGN);
    base = event_base_new();
    HOLDS(base && http_listen("127.0.0.1:0", false, &fd, &port, NULL) == 0);
    HOLDS(evconnlistener_new(base, on_connection, NULL, LEV_OPT_CLOSE_ON_FREE, 0, fd));
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/snapshot", port);
}

static void on_line(void *arg, struct str line)
{
    (void)arg;
    line_count++;
    HOLDS(!done_count && line.n <= LINE_BYTES && !str_has_char(line, '\n'));
}

static void on_done(void *arg, int status, const struct error *err)
{
    (void)arg;
    HOLDS(!done_count++ && (err || status == 200));
    HOLDS(!err || (err->code < 0 && err->text[0] && !strchr(err->text, '\n')));
    HOLDS(status == 200 || !line_count);
    (void)event_base_loopbreak(base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!base)
        listen_on_loopback();
    if (!size) // the peer would wait for what is to be written
        return 0;
    const struct http_fetch_params params = {.base = base,
                                             .url = url,
                                             .bearer = "token",
                                             .timeout_ms = 10000,
                                             .line_bytes = LINE_BYTES,
                                             .on_line = on_line,
                                             .on_done = on_done};
    struct http_fetch *fetch;
    answer = str_of_bytes(data, size);
    done_count = line_count = 0;
    HOLDS(http_fetch_lines(&params, &fetch, NULL) == 0);
    HOLDS(event_base_dispatch(base) >= 0 && done_count == 1);
    return 0;
}
