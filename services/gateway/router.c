// One row a path. What is below a dialect's prefix is that dialect's, with its own forms of error.
#include "services/gateway/router.h"

#include "common/json/json.h"
#include "services/gateway/dialect/dialect.h"
#include "services/gateway/gateway_metrics.h"
#include "services/gateway/openapi.h"

static void reply_json(struct http_request *r, int status, struct str body)
{
    http_reply_header(r, "content-type", STR_LIT("application/json"));
    http_reply_header(r, "cache-control", STR_LIT("no-store"));
    http_reply(r, status, body);
}

// The process runs and its loop turns.
static void healthz(struct router *router, struct http_request *r)
{
    (void)router;
    reply_json(r, 200, STR_LIT("{\"status\":\"ok\"}"));
}

// Fit to take requests: Redis is reached, by every loop since any may get the next request, and checked;
// Kafka was seen once. Kafka away later is `degraded`, because writes are accepted and published when it
// is back.
static void readyz(struct router *router, struct http_request *r)
{
    struct bus_health health = bus_health(router->bus);
    bool reached = health.redis_up && !router->gate->links_away;
    bool redis = reached && health.redis_approved;
    bool ready = redis && health.kafka_seen;
    struct buf body = BUF_INIT;
    struct json_writer w = json_writer(&body);
    json_begin_object(&w);
    json_kv_cstr(&w, "status", ready ? "ready" : "not ready");
    json_kv_cstr(&w, "redis", redis ? "up" : reached ? "checking for lost writes" : "down");
    json_kv_cstr(&w, "kafka", health.kafka_up ? "up" : health.kafka_seen ? "degraded" : "not seen yet");
    json_end_object(&w);
    reply_json(r, ready ? 200 : 503, buf_str(&body));
    buf_done(&body);
}

static void metrics(struct router *router, struct http_request *r)
{
    struct buf body = BUF_INIT;
    metrics_render(router->metrics, &body);
    http_reply_header(r, "content-type", STR_LIT("text/plain; version=0.0.4; charset=utf-8"));
    http_reply(r, 200, buf_str(&body));
    buf_done(&body);
}

static void openapi(struct router *router, struct http_request *r)
{
    (void)router;
    reply_json(r, 200, openapi_json());
}

static const struct own_route {
    const char *path;
    void (*answer)(struct router *router, struct http_request *r);
} own_routes[] = {
    {"/healthz", healthz},
    {"/readyz", readyz},
    {"/metrics", metrics},
    {"/openapi.json", openapi},
};

static void reply_error(struct http_request *r, int status, const char *title, const char *detail)
{
    struct buf body = BUF_INIT;
    buf_addf(&body, "{\"errors\":[{\"title\":\"%s\",\"detail\":\"%s\",\"code\":\"%d\",\"status\":\"%d\"}]}",
             title, detail, status, status);
    reply_json(r, status, buf_str(&body));
    buf_done(&body);
}

static bool is_below(struct str path, const char *prefix)
{
    struct str p = str_of(prefix);
    return str_starts(path, p) && (path.n == p.n || path.p[p.n] == '/');
}

static const struct dialect *dialect_of(const struct router *router, struct str path)
{
    for (size_t i = 0; i < router->dialect_count; i++)
        if (is_below(path, router->dialects[i].prefix))
            return &router->dialects[i];
    return NULL;
}

bool router_takes_upload(void *arg, enum http_method method, struct str path)
{
    struct str plain = dialect_path(path);
    const struct dialect *d = dialect_of(arg, plain);
    return d && d->takes_upload && d->takes_upload(d->object, method, plain);
}

void router_limited(void *arg, enum http_limit what)
{
    const struct router *router = arg;
    metrics_add(router->metrics, GATEWAY_HTTP_LIMITED, (size_t)what, 1);
}

void router_handle(void *arg, struct http_request *r)
{
    struct router *router = arg;
    struct str path = http_path(r);
    metrics_add(router->metrics, GATEWAY_HTTP_REQUESTS, (size_t)http_method(r), 1);
    const struct dialect *d = dialect_of(router, dialect_path(path));
    if (d) {
        d->handle(d->object, r);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(own_routes); i++) {
        if (!str_eq_cstr(path, own_routes[i].path))
            continue;
        if (http_method(r) == HTTP_GET || http_method(r) == HTTP_HEAD) {
            own_routes[i].answer(router, r);
            return;
        }
        http_reply_header(r, "allow", STR_LIT("GET, HEAD"));
        reply_error(r, 405, "Method not allowed", "This path answers GET and HEAD.");
        return;
    }
    reply_error(r, 404, "Not found", "There is nothing at this path.");
}
