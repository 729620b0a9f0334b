// Commands to a cluster whose nodes answer what the test tells them: redirections, slots on the move, the
// order of answers, maps that are out of date. A real cluster: tests/e2e/test_redis_ha.py, and the contract
// suite with ROLLCALL_TEST_REDIS=cluster.
#include "common/event/base_end.h"
#include "common/redis/redis.h"
#include "common/redis/slots.h"
#include "tests/unit/redis_peer.h"

enum { SOON_MS = 10000, TIMEOUT_MS = 1500, NODES = 3, SPLIT = 8000, ANSWERS = 16 };

struct world;

struct node {
    const char *state; // cluster_state
    uint64_t epoch;
    int low, high; // who has the slots up to SPLIT, and those above, by its map
    const char *(*answer)(struct world *w, struct redis_peer *p, const char *command); // of commands
};

struct world {
    struct event_base *base;
    struct redis_peer peers[NODES];
    struct node nodes[NODES];
    size_t maps_given;
    struct redis *r;
    char up[64];
    struct error down;
    size_t ups, downs;
    char got[ANSWERS][64];
    int codes[ANSWERS];
    uint64_t over[ANSWERS]; // redis_answered_by
    size_t got_count;
    unsigned refusals; // that are left to give
    char text[128];
};

// {g} is in slot 7233, {s5} in 15356.
#define LOW_KEY  "rc:{g}:a"
#define HIGH_KEY "rc:{s5}:b"

static const char *echo(struct world *w, struct redis_peer *p, const char *command)
{
    (void)snprintf(w->text, sizeof(w->text), "+%d %.80s\r\n", (int)(p - w->peers), command);
    return w->text;
}

static const char *map_of(struct world *w, const struct node *n, struct redis_peer *p)
{
    w->maps_given++;
    (void)snprintf(p->text, sizeof(p->text),
                   "*2\r\n*3\r\n:0\r\n:%d\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$1\r\na\r\n"
                   "*3\r\n:%d\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$1\r\nb\r\n",
                   SPLIT, w->peers[n->low].port, SPLIT + 1, w->peers[n->high].port);
    return p->text;
}

static const char *answer(struct redis_peer *p, const char *command)
{
    struct world *w = p->arg;
    struct node *n = &w->nodes[p - w->peers];
    char text[64];
    if (strcmp(command, "PING") == 0)
        return "+PONG\r\n";
    if (strcmp(command, "INFO") == 0) {
        (void)snprintf(text, sizeof(text), "replication-%d", (int)(p - w->peers));
        return redis_peer_master(p, text);
    }
    if (strcmp(command, "CLUSTER INFO") == 0) {
        int bytes = snprintf(text, sizeof(text), "cluster_state:%s\r\ncluster_current_epoch:%llu\r\n",
                             n->state, (unsigned long long)n->epoch);
        (void)snprintf(p->text, sizeof(p->text), "$%d\r\n%s\r\n", bytes, text);
        return p->text;
    }
    if (strcmp(command, "CLUSTER SLOTS") == 0)
        return map_of(w, n, p);
    return n->answer(w, p, command);
}

static void on_up(void *arg, struct str id)
{
    struct world *w = arg;
    w->ups++;
    (void)snprintf(w->up, sizeof(w->up), STR_FMT, STR_ARG(id));
}

static void on_down(void *arg, const struct error *why)
{
    struct world *w = arg;
    w->up[0] = '\0';
    w->down = *why;
    w->downs++;
}

static void on_answer(void *arg, const struct redis_value *v, const struct error *err)
{
    struct world *w = arg;
    assert_true(w->got_count < ANSWERS);
    w->codes[w->got_count] = err ? err->code : 0;
    w->over[w->got_count] = redis_answered_by(w->r);
    struct str text = err ? str_of(err->text) : redis_str(v);
    char *got = w->got[w->got_count++];
    if (!err && redis_type(v) == REDIS_INTEGER)
        (void)snprintf(got, sizeof(w->got[0]), "%lld", (long long)redis_int(v));
    else
        (void)snprintf(got, sizeof(w->got[0]), STR_FMT, STR_ARG(text));
}

static bool is_up(const void *arg)
{
    return ((const struct world *)arg)->up[0];
}

static bool is_down(const void *arg)
{
    return !is_up(arg);
}

static bool has_an_answer(const void *arg)
{
    return ((const struct world *)arg)->got_count > 0;
}

