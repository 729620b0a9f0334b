// See message.h. Refuses to follow more than a few aliases and to take a record of any other owner.
#include "services/registrant/resolve/message.h"

#include "common/base/mem.h"

#include <arpa/nameser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_ALIASES 8
// Records of all sections that are looked at: more than that is no honest answer.
#define MAX_SCANNED 1024u

void dns_answer_done(struct dns_answer *a)
{
    for (size_t i = 0; i < a->count; i++)
        free(a->records[i].name);
    free(a->records);
    *a = (struct dns_answer){.outcome = DNS_FAILED};
}

static bool name_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool dns_name(struct str name, char ret[DNS_NAME_BYTES])
{
    if (name.n && name.p[name.n - 1] == '.')
        name.n--;
    if (!name.n || name.n > 253)
        return false;
    size_t label = 0;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c + ('a' - 'A'));
        if (c == '.' ? label == 0 : !name_char(c) || label == 63)
            return false;
        label = c == '.' ? 0 : label + 1;
        ret[i] = (char)c;
    }
    ret[name.n] = '\0';
    return true;
}

static unsigned get16(const unsigned char *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const unsigned char *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

// RFC 2181 8: one with its highest bit set counts as 0.
static uint32_t sane_ttl(uint32_t ttl)
{
    return ttl > INT32_MAX ? 0 : ttl;
}

static void shorten(struct dns_answer *a, uint32_t ttl)
{
    if (ttl < a->ttl_s)
        a->ttl_s = ttl;
}

// A name within a record's data, uncompressed; bytes that it takes there, or -1.
static int get_name(ns_msg *m, const unsigned char *at, char ret[NS_MAXDNAME])
{
    return ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), at, ret, NS_MAXDNAME);
}

// A character string of RFC 1035 3.3; false where it leaves the record.
static bool get_string(const unsigned char **at, const unsigned char *end, struct str *ret)
{
    if (*at >= end || (size_t)(end - *at) < 1u + **at)
        return false;
    *ret = str_of_bytes(*at + 1, **at);
    *at += 1 + **at;
    return true;
}

// "" for the root; false: not a name that one can ask for.
static bool target_name(const char *text, struct dns_record *ret)
{
    char name[DNS_NAME_BYTES];
    if (strcmp(text, ".") == 0 || !*text)
        name[0] = '\0';
    else if (!dns_name(str_of(text), name))
        return false;
    ret->name = mem_dup_cstr(name);
    return true;
}

static bool read_srv(ns_msg *m, const ns_rr *rr, struct dns_record *ret)
{
    const unsigned char *p = ns_rr_rdata(*rr);
    char target[NS_MAXDNAME];
    if (get_name(m, p + 6, target) < 0)
        return false;
    ret->first = (uint16_t)get16(p);
    ret->second = (uint16_t)get16(p + 2);
    ret->port = (uint16_t)get16(p + 4);
    return target_name(target, ret) && (ret->port || !*ret->name);
}

// RFC 3263 4.1, 3403 6.2. SIPS+D2U and SCTP are for others.
static bool service_transport(struct str service, enum registration_transport *ret)
{
    static const struct {
        const char *service;
        enum registration_transport transport;
    } known[] = {{"SIP+D2U", TRANSPORT_UDP}, {"SIP+D2T", TRANSPORT_TCP}, {"SIPS+D2T", TRANSPORT_TLS}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!str_ieq_cstr(service, known[i].service))
            continue;
        *ret = known[i].transport;
        return true;
    }
    return false;
}

struct naptr {
    struct str flags, service, regexp;
    char replacement[NS_MAXDNAME];
};

static bool naptr_parts(ns_msg *m, const ns_rr *rr, struct naptr *ret)
{
    const unsigned char *p = ns_rr_rdata(*rr), *end = p + ns_rr_rdlen(*rr);
    if (end - p < 8)
        return false;
    p += 4;
    return get_string(&p, end, &ret->flags) && get_string(&p, end, &ret->service) &&
           get_string(&p, end, &ret->regexp) && p < end && get_name(m, p, ret->replacement) == end - p;
}

static bool read_naptr(ns_msg *m, const ns_rr *rr, struct dns_record *ret)
{
    struct naptr n;
    if (!naptr_parts(m, rr, &n))
        return false;
    ret->first = (uint16_t)get16(ns_rr_rdata(*rr));
    ret->second = (uint16_t)get16(ns_rr_rdata(*rr) + 2);
    return str_ieq_cstr(n.flags, "s") && !n.regexp.n && service_transport(n.service, &ret->transport) &&
           target_name(n.replacement, ret) && *ret->name;
}

