// common/registration: sealed secrets open where they were made for and nowhere else.
#include "common/registration/seal.h"

#include "common/base/encode.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka needs the four above
#include <cmocka.h>

#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_B "FFFEFDFCFBFAF9F8F7F6F5F4F3F2F1F0EFEEEDECEBEAE9E8E7E6E5E4E3E2E1E0"

static struct key_ring *ring_of(const char *text)
{
    struct key_ring *ring = NULL;
    struct error err = {0};
    if (key_ring_parse(str_of(text), &ring, &err))
        fail_msg("%s", err.text);
    return ring;
}

static struct seal_context context(void)
{
    return (struct seal_context){STR_LIT("acme"), 1207, "password", STR_LIT("carrier.example")};
}

static void opens_what_it_sealed(void **state)
{
    static const char *const secrets[] = {"", "x", "open sesame", "\xc3\xa9 \r\n\t", "16 bytes exactly"};
    (void)state;
    struct key_ring *ring = ring_of("2026-10 " KEY_A "\n");
    struct seal_context c = context();
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        struct buf sealed cleanup(buf_done) = BUF_INIT, clear cleanup(buf_done) = BUF_INIT;
        seal_text(ring, &c, str_of(secrets[i]), &sealed);
        assert_true(seal_is_sealed(buf_str(&sealed)));
        assert_true(str_starts(buf_str(&sealed), STR_LIT("sealed:2026-10:")));
        assert_int_equal(seal_open(ring, &c, buf_str(&sealed), &clear, NULL), 0);
        assert_true(str_eq_cstr(buf_str(&clear), secrets[i]));
    }
    key_ring_free(ring);
}

static void seals_any_length_and_any_byte(void **state)
{
    (void)state;
    struct key_ring *ring = ring_of("k " KEY_A);
    struct seal_context c = context();
    char secret[1024];
    for (size_t i = 0; i < sizeof(secret); i++)
        secret[i] = (char)i;
    for (size_t n = 0; n <= sizeof(secret); n += n < 64 ? 1 : 320) {
        struct buf sealed cleanup(buf_done) = BUF_INIT, clear cleanup(buf_done) = BUF_INIT;
        seal_text(ring, &c, str_of_bytes(secret, n), &sealed);
        assert_int_equal(seal_open(ring, &c, buf_str(&sealed), &clear, NULL), 0);
        assert_true(str_eq(buf_str(&clear), str_of_bytes(secret, n)));
    }
    key_ring_free(ring);
}

// Made with another implementation of AES-256-GCM: the form must not drift, or stored secrets are lost.
static void opens_a_text_of_another_implementation(void **state)
{
    (void)state;
    struct key_ring *ring = ring_of("2026-10 " KEY_A);
    struct seal_context c = context();
    struct buf clear cleanup(buf_done) = BUF_INIT;
    assert_int_equal(seal_open(ring, &c,
                               STR_LIT("sealed:2026-10:ZGVmZ2hpamtsbW5vJ2u7CFmaM+1fDzr1DfvZ+LM/o48tmXgEeZNe"),
                               &clear, NULL),
                     0);
    assert_string_equal(clear.p, "open sesame");
    key_ring_free(ring);
}

static void the_same_secret_never_looks_the_same(void **state)
{
    (void)state;
    struct key_ring *ring = ring_of("k " KEY_A);
    struct seal_context c = context();
    struct buf one cleanup(buf_done) = BUF_INIT, two cleanup(buf_done) = BUF_INIT;
    seal_text(ring, &c, STR_LIT("open sesame"), &one);
    seal_text(ring, &c, STR_LIT("open sesame"), &two);
    assert_string_not_equal(one.p, two.p);
    key_ring_free(ring);
}

static void opens_nowhere_else(void **state)
{
    (void)state;
    struct key_ring *ring = ring_of("k " KEY_A);
    const struct seal_context right = context();
    struct seal_context others[] = {right, right, right, right, right, right};
    others[0].account = STR_LIT("acm");
    others[1].id = 1208;
    others[2].field = "ha1";
    others[3].realm = STR_NONE;
    others[4].realm = STR_LIT("Carrier.example");
    others[5].account = STR_LIT("acme1");
    others[5].id = 207;
    struct buf sealed cleanup(buf_done) = BUF_INIT, clear cleanup(buf_done) = BUF_INIT;
    seal_text(ring, &right, STR_LIT("open sesame"), &sealed);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct error err = {0};
        assert_int_equal(seal_open(ring, &others[i], buf_str(&sealed), &clear, &err), -EBADMSG);
        assert_true(err.text[0] && !strstr(err.text, "sesame"));
    }
    assert_int_equal(clear.n, 0);
    key_ring_free(ring);
}

