// See session.h. An unknown user costs what a known one does, and is told the same: 3010 is left to what can
// be no name.
#include "services/gateway/ribbon/session.h"

#include "common/base/encode.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/json/json.h"
#include "services/gateway/ribbon/envelope.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#define SESSION_KIND  "ribbon-session"
#define SESSION_BYTES 20
#define SESSION_CHARS (1 + 2 * SESSION_BYTES) // hex digit of the shard, then random ones
#define COOKIE        "PHPSESSID"
#define CSRF_COOKIE   "csrfp_token"
#define CSRF_HEADER   "x-csrf-token"
#define USERNAME_MAX  256
#define PASSWORD_MAX  128

static void wipe(struct buf *b)
{
    mem_wipe(b->p, b->n);
    buf_done(b);
}

// Changes with the password, so that a new one ends the sessions of the old one.
static uint32_t password_mark(const struct principal *p)
{
    return hash_murmur2(str_of(p->password_hash));
}

static const struct principal *user_of(struct call *c, struct str name)
{
    const struct principal *p =
        principals_by_username(dialect_principals(&c->call, c->ribbon->params.shared), name);
    return p && p->password_hash ? p : NULL; // keys of other dialects do not log in
}

// ---- login

static void add_random(struct buf *out)
{
    unsigned char bytes[SESSION_BYTES];
    random_bytes(bytes, sizeof(bytes));
    encode_hex(out, bytes, sizeof(bytes));
}

static void put_cookie(struct call *c, const char *name, struct str value, const char *attributes)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    bool secure = strcmp(dialect_scheme(c->ribbon->params.shared, c->call.http), "https") == 0;
    buf_addf(&text, "%s=" STR_FMT "; path=/%s%s", name, STR_ARG(value), secure ? "; secure" : "", attributes);
    http_reply_header(c->call.http, "set-cookie", buf_str(&text));
}

static void on_session(void *arg, int rc, const struct error *err)
{
    struct call *c = arg;
    struct str both = buf_str(&c->text);
    if (rc) {
        envelope_failure(c, rc, err);
        return;
    }
    put_cookie(c, COOKIE, str_slice(both, 0, SESSION_CHARS), "; HttpOnly");
    put_cookie(c, CSRF_COOKIE, str_slice(both, SESSION_CHARS, both.n),
               ""); // whoever sends it back must read it
    envelope_done(c);
}

static void open_session(struct call *c, const struct principal *p)
{
    struct buf value cleanup(buf_done) = BUF_INIT;
    unsigned shard = store_shard(str_of(p->account->name));
    wipe(&c->text); // held name and password
    buf_addf(&c->text, "%x", shard);
    add_random(&c->text);
    add_random(&c->text);
    struct str id = str_slice(buf_str(&c->text), 0, SESSION_CHARS);
    struct json_writer w = json_writer(&value);
    json_begin_object(&w);
    json_kv_cstr(&w, "user", p->username);
    json_kv_u64(&w, "mark", password_mark(p));
    json_kv_str(&w, "csrf", str_slice(buf_str(&c->text), SESSION_CHARS, c->text.n));
    json_end_object(&w);
    store_value_set(call_store(c), shard, SESSION_KIND, id, buf_str(&value),
                    (uint64_t)c->ribbon->params.session_idle_ms, on_session, c);
}

static bool comes_from_allowed(const struct call *c, const struct principal *p)
{
    return dialect_allows_client(c->ribbon->params.shared, c->call.http, p);
}

static void refuse(struct call *c, unsigned app_code)
{
    struct buf name cleanup(buf_done) = BUF_INIT;
    buf_add_str(&name, c->login);
    envelope_app(c, app_code, name.n ? name.p : "", NULL);
}

static void on_password(void *arg, bool matches)
{
    struct call *c = arg;
    const struct principal *p = user_of(c, c->login);
    if (!matches || !p) {
        dialect_login_failed(c->ribbon->params.shared, c->call.http, c->login);
        refuse(c, APP_LOGIN_REFUSED);
        return;
    }
    if (!comes_from_allowed(c, p)) {
        refuse(c, APP_NOT_AUTHORISED);
        return;
    }
    open_session(c, p);
}

static void check_password(struct call *c, struct str password)
{
    const struct dialect_shared *shared = c->ribbon->params.shared;
    const struct principal *p = user_of(c, c->login);
    struct throttle_answer t = dialect_throttle_login(shared, c->call.http, c->login);
    if (!t.passes) {
        envelope_app_http(c, 429, APP_FAILURE, "Too many failed logins; come again later.", NULL);
        return;
    }
    const char *hash = p ? p->password_hash : principals_decoy_hash(c->call.principals);
    if (!dialect_check_password(shared, &c->call, hash, password, on_password, c, envelope_stopping))
        envelope_app_http(c, 503, APP_FAILURE, "Too many logins at once; try again.", NULL);
}

