// From the engine's request to the wire: where it goes to, its Via, its repetitions, its end without an
// answer. Refuses to retry, but for the two cases in which the RFC leaves the choice of transport to this
// layer (18.1.1).
#include "services/registrant/sip/agent_private.h"
#include "services/registrant/sip/answer.h"
#include "services/registrant/sip/request.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <errno.h>
#include <string.h>

#define DATAGRAM_BYTES 1300 // a larger request goes over a stream (18.1.1)
#define STOOD_STILL    STR_LIT("the process stood still before it was sent")

static const char *const via_names[] = {[TRANSPORT_UDP] = "Via: SIP/2.0/UDP ",
                                        [TRANSPORT_TCP] = "Via: SIP/2.0/TCP ",
                                        [TRANSPORT_TLS] = "Via: SIP/2.0/TLS "};

// ---- an end without an answer

static void deliver_failure(struct agent *a, struct transaction *t)
{
    struct sip_answer answer;
    answer_of_failure(t->failure, buf_str(&t->cause), &answer);
    answer.another_target = t->another_target;
    response_deliver(a, t, &answer);
}

static void end_as_failed(struct agent *a, struct transaction *t, int status, struct str cause)
{
    transaction_leave(&a->all, t);
    t->failure = status;
    buf_clear(&t->cause);
    buf_add_str(&t->cause, cause);
}

static void fail_later(struct agent *a, struct transaction *t, int status, struct str cause)
{
    end_as_failed(a, t, status, cause);
    t->state = TRANSACTION_FINISHED;
    LIST_INSERT_HEAD(&a->finished, t, link);
}

// Ends it with an answer of our own, at once or after agent_send; takes t.
static void fail(struct agent *a, struct transaction *t, int status, struct str cause)
{
    if (a->sending) {
        fail_later(a, t, status, cause);
        return;
    }
    end_as_failed(a, t, status, cause);
    deliver_failure(a, t);
}

static void fail_at_target(struct agent *a, struct transaction *t, enum target_fault fault, int status,
                           struct str cause)
{
    t->another_target = target_failed(a, t, fault, -1);
    fail(a, t, status, cause);
}

// ---- onto the wire

static void write_wire(struct transaction *t)
{
    char branch[BRANCH_BYTES];
    transaction_branch(t, branch);
    buf_clear(&t->wire);
    buf_add(&t->wire, t->text.p, t->via_at);
    buf_add_cstr(&t->wire, via_names[t->to.kind]);
    buf_add_cstr(&t->wire, t->local);
    buf_add_cstr(&t->wire, ";rport;branch=");
    buf_add(&t->wire, branch, sizeof(branch));
    buf_add(&t->wire, "\r\n", 2);
    buf_add(&t->wire, t->text.p + t->via_at, t->text.n - t->via_at);
}

static int put_on_wire(struct agent *a, struct transaction *t, enum registration_transport kind)
{
    t->to.kind = kind;
    t->to.name = kind == TRANSPORT_TLS ? t->name : STR_NONE;
    t->flow = 0;
    t->local = transport_local(a->transport, kind, t->to.interface, t->to.address.any.sa_family);
    if (!t->local)
        return -EADDRNOTAVAIL;
    write_wire(t);
    if (kind == TRANSPORT_UDP && t->wire.n > DATAGRAM_BYTES && !t->by_size) {
        t->by_size = true;
        return put_on_wire(a, t, TRANSPORT_TCP);
    }
    int rc = transport_send(a->transport, &t->to, buf_str(&t->wire), &t->flow);
    if (rc == 0)
        transaction_sent(&a->all, t, clock_monotonic_us());
    return rc;
}

static void send_or_fail(struct agent *a, struct transaction *t, enum registration_transport kind)
{
    if (!a->sending && a->ops->may_send && !a->ops->may_send(a->arg)) {
        t->another_target = false;
        fail(a, t, 503, STOOD_STILL);
        return;
    }
    int rc = put_on_wire(a, t, kind);
    if (rc == 0)
        return;
    t->another_target = false;
    fail(a, t, 503,
         rc == -EADDRNOTAVAIL ? STR_LIT("no local address to send from")
         : rc == -ENOBUFS     ? STR_LIT("too much waits for the connection")
         : rc == -EMSGSIZE    ? STR_LIT("too large for a datagram")
                              : str_of(strerror(-rc)));
}

static void on_resolved(void *arg, const struct resolve_answer *answer)
{
    struct transaction *t = arg;
    struct agent *a = t->agent;
    t->resolving = NULL;
    const struct resolve_target *chosen = target_choose(a, t, answer, &t->usable);
    if (!chosen) {
        struct buf cause cleanup(buf_done) = BUF_INIT;
        int status = target_refused(a, answer, &cause);
        t->another_target = false;
        fail(a, t, status, buf_str(&cause));
        return;
    }
    t->target = *chosen;
    t->to.address = chosen->address;
    send_or_fail(a, t, chosen->transport);
}

// ---- the engine's requests

// What outlives the call.
static void keep_names(struct transaction *t, const struct resolve_query *query, struct str name,
                       struct str interface)
{
    const struct str texts[] = {query->host, query->registrar, name, interface};
    struct str *const kept[] = {&t->query.host, &t->query.registrar, &t->name, &t->to.interface};
    t->query = *query;
    buf_clear(&t->names);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        buf_add_str(&t->names, texts[i]);
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); at += texts[i++].n)
        *kept[i] = str_slice(buf_str(&t->names), at, at + texts[i].n);
}

