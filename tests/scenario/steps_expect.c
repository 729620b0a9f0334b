// What a scenario wants to see: requests, reports, closed partitions, numbers.
#include "tests/scenario/steps.h"

#include "common/base/mem.h"
#include "services/registrant/core/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_NEVER_AUDITED UINT64_MAX
#define SOON_US              UINT64_C(20000) // "now": a few ticks of the wheel

struct check {
    char key[32];
    char op; // '=' equal, '~' contains, '!' does not contain
    const char *value;
};

static bool parse_check(const char *word, struct check *ret)
{
    size_t n = strcspn(word, "=~!");
    if (!word[n] || n >= sizeof(ret->key))
        return false;
    memcpy(ret->key, word, n);
    ret->key[n] = '\0';
    ret->op = word[n];
    ret->value = word + n + 1;
    return true;
}

static void check_text(struct world *w, const struct check *c, const char *found)
{
    const char *text = found ? found : "none";
    bool good =
        c->op == '=' ? strcmp(text, c->value) == 0 : (strstr(text, c->value) != NULL) == (c->op == '~');
    if (!good)
        world_fail(w, "%s: wanted %c\"%s\", found \"%s\"", c->key, c->op, c->value, text);
}

// "60" or "51..60"
static void check_number(struct world *w, const struct check *c, uint64_t found)
{
    uint64_t first, last;
    words_ids(w, c->value, &first, &last);
    if (found < first || found > last)
        world_fail(w, "%s: wanted %s, found %llu", c->key, c->value, (unsigned long long)found);
}

static void check_list(struct world *w, const struct check *c, char *const *items, size_t count)
{
    struct buf joined = BUF_INIT;
    for (size_t i = 0; i < count; i++)
        buf_addf(&joined, "%s%s", i ? " | " : "", items[i]);
    check_text(w, c, count ? joined.p : NULL);
    buf_done(&joined);
}

// ---- requests

// A parameter of a Digest header, without quotes; caller frees. NULL: absent.
static char *digest_param(const char *header, const char *name)
{
    char wanted[40];
    (void)snprintf(wanted, sizeof(wanted), " %s=", name);
    const char *at = strstr(header, wanted);
    if (!at)
        return NULL;
    at += strlen(wanted);
    return *at == '"' ? mem_dup_bytes(at + 1, strcspn(at + 1, "\"")) : mem_dup_bytes(at, strcspn(at, ","));
}

static bool is_right_response(const struct model *m, const char *header)
{
    char *p[8];
    static const char *const names[] = {"username", "realm", "nonce",     "uri",
                                        "cnonce",   "qop",   "algorithm", "response"};
    char *nc = digest_param(header, "nc");
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        p[i] = digest_param(header, names[i]);
    const struct digest_input in = {
        .algorithm = digest_algorithm_of(str_of(p[6])),
        .qop = !p[5]                       ? QOP_NONE
               : strcmp(p[5], "auth") == 0 ? QOP_AUTH
                                           : QOP_AUTH_INT,
        .user = strstr(header, "userhash=true") ? str_of(m->reg.username) : str_of(p[0]),
        .password = str_of(m->password),
        .realm = str_of(p[1]),
        .nonce = str_of(p[2]),
        .method = STR_LIT("REGISTER"),
        .uri = str_of(p[3]),
        .cnonce = str_of(p[4]),
        .nc = nc ? (uint32_t)strtoul(nc, NULL, 16) : 0,
    };
    struct digest *d = digest_new();
    struct buf response = BUF_INIT;
    bool right = digest_response(d, &in, &response) == 0 && p[7] && str_eq_cstr(buf_str(&response), p[7]);
    buf_done(&response);
    digest_free(d);
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        free(p[i]);
    free(nc);
    return right;
}

static void check_authorization(struct world *w, const struct check *c, const struct sent *s)
{
    const struct model *m = world_model(w, sent_id(s));
    char found[32];
    if (strcmp(c->value, "ok") != 0) {
        (void)snprintf(found, sizeof(found), "%zu", s->authorization_count);
        check_text(w, c, s->authorization_count ? found : NULL);
        return;
    }
    if (!s->authorization_count)
        world_fail(w, "no credentials are in the request");
    for (size_t i = 0; i < s->authorization_count; i++)
        if (!is_right_response(m, s->authorizations[i]))
            world_fail(w, "the response is wrong in %s", s->authorizations[i]);
}

static void check_digest_param(struct world *w, const struct check *c, const struct sent *s)
{
    char *found = s->authorization_count ? digest_param(s->authorizations[0], c->key) : NULL;
    if (strcmp(c->key, "nc") == 0 && found)
        check_number(w, c, strtoul(found, NULL, 16));
    else
        check_text(w, c, found);
    free(found);
}

