// What it costs to know who asks: a token of each kind, an API key, a rate limit, and reading a file of 20
// 000 users. Prints microseconds of this thread's CPU for each; run by hand.
#include "common/base/encode.h"
#include "services/gateway/auth/principals_file.h"
#include "services/gateway/auth/throttle.h"
#include "services/gateway/auth/token.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECRET STR_LIT("0123456789abcdef0123456789abcdef")
#define HASH   "$y$j9T$te0I4jhQijRUxMp.CnDpM1$5T/DzBy7Ex0joZLTOgYRmghPH3zMUhYIkr2Loy7KV0C"

enum { NOW = 1000000, USERS = 20000, ACCOUNTS = 5000 };

static double cpu_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void say(const char *what, double from_us, unsigned count)
{
    (void)printf("%-42s %10.2f us\n", what, (cpu_us() - from_us) / count);
}

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "auth_bench: %s\n", what);
    exit(1);
}

static void write_file(struct buf *out, EVP_PKEY *pair)
{
    char *pem;
    BIO *bio = BIO_new(BIO_s_mem());
    must(PEM_write_bio_PUBKEY(bio, pair) == 1, "no PEM");
    long bytes = BIO_get_mem_data(bio, &pem);
    struct json_writer w = json_writer(out);
    buf_add_cstr(out, "{\"accounts\":[{\"name\":\"a0\"}");
    for (unsigned i = 1; i < ACCOUNTS; i++)
        buf_addf(out, ",\n{\"name\":\"a%u\",\"number\":%u,\"realm\":\"a%u.example\",\"parent\":\"a0\"}", i, i,
                 i);
    buf_add_cstr(out, "],\"users\":[");
    for (unsigned i = 1; i <= USERS; i++)
        buf_addf(out,
                 "%s\n{\"id\":%u,\"username\":\"user%u\",\"account\":\"a%u\",\"roles\":[\"admin\"],"
                 "\"password\":\"" HASH "\",\"credentials_md5\":\"" HASH "\",\"credentials_sha\":\"" HASH
                 "\"}",
                 i > 1 ? "," : "", i, i, i % ACCOUNTS);
    buf_add_cstr(out, "],\"keys\":[{\"id\":\"api\",\"account\":\"a1\",\"api_key_sha256\":"
                      "\"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"},"
                      "{\"id\":\"k1\",\"account\":\"a1\",\"public_key\":");
    json_put_str(&w, str_of_bytes(pem, (size_t)bytes));
    buf_add_cstr(out, "}]}");
    BIO_free(bio);
}

static void add_base64url(struct buf *out, const void *bytes, size_t count)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    encode_base64(&text, bytes, count);
    for (size_t i = 0; i < text.n && text.p[i] != '='; i++)
        buf_add_char(out, text.p[i] == '+' ? '-' : text.p[i] == '/' ? '_' : text.p[i]);
}

static void sign(struct buf *token, EVP_PKEY *pair)
{
    const struct str header = STR_LIT("{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}");
    const struct str claims = STR_LIT("{\"iat\":1000000,\"iss\":1,\"exp\":1000064}");
    unsigned char signature[256];
    size_t bytes = sizeof(signature);
    add_base64url(token, header.p, header.n);
    buf_add_char(token, '.');
    add_base64url(token, claims.p, claims.n);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    must(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pair) == 1 &&
             EVP_DigestSign(ctx, signature, &bytes, (const unsigned char *)token->p, token->n) == 1,
         "no signature");
    EVP_MD_CTX_free(ctx);
    buf_add_char(token, '.');
    add_base64url(token, signature, bytes);
}

static struct principals *load(struct str text)
{
    struct principals *p = NULL;
    struct error err = {0};
    double from = cpu_us();
    must(principals_parse(text, &p, &err) == 0, err.text);
    say("20 000 users, 5 000 accounts: read", from, 1);
    (void)printf("%-42s %10zu bytes\n", "  its file", text.n);
    return p;
}

static void measure(const struct principals *p, EVP_PKEY *pair)
{
    struct buf hs cleanup(buf_done) = BUF_INIT, rs cleanup(buf_done) = BUF_INIT;
    struct key_token key;
    uint64_t subject;
    sign(&rs, pair);
    token_issue(&hs, SECRET, 1, NOW, 600);
    double from = cpu_us();
    for (unsigned i = 0; i < 100000; i++)
        must(token_verify(buf_str(&hs), SECRET, NOW, &subject, NULL) == 0, "HS256 refused");
    say("HS256 token verified", from, 100000);
    from = cpu_us();
    for (unsigned i = 0; i < 20000; i++)
        must(key_token_verify(buf_str(&rs), p, NOW, &key) == TOKEN_GOOD, "RS256 refused");
    say("RS256 token verified", from, 20000);
    from = cpu_us();
    for (unsigned i = 0; i < 100000; i++)
        must(principals_by_api_key(p, STR_LIT("secret")) != NULL, "API key refused");
    say("API key found", from, 100000);
    from = cpu_us();
    for (uint64_t i = 0; i < 1000000; i++)
        must(principals_by_id(p, i % USERS + 1) != NULL, "user not found");
    say("user found by id", from, 1000000);
}

int main(void)
{
    EVP_PKEY *pair = EVP_RSA_gen(2048);
    struct buf file cleanup(buf_done) = BUF_INIT;
    write_file(&file, pair);
    struct principals *p = load(buf_str(&file));
    measure(p, pair);
    struct throttle *t = throttle_new(&(struct throttle_params){.requests_per_s = 1000000});
    double from = cpu_us();
    for (uint64_t i = 0; i < 100000; i++)
        must(throttle_request(t, STR_LIT("default/admin"), 1, i * 1000).passes, "throttled");
    say("request counted", from, 100000);
    throttle_free(t);
    from = cpu_us();
    principals_unref(p);
    say("20 000 users, 5 000 accounts: freed", from, 1);
    EVP_PKEY_free(pair);
    return 0;
}
