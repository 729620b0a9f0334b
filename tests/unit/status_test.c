// common/registration: a report as JSON, whole and as the world may see it, and how long it is believed.
#include "common/registration/status.h"

#include "common/base/mem.h"
#include "tests/unit/examples.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

static int read_text(const char *text, struct status *s, struct error *err)
{
    struct json *tree cleanup(json_free_ptr) = NULL;
    assert_int_equal(json_parse(str_of(text), &JSON_LIMITS_DEFAULT, &tree, NULL), 0);
    return status_read(tree, s, err);
}

static void the_example_comes_back_byte_for_byte(void **state)
{
    (void)state;
    struct json *tree cleanup(json_free_ptr) = example("status.json");
    struct buf expected cleanup(buf_done) = BUF_INIT, out cleanup(buf_done) = BUF_INIT;
    struct status s;
    struct error err = {0};
    assert_non_null(tree);
    json_write_value(&expected, tree);
    if (status_read(tree, &s, &err))
        fail_msg("%s", err.text);
    status_write(&out, &s);
    assert_string_equal(out.p, expected.p);
    status_done(&s);
    status_done(&s); // once more does no harm
}

static void reads_what_is_said_of_the_answer(void **state)
{
    (void)state;
    struct json *tree cleanup(json_free_ptr) = example("status.json");
    struct status s;
    assert_int_equal(status_read(tree, &s, NULL), 0);
    assert_true(s.id == 1207 && s.epoch == 1795255200000 && s.seq == 41 && s.revision == 1795255201337);
    assert_string_equal(s.account, "acme");
    assert_string_equal(s.place, "node-12");
    assert_int_equal(s.state, STATE_RETRYING);
    assert_true(s.since_wall_ms == 1795255260120);
    assert_int_equal(s.code, 503);
    assert_string_equal(s.reason, "Service Unavailable");
    assert_string_equal(s.warning, "399 edge.carrier.example \"overload\"");
    assert_int_equal(s.retry_after_s, 30);
    assert_false(s.by_local);
    assert_int_equal(s.attempt, 2);
    assert_int_equal(s.granted_s, 600);
    assert_true(s.expires_at_wall_ms == 1795255801337 && s.next_at_wall_ms == 1795255291337);
    assert_int_equal(s.next_in_ms, 31217);
    assert_int_equal(s.contacts.count, 2);
    assert_int_equal(s.foreign, 1);
    assert_true(s.audited_at_wall_ms == 1795255260120);
    assert_string_equal(s.service_route.items[0], "<sip:orig@scscf.carrier.example;lr>");
    assert_int_equal(s.path.count, 1);
    assert_int_equal(s.associated.count, 1);
    assert_string_equal(s.target, "tcp:192.0.2.80:5060");
    assert_string_equal(s.local, "tcp:192.0.2.17:40112");
    assert_string_equal(s.received, "203.0.113.7:40112");
    assert_true(s.outbound && s.flow_timer_s == 120);
    assert_non_null(strstr(s.pub_gruu, ";gr=urn:uuid:"));
    assert_string_equal(s.temp_gruu, "sip:t1b2c3d4e5@carrier.example;gr");
    assert_int_equal(s.rtt_us, 8120);
    assert_string_equal(s.node, "registrant-a");
    assert_true(s.refresh_acted == 2 && s.flush_acted == 1 && s.audit_acted == 4);
    assert_true(s.handover);
    assert_int_equal(s.removed, PROOF_ANSWERED);
    status_done(&s);
}