// Puts name and password into c->text one after the other. False: one is missing.
static bool read_login(struct call *c, size_t *ret_name_bytes)
{
    struct buf name cleanup(buf_done) = BUF_INIT, value cleanup(wipe) = BUF_INIT;
    struct buf user cleanup(buf_done) = BUF_INIT, password cleanup(wipe) = BUF_INIT;
    bool has_user = false, has_password = false;
    struct str rest = http_body(c->call.http);
    if (!form_fits(rest))
        return false;
    while (form_next(&rest, &name, &value)) {
        bool is_user = str_eq_cstr(buf_str(&name), "Username");
        if (!is_user && !str_eq_cstr(buf_str(&name), "Password"))
            continue;
        struct buf *to = is_user ? &user : &password;
        buf_clear(to);
        buf_add_str(to, buf_str(&value));
        has_user = has_user || is_user;
        has_password = has_password || !is_user;
    }
    buf_add_str(&c->text, buf_str(&user));
    buf_add_str(&c->text, buf_str(&password));
    *ret_name_bytes = user.n;
    return has_user && has_password;
}

void session_login(struct call *c)
{
    size_t name_bytes;
    if (!read_login(c, &name_bytes)) {
        envelope_app(c, APP_MISSING, NULL);
        return;
    }
    struct str both = buf_str(&c->text);
    struct str password = str_slice(both, name_bytes, both.n);
    c->login = str_slice(both, 0, name_bytes);
    if (c->login.n > USERNAME_MAX || password.n > PASSWORD_MAX)
        envelope_app(c, APP_RANGE, "login", "", NULL);
    else if (!c->login.n)
        refuse(c, APP_USER_UNKNOWN);
    else
        check_password(c, password);
}

// ---- each request

static bool session_id(const struct call *c, struct str *ret, unsigned *ret_shard)
{
    *ret = http_cookie(c->call.http, COOKIE);
    for (size_t i = 0; i < ret->n; i++)
        if (decode_hex_digit(ret->p[i]) < 0)
            return false;
    if (ret->n != SESSION_CHARS)
        return false;
    *ret_shard = (unsigned)decode_hex_digit(ret->p[0]);
    return true;
}

static void answer_no_session(struct call *c)
{
    envelope_app(c, APP_NO_SESSION, NULL);
}

static bool is_token(struct str given, struct str wanted)
{
    return given.n == wanted.n && CRYPTO_memcmp(given.p, wanted.p, wanted.n) == 0;
}

// The session's user as far as the present principals still know it.
static bool take_session(struct call *c, struct str value)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    if (json_parse(value, NULL, &root, NULL))
        return false;
    const struct principal *p = user_of(c, json_str(json_get(root, "user")));
    bool csrf = !c->ribbon->params.csrf ||
                is_token(http_header(c->call.http, CSRF_HEADER), json_str(json_get(root, "csrf")));
    if (!p || !csrf || json_u64_or(json_get(root, "mark"), 0) != password_mark(p) ||
        !comes_from_allowed(c, p))
        return false;
    c->call.principal = p;
    c->call.account = p->account;
    return true;
}

static void run(struct dialect_call *base)
{
    struct call *c = container_of(base, struct call, call);
    c->next(c);
}

// The entries that are registrations of other dialects are streamed.
static enum fair_lane lane_of(const struct call *c)
{
    return c->path.count == 3 && str_eq_cstr(c->path.parts[1], "65535") ? FAIR_BULK : FAIR_REQUESTS;
}

static unsigned cost_of(const struct call *c)
{
    enum http_method m = http_method(c->call.http);
    return m == HTTP_GET || m == HTTP_HEAD ? FAIR_READ : FAIR_WRITE;
}

static void on_value(void *arg, int rc, struct str value, const struct error *err)
{
    struct call *c = arg;
    if (rc && rc != -ENOENT)
        envelope_failure(c, rc, err);
    else if (rc || !take_session(c, value))
        answer_no_session(c);
    else if (!dialect_throttle(c->ribbon->params.shared, &c->call, 1).passes)
        envelope_app_http(c, 429, APP_FAILURE, "Too many requests; come again later.", NULL);
    else if (!dialect_admit(c->ribbon->params.shared, &c->call, lane_of(c), cost_of(c), run,
                            envelope_stopping))
        envelope_app_http(c, 503, APP_FAILURE, "Too many requests of this account wait already.", NULL);
}

void session_check(struct call *c, call_fn *next)
{
    struct str id;
    unsigned shard;
    if (!session_id(c, &id, &shard)) {
        answer_no_session(c);
        return;
    }
    c->next = next;
    store_value_get(call_store(c), shard, SESSION_KIND, id, (uint64_t)c->ribbon->params.session_idle_ms,
                    on_value, c);
}

// ---- logout

static void on_deleted(void *arg, int rc, const struct error *err)
{
    struct call *c = arg;
    if (rc && rc != -ENOENT)
        envelope_failure(c, rc, err);
    else
        envelope_done(c);
}

void session_logout(struct call *c)
{
    struct str id;
    unsigned shard;
    if (session_id(c, &id, &shard))
        store_value_delete(call_store(c), shard, SESSION_KIND, id, on_deleted, c);
    else
        envelope_done(c);
}
