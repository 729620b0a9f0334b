// What a gateway would say: specifications, removals, moves, snapshots.
#include "tests/scenario/steps.h"

#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text_of_value(const char *value)
{
    return strcmp(value, "none") == 0 ? NULL : mem_dup_cstr(value);
}

static void replace(char **slot, const char *value)
{
    free(*slot);
    *slot = text_of_value(value);
}

static void seal_password(struct world *w, struct model *m, size_t i)
{
    struct credential *c = &m->reg.credentials[i];
    const struct seal_context context = {
        .account = str_of(m->reg.account), .id = m->reg.id, .field = "password", .realm = str_of(c->realm)};
    struct buf sealed = BUF_INIT;
    seal_text(w->ring, &context, str_of(m->password), &sealed);
    free(c->secret);
    c->secret = buf_steal(&sealed);
}

static void begin_model(struct world *w, struct model *m, uint64_t id)
{
    char text[128];
    registration_init(&m->reg);
    m->used = true;
    m->reg.id = id;
    m->reg.account = mem_dup_cstr("acme");
    (void)snprintf(text, sizeof(text), "u%llu", (unsigned long long)id);
    m->reg.username = mem_dup_cstr(text);
    m->reg.name = mem_dup_cstr(text);
    m->reg.domain = mem_dup_cstr("example.com");
    (void)snprintf(text, sizeof(text), "sip:u%llu@192.0.2.9:5060", (unsigned long long)id);
    m->reg.contacts[0] = (struct contact){.uri = mem_dup_cstr(text), .expires = REGISTRATION_UNSET};
    m->reg.contact_count = 1;
    m->reg.retry_shape = RETRY_FIXED;
    m->reg.retry_delay_s = 30;
    m->reg.credential_count = 1;
    m->password = mem_dup_cstr("secret");
    seal_password(w, m, 0);
}

static void set_contacts(struct registration *r, const char *value)
{
    for (size_t i = 0; i < r->contact_count; i++) {
        free(r->contacts[i].uri);
        free(r->contacts[i].q);
    }
    r->contact_count = 0;
    struct str rest = str_of(value), one;
    while (str_split(&rest, ',', &one))
        r->contacts[r->contact_count++] =
            (struct contact){.uri = str_dup(one), .expires = REGISTRATION_UNSET};
}

static void set_routes(struct registration *r, const char *value)
{
    for (size_t i = 0; i < r->route_count; i++)
        free(r->route_set[i]);
    r->route_count = 0;
    struct str rest = str_of(value), one;
    while (str_split(&rest, ',', &one))
        r->route_set[r->route_count++] = str_dup(one);
}

// "MD5:0123…,SHA-256:…": in place of the password, of the credential's realm.
static void set_ha1(struct world *w, struct model *m, const char *value)
{
    struct credential *c = &m->reg.credentials[0];
    struct str rest = str_of(value), one;
    free(c->secret);
    c->secret = NULL;
    while (str_split(&rest, ',', &one)) {
        size_t at = 0, colon = str_find(one, ':', 0);
        while (at < HA1_COUNT &&
               !str_eq_cstr(str_slice(one, 0, colon), credential_ha1_name((enum credential_ha1)at)))
            at++;
        if (at == HA1_COUNT)
            world_fail(w, "an HA1 of which algorithm?");
        const struct seal_context context = {.account = str_of(m->reg.account),
                                             .id = m->reg.id,
                                             .field = credential_ha1_field((enum credential_ha1)at),
                                             .realm = str_of(c->realm)};
        struct buf sealed = BUF_INIT;
        seal_text(w->ring, &context, str_slice(one, colon + 1, one.n), &sealed);
        free(c->ha1[at]);
        c->ha1[at] = buf_steal(&sealed);
    }
}

static void clear_credentials(struct registration *r)
{
    for (size_t i = 0; i < r->credential_count; i++) {
        free(r->credentials[i].realm);
        free(r->credentials[i].user);
        free(r->credentials[i].secret);
        for (size_t k = 0; k < HA1_COUNT; k++)
            free(r->credentials[i].ha1[k]);
        r->credentials[i] = (struct credential){0};
    }
    r->credential_count = 0;
}

static void set_credential(struct world *w, struct model *m, const char *key, const char *value)
{
    struct registration *r = &m->reg;
    if (strcmp(key, "password") == 0 && strcmp(value, "none") == 0) {
        clear_credentials(r);
        return;
    }
    if (!r->credential_count)
        r->credential_count = 1;
    if (strcmp(key, "password") == 0)
        replace(&m->password, value);
    else if (strcmp(key, "auth_user") == 0)
        replace(&r->credentials[0].user, value);
    else if (strcmp(key, "auth_realm") == 0)
        replace(&r->credentials[0].realm, value);
    seal_password(w, m, 0);
    if (strcmp(key, "sealed") == 0)
        replace(&r->credentials[0].secret, value);
}

