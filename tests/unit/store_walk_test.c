// Walks of services/gateway/store over all that a query leaves, on a real redis-server.
#include "tests/unit/store_fixture.h"

enum { COUNT = 450 }; // more than two slices

struct walked {
    struct store_walk *walk;
    bool goes_on; // asks for the next slice from within
    bool ends;    // ends the walk from within the first slice
    int calls, rc;
    bool over;
    size_t records, largest;
    uint64_t last_id, total;
};

static void on_slice(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                     const struct error *err)
{
    struct walked *w = arg;
    assert_true((rc == 0) == (err == NULL));
    assert_false(w->over);
    w->calls++;
    w->rc = rc;
    w->total = total;
    for (size_t i = 0; i < count; i++) {
        assert_true(records[i].reg.id > w->last_id);
        w->last_id = records[i].reg.id;
    }
    w->records += count;
    if (count > w->largest)
        w->largest = count;
    w->over = rc || !count;
    if (w->ends)
        store_walk_end(w->walk);
    else if (w->goes_on && !w->over)
        store_walk_next(w->walk);
}

static bool is_over(const void *arg)
{
    const struct walked *w = arg;
    return w->over;
}

static bool is_called(const void *arg)
{
    const struct walked *w = arg;
    return w->calls > 0;
}

static void on_created(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    (void)record, (void)err;
    assert_int_equal(rc, 0);
    ++*(int *)arg;
}

// Every third is of user 200.
static void create_all(struct fixture *f)
{
    int created = 0;
    for (int i = 0; i < COUNT; i++) {
        struct registration r cleanup(registration_done) = a_registration("acme", "");
        if (i % 3 == 2)
            set_text(&r.username, "200");
        store_create(f->store, &r, &fixture_context, on_created, &created);
        if (i % 32 != 31 && i != COUNT - 1)
            continue;
        while (created <= i)
            (void)event_base_loop(f->base, EVLOOP_ONCE);
        fixture_forget(f);
    }
}

static struct walked walked_over(struct fixture *f, const struct store_query *q)
{
    struct walked w = {.goes_on = true};
    w.walk = store_walk_begin(f->store, q, on_slice, &w);
    assert_int_equal(w.calls, 0);
    assert_true(peer_run_until(f->base, is_over, &w, SOON_MS));
    store_walk_end(w.walk);
    return w;
}

static void a_walk_gives_all_in_order_and_then_its_end(void **state)
{
    struct fixture *f = *state;
    create_all(f);
    struct store_query q = {.account = STR_LIT("acme"), .offset = 5, .limit = 1, .descending = true};
    struct walked w = walked_over(f, &q);
    assert_int_equal(w.rc, 0);
    assert_int_equal(w.records, COUNT);
    assert_int_equal(w.total, COUNT);
    assert_true(w.largest < COUNT);
    q.account = STR_LIT("nobody");
    w = walked_over(f, &q);
    assert_int_equal(w.calls, 1);
    assert_int_equal(w.rc, 0);
    const uint64_t ids[] = {999999};
    q.ids = ids;
    w = walked_over(f, &q); // an empty list of ids
    assert_int_equal(w.records, 0);
    q.id_count = 1;
    w = walked_over(f, &q);
    assert_int_equal(w.calls, 1);
}

static bool divides_by_seven(const void *arg, const struct store_record *record)
{
    (void)arg;
    return record->reg.id % 7 == 0;
}

static void a_walk_gives_only_what_the_query_keeps(void **state)
{
    struct fixture *f = *state;
    create_all(f);
    const struct store_term user = {.field = "username", .value = STR_LIT("200")};
    const struct store_query q = {
        .account = STR_LIT("acme"), .terms = &user, .term_count = 1, .keep = divides_by_seven};
    struct walked w = walked_over(f, &q);
    assert_int_equal(w.rc, 0);
    assert_int_equal(w.records, COUNT / 21);
    assert_int_equal(w.last_id, 441);
}

static bool only_the_last(const void *arg, const struct store_record *record)
{
    (void)arg;
    return record->reg.id == COUNT;
}

