// Who has which slot. One connection (the scout) asks a node for the map twice a second, and at once when a
// command was redirected; a node that does not answer, sees no majority or knows an older configuration than
// we do is left for the next. A master that left the map, because another took its place, gets nothing more,
// also while it only stands still.
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/redis/cluster.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { SCOUT_TIMEOUT_MS = 1000, UNUSED_US = 1000000 };

// ---- is it all there?

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// Another text whenever any of the masters is another one.
static char *digest_of_masters(struct redis_cluster *c)
{
    size_t count = 0;
    struct cluster_node *n;
    TAILQ_FOREACH(n, &c->nodes, link) {
        count++;
    }
    const char **ids = mem_array(count + 1, sizeof(*ids));
    count = 0;
    TAILQ_FOREACH(n, &c->nodes, link) {
        if (n->has_slots)
            ids[count++] = n->conn->replication_id.p ? n->conn->replication_id.p : "";
    }
    qsort(ids, count, sizeof(*ids), by_text);
    cleanup(buf_done) struct buf text = BUF_INIT, hex = BUF_INIT;
    for (size_t i = 0; i < count; i++)
        buf_addf(&text, "%s\n", ids[i]);
    free(ids);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    if (!EVP_Digest(text.p, text.n, digest, &bytes, EVP_sha1(), NULL))
        abort(); // only when memory is out or OpenSSL has no SHA-1 at all
    encode_hex(&hex, digest, bytes);
    return buf_steal(&hex);
}

static int find_missing(struct redis_cluster *c, struct error *err)
{
    struct cluster_node *n;
    TAILQ_FOREACH(n, &c->nodes, link) {
        if (n->has_slots && !redis_conn_is_up(n->conn))
            return error_set(err, -EAGAIN, "no connection to %s port %u of the Redis Cluster", n->conn->host,
                             n->conn->port);
    }
    for (size_t i = 0; i < REDIS_SLOTS; i++)
        if (!c->owners[i])
            return error_set(err, -ENOTCONN, "slot %zu of the Redis Cluster has no master", i);
    return 0;
}

// Tells what has changed. `why`: the cause where one is known.
static void judge(struct redis_cluster *c, const struct error *why)
{
    struct error missing;
    if (c->closing)
        return;
    int rc = find_missing(c, &missing);
    if (rc < 0) {
        bool was_up = c->digest;
        free(c->digest);
        c->digest = NULL;
        missing.code = -ENOTCONN;
        // While it is only being connected to, there is nothing to tell yet.
        if (why || was_up || rc != -EAGAIN)
            redis_tell_down(c->r, why ? why : &missing);
        return;
    }
    char *digest = digest_of_masters(c);
    bool same = c->digest && strcmp(c->digest, digest) == 0;
    struct error other;
    error_set(&other, -ENOTCONN, "the Redis Cluster has other masters now");
    if (c->digest && !same)
        redis_tell_down(c->r, &other);
    free(c->digest);
    c->digest = digest;
    if (!same && !c->closing)
        redis_tell_up(c->r, str_of(c->digest));
}

// ---- servers

static void on_node_up(void *arg, struct str replication_id)
{
    (void)replication_id;
    struct cluster_node *n = arg;
    struct redis_cluster *c = n->cluster;
    redis_enter(c->r);
    n->number = ++c->r->connections;
    judge(c, NULL);
    cluster_calls_retry(c);
    redis_leave(c->r);
}

static void on_node_down(void *arg, const struct error *err)
{
    struct cluster_node *n = arg;
    struct redis_cluster *c = n->cluster;
    struct error why = *err;
    redis_enter(c->r);
    error_prefix(&why, "%s port %u of the Redis Cluster", n->conn->host, n->conn->port);
    cluster_calls_lost(n);
    if (n->has_slots)
        judge(c, &why);
    if (!c->closing)
        cluster_map_ask(c);
    redis_leave(c->r);
}