static bool set_text(struct registration *r, const char *key, const char *value)
{
    const struct {
        const char *key;
        char **slot;
    } texts[] = {{"name", &r->name},
                 {"domain", &r->domain},
                 {"aor", &r->aor},
                 {"from", &r->from},
                 {"registrar", &r->registrar},
                 {"interface", &r->interface},
                 {"display", &r->display_username}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (strcmp(key, texts[i].key) != 0)
            continue;
        replace(texts[i].slot, value);
        return true;
    }
    return false;
}

static bool set_number(struct world *w, struct registration *r, const char *key, const char *value)
{
    if (strcmp(key, "expires") == 0)
        r->expires = (int64_t)words_number(w, value);
    else if (strcmp(key, "retry_delay") == 0)
        r->retry_delay_s = (int64_t)words_number(w, value);
    else if (strcmp(key, "max_attempts") == 0)
        r->max_attempts = (int64_t)words_number(w, value);
    else if (strcmp(key, "refresh_seq") == 0)
        r->refresh_seq = words_number(w, value);
    else if (strcmp(key, "flush_seq") == 0)
        r->flush_seq = words_number(w, value);
    else if (strcmp(key, "audit_seq") == 0)
        r->audit_seq = words_number(w, value);
    else
        return false;
    return true;
}

// "a,b,…": one for each contact from the first on; "-": none for that one. A single one is the last
// contact's.
static void set_of_contacts(struct world *w, struct registration *r, const char *key, const char *value)
{
    struct str rest = str_of(value), one;
    size_t i = strchr(value, ',') ? 0 : r->contact_count - 1;
    for (; str_split(&rest, ',', &one); i++) {
        if (i == r->contact_count)
            world_fail(w, "more values than contacts");
        char *text = str_dup(one);
        bool none = strcmp(text, "-") == 0;
        if (strcmp(key, "q") == 0)
            replace(&r->contacts[i].q, none ? "none" : text);
        else
            r->contacts[i].expires = none ? REGISTRATION_UNSET : (int64_t)words_number(w, text);
        free(text);
    }
}

// "realm/user,…", in order; "-" stands for any realm. All have the registration's password.
static void set_credentials(struct world *w, struct model *m, const char *value)
{
    struct registration *r = &m->reg;
    struct str rest = str_of(value), one;
    clear_credentials(r);
    while (str_split(&rest, ',', &one)) {
        if (r->credential_count == REGISTRATION_MAX_CREDENTIALS)
            world_fail(w, "too many credentials");
        size_t slash = str_find(one, '/', 0);
        struct str realm = str_slice(one, 0, slash);
        struct credential *c = &r->credentials[r->credential_count];
        c->realm = str_eq_cstr(realm, "-") ? NULL : str_dup(realm);
        c->user = str_dup(str_slice(one, slash + 1, one.n));
        seal_password(w, m, r->credential_count++);
    }
}

static bool set_quirk(struct registration *r, const char *key, const char *value)
{
    struct quirks *q = &r->quirks;
    bool yes = strcmp(value, "yes") == 0;
    if (strcmp(key, "challenge_first") == 0)
        q->challenge_first = yes;
    else if (strcmp(key, "stagger") == 0)
        q->stagger = yes;
    else if (strcmp(key, "clear_first") == 0)
        q->clear_first = yes;
    else if (strcmp(key, "non_stale") == 0)
        q->non_stale = strcmp(value, "retry") == 0  ? NON_STALE_RETRY
                       : strcmp(value, "stop") == 0 ? NON_STALE_STOP
                                                    : NON_STALE_REJECT;
    else
        return false;
    return true;
}

static bool set_choice(struct world *w, struct registration *r, const char *key, const char *value)
{
    bool yes = strcmp(value, "yes") == 0;
    if (strcmp(key, "enabled") == 0)
        r->enabled = yes;
    else if (strcmp(key, "force_expire") == 0)
        r->force_expire = yes;
    else if (strcmp(key, "scheme") == 0)
        r->scheme = strcmp(value, "sips") == 0 ? SCHEME_SIPS : SCHEME_SIP;
    else if (strcmp(key, "retry") == 0)
        r->retry_shape = strcmp(value, "growing") == 0 ? RETRY_GROWING : RETRY_FIXED;
    else if (strcmp(key, "transport") == 0)
        r->transport = strcmp(value, "tcp") == 0   ? TRANSPORT_TCP
                       : strcmp(value, "tls") == 0 ? TRANSPORT_TLS
                       : strcmp(value, "ws") == 0  ? TRANSPORT_WS
                                                   : TRANSPORT_UDP;
    else
        return false;
    (void)w;
    return true;
}

