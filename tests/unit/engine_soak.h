// What the soak of services/registrant/core stands on: its registrations, and a registrar that keeps their
// bindings and answers in any way that it likes. Judges nothing.
#ifndef ROLLCALL_TESTS_ENGINE_SOAK_H
#define ROLLCALL_TESTS_ENGINE_SOAK_H

#include "services/registrant/core/engine.h"
#include "services/registrant/core/rules.h"

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the five above
#include <cmocka.h>

#define IDS       40
#define MAX_OPEN  512
#define MAX_BOUND 16
#define MAX_ASKED 64
#define NOBODY_MS 0
#define FLOWS     3
#define KIND_S    60

struct bound { // at the registrar
    char aor[64], contact[96];
    bool by_flow;      // its key is instance and reg-id
    uint64_t until_ms; // wall
};

struct open { // a request on its way
    uint64_t token, id;
    uint32_t expires, cseq;
    char aor[64], contacts[8][96];
    size_t contact_count;
    bool authorized, outbound;
    uint64_t sent_us;
};

struct one { // a registration as the store has it
    bool wanted, removing, in_flight;
    struct registration reg;
    uint64_t revision;
    bool has_last;
    struct status last;
    uint32_t cseq;
    struct bound bound[MAX_BOUND];
    char asked[MAX_ASKED][96]; // contacts that were ever asked for, the newest ones
    size_t asked_count;
};

struct soak {
    struct rng rng;
    struct engine *engine;
    struct key_ring *ring;
    struct moment now;
    struct one ones[IDS];
    struct open open[MAX_OPEN];
    size_t open_count;
    uint64_t seed, epoch, reports, removals, registered;
    bool silent, loaded;
    bool kind;     // the registrar answers all and takes everything
    bool nat;      // the registrar's sight of us counts
    bool slow_bus; // reports wait for credits
    bool parked;
    enum engine_lease lease;
    unsigned node;
    struct rules *rules;
};

// Ids are never given twice: the next in the same place is one round higher.
static struct one *one_of(struct soak *s, uint64_t id)
{
    return &s->ones[id % IDS];
}

static uint64_t id_of(struct str to)
{
    const char *u = memmem(to.p, to.n, ":u", 2);
    assert_non_null(u);
    return strtoull(u + 2, NULL, 10);
}

static void copy(char *to, size_t size, struct str from)
{
    assert_true(from.n < size);
    memcpy(to, from.p, from.n);
    to[from.n] = '\0';
}

// ---- the registrar

// RFC 5626 6 where it is asked for, else the URI.
static bool is_flow(const struct open *o, const char *contact)
{
    return o->outbound && strstr(contact, "reg-id");
}

static bool is_key_of(const struct bound *b, const struct open *o, const char *contact)
{
    size_t a = strcspn(b->contact, ">"), n = strcspn(contact, ">");
    if (is_flow(o, contact) && b->by_flow) // an instance has only one here
        return true;
    return a == n && memcmp(b->contact, contact, n) == 0;
}

static void bind_one(struct soak *s, struct one *one, const struct open *o, const char *contact,
                     uint64_t lifetime)
{
    struct bound *slot = NULL;
    for (size_t i = 0; i < MAX_BOUND; i++) {
        struct bound *b = &one->bound[i];
        if (b->until_ms > s->now.wall_ms && strcmp(b->aor, o->aor) == 0 && is_key_of(b, o, contact))
            slot = b;
    }
    for (size_t i = 0; !slot && i < MAX_BOUND; i++)
        if (one->bound[i].until_ms <= s->now.wall_ms)
            slot = &one->bound[i];
    assert_non_null(slot);
    copy(slot->aor, sizeof(slot->aor), str_of(o->aor));
    copy(slot->contact, sizeof(slot->contact), str_of(contact));
    slot->by_flow = is_flow(o, contact);
    slot->until_ms = lifetime ? s->now.wall_ms + lifetime * 1000 : NOBODY_MS;
}