struct cluster_node *cluster_node_for(struct redis_cluster *c, struct str host, uint16_t port)
{
    struct cluster_node *n;
    TAILQ_FOREACH(n, &c->nodes, link) {
        if (n->conn->port == port && str_eq_cstr(host, n->conn->host))
            return n;
    }
    struct redis_conn_params params = redis_conn_defaults(c->r);
    n = mem_alloc(sizeof(*n));
    params.arg = n;
    params.on_up = on_node_up;
    params.on_down = on_node_down;
    n->cluster = c;
    n->conn = redis_conn_new(&params);
    n->used_us = clock_monotonic_us();
    TAILQ_INSERT_TAIL(&c->nodes, n, link);
    char *name cleanup(mem_free_cstr) = str_dup(host);
    redis_conn_target(n->conn, name, port);
    return n;
}

static void node_free(struct cluster_node *n)
{
    TAILQ_REMOVE(&n->cluster->nodes, n, link);
    for (size_t i = 0; i < REDIS_SLOTS; i++)
        if (n->cluster->owners[i] == n)
            n->cluster->owners[i] = NULL;
    cluster_calls_lost(n);
    redis_conn_free(n->conn); // its commands are answered from within
    free(n);
}

// A moment later, so that what is under way to a server that gave its slots away in peace is answered.
static void release_unused(struct redis_cluster *c)
{
    uint64_t now_us = clock_monotonic_us();
    struct cluster_node *n, *next;
    for (n = TAILQ_FIRST(&c->nodes); n; n = next) {
        next = TAILQ_NEXT(n, link);
        if (n->has_slots)
            n->used_us = now_us;
        else if (now_us - n->used_us > UNUSED_US)
            node_free(n);
        if (c->closing) // by who was answered from within: all others are gone, too
            return;
    }
}

// ---- the map

// Masters of the map in turn, then what the URL names.
static void next_address(void *arg)
{
    struct redis_cluster *c = arg;
    const struct redis_url *url = &c->r->url;
    size_t at = 0, masters = 0;
    struct cluster_node *n;
    TAILQ_FOREACH(n, &c->nodes, link) {
        masters += n->has_slots;
    }
    size_t wanted = c->scout_at++ % (masters + url->address_count);
    TAILQ_FOREACH(n, &c->nodes, link) {
        if (n->has_slots && at++ == wanted) {
            redis_conn_target(c->scout, n->conn->host, n->conn->port);
            return;
        }
    }
    const struct redis_address *address = &url->addresses[wanted - masters];
    redis_conn_target(c->scout, address->host, address->port);
}

static void ask_another(struct redis_cluster *c, const char *why_not)
{
    struct error err;
    error_set(&err, -EAGAIN, "%s port %u of the Redis Cluster: %s", c->scout->host, c->scout->port, why_not);
    if (!c->digest)
        redis_tell_down(c->r, &err);
    if (!c->closing)
        redis_drop(c->scout, &err);
}

// One range of slots: first, last, then host, port and id of its master, and of its replicas.
static void take_range(struct redis_cluster *c, const struct redis_value *range)
{
    int64_t first = redis_int(redis_at(range, 0)), last = redis_int(redis_at(range, 1));
    const struct redis_value *master = redis_at(range, 2);
    struct str host = redis_str(redis_at(master, 0));
    int64_t port = redis_int(redis_at(master, 1));
    if (!host.n || str_eq_cstr(host, "?")) // it does not know its own: the one by which it was reached
        host = str_of(c->scout->host);
    if (first < 0 || last >= REDIS_SLOTS || port < 1 || port > UINT16_MAX)
        return;
    struct cluster_node *n = cluster_node_for(c, host, (uint16_t)port);
    n->has_slots = true;
    for (int64_t i = first; i <= last; i++)
        c->owners[i] = n;
}

