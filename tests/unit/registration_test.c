// common/registration: the model and its JSON form.
#include "tests/unit/registration_fixture.h"

#include "tests/unit/examples.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int read_text(const char *text, struct registration *r, struct error *err)
{
    struct json *tree cleanup(json_free_ptr) = NULL;
    assert_int_equal(json_parse(str_of(text), &JSON_LIMITS_DEFAULT, &tree, NULL), 0);
    return registration_read(tree, r, err);
}

static void starts_with_the_defaults_of_the_model(void **state)
{
    (void)state;
    struct registration r;
    registration_init(&r);
    assert_true(r.enabled && !r.force_expire);
    assert_int_equal(r.scheme, SCHEME_SIP);
    assert_int_equal(r.transport, TRANSPORT_UDP);
    assert_int_equal(r.retry_delay_s, 5);
    assert_int_equal(r.retry_shape, RETRY_GROWING);
    assert_int_equal(r.expires, REGISTRATION_UNSET);
    assert_int_equal(r.max_attempts, REGISTRATION_UNSET);
    assert_int_equal(r.pop, REGISTRATION_UNSET);
    assert_int_equal(r.node, REGISTRATION_UNSET);
    assert_int_equal(r.default_expires, 3600);
    assert_false(r.quirks.challenge_first || r.quirks.stagger || r.quirks.clear_first);
    assert_int_equal(r.quirks.non_stale, NON_STALE_REJECT);
    registration_done(&r);
    registration_done(&r); // once more does no harm
}

static void writes_what_is_set_in_a_fixed_order(void **state)
{
    (void)state;
    struct registration r;
    struct buf out cleanup(buf_done) = BUF_INIT;
    fill(&r);
    registration_write(&out, &r);
    assert_string_equal(out.p, "{\"id\":7,\"account\":\"acme\",\"enabled\":true,\"scheme\":\"sip\","
                               "\"domain\":\"sip.example.com\",\"username\":\"alice\","
                               "\"contacts\":[{\"uri\":\"sip:alice@192.0.2.1\"}],\"default_expires\":3600,"
                               "\"transport\":\"udp\",\"retry_delay_s\":5,\"retry_shape\":\"growing\"}");
    registration_done(&r);
}

static void the_example_comes_back_byte_for_byte(void **state)
{
    (void)state;
    struct json *tree cleanup(json_free_ptr) = example("spec.json");
    struct buf expected cleanup(buf_done) = BUF_INIT, out cleanup(buf_done) = BUF_INIT;
    struct registration r;
    struct error err = {0};
    assert_non_null(tree);
    json_write_value(&expected, tree);
    if (registration_read(tree, &r, &err))
        fail_msg("%s", err.text);
    registration_write(&out, &r);
    assert_string_equal(out.p, expected.p);
    const char *field = "";
    if (registration_check(&r, &field, &err))
        fail_msg("%s: %s", field, err.text);
    registration_done(&r);
}

