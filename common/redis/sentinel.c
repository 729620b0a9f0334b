// Where the master is, by Redis Sentinel. All sentinels are asked, again and again over kept connections, and
// the one that knows the latest fail-over (its configuration epoch) is believed: so a sentinel that was cut
// off, or was told last, leads nobody back, and a master that only stands still is left as soon as another
// took its place. Refuses to guess: without a sentinel's word nothing is connected to.
#include "common/base/mem.h"
#include "common/event/timer.h"
#include "common/redis/internal.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { TURN_MS = 500, ANSWER_MS = 2000 };

struct sentinel {
    struct redis_sentinels *owner;
    struct redis_conn *conn;
    const struct redis_address *address;
    bool asking;
    bool knows; // has named the master over this connection
    uint64_t epoch;
    char *host;
    uint16_t port;
};

struct redis_sentinels {
    struct redis *r;
    struct event *turn;
    uint64_t epoch; // of what r->conn was sent after last
    size_t count;
    struct sentinel *all;
};

// ---- the choice

static const struct sentinel *latest(const struct redis_sentinels *s)
{
    const struct sentinel *best = NULL;
    for (size_t i = 0; i < s->count; i++)
        if (s->all[i].knows && (!best || s->all[i].epoch > best->epoch))
            best = &s->all[i];
    return best;
}

static void follow(struct redis_sentinels *s)
{
    const struct sentinel *best = latest(s);
    struct redis_conn *conn = s->r->conn;
    // What is known of a later fail-over holds while that master answers.
    if (!best || (best->epoch < s->epoch && redis_conn_is_up(conn)))
        return;
    s->epoch = best->epoch;
    if (conn->host && conn->port == best->port && strcmp(conn->host, best->host) == 0)
        return;
    struct error why;
    error_set(&why, -ENOTCONN, "Sentinel names another master for %s: %s port %u", s->r->url.master,
              best->host, best->port);
    redis_conn_go(conn, best->host, best->port, &why);
}

static void tell(struct sentinel *one, const char *what)
{
    struct redis *r = one->owner->r;
    struct error why;
    error_set(&why, -ENOTCONN, "Sentinel at %s port %u: %s", one->address->host, one->address->port, what);
    if (!latest(one->owner) && !redis_conn_is_up(r->conn))
        redis_tell_down(r, &why);
}

// ---- what is asked

// Field and value in turn.
static void on_master(void *arg, const struct redis_value *v, const struct error *err)
{
    struct sentinel *one = arg;
    one->knows = false;
    if (err && err->code == -EIO)
        tell(one, err->text);
    for (size_t i = 0; !err && i + 1 < redis_count(v); i += 2)
        if (str_eq_cstr(redis_str(redis_at(v, i)), "config-epoch"))
            one->epoch = (uint64_t)redis_int(redis_at(v, i + 1));
}

// While a sentinel leads a fail-over, this names the new master already, and SENTINEL MASTER still the old.
static void on_address(void *arg, const struct redis_value *v, const struct error *err)
{
    struct sentinel *one = arg;
    struct redis *r = one->owner->r;
    one->asking = false;
    int64_t port = redis_int(redis_at(v, 1));
    struct str host = redis_str(redis_at(v, 0));
    if (err || r->freed || !host.n || port < 1 || port > UINT16_MAX)
        return;
    free(one->host);
    one->host = str_dup(host);
    one->port = (uint16_t)port;
    one->knows = true;
    redis_enter(r);
    follow(one->owner);
    redis_leave(r);
}

static void ask(struct sentinel *one)
{
    struct str name = str_of(one->owner->r->url.master);
    const struct str master[] = {STR_LIT("SENTINEL"), STR_LIT("MASTER"), name};
    const struct str address[] = {STR_LIT("SENTINEL"), STR_LIT("GET-MASTER-ADDR-BY-NAME"), name};
    if (one->asking || !redis_conn_is_up(one->conn))
        return;
    one->asking = true;
    redis_conn_write(one->conn, redis_call_new(on_master, one), ARRAY_LEN(master), master);
    redis_conn_write(one->conn, redis_call_new(on_address, one), ARRAY_LEN(address), address);
}

static void on_up(void *arg, struct str replication_id)
{
    (void)replication_id;
    ask(arg);
}

static void on_down(void *arg, const struct error *why)
{
    struct sentinel *one = arg;
    struct redis *r = one->owner->r;
    one->asking = one->knows = false;
    redis_enter(r);
    tell(one, why->text);
    redis_leave(r);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct redis_sentinels *s = arg;
    for (size_t i = 0; i < s->count; i++)
        ask(&s->all[i]);
}

// ---- life

static void begin(struct redis_sentinels *s, struct sentinel *one, const struct redis_address *address)
{
    struct redis_conn_params params = redis_conn_defaults(s->r);
    params.user = NULL;
    params.password = s->r->sentinel_password;
    params.db = 0;
    params.any_role = true;
    params.timeout_ms = ANSWER_MS;
    params.arg = one;
    params.on_up = on_up;
    params.on_down = on_down;
    *one = (struct sentinel){.owner = s, .address = address, .conn = redis_conn_new(&params)};
    redis_conn_target(one->conn, address->host, address->port);
}

struct redis_sentinels *redis_sentinels_new(struct redis *r)
{
    struct redis_sentinels *s = mem_alloc(sizeof(*s));
    s->r = r;
    s->count = r->url.address_count;
    s->all = mem_array(s->count, sizeof(*s->all));
    s->turn = event_new(r->params.base, -1, EV_PERSIST, on_turn, s);
    if (!s->turn)
        abort();
    timer_in_ms(s->turn, TURN_MS);
    for (size_t i = 0; i < s->count; i++)
        begin(s, &s->all[i], &r->url.addresses[i]);
    return s;
}

void redis_sentinels_free(struct redis_sentinels *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        redis_conn_free(s->all[i].conn);
        free(s->all[i].host);
    }
    event_free(s->turn);
    free(s->all);
    free(s);
}
