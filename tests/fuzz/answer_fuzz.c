// Bytes from the network to what the engine is told: one REGISTER waits for its answer, "z9hG4bK*" in the
// input stands for its branch. What is no answer to it changes nothing; what is one holds only text that is
// safe; what asks for something is answered with one message and no more.
#include "services/registrant/sip/agent_private.h"

#include "common/sip/uri.h"
#include "tests/fuzz/target.h"

#include <string.h>

static const char branch_mark[] = "z9hG4bK*";
static const char local[] = "192.0.2.1:5060";

static struct agent agent;
static struct transaction *waiting;
static unsigned answered;

// ---- the agent's surroundings, without sockets and names

const char *transport_local(const struct transport *t, enum registration_transport kind, struct str interface,
                            int family)
{
    return local;
}

void transport_reply(struct transport *t, const struct transport_path *path, struct str message)
{
    HOLDS(str_starts(message, STR_LIT("SIP/2.0 ")));
    HOLDS(str_find_str(message, STR_LIT("\r\n\r\n")) == message.n - 4); // nothing was smuggled in
}

void resolver_set_aside(struct resolver *r, const struct resolve_target *t, uint32_t for_s)
{
    HOLDS(for_s <= 86400);
}

void resolver_take_back(struct resolver *r, const struct resolve_target *t)
{
}

struct resolve_request *resolver_find(struct resolver *r, const struct resolve_query *q, resolve_fn *fn,
                                      void *arg)
{
    fn(arg, &(struct resolve_answer){.cause = "none"});
    return NULL;
}

void resolve_cancel(struct resolve_request *request)
{
    HOLDS(!request);
}

// ---- what must hold of an answer

static void check_texts(const struct str *texts, size_t count, size_t bound)
{
    HOLDS(count <= bound);
    for (size_t i = 0; i < count; i++)
        HOLDS(sip_text_is_safe(texts[i]));
}

static void on_answered(void *arg, uint64_t token, const struct sip_answer *a)
{
    struct address address;
    answered++;
    HOLDS(token == 42 && a->status >= 200 && a->status <= 699 && !a->local);
    const struct str texts[] = {a->reason, a->warning, a->nextnonce, a->unsupported, a->received};
    check_texts(texts, ARRAY_LEN(texts), ARRAY_LEN(texts));
    check_texts(a->challenges, a->challenge_count, ARRAY_LEN(a->challenges));
    check_texts(a->service_routes, a->service_route_count, STATUS_MAX_LIST);
    check_texts(a->paths, a->path_count, STATUS_MAX_LIST);
    check_texts(a->associated, a->associated_count, STATUS_MAX_LIST);
    HOLDS(a->contact_count <= ARRAY_LEN(a->contacts));
    for (size_t i = 0; i < a->contact_count; i++)
        HOLDS(sip_text_is_safe(a->contacts[i].text) && a->contacts[i].expires <= UINT32_MAX);
    HOLDS(a->retry_after_s >= -1 && a->min_expires_s >= -1 && a->expires_s >= -1);
    HOLDS(!a->received.n || !address_parse(a->received, 1, &address)); // it has its port
}

static const struct agent_ops ops = {.answered = on_answered};

// ---- the input

static void wait_for_an_answer(void)
{
    if (!agent.ops) {
        message_library_start();
        agent.ops = &ops;
        transactions_init(&agent.all, 0);
    }
    waiting = transaction_new(&agent.all, 32000000);
    waiting->agent = &agent;
    waiting->token = 42;
    waiting->local = local;
    HOLDS(address_parse(STR_LIT("192.0.2.9"), 5060, &waiting->to.address));
    waiting->to.kind = TRANSPORT_UDP;
    transaction_sent(&agent.all, waiting, 0);
}

static void add_with_branch(struct buf *out, struct str text)
{
    char branch[BRANCH_BYTES];
    transaction_branch(waiting, branch);
    for (size_t at; (at = str_find_str(text, str_of(branch_mark))) < text.n;) {
        buf_add_str(out, str_slice(text, 0, at));
        buf_add(out, branch, sizeof(branch));
        text = str_slice(text, at + strlen(branch_mark), text.n);
    }
    buf_add_str(out, text);
}

static void receive(struct str text)
{
    struct transport_path path = {.kind = TRANSPORT_UDP, .local = local};
    HOLDS(address_parse(STR_LIT("192.0.2.9"), 5060, &path.from));
    struct buf message cleanup(buf_done) = BUF_INIT;
    add_with_branch(&message, text);
    agent.strangers.left = 2;
    agent.strangers.until_us = UINT64_MAX;
    if (str_istarts(buf_str(&message), STR_LIT("SIP/")))
        response_received(&agent, &path, buf_str(&message));
    else
        incoming_request(&agent, &path, buf_str(&message));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wait_for_an_answer();
    answered = 0;
    receive(str_of_bytes(data, size));
    if (!answered) // it waits as before
        receive(STR_LIT(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK*\r\n"
            "From: <sip:a@h>;tag=1\r\nTo: <sip:a@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n\r\n"));
    HOLDS(answered == 1 && agent.all.under_way == 0);
    return 0;
}
