// See answer.h. Refuses to judge: a header that sofia could not parse is read all the same, from its text.
#include "services/registrant/sip/answer.h"

#include "common/sip/uri.h"
#include "services/registrant/sip/message.h"
#include "services/registrant/transport/address.h"

#include <stdlib.h>
#include <string.h>

#define MALFORMED_EXPIRES_S 3600 // RFC 3261 10.2.1.1
#define MAX_SECONDS         UINT32_MAX

static void answer_init(struct sip_answer *a)
{
    memset(a, 0, sizeof(*a));
    a->retry_after_s = a->min_expires_s = a->expires_s = -1;
}

// delta-seconds at the start of a value: comments and parameters may follow. -1 when there is none.
static int64_t seconds_of(struct str value)
{
    int64_t seconds = 0;
    size_t i = 0;
    for (; i < value.n && value.p[i] >= '0' && value.p[i] <= '9'; i++)
        if (seconds <= MAX_SECONDS)
            seconds = seconds * 10 + (value.p[i] - '0');
    if (i == 0)
        return -1;
    return seconds < MAX_SECONDS ? seconds : MAX_SECONDS;
}

// The header parameters of a name-addr or addr-spec, whatever its scheme.
static struct str address_params(struct str text)
{
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\\' && quoted)
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == '<' && !quoted)
            i = str_find(text, '>', i);
        else if (c == ';' && !quoted)
            return str_slice(text, i, text.n);
    }
    return STR_NONE;
}

static int64_t contact_expires(struct str contact)
{
    struct str value;
    if (!sip_param_get(address_params(contact), "expires", &value))
        return -1;
    int64_t seconds = seconds_of(value);
    return seconds < 0 ? MALFORMED_EXPIRES_S : seconds;
}

static void add_contacts(struct sip_answer *a, struct str value)
{
    for (struct str one; a->contact_count < ANSWER_MAX_CONTACTS && sip_list_next(&value, &one);)
        if (one.n)
            a->contacts[a->contact_count++] =
                (struct sip_answer_contact){.text = one, .expires = contact_expires(one)};
}

static void add_list(struct str *list, size_t *count, struct str value)
{
    for (struct str one; *count < STATUS_MAX_LIST && sip_list_next(&value, &one);)
        if (one.n)
            list[(*count)++] = one;
}

static void add_challenge(struct sip_answer *a, struct str value, bool proxy)
{
    if (a->challenge_count == ARRAY_LEN(a->challenges))
        return;
    a->challenge_is_proxy[a->challenge_count] = proxy;
    a->challenges[a->challenge_count++] = value;
}

// nextnonce of Authentication-Info (RFC 7616 3.5, 3.8), without its quotes.
static struct str nextnonce_of(struct str value)
{
    for (struct str one; sip_list_next(&value, &one);) {
        size_t equals = str_find(one, '=', 0);
        if (!str_ieq_cstr(str_trim(str_slice(one, 0, equals)), "nextnonce"))
            continue;
        struct str nonce = str_trim(str_slice(one, equals + 1, one.n));
        bool quoted = nonce.n >= 2 && nonce.p[0] == '"' && nonce.p[nonce.n - 1] == '"';
        return quoted ? str_slice(nonce, 1, nonce.n - 1) : nonce;
    }
    return STR_NONE;
}

static bool has_tag(struct str list, const char *tag)
{
    for (struct str one; sip_list_next(&list, &one);)
        if (str_ieq_cstr(one, tag))
            return true;
    return false;
}

// ---- one row a header that the engine wants to see

enum wanted {
    WANT_CONTACT,
    WANT_WWW_AUTHENTICATE,
    WANT_PROXY_AUTHENTICATE,
    WANT_AUTHENTICATION_INFO,
    WANT_PROXY_AUTHENTICATION_INFO,
    WANT_EXPIRES,
    WANT_MIN_EXPIRES,
    WANT_RETRY_AFTER,
    WANT_SERVICE_ROUTE,
    WANT_PATH,
    WANT_ASSOCIATED_URI,
    WANT_WARNING,
    WANT_REQUIRE,
    WANT_UNSUPPORTED,
    WANT_FLOW_TIMER
};
static const struct {
    struct str name;
    enum wanted wanted;
} headers[] = {
    {{"Contact", 7}, WANT_CONTACT},
    {{"m", 1}, WANT_CONTACT},
    {{"WWW-Authenticate", 16}, WANT_WWW_AUTHENTICATE},
    {{"Proxy-Authenticate", 18}, WANT_PROXY_AUTHENTICATE},
    {{"Authentication-Info", 19}, WANT_AUTHENTICATION_INFO},
    {{"Proxy-Authentication-Info", 25}, WANT_PROXY_AUTHENTICATION_INFO},
    {{"Expires", 7}, WANT_EXPIRES},
    {{"Min-Expires", 11}, WANT_MIN_EXPIRES},
    {{"Retry-After", 11}, WANT_RETRY_AFTER},
    {{"Service-Route", 13}, WANT_SERVICE_ROUTE},
    {{"Path", 4}, WANT_PATH},
    {{"P-Associated-URI", 16}, WANT_ASSOCIATED_URI},
    {{"Warning", 7}, WANT_WARNING},
    {{"Require", 7}, WANT_REQUIRE},
    {{"Unsupported", 11}, WANT_UNSUPPORTED},
    {{"Flow-Timer", 10}, WANT_FLOW_TIMER},
};

