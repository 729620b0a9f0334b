// Hundreds of connections whose peers do at random what peers do: answer, dawdle, babble, fall silent, close,
// reset. Whatever they do, each connection's end is told once, and nobody else's messages are lost.
#include "common/base/rng.h"
#include "tests/unit/transport_fixture.h"

#define PEERS  200
#define ROUNDS 3000

enum deed { ANSWERS, ANSWERS_IN_PIECES, BABBLES, IS_SILENT, PINGS, CLOSES, RESETS, DEEDS };

struct world {
    struct fixture f;
    struct rng rng;
    int listener, fds[PEERS * 4];
    size_t fd_count;
    uint16_t port;
    uint32_t flows[PEERS];          // the last one of each endpoint
    unsigned char told[ROUNDS * 4]; // by number
    uint32_t most;
};

static void count_lost(void *arg, uint32_t flow, bool was_up, const char *cause)
{
    struct world *w = arg;
    assert_true(flow < sizeof(w->told));
    assert_true(cause[0]);
    w->told[flow]++;
    w->f.lost++;
}

static void count_message(void *arg, const struct transport_path *path, struct str message)
{
    struct world *w = arg;
    assert_true(str_starts(message, STR_LIT("SIP/2.0 200 OK\r\n")));
    assert_int_equal(message.n, sizeof(ANSWER) - 1);
    assert_true(path->flow < sizeof(w->told) && !w->told[path->flow]); // nothing comes after the end
    w->f.messages++;
}

static void ignore_unreachable(void *arg, const struct address *to, const char *cause)
{
}

static const struct transport_ops counting = {
    .message = count_message, .unreachable = ignore_unreachable, .flow_lost = count_lost};

static void send_to_one(struct world *w)
{
    size_t i = rng_below(&w->rng, PEERS);
    struct address at = loopback(AF_INET, w->port);
    uint32_t flow = 0;
    at.v4.sin_addr.s_addr = htonl(0x7f010001u + (uint32_t)i);
    struct endpoint to = endpoint_of(TRANSPORT_TCP, &at);
    assert_int_equal(transport_send(w->f.t, &to, STR_LIT(REQUEST), &flow), 0);
    assert_true(flow == w->flows[i] || flow > w->most);
    w->flows[i] = flow;
    w->most = flow > w->most ? flow : w->most;
    if (rng_below(&w->rng, 4) == 0)
        transport_keep_alive(w->f.t, &to, 0, &flow);
}

static void drop(struct world *w, size_t i, bool hard)
{
    const struct linger now = {.l_onoff = 1};
    if (hard)
        (void)setsockopt(w->fds[i], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    (void)close(w->fds[i]);
    w->fds[i] = w->fds[--w->fd_count];
}

static void say(int fd, const char *text, size_t n)
{
    (void)!send(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void let_one_act(struct world *w)
{
    char got[4096];
    int fd = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && w->fd_count < ARRAY_LEN(w->fds))
        w->fds[w->fd_count++] = fd;
    if (!w->fd_count)
        return;
    size_t i = rng_below(&w->rng, w->fd_count);
    // mostly harmless, or no connection would live long enough for the rest
    enum deed deed = rng_below(&w->rng, 8) ? ANSWERS : (enum deed)rng_below(&w->rng, DEEDS);
    ssize_t n = deed == IS_SILENT ? 0 : recv(w->fds[i], got, sizeof(got), MSG_DONTWAIT);
    if (deed == ANSWERS && n > 0)
        say(w->fds[i], ANSWER, sizeof(ANSWER) - 1);
    else if (deed == ANSWERS_IN_PIECES && n > 0)
        for (const char *at = ANSWER; *at; at++)
            say(w->fds[i], at, 1);
    else if (deed == BABBLES)
        say(w->fds[i], "\x16\x03\x01 nonsense\r\n", 15);
    else if (deed == PINGS)
        say(w->fds[i], "\r\n\r\n", 4);
    else if (deed == CLOSES || deed == RESETS)
        drop(w, i, deed == RESETS);
}

static void begin_world(struct world *w, uint64_t seed)
{
    struct address any = {.v4 = {.sin_family = AF_INET}};
    socklen_t bytes = sizeof(any);
    struct error err;
    memset(w, 0, sizeof(*w));
    begin(&w->f);
    w->rng.state = seed;
    w->f.times.ping_min_ms = 20;
    w->f.times.ping_max_ms = 30;
    w->f.times.pong_ms = 30;
    w->f.times.message_ms = 50;
    const struct transport_params p = {
        .base = w->f.base, .listen = "127.0.0.1", .times = &w->f.times, .ops = &counting, .arg = w};
    assert_int_equal(transport_new(&p, &w->f.t, &err), 0);
    w->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(w->listener, &any.any, sizeof(any.v4)), 0);
    assert_int_equal(listen(w->listener, 64), 0);
    assert_int_equal(getsockname(w->listener, &any.any, &bytes), 0);
    w->port = address_port(&any);
}

static void every_end_is_told_once_whatever_peers_do(void **state)
{
    static struct world w;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        begin_world(&w, seed);
        for (int round = 0; round < ROUNDS; round++) {
            send_to_one(&w);
            let_one_act(&w);
            let_one_act(&w);
            if (rng_below(&w.rng, 3) == 0)
                transport_flush(w.f.t);
            (void)event_base_loop(w.f.base, EVLOOP_NONBLOCK);
        }
        (void)close(w.listener);
        while (w.fd_count)
            drop(&w, 0, false);
        UNTIL(&w.f, w.f.lost == w.most);
        for (uint32_t flow = 1; flow <= w.most; flow++)
            assert_int_equal(w.told[flow], 1);
        const struct transport_stats stats = transport_stats(w.f.t);
        assert_int_equal(stats.connections, 0);
        assert_int_equal(stats.connected, stats.lost);
        assert_int_equal(stats.lost + stats.failed, w.most);
        assert_int_equal(stats.received, w.f.messages);
        assert_true(stats.received > ROUNDS / 4 && w.most > PEERS);
        end(&w.f);
    }
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_end_is_told_once_whatever_peers_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
