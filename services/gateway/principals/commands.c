// See commands.h. Each makes one record and leaves it to the reader of the file to say whether it fits.
#include "services/gateway/principals/commands.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/config/settings.h"
#include "services/gateway/auth/principals_internal.h"
#include "services/gateway/auth/token.h"
#include "services/gateway/principals/edit.h"
#include "services/gateway/principals/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { API_KEY_BYTES = 32 };

// ---- records

static void put_text(struct json_writer *w, const char *key, const char *text)
{
    if (text)
        json_kv_cstr(w, key, text);
}

static int put_number(struct json_writer *w, const char *key, const char *text, struct error *err)
{
    uint64_t value;
    if (!text)
        return 0;
    if (str_to_u64(str_of(text), &value))
        return error_set(err, -EINVAL, "--%s takes a number", key);
    json_kv_u64(w, key, value);
    return 0;
}

static void put_list(struct json_writer *w, const char *key, const char *const *texts, size_t count)
{
    if (!count)
        return;
    json_key(w, key);
    json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        json_put_cstr(w, texts[i]);
    json_end_array(w);
}

static const char *key_id(const struct options *o, char scratch[37])
{
    unsigned char random[16];
    if (o->id)
        return o->id;
    random_bytes(random, sizeof(random));
    encode_uuid(scratch, random);
    return scratch;
}

static int add_key(struct edit *e, const struct options *o, const char *id, const char *secret_member,
                   struct str secret, struct error *err)
{
    struct buf record cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&record);
    json_begin_object(&w);
    json_kv_cstr(&w, "id", id);
    json_kv_cstr(&w, "account", o->account);
    put_list(&w, "roles", o->roles, o->role_count);
    json_kv_str(&w, secret_member, secret);
    json_end_object(&w);
    return edit_add(e, "keys", buf_str(&record), err);
}

// ---- subcommands

static int add_account(const struct options *o, struct edit *e, struct buf *out, struct error *err)
{
    struct buf record cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&record);
    json_begin_object(&w);
    json_kv_cstr(&w, "name", o->name);
    put_text(&w, "title", o->title);
    int rc = put_number(&w, "number", o->number, err);
    put_text(&w, "hex_id", o->hex_id);
    put_text(&w, "realm", o->realm);
    put_text(&w, "phone_number", o->phone_number);
    put_text(&w, "parent", o->parent);
    if (o->system)
        json_kv_bool(&w, "system", true);
    json_end_object(&w);
    if (!rc)
        rc = edit_add(e, "accounts", buf_str(&record), err);
    if (!rc)
        buf_addf(out, "added the account %s\n", o->name);
    return rc;
}

static uint64_t next_user_id(const struct json *users)
{
    uint64_t highest = 0;
    for (size_t i = 0; i < json_count(users); i++) {
        uint64_t id = json_u64_or(json_get(json_at(users, i), "id"), 0);
        highest = id > highest ? id : highest;
    }
    return highest + 1;
}

static void put_hashes(struct json_writer *w, const char *username, const char *password)
{
    struct buf hash cleanup(buf_done) = BUF_INIT;
    secret_hash(&hash, password);
    json_kv_str(w, "password", buf_str(&hash));
    static const struct {
        const char *member, *digest;
    } credentials[] = {{"credentials_md5", "MD5"}, {"credentials_sha", "SHA1"}};
    for (size_t i = 0; i < ARRAY_LEN(credentials); i++) {
        buf_clear(&hash);
        secret_hash_credentials(&hash, credentials[i].digest, username, password);
        json_kv_str(w, credentials[i].member, buf_str(&hash));
    }
}

static void wipe(struct buf *b)
{
    mem_wipe(b->p, b->n);
    buf_done(b);
}

static int add_user(const struct options *o, struct edit *e, struct buf *out, struct error *err)
{
    struct buf record cleanup(buf_done) = BUF_INIT, password cleanup(wipe) = BUF_INIT;
    struct buf next cleanup(buf_done) = BUF_INIT;
    buf_add_u64(&next, next_user_id(json_get(e->root, "users")));
    const char *id = o->id ? o->id : next.p;
    if (principals_by_username(e->principals, str_of(o->username)))
        return error_set(err, -EEXIST, "%s: there is a user %s already", e->path, o->username);
    int rc = secret_ask_password(&password, err);
    if (rc)
        return rc;
    struct json_writer w = json_writer(&record);
    json_begin_object(&w);
    rc = put_number(&w, "id", id, err);
    json_kv_cstr(&w, "username", o->username);
    json_kv_cstr(&w, "account", o->account);
    put_list(&w, "roles", o->roles, o->role_count);
    put_list(&w, "allowed_ips", o->allowed_ips, o->allowed_ip_count);
    put_hashes(&w, o->username, password.p);
    json_end_object(&w);
    if (!rc)
        rc = edit_add(e, "users", buf_str(&record), err);
    if (!rc)
        buf_addf(out, "added the user %s with the id %s\n", o->username, id);
    return rc;
}

static void write_credentials(struct buf *out, const struct options *o, uint64_t number, const char *id,
                              struct str private_pem)
{
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    json_kv_cstr(&w, "account_email", o->email ? o->email : "");
    json_kv_u64(&w, "account_id", number);
    json_kv_cstr(&w, "key_id", id);
    json_kv_str(&w, "private_key", private_pem);
    json_end_object(&w);
    buf_add_char(out, '\n');
}

