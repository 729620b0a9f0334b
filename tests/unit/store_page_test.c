// Pages, objects and replicas of services/gateway/store on a real redis-server, and the pure choice of a
// page's best.
#include "services/gateway/store/top.h"
#include "tests/unit/store_pages.h"

struct many {
    int answered, failed, expected;
};

static void on_many(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    (void)record, (void)err;
    struct many *m = arg;
    m->answered++;
    m->failed += rc != 0;
}

static bool all_answered(const void *arg)
{
    const struct many *m = arg;
    return m->answered == m->expected;
}

// Names in an order that is not that of the ids; every tenth has no display name, the others share 7 of them.
static void create_many(struct fixture *f, int count)
{
    struct many m = {.expected = count};
    for (int i = 0; i < count; i++) {
        struct registration r cleanup(registration_done) = a_registration("acme", NULL);
        char text[32];
        (void)snprintf(text, sizeof(text), "n%03d", (i * 37) % count);
        set_text(&r.name, text);
        (void)snprintf(text, sizeof(text), "d%d", i % 7);
        set_text(&r.display_username, i % 10 ? text : NULL);
        r.retry_delay_s = 1 + (i * 37) % count;
        store_create(f->store, &r, &fixture_context, on_many, &m);
        if (f->change_count > MAX_CHANGES / 2)
            fixture_forget(f);
        if (i % 16 == 15 || i + 1 == count) {
            struct many until = {.expected = i + 1};
            m.expected = until.expected;
            assert_true(peer_run_until(f->base, all_answered, &m, SOON_MS));
            fixture_forget(f);
        }
    }
    assert_int_equal(m.failed, 0);
}

static char *by_name(const struct registration *r, bool *ret_is_number)
{
    *ret_is_number = false;
    return mem_dup_cstr(r->name);
}

static char *by_display(const struct registration *r, bool *ret_is_number)
{
    *ret_is_number = false;
    return mem_dup_cstr(r->display_username);
}

static void pages_by_id_go_by_rank(void **state)
{
    struct fixture *f = *state;
    create_many(f, 12);
    assert_int_equal(do_delete(f, "acme", 4), 0);
    struct store_query q = {.account = STR_LIT("acme"), .offset = 2, .limit = 3};
    struct page p = page_of(f, &q);
    assert_page(&p, 3, 5, 6);
    assert_int_equal(p.total, 11);
    q.descending = true;
    p = page_of(f, &q);
    assert_page(&p, 10, 9, 8);
    q.offset = 9;
    q.limit = 50;
    p = page_of(f, &q);
    assert_page(&p, 2, 1);
}

static void a_record_of_a_page_carries_its_own_status(void **state)
{
    struct fixture *f = *state;
    create_many(f, 3);
    struct buf key cleanup(buf_done) = BUF_INIT;
    key_registration(&key, store_shard(STR_LIT("acme")), 2);
    (void)rawf(f, "HSET %s status {\"x\":2}", key.p);
    struct store_query q = {.account = STR_LIT("acme"), .limit = 10};
    struct page p = page_of(f, &q);
    assert_page(&p, 1, 2, 3);
    assert_string_equal(p.statuses[0], "");
    assert_string_equal(p.statuses[1], "{\"x\":2}");
    assert_string_equal(p.statuses[2], "");
}

static void an_empty_page_still_counts(void **state)
{
    struct fixture *f = *state;
    create_many(f, 5);
    struct store_query q = {.account = STR_LIT("acme"), .limit = 0};
    struct page p = page_of(f, &q);
    assert_int_equal(p.records, 0);
    assert_int_equal(p.total, 5);
    q.limit = 10;
    q.offset = UINT64_MAX;
    p = page_of(f, &q);
    assert_int_equal(p.records, 0);
    assert_int_equal(p.total, 5);
    q.sort_key = by_name;
    p = page_of(f, &q);
    assert_int_equal(p.records, 0);
    assert_int_equal(p.total, 5);
    q.account = STR_LIT("nobody");
    q.offset = 0;
    p = page_of(f, &q);
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.total, 0);
    q.sort_key = NULL;
    p = page_of(f, &q);
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.total, 0);
}

