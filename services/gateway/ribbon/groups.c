// See groups.h. One row a group.
#include "services/gateway/ribbon/groups.h"

#include "common/base/hash.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

static void replace(char **text, const char *by)
{
    char *copy = mem_dup_cstr(by);
    free(*text);
    *text = copy;
}

static void add(struct buf *out, const char *text)
{
    buf_addf(out, "%s\n", text ? text : "\r"); // which no checked text holds
}

static void add_target(struct buf *out, const struct registration *r)
{
    add(out, r->domain);
    add(out, r->registrar);
    buf_addf(out, "%d", (int)r->transport);
}

static void copy_target(struct registration *to, const struct registration *from)
{
    replace(&to->domain, from->domain);
    replace(&to->registrar, from->registrar);
    to->transport = from->transport;
}

static void add_aor(struct buf *out, const struct registration *r)
{
    add(out, r->username);
    add(out, r->aor);
    buf_addf(out, "%d", (int)r->scheme);
}

static void copy_aor(struct registration *to, const struct registration *from)
{
    replace(&to->username, from->username);
    replace(&to->aor, from->aor);
    to->scheme = from->scheme;
}

static void add_contacts(struct buf *out, const struct registration *r)
{
    for (size_t i = 0; i < r->contact_count; i++) {
        add(out, r->contacts[i].uri);
        add(out, r->contacts[i].q);
        buf_addf(out, "%lld\n", (long long)r->contacts[i].expires);
    }
}

static void copy_contacts(struct registration *to, const struct registration *from)
{
    for (size_t i = 0; i < to->contact_count; i++) {
        free(to->contacts[i].uri);
        free(to->contacts[i].q);
    }
    to->contact_count = from->contact_count;
    for (size_t i = 0; i < from->contact_count; i++)
        to->contacts[i] = (struct contact){.uri = mem_dup_cstr(from->contacts[i].uri),
                                           .q = mem_dup_cstr(from->contacts[i].q),
                                           .expires = from->contacts[i].expires};
}

static void add_expires(struct buf *out, const struct registration *r)
{
    buf_addf(out, "%lld", (long long)registration_expires(r));
}

static void copy_expires(struct registration *to, const struct registration *from)
{
    to->expires = from->expires;
}

static void add_retry(struct buf *out, const struct registration *r)
{
    buf_addf(out, "%lld %d", (long long)r->retry_delay_s, (int)r->retry_shape);
}

static void copy_retry(struct registration *to, const struct registration *from)
{
    to->retry_delay_s = from->retry_delay_s;
    to->retry_shape = from->retry_shape;
}

static void copy_credentials(struct registration *to, const struct registration *from)
{
    for (size_t i = 0; i < to->credential_count; i++)
        credential_done(&to->credentials[i]);
    to->credential_count = from->credential_count;
    for (size_t i = 0; i < from->credential_count; i++)
        credential_copy(&to->credentials[i], &from->credentials[i]);
}

static void add_quirks(struct buf *out, const struct registration *r)
{
    buf_addf(out, "%d %d %d %d", r->quirks.challenge_first, (int)r->quirks.non_stale, r->quirks.stagger,
             r->quirks.clear_first);
}

static void copy_quirks(struct registration *to, const struct registration *from)
{
    to->quirks = from->quirks;
}

static const struct {
    void (*add)(struct buf *out, const struct registration *r); // NULL: not compared
    void (*copy)(struct registration *to, const struct registration *from);
} rows[GROUP_COUNT] = {
    [GROUP_TARGET] = {add_target, copy_target},       [GROUP_AOR] = {add_aor, copy_aor},
    [GROUP_CONTACTS] = {add_contacts, copy_contacts}, [GROUP_EXPIRES] = {add_expires, copy_expires},
    [GROUP_RETRY] = {add_retry, copy_retry},          [GROUP_CREDENTIALS] = {NULL, copy_credentials},
    [GROUP_QUIRKS] = {add_quirks, copy_quirks},
};

uint32_t group_digest(struct str text)
{
    uint32_t digest = hash_murmur2(text);
    return digest ? digest : 1;
}

void groups_digest(const struct registration *r, struct made *ret)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    *ret = (struct made){.of = {0}};
    for (size_t g = 0; g < GROUP_COUNT; g++) {
        if (!rows[g].add)
            continue;
        buf_clear(&text);
        rows[g].add(&text, r);
        ret->of[g] = group_digest(buf_str(&text));
    }
}

bool group_equal(enum group g, const struct registration *a, const struct registration *b)
{
    struct buf left cleanup(buf_done) = BUF_INIT, right cleanup(buf_done) = BUF_INIT;
    rows[g].add(&left, a);
    rows[g].add(&right, b);
    return str_eq(buf_str(&left), buf_str(&right));
}

void group_copy(enum group g, struct registration *to, const struct registration *from)
{
    rows[g].copy(to, from);
}