// "same": as in the last request of that registration that was looked at; "new": not so; "+1"; "up"
static void check_against_last(struct world *w, const struct check *c, const struct sent *s)
{
    const struct model *m = world_model(w, sent_id(s));
    if (strcmp(c->key, "cseq") == 0) {
        bool good = strcmp(c->value, "+1") == 0   ? s->cseq == m->last_cseq + 1
                    : strcmp(c->value, "up") == 0 ? s->cseq > m->last_cseq
                                                  : s->cseq == words_number(w, c->value);
        if (!good)
            world_fail(w, "cseq: wanted %s, found %u after %u", c->value, s->cseq, m->last_cseq);
        return;
    }
    const char *now = strcmp(c->key, "callid") == 0 ? s->call_id : strstr(s->from, ";tag=");
    const char *before = strcmp(c->key, "callid") == 0 ? m->last_call_id : m->last_from;
    bool same = before && now && strcmp(now, before) == 0;
    if (same != (strcmp(c->value, "same") == 0))
        world_fail(w, "%s: wanted %s, found \"%s\" after \"%s\"", c->key, c->value, now, before);
}

// "same": as that of every request of this registration before
static void check_affinity(struct world *w, const struct check *c, const struct sent *s)
{
    bool same = true;
    for (const struct sent *before = w->sent; before != s; before = before->next)
        same = same && (sent_id(before) != sent_id(s) || before->affinity == s->affinity);
    if (same != (strcmp(c->value, "same") == 0))
        world_fail(w, "affinity: wanted %s", c->value);
}

static bool is_timing(const char *key)
{
    return strcmp(key, "id") == 0 || strcmp(key, "as") == 0 || strcmp(key, "at") == 0 ||
           strcmp(key, "within") == 0 || strcmp(key, "after") == 0;
}

static void check_request(struct world *w, const struct sent *s, const struct check *c)
{
    const char *key = c->key;
    if (is_timing(key))
        return;
    if (strcmp(key, "ruri") == 0)
        check_text(w, c, s->request_uri);
    else if (strcmp(key, "to") == 0)
        check_text(w, c, s->to);
    else if (strcmp(key, "from") == 0)
        check_text(w, c, s->from);
    else if (strcmp(key, "next_hop") == 0)
        check_text(w, c, s->next_hop);
    else if (strcmp(key, "interface") == 0)
        check_text(w, c, *s->interface ? s->interface : NULL);
    else if (strcmp(key, "supported") == 0)
        check_text(w, c, *s->supported ? s->supported : NULL);
    else if (strcmp(key, "require") == 0)
        check_text(w, c, *s->require ? s->require : NULL);
    else if (strcmp(key, "registrar") == 0)
        check_text(w, c, s->registrar);
    else if (strcmp(key, "affinity") == 0)
        check_affinity(w, c, s);
    else if (strcmp(key, "transport") == 0)
        check_text(w, c, registration_transport_name(s->transport));
    else if (strcmp(key, "expires") == 0)
        check_number(w, c, s->expires);
    else if (strcmp(key, "contacts") == 0)
        check_number(w, c, s->contact_count);
    else if (strcmp(key, "contact") == 0)
        check_list(w, c, s->contacts, s->contact_count);
    else if (strcmp(key, "route") == 0)
        check_list(w, c, s->routes, s->route_count);
    else if (strcmp(key, "auth") == 0)
        check_authorization(w, c, s);
    else if (strcmp(key, "authorization") == 0)
        check_list(w, c, s->authorizations, s->authorization_count);
    else if (strcmp(key, "cseq") == 0 || strcmp(key, "callid") == 0 || strcmp(key, "tag") == 0)
        check_against_last(w, c, s);
    else
        check_digest_param(w, c, s);
}

static void remember(struct world *w, struct sent *s, const char *name)
{
    struct model *m = world_model(w, sent_id(s));
    const char *tag = strstr(s->from, ";tag=");
    m->last_cseq = s->cseq;
    free(m->last_call_id);
    free(m->last_from);
    m->last_call_id = mem_dup_cstr(s->call_id);
    m->last_from = mem_dup_cstr(tag);
    w->current = s;
    if (!name || w->named_count == MAX_NAMED)
        return;
    (void)snprintf(w->named[w->named_count].name, sizeof(w->named[0].name), "%s", name);
    w->named[w->named_count++].sent = s;
}

