// What an outcome says of the target that it came from (RFC 3263 4.3): for how long it comes last, and
// whether there is another. Refuses to try it: that is the engine's.
#include "services/registrant/sip/agent_private.h"
#include "services/registrant/transport/networks.h"

#define MAX_ASIDE_S 86400 // whatever a Retry-After asks for

// One row a fault: for so long others are preferred.
static const uint32_t aside_s[] = {
    [TARGET_SILENT] = 300,
    [TARGET_UNREACHABLE] = 300,
    [TARGET_BROKE_OFF] = 30, // restarted, more often than not
    [TARGET_UNAVAILABLE] = 60,
};

static bool can_send_to(const struct agent *a, const struct transaction *t,
                        const struct resolve_target *target)
{
    return (target->transport != TRANSPORT_TLS || a->has_tls) &&
           networks_judge(a->networks, &target->address) == NETWORK_ALLOWED &&
           transport_local(a->transport, target->transport, t->to.interface, target->address.any.sa_family);
}

const struct resolve_target *target_choose(struct agent *a, const struct transaction *t,
                                           const struct resolve_answer *answer, size_t *ret_usable)
{
    const struct resolve_target *first = NULL;
    *ret_usable = 0;
    for (size_t i = 0; i < answer->count && !(first && i >= answer->usable); i++) {
        if (!can_send_to(a, t, &answer->targets[i]))
            continue;
        if (!first)
            first = &answer->targets[i];
        *ret_usable += i < answer->usable;
    }
    return first;
}

int target_refused(const struct agent *a, const struct resolve_answer *answer, struct buf *ret_cause)
{
    buf_clear(ret_cause);
    for (size_t i = 0; i < answer->count; i++) {
        enum network_verdict verdict = networks_judge(a->networks, &answer->targets[i].address);
        if (verdict == NETWORK_ALLOWED)
            continue;
        buf_add_cstr(ret_cause, "address ");
        address_add_host(ret_cause, &answer->targets[i].address);
        buf_addf(ret_cause, " is not allowed (%s)",
                 verdict == NETWORK_DENIED ? "ROLLCALL_SIP_DENY" : "ROLLCALL_SIP_ALLOW");
        return 403;
    }
    buf_add_cstr(ret_cause, answer->count ? "no local address to send from" : answer->cause);
    return 503;
}

struct probe {
    struct agent *agent;
    const struct transaction *transaction;
    size_t usable;
    bool known;
};

static void on_probed(void *arg, const struct resolve_answer *answer)
{
    struct probe *p = arg;
    p->known = true;
    (void)target_choose(p->agent, p->transaction, answer, &p->usable);
}

bool target_failed(struct agent *a, struct transaction *t, enum target_fault fault, int64_t asked_s)
{
    uint32_t for_s = asked_s < 0 ? aside_s[fault] : asked_s < MAX_ASIDE_S ? (uint32_t)asked_s : MAX_ASIDE_S;
    if (for_s)
        resolver_set_aside(a->resolver, &t->target, for_s);
    // What is known is answered at once. A TTL that ended since it was sent, as short ones do before timer F,
    // leaves what was known then.
    struct probe p = {.agent = a, .transaction = t};
    resolve_cancel(resolver_find(a->resolver, &t->query, on_probed, &p));
    if (!p.known)
        return t->usable > 1;
    return p.usable > (for_s ? 0 : 1);
}

void target_answered(struct agent *a, const struct transaction *t)
{
    resolver_take_back(a->resolver, &t->target);
}

struct str target_text(struct agent *a, const struct transaction *t)
{
    struct target_text *last = &a->last_target;
    if (last->text.n && last->kind == t->to.kind && address_equal(&last->address, &t->to.address))
        return buf_str(&last->text);
    buf_clear(&last->text);
    last->kind = t->to.kind;
    last->address = t->to.address;
    address_add_with(&last->text, t->to.kind, &t->to.address);
    return buf_str(&last->text);
}
