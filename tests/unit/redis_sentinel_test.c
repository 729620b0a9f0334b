// Whom of several sentinels is believed, with sentinels and masters that answer what the test tells them.
// Real ones: tests/e2e/test_redis_ha.py.
#include "common/event/base_end.h"
#include "common/redis/redis.h"
#include "tests/unit/redis_peer.h"

enum { SOON_MS = 10000, SENTINELS = 2, MASTERS = 3 };

struct world {
    struct event_base *base;
    struct redis_peer masters[MASTERS], sentinels[SENTINELS];
    uint64_t epochs[SENTINELS];
    int named[SENTINELS]; // index of the master; -1: it knows none
    size_t asked[SENTINELS];
    struct redis *r;
    char up[64]; // replication id, empty while down
    struct error down;
    size_t downs;
};

static const char *answer_as_master(struct redis_peer *p, const char *command)
{
    const struct world *w = p->arg;
    char id[24];
    (void)snprintf(id, sizeof(id), "master-%d", (int)(p - w->masters));
    return strcmp(command, "INFO") == 0 ? redis_peer_master(p, id) : "+OK\r\n";
}

static const char *answer_as_sentinel(struct redis_peer *p, const char *command)
{
    struct world *w = p->arg;
    size_t at = (size_t)(p - w->sentinels);
    if (strcmp(command, "PING") == 0)
        return "+PONG\r\n";
    bool known = w->named[at] >= 0;
    if (strcmp(command, "SENTINEL MASTER main") == 0) {
        char epoch[24];
        (void)snprintf(epoch, sizeof(epoch), "%llu", (unsigned long long)w->epochs[at]);
        (void)snprintf(p->text, sizeof(p->text),
                       "*4\r\n$4\r\nname\r\n$4\r\nmain\r\n$12\r\nconfig-epoch\r\n$%zu\r\n%s\r\n",
                       strlen(epoch), epoch);
        return known ? p->text : "-ERR No such master with that name\r\n";
    }
    assert_string_equal(command, "SENTINEL GET-MASTER-ADDR-BY-NAME main");
    w->asked[at]++;
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", known ? (unsigned)w->masters[w->named[at]].port : 0u);
    (void)snprintf(p->text, sizeof(p->text), "*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n", strlen(port), port);
    return known ? p->text : "*-1\r\n";
}

static void on_up(void *arg, struct str id)
{
    struct world *w = arg;
    (void)snprintf(w->up, sizeof(w->up), STR_FMT, STR_ARG(id));
}

static void on_down(void *arg, const struct error *why)
{
    struct world *w = arg;
    w->up[0] = '\0';
    w->down = *why;
    w->downs++;
}

static int setup(void **state)
{
    struct world *w = mem_alloc(sizeof(*w));
    w->base = event_base_new();
    for (size_t i = 0; i < MASTERS; i++)
        redis_peer_start(&w->masters[i], w->base, answer_as_master, w);
    for (size_t i = 0; i < SENTINELS; i++)
        redis_peer_start(&w->sentinels[i], w->base, answer_as_sentinel, w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    redis_free(w->r);
    for (size_t i = 0; i < MASTERS; i++)
        redis_peer_stop(&w->masters[i]);
    for (size_t i = 0; i < SENTINELS; i++)
        redis_peer_stop(&w->sentinels[i]);
    base_end(w->base);
    free(w);
    return 0;
}

static void begin(struct world *w)
{
    char url[128];
    (void)snprintf(url, sizeof(url), "redis-sentinel://127.0.0.1:%u,127.0.0.1:%u/main", w->sentinels[0].port,
                   w->sentinels[1].port);
    const struct redis_params params = {.base = w->base,
                                        .url = url,
                                        .command_timeout_ms = 2000,
                                        .arg = w,
                                        .on_up = on_up,
                                        .on_down = on_down};
    struct error err;
    assert_int_equal(redis_new(&params, &w->r, &err), 0);
}

static bool is_master_0(const void *arg)
{
    return strcmp(((const struct world *)arg)->up, "master-0") == 0;
}

static bool is_master_1(const void *arg)
{
    return strcmp(((const struct world *)arg)->up, "master-1") == 0;
}

static bool is_master_2(const void *arg)
{
    return strcmp(((const struct world *)arg)->up, "master-2") == 0;
}

static bool was_told_down(const void *arg)
{
    return ((const struct world *)arg)->downs > 0;
}

// Both have spoken twice since `asked` was set to 0.
static bool both_have_spoken(const void *arg)
{
    const struct world *w = arg;
    return w->asked[0] >= 2 && w->asked[1] >= 2;
}

static bool the_second_has_spoken(const void *arg)
{
    return ((const struct world *)arg)->asked[1] >= 3;
}

static void the_latest_fail_over_is_believed(void **state)
{
    struct world *w = *state;
    w->epochs[0] = 4, w->named[0] = 0; // was cut off, and does not know yet
    w->epochs[1] = 5, w->named[1] = 1;
    begin(w);
    assert_true(peer_run_until(w->base, is_master_1, w, SOON_MS));
    w->asked[0] = w->asked[1] = 0;
    assert_true(peer_run_until(w->base, both_have_spoken, w, SOON_MS));
    assert_true(is_master_1(w));
}

static void a_master_that_still_answers_is_left_for_the_next(void **state)
{
    struct world *w = *state;
    begin(w);
    assert_true(peer_run_until(w->base, is_master_0, w, SOON_MS));
    w->epochs[0] = 1, w->named[0] = 2;
    assert_true(peer_run_until(w->base, is_master_2, w, SOON_MS));
    assert_int_equal(w->down.code, -ENOTCONN);
    assert_non_null(strstr(w->down.text, "another master"));
}

static void a_sentinel_that_is_behind_leads_nobody_back(void **state)
{
    struct world *w = *state;
    w->epochs[0] = 9, w->named[0] = 2;
    w->epochs[1] = 1, w->named[1] = 0;
    begin(w);
    assert_true(peer_run_until(w->base, is_master_2, w, SOON_MS));
    redis_peer_stop(&w->sentinels[0]);
    w->asked[1] = 0;
    assert_true(peer_run_until(w->base, the_second_has_spoken, w, SOON_MS));
    assert_true(is_master_2(w));
    // Once there is nobody else, what it knows is all that is known.
    redis_peer_stop(&w->masters[2]);
    assert_true(peer_run_until(w->base, is_master_0, w, SOON_MS));
}

static void without_a_sentinels_word_nothing_is_connected_to(void **state)
{
    struct world *w = *state;
    w->named[0] = w->named[1] = -1;
    begin(w);
    assert_true(peer_run_until(w->base, was_told_down, w, SOON_MS));
    assert_non_null(strstr(w->down.text, "No such master"));
    for (size_t i = 0; i < MASTERS; i++)
        assert_int_equal(w->masters[i].connection_count, 0);
    w->named[1] = 1; // it is told of it
    assert_true(peer_run_until(w->base, is_master_1, w, SOON_MS));
}

static void freeing_it_while_it_looks_for_the_master_is_quiet(void **state)
{
    struct world *w = *state;
    begin(w);
    redis_free(w->r);
    w->r = NULL;
    begin(w);
    assert_true(peer_run_until(w->base, is_master_0, w, SOON_MS));
    assert_int_equal(w->downs, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_latest_fail_over_is_believed),
        TEST(a_master_that_still_answers_is_left_for_the_next),
        TEST(a_sentinel_that_is_behind_leads_nobody_back),
        TEST(without_a_sentinels_word_nothing_is_connected_to),
        TEST(freeing_it_while_it_looks_for_the_master_is_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
