// services/gateway/store on a real redis-server: no secret leaves it unsealed, and each seal holds where it
// was made.
#include "tests/unit/store_fixture.h"

static void a_secret_is_sealed_before_it_leaves(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    assert_true(seal_is_sealed(str_of(r.credentials[0].secret)));
    assert_false(r.credentials[0].clear);
    assert_lacks(rawf(f, "HGETALL rc:{s%u}:reg:1", shard_of("acme")), "s3cret");
    assert_lacks(f->changes[0]->spec, "s3cret");
    char *clear cleanup(mem_free_cstr) = NULL;
    struct error err;
    assert_int_equal(store_open_secret(f->store, &r, 0, &clear, &err), 0);
    assert_string_equal(clear, "s3cret");
    r.id = 2; // a seal holds for its registration only
    assert_int_equal(store_open_secret(f->store, &r, 0, &clear, &err), -EBADMSG);
}

static void a_new_secret_is_sealed_and_an_old_one_moves_to_its_new_realm(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    struct registration after cleanup(registration_done) = {0};
    registration_copy(&after, &r);
    set_text(&after.credentials[0].secret, "other");
    after.credentials[0].clear = true;
    assert_int_equal(do_update(f, &r, &after), 0);
    char *clear cleanup(mem_free_cstr) = NULL;
    struct error err;
    assert_int_equal(store_open_secret(f->store, &f->got.reg, 0, &clear, &err), 0);
    assert_string_equal(clear, "other");

    struct registration now cleanup(registration_done) = {0}, realm cleanup(registration_done) = {0};
    registration_copy(&now, &f->got.reg);
    registration_copy(&realm, &now);
    set_text(&realm.credentials[0].realm, "example.com");
    assert_int_equal(do_update(f, &now, &realm), 0);
    mem_free_cstr(&clear);
    assert_int_equal(store_open_secret(f->store, &f->got.reg, 0, &clear, &err), 0);
    assert_string_equal(clear, "other");
}

static void a_sealed_text_from_elsewhere_is_refused(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    struct registration thief cleanup(registration_done) = {0};
    registration_copy(&thief, &r);
    set_text(&thief.name, "thief");
    assert_int_equal(do_create(f, &thief), -EIO);
    assert_lacks(f->got.err.text, "sealed:");
}

static void set_ha1(struct registration *r, const char *md5, const char *sha256)
{
    struct credential *c = &r->credentials[0];
    credential_set_password(c, STR_NONE);
    set_text(&c->realm, "example.com");
    c->ha1[HA1_MD5] = mem_dup_cstr(md5);
    c->ha1[HA1_SHA256] = mem_dup_cstr(sha256);
    c->clear = true;
}

static void an_ha1_is_sealed_kept_and_never_shown_as_a_password_is(void **state)
{
    static const char md5[] = "0123456789abcdef0123456789abcdef";
    static const char sha256[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = a_registration("acme", "trunk");
    set_ha1(&r, md5, sha256);
    assert_int_equal(do_create(f, &r), 0);
    struct registration made cleanup(registration_done) = {0}, after cleanup(registration_done) = {0};
    registration_copy(&made, &f->got.reg);
    assert_true(seal_is_sealed(str_of(made.credentials[0].ha1[HA1_MD5])));
    assert_true(seal_is_sealed(str_of(made.credentials[0].ha1[HA1_SHA256])));
    assert_string_not_equal(made.credentials[0].ha1[HA1_MD5], made.credentials[0].ha1[HA1_SHA256]);
    assert_false(made.credentials[0].clear);
    assert_lacks(rawf(f, "HGETALL rc:{s%u}:reg:1", shard_of("acme")), md5);
    const char *event = rawf(f, "XRANGE rc:{s%u}:outbox - +", shard_of("acme"));
    assert_lacks(event, md5);
    assert_lacks(event, "ha1");

    registration_copy(&after, &made); // the same in clear changes nothing
    set_ha1(&after, md5, sha256);
    assert_int_equal(do_update(f, &made, &after), 0);
    assert_int_equal(f->got.reg.revision, made.revision);
    assert_string_equal(f->got.reg.credentials[0].ha1[HA1_MD5], made.credentials[0].ha1[HA1_MD5]);

    set_ha1(&after, "ffffffffffffffffffffffffffffffff", made.credentials[0].ha1[HA1_SHA256]);
    assert_int_equal(do_update(f, &made, &after), 0); // one new, one as it is sealed
    assert_true(f->got.reg.revision > made.revision);
    assert_string_equal(f->got.reg.credentials[0].ha1[HA1_SHA256], made.credentials[0].ha1[HA1_SHA256]);
    assert_string_not_equal(f->got.reg.credentials[0].ha1[HA1_MD5], made.credentials[0].ha1[HA1_MD5]);
    assert_true(seal_is_sealed(str_of(f->got.reg.credentials[0].ha1[HA1_MD5])));
}

int main(void)
{
#define on_redis(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        on_redis(a_secret_is_sealed_before_it_leaves),
        on_redis(a_new_secret_is_sealed_and_an_old_one_moves_to_its_new_realm),
        on_redis(a_sealed_text_from_elsewhere_is_refused),
        on_redis(an_ha1_is_sealed_kept_and_never_shown_as_a_password_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