static void take(struct sip_answer *a, enum wanted wanted, struct str value)
{
    switch (wanted) {
    case WANT_CONTACT:
        add_contacts(a, value);
        break;
    case WANT_WWW_AUTHENTICATE:
        add_challenge(a, value, false);
        break;
    case WANT_PROXY_AUTHENTICATE:
        add_challenge(a, value, true);
        break;
    case WANT_AUTHENTICATION_INFO:
        a->nextnonce = nextnonce_of(value);
        break;
    case WANT_PROXY_AUTHENTICATION_INFO:
        a->proxy_nextnonce = nextnonce_of(value);
        break;
    case WANT_EXPIRES:
        a->expires_s = seconds_of(value);
        break;
    case WANT_MIN_EXPIRES:
        a->min_expires_s = seconds_of(value);
        break;
    case WANT_RETRY_AFTER:
        a->retry_after_s = seconds_of(value);
        break;
    case WANT_SERVICE_ROUTE:
        add_list(a->service_routes, &a->service_route_count, value);
        break;
    case WANT_PATH:
        add_list(a->paths, &a->path_count, value);
        break;
    case WANT_ASSOCIATED_URI:
        add_list(a->associated, &a->associated_count, value);
        break;
    case WANT_WARNING:
        if (!a->warning.n)
            a->warning = value;
        break;
    case WANT_REQUIRE:
        a->outbound |= a->status / 100 == 2 && has_tag(value, "outbound");
        break;
    case WANT_UNSUPPORTED:
        if (!a->unsupported.n)
            a->unsupported = value;
        break;
    case WANT_FLOW_TIMER:
        a->flow_timer_s = seconds_of(value) > 0 ? (uint32_t)seconds_of(value) : 0;
        break;
    }
}

// A folded value (RFC 3261 7.3.1) on one line, in the message's own memory.
static struct str unfold(msg_t *response, struct str value)
{
    if (!str_has_char(value, '\r') && !str_has_char(value, '\n'))
        return value;
    char *copy = su_strndup(msg_home(response), value.p, (isize_t)value.n);
    if (!copy)
        return STR_NONE;
    for (size_t i = 0; i < value.n; i++)
        if (copy[i] == '\r' || copy[i] == '\n')
            copy[i] = ' ';
    return str_of_bytes(copy, value.n);
}

static void take_line(struct sip_answer *a, msg_t *response, struct str line)
{
    size_t colon = str_find(line, ':', 0);
    struct str name = str_trim(str_slice(line, 0, colon));
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        if (name.n != headers[i].name.n || !str_ieq(name, headers[i].name))
            continue;
        struct str value = unfold(response, str_trim(str_slice(line, colon + 1, line.n)));
        if (sip_text_is_safe(value))
            take(a, headers[i].wanted, value);
        return;
    }
}

void answer_of_response(msg_t *response, struct sip_answer *ret)
{
    const sip_t *sip = sip_object(response);
    answer_init(ret);
    ret->status = sip->sip_status->st_status;
    ret->reason = str_of(sip->sip_status->st_phrase);
    if (!sip_text_is_safe(ret->reason))
        ret->reason = STR_NONE;
    // Of the elements on one line only the first holds the line's text.
    for (const msg_header_t *h = (const msg_header_t *)sip->sip_status; h; h = h->sh_succ)
        if (h->sh_data && h->sh_len)
            take_line(ret, response, str_of_bytes(h->sh_data, h->sh_len));
}

void answer_of_failure(int status, struct str reason, struct sip_answer *ret)
{
    answer_init(ret);
    ret->local = true;
    ret->status = status;
    ret->reason = reason;
}

// ---- received and rport

static bool address_of(const char *host, const char *port, uint16_t else_port, struct address *ret)
{
    struct str text = str_of(host);
    if (text.n > 2 && text.p[0] == '[')
        text = str_slice(text, 1, text.n - 1);
    unsigned long number = port && *port ? strtoul(port, NULL, 10) : else_port;
    return number && number <= UINT16_MAX && address_parse(text, (uint16_t)number, ret);
}

void answer_received(const msg_t *response, struct str local, bool stream, struct buf *out)
{
    const sip_via_t *via = sip_object(response)->sip_via;
    const char *host = via->v_received ? via->v_received : via->v_host;
    struct sip_uri sent;
    struct address ours, seen;
    if ((!via->v_received && !via->v_rport) || message_is_hostport(local, host, via->v_rport))
        return;
    if (sip_hostport_parse(local, &sent, NULL) != 0 || !address_parse(sent.host, sent.port, &ours) ||
        !address_of(host, via->v_rport, sent.port, &seen))
        return;
    struct address moved = ours;
    if (stream) // compare without the port
        (void)address_parse(sent.host, address_port(&seen), &moved);
    if (!address_equal(&moved, &seen))
        address_add(out, &seen);
}
