// See secrets.h.
#include "services/gateway/ribbon/secrets.h"

#include "common/base/encode.h"
#include "common/base/mem.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#define MARK_BYTES 8

static struct seal_context context_of(const char *account, struct row_id id)
{
    return (struct seal_context){.account = str_of(account),
                                 .id = id.table << 32 | id.row,
                                 .field = "ribbon-password",
                                 .realm = STR_NONE};
}

static void wipe(struct buf *b)
{
    mem_wipe(b->p, b->n);
    buf_done(b);
}

void secrets_hide(const struct key_ring *ring, const char *account, struct row_id id,
                  const struct fieldset *before, struct fieldset *v)
{
    const struct seal_context context = context_of(account, id);
    struct buf sealed cleanup(buf_done) = BUF_INIT, held cleanup(wipe) = BUF_INIT;
    const char *old = before ? before->text[AUTH_PASSWORD] : NULL;
    struct str password = fieldset_text(v, AUTH_PASSWORD);
    if (!v->clear[AUTH_PASSWORD])
        return;
    bool same =
        old && seal_open(ring, &context, str_of(old), &held, NULL) == 0 && str_eq(buf_str(&held), password);
    mem_free_cstr(&v->mark);
    if (same) {
        buf_add_cstr(&sealed, old);
        v->mark = mem_dup_cstr(before->mark);
    } else {
        seal_text(ring, &context, password, &sealed);
    }
    fieldset_set(v, AUTH_PASSWORD, buf_str(&sealed));
}

void secrets_mark(const struct fieldset *v, struct buf *out)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    struct str sealed = fieldset_text(v, AUTH_PASSWORD);
    if (v->mark) {
        buf_add_cstr(out, v->mark);
        return;
    }
    SHA256((const unsigned char *)sealed.p, sealed.n, hash);
    encode_hex(out, hash, MARK_BYTES);
}

int secrets_hide_anew(const struct key_ring *ring, const char *account, struct row_id id, struct fieldset *v,
                      struct error *err)
{
    const struct seal_context context = context_of(account, id);
    struct buf sealed cleanup(buf_done) = BUF_INIT, clear cleanup(wipe) = BUF_INIT, mark = BUF_INIT;
    struct str held = fieldset_text(v, AUTH_PASSWORD);
    if (str_eq_cstr(seal_key_of(held), key_ring_first(ring)))
        return 0;
    int rc = seal_open(ring, &context, held, &clear, err);
    if (rc)
        return rc;
    secrets_mark(v, &mark);
    mem_free_cstr(&v->mark);
    v->mark = buf_steal(&mark);
    seal_text(ring, &context, buf_str(&clear), &sealed);
    fieldset_set(v, AUTH_PASSWORD, buf_str(&sealed));
    return 1;
}

int auth_row_read(const struct key_ring *ring, const char *account, uint64_t table, const struct object *o,
                  struct auth_row *ret, struct error *err)
{
    const struct seal_context context = context_of(account, (struct row_id){table, o->id.row});
    struct buf clear cleanup(wipe) = BUF_INIT;
    struct fieldset *values = mem_alloc(sizeof(*values));
    *ret = (struct auth_row){.values = NULL};
    int rc = fieldset_read(str_of(o->json), resource_of(STR_LIT("sipremoteauthentry")), values, err);
    if (rc) {
        free(values);
        return rc;
    }
    ret->values = values;
    rc = seal_open(ring, &context, fieldset_text(values, AUTH_PASSWORD), &clear, err);
    if (!rc)
        ret->password = mem_dup_bytes(clear.n ? clear.p : "", clear.n);
    return rc;
}

void auth_row_done(struct auth_row *row)
{
    if (row->values)
        fieldset_done(row->values);
    free(row->values);
    if (row->password)
        mem_wipe(row->password, strlen(row->password));
    free(row->password);
    *row = (struct auth_row){.values = NULL};
}