static void reads_what_touches_the_binding_again(void **state)
{
    (void)state;
    struct json *tree cleanup(json_free_ptr) = example("status.json");
    struct status s;
    assert_int_equal(status_read(tree, &s, NULL), 0);
    const struct status_bound *b = &s.bound;
    assert_true(s.has_bound && b->revision == 1795255201337);
    assert_true(b->sent.id == 1207);
    assert_string_equal(b->sent.account, "acme");
    assert_string_equal(b->sent.domain, "sip.carrier.example:5070");
    assert_int_equal(b->sent.transport, TRANSPORT_TCP);
    assert_int_equal(b->sent.credential_count, 1);
    assert_int_equal(b->sent.contact_count, 1);
    assert_int_equal(b->sent.route_count, 1);
    assert_string_equal(b->call_id, "b51f0c2a5e9d4b7e@192.0.2.17");
    assert_string_equal(b->from_tag, "9f3c1a7e");
    assert_int_equal(b->cseq, 217393261);
    assert_int_equal(b->nonce_count, 1);
    assert_string_equal(b->nonces[0].realm, "carrier.example");
    assert_string_equal(b->nonces[0].nonce, "dcd98b7102dd2f0e8b11d0f600bfb0c093");
    assert_string_equal(b->nonces[0].opaque, "5ccc069c403ebaf9f0171e9517f40e41");
    assert_string_equal(b->nonces[0].algorithm, "SHA-256");
    assert_string_equal(b->nonces[0].qop, "auth");
    assert_true(b->nonces[0].userhash && b->nonces[0].proxy);
    assert_int_equal(b->nonces[0].nc, 7);
    assert_true(b->asked_s == 900 && b->granted_s == 600);
    assert_true(b->last_sent_wall_ms == 1795255201337 && b->expires_at_wall_ms == 1795255801337);
    status_done(&s);
}

static void the_public_form_tells_nothing_that_touches_the_binding(void **state)
{
    (void)state;
    struct json *tree cleanup(json_free_ptr) = example("status.json");
    struct json *public cleanup(json_free_ptr) = NULL;
    struct buf out cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&out);
    struct status s;
    assert_int_equal(status_read(tree, &s, NULL), 0);
    status_write_public(&w, &s);
    assert_int_equal(json_parse(buf_str(&out), &JSON_LIMITS_DEFAULT, &public, NULL), 0);
    static const char *const hidden[] = {"bound", "epoch", "seq"};
    for (size_t i = 0; i < json_count(tree); i++) {
        struct buf name cleanup(buf_done) = BUF_INIT;
        buf_add_str(&name, json_key_at(tree, i));
        bool hide = false;
        for (size_t k = 0; k < ARRAY_LEN(hidden); k++)
            hide = hide || strcmp(name.p, hidden[k]) == 0;
        if ((json_get(public, name.p) == NULL) != hide)
            fail_msg("%s should %sbe there", name.p, hide ? "not " : "");
    }
    assert_null(strstr(out.p, "nonce"));
    assert_null(strstr(out.p, "sealed:"));
    assert_null(strstr(out.p, "b51f0c2a"));
    status_done(&s);
}

static void the_event_example_shows_a_public_status(void **state)
{
    (void)state;
    struct json *tree cleanup(json_free_ptr) = example("event.json");
    struct buf expected cleanup(buf_done) = BUF_INIT, out cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&out);
    struct status s;
    assert_non_null(tree);
    json_write_value(&expected, json_get(tree, "status"));
    assert_int_equal(status_read(json_get(tree, "status"), &s, NULL), 0);
    status_write_public(&w, &s);
    assert_string_equal(out.p, expected.p);
    status_done(&s);
}

static void leaves_out_what_is_zero(void **state)
{
    (void)state;
    struct buf out cleanup(buf_done) = BUF_INIT;
    struct status s;
    status_init(&s);
    s.id = 3;
    s.account = mem_dup_cstr("a");
    (void)snprintf(s.place, sizeof(s.place), "any");
    status_write(&out, &s);
    assert_string_equal(out.p, "{\"v\":1,\"id\":3,\"account\":\"a\",\"place\":\"any\",\"epoch\":0,\"seq\":0,"
                               "\"revision\":0,\"state\":\"disabled\"}");
    status_done(&s);
}

static void a_cause_without_a_sip_answer_keeps_its_reason(void **state)
{
    (void)state;
    struct buf out cleanup(buf_done) = BUF_INIT;
    struct status s, again;
    status_init(&s);
    s.id = 3;
    s.state = STATE_RETRYING;
    s.reason = mem_dup_cstr("key 2026-10 missing");
    s.by_local = true;
    status_write(&out, &s);
    assert_int_equal(read_text(out.p, &again, NULL), 0);
    assert_string_equal(again.reason, "key 2026-10 missing");
    assert_true(again.by_local && again.code == 0 && again.retry_after_s == REGISTRATION_UNSET);
    status_done(&s);
    status_done(&again);
}