static void any_flipped_bit_is_noticed(void **state)
{
    (void)state;
    struct key_ring *ring = ring_of("k " KEY_A);
    struct seal_context c = context();
    struct buf sealed cleanup(buf_done) = BUF_INIT, box cleanup(buf_done) = BUF_INIT;
    seal_text(ring, &c, STR_LIT("secret"), &sealed);
    size_t prefix = strlen("sealed:k:");
    assert_int_equal(decode_base64(&box, str_slice(buf_str(&sealed), prefix, sealed.n)), 0);
    for (size_t bit = 0; bit < box.n * 8; bit++) {
        struct buf damaged cleanup(buf_done) = BUF_INIT, clear cleanup(buf_done) = BUF_INIT;
        box.p[bit / 8] ^= (char)(1 << bit % 8);
        buf_add_cstr(&damaged, "sealed:k:");
        encode_base64(&damaged, box.p, box.n);
        box.p[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(seal_open(ring, &c, buf_str(&damaged), &clear, NULL), -EBADMSG);
        assert_int_equal(clear.n, 0);
    }
    for (size_t n = 0; n < sealed.n; n++) {
        struct buf clear cleanup(buf_done) = BUF_INIT;
        if (sealed.p[n] != '=') // padding may be left out
            assert_int_equal(seal_open(ring, &c, str_slice(buf_str(&sealed), 0, n), &clear, NULL), -EBADMSG);
    }
    key_ring_free(ring);
}

static void the_packed_form_is_shorter_and_opens_like_the_text(void **state)
{
    (void)state;
    struct key_ring *ring = ring_of("2026-10 " KEY_A), *other = ring_of("k " KEY_A);
    struct seal_context c = context();
    struct buf sealed cleanup(buf_done) = BUF_INIT, packed cleanup(buf_done) = BUF_INIT,
                      again cleanup(buf_done) = BUF_INIT, clear cleanup(buf_done) = BUF_INIT;
    seal_text(ring, &c, STR_LIT("open sesame"), &sealed);
    assert_true(seal_pack(buf_str(&sealed), &packed));
    assert_true(packed.n + 20 <= sealed.n);
    assert_int_equal(seal_open(ring, &c, buf_str(&packed), &clear, NULL), 0);
    assert_true(str_eq_cstr(buf_str(&clear), "open sesame"));
    seal_unpack(buf_str(&packed), &again);
    assert_true(str_eq(buf_str(&again), buf_str(&sealed)));
    struct error err = {0};
    assert_int_equal(seal_open(other, &c, buf_str(&packed), &clear, &err), -ENOKEY);
    assert_non_null(strstr(err.text, "2026-10"));
    packed.p[packed.n - 1] ^= 1;
    assert_int_equal(seal_open(ring, &c, buf_str(&packed), &clear, NULL), -EBADMSG);
    for (size_t n = 0; n < packed.n; n++)
        assert_int_equal(seal_open(ring, &c, str_slice(buf_str(&packed), 0, n), &clear, NULL), -EBADMSG);
    key_ring_free(ring);
    key_ring_free(other);
}

static void what_is_not_sealed_is_not_packed(void **state)
{
    static const char *const bad[] = {"", "secret", "sealed:", "sealed:k:", "sealed:k:*", "\x01k12345", " "};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf packed cleanup(buf_done) = BUF_INIT;
        assert_false(seal_pack(str_of(bad[i]), &packed));
        assert_int_equal(packed.n, 0);
    }
}

static void what_is_not_sealed_does_not_open(void **state)
{
    static const char *const bad[] = {
        "",          "secret",        "sealed",      "sealed:",       "sealed:k",
        "sealed:k:", "sealed:k:AAAA", "sealed::AAA", "sealed:k:*&!(", "sealed:k k:AAAA"};
    (void)state;
    struct key_ring *ring = ring_of("k " KEY_A);
    struct seal_context c = context();
    struct buf clear cleanup(buf_done) = BUF_INIT;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error err = {0};
        assert_int_equal(seal_open(ring, &c, str_of(bad[i]), &clear, &err), -EBADMSG);
        assert_true(err.text[0]);
    }
    assert_false(seal_is_sealed(STR_LIT("secret")));
    assert_false(seal_is_sealed(STR_NONE));
    key_ring_free(ring);
}

