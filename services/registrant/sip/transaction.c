// REGISTER transactions (RFC 3261 17.1.2) over NTA, from the engine's request to its answer. Refuses to
// retry: but for the two cases in which the RFC leaves the choice of transport to this layer (18.1.1).
#include "services/registrant/sip/agent_private.h"
#include "services/registrant/sip/answer.h"
#include "services/registrant/sip/request.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// RFC 3261 18.1.1: larger than 1300 bytes goes over a stream; NTA adds a Via of up to this much.
#define DATAGRAM_BYTES 1300
#define VIA_BYTES      150
#define MAX_DATAGRAM   65507

struct transaction {
    struct agent *agent;
    uint64_t token;
    nta_outgoing_t *orq;
    // Too large for a datagram and therefore sent over TCP: kept, because a refused connection sends it over
    // UDP after all. NULL otherwise.
    char *text, *route;
    size_t text_bytes;
    LIST_ENTRY(transaction) link;
    STAILQ_ENTRY(transaction) finished_link;
};

static void transaction_free(struct transaction *t)
{
    LIST_REMOVE(t, link);
    if (t->orq)
        nta_outgoing_destroy(t->orq);
    free(t->text);
    free(t->route);
    free(t);
}

void transactions_drop_all(struct agent *a)
{
    for (struct transaction *t; (t = LIST_FIRST(&a->under_way));)
        transaction_free(t);
    STAILQ_INIT(&a->finished);
}

// ---- answers

// "udp:192.0.2.1:5060" of where the request went; empty when it went nowhere.
static struct str target_of(struct agent *a, nta_outgoing_t *orq, bool tcp)
{
    msg_t *request = nta_outgoing_getrequest(orq);
    if (!request)
        return STR_NONE;
    struct target *kept = &a->last_target;
    su_sockaddr_t to = *msg_addr(request);
    char ip[INET6_ADDRSTRLEN];
    msg_destroy(request);
    if (kept->bytes && kept->tcp == tcp && memcmp(&kept->address, &to, sizeof(to)) == 0)
        return str_of_bytes(kept->text, kept->bytes);
    *kept = (struct target){.address = to, .tcp = tcp};
    const char *open = to.su_family == AF_INET6 ? "[" : "", *close = *open ? "]" : "";
    if ((to.su_family == AF_INET && inet_ntop(AF_INET, &to.su_sin.sin_addr, ip, sizeof(ip))) ||
        (to.su_family == AF_INET6 && inet_ntop(AF_INET6, &to.su_sin6.sin6_addr, ip, sizeof(ip))))
        kept->bytes = (size_t)snprintf(kept->text, sizeof(kept->text), "%s:%s%s%s:%u", tcp ? "tcp" : "udp",
                                       open, ip, close, ntohs(to.su_port));
    return str_of_bytes(kept->text, kept->bytes);
}

static void deliver(struct transaction *t, struct sip_answer *answer)
{
    struct agent *a = t->agent;
    tport_t *tp = nta_outgoing_transport(t->orq);
    if (tp) {
        bool tcp = tport_is_reliable(tp);
        answer->target = target_of(a, t->orq, tcp);
        answer->local_address = str_of(tcp ? a->tcp : a->udp);
        tport_unref(tp);
    }
    a->answered(a->arg, t->token, answer);
}

static int start(struct transaction *t, const char *text, size_t bytes, const char *route, unsigned mtu);

// 18.1.1: a stream that the registrar refuses leaves the datagram, however large.
static bool fell_back_to_udp(struct transaction *t, int status)
{
    if (!t->text || status != 503)
        return false;
    nta_outgoing_destroy(t->orq);
    t->orq = NULL;
    char *text = t->text;
    t->text = NULL;
    int rc = start(t, text, t->text_bytes, t->route, MAX_DATAGRAM);
    free(text);
    return rc == 0;
}

static void finish(struct transaction *t)
{
    struct sip_answer answer;
    int status = nta_outgoing_status(t->orq);
    msg_t *response = nta_outgoing_getresponse(t->orq);
    const sip_t *sip = response ? sip_object(response) : NULL;
    // Responses that the stack makes itself have no text of their own.
    bool local = !sip || !sip->sip_status || !sip->sip_status->st_common->h_data;
    if (local && fell_back_to_udp(t, status)) {
        msg_destroy(response);
        return;
    }
    if (local)
        answer_of_failure(status, &answer);
    else
        answer_of_response(response, &answer);
    deliver(t, &answer);
    msg_destroy(response);
    transaction_free(t);
}

