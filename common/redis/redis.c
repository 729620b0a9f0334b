// See redis.h: the user's side, whichever way the server is found.
#include "common/redis/redis.h"

#include "common/base/mem.h"
#include "common/redis/internal.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_DEFAULT_MS = 5000 };

bool redis_error_passes(const struct error *err)
{
    static const char *const prefixes[] = {"READONLY", "LOADING",     "MISCONF",    "OOM",      "MASTERDOWN",
                                           "TRYAGAIN", "CLUSTERDOWN", "NOREPLICAS", "BUSY ",    "NOAUTH",
                                           "NOPERM",   "MOVED ",      "ASK ",       "WRONGPASS"};
    struct str text = str_of(err->text);
    if (err->code != -EIO)
        return true;
    // A right that the user lacks within a script has no code of its own (Redis 7.0, and 7.2 and later).
    if (str_find_str(text, STR_LIT("The user executing the script can't")) < text.n ||
        str_find_str(text, STR_LIT("ACL failure in script")) < text.n)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        struct str prefix = str_of(prefixes[i]);
        size_t at = str_find_str(text, prefix);
        // Redis 6 wraps what a script ran into: "ERR Error running script …: -READONLY You can't write …".
        if (at == 0 || (at < text.n && text.p[at - 1] == '-'))
            return true;
    }
    return false;
}

// ---- what the user is told

void redis_enter(struct redis *r)
{
    r->depth++;
}

static void destroy(struct redis *r)
{
    redis_cluster_free(r->cluster);
    event_free(r->answer);
    redis_url_done(&r->url);
    if (r->sentinel_password)
        mem_wipe(r->sentinel_password, strlen(r->sentinel_password));
    free(r->sentinel_password);
    free(r->tls.ca_file);
    free(r->tls.certificate_file);
    free(r->tls.key_file);
    free(r);
}

void redis_leave(struct redis *r)
{
    if (--r->depth == 0 && r->freed)
        destroy(r);
}

void redis_tell_up(struct redis *r, struct str replication_id)
{
    r->up = true;
    r->told = (struct error){0};
    if (!r->freed && r->params.on_up)
        r->params.on_up(r->params.arg, replication_id);
}

void redis_tell_down(struct redis *r, const struct error *why)
{
    // Attempts that fail for the same reason are not told again.
    if (r->freed || (!r->up && r->told.code == why->code && strcmp(r->told.text, why->text) == 0))
        return;
    r->up = false;
    r->told = *why;
    if (r->params.on_down)
        r->params.on_down(r->params.arg, why);
}

static void on_conn_up(void *arg, struct str replication_id)
{
    struct redis *r = arg;
    redis_enter(r);
    r->answered_by = ++r->connections; // all answers come over this one until it is lost
    redis_tell_up(r, replication_id);
    redis_leave(r);
}

static void on_conn_down(void *arg, const struct error *why)
{
    struct redis *r = arg;
    redis_enter(r);
    r->answered_by = 0;
    redis_tell_down(r, why);
    redis_leave(r);
}

// ---- commands

static void answer_refused(struct redis *r)
{
    struct redis_calls now;
    STAILQ_INIT(&now);
    STAILQ_CONCAT(&now, &r->refused);
    struct error err;
    error_set(&err, -ENOTCONN, "not connected to Redis");
    struct redis_call *call;
    while ((call = STAILQ_FIRST(&now))) {
        STAILQ_REMOVE_HEAD(&now, link);
        r->refused_count--;
        redis_call_answer(call, NULL, &err);
    }
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct redis *r = arg;
    redis_enter(r);
    answer_refused(r);
    redis_leave(r);
}

static void refuse(struct redis *r, struct redis_call *take_call)
{
    STAILQ_INSERT_TAIL(&r->refused, take_call, link);
    r->refused_count++;
    if (!r->freed)
        event_active(r->answer, EV_TIMEOUT, 0);
}

static void dispatch(struct redis *r, const struct redis_script *script, redis_fn *fn, void *arg, size_t argc,
                     const struct str *argv)
{
    if (!r->freed && r->cluster && redis_cluster_send(r->cluster, script, fn, arg, argc, argv))
        return;
    struct redis_call *call = redis_call_new(fn, arg);
    call->script = script;
    if (r->freed || !r->conn || !redis_conn_send(r->conn, call, argc, argv))
        refuse(r, call);
}

void redis_command(struct redis *r, redis_fn *fn, void *arg, size_t argc, const struct str *argv)
{
    dispatch(r, NULL, fn, arg, argc, argv);
}

// A key beside the first that nobody ever writes, in its slot: a server that holds only part of the slot,
// because it is being moved, lacks one of the two and refuses (TRYAGAIN) before anything was done.
static struct str guard_of(struct str key)
{
    size_t end = str_find(key, '}', 0);
    return str_slice(key, 0, end < key.n ? end + 1 : key.n);
}