// Window of absolute times: at=T..T and after=D..D (from now), within=D; else now.
static void window(struct world *w, const struct words *words, uint64_t *ret_from_us, uint64_t *ret_to_us)
{
    const char *at = words_value(words, 2, "at", '='), *after = words_value(words, 2, "after", '=');
    const char *within = words_value(words, 2, "within", '=');
    const char *range = at ? at : after;
    uint64_t base = at ? w->start_us : w->now.us;
    *ret_from_us = 0;
    *ret_to_us = w->now.us + SOON_US;
    if (within)
        *ret_to_us = w->now.us + words_time_us(w, within);
    if (!range)
        return;
    char first[32];
    const char *dots = strstr(range, "..");
    (void)snprintf(first, sizeof(first), "%.*s", dots ? (int)(dots - range) : 31, range);
    *ret_from_us = base + words_time_us(w, first);
    *ret_to_us = base + words_time_us(w, dots ? dots + 2 : range) + SOON_US;
}

static void expect_register(struct world *w, const struct words *words)
{
    uint64_t from_us, to_us;
    const char *id = words_value(words, 2, "id", '=');
    window(w, words, &from_us, &to_us);
    struct sent *s = world_next_request(w, id ? words_number(w, id) : 0, to_us);
    if (!s)
        world_fail(w, "no REGISTER was sent");
    if (s->at_us < from_us)
        world_fail(w, "a REGISTER was sent too early, at %.3f s", (double)(s->at_us - w->start_us) / 1e6);
    s->taken = true;
    for (size_t i = 2; i < words->count; i++) {
        struct check c;
        if (!parse_check(words->items[i], &c))
            world_fail(w, "not a check: %s", words->items[i]);
        check_request(w, s, &c);
    }
    remember(w, s, words_value(words, 2, "as", '='));
}

// ---- reports

static const char *const proofs[] = {[PROOF_NONE] = "no",
                                     [PROOF_ANSWERED] = "answered",
                                     [PROOF_LAPSED] = "lapsed",
                                     [PROOF_NEVER_SENT] = "never_sent",
                                     [PROOF_TWIN] = "twin"};

static void check_bound(struct world *w, const struct status *s, const struct check *c)
{
    const struct status_bound *b = &s->bound;
    char *uris[REGISTRATION_MAX_CONTACTS];
    for (size_t i = 0; s->has_bound && i < b->sent.contact_count; i++)
        uris[i] = b->sent.contacts[i].uri;
    if (strcmp(c->key, "bound_contact") == 0)
        check_list(w, c, uris, s->has_bound && b->last_sent_wall_ms ? b->sent.contact_count : 0);
    else if (strcmp(c->key, "bound_aor") == 0)
        check_text(w, c, s->has_bound ? b->sent.aor : NULL);
    else if (strcmp(c->key, "bound_domain") == 0)
        check_text(w, c, s->has_bound ? b->sent.domain : NULL);
    else if (strcmp(c->key, "bound_revision") == 0)
        check_number(w, c, s->has_bound ? b->revision : 0);
    else if (strcmp(c->key, "bound_nc") == 0)
        check_number(w, c, s->has_bound && b->nonce_count ? b->nonces[0].nc : 0);
    else
        world_fail(w, "unknown member \"%s\"", c->key);
}

