// SIP URIs, name-addr, lists and parameters: pieces lie within the input; a URI equals itself.
#include "common/sip/uri.h"
#include "tests/fuzz/target.h"

static bool lies_within(struct str piece, struct str whole)
{
    return piece.n == 0 || (piece.p >= whole.p && piece.p + piece.n <= whole.p + whole.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of_bytes(data, size), rest = text, element, value;
    struct sip_uri uri;
    struct sip_addr addr;
    if (sip_uri_parse(text, &uri, NULL) == 0) {
        HOLDS(lies_within(uri.user, text) && lies_within(uri.host, text) && lies_within(uri.params, text));
        HOLDS(sip_uri_equal(&uri, &uri));
        HOLDS(sip_text_is_safe(text));
    }
    if (sip_addr_parse(text, &addr, NULL) == 0) {
        HOLDS(lies_within(addr.uri_text, text) && lies_within(addr.params, text));
        (void)sip_param_get(addr.params, "expires", &value);
    }
    (void)!sip_hostport_parse(text, &uri, NULL);
    for (size_t i = 0; i <= size && sip_list_next(&rest, &element); i++)
        HOLDS(lies_within(element, text));
    struct buf out cleanup(buf_done) = BUF_INIT;
    sip_escape_user(&out, text);
    HOLDS(sip_text_is_safe(buf_str(&out)));
    return 0;
}
