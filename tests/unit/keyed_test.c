// common/base/keyed: the hash of tables whose keys strangers choose.
#include "common/base/keyed.h"

#include <openssl/evp.h>
#include <openssl/params.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>
// cmocka needs the four above
#include <cmocka.h>

static uint64_t by_openssl(const uint8_t *bytes, size_t count, const uint8_t *key)
{
    size_t size = 8, made = 0;
    uint8_t out[8];
    OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t("size", &size), OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    assert_int_equal(EVP_MAC_init(ctx, key, 16, params), 1);
    assert_int_equal(EVP_MAC_update(ctx, bytes, count), 1);
    assert_int_equal(EVP_MAC_final(ctx, out, &made, sizeof(out)), 1);
    assert_int_equal(made, 8);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | out[i];
    return value;
}

static void is_what_another_implementation_makes(void **state)
{
    uint8_t key[16], bytes[80];
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(i * 37 + 11);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(255 - i * 3);
    for (size_t n = 0; n <= sizeof(bytes); n++)
        assert_int_equal(hash_sip(bytes, n, key), by_openssl(bytes, n, key));
}

static void is_the_same_for_the_same_text_only(void **state)
{
    assert_int_equal(hash_keyed("example.net", 11), hash_keyed("example.net", 11));
    assert_int_not_equal(hash_keyed("example.net", 11), hash_keyed("example.net", 10));
}

// Names that anybody can find: in one bucket of uthash's own function, which has no key.
static void names_that_were_made_to_meet_do_not(void **state)
{
    enum { NAMES = 256, BUCKETS = 256 };
    bool used[BUCKETS] = {false};
    size_t found = 0, buckets = 0;
    for (unsigned i = 0; found < NAMES; i++) {
        char name[32];
        int n = snprintf(name, sizeof(name), "host-%u.example.net", i);
        unsigned plain;
        HASH_JEN(name, (unsigned)n, plain);
        if (plain % BUCKETS)
            continue;
        found++;
        uint32_t bucket = hash_keyed(name, (size_t)n) % BUCKETS;
        buckets += !used[bucket];
        used[bucket] = true;
    }
    assert_in_range(buckets, 100, BUCKETS); // 162 is what chance gives
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_what_another_implementation_makes),
        cmocka_unit_test(is_the_same_for_the_same_text_only),
        cmocka_unit_test(names_that_were_made_to_meet_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