static bool check_report_number(struct world *w, const struct status *s, const struct check *c)
{
    uint64_t wall = w->now.wall_ms;
    const struct {
        const char *key;
        uint64_t found;
    } numbers[] = {
        {"code", (uint64_t)s->code},
        {"attempt", s->attempt},
        {"revision", s->revision},
        {"epoch", s->epoch},
        {"granted", s->granted_s},
        {"contacts", s->contacts.count},
        {"foreign", s->foreign},
        {"flow_timer", s->flow_timer_s},
        {"audited_ago", s->audited_at_wall_ms ? (wall - s->audited_at_wall_ms) / 1000 : REPORT_NEVER_AUDITED},
        {"refresh_acted", s->refresh_acted},
        {"flush_acted", s->flush_acted},
        {"audit_acted", s->audit_acted},
        {"next_in", (s->next_in_ms + 999) / 1000},
        {"expires_in", s->expires_at_wall_ms > wall ? (s->expires_at_wall_ms - wall + 999) / 1000 : 0},
        {"retry_after", s->retry_after_s > 0 ? (uint64_t)s->retry_after_s : 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (strcmp(c->key, numbers[i].key) != 0)
            continue;
        check_number(w, c, numbers[i].found);
        return true;
    }
    return false;
}

static void check_report(struct world *w, const struct status *s, const struct check *c)
{
    const char *key = c->key;
    if (is_timing(key) || check_report_number(w, s, c))
        return;
    if (strcmp(key, "state") == 0)
        check_text(w, c, status_state_name(s->state));
    else if (strcmp(key, "reason") == 0)
        check_text(w, c, s->reason);
    else if (strcmp(key, "warning") == 0)
        check_text(w, c, s->warning);
    else if (strcmp(key, "by") == 0)
        check_text(w, c, s->by_local ? "local" : "remote");
    else if (strcmp(key, "removed") == 0)
        check_text(w, c, proofs[s->removed]);
    else if (strcmp(key, "handover") == 0)
        check_text(w, c, s->handover ? "yes" : "no");
    else if (strcmp(key, "contact") == 0)
        check_list(w, c, s->contacts.items, s->contacts.count);
    else if (strcmp(key, "service_route") == 0)
        check_list(w, c, s->service_route.items, s->service_route.count);
    else if (strcmp(key, "path") == 0)
        check_list(w, c, s->path.items, s->path.count);
    else if (strcmp(key, "associated") == 0)
        check_list(w, c, s->associated.items, s->associated.count);
    else if (strcmp(key, "target") == 0)
        check_text(w, c, s->target);
    else if (strcmp(key, "local") == 0)
        check_text(w, c, s->local);
    else if (strcmp(key, "received") == 0)
        check_text(w, c, s->received);
    else if (strcmp(key, "pub_gruu") == 0)
        check_text(w, c, s->pub_gruu);
    else if (strcmp(key, "temp_gruu") == 0)
        check_text(w, c, s->temp_gruu);
    else if (strcmp(key, "outbound") == 0)
        check_text(w, c, s->outbound ? "yes" : "no");
    else
        check_bound(w, s, c);
}

static void expect_report(struct world *w, const struct words *words)
{
    uint64_t from_us, to_us;
    const char *id = words_value(words, 2, "id", '=');
    window(w, words, &from_us, &to_us);
    struct said *s = world_next_report(w, id ? words_number(w, id) : 0, to_us);
    if (!s)
        world_fail(w, "nothing was reported");
    if (s->at_us < from_us)
        world_fail(w, "%s was reported too early, at %.3f s", status_state_name(s->status.state),
                   (double)(s->at_us - w->start_us) / 1e6);
    for (size_t i = 2; i < words->count; i++) {
        struct check c;
        if (!parse_check(words->items[i], &c))
            world_fail(w, "not a check: %s", words->items[i]);
        check_report(w, &s->status, &c);
    }
    said_free(s);
}

// ---- the rest

static void expect_nothing(struct world *w, const struct words *words)
{
    bool requests = !words_has(words, 2, "reported"), reports = !words_has(words, 2, "sent");
    const struct sent *s = requests ? world_next_request(w, 0, w->now.us + SOON_US) : NULL;
    if (s)
        world_fail(w, "a REGISTER was sent to %s at %.3f s", s->request_uri,
                   (double)(s->at_us - w->start_us) / 1e6);
    const struct said *said = reports ? world_next_report(w, 0, w->now.us + SOON_US) : NULL;
    if (said)
        world_fail(w, "%s of %llu was reported at %.3f s", status_state_name(said->status.state),
                   (unsigned long long)said->status.id, (double)(said->at_us - w->start_us) / 1e6);
}

static void expect_closed(struct world *w, const struct words *words)
{
    for (size_t i = 0; words->count > 2 && i < w->closed_count; i++)
        if (w->closed[i] == words_number(w, words->items[2]))
            return;
    world_fail(w, "the partition is not closed");
}

static uint64_t count_of(const struct histogram *h)
{
    uint64_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(h->counts); i++)
        count += h->counts[i];
    return count;
}

