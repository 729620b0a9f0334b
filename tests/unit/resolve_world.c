// See resolve_world.h.
#include "tests/unit/resolve_world.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t ahead_us; // of the clock

void world_pass(uint64_t us)
{
    ahead_us += us;
}

uint64_t world_now_us(void)
{
    return clock_monotonic_us() + ahead_us;
}

static void write_targets(char *out, size_t size, const struct resolve_target *t, size_t count)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(&b, ' ');
        address_add_with(&b, t[i].transport, &t[i].address);
    }
    (void)snprintf(out, size, STR_FMT, STR_ARG(buf_str(&b)));
    buf_done(&b);
}

void world_answer(void *arg, const struct resolve_answer *a)
{
    struct world *w = arg;
    w->answers++;
    w->count = a->count;
    w->usable = a->usable;
    (void)snprintf(w->cause, sizeof(w->cause), "%s", a->cause ? a->cause : "");
    write_targets(w->text, sizeof(w->text), a->targets, a->count);
}

static void on_changed(void *arg, struct str registrar, const struct resolve_target *targets, size_t count)
{
    struct world *w = arg;
    w->changes++;
    char list[900];
    write_targets(list, sizeof(list), targets, count);
    (void)snprintf(w->changed, sizeof(w->changed), STR_FMT " %s", STR_ARG(registrar), list);
}

static void make_resolver(struct world *w)
{
    struct resolver_params p = {.base = w->base,
                                .resolv_conf = w->server.resolv_conf,
                                .hosts_file = w->hosts,
                                .ipv4 = true,
                                .ipv6 = true,
                                .tls = true,
                                .changed = on_changed,
                                .arg = w,
                                .now_us = world_now_us};
    assert_int_equal(resolver_new(&p, &w->resolver, NULL), 0);
}

void world_hosts(struct world *w, const char *text)
{
    FILE *f = fopen(w->hosts, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

void world_servers(struct world *w, const char *first, const char *second)
{
    FILE *f = fopen(w->server.resolv_conf, "we");
    assert_non_null(f);
    assert_true(fprintf(f, "nameserver %s\n", first) > 0);
    assert_true(!second || fprintf(f, "nameserver %s\n", second) > 0);
    assert_true(fprintf(f, "port %u\n", w->server.port) > 0);
    assert_int_equal(fclose(f), 0);
}

int world_open(void **state)
{
    struct world *w = mem_alloc(sizeof(*w));
    ahead_us = 0;
    w->base = event_base_new();
    assert_non_null(w->base);
    name_server_open(&w->server, w->base, NULL, 0);
    (void)snprintf(w->hosts, sizeof(w->hosts), "/tmp/rollcall-hosts-XXXXXX");
    int fd = mkstemp(w->hosts);
    assert_true(fd >= 0);
    (void)close(fd);
    make_resolver(w);
    *state = w;
    return 0;
}

int world_close(void **state)
{
    struct world *w = *state;
    resolver_free(w->resolver);
    name_server_close(&w->server);
    event_base_free(w->base);
    (void)unlink(w->hosts);
    free(w);
    return 0;
}

void world_serve(struct world *w, const struct name_record *records, size_t count)
{
    w->server.records = records;
    w->server.count = count;
}

void world_wait(struct world *w, unsigned answers)
{
    uint64_t until = clock_monotonic_us() + 20000000;
    while (w->answers < answers && clock_monotonic_us() < until)
        assert_int_not_equal(event_base_loop(w->base, EVLOOP_ONCE), -1);
    assert_true(w->answers >= answers);
}

void world_find(struct world *w, const struct resolve_query *q)
{
    unsigned before = w->answers;
    struct resolve_request *r = resolver_find(w->resolver, q, world_answer, w);
    assert_int_equal(w->answers - before, r ? 0 : 1);
    world_wait(w, before + 1);
}

struct resolve_query world_query(const char *host, enum registration_transport transport)
{
    return (struct resolve_query){.host = str_of(host), .transport = transport, .registrar = STR_LIT("key")};
}

const char *world_host(struct world *w, const char *host)
{
    struct resolve_query q = world_query(host, TRANSPORT_UDP);
    world_find(w, &q);
    return w->text;
}

const char *world_given(struct world *w, const char *host, enum registration_transport transport)
{
    struct resolve_query q = world_query(host, transport);
    q.transport_given = true;
    world_find(w, &q);
    return w->text;
}

void world_tick(struct world *w, uint64_t seconds)
{
    world_pass(seconds * 1000000);
    resolver_tick(w->resolver);
}

void world_settle(struct world *w, unsigned asked)
{
    uint64_t until = clock_monotonic_us() + 5000000;
    while (w->server.asked < asked && clock_monotonic_us() < until)
        (void)event_base_loop(w->base, EVLOOP_ONCE);
    for (int i = 0; i < 20; i++)
        (void)event_base_loop(w->base, EVLOOP_NONBLOCK);
    assert_true(w->server.asked >= asked);
}
