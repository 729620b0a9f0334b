// services/gateway/publish: the records that a gateway writes on the topic of changes, value and headers.
#include "services/gateway/publish/message.h"

#include "tests/unit/examples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

static void the_example_is_what_is_written_byte_for_byte(void **state)
{
    (void)state;
    struct json *tree cleanup(json_free_ptr) = example("change.json");
    struct buf expected cleanup(buf_done) = BUF_INIT, out cleanup(buf_done) = BUF_INIT;
    struct buf spec cleanup(buf_done) = BUF_INIT, status cleanup(buf_done) = BUF_INIT;
    assert_non_null(tree);
    json_write_value(&expected, tree);
    json_write_value(&spec, json_get(tree, "spec"));
    json_write_value(&status, json_get(tree, "status"));
    char account[] = "acme";
    const struct store_change c = {.op = STORE_OP_REMOVE,
                                   .id = 1207,
                                   .revision = 1795255201337,
                                   .account = account,
                                   .spec = spec.p,
                                   .status = status.p,
                                   .twin = true};
    message_write_change(&out, &c);
    assert_string_equal(buf_str(&out).p, buf_str(&expected).p);
}

static void what_a_change_does_not_have_is_left_out(void **state)
{
    (void)state;
    struct buf out cleanup(buf_done) = BUF_INIT;
    char account[] = "a \"b\"";
    const struct store_change c = {.op = STORE_OP_MOVED, .id = 7, .revision = 9, .account = account};
    message_write_change(&out, &c);
    assert_string_equal(buf_str(&out).p,
                        "{\"v\":1,\"id\":7,\"account\":\"a \\\"b\\\"\",\"revision\":9,\"op\":\"moved\"}");
}

static void a_status_of_a_former_owner_is_told_as_that(void **state)
{
    (void)state;
    struct buf out cleanup(buf_done) = BUF_INIT;
    char account[] = "acme", text[] = "{}";
    const struct store_change c = {.op = STORE_OP_DESIRED,
                                   .id = 7,
                                   .revision = 9,
                                   .account = account,
                                   .spec = text,
                                   .status = text,
                                   .stray = true};
    message_write_change(&out, &c);
    assert_string_equal(buf_str(&out).p,
                        "{\"v\":1,\"id\":7,\"account\":\"acme\",\"revision\":9,\"op\":\"desired\","
                        "\"spec\":{},\"status\":{},\"stray\":true}");
}

static void assert_header(const struct message_headers *h, size_t at, const char *name, const char *value)
{
    assert_true(at < h->count);
    assert_string_equal(h->items[at].name, name);
    assert_true(str_eq_cstr(h->items[at].value, value));
}

static void headers_are_a_cloud_event_in_binary_mode(void **state)
{
    (void)state;
    struct message_headers h;
    const struct cloud_event e = {.type = "rollcall.change.desired",
                                  .id = "p-1",
                                  .source = "gateway-a",
                                  .subject = UINT64_MAX,
                                  .wall_ms = 1795255201037,
                                  .traceparent = ""};
    message_headers(&h, &e);
    assert_header(&h, 0, "ce_specversion", "1.0");
    assert_header(&h, 1, "ce_id", "p-1");
    assert_header(&h, 2, "ce_type", "rollcall.change.desired");
    assert_header(&h, 3, "ce_source", "gateway-a");
    assert_header(&h, 4, "ce_subject", "18446744073709551615");
    assert_header(&h, 5, "ce_time", "2026-11-21T10:00:01.037Z");
    assert_header(&h, 6, "content-type", "application/json");
    assert_int_equal(h.count, 7);
}

static void a_trace_goes_on_in_the_record(void **state)
{
    (void)state;
    struct message_headers h;
    const char *trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const struct cloud_event e = {.type = "t", .id = "i", .source = "s", .subject = 1, .traceparent = trace};
    message_headers(&h, &e);
    assert_header(&h, 7, "traceparent", trace);
    assert_int_equal(h.count, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_what_is_written_byte_for_byte),
        cmocka_unit_test(what_a_change_does_not_have_is_left_out),
        cmocka_unit_test(a_status_of_a_former_owner_is_told_as_that),
        cmocka_unit_test(headers_are_a_cloud_event_in_binary_mode),
        cmocka_unit_test(a_trace_goes_on_in_the_record),
    };
    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
