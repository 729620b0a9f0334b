// What others ask of our port. OPTIONS is answered, as whoever is reachable by a Contact must (RFC 3261 11);
// there is nothing else to serve here. Stateless (8.2.7): strangers cost no memory, and a flood of them
// little time.
#include "services/registrant/sip/agent_private.h"

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/sip/uri.h"

#define STRANGERS       100     // requests that are read at most …
#define STRANGERS_IN_US 100000u // … in so long
#define DEFAULT_PORT    5060
// What is larger is not read: nothing that is asked of us needs more.
#define MAX_BYTES    8192
#define MAX_ELEMENTS 320

static bool may_be_read(struct stranger_budget *b)
{
    uint64_t now_us = clock_monotonic_us();
    if (now_us >= b->until_us)
        *b = (struct stranger_budget){.until_us = now_us + STRANGERS_IN_US, .left = STRANGERS};
    if (!b->left)
        return false;
    b->left--;
    return true;
}

// ---- what is answered

#define SUPPORTED "path, outbound, gruu"

static const char *const allow = "Allow: OPTIONS\r\n";

struct verdict {
    const char *line; // status and phrase
    const char *headers;
    struct str unsupported; // of a 420
};

static bool is_supported(struct str tag)
{
    struct str all = STR_LIT(SUPPORTED), one;
    while (str_split(&all, ',', &one))
        if (str_ieq(str_trim(one), tag))
            return true;
    return false;
}

// Extensions that it requires and we do not have (8.2.2.3), as a list.
static void unsupported_of(const sip_t *sip, struct buf *ret)
{
    buf_clear(ret);
    const msg_param_t *tags = sip->sip_require ? sip->sip_require->k_items : NULL;
    for (size_t i = 0; tags && tags[i]; i++) {
        if (is_supported(str_of(tags[i])) || !sip_text_is_safe(str_of(tags[i])))
            continue;
        buf_add_cstr(ret, ret->n ? ", " : "");
        buf_add_cstr(ret, tags[i]);
    }
}

static struct verdict judge(const sip_t *sip, struct str unsupported)
{
    static const char *const all =
        "Allow: OPTIONS\r\nAccept: application/sdp\r\nAccept-Encoding: identity\r\n"
        "Accept-Language: en\r\nSupported: " SUPPORTED "\r\n";
    switch (sip->sip_request->rq_method) {
    case sip_method_ack:
        return (struct verdict){0};
    case sip_method_options:
        if (unsupported.n)
            return (struct verdict){.line = "420 Bad Extension", .headers = "", .unsupported = unsupported};
        return (struct verdict){.line = "200 OK", .headers = all};
    case sip_method_cancel:
        return (struct verdict){.line = "481 Call/Transaction Does Not Exist", .headers = ""};
    case sip_method_unknown:
        return (struct verdict){.line = "501 Not Implemented", .headers = allow};
    default:
        if (sip->sip_to->a_tag) // a dialog that we never had (12.2.2)
            return (struct verdict){.line = "481 Call/Transaction Does Not Exist", .headers = ""};
        return (struct verdict){.line = "405 Method Not Allowed", .headers = allow};
    }
}

// ---- how

// The topmost Via with the address that the request really came from (18.2.1, RFC 3581 4), whatever it says.
static void add_top_via(struct buf *out, struct str via, const struct address *from, bool rport)
{
    struct str params = str_slice(via, str_find(via, ';', 0), via.n), one;
    struct buf address cleanup(buf_done) = BUF_INIT;
    message_add_unfolded(out, str_slice(via, 0, via.n - params.n));
    while (str_split(&params, ';', &one)) {
        struct str name = str_trim(str_slice(one, 0, str_find(one, '=', 0)));
        if (!str_trim(one).n || str_ieq_cstr(name, "received") || str_ieq_cstr(name, "rport"))
            continue;
        buf_add_char(out, ';');
        message_add_unfolded(out, str_trim(one));
    }
    address_add(&address, from);
    struct sip_uri at;
    if (sip_hostport_parse(buf_str(&address), &at, NULL) != 0)
        return;
    buf_add_cstr(out, ";received=");
    buf_add_str(out, at.host);
    if (rport) {
        buf_add_cstr(out, ";rport=");
        buf_add_u64(out, address_port(from));
    }
}