// What the request asks for is done; the list of what is bound then goes into the answer.
static void apply(struct soak *s, const struct open *o, uint32_t granted)
{
    for (size_t i = 0; i < o->contact_count; i++) {
        char contact[96];
        copy(contact, sizeof(contact), str_of(o->contacts[i]));
        char *expires = strstr(contact, ";expires=0");
        if (expires)
            *expires = '\0';
        bind_one(s, one_of(s, o->id), o, contact, expires || !o->expires ? 0 : granted);
    }
}

static void list(struct soak *s, const struct open *o, struct sip_answer *a)
{
    const struct one *one = one_of(s, o->id);
    for (size_t i = 0; i < MAX_BOUND; i++) {
        const struct bound *b = &one->bound[i];
        if (b->until_ms <= s->now.wall_ms || strcmp(b->aor, o->aor) != 0)
            continue;
        a->contacts[a->contact_count++] = (struct sip_answer_contact){
            .text = str_of(b->contact), .expires = (int64_t)((b->until_ms - s->now.wall_ms + 999) / 1000)};
    }
}

static void answer_one(struct soak *s, size_t index)
{
    static char challenge[96];
    static unsigned nonce;
    struct open o = s->open[index];
    s->open[index] = s->open[--s->open_count];
    struct sip_answer a = {.reason = STR_LIT("x"), .retry_after_s = -1, .min_expires_s = -1, .expires_s = -1};
    uint32_t granted = s->kind     ? (o.expires < KIND_S ? o.expires : KIND_S)
                       : o.expires ? 1 + (uint32_t)rng_below(&s->rng, o.expires)
                                   : 0;
    uint64_t dice = s->kind ? 50 : rng_below(&s->rng, 100);
    if (s->silent || dice < 4) { // lost: on the way there, or on the way back
        if (rng_below(&s->rng, 2))
            apply(s, &o, granted);
        a.status = 408;
        a.local = true;
        a.another_target = rng_below(&s->rng, 2);
    } else if (!o.authorized || dice < 10) {
        a.status = 401;
        (void)snprintf(challenge, sizeof(challenge), "Digest realm=\"r\", nonce=\"%u\"%s, qop=\"auth\"",
                       nonce++, dice & 1 ? ", stale=true" : "");
        a.challenges[a.challenge_count++] = str_of(challenge);
    } else if (dice < 20) {
        static const int codes[] = {403, 404, 423, 480, 500, 503, 603, 302, 200, 400, 420, 439, 494};
        a.another_target = rng_below(&s->rng, 2);
        a.unsupported = dice & 1 ? STR_LIT("path, outbound") : STR_LIT("gin, gruu");
        a.status = codes[rng_below(&s->rng, ARRAY_LEN(codes))];
        a.retry_after_s = dice & 1 ? (int64_t)rng_below(&s->rng, 100) : -1;
        a.min_expires_s = (int64_t)rng_below(&s->rng, 4000);
        if (a.status == 302) { // to others before the same bindings
            a.contacts[a.contact_count++] = (struct sip_answer_contact){STR_LIT("<sip:c.example>;q=0.1"), -1};
            a.contacts[a.contact_count++] = (struct sip_answer_contact){STR_LIT("<sip:d.example>"), -1};
        }
        if (a.status == 200) { // it binds nothing and says so
            for (size_t i = 0; i < MAX_BOUND; i++)
                if (strcmp(one_of(s, o.id)->bound[i].aor, o.aor) == 0)
                    one_of(s, o.id)->bound[i].until_ms = 0;
        }
    } else {
        apply(s, &o, granted);
        a.status = 200;
        a.outbound = o.outbound;
        a.flow = 1 + (uint32_t)rng_below(&s->rng, FLOWS);
        list(s, &o, &a);
    }
    static const char *const seen[] = {"", "203.0.113.1:4", "203.0.113.2:4", "203.0.113.2:5"};
    a.received = str_of(seen[s->kind ? 0 : rng_below(&s->rng, ARRAY_LEN(seen))]);
    a.target = dice & 1 ? STR_LIT("udp:192.0.2.50:5060") : STR_LIT("udp:192.0.2.51:5060");
    one_of(s, o.id)->in_flight = false;
    engine_answer(s->engine, o.token, &a, s->now);
    engine_answer(s->engine, o.token, &a, s->now); // a late second one touches nothing
}

#endif