static void reads_every_member_of_the_example(void **state)
{
    (void)state;
    struct json *tree cleanup(json_free_ptr) = example("spec.json");
    struct registration r;
    assert_int_equal(registration_read(tree, &r, NULL), 0);
    assert_true(r.id == 1207 && r.enabled && r.force_expire);
    assert_string_equal(r.account, "acme");
    assert_string_equal(r.name, "trunk-berlin");
    assert_string_equal(r.domain, "sip.carrier.example:5070");
    assert_string_equal(r.username, "4930123456");
    assert_string_equal(r.display_username, "Acme Berlin");
    assert_string_equal(r.aor, "sip:4930123456@ims.carrier.example");
    assert_string_equal(r.from, "<sip:operator@carrier.example>");
    assert_int_equal(r.credential_count, 3);
    assert_string_equal(r.credentials[0].realm, "carrier.example");
    assert_null(r.credentials[0].ha1[HA1_MD5]);
    assert_null(r.credentials[1].secret);
    assert_true(r.credentials[1].ha1[HA1_MD5] && r.credentials[1].ha1[HA1_SHA256]);
    assert_null(r.credentials[1].ha1[HA1_SHA512_256]);
    assert_null(r.credentials[2].realm);
    assert_null(r.credentials[2].secret);
    assert_false(r.credentials[0].clear);
    assert_int_equal(r.contact_count, 2);
    assert_string_equal(r.contacts[0].q, "0.8");
    assert_int_equal(r.contacts[0].expires, 600);
    assert_int_equal(r.contacts[1].expires, REGISTRATION_UNSET);
    assert_int_equal(r.expires, 900);
    assert_int_equal(r.default_expires, 1800);
    assert_int_equal(r.route_count, 2);
    assert_string_equal(r.route_set[1], "sip:user@proxy.carrier.example");
    assert_string_equal(r.registrar, "sip:192.0.2.80:5060;transport=tcp");
    assert_int_equal(r.transport, TRANSPORT_TCP);
    assert_string_equal(r.interface, "uplink");
    assert_int_equal(r.retry_shape, RETRY_FIXED);
    assert_int_equal(r.max_attempts, 20);
    assert_true(r.quirks.challenge_first && r.quirks.stagger && r.quirks.clear_first);
    assert_int_equal(r.quirks.non_stale, NON_STALE_RETRY);
    assert_true(r.pop == 3 && r.node == 12);
    assert_string_equal(r.labels, "{\"dialect\":\"yeti\",\"schema\":1}");
    assert_true(r.refresh_seq == 2 && r.flush_seq == 1 && r.audit_seq == 4);
    registration_done(&r);
}

static void a_copy_owns_all_it_holds(void **state)
{
    (void)state;
    struct json *tree cleanup(json_free_ptr) = example("spec.json");
    struct buf one cleanup(buf_done) = BUF_INIT, two cleanup(buf_done) = BUF_INIT;
    struct registration r, copy;
    assert_int_equal(registration_read(tree, &r, NULL), 0);
    registration_write(&one, &r);
    registration_copy(&copy, &r);
    registration_done(&r);
    registration_write(&two, &copy);
    assert_string_equal(one.p, two.p);
    registration_done(&copy);
}

