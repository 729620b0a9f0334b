// The accounts of the file: what each says, that nothing stands twice, and who is below whom.
#include "common/base/encode.h"
#include "common/base/mem.h"
#include "services/gateway/auth/principals_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// The dialects' own settings, which they read themselves.
static const char *const dialects[] = {"yeti", "voximplant", "kazoo", "ribbon"};

#define INDEX_MARK ":by:" // proto/redis-keys.md

static bool is_hex(struct str text, size_t digits)
{
    for (size_t i = 0; i < text.n; i++)
        if (decode_hex_digit(text.p[i]) < 0 || (text.p[i] >= 'A' && text.p[i] <= 'F'))
            return false;
    return text.n == digits;
}

static void default_hex_id(struct account_record *a)
{
    unsigned char digest[SHA256_BYTES];
    struct buf hex cleanup(buf_done) = BUF_INIT;
    digest_sha256(str_of(a->view.name), digest);
    encode_hex(&hex, digest, sizeof(a->hex_id) / 2);
    memcpy(a->hex_id, hex.p, hex.n);
}

// Every account has a title and a hex id, whether it stands in the file or is only named there.
static void complete(struct account_record *a)
{
    struct account *v = &a->view;
    a->title_given = v->title != NULL;
    if (!v->title)
        v->title = v->name;
    if (!a->hex_id[0])
        default_hex_id(a);
    v->hex_id = a->hex_id;
    a->folded_title = fold_dup(str_of(v->title));
    a->folded_realm = v->realm ? fold_dup(str_of(v->realm)) : NULL;
}

static int read_hex_id(const struct members *m, struct account_record *a, struct error *err)
{
    const struct json *v = json_get(m->object, "hex_id");
    if (!v)
        return 0;
    if (!is_hex(json_str(v), sizeof(a->hex_id) - 1))
        return members_refuse(m, "hex_id", err, "takes 32 hexadecimal digits in lower case");
    memcpy(a->hex_id, json_str(v).p, sizeof(a->hex_id) - 1);
    return 0;
}

static int read_account(const struct members *m, struct account_record *a, struct error *err)
{
    int rc = members_read_text(m, "name", true, &a->view.name, err);
    if (!rc)
        rc = members_read_text(m, "title", false, &a->view.title, err);
    if (!rc)
        rc = members_number(m, "number", false, &a->view.number, err);
    if (!rc)
        rc = read_hex_id(m, a, err);
    if (!rc)
        rc = members_read_text(m, "realm", false, &a->view.realm, err);
    if (!rc)
        rc = members_read_text(m, "phone_number", false, &a->view.phone_number, err);
    if (!rc)
        rc = members_read_flag(m, "system", &a->view.is_system, err);
    for (size_t i = 0; i < ARRAY_LEN(dialects) && !rc; i++) {
        const struct json *v = json_get(m->object, dialects[i]);
        if (v && !json_is(v, JSON_OBJECT))
            rc = members_refuse(m, dialects[i], err, "takes an object");
    }
    a->view.settings = m->object;
    return rc;
}

// Of an account that is only named, the member that names it is to blame.
static int refuse(const struct members *m, const struct account_record *a, const char *key, struct error *err,
                  const char *what)
{
    return members_refuse(m, a->stands_in_file ? key : "account", err, what);
}

// A default title that another default title is already found by (names that differ in case only) is left
// out: such an account is found by its name.
static int index_title(struct principals *p, const struct members *m, struct account_record *a,
                       struct error *err)
{
    if (lookup_add_text(&p->by_title, a->folded_title, a))
        return 0;
    const struct account_record *other = lookup_text(p->by_title, str_of(a->folded_title));
    if (!a->title_given && !other->title_given)
        return 0;
    return refuse(m, a, a->title_given ? "title" : "name", err, "is another account's title or name too");
}

static int index_account(struct principals *p, const struct members *m, struct account_record *a,
                         struct error *err)
{
    uint64_t *number = &a->view.number;
    const char *twice = NULL;
    // Keys of the store: what another account's clients write into an index would be this one's.
    if (strstr(a->view.name, INDEX_MARK))
        return refuse(m, a, "name", err, "must not hold " INDEX_MARK);
    if (!lookup_add_text(&p->by_name, a->view.name, a))
        twice = "name";
    else if (*number && !lookup_add(&p->by_number, number, sizeof(*number), a))
        twice = "number";
    else if (!lookup_add_text(&p->by_hex_id, a->hex_id, a))
        twice = "hex_id";
    else if (a->view.realm && !lookup_add_text(&p->by_realm, a->folded_realm, a))
        twice = "realm";
    else if (a->view.phone_number && !lookup_add_text(&p->by_phone, a->view.phone_number, a))
        twice = "phone_number";
    return twice ? refuse(m, a, twice, err, "is another account's too") : index_title(p, m, a, err);
}

static struct account_record *add_account(struct principals *p)
{
    struct account_record *a = mem_alloc(sizeof(*a));
    p->accounts[p->account_count++] = a;
    return a;
}

int principals_read_accounts(struct principals *p, const struct json *list, struct error *err)
{
    static const char *const known[] = {"name",         "title",  "number", "hex_id", "realm",
                                        "phone_number", "parent", "system", "yeti",   "voximplant",
                                        "kazoo",        "ribbon", NULL};
    for (size_t i = 0; i < json_count(list); i++) {
        struct members m;
        struct account_record *a = add_account(p);
        a->stands_in_file = true;
        int rc = members_open(&m, json_at(list, i), "accounts", i, known, err);
        if (!rc)
            rc = read_account(&m, a, err);
        if (rc)
            return rc;
        complete(a);
        rc = index_account(p, &m, a, err);
        if (rc)
            return rc;
    }
    return 0;
}

int principals_named_account(struct principals *p, const struct members *m, const struct account **ret,
                             struct error *err)
{
    const char *name = NULL;
    int rc = members_read_text(m, "account", true, &name, err);
    if (rc)
        return rc;
    struct account_record *a = lookup_text(p->by_name, str_of(name));
    if (!a) {
        a = add_account(p);
        a->view.name = name;
        complete(a);
        rc = index_account(p, m, a, err);
    }
    *ret = &a->view;
    return rc;
}

// ---- who is below whom

// Each account is walked over once: what reaches a root is known to from then on.
static int refuse_cycles(struct principals *p, struct error *err)
{
    for (size_t i = 0; i < p->account_count; i++) {
        size_t steps = 0;
        struct account_record *a = p->accounts[i];
        while (a && !a->reaches_a_root && steps++ <= p->account_count)
            a = a->parent;
        if (steps > p->account_count)
            return error_set(err, -EINVAL, "accounts[%zu].parent leads into a circle", i);
        for (a = p->accounts[i]; a && !a->reaches_a_root; a = a->parent)
            a->reaches_a_root = true;
    }
    return 0;
}

int principals_read_parents(struct principals *p, const struct json *list, struct error *err)
{
    for (size_t i = 0; i < json_count(list); i++) {
        struct members m = {.object = json_at(list, i)};
        struct account_record *a = p->accounts[i];
        const char *name = NULL;
        (void)snprintf(m.where, sizeof(m.where), "accounts[%zu]", i);
        int rc = members_read_text(&m, "parent", false, &name, err);
        if (rc)
            return rc;
        if (!name)
            continue;
        a->parent = lookup_text(p->by_name, str_of(name));
        if (!a->parent)
            return members_refuse(&m, "parent", err, "names no account");
        a->view.parent = &a->parent->view;
    }
    return refuse_cycles(p, err);
}
