// Fair turns: who begins at once, who waits, and in which order those that wait begin.
#include "services/gateway/fair/fair.h"

#include "common/base/base.h"
#include "services/gateway/fair/company.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// cmocka needs setjmp, stdarg, stddef and stdint before it
#include <cmocka.h>

enum { TICKETS = 32, SHARE = 4, ALONE = 8, ALL = 12, QUEUE = 10, REST_PERCENT = 50 };

static uint64_t now_us;

static uint64_t now(void)
{
    return now_us;
}

struct asker {
    struct fair_ticket ticket;
    char name;
};

struct fixture {
    struct event_base *base;
    struct company *company;
    struct fair *fair;
    struct asker askers[TICKETS];
    size_t count;
    char begun[TICKETS + 1]; // names in the order in which they began
    int waiting[FAIR_LANES], refused;
};

static struct fixture fixture;

static void on_wait(void *arg, enum fair_lane lane, int change)
{
    struct fixture *f = arg;
    f->waiting[lane] += change;
    f->refused += !change;
}

static struct fair *new_fair(struct fixture *f)
{
    struct fair_params params = {.base = f->base, .now_us = now, .arg = f, .on_wait = on_wait};
    for (int i = 0; i < FAIR_LANES; i++)
        params.limits[i] = (struct fair_limits){.share = SHARE,
                                                .alone = ALONE,
                                                .all = ALL,
                                                .queue = QUEUE,
                                                .rest_percent = REST_PERCENT,
                                                .company = f->company};
    return fair_new(&params);
}

static int set_up(void **state)
{
    struct fixture *f = *state = &fixture;
    *f = (struct fixture){.base = event_base_new()};
    now_us = 5000000;
    f->company = company_new();
    f->fair = new_fair(f);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < f->count; i++)
        fair_give_back(&f->askers[i].ticket);
    fair_free(f->fair);
    company_free(f->company);
    event_base_free(f->base);
    return 0;
}

static void begun(struct fair_ticket *t)
{
    size_t n = strlen(fixture.begun);
    assert_true(n + 1 < sizeof(fixture.begun));
    fixture.begun[n] = container_of(t, struct asker, ticket)->name;
    fixture.begun[n + 1] = '\0';
}

static enum fair_answer ask(struct fixture *f, enum fair_lane lane, char who, unsigned cost)
{
    struct asker *a = &f->askers[f->count++];
    a->name = who;
    return fair_ask(f->fair, &a->ticket, lane, str_of_bytes(&who, 1), cost, begun);
}

static void ask_times(struct fixture *f, char who, int times)
{
    for (int i = 0; i < times; i++)
        assert_int_not_equal(ask(f, FAIR_REQUESTS, who, 1), FAIR_FULL);
}

static void end_first(struct fixture *f, char who)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->askers[i].name != who || f->askers[i].ticket.state != FAIR_RUNS)
            continue;
        fair_give_back(&f->askers[i].ticket);
        (void)event_base_loop(f->base, EVLOOP_NONBLOCK);
        return;
    }
    fail_msg("%c has none under way", who);
}

static void whoever_is_alone_has_more_under_way(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'a', ALONE + 2);
    assert_string_equal(f->begun, "aaaaaaaa");
    assert_int_equal(f->waiting[FAIR_REQUESTS], 2);
}

static void a_name_may_be_any_bytes(void **state)
{
    struct fixture *f = *state;
    ask_times(f, '\0', ALONE + 2);
    assert_int_equal(f->waiting[FAIR_REQUESTS], 2);
    end_first(f, '\0');
    assert_int_equal(f->waiting[FAIR_REQUESTS], 1);
}

static void a_party_has_its_share_while_another_asks(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'b', 1);
    ask_times(f, 'a', SHARE + 2);
    assert_string_equal(f->begun, "baaaa");
    now_us += 1000000; // b is silent since a second
    end_first(f, 'a');
    assert_string_equal(f->begun, "baaaaaa");
}

static void who_waits_has_asked_however_long_ago(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'a', 1);
    ask_times(f, 'b', SHARE + 2);
    now_us += 3000000; // Redis stands still
    ask_times(f, 'a', SHARE + 2);
    assert_string_equal(f->begun, "abbbbaaa");
}