static bool read_address(const ns_rr *rr, enum dns_type type, struct dns_record *ret)
{
    bool v4 = type == DNS_A;
    size_t bytes = v4 ? sizeof(struct in_addr) : sizeof(struct in6_addr);
    if (ns_rr_rdlen(*rr) != bytes)
        return false;
    ret->address.any.sa_family = v4 ? AF_INET : AF_INET6;
    memcpy(v4 ? (void *)&ret->address.v4.sin_addr : (void *)&ret->address.v6.sin6_addr, ns_rr_rdata(*rr),
           bytes);
    return true;
}

// Appends the record unless it is of no use to us.
static void take_record(ns_msg *m, const ns_rr *rr, enum dns_type type, struct dns_answer *a)
{
    struct dns_record *r = &a->records[a->count];
    *r = (struct dns_record){0};
    bool good = type == DNS_SRV     ? read_srv(m, rr, r)
                : type == DNS_NAPTR ? read_naptr(m, rr, r)
                                    : read_address(rr, type, r);
    if (good) {
        a->count++;
        return;
    }
    free(r->name);
    r->name = NULL;
}

// The alias of `name` among the answers, if there is one: replaces it. False: none.
static bool follow_alias(ns_msg *m, char name[NS_MAXDNAME], struct dns_answer *a)
{
    for (int i = 0; i < ns_msg_count(*m, ns_s_an); i++) {
        ns_rr rr;
        if (ns_parserr(m, ns_s_an, i, &rr) != 0 || ns_rr_type(rr) != ns_t_cname ||
            strcasecmp(ns_rr_name(rr), name) != 0)
            continue;
        if (get_name(m, ns_rr_rdata(rr), name) < 0)
            return false;
        shorten(a, sane_ttl(ns_rr_ttl(rr)));
        return true;
    }
    return false;
}

static int compare(const void *a, const void *b)
{
    const struct dns_record *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    if (x->second != y->second)
        return x->second < y->second ? -1 : 1;
    if (x->port != y->port)
        return x->port < y->port ? -1 : 1;
    int names = x->name && y->name ? strcmp(x->name, y->name) : 0;
    // All of it is set, and any order will do that is always the same.
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c)
    return names ? names : memcmp(&x->address, &y->address, sizeof(x->address));
}

static void sort_and_cut(struct dns_answer *a)
{
    if (a->count)
        qsort(a->records, a->count, sizeof(*a->records), compare);
    while (a->count > DNS_MAX_RECORDS)
        free(a->records[--a->count].name);
    a->records = mem_resize(a->records, a->count ? a->count : 1, sizeof(*a->records));
}

// Number of records of that type that `name` has, of use or not.
static size_t take_records(ns_msg *m, const char *name, enum dns_type type, struct dns_answer *a)
{
    size_t seen = 0;
    a->records = mem_array((size_t)ns_msg_count(*m, ns_s_an) + 1, sizeof(*a->records));
    for (int i = 0; i < ns_msg_count(*m, ns_s_an); i++) {
        ns_rr rr;
        if (ns_parserr(m, ns_s_an, i, &rr) != 0 || ns_rr_type(rr) != (unsigned)type ||
            ns_rr_class(rr) != ns_c_in || strcasecmp(ns_rr_name(rr), name) != 0)
            continue;
        seen++;
        shorten(a, sane_ttl(ns_rr_ttl(rr)));
        take_record(m, &rr, type, a);
    }
    sort_and_cut(a);
    return seen;
}

// RFC 2308 5: how long "there is none" may be believed.
static uint32_t negative_ttl(ns_msg *m)
{
    for (int i = 0; i < ns_msg_count(*m, ns_s_ns); i++) {
        ns_rr rr;
        if (ns_parserr(m, ns_s_ns, i, &rr) != 0 || ns_rr_type(rr) != ns_t_soa || ns_rr_rdlen(rr) < 22)
            continue;
        uint32_t ttl = sane_ttl(ns_rr_ttl(rr));
        uint32_t minimum = sane_ttl(get32(ns_rr_rdata(rr) + ns_rr_rdlen(rr) - 4));
        return ttl < minimum ? ttl : minimum;
    }
    return DNS_NEGATIVE_UNKNOWN;
}

// The names within a record's data can be read and end where they must.
static bool sound_data(ns_msg *m, const ns_rr *rr)
{
    const unsigned char *p = ns_rr_rdata(*rr), *end = p + ns_rr_rdlen(*rr);
    char name[NS_MAXDNAME];
    struct naptr naptr;
    int bytes;
    switch ((int)ns_rr_type(*rr)) {
    case ns_t_cname:
    case ns_t_ptr:
        return p < end && get_name(m, p, name) == end - p;
    case ns_t_soa:
        bytes = p < end ? get_name(m, p, name) : -1;
        p += bytes > 0 ? bytes : 0;
        return bytes > 0 && p < end && (bytes = get_name(m, p, name)) > 0 && end - p == bytes + 20;
    case ns_t_srv:
        return end - p > 6 && get_name(m, p + 6, name) == end - p - 6;
    case ns_t_naptr:
        return naptr_parts(m, rr, &naptr);
    case ns_t_a6: // dead since RFC 6563
        return false;
    default:
        return true;
    }
}

