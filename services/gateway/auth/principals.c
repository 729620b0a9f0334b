// See principals.h: the life of a loaded set and what is looked up in it. principals_file.c loads it.
#include "services/gateway/auth/principals.h"

#include "common/base/mem.h"
#include "common/base/present.h"
#include "services/gateway/auth/networks.h"
#include "services/gateway/auth/principals_internal.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

// ---- life

static void account_free(struct account_record *a)
{
    free(a->folded_title);
    free(a->folded_realm);
    free(a);
}

static void user_free(struct user_record *u)
{
    free(u->allowed_ips);
    free(u);
}

static void key_free(struct key_record *k)
{
    EVP_PKEY_free(k->public_key);
    free(k);
}

static void clear_tables(struct principals *p)
{
    struct lookup **const tables[] = {
        &p->by_name,  &p->by_number,         &p->by_hex_id,   &p->by_title,   &p->by_realm,
        &p->by_phone, &p->users_by_username, &p->users_by_id, &p->keys_by_id, &p->keys_by_digest,
    };
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        lookup_clear(tables[i]);
}

void principals_unref(struct principals *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    clear_tables(p);
    for (size_t i = 0; i < p->account_count; i++)
        account_free(p->accounts[i]);
    for (size_t i = 0; i < p->user_count; i++)
        user_free(p->users[i]);
    for (size_t i = 0; i < p->key_count; i++)
        key_free(p->keys[i]);
    free(p->accounts);
    free(p->users);
    free(p->keys);
    json_free(p->root);
    free(p);
}

// ---- looking up

char *fold_dup(struct str text)
{
    char *made = str_dup(text);
    for (size_t i = 0; i < text.n; i++)
        made[i] = made[i] >= 'A' && made[i] <= 'Z' ? (char)(made[i] - 'A' + 'a') : made[i];
    return made;
}

void digest_sha256(struct str text, unsigned char ret[SHA256_BYTES])
{
    if (EVP_Digest(text.n ? text.p : "", text.n, ret, NULL, EVP_sha256(), NULL) != 1)
        abort(); // memory
}

const struct principal *principals_by_username(const struct principals *p, struct str username)
{
    const struct user_record *u = lookup_text(p->users_by_username, username);
    return u ? &u->view : NULL;
}

const struct principal *principals_by_id(const struct principals *p, uint64_t id)
{
    const struct user_record *u = lookup_find(p->users_by_id, &id, sizeof(id));
    return u ? &u->view : NULL;
}

const struct key_record *principals_public_key(const struct principals *p, struct str id)
{
    const struct key_record *k = lookup_text(p->keys_by_id, id);
    return k && k->public_key ? k : NULL;
}

// The table is asked for the digest's first bytes only; the whole is compared in constant time, with a digest
// that nothing has where there is no such key.
const struct principal *principals_by_api_key(const struct principals *p, struct str api_key)
{
    static const unsigned char none[SHA256_BYTES];
    unsigned char digest[SHA256_BYTES];
    digest_sha256(api_key, digest);
    const struct key_record *k = lookup_find(p->keys_by_digest, digest, API_KEY_TABLE_BYTES);
    bool same = CRYPTO_memcmp(digest, k ? k->api_key_digest : none, sizeof(digest)) == 0;
    return k && same ? &k->view : NULL;
}

const struct principal *principals_api_key(const struct principals *p, struct str id)
{
    const struct key_record *k = lookup_text(p->keys_by_id, id);
    return k && !k->public_key ? &k->view : NULL;
}

size_t principals_user_count(const struct principals *p)
{
    return p->user_count;
}

const struct principal *principals_user_at(const struct principals *p, size_t index)
{
    return &p->users[index]->view;
}

static const struct account *view_of(const struct account_record *a)
{
    return a ? &a->view : NULL;
}

const struct account *principals_account(const struct principals *p, struct str name)
{
    return view_of(lookup_text(p->by_name, name));
}

const struct account *principals_account_by_number(const struct principals *p, uint64_t number)
{
    return view_of(lookup_find(p->by_number, &number, sizeof(number)));
}

const struct account *principals_account_by_hex_id(const struct principals *p, struct str hex_id)
{
    return view_of(lookup_text(p->by_hex_id, hex_id));
}

static const struct account *folded(const struct lookup *table, struct str text)
{
    char *key cleanup(mem_free_cstr) = fold_dup(text);
    return view_of(lookup_find(table, key, text.n));
}

const struct account *principals_account_by_title(const struct principals *p, struct str title)
{
    return folded(p->by_title, title);
}

const struct account *principals_account_by_realm(const struct principals *p, struct str realm)
{
    return folded(p->by_realm, realm);
}

const struct account *principals_account_by_phone(const struct principals *p, struct str phone_number)
{
    return view_of(lookup_text(p->by_phone, phone_number));
}

size_t principals_account_count(const struct principals *p)
{
    return p->account_count;
}

const struct account *principals_account_at(const struct principals *p, size_t index)
{
    return &p->accounts[index]->view;
}

const char *principals_decoy_hash(const struct principals *p)
{
    // Where there is no user, all names are unknown and the time tells nothing: any hash will do.
    return p->user_count ? p->users[0]->view.password_hash : "$6$nobody$";
}

// ---- what they may

static const char *const role_names[] = {
    [ROLE_OWNER] = "owner",           [ROLE_ADMIN] = "admin",           [ROLE_DEVELOPER] = "developer",
    [ROLE_SUPERVISOR] = "supervisor", [ROLE_ACCOUNTANT] = "accountant", [ROLE_SUPPORT] = "support",
};

enum role role_of(struct str name)
{
    unsigned role = 0;
    while (role < ROLE_COUNT && !str_eq_cstr(name, role_names[role]))
        role++;
    return (enum role)role;
}

bool account_is_within(const struct account *a, const struct account *ancestor)
{
    while (a && a != ancestor)
        a = a->parent;
    return a != NULL;
}

bool principal_may(const struct principal *p, enum permission what)
{
    const unsigned deployers = ROLE_BIT(ROLE_OWNER) | ROLE_BIT(ROLE_ADMIN);
    switch (what) {
    case MAY_READ:
        return true;
    case MAY_WRITE:
        return (p->roles & (deployers | ROLE_BIT(ROLE_DEVELOPER))) != 0;
    case MAY_DEPLOY:
        return (p->roles & deployers) != 0;
    }
    return false;
}

bool principal_allows_ip(const struct principal *p, struct str address)
{
    if (!p->allowed_ips[0])
        return true;
    for (size_t i = 0; p->allowed_ips[i]; i++)
        if (network_has(str_of(p->allowed_ips[i]), address))
            return true;
    return false;
}

// ---- the present set

struct principals_box {
    struct present set;
};

struct principals_box *principals_box_new(struct principals *take_first)
{
    struct principals_box *box = mem_alloc(sizeof(*box));
    present_init(&box->set, take_first);
    return box;
}

void principals_box_free(struct principals_box *box)
{
    principals_unref(present_done(&box->set));
    free(box);
}

static void ref(void *held)
{
    struct principals *p = held;
    (void)atomic_fetch_add(&p->refs, 1);
}

struct principals *principals_box_get(struct principals_box *box)
{
    return present_get(&box->set, ref);
}

void principals_box_swap(struct principals_box *box, struct principals *take_next)
{
    principals_unref(present_swap(&box->set, take_next));
}
