// See ribbon.h: routes. The order of checks: session, rate, resource and method, query, ids, role, then the
// handler's.
#include "services/gateway/ribbon/ribbon.h"

#include "common/base/mem.h"
#include "services/gateway/ribbon/envelope.h"
#include "services/gateway/ribbon/handlers.h"
#include "services/gateway/ribbon/session.h"

#include <stdlib.h>
#include <string.h>

struct ribbon *ribbon_new(const struct ribbon_params *p)
{
    struct ribbon *r = mem_alloc(sizeof(*r));
    r->params = *p;
    dialect_calls_init(&r->calls, r, free);
    TAILQ_INIT(&r->writers);
    return r;
}

void ribbon_free(void *ribbon)
{
    struct ribbon *r = ribbon;
    dialect_calls_close(&r->calls, envelope_stopping);
}

struct job_kind ribbon_job_kind(struct ribbon *ribbon)
{
    return (struct job_kind){.name = SYNC_JOB, .arg = &ribbon->params, .step = sync_job_step};
}

// ---- what is asked for

static bool refuse(struct call *c, unsigned app_code)
{
    envelope_app(c, app_code, NULL);
    return false;
}

static bool refuse_resource(struct call *c)
{
    char *id = str_dup(c->path.count > 1 ? c->path.parts[1] : STR_NONE);
    char *name = str_dup(c->path.parts[c->path.count > 2 ? 2 : 0]);
    envelope_app(c, APP_ABSENT, id, name, NULL);
    free(id);
    free(name);
    return false;
}

static bool find_resource(struct call *c)
{
    const struct path *p = &c->path;
    if (!p->count)
        return refuse(c, APP_NO_RESOURCE);
    const struct resource *table = resource_of(p->parts[0]);
    if (!table || table->parent || p->too_long || (p->count > 2 && !str_eq_cstr(p->parts[2], table->child)))
        return refuse_resource(c);
    c->resource = p->count > 2 ? resource_of(p->parts[2]) : table;
    c->is_collection = p->count % 2 == 1;
    return true;
}

static bool is_read(const struct call *c)
{
    return http_method(c->call.http) == HTTP_GET || http_method(c->call.http) == HTTP_HEAD;
}

static bool check_method(struct call *c)
{
    enum http_method m = http_method(c->call.http);
    if (!is_read(c) && m != HTTP_PUT && m != HTTP_POST && m != HTTP_DELETE)
        return refuse(c, APP_METHOD);
    return true;
}

static bool read_id(struct call *c, struct str text, uint64_t max, uint64_t *ret)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return refuse(c, APP_ID);
    int rc = str_to_u64(text, ret);
    if (!rc && !*ret)
        return refuse(c, APP_ID);
    return !rc && *ret <= max ? true : refuse(c, APP_ID_RANGE);
}

static bool is_virtual(const struct call *c)
{
    return c->id.table == VIRTUAL_TABLE || (!c->resource->parent && c->id.row == VIRTUAL_TABLE);
}

static bool read_ids(struct call *c)
{
    const struct limits *l = &c->ribbon->params.limits;
    const struct resource *table = resource_of(c->path.parts[0]);
    uint64_t first = 0, max = resource_max_id(table, l);
    if (c->path.count > 1 && strcmp(table->name, "sipcontactregistrant") == 0 &&
        str_eq_cstr(c->path.parts[1], "65535"))
        max = VIRTUAL_TABLE;
    if (c->path.count > 1 && !read_id(c, c->path.parts[1], max, &first))
        return false;
    if (c->path.count <= 2) {
        c->id.row = first;
    } else {
        c->id.table = first;
        max = first == VIRTUAL_TABLE ? UINT64_MAX : resource_max_id(c->resource, l);
        if (c->path.count > 3 && !read_id(c, c->path.parts[3], max, &c->id.row))
            return false;
    }
    return !c->is_collection || is_read(c) ? true : refuse(c, APP_ID);
}

