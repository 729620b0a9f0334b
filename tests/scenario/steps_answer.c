// What a registrar would answer.
#include "tests/scenario/steps.h"

#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CHALLENGE "Digest realm=\"example.com\", nonce=\"n%u\", qop=\"auth\""

struct draft {
    struct sip_answer answer;
    struct buf echoes[STATUS_MAX_LIST];
    size_t echo_count;
    char challenge[128];
};

static void draft_init(struct draft *d, int status)
{
    *d = (struct draft){.answer = {.status = status,
                                   .reason = STR_LIT("OK"),
                                   .retry_after_s = -1,
                                   .min_expires_s = -1,
                                   .expires_s = -1,
                                   .target = STR_LIT("udp:192.0.2.50:5060"),
                                   .local_address = STR_LIT("udp:192.0.2.1:5060")}};
}

static void draft_done(struct draft *d)
{
    for (size_t i = 0; i < d->echo_count; i++)
        buf_done(&d->echoes[i]);
}

static void add_contact(struct draft *d, struct str text, int64_t expires)
{
    struct sip_answer *a = &d->answer;
    if (a->contact_count < STATUS_MAX_LIST)
        a->contacts[a->contact_count++] = (struct sip_answer_contact){.text = text, .expires = expires};
}

// "…;expires=60": as sip/ would give it
static int64_t expires_of(const char *contact)
{
    const char *at = strstr(contact, ";expires=");
    return at ? strtoll(at + 9, NULL, 10) : -1;
}

// As a registrar lists what it has bound: the request's Contacts but those with expires=0.
static void echo(struct draft *d, const struct sent *s, int64_t granted)
{
    for (size_t i = 0; i < s->contact_count && d->echo_count < STATUS_MAX_LIST; i++) {
        int64_t asked = expires_of(s->contacts[i]);
        if (asked == 0 || (asked < 0 && s->expires == 0))
            continue;
        int64_t grants = granted >= 0 ? granted : asked >= 0 ? asked : (int64_t)s->expires;
        struct buf *text = &d->echoes[d->echo_count++];
        const char *end = strstr(s->contacts[i], ";expires=");
        size_t n = end ? (size_t)(end - s->contacts[i]) : strlen(s->contacts[i]);
        buf_add(text, s->contacts[i], n);
        buf_addf(text, ";expires=%lld", (long long)grants);
        add_contact(d, buf_str(text), grants);
    }
}

static void add_challenge(struct world *w, struct draft *d, const char *text, bool proxy)
{
    static unsigned nonce;
    if (strcmp(text, "default") == 0) {
        (void)snprintf(d->challenge, sizeof(d->challenge), DEFAULT_CHALLENGE, ++nonce);
        text = d->challenge;
    }
    struct sip_answer *a = &d->answer;
    if (a->challenge_count == ARRAY_LEN(a->challenges))
        world_fail(w, "too many challenges");
    a->challenge_is_proxy[a->challenge_count] = proxy;
    a->challenges[a->challenge_count++] = str_of(text);
}

static void set_header(struct world *w, struct draft *d, const char *key, const char *value)
{
    struct sip_answer *a = &d->answer;
    if (strcmp(key, "reason") == 0)
        a->reason = str_of(value);
    else if (strcmp(key, "warning") == 0)
        a->warning = str_of(value);
    else if (strcmp(key, "retry_after") == 0)
        a->retry_after_s = (int64_t)words_number(w, value);
    else if (strcmp(key, "min_expires") == 0)
        a->min_expires_s = (int64_t)words_number(w, value);
    else if (strcmp(key, "expires") == 0)
        a->expires_s = (int64_t)words_number(w, value);
    else if (strcmp(key, "contact") == 0)
        add_contact(d, str_of(value), expires_of(value));
    else if (strcmp(key, "challenge") == 0)
        add_challenge(w, d, value, false);
    else if (strcmp(key, "proxy_challenge") == 0)
        add_challenge(w, d, value, true);
    else if (strcmp(key, "nextnonce") == 0)
        a->nextnonce = str_of(value);
    else if (strcmp(key, "proxy_nextnonce") == 0)
        a->proxy_nextnonce = str_of(value);
    else if (strcmp(key, "service_route") == 0)
        a->service_routes[a->service_route_count++] = str_of(value);
    else if (strcmp(key, "path") == 0)
        a->paths[a->path_count++] = str_of(value);
    else if (strcmp(key, "associated") == 0)
        a->associated[a->associated_count++] = str_of(value);
    else if (strcmp(key, "target") == 0)
        a->target = str_of(value);
    else if (strcmp(key, "left_from") == 0)
        a->local_address = str_of(value);
    else if (strcmp(key, "received") == 0)
        a->received = str_of(value);
    else if (strcmp(key, "flow") == 0)
        a->flow = (uint32_t)words_number(w, value);
    else if (strcmp(key, "flow_timer") == 0)
        a->flow_timer_s = (uint32_t)words_number(w, value);
    else if (strcmp(key, "unsupported") == 0)
        a->unsupported = str_of(value);
    else if (strcmp(key, "granted") != 0)
        world_fail(w, "unknown header \"%s\"", key);
}