static void only_the_ids_asked_for_that_are_in_the_account(void **state)
{
    struct fixture *f = *state;
    create_many(f, 6);
    struct registration other cleanup(registration_done) = created(f, "other", "x");
    assert_int_equal(do_delete(f, "acme", 2), 0);
    const uint64_t ids[] = {6, 3, 2, other.id, 3, 999, 1};
    struct store_query q = {
        .account = STR_LIT("acme"), .limit = 10, .ids = ids, .id_count = sizeof(ids) / sizeof(ids[0])};
    struct page p = page_of(f, &q);
    assert_page(&p, 1, 3, 6);
    assert_int_equal(p.total, 3);
    q.descending = true;
    q.offset = 1;
    q.limit = 1;
    p = page_of(f, &q);
    assert_page(&p, 3);
    assert_int_equal(p.total, 3);
    q.offset = 0;
    q.limit = 10;
    q.sort_key = by_delay; // of 1, 3, 6: 1, 3 (2 * 37 % 6 + 1), 6
    p = page_of(f, &q);
    assert_page(&p, 6, 3, 1);
    assert_int_equal(p.total, 3);
    q.id_count = 0;
    p = page_of(f, &q);
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.total, 0);
}

// 450 are more than two slices of the walk.
static void pages_by_another_key_walk_over_all(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 450 };
    create_many(f, COUNT);
    uint64_t id_of_rank[COUNT];
    for (uint64_t i = 0; i < COUNT; i++)
        id_of_rank[(i * 37) % COUNT] = i + 1;
    struct store_query q = {.account = STR_LIT("acme"), .offset = 200, .limit = 250, .sort_key = by_name};
    struct page p = page_of(f, &q);
    assert_ids(&p, 250, id_of_rank + 200);
    assert_int_equal(p.total, COUNT);
    q.sort_key = by_delay; // as numbers: 9 before 10
    q.offset = 0;
    q.limit = 20;
    p = page_of(f, &q);
    assert_ids(&p, 20, id_of_rank);
    q.descending = true;
    q.offset = COUNT - 2;
    p = page_of(f, &q);
    assert_page(&p, id_of_rank[1], id_of_rank[0]);
}

static void absent_keys_are_last_ascending_and_first_descending(void **state)
{
    struct fixture *f = *state;
    create_many(f, 21);
    struct store_query q = {.account = STR_LIT("acme"), .offset = 17, .limit = 10, .sort_key = by_display};
    struct page p = page_of(f, &q);
    assert_page(&p, 14, 1, 11, 21); // d6, then the three without, equal ones by id
    q.offset = 0;
    q.limit = 4;
    q.descending = true;
    p = page_of(f, &q);
    assert_page(&p, 21, 11, 1, 14);
}

static void a_damaged_record_is_left_out_of_its_page(void **state)
{
    struct fixture *f = *state;
    create_many(f, 3);
    struct buf key cleanup(buf_done) = BUF_INIT;
    key_registration(&key, store_shard(STR_LIT("acme")), 2);
    (void)rawf(f, "HSET %s spec []", key.p);
    struct store_query q = {.account = STR_LIT("acme"), .limit = 10};
    struct page p = page_of(f, &q);
    assert_page(&p, 1, 3);
    q.sort_key = by_name;
    p = page_of(f, &q);
    assert_page(&p, 1, 3);
}

static void a_store_freed_in_the_middle_of_a_walk_answers_it(void **state)
{
    struct fixture *f = *state;
    create_many(f, 300);
    const struct store_query q = {.account = STR_LIT("acme"), .limit = 10, .sort_key = by_name};
    struct page p = {0};
    store_page(f->store, &q, on_page, &p);
    for (int turn = 0; turn < 3; turn++)
        (void)event_base_loop(f->base, EVLOOP_ONCE);
    store_free(f->store);
    f->store = NULL;
    assert_int_equal(p.count, 1);
    if (p.rc)
        assert_int_equal(p.rc, -ENOTCONN);
}

enum { WALKS = 12, WALKED = 450, WALK_SLICE = 25 };

struct walks {
    struct page pages[WALKS];
    struct walker {
        struct walks *all;
        size_t judged;
    } walkers[WALKS];
    bool out_of_turn; // one had more of a slice while another had none of it
    size_t most_begun;
};

