// common/base: text, buffers, hashes and encodings that protocols prescribe, with their published check
// values.
#include "common/base/encode.h"
#include "common/base/hash.h"
#include "common/base/mailbox.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

static void splits_keep_empty_pieces(void **state)
{
    (void)state;
    struct str rest = STR_LIT("a,,b"), piece;
    assert_true(str_split(&rest, ',', &piece) && str_eq_cstr(piece, "a"));
    assert_true(str_split(&rest, ',', &piece) && piece.n == 0);
    assert_true(str_split(&rest, ',', &piece) && str_eq_cstr(piece, "b"));
    assert_false(str_split(&rest, ',', &piece));
}

static void numbers_are_whole_and_in_range(void **state)
{
    (void)state;
    int64_t i = 7;
    uint64_t u = 7;
    assert_int_equal(str_to_i64(STR_LIT("-9223372036854775807"), &i), 0);
    assert_true(i == -INT64_MAX);
    assert_int_equal(str_to_u64(STR_LIT("18446744073709551615"), &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(str_to_u64(STR_LIT("18446744073709551616"), &u), -ERANGE);
    assert_int_equal(str_to_i64(STR_LIT("12a"), &i), -EINVAL);
    assert_int_equal(str_to_i64(STR_LIT("-"), &i), -EINVAL);
    assert_int_equal(str_to_u64(STR_NONE, &u), -EINVAL);
}

static void crc16_matches_the_cluster_specification(void **state)
{
    (void)state;
    assert_int_equal(hash_crc16(STR_LIT("123456789")), 0x31c3);
}

static void murmur2_matches_kafka_java_clients(void **state)
{
    (void)state;
    // Values of the Java client's own test.
    assert_int_equal((int32_t)hash_murmur2(STR_LIT("21")), -973932308);
    assert_int_equal((int32_t)hash_murmur2(STR_LIT("foobar")), -790332482);
    assert_int_equal((int32_t)hash_murmur2(STR_LIT("a-little-bit-long-string")), -985981536);
    assert_int_equal((int32_t)hash_murmur2(STR_LIT("abc")), 479470107);
}

static void base64_goes_both_ways(void **state)
{
    (void)state;
    static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const coded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        struct buf out = BUF_INIT, back = BUF_INIT;
        encode_base64(&out, plain[i], strlen(plain[i]));
        assert_true(str_eq_cstr(buf_str(&out), coded[i]));
        assert_int_equal(decode_base64(&back, buf_str(&out)), 0);
        assert_true(str_eq_cstr(buf_str(&back), plain[i]));
        buf_done(&out);
        buf_done(&back);
    }
    struct buf out = BUF_INIT;
    assert_int_equal(decode_base64(&out, STR_LIT("a*==")), -EINVAL);
    assert_int_equal(decode_base64(&out, STR_LIT("abcde")), -EINVAL);
    assert_int_equal(out.n, 0);
    buf_done(&out);
}

static void a_time_is_written_with_its_milliseconds(void **state)
{
    (void)state;
    char text[ENCODE_TIME_BYTES];
    encode_time(text, UINT64_C(1763769541042));
    assert_string_equal(text, "2025-11-21T23:59:01.042Z");
    encode_time(text, 0);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    encode_time(text, UINT64_MAX);
    assert_string_equal(text, "584556019-04-03T14:25:51.615Z");
}

static void a_full_mailbox_refuses_and_keeps_order(void **state)
{
    (void)state;
    struct mailbox *m = mailbox_new(2);
    int a, b, c;
    assert_int_equal(mailbox_push(m, &a), 0);
    assert_int_equal(mailbox_push(m, &b), 0);
    assert_int_equal(mailbox_push(m, &c), -EAGAIN);
    void *got[4];
    assert_int_equal(mailbox_pop(m, got, 4), 2);
    assert_ptr_equal(got[0], &a);
    assert_ptr_equal(got[1], &b);
    assert_int_equal(mailbox_pop(m, got, 4), 0);
    mailbox_free(m);
}

static void random_below_stays_below(void **state)
{
    (void)state;
    struct rng rng = {.state = 1};
    uint64_t seen = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t v = rng_below(&rng, 7);
        assert_true(v < 7);
        seen |= 1u << v;
    }
    assert_int_equal(seen, 0x7f);
    assert_int_equal(rng_below(&rng, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_keep_empty_pieces),
        cmocka_unit_test(numbers_are_whole_and_in_range),
        cmocka_unit_test(crc16_matches_the_cluster_specification),
        cmocka_unit_test(murmur2_matches_kafka_java_clients),
        cmocka_unit_test(base64_goes_both_ways),
        cmocka_unit_test(a_time_is_written_with_its_milliseconds),
        cmocka_unit_test(a_full_mailbox_refuses_and_keeps_order),
        cmocka_unit_test(random_below_stays_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
