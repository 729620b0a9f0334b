// See routes.h.
#include "services/gateway/yeti/routes.h"

#include "services/gateway/yeti/handlers.h"

#define BIT(method) (1u << (method))
#define GET         (BIT(HTTP_GET) | BIT(HTTP_HEAD))
#define POST        BIT(HTTP_POST)
#define CHANGE      (BIT(HTTP_PUT) | BIT(HTTP_PATCH))
#define DELETE      BIT(HTTP_DELETE)

static const struct route routes[] = {
    {POST, "auth", TYPE_REGISTRATIONS, login_run, true},

    {GET, "registrations", TYPE_REGISTRATIONS, registrations_index, false},
    {POST, "registrations", TYPE_REGISTRATIONS, registrations_create, false},
    {GET, "registrations/:id", TYPE_REGISTRATIONS, registrations_show, false},
    {CHANGE, "registrations/:id", TYPE_REGISTRATIONS, registrations_update, false},
    {DELETE, "registrations/:id", TYPE_REGISTRATIONS, registrations_destroy, false},
    {GET, "registrations/:id/status", TYPE_REGISTRATIONS, registrations_status, false},
    {GET, "registrations/:id/:rel", TYPE_REGISTRATIONS, registrations_related, false},
    {GET, "registrations/:id/relationships/:rel", TYPE_REGISTRATIONS, registrations_linkage, false},
    {CHANGE, "registrations/:id/relationships/:rel", TYPE_REGISTRATIONS, registrations_relink, false},
    {DELETE, "registrations/:id/relationships/:rel", TYPE_REGISTRATIONS, registrations_unlink, false},

    {GET, "pops", TYPE_POPS, deployment_index, false},
    {POST, "pops", TYPE_POPS, deployment_create, false},
    {GET, "pops/:id", TYPE_POPS, deployment_show, false},
    {CHANGE, "pops/:id", TYPE_POPS, deployment_update, false},
    {DELETE, "pops/:id", TYPE_POPS, deployment_destroy, false},

    {GET, "nodes", TYPE_NODES, deployment_index, false},
    {POST, "nodes", TYPE_NODES, deployment_create, false},
    {GET, "nodes/:id", TYPE_NODES, deployment_show, false},
    {CHANGE, "nodes/:id", TYPE_NODES, deployment_update, false},
    {DELETE, "nodes/:id", TYPE_NODES, deployment_destroy, false},
    {GET, "nodes/:id/:rel", TYPE_NODES, deployment_related, false},
    {GET, "nodes/:id/relationships/:rel", TYPE_NODES, deployment_linkage, false},
    {CHANGE, "nodes/:id/relationships/:rel", TYPE_NODES, deployment_relink, false},
    {DELETE, "nodes/:id/relationships/:rel", TYPE_NODES, deployment_unlink, false},

    {GET, "transport-protocols", TYPE_TRANSPORT_PROTOCOLS, deployment_index, false},
    {GET, "transport-protocols/:id", TYPE_TRANSPORT_PROTOCOLS, deployment_show, false},
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
    struct str path = http_path(c->http);
    path = without_suffix(str_slice(path, sizeof(YETI_PREFIX) - 1, path.n));
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        struct match m = {.relation = NULL};
        if (!(routes[i].methods & BIT(http_method(c->http))) || !match(&routes[i], path, &m))
            continue;
        c->route = &routes[i];
        c->type = type_of(routes[i].type);
        c->relation = m.relation;
        return http_decode(&c->id_text, m.id, false) == 0;
    }
    return false;
}
