// See binding.h.
#include "services/registrant/core/binding.h"

#include "common/sip/uri.h"

#include <string.h>

#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-;="

enum verdict { UNDECIDED, SAME, OTHER };

static enum verdict compare_instances(const struct sip_addr *ours, const struct sip_addr *theirs)
{
    struct str our_id, their_id, our_flow = STR_NONE, their_flow = STR_NONE;
    if (!sip_param_get(ours->params, "+sip.instance", &our_id) ||
        !sip_param_get(theirs->params, "+sip.instance", &their_id))
        return UNDECIDED;
    bool our_has = sip_param_get(ours->params, "reg-id", &our_flow);
    bool their_has = sip_param_get(theirs->params, "reg-id", &their_flow);
    bool same = str_ieq(our_id, their_id) && (!our_has || !their_has || str_eq(our_flow, their_flow));
    return same ? SAME : OTHER;
}

static bool is_standard_param(struct str name)
{
    static const char *const standard[] = {"transport", "user", "method", "ttl", "maddr",
                                           "lr",        "ob",   "gr",     "bnc", "comp"};
    for (size_t i = 0; i < ARRAY_LEN(standard); i++)
        if (str_ieq_cstr(name, standard[i]))
            return true;
    return false;
}

// A parameter that we made up (line=…) names our binding through any rewriting of the host. All that we sent
// with a value must be there.
static enum verdict compare_own_params(const struct sip_uri *ours, const struct sip_uri *theirs)
{
    struct str rest = ours->params, one;
    enum verdict verdict = UNDECIDED;
    while (str_split(&rest, ';', &one)) {
        size_t eq = str_find(one, '=', 0);
        struct str name = str_slice(one, 0, eq), value;
        if (eq + 1 >= one.n || is_standard_param(name) || name.n >= 64)
            continue;
        char text[64];
        for (size_t i = 0; i < name.n; i++)
            text[i] = name.p[i];
        text[name.n] = '\0';
        if (!sip_param_get(theirs->params, text, &value))
            return UNDECIDED;
        if (!str_eq(value, str_slice(one, eq + 1, one.n)))
            return OTHER;
        verdict = SAME;
    }
    return verdict == SAME && !str_eq(ours->user, theirs->user) ? OTHER : verdict;
}

// Without bnc it is a contact of the address of record alone, and none of its numbers (RFC 6140 5.2).
static enum verdict compare_bulk(const struct sip_uri *ours, const struct sip_uri *theirs)
{
    struct str value;
    bool our_has = sip_param_get(ours->params, "bnc", &value);
    return our_has && !sip_param_get(theirs->params, "bnc", &value) ? OTHER : UNDECIDED;
}

// Our own text, with nothing but plain parameters of the header after it: what most registrars give back.
static bool is_echo(struct str ours, struct str theirs)
{
    if (!str_starts(theirs, ours) || !str_has_char(ours, '>'))
        return false;
    struct str after = str_slice(theirs, ours.n, theirs.n);
    for (size_t i = 0; i < after.n; i++)
        if (!strchr(PLAIN, after.p[i]) || !after.p[i])
            return false;
    return !after.n || after.p[0] == ';';
}

bool binding_is_same(struct str ours, struct str theirs)
{
    struct sip_addr a, b;
    if (is_echo(ours, theirs))
        return true;
    if (sip_addr_parse(ours, &a, NULL) != 0 || sip_addr_parse(theirs, &b, NULL) != 0)
        return false;
    enum verdict verdict = compare_bulk(&a.uri, &b.uri);
    if (verdict == UNDECIDED)
        verdict = compare_instances(&a, &b);
    if (verdict == UNDECIDED)
        verdict = compare_own_params(&a.uri, &b.uri);
    if (verdict == UNDECIDED)
        verdict = sip_uri_equal(&a.uri, &b.uri) ? SAME : OTHER;
    return verdict == SAME;
}

static bool is_same_flow(const struct sip_addr *a, const struct sip_addr *b, bool *ret_both)
{
    struct str id_a, id_b, flow_a, flow_b;
    *ret_both =
        sip_param_get(a->params, "+sip.instance", &id_a) && sip_param_get(a->params, "reg-id", &flow_a) &&
        sip_param_get(b->params, "+sip.instance", &id_b) && sip_param_get(b->params, "reg-id", &flow_b);
    return *ret_both && str_ieq(id_a, id_b) && str_eq(flow_a, flow_b);
}

bool binding_is_one(struct str a, struct str b, bool by_flow)
{
    struct sip_addr left, right;
    bool both;
    if (str_eq(a, b))
        return true;
    if (sip_addr_parse(a, &left, NULL) != 0 || sip_addr_parse(b, &right, NULL) != 0)
        return false;
    bool same = is_same_flow(&left, &right, &both);
    return by_flow && both ? same : sip_uri_equal(&left.uri, &right.uri);
}

static int64_t lifetime_of(const struct sip_answer *answer, size_t i, uint32_t asked_s)
{
    if (answer->contacts[i].expires >= 0)
        return answer->contacts[i].expires;
    return answer->expires_s >= 0 ? answer->expires_s : (int64_t)asked_s;
}

size_t binding_count(const struct str *ours, size_t count, const struct sip_answer *answer, uint32_t asked_s,
                     uint32_t *ret_shortest_s)
{
    size_t bound = 0;
    int64_t shortest = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t k = 0; k < answer->contact_count; k++) {
            int64_t lifetime = lifetime_of(answer, k, asked_s);
            if (lifetime <= 0 || !binding_is_same(ours[i], answer->contacts[k].text))
                continue;
            found = true;
            shortest = lifetime < shortest ? lifetime : shortest;
        }
        bound += found;
    }
    if (bound)
        *ret_shortest_s = shortest > UINT32_MAX ? UINT32_MAX : (uint32_t)shortest;
    return bound;
}

uint32_t binding_longest(const struct str *ours, size_t count, const struct sip_answer *answer)
{
    int64_t longest = 0;
    for (size_t i = 0; i < answer->contact_count; i++) {
        int64_t lifetime = lifetime_of(answer, i, 0);
        if (lifetime > longest && binding_is_ours(ours, count, answer, i))
            longest = lifetime;
    }
    return longest > UINT32_MAX ? UINT32_MAX : (uint32_t)longest;
}

bool binding_is_ours(const struct str *ours, size_t count, const struct sip_answer *answer, size_t i)
{
    for (size_t k = 0; k < count; k++)
        if (binding_is_same(ours[k], answer->contacts[i].text))
            return true;
    return false;
}

bool binding_is_bound(const struct sip_answer *answer, size_t i)
{
    return lifetime_of(answer, i, 1) > 0;
}

struct str binding_quoted(const struct str *ours, size_t count, const struct sip_answer *answer,
                          const char *name)
{
    for (size_t i = 0; i < answer->contact_count; i++) {
        struct sip_addr addr;
        struct str value;
        if (!binding_is_bound(answer, i) || !binding_is_ours(ours, count, answer, i))
            continue;
        if (sip_addr_parse(answer->contacts[i].text, &addr, NULL) != 0 ||
            !sip_param_get(addr.params, name, &value) || value.n < 2 || value.p[0] != '"')
            return STR_NONE;
        return str_slice(value, 1, value.n - 1);
    }
    return STR_NONE;
}
