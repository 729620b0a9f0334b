// See redirect.h.
#include "services/registrant/core/redirect.h"

#include "common/sip/uri.h"

static void add_request_uri(const struct sip_uri *uri, struct buf *out)
{
    struct str rest = uri->params, one;
    buf_add_cstr(out, uri->sips ? "sips:" : "sip:");
    if (uri->ipv6)
        buf_addf(out, "[%.*s]", (int)uri->host.n, uri->host.p);
    else
        buf_add_str(out, uri->host);
    if (uri->port)
        buf_addf(out, ":%u", (unsigned)uri->port);
    while (str_split(&rest, ';', &one)) {
        if (!one.n || str_ieq_cstr(str_slice(one, 0, str_find(one, '=', 0)), "method"))
            continue;
        buf_add_char(out, ';');
        buf_add_str(out, one);
    }
}

// q in thousandths; 1 where there is none, or what is none.
static unsigned quality_of(const struct sip_addr *addr)
{
    struct str q;
    if (!sip_param_get(addr->params, "q", &q) || !q.n || (q.p[0] != '0' && q.p[0] != '1') ||
        (q.n > 1 && q.p[1] != '.'))
        return 1000;
    unsigned value = (unsigned)(q.p[0] - '0') * 1000, scale = 1000;
    for (size_t i = 2; i < q.n && i < 5 && q.p[i] >= '0' && q.p[i] <= '9'; i++) {
        scale /= 10;
        value += (unsigned)(q.p[i] - '0') * scale;
    }
    return value;
}

struct candidate {
    struct sip_uri uri;
    unsigned q;
};

// Keeps them in order; of equals the one that came first stays before.
static size_t insert(struct candidate *list, size_t count, const struct candidate *c)
{
    size_t at = count;
    while (at && list[at - 1].q < c->q)
        at--;
    if (at == REDIRECT_MAX)
        return count;
    size_t kept = count < REDIRECT_MAX ? count : REDIRECT_MAX - 1;
    for (size_t i = kept; i > at; i--)
        list[i] = list[i - 1];
    list[at] = *c;
    return kept + 1;
}

static bool is_among(struct str asked, const struct sip_uri *uri)
{
    struct str one;
    struct sip_uri other;
    while (str_split(&asked, '\n', &one))
        if (sip_uri_parse(one, &other, NULL) == 0 && sip_uri_equal(&other, uri))
            return true;
    return false;
}

bool redirect_was_asked(struct str asked, struct str uri)
{
    struct sip_uri parsed;
    return sip_uri_parse(uri, &parsed, NULL) == 0 && is_among(asked, &parsed);
}

void redirect_list(const struct sip_answer *a, bool sips, struct str asked, struct buf *ret)
{
    struct candidate list[REDIRECT_MAX];
    size_t count = 0;
    buf_clear(ret);
    for (size_t i = 0; i < a->contact_count; i++) {
        struct sip_addr addr;
        if (sip_addr_parse(a->contacts[i].text, &addr, NULL) != 0 || (sips && !addr.uri.sips) ||
            addr.uri_text.n > STATUS_MAX_TEXT_BYTES || !sip_text_is_safe(addr.uri_text))
            continue;
        addr.uri.user = addr.uri.password = addr.uri.headers = STR_NONE;
        if (is_among(asked, &addr.uri))
            continue;
        count = insert(list, count, &(struct candidate){.uri = addr.uri, .q = quality_of(&addr)});
    }
    for (size_t i = 0; i < count; i++) {
        add_request_uri(&list[i].uri, ret);
        buf_add_char(ret, '\n');
    }
}