static void another_begins_at_once_beside_a_flood(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'a', ALONE + QUEUE);
    assert_int_equal(ask(f, FAIR_REQUESTS, 'b', 1), FAIR_BEGUN);
}

static void those_that_wait_begin_in_turn(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'b', SHARE);
    ask_times(f, 'a', SHARE);
    ask_times(f, 'c', SHARE); // all are taken
    ask_times(f, 'a', 3);
    ask_times(f, 'b', 3);
    f->begun[0] = '\0';
    for (int i = 0; i < 3; i++) {
        end_first(f, 'a');
        end_first(f, 'b');
    }
    assert_string_equal(f->begun, "ababab");
}

static void who_asks_for_much_begins_less_often(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'c', 1);
    assert_int_equal(ask(f, FAIR_REQUESTS, 'a', SHARE), FAIR_BEGUN);
    assert_int_equal(ask(f, FAIR_REQUESTS, 'a', 1), FAIR_QUEUED);
    end_first(f, 'a');
    assert_string_equal(f->begun, "caa");
}

static void a_cost_above_the_share_is_begun_alone(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, FAIR_REQUESTS, 'a', 10 * ALL), FAIR_BEGUN);
    assert_int_equal(ask(f, FAIR_REQUESTS, 'a', 1), FAIR_QUEUED);
    end_first(f, 'a');
    assert_string_equal(f->begun, "aa");
}

static void a_full_queue_refuses(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'a', ALONE + QUEUE);
    assert_int_equal(ask(f, FAIR_REQUESTS, 'a', 1), FAIR_FULL);
    assert_int_equal(f->refused, 1);
    assert_int_equal(ask(f, FAIR_REQUESTS, 'b', 1), FAIR_BEGUN);
}

// ---- rests

// Until what rests has woken, by a clock that only a test moves: `now_us` is past its rest.
static void wait_for_begun(struct fixture *f, const char *names)
{
    for (int i = 0; i < 1000 && strcmp(f->begun, names) != 0; i++)
        (void)event_base_loop(f->base, EVLOOP_ONCE);
    assert_string_equal(f->begun, names);
}

static void a_flood_beside_another_rests_between_one_thing_and_the_next(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'b', 1);
    for (int i = 0; i < SHARE / FAIR_WRITE + 1; i++)
        (void)ask(f, FAIR_REQUESTS, 'a', FAIR_WRITE);
    now_us += 300;
    end_first(f, 'a');
    now_us += 299; // 300 us of a cost of two, half of it
    (void)event_base_loop(f->base, EVLOOP_NONBLOCK);
    assert_string_equal(f->begun, "baa");
    now_us += 1;
    wait_for_begun(f, "baaa");
}

static void what_is_asked_while_others_of_a_flood_rest_rests_with_them(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'b', 1);
    ask_times(f, 'a', SHARE + 1);
    now_us += 100;
    for (int i = 0; i < SHARE; i++)
        end_first(f, 'a');
    assert_int_equal(ask(f, FAIR_REQUESTS, 'a', 1), FAIR_QUEUED);
    now_us += 50;
    wait_for_begun(f, "baaaaaa");
}

static void another_begins_while_a_flood_rests(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'b', 1);
    ask_times(f, 'a', SHARE + 1);
    now_us += 100;
    end_first(f, 'a');
    assert_int_equal(ask(f, FAIR_REQUESTS, 'b', 1), FAIR_BEGUN);
    assert_int_equal(ask(f, FAIR_REQUESTS, 'c', 1), FAIR_BEGUN);
}

static void one_thing_after_the_other_never_rests(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'b', 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(f, FAIR_REQUESTS, 'a', 1), FAIR_BEGUN);
        now_us += 100;
        end_first(f, 'a');
    }
}

static void whoever_is_alone_never_rests(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'a', ALONE + 1);
    now_us += 100;
    end_first(f, 'a');
    assert_string_equal(f->begun, "aaaaaaaaa");
}

static void a_rest_ends_with_the_company(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'b', 1);
    ask_times(f, 'a', SHARE + 1);
    now_us += 999999;
    end_first(f, 'a'); // rests for 5 ms
    assert_string_equal(f->begun, "baaaa");
    now_us += 1;
    end_first(f, 'a');
    assert_string_equal(f->begun, "baaaaa");
}