static void take_map(struct redis_cluster *c, const struct redis_value *map)
{
    struct cluster_node *n;
    TAILQ_FOREACH(n, &c->nodes, link) {
        n->has_slots = false;
    }
    memset(c->owners, 0, sizeof(c->owners));
    c->epoch = c->asked_epoch;
    for (size_t i = 0; i < redis_count(map); i++)
        take_range(c, redis_at(map, i));
    judge(c, NULL);
    if (!c->closing)
        cluster_calls_retry(c);
}

static void on_map(void *arg, const struct redis_value *v, const struct error *err)
{
    struct redis_cluster *c = arg;
    c->asking = false;
    if (c->closing || (err && err->code != -EIO))
        return; // on_scout_down follows
    redis_enter(c->r);
    if (err)
        ask_another(c, err->text);
    else if (!c->sound)
        ask_another(c, "it does not see a majority of the masters, or not all slots");
    else if (c->asked_epoch < c->epoch && c->digest)
        ask_another(c, "it holds an older configuration than other nodes");
    else
        take_map(c, v);
    if (!c->closing && c->ask_again)
        cluster_map_ask(c);
    redis_leave(c->r);
}

static uint64_t info_number(struct str info, const char *name)
{
    struct str line;
    uint64_t value;
    while (str_split(&info, '\n', &line)) {
        size_t colon = str_find(line, ':', 0);
        if (str_eq_cstr(str_slice(line, 0, colon), name) &&
            str_to_u64(str_trim(str_slice(line, colon + 1, line.n)), &value) == 0)
            return value;
    }
    return 0;
}

static void on_info(void *arg, const struct redis_value *v, const struct error *err)
{
    struct redis_cluster *c = arg;
    struct str info = err ? STR_NONE : redis_str(v);
    c->sound = str_find_str(info, STR_LIT("cluster_state:ok")) < info.n;
    c->asked_epoch = info_number(info, "cluster_current_epoch");
}

void cluster_map_ask(struct redis_cluster *c)
{
    const struct str info[] = {STR_LIT("CLUSTER"), STR_LIT("INFO")};
    const struct str slots[] = {STR_LIT("CLUSTER"), STR_LIT("SLOTS")};
    c->ask_again = c->asking;
    if (c->asking || !redis_conn_is_up(c->scout))
        return;
    c->asking = true;
    redis_conn_write(c->scout, redis_call_new(on_info, c), ARRAY_LEN(info), info);
    redis_conn_write(c->scout, redis_call_new(on_map, c), ARRAY_LEN(slots), slots);
}

static void on_scout_up(void *arg, struct str replication_id)
{
    (void)replication_id;
    cluster_map_ask(arg);
}

static void on_scout_down(void *arg, const struct error *err)
{
    struct redis_cluster *c = arg;
    struct error why = *err;
    redis_enter(c->r);
    error_prefix(&why, "%s port %u of the Redis Cluster", c->scout->host, c->scout->port);
    c->asking = false;
    if (!c->digest)
        redis_tell_down(c->r, &why);
    redis_leave(c->r);
}

void cluster_map_begin(struct redis_cluster *c)
{
    struct redis_conn_params params = redis_conn_defaults(c->r);
    params.any_role = true;
    params.timeout_ms = SCOUT_TIMEOUT_MS;
    params.arg = c;
    params.on_up = on_scout_up;
    params.on_down = on_scout_down;
    params.on_attempt = next_address;
    c->scout = redis_conn_new(&params);
    redis_conn_target(c->scout, c->r->url.addresses[0].host, c->r->url.addresses[0].port);
}

void cluster_map_turn(struct redis_cluster *c)
{
    cluster_map_ask(c);
    release_unused(c);
}

void cluster_map_close(struct redis_cluster *c)
{
    redis_conn_free(c->scout);
    while (!TAILQ_EMPTY(&c->nodes))
        node_free(TAILQ_FIRST(&c->nodes));
    free(c->digest);
    c->digest = NULL;
}
