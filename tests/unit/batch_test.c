// What of one poll of the status topics is kept.
#include "services/gateway/publish/batch.h"

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
// cmocka needs these
#include <cmocka.h>

static struct report *a_report(uint64_t id, const char *place, uint64_t epoch, uint64_t seq)
{
    struct status s;
    struct buf value cleanup(buf_done) = BUF_INIT;
    char key[24];
    status_init(&s);
    s.id = id;
    s.account = mem_dup_cstr("acme");
    (void)snprintf(s.place, sizeof(s.place), "%s", place);
    s.epoch = epoch;
    s.seq = seq;
    status_write(&value, &s);
    status_done(&s);
    (void)snprintf(key, sizeof(key), "%u", (unsigned)id);
    const struct kafka_record record = {.key = str_of(key), .value = buf_str(&value)};
    struct report *r;
    struct error err;
    assert_int_equal(report_read(&record, str_of(place), 1, &r, &err), 0);
    return r;
}

static void of_one_owner_the_newest_is_kept_whatever_the_order(void **state)
{
    (void)state;
    struct batch *b = batch_new(NULL);
    assert_false(batch_add(b, a_report(7, "any", 100, 2)));
    assert_true(batch_add(b, a_report(7, "any", 100, 1)));
    assert_true(batch_add(b, a_report(7, "any", 100, 3)));
    assert_int_equal(batch_count(b), 1);
    assert_int_equal(b->items->report->status.seq, 3);
    batch_free(b);
}

static void what_two_owners_or_places_say_is_kept_of_each(void **state)
{
    (void)state;
    struct batch *b = batch_new(NULL);
    assert_false(batch_add(b, a_report(7, "any", 200, 1)));
    assert_false(batch_add(b, a_report(7, "any", 100, 9))); // of one that was split from its group
    assert_false(batch_add(b, a_report(7, "pop-1", 200, 1)));
    assert_false(batch_add(b, a_report(8, "any", 200, 1)));
    assert_int_equal(batch_count(b), 4);
    batch_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_one_owner_the_newest_is_kept_whatever_the_order),
        cmocka_unit_test(what_two_owners_or_places_say_is_kept_of_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