static void the_first_key_seals_and_all_open(void **state)
{
    (void)state;
    struct key_ring *old = ring_of("2025 " KEY_A "\n");
    struct key_ring *both = ring_of("# turned over in October\n\n2026\t" KEY_B "\r\n  2025   " KEY_A "  ");
    struct seal_context c = context();
    struct buf before cleanup(buf_done) = BUF_INIT, after cleanup(buf_done) = BUF_INIT;
    struct buf clear cleanup(buf_done) = BUF_INIT;
    struct error err = {0};
    seal_text(old, &c, STR_LIT("secret"), &before);
    seal_text(both, &c, STR_LIT("secret"), &after);
    assert_true(str_starts(buf_str(&after), STR_LIT("sealed:2026:")));
    assert_int_equal(seal_open(both, &c, buf_str(&before), &clear, NULL), 0);
    assert_int_equal(seal_open(both, &c, buf_str(&after), &clear, NULL), 0);
    assert_string_equal(clear.p, "secretsecret");
    assert_int_equal(seal_open(old, &c, buf_str(&after), &clear, &err), -ENOKEY);
    assert_string_equal(err.text, "key 2026 missing");
    key_ring_free(old);
    key_ring_free(both);
}

static void one_opener_opens_many_whatever_came_between(void **state)
{
    (void)state;
    struct key_ring *a = ring_of("a " KEY_A), *b = ring_of("b " KEY_B),
                    *both = ring_of("a " KEY_A "\nb " KEY_B);
    struct seal_opener *opener = seal_opener_new(both);
    struct seal_context c = context(), other = context();
    struct buf by_a cleanup(buf_done) = BUF_INIT, by_b cleanup(buf_done) = BUF_INIT;
    seal_text(a, &c, STR_LIT("open sesame"), &by_a);
    seal_text(b, &c, STR_LIT(""), &by_b);
    other.id++;
    for (int round = 0; round < 50; round++) {
        struct buf clear cleanup(buf_done) = BUF_INIT;
        switch (round * 7 % 5) {
        case 0:
        case 1:
            assert_int_equal(seal_opener_open(opener, &c, buf_str(&by_a), &clear, NULL), 0);
            assert_true(str_eq_cstr(buf_str(&clear), "open sesame"));
            break;
        case 2:
            assert_int_equal(seal_opener_open(opener, &c, buf_str(&by_b), &clear, NULL), 0);
            assert_int_equal(clear.n, 0);
            break;
        case 3:
            assert_int_equal(seal_opener_open(opener, &other, buf_str(&by_a), &clear, NULL), -EBADMSG);
            assert_int_equal(clear.n, 0);
            break;
        default:
            assert_int_equal(seal_opener_open(opener, &c, STR_LIT("sealed:c:AAAA"), &clear, NULL), -ENOKEY);
        }
    }
    seal_opener_free(opener);
    key_ring_free(a);
    key_ring_free(b);
    key_ring_free(both);
}

static void another_key_of_the_same_name_does_not_open(void **state)
{
    (void)state;
    struct key_ring *one = ring_of("k " KEY_A), *two = ring_of("k " KEY_B);
    struct seal_context c = context();
    struct buf sealed cleanup(buf_done) = BUF_INIT, clear cleanup(buf_done) = BUF_INIT;
    seal_text(one, &c, STR_LIT("secret"), &sealed);
    assert_int_equal(seal_open(two, &c, buf_str(&sealed), &clear, NULL), -EBADMSG);
    key_ring_free(one);
    key_ring_free(two);
}

static void a_bad_key_ring_names_the_line_and_not_the_key(void **state)
{
    static const struct {
        const char *text, *named;
    } bad[] = {
        {"", "no key"},
        {"# nothing\n\n", "no key"},
        {"k\n", "line 1"},
        {"k " KEY_A "\nk " KEY_B "\n", "line 2"},
        {"\n#\nk " KEY_A "0", "line 3"},
        {"k 0001", "line 1"},
        {"k " KEY_A " again", "line 1"},
        {"k:y " KEY_A, "line 1"},
        {"a-key-id-of-thirty-three-characte " KEY_A, "line 1"},
        {KEY_A, "line 1"},
        {"k g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "line 1"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct key_ring *ring = NULL;
        struct error err = {0};
        if (key_ring_parse(str_of(bad[i].text), &ring, &err) != -EINVAL || !strstr(err.text, bad[i].named))
            fail_msg("case %zu: \"%s\" should name %s", i, err.text, bad[i].named);
        assert_null(strstr(err.text, "0001"));
        assert_null(ring);
    }
    struct buf many cleanup(buf_done) = BUF_INIT;
    for (int i = 0; i < 65; i++)
        buf_addf(&many, "k%d " KEY_A "\n", i);
    struct key_ring *ring = NULL;
    assert_int_equal(key_ring_parse(buf_str(&many), &ring, NULL), -EINVAL);
}

static void loads_a_file_or_says_which_it_could_not(void **state)
{
    (void)state;
    char path[] = "/tmp/rollcall-key-ring-XXXXXX";
    struct key_ring *ring = NULL;
    struct error err = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "k " KEY_A "\n", 67), 67);
    assert_int_equal(key_ring_load(path, &ring, NULL), 0);
    key_ring_free(ring);
    assert_int_equal(ftruncate(fd, 10), 0);
    assert_int_equal(key_ring_load(path, &ring, &err), -EINVAL);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(ftruncate(fd, 100000), 0);
    assert_int_equal(key_ring_load(path, &ring, &err), -EINVAL);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(key_ring_load(path, &ring, &err), -EINVAL);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(key_ring_load("/tmp", &ring, &err), -EINVAL);
}