// How many are within a slice now: a slice is judged in more than one turn of the loop.
static size_t walks_begun(const struct walks *all)
{
    size_t begun = 0;
    for (size_t i = 0; i < WALKS; i++)
        begun += all->walkers[i].judged % WALK_SLICE && all->walkers[i].judged < WALKED;
    return begun;
}

static bool keep_all(const void *arg, const struct store_record *record)
{
    struct walker *w = (struct walker *)(uintptr_t)arg;
    size_t slice = w->judged++ / WALK_SLICE, begun = walks_begun(w->all);
    for (size_t i = 0; slice && i < WALKS; i++)
        if (w->all->walkers[i].judged < slice * WALK_SLICE)
            w->all->out_of_turn = true;
    if (begun > w->all->most_begun)
        w->all->most_begun = begun;
    return record->reg.id > 0;
}

static void begin_walks(struct fixture *f, struct walks *all)
{
    for (size_t i = 0; i < WALKS; i++) {
        all->walkers[i].all = all;
        const struct store_query q = {
            .account = STR_LIT("acme"), .limit = 5, .keep = keep_all, .keep_arg = &all->walkers[i]};
        store_page(f->store, &q, on_page, &all->pages[i]);
    }
}

static bool all_walked(const void *arg)
{
    const struct walks *all = arg;
    size_t answered = 0;
    for (size_t i = 0; i < WALKS; i++)
        answered += all->pages[i].count > 0;
    return answered == WALKS;
}

static void many_walks_take_turns_a_few_slices_at_once(void **state)
{
    struct fixture *f = *state;
    create_many(f, WALKED);
    struct walks *all = test_calloc(1, sizeof(*all));
    begin_walks(f, all);
    assert_true(peer_run_until(f->base, all_walked, all, SOON_MS));
    for (size_t i = 0; i < WALKS; i++) {
        assert_int_equal(all->pages[i].count, 1);
        assert_int_equal(all->pages[i].total, WALKED);
        assert_page(&all->pages[i], 1, 2, 3, 4, 5);
    }
    assert_false(all->out_of_turn);
    assert_in_range(all->most_begun, 1, 2);
    test_free(all);
}

static void walks_that_wait_for_their_turn_are_answered_when_the_store_closes(void **state)
{
    struct fixture *f = *state;
    create_many(f, WALKED);
    struct walks *all = test_calloc(1, sizeof(*all));
    begin_walks(f, all);
    for (int turn = 0; turn < 5; turn++)
        (void)event_base_loop(f->base, EVLOOP_ONCE);
    store_free(f->store);
    f->store = NULL;
    for (size_t i = 0; i < WALKS; i++)
        assert_int_equal(all->pages[i].count, 1);
    assert_int_equal(all->pages[WALKS - 1].rc, -ENOTCONN);
    test_free(all);
}

// ---- objects and places

struct told {
    int count, rc;
    bool used;
    char text[256];
};

static bool is_told(const void *arg)
{
    const struct told *t = arg;
    return t->count > 0;
}

static void on_done(void *arg, int rc, const struct error *err)
{
    (void)err;
    struct told *t = arg;
    t->count++;
    t->rc = rc;
}

static void on_objects(void *arg, int rc, const struct store_object *objects, size_t count,
                       const struct error *err)
{
    (void)err;
    struct told *t = arg;
    t->count++;
    t->rc = rc;
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += (size_t)snprintf(t->text + n, sizeof(t->text) - n, "%llu=" STR_FMT " ",
                              (unsigned long long)objects[i].id, STR_ARG(objects[i].json));
}

static void on_used(void *arg, int rc, bool used)
{
    struct told *t = arg;
    t->count++;
    t->rc = rc;
    t->used = used;
}

static int put(struct fixture *f, uint64_t id, bool create, const char *json)
{
    struct told t = {0};
    store_object_put(f->store, "pops", id, create, str_of(json), on_done, &t);
    assert_true(peer_run_until(f->base, is_told, &t, SOON_MS));
    return t.rc;
}

static int drop(struct fixture *f, uint64_t id)
{
    struct told t = {0};
    store_object_delete(f->store, "pops", id, on_done, &t);
    assert_true(peer_run_until(f->base, is_told, &t, SOON_MS));
    return t.rc;
}

