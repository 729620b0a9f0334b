// See nonces.h.
#include "services/registrant/core/nonces.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define NO_OPAQUE 0xffffu

struct draft {
    struct nonce head;
    struct str nonce, opaque;
};

// A nonce and its opaque where it has one, each ended by NUL.
static size_t text_bytes(const struct nonce *n)
{
    return (size_t)n->nonce_n + 1 + (n->opaque_n == NO_OPAQUE ? 0 : (size_t)n->opaque_n + 1);
}

struct str nonce_text(const struct nonces *n, size_t i)
{
    const char *at = (const char *)&n->items[n->count];
    for (size_t k = 0; k < i; k++)
        at += text_bytes(&n->items[k]);
    return (struct str){.p = at, .n = n->items[i].nonce_n};
}

struct str nonce_opaque(const struct nonces *n, size_t i)
{
    if (n->items[i].opaque_n == NO_OPAQUE)
        return STR_NONE;
    return (struct str){.p = nonce_text(n, i).p + n->items[i].nonce_n + 1, .n = n->items[i].opaque_n};
}

static struct nonces *build(struct draft *drafts, size_t count)
{
    size_t bytes = sizeof(struct nonces) + count * sizeof(struct nonce);
    for (size_t i = 0; i < count; i++)
        bytes += drafts[i].nonce.n + 1 + (drafts[i].opaque.p ? drafts[i].opaque.n + 1 : 0);
    struct nonces *n = mem_alloc(bytes);
    n->bytes = (uint32_t)bytes;
    n->count = (uint32_t)count;
    char *at = (char *)&n->items[count];
    for (size_t i = 0; i < count; i++) {
        const struct draft *d = &drafts[i];
        n->items[i] = d->head;
        n->items[i].nonce_n = (uint16_t)d->nonce.n;
        n->items[i].opaque_n = d->opaque.p ? (uint16_t)d->opaque.n : NO_OPAQUE;
        if (d->nonce.n)
            memcpy(at, d->nonce.p, d->nonce.n);
        at += d->nonce.n + 1;
        if (d->opaque.n)
            memcpy(at, d->opaque.p, d->opaque.n);
        at += d->opaque.p ? d->opaque.n + 1 : 0;
    }
    return n;
}

static size_t unpack(const struct nonces *n, struct draft *ret)
{
    size_t count = n ? n->count : 0;
    for (size_t i = 0; i < count; i++)
        ret[i] = (struct draft){n->items[i], nonce_text(n, i), nonce_opaque(n, i)};
    return count;
}

int nonces_put(struct intern *texts, struct nonces **n, const struct digest_challenge *c, uint32_t nc,
               int64_t now_ms)
{
    if (c->nonce.n + c->opaque.n > NONCE_MAX_BYTES || c->realm.n > NONCE_MAX_BYTES)
        return -1;
    struct draft drafts[STATUS_MAX_NONCES];
    size_t count = unpack(*n, drafts), at = 0;
    while (at < count &&
           (drafts[at].head.proxy != c->proxy || !str_eq(interned_str(drafts[at].head.realm), c->realm)))
        at++;
    struct interned *realm = intern_get(texts, c->realm);
    if (at == count && count < STATUS_MAX_NONCES)
        count++;
    else {
        at = at == count ? 0 : at;
        intern_put(texts, &drafts[at].head.realm);
    }
    drafts[at] = (struct draft){.head = {.realm = realm,
                                         .since_ms = now_ms,
                                         .nc = nc,
                                         .algorithm = c->algorithm & 7u,
                                         .qop = c->qop & 3u,
                                         .algorithm_given = c->algorithm_given,
                                         .userhash = c->userhash,
                                         .proxy = c->proxy},
                                .nonce = c->nonce,
                                .opaque = c->opaque};
    struct nonces *now = build(drafts, count);
    free(*n);
    *n = now;
    return (int)at;
}

void nonces_next(struct intern *texts, struct nonces **n, struct str nextnonce, bool proxy, int64_t now_ms)
{
    for (size_t i = 0; *n && i < (*n)->count; i++) {
        const struct nonce *held = &(*n)->items[i];
        if (held->proxy != proxy)
            continue;
        if (str_eq(nonce_text(*n, i), nextnonce))
            return;
        const struct digest_challenge c = {.realm = interned_str(held->realm),
                                           .nonce = nextnonce,
                                           .opaque = nonce_opaque(*n, i),
                                           .algorithm = held->algorithm,
                                           .algorithm_given = held->algorithm_given,
                                           .userhash = held->userhash,
                                           .proxy = proxy,
                                           .qop = held->qop};
        (void)nonces_put(texts, n, &c, 0, now_ms);
        return;
    }
}

void nonces_free(struct intern *texts, struct nonces **n)
{
    for (size_t i = 0; *n && i < (*n)->count; i++)
        intern_put(texts, &(*n)->items[i].realm);
    free(*n);
    *n = NULL;
}
