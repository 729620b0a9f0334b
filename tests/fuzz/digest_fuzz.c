// Challenges as a registrar sends them: an answer to one never carries a line end.
#include "common/sip/uri.h"
#include "services/registrant/core/digest.h"
#include "tests/fuzz/target.h"

static bool any(const struct digest_challenge *c, void *arg)
{
    (void)arg;
    return c->realm.p != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct digest *digest;
    if (!digest)
        digest = digest_new();
    struct digest_challenge challenges[16];
    struct str text = str_of_bytes(data, size);
    size_t count = digest_parse(text, false, challenges, 0, ARRAY_LEN(challenges));
    HOLDS(count <= ARRAY_LEN(challenges));
    size_t kept = digest_choose(challenges, digest_drop_unknown(challenges, count), any, NULL);
    HOLDS(kept <= count);
    for (size_t i = 0; i < kept; i++) {
        const struct digest_challenge *c = &challenges[i];
        const struct digest_input in = {.algorithm = c->algorithm,
                                        .algorithm_given = c->algorithm_given,
                                        .qop = c->qop,
                                        .userhash = c->userhash,
                                        .user = STR_LIT("alice"),
                                        .password = STR_LIT("secret"),
                                        .realm = c->realm,
                                        .nonce = c->nonce,
                                        .opaque = c->opaque,
                                        .method = STR_LIT("REGISTER"),
                                        .uri = STR_LIT("sip:example.com"),
                                        .cnonce = STR_LIT("0a4f113b"),
                                        .nc = 1};
        struct buf out cleanup(buf_done) = BUF_INIT;
        bool safe = sip_text_is_safe(text);
        if (digest_authorization(digest, &in, &out) == 0 && safe)
            HOLDS(sip_text_is_safe(buf_str(&out)));
    }
    return 0;
}