static void add_via(struct buf *out, struct str value, const struct address *from, bool *top, bool rport)
{
    struct str first;
    buf_add_cstr(out, "Via: ");
    if (*top && sip_list_next(&value, &first)) {
        add_top_via(out, first, from, rport);
        *top = false;
        if (str_trim(value).n)
            buf_add_cstr(out, ", ");
    }
    message_add_unfolded(out, str_trim(value));
    buf_add(out, "\r\n", 2);
}

// The same for the same request, so that its repetition gets the same answer (8.2.7).
static void add_tag(struct agent *a, struct buf *out, const sip_t *sip)
{
    struct buf key cleanup(buf_done) = BUF_INIT;
    buf_add_cstr(&key, sip->sip_call_id->i_id);
    buf_add_cstr(&key, sip->sip_from->a_tag ? sip->sip_from->a_tag : "");
    buf_addf(out, ";tag=%08llx", (unsigned long long)hash_u64(hash_murmur2(buf_str(&key)) ^ a->tag_seed));
}

static const struct {
    const char *name, *compact;
} copied[] = {{"From", "f"}, {"To", "t"}, {"Call-ID", "i"}, {"CSeq", "CSeq"}};

static void add_copied(struct agent *a, struct buf *out, const sip_t *sip, struct str name, struct str value)
{
    for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
        if (!str_ieq_cstr(name, copied[i].name) && !str_ieq_cstr(name, copied[i].compact))
            continue;
        buf_add_cstr(out, copied[i].name);
        buf_add_cstr(out, ": ");
        message_add_unfolded(out, value);
        if (i == 1 && !sip->sip_to->a_tag)
            add_tag(a, out, sip);
        buf_add(out, "\r\n", 2);
    }
}

static void write_reply(struct agent *a, const sip_t *sip, struct str message, const struct address *from,
                        const struct verdict *v)
{
    struct buf *out = &a->reply;
    struct str rest = message_headers(message), name, value;
    bool top = true, rport = sip->sip_via->v_rport != NULL;
    buf_clear(out);
    buf_addf(out, "SIP/2.0 %s\r\n", v->line);
    while (message_header_next(&rest, &name, &value))
        if (str_ieq_cstr(name, "Via") || str_ieq_cstr(name, "v"))
            add_via(out, value, from, &top, rport);
        else
            add_copied(a, out, sip, name, value);
    if (v->unsupported.n)
        buf_addf(out, "Unsupported: " STR_FMT "\r\n", STR_ARG(v->unsupported));
    buf_add_cstr(out, v->headers);
    if (a->user_agent)
        buf_addf(out, "Server: %s\r\n", a->user_agent);
    buf_add_cstr(out, "Content-Length: 0\r\n\r\n");
}

// 18.2.2: by the same way; a datagram without rport to the port that its Via names. An maddr is not followed:
// it would have us send where any stranger likes.
static struct transport_path way_back(const struct transport_path *path, const sip_via_t *via)
{
    struct transport_path back = *path;
    if (path->flow || via->v_rport)
        return back;
    uint64_t port = DEFAULT_PORT;
    if (via->v_port && (str_to_u64(str_of(via->v_port), &port) != 0 || !port || port > UINT16_MAX))
        return back;
    uint16_t network = htons((uint16_t)port);
    if (back.from.any.sa_family == AF_INET6)
        back.from.v6.sin6_port = network;
    else
        back.from.v4.sin_port = network;
    return back;
}

void incoming_request(struct agent *a, const struct transport_path *path, struct str message)
{
    if (!may_be_read(&a->strangers))
        return;
    bool modest = message.n <= MAX_BYTES && message_elements(message) <= MAX_ELEMENTS;
    msg_t *msg = modest ? message_parse(message) : NULL;
    const sip_t *sip = msg ? sip_object(msg) : NULL;
    if (!sip || !sip->sip_request) {
        a->stats.malformed++;
        msg_destroy(msg);
        return;
    }
    a->stats.incoming++;
    struct buf unsupported cleanup(buf_done) = BUF_INIT;
    unsupported_of(sip, &unsupported);
    struct verdict v = judge(sip, buf_str(&unsupported));
    if (v.line) {
        struct transport_path back = way_back(path, sip->sip_via);
        write_reply(a, sip, message, &path->from, &v);
        transport_reply(a->transport, &back, buf_str(&a->reply));
    }
    msg_destroy(msg);
}