static int on_response(struct transaction *t, nta_outgoing_t *orq, const sip_t *sip)
{
    (void)sip;
    if (!t || nta_outgoing_status(orq) < 200)
        return 0;
    t->agent->active = true;
    if (t->agent->sending)
        STAILQ_INSERT_TAIL(&t->agent->finished, t, finished_link);
    else
        finish(t);
    return 0;
}

void transactions_deliver_finished(struct agent *a)
{
    for (struct transaction *t; (t = STAILQ_FIRST(&a->finished));) {
        STAILQ_REMOVE_HEAD(&a->finished, finished_link);
        finish(t);
    }
}

// ---- requests

// NULL when sofia cannot read what the registration is made of: it would leave the bad header out in silence.
static msg_t *parse_request(const char *text, size_t bytes)
{
    msg_t *msg = msg_make(sip_default_mclass(), MSG_DO_EXTRACT_COPY, text, (ssize_t)bytes);
    const sip_t *sip = msg ? sip_object(msg) : NULL;
    if (sip && sip->sip_request && !sip->sip_error && !(sip->sip_flags & MSG_FLG_ERROR))
        return msg;
    msg_destroy(msg);
    return NULL;
}

static int start(struct transaction *t, const char *text, size_t bytes, const char *route, unsigned mtu)
{
    struct agent *a = t->agent;
    msg_t *msg = parse_request(text, bytes);
    if (!msg)
        return -EINVAL;
    a->sending = true;
    t->orq = nta_outgoing_mcreate(a->nta, on_response, t, (const url_string_t *)route, msg,
                                  TAG_IF(mtu, TPTAG_MTU(mtu)), TAG_END());
    a->sending = false;
    if (!t->orq)
        msg_destroy(msg);
    return t->orq ? 0 : -EINVAL;
}

// "sip:host:port;transport=x" without the next hop's user part. A name of the hosts file becomes its address
// with the default port, as RFC 3263 4.2 has it for addresses.
static void write_route(struct agent *a, const struct request_target *to, const char *transport)
{
    const char *known = NULL;
    if (!to->ipv6)
        known = hosts_address(a->hosts, to->host, a->family, clock_monotonic_us());
    bool brackets = known ? a->family == AF_INET6 : to->ipv6;
    buf_clear(&a->route);
    buf_add_cstr(&a->route, brackets ? "sip:[" : "sip:");
    buf_add_str(&a->route, known ? str_of(known) : to->host);
    buf_add_cstr(&a->route, brackets ? "]" : "");
    if (to->port_text.n || known) {
        buf_add_char(&a->route, ':');
        buf_add_str(&a->route, to->port_text.n ? to->port_text : STR_LIT("5060"));
    }
    buf_add_cstr(&a->route, ";transport=");
    buf_add_cstr(&a->route, transport);
}

int agent_send(struct agent *a, const struct sip_request *request, uint64_t token)
{
    struct request_target to;
    if (request->interface.n)
        return -EADDRNOTAVAIL;
    int rc = request_target(request, &to);
    if (rc)
        return rc;
    bool tcp = strcmp(to.transport, "tcp") == 0;
    buf_clear(&a->text);
    rc = request_text(request, agent_hostport(a, tcp ? TRANSPORT_TCP : TRANSPORT_UDP, STR_NONE),
                      a->user_agent, &a->text);
    if (rc)
        return rc;
    bool too_large = !tcp && a->text.n + VIA_BYTES > DATAGRAM_BYTES;
    struct transaction *t = mem_alloc(sizeof(*t));
    *t = (struct transaction){.agent = a, .token = token};
    LIST_INSERT_HEAD(&a->under_way, t, link);
    if (too_large) {
        write_route(a, &to, "udp");
        t->route = str_dup(buf_str(&a->route));
        t->text = mem_dup_bytes(a->text.p, a->text.n);
        t->text_bytes = a->text.n;
    }
    write_route(a, &to, tcp || too_large ? "tcp" : "udp");
    rc = start(t, a->text.p, a->text.n, a->route.p, 0);
    if (rc)
        transaction_free(t);
    return rc;
}
