// See entry.h. What the registrant is for the registrar upstream, a device is for a Kazoo: the entry tells
// what was sent there, and what came back.
#include "services/gateway/kazoo/entry.h"

#include "common/sip/uri.h"
#include "services/gateway/dialect/dialect.h"

#define GREGORIAN_OF_UNIX 62167219200u // seconds from year 0 to 1970
#define USER_AGENT        "Rollcall"

struct address {
    struct str protocol, ip, port; // of "udp:192.0.2.1:5060"
};

static struct address address_of(const char *text)
{
    struct str whole = str_of(text), rest;
    size_t colon = str_find(whole, ':', 0), last = whole.n;
    while (last > 0 && whole.p[last - 1] != ':')
        last--;
    if (colon == whole.n || last <= colon + 1)
        return (struct address){.ip = STR_NONE};
    rest = str_slice(whole, colon + 1, last - 1);
    if (rest.n > 1 && rest.p[0] == '[')
        rest = str_slice(rest, 1, rest.n - 1);
    return (struct address){
        .protocol = str_slice(whole, 0, colon), .ip = rest, .port = str_slice(whole, last, whole.n)};
}

// What the clients' own documentation shows where nothing is known.
static void put_or_undefined(struct json_writer *w, const char *key, struct str text)
{
    json_kv_str(w, key, text.n ? text : STR_LIT("undefined"));
}

static struct str host_of(const char *hostport)
{
    struct sip_uri u;
    return sip_hostport_parse(str_of(hostport), &u, NULL) ? str_of(hostport) : u.host;
}

static void put_contact(struct json_writer *w, const struct registration *sent)
{
    struct sip_addr a;
    const char *original = sent->contact_count ? sent->contacts[0].uri : "";
    struct buf plain cleanup(buf_done) = BUF_INIT;
    for (const char *c = original; *c; c++)
        if (*c != '<' && *c != '>')
            buf_add_char(&plain, *c);
    json_kv_str(w, "contact", buf_str(&plain));
    json_kv_cstr(w, "original_contact", original);
    if (sip_addr_parse(str_of(original), &a, NULL))
        return;
    struct str transport = STR_NONE;
    bool is_tls = a.uri.sips ||
                  (sip_param_get(a.uri.params, "transport", &transport) && str_ieq_cstr(transport, "tls"));
    json_kv_str(w, "contact_ip", a.uri.host);
    json_kv_u64(w, "contact_port", a.uri.port ? a.uri.port : is_tls ? 5061 : 5060);
}

// User and host of the To, and of a From that is somebody else's.
static void put_parties(struct json_writer *w, const struct registration *sent)
{
    struct buf aor cleanup(buf_done) = BUF_INIT;
    struct sip_addr to, from;
    registration_aor(&aor, sent);
    bool has_to = sip_addr_parse(buf_str(&aor), &to, NULL) == 0;
    bool has_from = sent->from && sip_addr_parse(str_of(sent->from), &from, NULL) == 0;
    const struct sip_uri *t = has_to ? &to.uri : NULL, *f = has_from ? &from.uri : t;
    json_kv_str(w, "to_user", t && t->user.n ? t->user : STR_LIT("nouser"));
    json_kv_str(w, "to_host", t && t->host.n ? t->host : STR_LIT("nodomain.com"));
    json_kv_str(w, "from_user", f && f->user.n ? f->user : STR_LIT("nouser"));
    json_kv_str(w, "from_host", f && f->host.n ? f->host : STR_LIT("nodomain.com"));
}

static void put_account(struct json_writer *w, const struct account *a, const struct registration *reg)
{
    struct buf id cleanup(buf_done) = BUF_INIT;
    buf_add_u64(&id, reg->id);
    json_kv_cstr(w, "account_name", a->title);
    json_kv_str(w, "account_realm", a->realm ? str_of(a->realm) : host_of(reg->domain));
    json_kv_str(w, "authorizing_id", buf_str(&id));
    json_kv_cstr(w, "authorizing_type", "device");
    json_kv_cstr(w, "owner_id", a->hex_id);
}

static void put_times(struct json_writer *w, const struct status *s, uint64_t last_ms)
{
    uint64_t last = last_ms / 1000 + GREGORIAN_OF_UNIX;
    uint64_t first = s->since_wall_ms && s->since_wall_ms < last_ms ? s->since_wall_ms : last_ms;
    json_kv_u64(w, "event_timestamp", last);
    json_kv_u64(w, "last_registration", last);
    json_kv_u64(w, "initial_registration", first / 1000 + GREGORIAN_OF_UNIX);
    json_kv_u64(w, "expires", (s->expires_at_wall_ms - last_ms) / 1000);
    json_kv_bool(w, "first_registration", false);
}

static void put_addresses(struct json_writer *w, const struct status *s)
{
    struct address local = address_of(s->local), target = address_of(s->target);
    uint64_t port = 0;
    put_or_undefined(w, "network_ip", local.ip);
    put_or_undefined(w, "network_port", local.port);
    put_or_undefined(w, "proxy_ip", target.ip);
    if (str_to_u64(target.port, &port) == 0 && port)
        json_kv_u64(w, "proxy_port", port);
    if (target.protocol.n)
        json_kv_str(w, "proxy_protocol", target.protocol);
    if (s->node && s->node[0])
        json_kv_cstr(w, "registrar_node", s->node);
}

static void put_entry(struct json_writer *w, const struct account *a, const struct registration *reg,
                      const struct status *s)
{
    const struct registration *sent = s->has_bound ? &s->bound.sent : reg;
    uint64_t last_ms = s->has_bound ? s->bound.last_sent_wall_ms : s->since_wall_ms;
    if (last_ms > s->expires_at_wall_ms)
        last_ms = s->expires_at_wall_ms; // clocks of two machines
    json_begin_object(w);
    put_account(w, a, reg);
    json_kv_cstr(w, "call_id", s->has_bound && s->bound.call_id ? s->bound.call_id : "");
    put_contact(w, sent);
    put_times(w, s, last_ms);
    put_parties(w, sent);
    put_addresses(w, s);
    json_kv_str(w, "realm", host_of(sent->domain));
    json_kv_bool(w, "register_overwrite_notify", false);
    json_kv_bool(w, "suppress_unregister_notify", true);
    json_kv_cstr(w, "user_agent", USER_AGENT);
    json_kv_cstr(w, "username", reg->username ? reg->username : "");
    json_end_object(w);
}

bool kazoo_entry_write(struct json_writer *w, const struct account *a, const struct store_record *record,
                       uint64_t now_wall_ms)
{
    struct dialect_status s cleanup(dialect_status_done);
    dialect_status_of(&s, record, now_wall_ms);
    if (s.has_report && s.is_bound)
        put_entry(w, a, &record->reg, &s.report);
    return s.has_report && s.is_bound;
}