static bool has_both(const void *arg)
{
    return ((const struct world *)arg)->got_count > 1;
}

static bool the_third_was_connected_to(const void *arg)
{
    return ((const struct world *)arg)->peers[2].connection_count > 0;
}

static int setup(void **state)
{
    struct world *w = mem_alloc(sizeof(*w));
    w->base = event_base_new();
    for (size_t i = 0; i < NODES; i++) {
        redis_peer_start(&w->peers[i], w->base, answer, w);
        w->nodes[i] = (struct node){.state = "ok", .epoch = 3, .low = 0, .high = 1, .answer = echo};
    }
    char url[128];
    (void)snprintf(url, sizeof(url), "redis-cluster://127.0.0.1:%u,127.0.0.1:%u", w->peers[0].port,
                   w->peers[1].port);
    const struct redis_params params = {.base = w->base,
                                        .url = url,
                                        .command_timeout_ms = TIMEOUT_MS,
                                        .arg = w,
                                        .on_up = on_up,
                                        .on_down = on_down};
    struct error err;
    assert_int_equal(redis_new(&params, &w->r, &err), 0);
    assert_true(peer_run_until(w->base, is_up, w, SOON_MS));
    assert_int_equal(w->downs, 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    redis_free(w->r);
    for (size_t i = 0; i < NODES; i++)
        redis_peer_stop(&w->peers[i]);
    base_end(w->base);
    free(w);
    return 0;
}

static void get(struct world *w, const char *key)
{
    redis_commandl(w->r, on_answer, w, STR_LIT("GET"), str_of(key));
}

static const char *moved_to_2(struct world *w, struct redis_peer *p, const char *command)
{
    (void)snprintf(w->text, sizeof(w->text), "-MOVED 7233 127.0.0.1:%u\r\n", w->peers[2].port);
    return w->text;
}

static const char *ask_at_2(struct world *w, struct redis_peer *p, const char *command)
{
    (void)snprintf(w->text, sizeof(w->text), "-ASK 7233 127.0.0.1:%u\r\n", w->peers[2].port);
    return w->text;
}

static const char *try_again(struct world *w, struct redis_peer *p, const char *command)
{
    if (!w->refusals)
        return echo(w, p, command);
    w->refusals--;
    return "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
}

static void each_command_goes_to_the_master_of_its_slot(void **state)
{
    struct world *w = *state;
    get(w, LOW_KEY);
    get(w, HIGH_KEY);
    assert_true(peer_run_until(w->base, has_both, w, SOON_MS));
    assert_string_equal(w->got[0], "0 GET " LOW_KEY);
    assert_string_equal(w->got[1], "1 GET " HIGH_KEY);
}

static void a_slot_that_moved_is_followed_and_remembered(void **state)
{
    struct world *w = *state;
    w->nodes[0].answer = moved_to_2;
    for (size_t i = 0; i < NODES; i++)
        w->nodes[i].low = 2;
    get(w, LOW_KEY);
    assert_true(peer_run_until(w->base, has_an_answer, w, SOON_MS));
    assert_string_equal(w->got[0], "2 GET " LOW_KEY);
    assert_true(peer_run_until(w->base, is_up, w, SOON_MS));
    get(w, LOW_KEY);
    assert_true(peer_run_until(w->base, has_both, w, SOON_MS));
    assert_string_equal(w->got[1], "2 GET " LOW_KEY);
    assert_int_equal(redis_peer_count(&w->peers[0], "GET " LOW_KEY), 1);
}

static void other_masters_are_another_redis(void **state)
{
    struct world *w = *state;
    char before[64];
    memcpy(before, w->up, sizeof(before));
    for (size_t i = 0; i < NODES; i++)
        w->nodes[i].low = 2;
    assert_true(peer_run_until(w->base, the_third_was_connected_to, w, SOON_MS));
    assert_true(peer_run_until(w->base, is_up, w, SOON_MS));
    assert_true(w->downs >= 1);
    assert_string_not_equal(w->up, before);
}

static void asking_goes_before_what_is_asked_elsewhere_once(void **state)
{
    struct world *w = *state;
    w->nodes[0].answer = ask_at_2;
    get(w, LOW_KEY);
    assert_true(peer_run_until(w->base, has_an_answer, w, SOON_MS));
    assert_string_equal(w->got[0], "2 GET " LOW_KEY);
    size_t at = w->peers[2].heard_count;
    assert_string_equal(w->peers[2].heard[at - 2], "ASKING");
    assert_string_equal(w->peers[2].heard[at - 1], "GET " LOW_KEY);
    size_t before = redis_peer_count(&w->peers[0], "GET " LOW_KEY);
    get(w, LOW_KEY);
    assert_true(peer_run_until(w->base, has_both, w, SOON_MS));
    assert_true(redis_peer_count(&w->peers[0], "GET " LOW_KEY) > before); // the slot is still its own
}

static void answers_come_in_the_order_of_the_questions(void **state)
{
    struct world *w = *state;
    w->nodes[0].answer = ask_at_2; // the first has a longer way
    get(w, LOW_KEY);
    get(w, HIGH_KEY);
    assert_true(peer_run_until(w->base, has_both, w, SOON_MS));
    assert_string_equal(w->got[0], "2 GET " LOW_KEY);
    assert_string_equal(w->got[1], "1 GET " HIGH_KEY);
}

static void an_answer_says_which_server_gave_it(void **state)
{
    struct world *w = *state;
    get(w, LOW_KEY);
    get(w, HIGH_KEY);
    assert_true(peer_run_until(w->base, has_both, w, SOON_MS));
    w->nodes[0].answer = ask_at_2; // one key of the slot has moved
    get(w, LOW_KEY);
    get(w, HIGH_KEY); // is answered before it, and told after it
    while (w->got_count < 4)
        (void)event_base_loop(w->base, EVLOOP_ONCE);
    assert_true(w->over[0] && w->over[1] && w->over[2]);
    assert_int_not_equal(w->over[0], w->over[1]);
    assert_int_not_equal(w->over[2], w->over[0]);
    assert_int_not_equal(w->over[2], w->over[1]);
    assert_int_equal(w->over[3], w->over[1]);
}

static void a_slot_on_the_move_is_asked_again_until_it_has_arrived(void **state)
{
    struct world *w = *state;
    w->nodes[0].answer = try_again;
    w->refusals = 5;
    get(w, LOW_KEY);
    assert_true(peer_run_until(w->base, has_an_answer, w, SOON_MS));
    assert_string_equal(w->got[0], "0 GET " LOW_KEY);
    assert_int_equal(redis_peer_count(&w->peers[0], "GET " LOW_KEY), 6);
}

static void a_slot_that_does_not_arrive_is_told_and_passes(void **state)
{
    struct world *w = *state;
    w->nodes[0].answer = try_again;
    w->refusals = 1000000;
    get(w, LOW_KEY);
    assert_true(peer_run_until(w->base, has_an_answer, w, SOON_MS));
    struct error err = {.code = w->codes[0]};
    (void)snprintf(err.text, sizeof(err.text), "%s", w->got[0]);
    assert_int_equal(err.code, -EIO);
    assert_true(redis_error_passes(&err));
    assert_int_equal(redis_pending_count(w->r), 0);
}

static void a_script_declares_the_bare_tag_too(void **state)
{
    struct world *w = *state;
    struct redis_script script;
    redis_script_init(&script, "script", STR_LIT("return 1"));
    const struct str argv[] = {STR_LIT(LOW_KEY), STR_LIT("argument")};
    redis_script(w->r, &script, on_answer, w, 1, ARRAY_LEN(argv), argv);
    assert_true(peer_run_until(w->base, has_an_answer, w, SOON_MS));
    assert_int_equal(redis_peer_count(&w->peers[0], "EVAL return 1 2 " LOW_KEY " rc:{g} argument"), 1);
}

static const char *three_replicas(struct world *w, struct redis_peer *p, const char *command)
{
    return strncmp(command, "WAIT", 4) == 0 ? ":3\r\n" : "+OK\r\n";
}

static const char *one_replica(struct world *w, struct redis_peer *p, const char *command)
{
    return strncmp(command, "WAIT", 4) == 0 ? ":1\r\n" : "+OK\r\n";
}

static void wait_asks_all_that_took_writes_and_gives_the_fewest(void **state)
{
    struct world *w = *state;
    w->nodes[0].answer = three_replicas;
    w->nodes[1].answer = one_replica;
    get(w, LOW_KEY);
    get(w, HIGH_KEY);
    redis_commandl(w->r, on_answer, w, STR_LIT("WAIT"), STR_LIT("1"), STR_LIT("100"));
    redis_commandl(w->r, on_answer, w, STR_LIT("GET"), STR_LIT(LOW_KEY));
    redis_commandl(w->r, on_answer, w, STR_LIT("WAIT"), STR_LIT("1"), STR_LIT("100"));
    while (w->got_count < 5)
        (void)event_base_loop(w->base, EVLOOP_ONCE);
    assert_string_equal(w->got[2], "1");
    assert_string_equal(w->got[4], "3"); // the other took nothing since
}

static void a_write_that_is_answered_behind_a_wait_is_waited_for_by_the_next(void **state)
{
    struct world *w = *state;
    w->nodes[0].answer = three_replicas;
    w->nodes[1].answer = one_replica;
    get(w, HIGH_KEY);
    redis_commandl(w->r, on_answer, w, STR_LIT("WAIT"), STR_LIT("1"), STR_LIT("100"));
    assert_true(peer_run_until(w->base, has_both, w, SOON_MS));
    redis_commandl(w->r, on_answer, w, STR_LIT("WAIT"), STR_LIT("1"), STR_LIT("100"));
    while (w->got_count < 3)
        (void)event_base_loop(w->base, EVLOOP_ONCE);
    assert_string_equal(w->got[2], "1");
}

static void what_is_left_of_a_cluster_goes_on_answering(void **state)
{
    struct world *w = *state;
    redis_peer_stop(&w->peers[1]);
    assert_true(peer_run_until(w->base, is_down, w, SOON_MS));
    assert_false(redis_is_up(w->r));
    get(w, LOW_KEY);
    get(w, HIGH_KEY);
    assert_true(peer_run_until(w->base, has_both, w, SOON_MS));
    // What is refused at once overtakes: nothing was sent.
    size_t answered = w->codes[0] == 0 ? 0 : 1;
    assert_string_equal(w->got[answered], "0 GET " LOW_KEY);
    assert_int_equal(w->codes[1 - answered], -ENOTCONN);
}

static bool two_more_maps_were_given(const void *arg)
{
    return ((const struct world *)arg)->maps_given >= 4;
}

static void a_map_that_is_out_of_date_is_not_believed(void **state)
{
    struct world *w = *state;
    w->maps_given = 0;
    for (size_t i = 0; i < NODES; i++) {
        w->nodes[i].epoch = 2;
        w->nodes[i].low = 2;
    }
    assert_true(peer_run_until(w->base, two_more_maps_were_given, w, SOON_MS));
    assert_int_equal(w->downs, 0);
    assert_int_equal(w->peers[2].connection_count, 0);
    for (size_t i = 0; i < NODES; i++) {
        w->nodes[i].epoch = 4;
        w->nodes[i].state = "fail"; // in a minority
    }
    w->maps_given = 0;
    assert_true(peer_run_until(w->base, two_more_maps_were_given, w, SOON_MS));
    assert_int_equal(w->peers[2].connection_count, 0);
}

static void free_in_callback(void *arg, const struct redis_value *v, const struct error *err)
{
    struct world *w = arg;
    on_answer(arg, v, err);
    redis_free(w->r);
    w->r = NULL;
}

static void freeing_inside_a_callback_answers_the_rest(void **state)
{
    struct world *w = *state;
    redis_commandl(w->r, free_in_callback, w, STR_LIT("GET"), STR_LIT(HIGH_KEY));
    redis_commandl(w->r, on_answer, w, STR_LIT("GET"), STR_LIT(HIGH_KEY));
    assert_true(peer_run_until(w->base, has_both, w, SOON_MS));
    assert_int_equal(w->codes[0], 0);
    assert_int_equal(w->codes[1], -ENOTCONN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_command_goes_to_the_master_of_its_slot),
        TEST(a_slot_that_moved_is_followed_and_remembered),
        TEST(other_masters_are_another_redis),
        TEST(asking_goes_before_what_is_asked_elsewhere_once),
        TEST(answers_come_in_the_order_of_the_questions),
        TEST(an_answer_says_which_server_gave_it),
        TEST(a_slot_on_the_move_is_asked_again_until_it_has_arrived),
        TEST(a_slot_that_does_not_arrive_is_told_and_passes),
        TEST(a_script_declares_the_bare_tag_too),
        TEST(wait_asks_all_that_took_writes_and_gives_the_fewest),
        TEST(a_write_that_is_answered_behind_a_wait_is_waited_for_by_the_next),
        TEST(what_is_left_of_a_cluster_goes_on_answering),
        TEST(a_map_that_is_out_of_date_is_not_believed),
        TEST(freeing_inside_a_callback_answers_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
