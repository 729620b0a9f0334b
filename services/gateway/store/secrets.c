// See secrets.h. Clear text lives no longer than the call that opened it, and is wiped.
#include "services/gateway/store/secrets.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// One text of a credential that is sealed: the password, or the HA1 of an algorithm.
struct place {
    size_t credential;
    int ha1; // enum credential_ha1, or PASSWORD
};
#define PASSWORD   (-1)
#define TEXT_COUNT (1 + HA1_COUNT)

static struct place place_at(size_t credential, size_t text)
{
    return (struct place){.credential = credential, .ha1 = (int)text - 1};
}

static const char *text_at(const struct registration *r, struct place at)
{
    const struct credential *c = &r->credentials[at.credential];
    return at.ha1 == PASSWORD ? c->secret : c->ha1[at.ha1];
}

// An HA1 in clear is hexadecimal, so that of a credential one may be sealed already and another not yet.
static bool is_clear(const struct registration *r, struct place at)
{
    bool sealed = at.ha1 != PASSWORD && seal_is_sealed(str_of(text_at(r, at)));
    return r->credentials[at.credential].clear && !sealed;
}

static struct seal_context context_of(const struct registration *r, struct place at)
{
    return (struct seal_context){
        .account = str_of(r->account),
        .id = r->id,
        .field = at.ha1 == PASSWORD ? "password" : credential_ha1_field((enum credential_ha1)at.ha1),
        .realm = str_of(r->credentials[at.credential].realm),
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

static int open_text(const struct key_ring *ring, const struct registration *r, struct place at, char **ret,
                     struct error *err)
{
    struct seal_context context = context_of(r, at);
    struct buf clear cleanup(wipe) = BUF_INIT;
    int rc = seal_open(ring, &context, str_of(text_at(r, at)), &clear, err);
    if (rc)
        return rc;
    *ret = mem_dup_bytes(clear.p, clear.n);
    return 0;
}

int secrets_open(const struct key_ring *ring, const struct registration *r, size_t i, char **ret,
                 struct error *err)
{
    const struct place password = {.credential = i, .ha1 = PASSWORD};
    if (i >= r->credential_count || !text_at(r, password))
        return error_set(err, -ENOENT, "registration %llu has no secret there", (unsigned long long)r->id);
    if (!is_clear(r, password))
        return open_text(ring, r, password, ret, err);
    *ret = mem_dup_cstr(text_at(r, password));
    return 0;
}

static bool same_realm(const struct registration *a, size_t i, const struct registration *b, size_t j)
{
    return str_eq(str_of(a->credentials[i].realm), str_of(b->credentials[j].realm));
}

static void take_text(struct registration *r, struct place at, char *take)
{
    struct credential *c = &r->credentials[at.credential];
    char **text = at.ha1 == PASSWORD ? &c->secret : &c->ha1[at.ha1];
    wipe_cstr(text);
    *text = take;
}

static void seal(const struct key_ring *ring, struct registration *r, struct place at, const char *clear)
{
    struct seal_context context = context_of(r, at);
    struct buf sealed = BUF_INIT;
    seal_text(ring, &context, str_of(clear), &sealed);
    take_text(r, at, buf_steal(&sealed));
}

// Takes over the sealed text of `before` that opens to the same secret; false: there is none.
static bool keep_sealed(const struct key_ring *ring, const struct registration *before,
                        struct registration *r, struct place at)
{
    for (size_t j = 0; j < before->credential_count; j++) {
        char *clear cleanup(wipe_cstr) = NULL;
        struct place there = {.credential = j, .ha1 = at.ha1};
        if (!text_at(before, there) || is_clear(before, there) || !same_realm(before, j, r, at.credential) ||
            open_text(ring, before, there, &clear, NULL))
            continue; // one that cannot be opened cannot be compared: it is sealed anew
        if (strcmp(clear, text_at(r, at)) != 0)
            continue;
        take_text(r, at, mem_dup_cstr(text_at(before, there)));
        return true;
    }
    return false;
}

// A text that is sealed already, as the dialect read it from `before`.
static int seal_for_realm(const struct key_ring *ring, const struct registration *before,
                          struct registration *r, struct place at, struct error *err)
{
    size_t from = SIZE_MAX;
    for (size_t j = 0; before && j < before->credential_count; j++) {
        const char *text = text_at(before, (struct place){.credential = j, .ha1 = at.ha1});
        if (!text || strcmp(text, text_at(r, at)) != 0)
            continue;
        if (same_realm(before, j, r, at.credential))
            return 0;
        from = j;
    }
    if (from == SIZE_MAX)
        return error_set(err, -EBADMSG, "a sealed secret that this registration never held");
    char *clear cleanup(wipe_cstr) = NULL;
    int rc = open_text(ring, before, (struct place){.credential = from, .ha1 = at.ha1}, &clear, err);
    if (rc)
        return rc;
    seal(ring, r, at, clear);
    return 0;
}

static int seal_place(const struct key_ring *ring, const struct registration *before, struct registration *r,
                      struct place at, struct error *err)
{
    if (!text_at(r, at))
        return 0;
    if (!is_clear(r, at))
        return seal_for_realm(ring, before, r, at, err);
    if (!before || !keep_sealed(ring, before, r, at))
        seal(ring, r, at, text_at(r, at));
    return 0;
}

int secrets_seal(const struct key_ring *ring, const struct registration *before, struct registration *r,
                 struct error *err)
{
    for (size_t i = 0; i < r->credential_count; i++) {
        for (size_t text = 0; text < TEXT_COUNT; text++) {
            int rc = seal_place(ring, before, r, place_at(i, text), err);
            if (rc)
                return rc;
        }
        r->credentials[i].clear = false;
    }
    return 0;
}

bool secrets_keep(const struct key_ring *ring, const struct registration *before, struct registration *r)
{
    for (size_t i = 0; i < r->credential_count; i++) {
        for (size_t text = 0; text < TEXT_COUNT; text++) {
            struct place at = place_at(i, text);
            if (text_at(r, at) && is_clear(r, at) && !keep_sealed(ring, before, r, at))
                return false;
        }
        r->credentials[i].clear = false;
    }
    return true;
}

bool secrets_are_with(const struct registration *r, const char *key_id)
{
    for (size_t i = 0; i < r->credential_count; i++) {
        for (size_t text = 0; text < TEXT_COUNT; text++) {
            const char *sealed = text_at(r, place_at(i, text));
            if (sealed && !str_eq_cstr(seal_key_of(str_of(sealed)), key_id))
                return false;
        }
    }
    return true;
}

void secrets_key(const struct registration *r, struct buf *out)
{
    struct str first = STR_NONE;
    for (size_t i = 0; i < r->credential_count; i++) {
        for (size_t text = 0; text < TEXT_COUNT; text++) {
            const char *sealed = text_at(r, place_at(i, text));
            struct str id = sealed ? seal_key_of(str_of(sealed)) : STR_NONE;
            if (sealed && first.p && !str_eq(first, id)) {
                buf_add_char(out, '*');
                return;
            }
            first = sealed ? id : first;
        }
    }
    buf_add_str(out, first);
}

int secrets_reseal(const struct key_ring *ring, struct registration *r, struct error *err)
{
    for (size_t i = 0; i < r->credential_count; i++) {
        for (size_t text = 0; text < TEXT_COUNT; text++) {
            struct place at = place_at(i, text);
            char *clear cleanup(wipe_cstr) = NULL;
            if (!text_at(r, at) || str_eq_cstr(seal_key_of(str_of(text_at(r, at))), key_ring_first(ring)))
                continue;
            int rc = open_text(ring, r, at, &clear, err);
            if (rc)
                return rc;
            seal(ring, r, at, clear);
        }
    }
    return 0;
}