static void a_ring_can_be_turned_to_another_of_its_keys(void **state)
{
    struct key_ring *ring = ring_of("a " KEY_A "\nb " KEY_B "\n"), *turned;
    struct seal_context c = context();
    struct error err;
    struct buf sealed cleanup(buf_done) = BUF_INIT, clear cleanup(buf_done) = BUF_INIT;
    assert_int_equal(key_ring_turn(ring, STR_LIT("b"), &turned, &err), 0);
    seal_text(turned, &c, STR_LIT("open sesame"), &sealed);
    assert_true(str_eq_cstr(seal_key_of(buf_str(&sealed)), "b"));
    assert_int_equal(seal_open(ring, &c, buf_str(&sealed), &clear, NULL), 0);
    assert_int_equal(key_ring_turn(ring, STR_LIT("c"), &turned, &err), -ENOKEY);
    assert_true(key_ring_tells_missing(str_of(err.text)));
    assert_false(key_ring_tells_missing(STR_LIT("key missing")));
    key_ring_free(turned);
    key_ring_free(ring);
}

static void a_ring_that_was_replaced_lives_on_for_who_holds_it(void **state)
{
    struct key_ring_box *box = key_ring_box_new(ring_of("a " KEY_A));
    struct key_ring *held = key_ring_box_get(box);
    key_ring_box_swap(box, ring_of("b " KEY_B));
    struct key_ring *present cleanup(key_ring_drop) = key_ring_box_get(box);
    assert_string_equal(key_ring_first(held), "a");
    assert_string_equal(key_ring_first(present), "b");
    key_ring_free(held);
    key_ring_box_free(box);
}

static void load_again(const struct key_ring *present, const char *text, int expected)
{
    char path[] = "/tmp/rollcall-ring-XXXXXX";
    struct key_ring *next = NULL;
    struct error err;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
    assert_int_equal(key_ring_load_again(path, present, &next, &err), expected);
    assert_true((expected == 0) == (next != NULL));
    key_ring_free(next);
    (void)unlink(path);
}

static void an_id_is_not_given_to_another_key(void **state)
{
    struct key_ring *ring = ring_of("a " KEY_A "\nb " KEY_B "\n");
    load_again(ring, "b " KEY_B "\na " KEY_A "\n", 0);
    load_again(ring, "c " KEY_A "\n", 0);
    load_again(ring, "a " KEY_B "\n", -EINVAL);
    load_again(ring, "", -EINVAL);
    key_ring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_what_it_sealed),
        cmocka_unit_test(seals_any_length_and_any_byte),
        cmocka_unit_test(opens_a_text_of_another_implementation),
        cmocka_unit_test(the_same_secret_never_looks_the_same),
        cmocka_unit_test(opens_nowhere_else),
        cmocka_unit_test(any_flipped_bit_is_noticed),
        cmocka_unit_test(what_is_not_sealed_does_not_open),
        cmocka_unit_test(the_first_key_seals_and_all_open),
        cmocka_unit_test(one_opener_opens_many_whatever_came_between),
        cmocka_unit_test(another_key_of_the_same_name_does_not_open),
        cmocka_unit_test(a_bad_key_ring_names_the_line_and_not_the_key),
        cmocka_unit_test(loads_a_file_or_says_which_it_could_not),
        cmocka_unit_test(the_packed_form_is_shorter_and_opens_like_the_text),
        cmocka_unit_test(what_is_not_sealed_is_not_packed),
        cmocka_unit_test(a_ring_can_be_turned_to_another_of_its_keys),
        cmocka_unit_test(a_ring_that_was_replaced_lives_on_for_who_holds_it),
        cmocka_unit_test(an_id_is_not_given_to_another_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