static void objects_are_put_listed_and_dropped(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, 10, true, "{\"a\":1}"), 0);
    assert_int_equal(put(f, 10, true, "{}"), -EEXIST);
    assert_int_equal(put(f, 9, false, "{}"), -ENOENT);
    assert_int_equal(put(f, 9, true, "{}"), 0);
    assert_int_equal(put(f, 10, false, "{\"a\":2}"), 0);
    struct told t = {0};
    store_objects(f->store, "pops", on_objects, &t);
    assert_true(peer_run_until(f->base, is_told, &t, SOON_MS));
    assert_string_equal(t.text, "9={} 10={\"a\":2} ");
    assert_string_equal(raw(f, "HGET rc:{g}:pops 10"), "{\"a\":2}");
    assert_int_equal(drop(f, 9), 0);
    assert_int_equal(drop(f, 9), -ENOENT);
    f->gate.approved = 0;
    assert_int_equal(drop(f, 10), -EBUSY);
    assert_int_equal(put(f, 11, true, "{}"), -EBUSY);
}

static bool in_use(struct fixture *f, const char *place)
{
    struct told t = {0};
    store_place_in_use(f->store, place, on_used, &t);
    assert_true(peer_run_until(f->base, is_told, &t, SOON_MS));
    assert_int_equal(t.rc, 0);
    return t.used;
}

static void a_place_is_in_use_until_the_last_removal_is_proved(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = a_registration("acme", "x");
    r.node = 5;
    assert_int_equal(do_create(f, &r), 0);
    assert_true(in_use(f, "node-5"));
    assert_false(in_use(f, "node-50"));
    assert_false(in_use(f, "any"));
    assert_int_equal(do_delete(f, "acme", 1), 0);
    assert_true(in_use(f, "node-5"));
}

// ---- replicas

static bool replica_is_there(const void *arg)
{
    struct fixture *f = *(struct fixture *const *)arg;
    return f->raw_answers > 0;
}

static void wait_for_replica(struct fixture *f)
{
    for (uint64_t end_us = clock_monotonic_us() + SOON_MS * UINT64_C(1000);;) {
        f->raw_answers = 0;
        redis_commandl(f->raw, fixture_on_raw, f, STR_LIT("WAIT"), STR_LIT("1"), STR_LIT("100"));
        assert_true(peer_run_until(f->base, replica_is_there, &f, SOON_MS));
        if (strcmp(f->raw_text.p, "1") == 0)
            return;
        assert_true(clock_monotonic_us() < end_us);
        (void)raw(f, "SET moves-the-offset 1"); // what a replica confirms
    }
}

static void a_write_that_no_replica_confirmed_stands_and_says_so(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    fixture_open_store(f, 1, 50);
    struct registration r cleanup(registration_done) = a_registration("acme", "x");
    assert_int_equal(do_create(f, &r), -ETIMEDOUT);
    assert_int_equal(f->change_count, 1);
    assert_int_equal(do_get(f, "acme", 1), 0);
}

static void writes_that_a_replica_confirmed_are_answered_in_groups(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    struct fixture replica = {.port = peer_free_port()};
    (void)snprintf(replica.dir, sizeof(replica.dir), "%s", f->dir);
    fixture_start_server(&replica);
    struct redis_params params = {.base = f->base,
                                  .command_timeout_ms = SOON_MS,
                                  .arg = &replica,
                                  .on_up = fixture_raw_up,
                                  .on_down = fixture_raw_down};
    char url[64];
    (void)snprintf(url, sizeof(url), "redis://127.0.0.1:%u", replica.port);
    params.url = url;
    struct redis *to_replica;
    struct error err;
    assert_int_equal(redis_new(&params, &to_replica, &err), 0);
    fixture_open_store(f, 1, 5000);
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", f->port);
    redis_commandl(to_replica, fixture_on_raw, &replica, STR_LIT("PING"));
    assert_true(peer_run_until(f->base, fixture_is_raw_answered, &replica, SOON_MS));
    while (!redis_is_up(to_replica))
        (void)event_base_loop(f->base, EVLOOP_ONCE);
    replica.raw_answers = 0;
    redis_commandl(to_replica, fixture_on_raw, &replica, STR_LIT("REPLICAOF"), STR_LIT("127.0.0.1"),
                   str_of(port));
    assert_true(peer_run_until(f->base, fixture_is_raw_answered, &replica, SOON_MS));
    wait_for_replica(f);

    (void)raw(f, "CONFIG RESETSTAT");
    struct many m = {.expected = 30};
    for (int i = 0; i < m.expected; i++) {
        struct registration r cleanup(registration_done) = a_registration("acme", NULL);
        store_create(f->store, &r, &fixture_context, on_many, &m);
    }
    assert_true(peer_run_until(f->base, all_answered, &m, SOON_MS));
    assert_int_equal(m.failed, 0);
    unsigned waits = 0;
    const char *stat = strstr(raw(f, "INFO commandstats"), "cmdstat_wait:calls=");
    assert_non_null(stat);
    assert_int_equal(sscanf(stat, "cmdstat_wait:calls=%u", &waits), 1);
    assert_in_range(waits, 1, 15);

    redis_free(to_replica);
    (void)peer_stop(replica.server, SIGKILL);
    buf_done(&replica.raw_text);
    char file[128];
    (void)snprintf(file, sizeof(file), "%s/dump.rdb", f->dir);
    (void)unlink(file);
}