static void give(struct world *w, struct sent *s, const struct sip_answer *a)
{
    engine_answer(w->engine, s->token, a, w->now);
    world_after(w);
}

static struct sent *addressee(struct world *w, const struct words *words, size_t *from)
{
    *from = 1;
    for (size_t i = 0; words->count > 1 && i < w->named_count; i++) {
        if (strcmp(w->named[i].name, words->items[1]) != 0)
            continue;
        *from = 2;
        return w->named[i].sent;
    }
    if (!w->current)
        world_fail(w, "no request was looked at yet");
    return w->current;
}

static void set_headers(struct world *w, struct draft *d, const struct words *words, size_t from)
{
    for (size_t i = from; i < words->count; i++) {
        char *eq = strchr(words->items[i], '=');
        if (!eq)
            continue;
        *eq = '\0';
        set_header(w, d, words->items[i], eq + 1);
        *eq = '=';
    }
    d->answer.another_target = words_has(words, from, "another_target");
    d->answer.outbound = words_has(words, from, "outbound");
}

static void fill(struct world *w, struct draft *d, const struct sent *s, const struct words *words,
                 size_t from)
{
    const char *granted = words_value(words, from, "granted", '=');
    set_headers(w, d, words, from);
    int status = d->answer.status;
    bool plain = !words_value(words, from, "contact", '=') && !words_has(words, from, "empty");
    if (status >= 200 && status < 300 && plain)
        echo(d, s, granted ? (int64_t)words_number(w, granted) : -1);
    if (status == 401 && !d->answer.challenge_count)
        add_challenge(w, d, "default", false);
    if (status == 407 && !d->answer.challenge_count)
        add_challenge(w, d, "default", true);
}

void step_answer(struct world *w, const struct words *words)
{
    size_t from;
    struct sent *s = addressee(w, words, &from);
    if (words->count <= from)
        world_fail(w, "answer with what?");
    struct draft d;
    draft_init(&d, (int)words_number(w, words->items[from]));
    fill(w, &d, s, words, from + 1);
    give(w, s, &d.answer);
    draft_done(&d);
}

static void give_local(struct world *w, const struct words *words, int status, const char *reason)
{
    size_t from;
    struct sent *s = addressee(w, words, &from);
    struct draft d;
    draft_init(&d, status);
    d.answer.local = true;
    d.answer.reason = str_of(reason);
    set_headers(w, &d, words, from);
    give(w, s, &d.answer);
    draft_done(&d);
}

void step_timeout(struct world *w, const struct words *words)
{
    give_local(w, words, 408, "Request Timeout");
}

void step_unreachable(struct world *w, const struct words *words)
{
    give_local(w, words, 503, "Transport Error");
}

// answer_all <status> …: every request that nobody has looked at
void step_answer_all(struct world *w, const struct words *words)
{
    struct sent *last = NULL;
    for (struct sent *s = w->sent; s; s = s->next)
        last = s;
    for (struct sent *s = w->sent; s; s = s->next) {
        if (!s->taken) {
            s->taken = true;
            struct draft d;
            draft_init(&d, (int)words_number(w, words->items[1]));
            d.answer.local = words_has(words, 2, "local");
            fill(w, &d, s, words, 2);
            give(w, s, &d.answer);
            draft_done(&d);
        }
        if (s == last)
            return;
    }
}

// automatic [off|<granted>]: a registrar that challenges and then accepts
void step_automatic(struct world *w, const struct words *words)
{
    w->automatic = !words_has(words, 1, "off");
    w->automatic_expires =
        words->count > 1 && w->automatic ? (uint32_t)words_number(w, words->items[1]) : 3600;
    world_after(w);
}

bool steps_answer_automatically(struct world *w)
{
    bool any = false;
    for (struct sent *s = w->sent; s; s = s->next) {
        if (s->taken)
            continue;
        s->taken = true;
        any = true;
        w->taken_requests++;
        struct draft d;
        draft_init(&d, s->authorization_count ? 200 : 401);
        if (s->authorization_count)
            echo(&d, s, w->automatic_expires);
        else
            add_challenge(w, &d, "default", false);
        engine_answer(w->engine, s->token, &d.answer, w->now);
        draft_done(&d);
    }
    return any;
}