// The child must die of it: better no process than a password in Redis.
static void is_never_written(struct credential c)
{
    struct registration r;
    fill(&r);
    r.credentials[r.credential_count++] = c;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct buf out = BUF_INIT;
        struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        registration_write(&out, &r);
        _exit(out.p && strstr(out.p, "hunter2") ? 1 : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    registration_done(&r);
}

static void a_clear_secret_is_never_written(void **state)
{
    (void)state;
    is_never_written((struct credential){.secret = mem_dup_cstr("hunter2"), .clear = true});
    is_never_written((struct credential){
        .realm = mem_dup_cstr("r"), .ha1[HA1_SHA256] = mem_dup_cstr("hunter2"), .clear = true});
}

static void reading_ignores_members_it_does_not_know(void **state)
{
    (void)state;
    struct registration r;
    assert_int_equal(
        read_text("{\"id\":18446744073709551615,\"account\":\"a\",\"domain\":\"d\",\"later\":[1],"
                  "\"name\":null,\"contacts\":[{\"uri\":\"sip:h\",\"new\":{}}]}",
                  &r, NULL),
        0);
    assert_true(r.id == UINT64_MAX && r.contact_count == 1 && !r.name);
    registration_done(&r);
}

struct bad {
    const char *text, *named; // what the sentence must name
};

static void reading_names_the_member_that_is_wrong(void **state)
{
    static const struct bad bad[] = {
        {"[]", "object"},
        {"{\"account\":\"a\",\"domain\":\"d\"}", "id"},
        {"{\"id\":1,\"domain\":\"d\"}", "account"},
        {"{\"id\":1,\"account\":\"a\"}", "domain"},
        {"{\"id\":\"1\",\"account\":\"a\",\"domain\":\"d\"}", "id"},
        {"{\"id\":-1,\"account\":\"a\",\"domain\":\"d\"}", "id"},
        {"{\"id\":1.5,\"account\":\"a\",\"domain\":\"d\"}", "id"},
        {"{\"id\":1,\"account\":7,\"domain\":\"d\"}", "account"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\\u0000e\"}", "domain"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"enabled\":1}", "enabled"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"scheme\":\"tel\"}", "scheme"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"transport\":\"sctp\"}", "transport"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"retry_shape\":2}", "retry_shape"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"expires\":\"60\"}", "expires"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"expires\":99999999999999999999}", "expires"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"refresh_seq\":-1}", "refresh_seq"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"labels\":[]}", "labels"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"contacts\":{}}", "contacts"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"contacts\":[1]}", "contacts"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"contacts\":[{\"uri\":\"sip:h\"},{}]}",
         "contacts: uri"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"contacts\":[{\"uri\":\"sip:h\",\"q\":1}]}",
         "contacts: q"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"contacts\":[1,2,3,4,5,6,7,8,9]}", "contacts"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"credentials\":[{\"user\":[]}]}",
         "credentials: user"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"credentials\":[1,2,3,4,5,6,7,8,9]}", "credentials"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"credentials\":[{\"ha1\":[]}]}", "credentials: ha1"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"credentials\":[{\"ha1\":{\"MD5\":1}}]}",
         "credentials: ha1: MD5"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"quirks\":[]}", "quirks"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"quirks\":{\"stagger\":1}}", "quirks: stagger"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"quirks\":{\"non_stale\":\"never\"}}",
         "quirks: non_stale"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"route_set\":[\"sip:h\",null]}", "route_set"},
        {"{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"route_set\":[1,2,3,4,5,6,7,8,9]}", "route_set"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct registration r;
        struct error err = {0};
        if (read_text(bad[i].text, &r, &err) != -EINVAL || !strstr(err.text, bad[i].named))
            fail_msg("%s: the sentence \"%s\" should name %s", bad[i].text, err.text, bad[i].named);
        assert_int_equal(read_text(bad[i].text, &r, NULL), -EINVAL);
    }
}

static void each_quirk_alone_comes_back(void **state)
{
    static const struct {
        struct quirks quirks;
        const char *text;
    } cases[] = {
        {{.challenge_first = true}, ",\"quirks\":{\"challenge_first\":true}"},
        {{.non_stale = NON_STALE_RETRY}, ",\"quirks\":{\"non_stale\":\"retry\"}"},
        {{.non_stale = NON_STALE_STOP}, ",\"quirks\":{\"non_stale\":\"stop\"}"},
        {{.stagger = true}, ",\"quirks\":{\"stagger\":true}"},
        {{.clear_first = true}, ",\"quirks\":{\"clear_first\":true}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out cleanup(buf_done) = BUF_INIT, sent cleanup(buf_done) = BUF_INIT;
        struct registration r, back;
        fill(&r);
        r.quirks = cases[i].quirks;
        registration_write(&out, &r);
        assert_non_null(strstr(out.p, cases[i].text));
        assert_int_equal(read_text(out.p, &back, NULL), 0);
        assert_int_equal(back.quirks.challenge_first, r.quirks.challenge_first);
        assert_int_equal(back.quirks.non_stale, r.quirks.non_stale);
        assert_int_equal(back.quirks.stagger, r.quirks.stagger);
        assert_int_equal(back.quirks.clear_first, r.quirks.clear_first);
        struct json_writer w = json_writer(&sent);
        registration_write_sent(&w, &r);
        assert_null(strstr(sent.p, "quirks"));
        registration_done(&r);
        registration_done(&back);
    }
}

static void reading_bounds_every_text(void **state)
{
    (void)state;
    struct buf text cleanup(buf_done) = BUF_INIT;
    struct registration r;
    struct error err = {0};
    buf_add_cstr(&text, "{\"id\":1,\"account\":\"a\",\"domain\":\"d\",\"username\":\"");
    for (int i = 0; i < REGISTRATION_MAX_TEXT_BYTES; i++)
        buf_add_char(&text, 'u');
    size_t longest = text.n;
    buf_add_cstr(&text, "\"}");
    assert_int_equal(read_text(text.p, &r, &err), 0);
    registration_done(&r);
    text.n = longest;
    buf_add_cstr(&text, "u\"}");
    assert_int_equal(read_text(text.p, &r, &err), -EINVAL);
    assert_non_null(strstr(err.text, "username"));
}

static void the_place_is_the_node_then_the_pop_then_any(void **state)
{
    (void)state;
    struct registration r;
    char place[REGISTRATION_PLACE_BYTES];
    registration_init(&r);
    registration_place(&r, place);
    assert_string_equal(place, "any");
    r.pop = 0;
    registration_place(&r, place);
    assert_string_equal(place, "pop-0");
    r.node = INT64_MAX;
    registration_place(&r, place);
    assert_string_equal(place, "node-9223372036854775807");
}

static void the_address_of_record_is_a_uri_whatever_the_user_is(void **state)
{
    static const struct {
        const char *user, *domain, *aor, *expected;
        enum registration_scheme scheme;
    } cases[] = {
        {"alice", "h", NULL, "sip:alice@h", SCHEME_SIP},
        {"user name", "h:5070", NULL, "sips:user%20name@h:5070", SCHEME_SIPS},
        {"a@b", "2001:db8::1", NULL, "sip:a%40b@[2001:db8::1]", SCHEME_SIP},
        {"x", "[::1]:5070", NULL, "sip:x@[::1]:5070", SCHEME_SIP},
        {"alice", "h", "sip:bob@i", "sip:bob@i", SCHEME_SIPS},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out cleanup(buf_done) = BUF_INIT;
        struct registration r;
        fill(&r);
        set(&r.username, cases[i].user);
        set(&r.domain, cases[i].domain);
        set(&r.aor, cases[i].aor);
        r.scheme = cases[i].scheme;
        registration_aor(&out, &r);
        assert_string_equal(out.p, cases[i].expected);
        registration_done(&r);
    }
}

static void no_lifetime_or_zero_means_the_default(void **state)
{
    (void)state;
    struct registration r;
    registration_init(&r);
    r.default_expires = 1800;
    assert_int_equal(registration_expires(&r), 1800);
    r.expires = 0;
    assert_int_equal(registration_expires(&r), 1800);
    r.expires = -5;
    assert_int_equal(registration_expires(&r), 1800);
    r.expires = 90;
    assert_int_equal(registration_expires(&r), 90);
    r.expires = r.default_expires = REGISTRATION_UNSET;
    assert_int_equal(registration_expires(&r), 3600);
}

static void an_unescaped_contact_user_is_escaped_when_put_in(void **state)
{
    (void)state;
    struct registration r;
    const char *field;
    fill(&r);
    set(&r.username, "user name@x");
    set(&r.contacts[0].uri, "<sip:{username}@{local}>");
    assert_int_equal(registration_check(&r, &field, NULL), 0);
    registration_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_with_the_defaults_of_the_model),
        cmocka_unit_test(writes_what_is_set_in_a_fixed_order),
        cmocka_unit_test(the_example_comes_back_byte_for_byte),
        cmocka_unit_test(reads_every_member_of_the_example),
        cmocka_unit_test(a_copy_owns_all_it_holds),
        cmocka_unit_test(a_clear_secret_is_never_written),
        cmocka_unit_test(reading_ignores_members_it_does_not_know),
        cmocka_unit_test(reading_names_the_member_that_is_wrong),
        cmocka_unit_test(reading_bounds_every_text),
        cmocka_unit_test(each_quirk_alone_comes_back),
        cmocka_unit_test(the_place_is_the_node_then_the_pop_then_any),
        cmocka_unit_test(the_address_of_record_is_a_uri_whatever_the_user_is),
        cmocka_unit_test(no_lifetime_or_zero_means_the_default),
        cmocka_unit_test(an_unescaped_contact_user_is_escaped_when_put_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