// ---- top.h alone

static void the_best_are_kept_whatever_the_order_of_offers(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 2; turn++) {
        bool descending = turn;
        struct top *t = top_new(30, descending);
        for (uint64_t i = 0; i < 1000; i++) {
            struct buf key = BUF_INIT;
            buf_add_u64(&key, (i * 7919) % 1000);
            top_offer(t, i, buf_steal(&key), true);
        }
        uint64_t *ids;
        assert_int_equal(top_page(t, 25, &ids), 5);
        for (uint64_t i = 0; i < 5; i++)
            assert_int_equal((ids[i] * 7919) % 1000, descending ? 999 - 25 - i : 25 + i);
        free(ids);
        assert_false(top_shrink(t, 24));
        assert_true(top_shrink(t, 24));
        top_free(t);
    }
}

static void large_integers_are_compared_exactly(void **state)
{
    (void)state;
    struct top *t = top_new(3, false);
    top_offer(t, 1, mem_dup_cstr("9007199254740993"), true);
    top_offer(t, 2, mem_dup_cstr("9007199254740992"), true);
    top_offer(t, 3, mem_dup_cstr("-1"), true);
    uint64_t *ids;
    assert_int_equal(top_page(t, 0, &ids), 3);
    assert_int_equal(ids[0], 3);
    assert_int_equal(ids[1], 2);
    assert_int_equal(ids[2], 1);
    free(ids);
    top_free(t);
}

static void a_top_of_nothing_keeps_nothing(void **state)
{
    (void)state;
    struct top *t = top_new(0, false);
    top_offer(t, 1, mem_dup_cstr("a"), false);
    top_offer(t, 2, NULL, false);
    uint64_t *ids;
    assert_int_equal(top_page(t, 0, &ids), 0);
    free(ids);
    top_free(t);
}

int main(void)
{
#define on_redis(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        on_redis(pages_by_id_go_by_rank),
        on_redis(a_record_of_a_page_carries_its_own_status),
        on_redis(an_empty_page_still_counts),
        on_redis(only_the_ids_asked_for_that_are_in_the_account),
        on_redis(pages_by_another_key_walk_over_all),
        on_redis(absent_keys_are_last_ascending_and_first_descending),
        on_redis(a_damaged_record_is_left_out_of_its_page),
        on_redis(a_store_freed_in_the_middle_of_a_walk_answers_it),
        on_redis(many_walks_take_turns_a_few_slices_at_once),
        on_redis(walks_that_wait_for_their_turn_are_answered_when_the_store_closes),
        on_redis(objects_are_put_listed_and_dropped),
        on_redis(a_place_is_in_use_until_the_last_removal_is_proved),
        on_redis(a_write_that_no_replica_confirmed_stands_and_says_so),
        on_redis(writes_that_a_replica_confirmed_are_answered_in_groups),
        cmocka_unit_test(the_best_are_kept_whatever_the_order_of_offers),
        cmocka_unit_test(large_integers_are_compared_exactly),
        cmocka_unit_test(a_top_of_nothing_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
