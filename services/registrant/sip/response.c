// Answers from the wire to the engine. Refuses what does not prove that it answers a request of ours: it
// changes nothing but a counter.
#include "services/registrant/sip/agent_private.h"
#include "services/registrant/sip/answer.h"

#include "common/sip/uri.h"

#define MAX_UNREADABLE 32 // of one request

void response_deliver(struct agent *a, struct transaction *t, struct sip_answer *answer)
{
    transaction_leave(&a->all, t);
    if (t->local) { // it was sent
        answer->target = target_text(a, t);
        buf_clear(&a->local);
        buf_add_cstr(&a->local, registration_transport_name(t->to.kind));
        buf_add_char(&a->local, ':');
        buf_add_cstr(&a->local, t->local);
        answer->local_address = buf_str(&a->local);
        answer->flow = t->flow;
    }
    struct transaction *outer = a->answering;
    a->answering = t;
    a->ops->answered(a->arg, t->token, answer);
    a->answering = outer;
    transaction_free(&a->all, t);
}

// However it is written: an IPv6 address has many ways, and a port may be left out that is the default.
static bool is_same_hostport(struct str local, const sip_via_t *via, enum registration_transport kind)
{
    struct sip_uri sent, back;
    if (sip_hostport_parse(local, &sent, NULL) != 0 ||
        sip_hostport_parse(str_of(via->v_host), &back, NULL) != 0)
        return false;
    uint64_t port = kind == TRANSPORT_TLS ? 5061 : 5060;
    if (via->v_port && str_to_u64(str_of(via->v_port), &port) != 0)
        return false;
    struct address ours, theirs;
    bool numbers = address_parse(sent.host, 0, &ours) && address_parse(back.host, 0, &theirs);
    return sent.port == port && (numbers ? address_equal(&ours, &theirs) : str_ieq(sent.host, back.host));
}

// The Via must be the one that we sent, and alone (RFC 3261 8.1.3.3, 18.1.2): else it is for somebody else.
static bool is_for(const struct transaction *t, const sip_t *sip)
{
    const sip_via_t *via = sip->sip_via;
    if (sip->sip_status->st_status < 100 || sip->sip_status->st_status > 699)
        return false;
    if (via->v_next || !via->v_branch || transaction_find(&t->agent->all, str_of(via->v_branch)) != t ||
        sip->sip_cseq->cs_method != sip_method_register)
        return false;
    struct str local = str_of(t->local);
    return message_is_hostport(local, via->v_host, via->v_port) || is_same_hostport(local, via, t->to.kind);
}

static void deliver_final(struct agent *a, struct transaction *t, msg_t *response)
{
    struct sip_answer answer;
    answer_of_response(response, &answer);
    buf_clear(&a->received);
    answer_received(response, str_of(t->local), t->to.kind != TRANSPORT_UDP, &a->received);
    answer.received = buf_str(&a->received);
    if (answer.status == 503)
        answer.another_target = target_failed(a, t, TARGET_UNAVAILABLE, answer.retry_after_s);
    else
        target_answered(a, t);
    response_deliver(a, t, &answer);
}

// Who has a branch that stands anywhere in it; whether that is its Via's is seen when it is read.
static struct transaction *candidate(const struct agent *a, struct str message)
{
    struct transaction *t = NULL;
    for (size_t at; !t && (at = str_find_str(message, STR_LIT(BRANCH_MAGIC))) < message.n;) {
        message = str_slice(message, at, message.n);
        t = transaction_find(&a->all, str_slice(message, 0, BRANCH_BYTES));
        message = str_slice(message, 1, message.n);
    }
    return t;
}

// By the connection that the request went by (18.2.2), or as a datagram like it: who is behind the registrar
// has seen its branch, too, but has not its connection.
static bool came_by_its_way(const struct transaction *t, const struct transport_path *path)
{
    return path->flow == t->flow;
}

// Reading costs time, of which nobody gets as much as he likes for one request.
static bool may_be_for(const struct transaction *t, const struct transport_path *path)
{
    return came_by_its_way(t, path) && t->unreadable < MAX_UNREADABLE;
}

void response_received(struct agent *a, const struct transport_path *path, struct str message)
{
    struct transaction *t = candidate(a, message);
    if (!t || !may_be_for(t, path)) { // unread: a flood of forged answers costs next to nothing
        message_has_via(message) ? a->stats.stray++ : a->stats.malformed++;
        return;
    }
    if (t->provisional && str_istarts(message, STR_LIT("SIP/2.0 1"))) // says nothing new
        return;
    msg_t *response = message_parse(message);
    const sip_t *sip = response ? sip_object(response) : NULL;
    if (!sip || !sip->sip_status || !is_for(t, sip)) {
        a->stats.malformed++;
        t->unreadable++;
    } else if (sip->sip_status->st_status < 200)
        transaction_proceeds(t);
    else
        deliver_final(a, t, response);
    msg_destroy(response);
}
