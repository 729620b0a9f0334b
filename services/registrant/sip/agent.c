// See agent.h. Refuses to decide: when to send and what an answer means is the engine's.
#include "services/registrant/sip/agent_private.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <errno.h>
#include <stdlib.h>

#define DEFAULT_TIMEOUT_S 32 // 64 T1

// ---- what transport and resolver tell

static void on_message(void *arg, const struct transport_path *path, struct str message)
{
    if (str_istarts(message, STR_LIT("SIP/")))
        response_received(arg, path, message);
    else
        incoming_request(arg, path, message);
}

static void on_unreachable(void *arg, const struct address *to, const char *cause)
{
    client_unreachable(arg, to, cause);
}

static void on_flow_lost(void *arg, uint32_t flow, bool was_up, const char *cause)
{
    struct agent *a = arg;
    client_flow_lost(a, flow, was_up, cause);
    if (was_up)
        a->ops->flow_lost(a->arg, flow);
}

static const struct transport_ops transport_ops = {
    .message = on_message, .unreachable = on_unreachable, .flow_lost = on_flow_lost};

static void on_targets_changed(void *arg, struct str registrar, const struct resolve_target *targets,
                               size_t count)
{
    struct agent *a = arg;
    struct buf text cleanup(buf_done) = BUF_INIT;
    struct str *texts = mem_array(count ? count : 1, sizeof(*texts));
    size_t *ends = mem_array(count ? count : 1, sizeof(*ends));
    for (size_t i = 0; i < count; i++) {
        address_add_with(&text, targets[i].transport, &targets[i].address);
        ends[i] = text.n;
    }
    for (size_t i = 0; i < count; i++)
        texts[i] = str_slice(buf_str(&text), i ? ends[i - 1] : 0, ends[i]);
    a->ops->targets_changed(a->arg, registrar, texts, count);
    free(texts);
    free(ends);
}

// ---- life

static int open_transport(struct agent *a, const struct agent_params *p, struct error *err)
{
    const struct transport_params params = {.base = p->base,
                                            .listen = p->listen,
                                            .interfaces = p->interfaces,
                                            .tls = p->tls,
                                            .ops = &transport_ops,
                                            .arg = a};
    return transport_new(&params, &a->transport, err);
}

static bool interface_has(const struct agent *a, const char *interfaces, int family)
{
    struct str rest = str_of(interfaces), one;
    bool has = false;
    while (!has && str_split(&rest, ',', &one)) {
        struct str name = str_trim(str_slice(one, 0, str_find(one, '=', 0)));
        has = transport_local(a->transport, TRANSPORT_UDP, name, family) != NULL;
    }
    return has;
}

static bool has_family(const struct agent *a, const struct agent_params *p, int family)
{
    return transport_local(a->transport, TRANSPORT_UDP, STR_NONE, family) ||
           interface_has(a, p->interfaces, family);
}

static int open_resolver(struct agent *a, const struct agent_params *p, struct error *err)
{
    struct resolver_params params = {.base = p->base,
                                     .resolv_conf = p->resolv_conf,
                                     .hosts_file = p->hosts_file,
                                     .ipv4 = has_family(a, p, AF_INET),
                                     .ipv6 = has_family(a, p, AF_INET6),
                                     .tls = a->has_tls,
                                     .changed = on_targets_changed,
                                     .arg = a};
    // No seed: after a restart or a take-over a registration goes where it is bound.
    return resolver_new(&params, &a->resolver, err);
}

int agent_new(const struct agent_params *p, struct agent **ret, struct error *err)
{
    message_library_start();
    struct agent *a = mem_alloc(sizeof(*a));
    a->ops = p->ops;
    a->arg = p->arg;
    a->has_tls = p->tls != NULL;
    a->networks = p->networks;
    a->user_agent = p->user_agent && *p->user_agent ? mem_dup_cstr(p->user_agent) : NULL;
    a->timeout_us =
        (uint64_t)(p->transaction_timeout_s ? p->transaction_timeout_s : DEFAULT_TIMEOUT_S) * 1000000;
    random_bytes(&a->tag_seed, sizeof(a->tag_seed));
    LIST_INIT(&a->finished);
    transactions_init(&a->all, clock_monotonic_us());
    int rc = open_transport(a, p, err);
    if (rc == 0)
        rc = open_resolver(a, p, err);
    if (rc) {
        agent_free(a);
        return rc;
    }
    *ret = a;
    return 0;
}

void agent_free(struct agent *a)
{
    if (!a)
        return;
    transactions_done(&a->all);
    resolver_free(a->resolver);
    transport_free(a->transport);
    buf_done(&a->last_target.text);
    buf_done(&a->local);
    buf_done(&a->received);
    buf_done(&a->reply);
    free(a->user_agent);
    free(a);
}

int agent_reload(struct agent *a, struct error *err)
{
    resolver_reload(a->resolver);
    return a->has_tls ? transport_reload(a->transport, err) : 0;
}

// ---- what others want to know

static int family_of(struct str host)
{
    if (str_has_char(host, ':'))
        return AF_INET6;
    return host.n && host.p[host.n - 1] >= '0' && host.p[host.n - 1] <= '9' ? AF_INET : AF_UNSPEC;
}

struct str agent_hostport(const struct agent *a, enum registration_transport transport, struct str interface,
                          struct str host)
{
    const char *own = transport_local(a->transport, transport, interface, family_of(host));
    return str_of(own ? own : transport_local(a->transport, transport, interface, AF_UNSPEC));
}

uint32_t agent_keep_alive(struct agent *a, uint64_t token, uint32_t flow_timer_s)
{
    struct transaction *t = a->answering;
    if (!t || t->token != token)
        return 0;
    uint32_t flow = t->flow;
    transport_keep_alive(a->transport, &t->to, flow_timer_s, &flow);
    return flow;
}

struct sip_stats agent_stats(const struct agent *a)
{
    struct sip_stats stats = a->stats;
    stats.transport = transport_stats(a->transport);
    stats.resolver = resolver_stats(a->resolver);
    stats.transactions = a->all.under_way;
    stats.malformed += stats.transport.malformed;
    return stats;
}
