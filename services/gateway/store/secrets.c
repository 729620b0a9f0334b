// See secrets.h. Clear text lives no longer than the call that opened it, and is wiped.
#include "services/gateway/store/secrets.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct seal_context context_of(const struct registration *r, size_t i)
{
    return (struct seal_context){
        .account = str_of(r->account),
        .id = r->id,
        .field = "password",
        .realm = str_of(r->credentials[i].realm),
    };
}

static void wipe(struct buf *clear)
{
    mem_wipe(clear->p, clear->n);
    buf_done(clear);
}

static void wipe_cstr(char **clear)
{
    if (*clear)
        mem_wipe(*clear, strlen(*clear));
    free(*clear);
    *clear = NULL;
}

int secrets_open(const struct key_ring *ring, const struct registration *r, size_t i, char **ret,
                 struct error *err)
{
    if (i >= r->credential_count || !r->credentials[i].secret)
        return error_set(err, -ENOENT, "registration %llu has no secret there", (unsigned long long)r->id);
    if (r->credentials[i].clear) {
        *ret = mem_dup_cstr(r->credentials[i].secret);
        return 0;
    }
    struct seal_context context = context_of(r, i);
    struct buf clear cleanup(wipe) = BUF_INIT;
    int rc = seal_open(ring, &context, str_of(r->credentials[i].secret), &clear, err);
    if (rc)
        return rc;
    *ret = mem_dup_bytes(clear.p, clear.n);
    return 0;
}

static bool same_realm(const struct registration *a, size_t i, const struct registration *b, size_t j)
{
    return str_eq(str_of(a->credentials[i].realm), str_of(b->credentials[j].realm));
}

static void take_secret(struct credential *c, char *take_text)
{
    wipe_cstr(&c->secret);
    c->secret = take_text;
    c->clear = false;
}

static void seal(const struct key_ring *ring, struct registration *r, size_t i, const char *clear)
{
    struct seal_context context = context_of(r, i);
    struct buf sealed cleanup(buf_done) = BUF_INIT;
    seal_text(ring, &context, str_of(clear), &sealed);
    take_secret(&r->credentials[i], buf_steal(&sealed));
}

// Takes over the sealed text of `before` that opens to the same secret; false: there is none.
static bool keep_sealed(const struct key_ring *ring, const struct registration *before,
                        struct registration *r, size_t i)
{
    for (size_t j = 0; j < before->credential_count; j++) {
        char *clear cleanup(wipe_cstr) = NULL;
        if (before->credentials[j].clear || !same_realm(before, j, r, i) ||
            secrets_open(ring, before, j, &clear, NULL))
            continue; // one that cannot be opened cannot be compared: it is sealed anew
        if (strcmp(clear, r->credentials[i].secret))
            continue;
        take_secret(&r->credentials[i], mem_dup_cstr(before->credentials[j].secret));
        return true;
    }
    return false;
}

// A text that is sealed already, as the dialect read it from `before`.
static int seal_for_realm(const struct key_ring *ring, const struct registration *before,
                          struct registration *r, size_t i, struct error *err)
{
    size_t from = SIZE_MAX;
    for (size_t j = 0; before && j < before->credential_count; j++) {
        const char *text = before->credentials[j].secret;
        if (!text || strcmp(text, r->credentials[i].secret))
            continue;
        if (same_realm(before, j, r, i))
            return 0;
        from = j;
    }
    if (from == SIZE_MAX)
        return error_set(err, -EBADMSG, "a sealed secret that this registration never held");
    char *clear cleanup(wipe_cstr) = NULL;
    int rc = secrets_open(ring, before, from, &clear, err);
    if (rc)
        return rc;
    seal(ring, r, i, clear);
    return 0;
}

int secrets_seal(const struct key_ring *ring, const struct registration *before, struct registration *r,
                 struct error *err)
{
    for (size_t i = 0; i < r->credential_count; i++) {
        struct credential *c = &r->credentials[i];
        if (!c->secret)
            continue;
        int rc = c->clear ? 0 : seal_for_realm(ring, before, r, i, err);
        if (rc)
            return rc;
        if (c->clear && !(before && keep_sealed(ring, before, r, i)))
            seal(ring, r, i, c->secret);
    }
    return 0;
}
