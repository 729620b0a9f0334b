// See routes.h. `count` shadows a user of that name.
#include "services/gateway/kazoo/routes.h"

#include "services/gateway/kazoo/handlers.h"

#define NONE                                                                                                 \
    {                                                                                                        \
        HTTP_OTHER, NULL, false                                                                              \
    }

static const struct resource account_resources[] = {
    {"registrations",
     ACCESS_ACCOUNT,
     {{HTTP_GET, kazoo_list_run, false}, {HTTP_DELETE, kazoo_flush_account_run, true}},
     "GET, DELETE"},
    {"registrations/count", ACCESS_ACCOUNT, {{HTTP_GET, kazoo_count_run, false}, NONE}, "GET"},
    {"registrations/{U}", ACCESS_ACCOUNT, {{HTTP_DELETE, kazoo_flush_username_run, true}, NONE}, "DELETE"},
};

static const struct resource resources[] = {
    {"registrations", ACCESS_SYSTEM, {{HTTP_GET, kazoo_list_run, false}, NONE}, "GET"},
    {"registrations/count", ACCESS_SYSTEM, {{HTTP_GET, kazoo_count_run, false}, NONE}, "GET"},
    {"registrations/{U}", ACCESS_SYSTEM, {{HTTP_DELETE, kazoo_no_username_run, true}, NONE}, "DELETE"},
    {"user_auth", ACCESS_OPEN, {{HTTP_PUT, kazoo_user_auth_run, false}, NONE}, "PUT"},
    {"api_auth", ACCESS_OPEN, {{HTTP_PUT, kazoo_api_auth_run, false}, NONE}, "PUT"},
    {"token_auth",
     ACCESS_SESSION,
     {{HTTP_GET, kazoo_session_show_run, false}, {HTTP_DELETE, kazoo_session_revoke_run, false}},
     "GET, DELETE"},
};

// The next segment, which may be empty; false at the end.
static bool next_segment(struct str *rest, struct str *ret)
{
    if (!rest->p)
        return false;
    size_t slash = str_find(*rest, '/', 0);
    *ret = str_slice(*rest, 0, slash);
    *rest = slash < rest->n ? str_slice(*rest, slash + 1, rest->n) : STR_NONE;
    return true;
}

static bool match(const char *pattern, struct str path, struct str *ret_username)
{
    struct str rest = str_of(pattern), wanted, segment;
    while (next_segment(&rest, &wanted)) {
        if (!next_segment(&path, &segment))
            return false;
        bool is_name = str_eq_cstr(wanted, "{U}");
        if (is_name ? !segment.n : !str_eq(wanted, segment))
            return false;
        if (is_name)
            *ret_username = segment;
    }
    return !next_segment(&path, &segment);
}

// A segment that is no encoding stands for itself: a tool that encodes nothing asks for a name with a `%` so.
static void decode_segment(struct buf *out, struct str segment)
{
    if (!http_decode(out, segment, false))
        return;
    buf_clear(out);
    buf_add_str(out, segment);
}

static void find(struct call *c, const struct resource *table, size_t count, struct str path)
{
    for (size_t i = 0; i < count && !c->resource; i++) {
        struct str username = STR_NONE;
        if (!match(table[i].pattern, path, &username))
            continue;
        decode_segment(&c->username, username);
        c->resource = &table[i];
    }
}

void kazoo_routes_match(struct call *c)
{
    struct str path = dialect_path(http_path(c->call.http)), first, id;
    path = str_slice(path, sizeof(KAZOO_PREFIX) - 1, path.n);
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    if (!path.n)
        return;
    path = str_slice(path, 1, path.n);
    struct str whole = path;
    (void)next_segment(&path, &first);
    if (!str_eq_cstr(first, "accounts") && !str_eq_cstr(first, "account")) {
        find(c, resources, ARRAY_LEN(resources), whole);
        return;
    }
    bool is_own = str_eq_cstr(first, "account"); // the account of whoever asks
    c->names_account = !is_own && next_segment(&path, &id);
    if (c->names_account)
        decode_segment(&c->account_id, id);
    find(c, account_resources, ARRAY_LEN(account_resources), path);
}

const struct verb *kazoo_routes_verb(const struct resource *r, enum http_method verb)
{
    for (size_t i = 0; i < ARRAY_LEN(r->verbs); i++)
        if (r->verbs[i].run && r->verbs[i].method == verb)
            return &r->verbs[i];
    return NULL;
}
