// See session.h.
#include "services/gateway/kazoo/session.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "services/gateway/kazoo/answer.h"
#include "services/gateway/kazoo/handlers.h"

#include <string.h>

#define LIFETIME_S 3600
#define REVOKED    "revoked" // the kind of its values

void kazoo_session_ask_revoked(struct call *c, store_value_fn *fn)
{
    struct str id = str_of(c->session.id);
    store_value_get(kazoo_call_store(c), store_shard(id), REVOKED, id, 0, fn, c);
}

const struct principal *kazoo_session_principal(struct call *c)
{
    const struct session_token *t = &c->session;
    const struct principals *all = dialect_principals(&c->call, c->kazoo->shared);
    const struct principal *p =
        t->user ? principals_by_id(all, t->user) : principals_api_key(all, str_of(t->key));
    return p && str_eq_cstr(str_of(t->account), p->account->hex_id) ? p : NULL;
}

static const struct account *top_of(const struct account *a)
{
    while (a->parent)
        a = a->parent;
    return a;
}

static void put_login(struct json_writer *w, const struct principal *p)
{
    const struct account *a = p->account;
    json_kv_cstr(w, "account_id", a->hex_id);
    json_kv_cstr(w, "account_name", a->title);
    if (p->id) {
        struct buf owner cleanup(buf_done) = BUF_INIT;
        buf_add_u64(&owner, p->id);
        json_kv_str(w, "owner_id", buf_str(&owner));
    }
    json_kv_cstr(w, "reseller_id", (a->parent ? a->parent : a)->hex_id);
    json_kv_bool(w, "is_reseller", false);
    json_kv_bool(w, "is_master_account", a->is_system);
    json_kv_cstr(w, "cluster_id", top_of(a)->hex_id);
    json_kv_cstr(w, "language", "en-us");
    json_key(w, "apps");
    json_begin_array(w);
    json_end_array(w);
}

static struct session_token new_session(const struct principal *p)
{
    unsigned char random[(TOKEN_ID_BYTES - 1) / 2];
    struct buf id cleanup(buf_done) = BUF_INIT;
    struct session_token t = {.user = p->id,
                              .method = p->id ? "cb_user_auth" : "cb_api_auth",
                              .expires_s = clock_wall_ms() / 1000 + LIFETIME_S};
    random_bytes(random, sizeof random);
    encode_hex(&id, random, sizeof random);
    memcpy(t.id, id.p, sizeof t.id);
    memcpy(t.account, p->account->hex_id, sizeof t.account);
    if (!p->id)
        memcpy(t.key, p->username, strlen(p->username) + 1); // at most 64 bytes (principals file)
    return t;
}

void kazoo_session_begin(struct call *c, const struct principal *p)
{
    struct buf data cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&data);
    const struct session_token t = new_session(p);
    c->call.principal = p;
    c->is_authenticated = true;
    buf_clear(&c->token);
    session_token_issue(&c->token, c->kazoo->shared->token_secret, &t);
    json_begin_object(&w);
    put_login(&w, p);
    json_end_object(&w);
    kazoo_answer_data(c, 201, buf_str(&data));
}

void kazoo_session_show_run(struct call *c)
{
    struct buf data cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&data);
    json_begin_object(&w);
    put_login(&w, c->call.principal);
    json_kv_cstr(&w, "id", c->session.id);
    json_kv_cstr(&w, "method", c->session.method);
    json_kv_u64(&w, "exp", c->session.expires_s);
    json_end_object(&w);
    kazoo_answer_data(c, 200, buf_str(&data));
}

static void on_revoked(void *arg, int rc, const struct error *err)
{
    struct call *c = arg;
    if (rc)
        kazoo_answer_failure(c, rc, err);
    else
        kazoo_answer_data(c, 200, STR_LIT("{}"));
}

void kazoo_session_revoke_run(struct call *c)
{
    struct str id = str_of(c->session.id);
    uint64_t now_ms = clock_wall_ms(), end_ms = c->session.expires_s * 1000;
    store_value_set(kazoo_call_store(c), store_shard(id), REVOKED, id, STR_LIT("1"),
                    end_ms > now_ms ? end_ms - now_ms : 1, on_revoked, c);
}
