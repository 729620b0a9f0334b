// See voximplant.h. The order of checks: HTTP method, parameters, method name, credentials, rate, role, then
// the method's own.
#include "services/gateway/voximplant/voximplant.h"

#include "common/base/mem.h"
#include "services/gateway/voximplant/answer.h"
#include "services/gateway/voximplant/handlers.h"
#include "services/gateway/voximplant/login.h"
#include "services/gateway/voximplant/methods.h"

#include <stdlib.h>

struct voximplant *voximplant_new(const struct dialect_shared *shared)
{
    struct voximplant *v = mem_alloc(sizeof(*v));
    v->shared = shared;
    dialect_calls_init(&v->calls, v, free);
    return v;
}

static void answer_stopping(struct dialect_call *base)
{
    vox_answer_error(container_of(base, struct call, base), CODE_DB, "The gateway is stopping.");
}

void voximplant_free(void *voximplant)
{
    struct voximplant *v = voximplant;
    if (v)
        dialect_calls_close(&v->calls, answer_stopping);
}

// The segment of the path that names the method, decoded; empty: there is none. What has more segments names
// no method. False: no path that can be decoded.
static bool path_method(const struct http_request *r, struct buf *out)
{
    struct str path = dialect_path(http_path(r));
    path = str_slice(path, sizeof(VOXIMPLANT_PREFIX) - 1, path.n);
    while (path.n && path.p[0] == '/')
        path = str_slice(path, 1, path.n);
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    return http_decode(out, path, false) == 0;
}

static bool find_method(struct call *c)
{
    struct buf name cleanup(buf_done) = BUF_INIT;
    if (!path_method(c->base.http, &name)) {
        vox_answer_error(c, CODE_UNKNOWN_COMMAND, "The method's name in the path cannot be decoded.");
        return false;
    }
    if (!name.n)
        buf_add_str(&name, vox_params_get(&c->params, "cmd"));
    if (!name.n) {
        vox_answer_error(c, CODE_MISSING_CMD,
                         "No method is named: neither in the path nor by the parameter cmd.");
        return false;
    }
    c->method = vox_method_of(buf_str(&name));
    if (c->method)
        return true;
    vox_answer_error(c, CODE_UNKNOWN_COMMAND, "There is no method '%.100s'.", name.p);
    return false;
}

static void run(struct dialect_call *base)
{
    struct call *c = container_of(base, struct call, base);
    c->method->run(c);
}

static void take_turn(struct call *c)
{
    unsigned cost = c->method->run == vox_list_run ? FAIR_LIST : FAIR_WRITE;
    if (!dialect_admit(c->vox->shared, &c->base, FAIR_REQUESTS, cost, run, answer_stopping))
        vox_answer_error(c, CODE_RATE_LIMIT_EXCEED, "Too many requests of this account wait already.");
}

void voximplant_handle(void *voximplant, struct http_request *r)
{
    struct voximplant *v = voximplant;
    struct call *c = mem_alloc(sizeof(*c));
    struct fault fault = FAULT_NONE;
    dialect_call_begin(&v->calls, &c->base, r);
    c->vox = v;
    enum http_method m = http_method(r);
    if (m != HTTP_GET && m != HTTP_HEAD && m != HTTP_POST)
        vox_answer_not_allowed(c);
    else if (!vox_params_read(&c->params, r, &fault))
        vox_answer_fault(c, &fault);
    else if (find_method(c) && vox_login_run(c))
        take_turn(c);
}