// Every record of every section can be read: then no other parser will stumble over the message.
static bool sound(ns_msg *m)
{
    static const ns_sect sections[] = {ns_s_an, ns_s_ns, ns_s_ar};
    ns_rr rr;
    if (ns_msg_count(*m, ns_s_qd) != 1 || !ns_msg_getflag(*m, ns_f_qr) || ns_parserr(m, ns_s_qd, 0, &rr) != 0)
        return false;
    size_t scanned = 0;
    for (size_t s = 0; s < sizeof(sections) / sizeof(sections[0]); s++)
        for (int i = 0; i < ns_msg_count(*m, sections[s]); i++)
            if (++scanned > MAX_SCANNED || ns_parserr(m, sections[s], i, &rr) != 0 || !sound_data(m, &rr))
                return false;
    return true;
}

// A server that cannot read the question (EDNS, perhaps) may answer with nothing but a header.
static bool bare_error(ns_msg *m)
{
    return ns_msg_getflag(*m, ns_f_qr) && ns_msg_getflag(*m, ns_f_rcode) != ns_r_noerror &&
           !ns_msg_count(*m, ns_s_qd) && !ns_msg_count(*m, ns_s_an) && !ns_msg_count(*m, ns_s_ns) &&
           !ns_msg_count(*m, ns_s_ar);
}

bool dns_message_question(const uint8_t *bytes, size_t count, enum dns_type *ret_type,
                          char ret_name[DNS_NAME_BYTES])
{
    ns_msg m;
    ns_rr rr;
    if (count > DNS_MESSAGE_BYTES || ns_initparse(bytes, (int)count, &m) != 0 ||
        ns_msg_count(m, ns_s_qd) != 1 || ns_parserr(&m, ns_s_qd, 0, &rr) != 0 ||
        !dns_name(str_of(ns_rr_name(rr)), ret_name))
        return false;
    *ret_type = (enum dns_type)ns_rr_type(rr);
    return true;
}

bool dns_message_alias(const uint8_t *bytes, size_t count, char ret_alias[DNS_NAME_BYTES])
{
    ns_msg m;
    ns_rr rr;
    char name[NS_MAXDNAME];
    struct dns_answer unused = {0};
    if (count > DNS_MESSAGE_BYTES || ns_initparse(bytes, (int)count, &m) != 0 ||
        ns_msg_count(m, ns_s_qd) != 1 || ns_parserr(&m, ns_s_qd, 0, &rr) != 0)
        return false;
    (void)snprintf(name, sizeof(name), "%s", ns_rr_name(rr));
    return follow_alias(&m, name, &unused) && dns_name(str_of(name), ret_alias);
}

bool dns_message_read(const uint8_t *bytes, size_t count, enum dns_type type, struct dns_answer *ret,
                      bool *ret_truncated)
{
    ns_msg m;
    ns_rr question;
    *ret_truncated = false;
    if (count > DNS_MESSAGE_BYTES || ns_initparse(bytes, (int)count, &m) != 0)
        return false;
    if (bare_error(&m)) {
        *ret = (struct dns_answer){.outcome = DNS_FAILED};
        return true;
    }
    if (!sound(&m) || ns_parserr(&m, ns_s_qd, 0, &question) != 0)
        return false;
    *ret_truncated = ns_msg_getflag(m, ns_f_tc) != 0;
    *ret = (struct dns_answer){.outcome = DNS_FAILED};
    int code = ns_msg_getflag(m, ns_f_rcode);
    // One that does not know NAPTR or SRV has none.
    bool unknown_type = code == ns_r_notimpl && (type == DNS_SRV || type == DNS_NAPTR);
    if (code != ns_r_noerror && code != ns_r_nxdomain && !unknown_type)
        return true;
    char name[NS_MAXDNAME];
    (void)snprintf(name, sizeof(name), "%s", ns_rr_name(question));
    ret->ttl_s = UINT32_MAX;
    for (int i = 0; i < MAX_ALIASES && follow_alias(&m, name, ret); i++)
        ;
    if (!unknown_type && take_records(&m, name, type, ret)) {
        ret->outcome = DNS_FOUND;
        return true;
    }
    ret->outcome = DNS_NONE;
    ret->ttl_s = negative_ttl(&m);
    return true;
}