int agent_send(struct agent *a, const struct sip_request *request, uint64_t token)
{
    struct resolve_query query;
    struct str name;
    int rc = request_hop(request, &query, &name);
    if (rc)
        return rc;
    if (query.transport == TRANSPORT_TLS && !a->has_tls)
        return -EPROTONOSUPPORT;
    struct str local = agent_hostport(a, query.transport, request->interface, query.host);
    if (!local.n)
        return -EADDRNOTAVAIL;
    struct transaction *t = transaction_new(&a->all, clock_monotonic_us() + a->timeout_us);
    t->agent = a;
    t->token = token;
    buf_clear(&t->text);
    rc = request_text(request, local, a->user_agent, &t->text, &t->via_at);
    if (rc) {
        transaction_free(&a->all, t);
        return rc;
    }
    keep_names(t, &query, name, request->interface);
    a->sending = true;
    t->resolving = resolver_find(a->resolver, &t->query, on_resolved, t);
    a->sending = false;
    return 0;
}

// ---- what happens to them meanwhile

// 18.1.1: a stream that the registrar refuses leaves the datagram, however large.
static bool fell_back_to_udp(struct agent *a, struct transaction *t)
{
    if (!t->by_size || t->to.kind == TRANSPORT_UDP)
        return false;
    transaction_leave(&a->all, t);
    send_or_fail(a, t, TRANSPORT_UDP);
    return true;
}

void client_unreachable(struct agent *a, const struct address *to, const char *cause)
{
    struct transaction_list waiting;
    transactions_waiting_for(&a->all, to, 0, &waiting);
    for (struct transaction *t; (t = LIST_FIRST(&waiting));)
        fail_at_target(a, t, TARGET_UNREACHABLE, 503, str_of(cause));
}

void client_flow_lost(struct agent *a, uint32_t flow, bool was_up, const char *cause)
{
    struct transaction_list waiting;
    transactions_waiting_for(&a->all, NULL, flow, &waiting);
    for (struct transaction *t; (t = LIST_FIRST(&waiting));)
        if (was_up || !fell_back_to_udp(a, t))
            fail_at_target(a, t, was_up ? TARGET_BROKE_OFF : TARGET_UNREACHABLE, 503, str_of(cause));
}

static void stop_resolving(struct transaction *t)
{
    resolve_cancel(t->resolving);
    t->resolving = NULL;
    t->another_target = false;
}

void agent_forget(struct agent *a, uint64_t token)
{
    for (uint32_t i = 0; i < a->all.slot_count; i++) {
        struct transaction *t = a->all.slots[i];
        if (t->token != token || t->state == TRANSACTION_FREE || t == a->answering)
            continue;
        stop_resolving(t);
        transaction_free(&a->all, t);
        return;
    }
}

void agent_hush(struct agent *a)
{
    for (uint32_t i = 0; i < a->all.slot_count; i++) {
        struct transaction *t = a->all.slots[i];
        bool waits = t->state == TRANSACTION_WAITING;
        if (waits && !transport_holds_back(a->transport, t->flow)) {
            transaction_hush(&a->all, t);
        } else if (waits || (t->state == TRANSACTION_RESOLVING && t->resolving)) {
            stop_resolving(t);
            fail_later(a, t, 503, STOOD_STILL);
        }
    }
    transport_hush(a->transport);
}

static void repeat(struct agent *a, struct transaction *t)
{
    uint32_t flow;
    if (transport_send(a->transport, &t->to, buf_str(&t->wire), &flow) == 0)
        a->stats.retransmissions++;
}

static void give_up(struct agent *a, struct transaction *t)
{
    if (t->state == TRANSACTION_RESOLVING) {
        stop_resolving(t);
        fail(a, t, 503, STR_LIT("the DNS servers do not answer"));
    } else if (t->provisional) { // it is there: no reason to try another (RFC 3263 4.3)
        t->another_target = false;
        fail(a, t, 408, STR_LIT("no final answer"));
    } else {
        uint32_t flow = t->flow;
        uint64_t since_us = t->give_up_us - a->timeout_us;
        fail_at_target(a, t, TARGET_SILENT, 408, STR_LIT("no answer"));
        transport_doubt(a->transport, flow, since_us);
    }
}

static void deliver_finished(struct agent *a)
{
    struct transaction_list now; // what fails in the meantime has its turn in the next tick
    LIST_INIT(&now);
    for (struct transaction *t; (t = LIST_FIRST(&a->finished));) {
        LIST_REMOVE(t, link);
        LIST_INSERT_HEAD(&now, t, link);
    }
    for (struct transaction *t; (t = LIST_FIRST(&now));)
        deliver_failure(a, t);
}

void agent_tick(struct agent *a, uint64_t now_us)
{
    deliver_finished(a);
    struct transaction *t;
    for (enum transaction_due due;
         (due = transactions_due(&a->all, now_us, &t)) != TRANSACTION_NOTHING_DUE;) {
        if (due == TRANSACTION_REPEAT)
            repeat(a, t);
        else
            give_up(a, t);
    }
}

uint64_t agent_flush(struct agent *a)
{
    transport_flush(a->transport);
    return LIST_EMPTY(&a->finished) ? transactions_next_us(&a->all) : 0;
}