static void set_one(struct world *w, struct model *m, char *word)
{
    char *eq = strchr(word, '=');
    if (!eq) // a flag of the step itself
        return;
    *eq = '\0';
    const char *key = word, *value = eq + 1;
    struct registration *r = &m->reg;
    if (strcmp(key, "contact") == 0)
        set_contacts(r, value);
    else if (strcmp(key, "q") == 0 || strcmp(key, "contact_expires") == 0)
        set_of_contacts(w, r, key, value);
    else if (strcmp(key, "ha1") == 0)
        set_ha1(w, m, value);
    else if (strcmp(key, "credentials") == 0)
        set_credentials(w, m, value);
    else if (strcmp(key, "route") == 0)
        set_routes(r, value);
    else if (strcmp(key, "password") == 0 || strcmp(key, "auth_user") == 0 ||
             strcmp(key, "auth_realm") == 0 || strcmp(key, "sealed") == 0)
        set_credential(w, m, key, value);
    else if (strcmp(key, "reseal") == 0)
        seal_password(w, m, 0);
    else if (strcmp(key, "rev") == 0)
        m->revision = words_number(w, value) - 1;
    else if (strcmp(key, "shard") != 0 && !set_text(r, key, value) && !set_number(w, r, key, value) &&
             !set_choice(w, r, key, value) && !set_quirk(r, key, value))
        world_fail(w, "unknown member \"%s\"", key);
    *eq = '=';
}

static struct model *set_all(struct world *w, uint64_t id, const struct words *words)
{
    struct model *m = world_model(w, id);
    if (!m->used)
        begin_model(w, m, id);
    for (size_t i = 2; i < words->count; i++)
        set_one(w, m, words->items[i]);
    return m;
}

static uint32_t shard_of(struct world *w, const struct words *words)
{
    const char *shard = words_value(words, 2, "shard", '=');
    return shard ? (uint32_t)words_number(w, shard) : 1;
}

static void tell(struct world *w, struct model *m, enum desired_op op, const struct words *words,
                 uint64_t revision)
{
    m->reg.revision = revision;
    const struct desired d = {
        .op = op,
        .reg = op == DESIRED_KEEP || op == DESIRED_REMOVE ? &m->reg : NULL,
        .id = m->reg.id,
        .revision = revision,
        .last =
            (words_has(words, 2, "last") || words_has(words, 2, "stray")) && m->has_last ? &m->last : NULL,
        .twin = words_has(words, 2, "twin"),
        .snapshot = words_has(words, 2, "snapshot"),
        .replayed = words_has(words, 2, "replayed"),
        .stray = words_has(words, 2, "stray"),
    };
    engine_desired(w->engine, shard_of(w, words), &d, w->now);
    world_after(w);
}

static void each(struct world *w, const struct words *words, enum desired_op op)
{
    uint64_t first, last;
    if (words->count < 2)
        world_fail(w, "which registration?");
    words_ids(w, words->items[1], &first, &last);
    for (uint64_t id = first; id <= last; id++) {
        struct model *m = set_all(w, id, words);
        if (!words_has(words, 2, "again"))
            m->revision++;
        tell(w, m, op, words, op == DESIRED_BURIED ? 0 : m->revision);
    }
}

void step_set(struct world *w, const struct words *words)
{
    uint64_t first, last;
    words_ids(w, words->items[1], &first, &last);
    for (uint64_t id = first; id <= last; id++)
        (void)set_all(w, id, words);
}

void step_want(struct world *w, const struct words *words)
{
    each(w, words, DESIRED_KEEP);
}

void step_remove(struct world *w, const struct words *words)
{
    each(w, words, DESIRED_REMOVE);
}

void step_moved(struct world *w, const struct words *words)
{
    each(w, words, DESIRED_MOVED);
}

void step_buried(struct world *w, const struct words *words)
{
    each(w, words, DESIRED_BURIED);
}

// snapshot <ids> [remove] [fresh]: a line of it, with the last report unless "fresh"
void step_snapshot(struct world *w, const struct words *words)
{
    uint64_t first, last;
    words_ids(w, words->items[1], &first, &last);
    for (uint64_t id = first; id <= last; id++) {
        struct model *m = set_all(w, id, words);
        m->reg.revision = m->revision;
        const struct desired d = {
            .op = words_has(words, 2, "remove") ? DESIRED_REMOVE : DESIRED_KEEP,
            .reg = &m->reg,
            .id = id,
            .revision = m->revision,
            .last = m->has_last && !words_has(words, 2, "fresh") ? &m->last : NULL,
            .twin = words_has(words, 2, "twin"),
            .snapshot = true,
        };
        engine_desired(w->engine, shard_of(w, words), &d, w->now);
        world_after(w);
    }
}