static int add_pair(const struct options *o, struct edit *e, struct buf *out, struct error *err)
{
    struct buf private_pem cleanup(wipe) = BUF_INIT, public_pem cleanup(buf_done) = BUF_INIT;
    struct buf credentials cleanup(wipe) = BUF_INIT;
    char scratch[37];
    const char *id = key_id(o, scratch);
    const struct account *a = principals_account(e->principals, str_of(o->account));
    if (!a->number)
        return error_set(err, -EINVAL, "%s: %s has no number, which the tokens of a key name its account by",
                         e->path, o->account);
    secret_make_pair(&private_pem, &public_pem);
    write_credentials(&credentials, o, a->number, id, buf_str(&private_pem));
    int rc = secret_write_file(o->credentials, buf_str(&credentials), err);
    if (rc)
        return rc;
    rc = add_key(e, o, id, "public_key", buf_str(&public_pem), err);
    if (rc)
        (void)unlink(o->credentials); // without its public half it opens nothing
    else
        buf_addf(out, "added the key %s; its private half is in %s\n", id, o->credentials);
    return rc;
}

static int add_api_key(const struct options *o, struct edit *e, struct buf *out, struct error *err)
{
    struct buf key cleanup(wipe) = BUF_INIT, hex cleanup(buf_done) = BUF_INIT;
    unsigned char random[API_KEY_BYTES], digest[SHA256_BYTES];
    char scratch[37];
    const char *id = key_id(o, scratch);
    random_bytes(random, sizeof(random));
    encode_hex(&key, random, sizeof(random));
    mem_wipe(random, sizeof(random));
    digest_sha256(buf_str(&key), digest);
    encode_hex(&hex, digest, sizeof(digest));
    int rc = add_key(e, o, id, "api_key_sha256", buf_str(&hex), err);
    if (!rc)
        buf_addf(out, "%s\n", key.p);
    return rc;
}

struct token_settings {
    char *secret;
    int64_t lifetime_s;
};

static const struct setting token_table[] = {
    {"ROLLCALL_TOKEN_SECRET", SETTING_SECRET, NULL, NULL, "HS256 key of the tokens",
     .offset = offsetof(struct token_settings, secret), .required = true},
    {"ROLLCALL_TOKEN_LIFETIME", SETTING_INT, "600", "s", "Lifetime of those tokens; 0: they do not expire",
     .offset = offsetof(struct token_settings, lifetime_s), .min = 0, .max = 31536000},
};

// The gateway's other settings may stand in the environment too.
static int read_token_settings(char *const *environment, struct token_settings *ret, struct error *err)
{
    size_t count = 0, kept = 0;
    while (environment[count])
        count++;
    char **own = mem_array(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        if (str_starts(str_of(environment[i]), STR_LIT("ROLLCALL_TOKEN_")))
            own[kept++] = environment[i];
    *ret = (struct token_settings){.secret = NULL};
    int rc = settings_load(token_table, ARRAY_LEN(token_table), own, ret, err);
    free(own);
    return rc;
}

static int print_token(const struct options *o, const struct edit *e, char *const *environment,
                       struct buf *out, struct error *err)
{
    struct token_settings s;
    const struct principal *user = principals_by_username(e->principals, str_of(o->username));
    if (!user)
        return error_set(err, -ENOENT, "%s: there is no user %s", e->path, o->username);
    int rc = read_token_settings(environment, &s, err);
    if (rc)
        return rc;
    uint64_t lifetime_s = (uint64_t)s.lifetime_s;
    if (o->lifetime && (str_to_u64(str_of(o->lifetime), &lifetime_s) || lifetime_s > 31536000))
        rc = error_set(err, -EINVAL, "--lifetime takes 0 to 31536000 seconds");
    if (!rc && strlen(s.secret) < 32)
        rc = error_set(err, -EINVAL, "ROLLCALL_TOKEN_SECRET takes 32 bytes or more");
    if (!rc) {
        token_issue(out, str_of(s.secret), user->id, clock_wall_ms() / 1000, (int64_t)lifetime_s);
        buf_add_char(out, '\n');
    }
    mem_wipe(s.secret, strlen(s.secret));
    settings_done(token_table, ARRAY_LEN(token_table), &s);
    return rc;
}

static int check(const struct edit *e, struct buf *out)
{
    buf_addf(out, "ok: %zu accounts, %zu users, %zu keys\n", e->principals->account_count,
             e->principals->user_count, e->principals->key_count);
    return 0;
}

// A misspelt account must not come into being with its first user.
static int check_account(const struct options *o, const struct edit *e, struct error *err)
{
    if (!o->account || principals_account(e->principals, str_of(o->account)))
        return 0;
    return error_set(err, -ENOENT, "%s: there is no account %s; the subcommand account adds one", e->path,
                     o->account);
}

int command_run(const struct options *o, char *const *environment, struct buf *out, struct error *err)
{
    struct edit e cleanup(edit_done);
    int rc = edit_open(&e, o->file, o->run == RUN_ACCOUNT, err);
    if (!rc)
        rc = check_account(o, &e, err);
    if (rc)
        return rc;
    switch (o->run) {
    case RUN_ACCOUNT:
        return add_account(o, &e, out, err);
    case RUN_USER:
        return add_user(o, &e, out, err);
    case RUN_KEY:
        return add_pair(o, &e, out, err);
    case RUN_API_KEY:
        return add_api_key(o, &e, out, err);
    case RUN_TOKEN:
        return print_token(o, &e, environment, out, err);
    case RUN_CHECK:
    case SUBCOMMAND_COUNT:
        break;
    }
    return check(&e, out);
}