// ---- the query (4)

static bool take_parameter(struct call *c, struct str name, struct str value, unsigned *filters)
{
    bool is_details = str_eq_cstr(name, "details"), is_filter = str_eq_cstr(name, "filter");
    if (is_details) {
        c->details = str_eq_cstr(value, "true");
        return c->details || str_eq_cstr(value, "false") ? true : refuse(c, APP_QUERY);
    }
    if (!is_filter)
        return true;
    c->runtime = str_eq_cstr(value, "runtime");
    bool known = str_eq_cstr(value, "configuration") || (c->runtime && c->resource->has_runtime);
    return known && ++*filters == 1 ? true : refuse(c, APP_QUERY);
}

static bool read_query(struct call *c)
{
    struct buf name cleanup(buf_done) = BUF_INIT, value cleanup(buf_done) = BUF_INIT;
    struct str query = http_query(c->call.http);
    unsigned filters = 0;
    while (form_next(&query, &name, &value)) {
        bool is_action = str_eq_cstr(buf_str(&name), "action") && http_method(c->call.http) == HTTP_POST;
        if (is_action) {
            envelope_app(c, APP_ACTION, value.n ? value.p : "", NULL);
            return false;
        }
        if (is_read(c) && !take_parameter(c, buf_str(&name), buf_str(&value), &filters))
            return false;
    }
    c->details = c->details || filters;
    return true;
}

static bool check_body(struct call *c)
{
    if (form_fits(http_body(c->call.http)))
        return true;
    envelope_refused(c, APP_RANGE);
    return false;
}

static bool check_role(struct call *c)
{
    if (is_read(c) || principal_may(c->call.principal, MAY_WRITE))
        return true;
    envelope_app(c, APP_NOT_AUTHORISED, c->call.principal->username, NULL);
    return false;
}

// ---- routes

static void route(struct call *c)
{
    if (!find_resource(c) || !check_method(c) || !read_query(c) || !read_ids(c) || !check_role(c) ||
        !check_body(c))
        return;
    bool entries = strcmp(c->resource->name, "sipregistrantentry") == 0;
    if (is_virtual(c) && (entries || strcmp(c->resource->name, "sipcontactregistrant") == 0))
        (is_read(c) ? foreign_read : foreign_write)(c);
    else if (entries)
        (is_read(c) ? entries_read : entries_write)(c);
    else
        (is_read(c) ? tables_read : tables_write)(c);
}

static void route_logout(struct call *c)
{
    if (http_method(c->call.http) == HTTP_POST)
        session_logout(c);
    else
        envelope_app(c, APP_METHOD, NULL);
}

static struct str below_prefix(struct str path)
{
    path = dialect_path(path);
    return str_slice(path, strlen(RIBBON_PREFIX), path.n);
}

static void set_href(struct call *c)
{
    buf_addf(&c->href, "%s://" STR_FMT RIBBON_PREFIX, dialect_scheme(c->ribbon->params.shared, c->call.http),
             STR_ARG(http_host(c->call.http)));
    for (size_t i = 0; i < c->path.count; i++) {
        buf_add_char(&c->href, '/');
        buf_add_str(&c->href, c->path.parts[i]);
    }
}

static bool is_only(const struct path *p, const char *name)
{
    return p->count == 1 && str_eq_cstr(p->parts[0], name);
}

void ribbon_handle(void *ribbon, struct http_request *r)
{
    struct ribbon *owner = ribbon;
    struct call *c = mem_alloc(sizeof(*c));
    c->ribbon = owner;
    dialect_call_begin(&owner->calls, &c->call, r);
    path_split(below_prefix(http_path(r)), &c->path);
    set_href(c);
    if (!is_only(&c->path, "login"))
        session_check(c, is_only(&c->path, "logout") ? route_logout : route);
    else if (http_method(r) == HTTP_POST)
        session_login(c);
    else
        envelope_app(c, APP_METHOD, NULL);
}