// expect stats registrations=1 bound=1 in_flight=0 waiting=0 requests=2 open_requests=3 forgotten=0
static void expect_stats(struct world *w, const struct words *words)
{
    struct engine_stats stats = engine_stats(w->engine);
    uint64_t open = 0;
    for (const struct sent *s = w->sent; s; s = s->next)
        open += !s->taken;
    for (size_t i = 2; i < words->count; i++) {
        struct check c;
        if (!parse_check(words->items[i], &c))
            world_fail(w, "not a check: %s", words->items[i]);
        if (strcmp(c.key, "registrations") == 0)
            check_number(w, &c, stats.registrations);
        else if (strcmp(c.key, "bound") == 0)
            check_number(w, &c, stats.bound);
        else if (strcmp(c.key, "in_flight") == 0)
            check_number(w, &c, stats.in_flight);
        else if (strcmp(c.key, "waiting") == 0)
            check_number(w, &c, stats.waiting);
        else if (strcmp(c.key, "requests") == 0)
            check_number(w, &c, stats.requests);
        else if (strcmp(c.key, "open_requests") == 0)
            check_number(w, &c, open);
        else if (strcmp(c.key, "forgotten") == 0)
            check_number(w, &c, w->forgotten);
        else if (strcmp(c.key, "overcommitted") == 0)
            check_number(w, &c, stats.overcommitted);
        else if (strcmp(c.key, "rates_raised") == 0)
            check_number(w, &c, stats.rates_raised);
        else if (strcmp(c.key, "lapsed") == 0)
            check_number(w, &c, stats.lapsed);
        else if (strcmp(c.key, "answered") == 0)
            check_number(w, &c, count_of(&stats.answer_times));
        else if (strcmp(c.key, "answered_s") == 0)
            check_number(w, &c, stats.answer_times.sum_us / 1000000);
        else if (strcmp(c.key, "planned") == 0)
            check_number(w, &c, count_of(&stats.lateness));
        else if (strcmp(c.key, "late_s") == 0)
            check_number(w, &c, stats.lateness.sum_us / 1000000);
        else
            world_fail(w, "unknown number \"%s\"", c.key);
    }
}

static void check_registrar(struct world *w, const struct registrar_view *v, const struct check *c)
{
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"registrations", v->registrations},
                   {"registered", v->states[STATE_REGISTERED]},
                   {"bound", v->bound},
                   {"waiting", v->waiting},
                   {"in_flight", v->in_flight},
                   {"requests", v->requests},
                   {"lapsed", v->lapsed},
                   {"overcommitted", v->overcommitted},
                   {"hard", v->hard},
                   {"suspect", v->suspect},
                   {"open", v->open},
                   {"granted", v->granted_s},
                   {"granted_least", v->granted_least_s},
                   {"min_expires", v->min_expires_s},
                   {"nonce_age", v->nonce_age_s},
                   {"outbound", v->outbound}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (strcmp(c->key, numbers[i].key) == 0) {
            check_number(w, c, numbers[i].value);
            return;
        }
    for (unsigned i = 0; i < OBSERVE_CODES; i++)
        if (strcmp(c->key, observe_code_name(i)) == 0) {
            check_number(w, c, v->codes[i]);
            return;
        }
    if (strcmp(c->key, "received") == 0)
        check_text(w, c, v->received[0] ? v->received : NULL);
    else
        world_fail(w, "unknown number \"%s\"", c->key);
}

// expect registrar udp:example.com:0 registrations=1 bound=1 200=2 granted=60 …
static void expect_registrar(struct world *w, const struct words *words)
{
    struct registrar_view views[16];
    struct registrar_ranking ranking = {.items = views, .max = ARRAY_LEN(views)};
    size_t at = 0;
    while (!engine_registrars(w->engine, w->now, &ranking))
        ;
    if (words->count < 3)
        world_fail(w, "which registrar?");
    while (at < ranking.count && strcmp(views[at].name, words->items[2]) != 0)
        at++;
    if (at == ranking.count)
        world_fail(w, "there is no registrar %s", words->items[2]);
    for (size_t i = 3; i < words->count; i++) {
        struct check c;
        if (!parse_check(words->items[i], &c))
            world_fail(w, "not a check: %s", words->items[i]);
        check_registrar(w, &views[at], &c);
    }
}

// expect kept_alive <times> <seconds>: how often a flow was to be kept alive, and at which pace last
static void expect_kept_alive(struct world *w, const struct words *words)
{
    if (words->count < 4 || w->kept_alive != words_number(w, words->items[2]) ||
        w->kept_timer_s != words_number(w, words->items[3]))
        world_fail(w, "kept alive %u times, last at %u s", w->kept_alive, w->kept_timer_s);
}

void step_expect(struct world *w, const struct words *words)
{
    const char *what = words->count > 1 ? words->items[1] : "";
    if (strcmp(what, "register") == 0)
        expect_register(w, words);
    else if (strcmp(what, "report") == 0)
        expect_report(w, words);
    else if (strcmp(what, "nothing") == 0)
        expect_nothing(w, words);
    else if (strcmp(what, "kept_alive") == 0)
        expect_kept_alive(w, words);
    else if (strcmp(what, "closed") == 0)
        expect_closed(w, words);
    else if (strcmp(what, "stats") == 0)
        expect_stats(w, words);
    else if (strcmp(what, "registrar") == 0)
        expect_registrar(w, words);
    else
        world_fail(w, "expect what? \"%s\"", what);
}
