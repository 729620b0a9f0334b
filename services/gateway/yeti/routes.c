// See routes.h.
#include "services/gateway/yeti/routes.h"

#include "services/gateway/yeti/handlers.h"

#define BIT(method) (1u << (method))
#define GET         (BIT(HTTP_GET) | BIT(HTTP_HEAD))
#define POST        BIT(HTTP_POST)
#define CHANGE      (BIT(HTTP_PUT) | BIT(HTTP_PATCH))
#define DELETE      BIT(HTTP_DELETE)

static const struct route routes[] = {
    {POST, "auth", TYPE_REGISTRATIONS, login_run, ROUTE_OPEN},

    {GET, "registrations", TYPE_REGISTRATIONS, registrations_index, 0},
    {POST, "registrations", TYPE_REGISTRATIONS, registrations_create, 0},
    {GET, "registrations/export", TYPE_REGISTRATIONS, export_run, ROUTE_ADDITION | ROUTE_LINES},
    {POST, "registrations/import", TYPE_REGISTRATIONS, import_run,
     ROUTE_ADDITION | ROUTE_LINES | ROUTE_UPLOAD},
    {POST, "operations", TYPE_REGISTRATIONS, operations_run, ROUTE_ADDITION | ROUTE_ATOMIC | ROUTE_UPLOAD},
    {GET, "registrations/:id", TYPE_REGISTRATIONS, registrations_show, 0},
    {CHANGE, "registrations/:id", TYPE_REGISTRATIONS, registrations_update, 0},
    {DELETE, "registrations/:id", TYPE_REGISTRATIONS, registrations_destroy, 0},
    {GET, "registrations/:id/status", TYPE_REGISTRATIONS, registrations_status, ROUTE_ADDITION},
    {POST, "registrations/:id/refresh", TYPE_REGISTRATIONS, registrations_refresh,
     ROUTE_ADDITION | ROUTE_COMMAND},
    {POST, "registrations/:id/flush", TYPE_REGISTRATIONS, registrations_flush,
     ROUTE_ADDITION | ROUTE_COMMAND},
    {POST, "registrations/:id/audit", TYPE_REGISTRATIONS, registrations_audit,
     ROUTE_ADDITION | ROUTE_COMMAND},
    {GET, "registrations/:id/:rel", TYPE_REGISTRATIONS, registrations_related, 0},
    {GET, "registrations/:id/relationships/:rel", TYPE_REGISTRATIONS, registrations_linkage, 0},
    {CHANGE, "registrations/:id/relationships/:rel", TYPE_REGISTRATIONS, registrations_relink, 0},
    {DELETE, "registrations/:id/relationships/:rel", TYPE_REGISTRATIONS, registrations_unlink, 0},

    {GET, "pops", TYPE_POPS, deployment_index, 0},
    {POST, "pops", TYPE_POPS, deployment_create, 0},
    {GET, "pops/:id", TYPE_POPS, deployment_show, 0},
    {CHANGE, "pops/:id", TYPE_POPS, deployment_update, 0},
    {DELETE, "pops/:id", TYPE_POPS, deployment_destroy, 0},

    {GET, "nodes", TYPE_NODES, deployment_index, 0},
    {POST, "nodes", TYPE_NODES, deployment_create, 0},
    {GET, "nodes/:id", TYPE_NODES, deployment_show, 0},
    {CHANGE, "nodes/:id", TYPE_NODES, deployment_update, 0},
    {DELETE, "nodes/:id", TYPE_NODES, deployment_destroy, 0},
    {GET, "nodes/:id/:rel", TYPE_NODES, deployment_related, 0},
    {GET, "nodes/:id/relationships/:rel", TYPE_NODES, deployment_linkage, 0},
    {CHANGE, "nodes/:id/relationships/:rel", TYPE_NODES, deployment_relink, 0},
    {DELETE, "nodes/:id/relationships/:rel", TYPE_NODES, deployment_unlink, 0},

    {GET, "transport-protocols", TYPE_TRANSPORT_PROTOCOLS, deployment_index, 0},
    {GET, "transport-protocols/:id", TYPE_TRANSPORT_PROTOCOLS, deployment_show, 0},
};

// Cuts the next segment that is not empty off; false at the end.
static bool next_segment(struct str *rest, struct str *ret)
{
    while (str_split(rest, '/', ret))
        if (ret->n)
            return true;
    return false;
}

// A format suffix is tolerated and ignored.
static struct str without_suffix(struct str path)
{
    static const struct str suffixes[] = {{".json", 5}, {".xml", 4}};
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        if (str_ends(path, suffixes[i]))
            return str_slice(path, 0, path.n - suffixes[i].n);
    return path;
}

struct match {
    struct str id;
    const struct relation *relation;
};

static bool match_segment(const struct route *r, struct str wanted, struct str segment, struct match *m)
{
    if (str_eq_cstr(wanted, ":id")) {
        m->id = segment;
        return true;
    }
    if (!str_eq_cstr(wanted, ":rel"))
        return str_eq(wanted, segment);
    m->relation = type_relation(type_of(r->type), segment);
    return m->relation && !m->relation->addition;
}

static struct str below_prefix(struct str path)
{
    path = dialect_path(path);
    return without_suffix(str_slice(path, sizeof(YETI_PREFIX) - 1, path.n));
}

static bool match(const struct route *r, struct str path, struct match *m)
{
    struct str pattern = str_of(r->pattern), wanted, segment;
    while (next_segment(&pattern, &wanted))
        if (!next_segment(&path, &segment) || !match_segment(r, wanted, segment, m))
            return false;
    return !next_segment(&path, &segment);
}

bool routes_match(struct call *c)
{
    struct str path = below_prefix(http_path(c->call.http));
    bool strict = c->yeti->params.strict;
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        struct match m = {.relation = NULL};
        if (!(routes[i].methods & BIT(http_method(c->call.http))) ||
            (strict && routes[i].flags & ROUTE_ADDITION) || !match(&routes[i], path, &m))
            continue;
        c->route = &routes[i];
        c->type = type_of(routes[i].type);
        c->relation = m.relation;
        return http_decode(&c->id_text, m.id, false) == 0;
    }
    return false;
}

bool routes_takes_upload(enum http_method method, struct str path)
{
    struct match m;
    path = below_prefix(path);
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (routes[i].flags & ROUTE_UPLOAD && routes[i].methods & BIT(method) && match(&routes[i], path, &m))
            return true;
    return false;
}