static void slices_of_which_nothing_is_kept_are_passed_over(void **state)
{
    struct fixture *f = *state;
    create_all(f);
    const struct store_query q = {.account = STR_LIT("acme"), .keep = only_the_last};
    struct walked w = walked_over(f, &q);
    assert_int_equal(w.calls, 2); // that one, and the end
    assert_int_equal(w.last_id, COUNT);
}

static void nothing_is_read_before_it_is_asked_for(void **state)
{
    struct fixture *f = *state;
    create_all(f);
    const struct store_query q = {.account = STR_LIT("acme")};
    struct walked w = {0};
    w.walk = store_walk_begin(f->store, &q, on_slice, &w);
    assert_true(peer_run_until(f->base, is_called, &w, SOON_MS));
    size_t first = w.records;
    assert_int_equal(do_delete(f, "acme", COUNT), 0);
    assert_int_equal(w.calls, 1);
    w.goes_on = true;
    store_walk_next(w.walk);
    assert_true(peer_run_until(f->base, is_over, &w, SOON_MS));
    assert_true(first < COUNT);
    assert_int_equal(w.records, COUNT - 1); // what was deleted meanwhile is not in it
    store_walk_end(w.walk);
}

static void a_walk_may_be_ended_at_any_time(void **state)
{
    struct fixture *f = *state;
    create_all(f);
    const struct store_query q = {.account = STR_LIT("acme")};
    struct walked at_once = {0}, within = {.ends = true}, waiting = {0}, reading = {0};
    at_once.walk = store_walk_begin(f->store, &q, on_slice, &at_once);
    store_walk_end(at_once.walk);
    within.walk = store_walk_begin(f->store, &q, on_slice, &within);
    waiting.walk = store_walk_begin(f->store, &q, on_slice, &waiting);
    reading.walk = store_walk_begin(f->store, &q, on_slice, &reading);
    assert_true(peer_run_until(f->base, is_called, &reading, SOON_MS));
    assert_true(peer_run_until(f->base, is_called, &waiting, SOON_MS));
    store_walk_end(waiting.walk);
    store_walk_next(reading.walk);
    store_walk_end(reading.walk);
    assert_int_equal(do_get(f, "acme", 1), 0); // behind all that was asked before
    assert_int_equal(at_once.calls, 0);
    assert_int_equal(within.calls, 1);
    assert_int_equal(waiting.calls, 1);
    assert_int_equal(reading.calls, 1);
    store_walk_end(NULL);
}

static void a_store_that_is_freed_ends_its_walks(void **state)
{
    struct fixture *f = *state;
    create_all(f);
    const struct store_query q = {.account = STR_LIT("acme")};
    struct walked reading = {0}, dropped = {0};
    reading.walk = store_walk_begin(f->store, &q, on_slice, &reading);
    assert_true(peer_run_until(f->base, is_called, &reading, SOON_MS));
    store_walk_next(reading.walk);
    dropped.walk = store_walk_begin(f->store, &q, on_slice, &dropped);
    store_walk_end(dropped.walk);
    store_free(f->store);
    f->store = NULL;
    assert_true(reading.over);
    assert_int_equal(reading.rc, -ENOTCONN);
    assert_int_equal(dropped.calls, 0);
    store_walk_end(reading.walk);
}

static void a_walk_passes_over_what_is_damaged(void **state)
{
    struct fixture *f = *state;
    create_all(f);
    (void)rawf(f, "HSET rc:{s%u}:reg:300 spec []", store_shard(STR_LIT("acme")));
    const struct store_query q = {.account = STR_LIT("acme")};
    struct walked w = walked_over(f, &q);
    assert_int_equal(w.rc, 0);
    assert_int_equal(w.records, COUNT - 1);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_walk_gives_all_in_order_and_then_its_end),
        STORE_TEST(a_walk_gives_only_what_the_query_keeps),
        STORE_TEST(slices_of_which_nothing_is_kept_are_passed_over),
        STORE_TEST(nothing_is_read_before_it_is_asked_for),
        STORE_TEST(a_walk_may_be_ended_at_any_time),
        STORE_TEST(a_store_that_is_freed_ends_its_walks),
        STORE_TEST(a_walk_passes_over_what_is_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