static void a_slice_rests_where_another_request_of_its_account_waits(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'b', 1);
    assert_int_equal(ask(f, FAIR_SLICES, 'a', 1), FAIR_BEGUN);
    now_us += 100;
    end_first(f, 'a');
    assert_int_equal(ask(f, FAIR_SLICES, 'a', 1), FAIR_BEGUN); // nothing else waits
    assert_int_equal(ask(f, FAIR_REQUESTS, 'a', FAIR_LIST), FAIR_BEGUN);
    assert_int_equal(ask(f, FAIR_REQUESTS, 'a', FAIR_LIST), FAIR_QUEUED);
    now_us += 100;
    end_first(f, 'a');
    assert_int_equal(ask(f, FAIR_SLICES, 'a', 1), FAIR_QUEUED);
    now_us += 50;
    wait_for_begun(f, "baaaa");
}

static void another_loops_askers_are_company_too(void **state)
{
    struct fixture *f = *state;
    struct fair *mine = f->fair;
    f->fair = new_fair(f);
    ask_times(f, 'b', 1);
    fair_give_back(&f->askers[0].ticket);
    fair_free(f->fair);
    f->fair = mine;
    ask_times(f, 'a', ALONE);
    assert_string_equal(f->begun, "baaaa");
}

static void room_that_was_given_back_is_for_who_waits_for_it(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'b', SHARE);
    ask_times(f, 'a', SHARE);
    ask_times(f, 'c', SHARE);
    assert_int_equal(ask(f, FAIR_REQUESTS, 'd', 1), FAIR_QUEUED); // all are taken
    fair_give_back(&f->askers[0].ticket);
    assert_int_equal(ask(f, FAIR_REQUESTS, 'b', 1), FAIR_QUEUED);
    f->begun[0] = '\0';
    (void)event_base_loop(f->base, EVLOOP_NONBLOCK);
    assert_string_equal(f->begun, "d");
}

// ----

static void lanes_take_nothing_from_each_other(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'a', ALONE + 1);
    assert_int_equal(ask(f, FAIR_BULK, 'a', 1), FAIR_BEGUN);
    assert_int_equal(ask(f, FAIR_LOGINS, 'a', 1), FAIR_BEGUN);
}

static void what_is_given_back_while_it_waits_never_begins(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'a', ALONE + 1);
    fair_give_back(&f->askers[ALONE].ticket);
    assert_int_equal(f->waiting[FAIR_REQUESTS], 0);
    end_first(f, 'a');
    assert_string_equal(f->begun, "aaaaaaaa");
}

static void what_waits_is_run_to_be_ended_when_it_is_closed(void **state)
{
    struct fixture *f = *state;
    ask_times(f, 'a', ALONE + 1);
    fair_close(f->fair);
    assert_string_equal(f->begun, "aaaaaaaaa");
    assert_true(fair_is_closed(&f->askers[0].ticket));
    assert_int_equal(f->waiting[FAIR_REQUESTS], 0);
    assert_int_equal(ask(f, FAIR_REQUESTS, 'b', 1), FAIR_FULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whoever_is_alone_has_more_under_way),
        TEST(a_name_may_be_any_bytes),
        TEST(a_party_has_its_share_while_another_asks),
        TEST(who_waits_has_asked_however_long_ago),
        TEST(another_begins_at_once_beside_a_flood),
        TEST(those_that_wait_begin_in_turn),
        TEST(who_asks_for_much_begins_less_often),
        TEST(a_cost_above_the_share_is_begun_alone),
        TEST(a_full_queue_refuses),
        TEST(a_flood_beside_another_rests_between_one_thing_and_the_next),
        TEST(what_is_asked_while_others_of_a_flood_rest_rests_with_them),
        TEST(another_begins_while_a_flood_rests),
        TEST(one_thing_after_the_other_never_rests),
        TEST(whoever_is_alone_never_rests),
        TEST(a_rest_ends_with_the_company),
        TEST(a_slice_rests_where_another_request_of_its_account_waits),
        TEST(another_loops_askers_are_company_too),
        TEST(room_that_was_given_back_is_for_who_waits_for_it),
        TEST(lanes_take_nothing_from_each_other),
        TEST(what_is_given_back_while_it_waits_never_begins),
        TEST(what_waits_is_run_to_be_ended_when_it_is_closed),
    };
    return cmocka_run_group_tests_name("fair", tests, NULL, NULL);
}