void redis_script(struct redis *r, const struct redis_script *s, redis_fn *fn, void *arg, size_t key_count,
                  size_t argc, const struct str *argv)
{
    cleanup(buf_done) struct buf count = BUF_INIT;
    size_t guards = r->cluster ? 1 : 0, at = 0;
    buf_add_u64(&count, key_count + guards);
    struct str *whole = mem_array(argc + guards + 3, sizeof(*whole));
    whole[at++] = STR_LIT("EVALSHA");
    whole[at++] = str_of(s->sha1_hex);
    whole[at++] = buf_str(&count);
    for (size_t i = 0; i < key_count; i++)
        whole[at++] = argv[i];
    if (guards)
        whole[at++] = guard_of(argv[0]);
    for (size_t i = key_count; i < argc; i++)
        whole[at++] = argv[i];
    dispatch(r, s, fn, arg, at, whole);
    free(whole);
}

// ---- life

struct redis_conn_params redis_conn_defaults(struct redis *r)
{
    return (struct redis_conn_params){.base = r->params.base,
                                      .user = r->url.user,
                                      .password = r->url.password,
                                      .tls = r->url.tls ? &r->tls : NULL,
                                      .db = r->url.db,
                                      .timeout_ms = r->params.command_timeout_ms,
                                      .arg = r};
}

static int check_tls(struct redis *r, struct error *err)
{
    if (!r->tls.certificate_file != !r->tls.key_file)
        return error_set(err, -EINVAL,
                         "a certificate for Redis and its key are given together or not at all");
    if (!r->url.tls)
        return 0;
    SSL *ssl;
    int rc = redis_tls_session(&r->tls, r->url.addresses[0].host, &ssl, err);
    if (!rc)
        SSL_free(ssl);
    return rc;
}

static void keep_options(struct redis *r, const struct redis_params *p)
{
    if (p->password) {
        if (r->url.password)
            mem_wipe(r->url.password, strlen(r->url.password));
        free(r->url.password);
        r->url.password = mem_dup_cstr(p->password);
    }
    r->sentinel_password = mem_dup_cstr(p->options.sentinel_password);
    r->tls = (struct redis_tls){.ca_file = mem_dup_cstr(p->options.tls_ca_file),
                                .certificate_file = mem_dup_cstr(p->options.tls_certificate_file),
                                .key_file = mem_dup_cstr(p->options.tls_key_file)};
}

// From the loop, so that no callback runs before redis_new has returned.
static void begin(struct redis *r)
{
    if (r->url.kind == REDIS_CLUSTER) {
        r->cluster = redis_cluster_new(r);
        return;
    }
    struct redis_conn_params params = redis_conn_defaults(r);
    params.on_up = on_conn_up;
    params.on_down = on_conn_down;
    r->conn = redis_conn_new(&params);
    if (r->url.kind == REDIS_SENTINEL)
        r->sentinels = redis_sentinels_new(r);
    else if (r->url.path)
        redis_conn_target_path(r->conn, r->url.path);
    else
        redis_conn_target(r->conn, r->url.addresses[0].host, r->url.addresses[0].port);
}

int redis_new(const struct redis_params *params, struct redis **ret, struct error *err)
{
    struct redis_url url;
    int rc = redis_url_parse(str_of(params->url), &url, err);
    if (rc < 0)
        return rc;
    struct redis *r = mem_alloc(sizeof(*r));
    r->params = *params;
    if (!r->params.command_timeout_ms)
        r->params.command_timeout_ms = TIMEOUT_DEFAULT_MS;
    r->url = url;
    STAILQ_INIT(&r->refused);
    r->answer = event_new(params->base, -1, 0, on_answer, r);
    if (!r->answer)
        abort();
    keep_options(r, params);
    rc = check_tls(r, err);
    if (rc < 0) {
        destroy(r);
        return rc;
    }
    begin(r);
    *ret = r;
    return 0;
}

void redis_free(struct redis *r)
{
    if (!r || r->freed)
        return;
    redis_enter(r);
    r->freed = true;
    r->up = false;
    (void)event_del(r->answer);
    redis_sentinels_free(r->sentinels);
    redis_conn_free(r->conn);
    redis_cluster_close(r->cluster);
    while (!STAILQ_EMPTY(&r->refused)) // also what these answers ask for in turn
        answer_refused(r);
    redis_leave(r);
}

uint64_t redis_answered_by(const struct redis *r)
{
    return r->answered_by;
}

bool redis_is_up(const struct redis *r)
{
    return r->up;
}

size_t redis_pending_count(const struct redis *r)
{
    size_t under_way = r->conn && redis_conn_is_up(r->conn) ? r->conn->sent_count : 0;
    return under_way + (r->cluster ? redis_cluster_pending(r->cluster) : 0) + r->refused_count;
}