static void reading_names_the_member_that_is_wrong(void **state)
{
    static const struct {
        const char *text, *named;
    } bad[] = {
        {"[]", "object"},
        {"{\"state\":\"pending\"}", "id"},
        {"{\"id\":1}", "state"},
        {"{\"id\":1,\"state\":\"fine\"}", "state"},
        {"{\"v\":2,\"id\":1,\"state\":\"pending\"}", "v"},
        {"{\"v\":\"1\",\"id\":1,\"state\":\"pending\"}", "v"},
        {"{\"id\":1,\"state\":\"pending\",\"place\":\"a-name-that-is-longer-than-any-place-has\"}", "place"},
        {"{\"id\":1,\"state\":\"pending\",\"epoch\":-1}", "epoch"},
        {"{\"id\":1,\"state\":\"pending\",\"granted_s\":4294967296}", "granted_s"},
        {"{\"id\":1,\"state\":\"pending\",\"cause\":503}", "cause"},
        {"{\"id\":1,\"state\":\"pending\",\"cause\":{\"code\":5000}}", "cause: code"},
        {"{\"id\":1,\"state\":\"pending\",\"cause\":{\"by\":\"them\"}}", "cause: by"},
        {"{\"id\":1,\"state\":\"pending\",\"contacts\":[\"a\",1]}", "contacts"},
        {"{\"id\":1,\"state\":\"pending\",\"path\":[\"a\\u0000\"]}", "path"},
        {"{\"id\":1,\"state\":\"pending\",\"removed\":\"perhaps\"}", "removed"},
        {"{\"id\":1,\"state\":\"pending\",\"bound\":{}}", "bound: sent"},
        {"{\"id\":1,\"state\":\"pending\",\"bound\":{\"sent\":{\"username\":\"a\"}}}", "bound: sent: domain"},
        {"{\"id\":1,\"state\":\"pending\",\"bound\":{\"sent\":{\"domain\":\"d\"},\"cseq\":4294967296}}",
         "bound: cseq"},
        {"{\"id\":1,\"state\":\"pending\",\"bound\":{\"sent\":{\"domain\":\"d\"},\"nonces\":[{\"realm\":"
         "\"r\"}]}}",
         "bound: nonces: nonce"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct status s;
        struct error err = {0};
        if (read_text(bad[i].text, &s, &err) != -EINVAL || !strstr(err.text, bad[i].named))
            fail_msg("%s: the sentence \"%s\" should name %s", bad[i].text, err.text, bad[i].named);
        assert_int_equal(read_text(bad[i].text, &s, NULL), -EINVAL);
    }
}

static void reading_keeps_no_more_than_fits(void **state)
{
    (void)state;
    struct buf text cleanup(buf_done) = BUF_INIT;
    struct status s;
    buf_add_cstr(&text, "{\"id\":1,\"later\":{},\"state\":\"registered\",\"contacts\":[\"0\"");
    for (int i = 1; i < 40; i++)
        buf_addf(&text, ",\"%d\"", i);
    buf_add_cstr(&text,
                 "],\"bound\":{\"sent\":{\"domain\":\"d\"},\"nonces\":[{\"realm\":\"0\",\"nonce\":\"n\"}");
    for (int i = 1; i < 9; i++)
        buf_addf(&text, ",{\"realm\":\"%d\",\"nonce\":\"n\"}", i);
    buf_add_cstr(&text, "]}}");
    assert_int_equal(read_text(text.p, &s, NULL), 0);
    assert_int_equal(s.contacts.count, STATUS_MAX_LIST);
    assert_string_equal(s.contacts.items[31], "31");
    assert_int_equal(s.bound.nonce_count, STATUS_MAX_NONCES);
    assert_string_equal(s.bound.nonces[3].realm, "3");
    status_done(&s);
}

static void is_believed_as_long_as_it_can_be_true(void **state)
{
    static const struct {
        enum status_state state;
        uint64_t expires_at, next_at, now;
        bool believed;
    } cases[] = {
        {STATE_REGISTERED, 100000, 50000, 99999, true},
        {STATE_REGISTERED, 100000, 50000, 100000, false},
        {STATE_REGISTERED, 100000, 90000, 120000, false}, // though its next action was 30 s ago only
        {STATE_RETRYING, 100000, 95000, 99999, true},
        {STATE_RETRYING, 100000, 95000, 154999, true}, // the old binding is gone, the next try was announced
        {STATE_RETRYING, 100000, 95000, 155000, false},
        {STATE_PENDING, 0, 10000, 69999, true},
        {STATE_PENDING, 0, 10000, 70000, false},
        {STATE_REJECTED, 0, 3600000, 3659999, true},
        {STATE_REJECTED, 0, 3600000, 3660000, false},
        {STATE_REJECTED, 0, 0, UINT64_MAX, true}, // it is not asked again
        {STATE_REJECTED, 100000, 0, 100001, true},
        {STATE_UNREGISTERING, 100000, 1000, 99999, true},
        {STATE_UNREGISTERING, 100000, 1000, 100000, false},
        {STATE_DISABLED, 0, 0, UINT64_MAX, true},
        {STATE_UNREGISTERED, 0, 0, UINT64_MAX, true},
        {STATE_GIVEN_UP, 100000, 0, UINT64_MAX, true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct status s = {.state = cases[i].state,
                           .expires_at_wall_ms = cases[i].expires_at,
                           .next_at_wall_ms = cases[i].next_at};
        if (status_is_believed(&s, cases[i].now) != cases[i].believed)
            fail_msg("case %zu", i);
    }
}

static void yeti_has_five_names_for_the_states(void **state)
{
    static const struct {
        enum status_state state;
        uint64_t expires_at;
        uint32_t attempt;
        enum yeti_state expected;
        const char *name;
    } cases[] = {
        {STATE_REGISTERED, 1001, 0, YETI_ACTIVE, "RegisterActive"},
        {STATE_REGISTERED, 1000, 0, YETI_EXPIRED, "RegisterExpired"},
        {STATE_REGISTERING, 0, 0, YETI_PENDING, "RegisterPending"},
        {STATE_UNREGISTERING, 1001, 0, YETI_PENDING, "RegisterPending"},
        {STATE_UNREGISTERING, 1001, 1, YETI_ERROR, "RegisterError"},
        {STATE_RETRYING, 1001, 1, YETI_ERROR, "RegisterError"},
        {STATE_REJECTED, 0, 1, YETI_ERROR, "RegisterError"},
        {STATE_GIVEN_UP, 0, 9, YETI_ERROR, "RegisterError"},
        {STATE_PENDING, 0, 0, YETI_POSTPONED, "RegisterPostponed"},
        {STATE_DISABLED, 0, 0, YETI_EXPIRED, "RegisterExpired"},
        {STATE_UNREGISTERED, 0, 0, YETI_EXPIRED, "RegisterExpired"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct status s = {
            .state = cases[i].state, .expires_at_wall_ms = cases[i].expires_at, .attempt = cases[i].attempt};
        enum yeti_state found = status_yeti_state(&s, 1000);
        assert_int_equal(found, cases[i].expected);
        assert_string_equal(yeti_state_name(found), cases[i].name);
    }
    assert_int_equal(YETI_POSTPONED, 4); // numbers of SEMS
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_comes_back_byte_for_byte),
        cmocka_unit_test(reads_what_is_said_of_the_answer),
        cmocka_unit_test(reads_what_touches_the_binding_again),
        cmocka_unit_test(the_public_form_tells_nothing_that_touches_the_binding),
        cmocka_unit_test(the_event_example_shows_a_public_status),
        cmocka_unit_test(leaves_out_what_is_zero),
        cmocka_unit_test(a_cause_without_a_sip_answer_keeps_its_reason),
        cmocka_unit_test(reading_names_the_member_that_is_wrong),
        cmocka_unit_test(reading_keeps_no_more_than_fits),
        cmocka_unit_test(is_believed_as_long_as_it_can_be_true),
        cmocka_unit_test(yeti_has_five_names_for_the_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
