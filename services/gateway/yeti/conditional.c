// See conditional.h.
#include "services/gateway/yeti/conditional.h"

#include "common/base/encode.h"
#include "services/gateway/yeti/answer.h"

#include <openssl/sha.h>

#define IDEMPOTENCY_KEY     "idempotency-key"
#define IDEMPOTENCY_KEY_MAX 255

bool conditional_asks(const struct call *c)
{
    return !c->yeti->params.strict && http_header(c->call.http, "if-match").p;
}

// Without W/, if that stands before it.
static struct str strong(struct str tag)
{
    return str_starts(tag, STR_LIT("W/")) ? str_slice(tag, 2, tag.n) : tag;
}

// Commas may stand within a tag. What is no list of tags names none.
static bool lists(struct str list, struct str tag)
{
    for (size_t i = 0; i < list.n;) {
        if (list.p[i] == ',' || list.p[i] == ' ' || list.p[i] == '\t') {
            i++;
            continue;
        }
        struct str rest = strong(str_slice(list, i, list.n));
        size_t end = rest.n && rest.p[0] == '"' ? str_find(rest, '"', 1) : rest.n;
        if (end >= rest.n)
            return false;
        if (str_eq(str_slice(rest, 0, end + 1), strong(tag)))
            return true;
        i = list.n - rest.n + end + 1;
    }
    return false;
}

bool conditional_passes(struct call *c, struct str representation)
{
    char tag[ANSWER_TAG_BYTES];
    struct buf list cleanup(buf_done) = BUF_INIT;
    if (!conditional_asks(c))
        return true;
    http_header_list(c->call.http, "if-match", &list);
    answer_tag(representation, tag);
    if (str_eq_cstr(str_trim(buf_str(&list)), "*") || lists(buf_str(&list), str_of(tag)))
        return true;
    answer_condition_failed(c, tag);
    return false;
}

static bool is_key(struct str key)
{
    for (size_t i = 0; i < key.n; i++)
        if ((unsigned char)key.p[i] < ' ' || key.p[i] == 0x7f)
            return false;
    return key.n > 0 && key.n <= IDEMPOTENCY_KEY_MAX;
}

bool conditional_read_key(struct call *c, struct store_write_context *context, struct buf *digest)
{
    struct str key = http_header(c->call.http, IDEMPOTENCY_KEY), body = http_body(c->call.http);
    unsigned char bytes[SHA256_DIGEST_LENGTH];
    if (c->yeti->params.strict || !key.p)
        return true;
    if (!is_key(key)) {
        errors_add_header(&c->errors, PROBLEM_BAD_REQUEST,
                          STR_LIT("Idempotency-Key must be 1 to 255 bytes without control characters"),
                          IDEMPOTENCY_KEY);
        answer_errors(c);
        return false;
    }
    (void)SHA256((const unsigned char *)body.p, body.n, bytes);
    encode_hex(digest, bytes, sizeof(bytes));
    context->idempotency_key = key;
    context->fingerprint = buf_str(digest);
    return true;
}
