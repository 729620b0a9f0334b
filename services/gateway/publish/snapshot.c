// See snapshot.h. A request walks the sets of ids one page at a time and reads the next page only when the
// client took the last, so that a slow reader costs one page of memory.
#include "services/gateway/publish/snapshot.h"

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/http/http.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "services/gateway/publish/freshness.h"
#include "services/gateway/publish/places.h"
#include "services/gateway/publish/row.h"
#include "services/gateway/publish/token.h"
#include "services/gateway/store/keys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_COUNT     200 // also the most rows of one reading
#define PARTITIONS_MAX 100000

// In the order of the label values of BUS_SNAPSHOTS.
enum snapshot_end { SNAPSHOT_COMPLETE, SNAPSHOT_BROKEN, SNAPSHOT_LEFT, SNAPSHOT_REFUSED };

struct snapshots {
    struct hub *hub;
    struct redis *redis;
    struct http_server *server;
    uint16_t port;
    size_t active;
    uint64_t replication_hash; // of the Redis that `redis` leads to; 0 while down
    uint64_t losses;           // of that connection
    struct freshness *freshness;
};

// One request. It waits, then it walks shards and, in each, the buckets that hold ids of the partition.
struct snapshot {
    struct snapshots *owner;
    struct http_request *request; // NULL once the client left
    struct freshness_wait wait;
    char place[REGISTRATION_PLACE_BYTES];
    uint32_t partition, partitions;
    unsigned stride; // of the buckets: the common divisor of the counts of buckets and partitions
    unsigned shard, bucket;
    struct buf cursor;   // of SSCAN in that bucket; empty: not begun
    uint64_t scanned_at; // the server that gave it (redis_answered_by)
    uint64_t lines;
    uint64_t losses; // of the connection before it began: another Redis may know less
    bool busy;       // Redis was asked
    bool ready;      // the client takes more
};

static void advance(struct snapshot *s);

static void snapshot_free(struct snapshot *s)
{
    s->owner->active--;
    buf_done(&s->cursor);
    free(s);
}

static void finish(struct snapshot *s, enum snapshot_end end)
{
    hub_count(s->owner->hub, BUS_SNAPSHOTS, end, 1);
    hub_count(s->owner->hub, BUS_SNAPSHOT_LINES, 0, s->lines);
    if (s->request)
        http_stream_end(s->request);
    snapshot_free(s);
}

// Without its closing line the reader knows that it is incomplete.
static void break_off(struct snapshot *s, const struct error *err)
{
    log_limited(LOG_WARNING, "publish", 0, "snapshot of %s/%u broken off after %" PRIu64 " lines: %s",
                s->place, s->partition, s->lines, err->text);
    finish(s, SNAPSHOT_BROKEN);
}

// Redis has answered. False: that was the end.
static bool goes_on(struct snapshot *s, const struct error *err)
{
    s->busy = false;
    if (!s->request)
        finish(s, SNAPSHOT_LEFT);
    else if (err)
        break_off(s, err);
    else
        return true;
    return false;
}

// ---- rows

static void write_line(struct buf *out, const struct row *r)
{
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    json_kv_cstr(&w, "op", r->deleted ? "remove" : "desired");
    json_kv_u64(&w, "id", r->id);
    json_kv_str(&w, "account", r->account);
    json_kv_u64(&w, "revision", r->revision);
    json_key(&w, "spec");
    json_put_raw(&w, r->spec);
    if (r->status.n) {
        json_key(&w, "status");
        json_put_raw(&w, r->status);
    }
    if (r->deleted && r->twin)
        json_kv_bool(&w, "twin", true);
    json_end_object(&w);
    buf_add_char(out, '\n');
}

// What could be a line by itself would make the reader lose count, and take the partition over never. What is
// damaged within a line is its reader's to skip.
static bool is_object(struct str json)
{
    return json.n > 1 && json.p[0] == '{' && json.p[json.n - 1] == '}' && !str_has_char(json, '\n') &&
           !str_has_char(json, '\0');
}

// False: it is left out.
static bool take_row(const struct snapshot *s, const struct redis_value *v, struct row *ret)
{
    if (!row_read(v, ret))
        return false;
    if (!is_object(ret->status))
        ret->status = STR_NONE;
    if (is_object(ret->spec))
        return true;
    hub_count(s->owner->hub, BUS_POISON, POISON_REDIS, 1);
    log_limited(LOG_ERROR, "publish", ret->id,
                "what Redis holds of it is damaged: left out of the snapshot of %s/%u", s->place,
                s->partition);
    return false;
}

static void on_rows(void *arg, const struct redis_value *v, const struct error *err)
{
    struct snapshot *s = arg;
    if (!goes_on(s, err))
        return;
    struct buf lines cleanup(buf_done) = BUF_INIT;
    struct row row;
    for (size_t i = 0; i < redis_count(v); i++) {
        if (!take_row(s, redis_at(v, i), &row))
            continue;
        write_line(&lines, &row);
        s->lines++;
    }
    if (lines.n)
        s->ready = http_stream_write(s->request, buf_str(&lines));
    advance(s);
}

static void read_rows(struct snapshot *s, const struct str *ids, size_t count)
{
    struct buf key cleanup(buf_done) = BUF_INIT;
    key_shard(&key, s->shard, "due");
    struct str *argv = mem_array(2 + count, sizeof(*argv));
    argv[0] = buf_str(&key);
    argv[1] = str_of(s->place);
    memcpy(argv + 2, ids, count * sizeof(*ids));
    s->busy = true;
    redis_script(s->owner->redis, &s->owner->hub->scripts.snapshot, on_rows, s, 1, 2 + count, argv);
    free(argv);
}

// ---- ids

// False: the bucket has moved to another server, in whose order the old cursor means nothing. It is begun
// anew, and what was told of it is told again.
static bool take_cursor(struct snapshot *s, const struct redis_value *cursor)
{
    uint64_t server = redis_answered_by(s->owner->redis);
    bool same = !s->cursor.n || server == s->scanned_at;
    buf_clear(&s->cursor);
    if (same)
        buf_add_str(&s->cursor, redis_str(cursor));
    s->scanned_at = server;
    return same;
}

static void on_ids(void *arg, const struct redis_value *v, const struct error *err)
{
    struct snapshot *s = arg;
    if (!goes_on(s, err))
        return;
    if (!take_cursor(s, redis_at(v, 0))) {
        advance(s);
        return;
    }
    const struct redis_value *found = redis_at(v, 1);
    struct str *ids = mem_array(redis_count(found) + 1, sizeof(*ids));
    size_t count = 0;
    for (size_t i = 0; i < redis_count(found); i++) {
        struct str id = redis_str(redis_at(found, i));
        if (hash_partition(id, s->partitions) == s->partition)
            ids[count++] = id;
    }
    if (count)
        read_rows(s, ids, count);
    else
        advance(s);
    free(ids);
}

static void scan(struct snapshot *s)
{
    struct buf key cleanup(buf_done) = BUF_INIT, count cleanup(buf_done) = BUF_INIT;
    key_at(&key, s->shard, s->place, s->bucket);
    buf_add_u64(&count, SCAN_COUNT);
    struct str cursor = s->cursor.n ? buf_str(&s->cursor) : STR_LIT("0");
    s->busy = true;
    redis_commandl(s->owner->redis, on_ids, s, STR_LIT("SSCAN"), buf_str(&key), cursor, STR_LIT("COUNT"),
                   buf_str(&count));
}

// False when there is none after it.
static bool next_bucket(struct snapshot *s)
{
    buf_clear(&s->cursor);
    s->bucket += s->stride;
    if (s->bucket < STORE_BUCKETS)
        return true;
    s->bucket = s->partition % s->stride;
    return ++s->shard < STORE_SHARDS;
}

static void close_whole(struct snapshot *s)
{
    char line[48];
    int n = snprintf(line, sizeof(line), "{\"count\":%" PRIu64 "}\n", s->lines);
    (void)http_stream_write(s->request, str_of_bytes(line, (size_t)n));
    finish(s, SNAPSHOT_COMPLETE);
}

static void advance(struct snapshot *s)
{
    if (s->busy || !s->ready)
        return;
    if (s->losses != s->owner->losses) {
        struct error err;
        (void)error_set(&err, -ENOTCONN, "the connection to Redis was lost meanwhile");
        break_off(s, &err);
        return;
    }
    if (str_eq_cstr(buf_str(&s->cursor), "0") && !next_bucket(s))
        close_whole(s);
    else
        scan(s);
}

// ---- the request

static void on_ready(void *arg)
{
    struct snapshot *s = arg;
    s->ready = true;
    advance(s);
}

static void on_gone(void *arg)
{
    struct snapshot *s = arg;
    s->request = NULL;
    if (!s->busy)
        finish(s, SNAPSHOT_LEFT);
}

static void refuse(struct snapshots *owner, struct http_request *r, int status, const char *title)
{
    struct buf body cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&body);
    json_begin_object(&w);
    json_kv_cstr(&w, "error", title);
    json_end_object(&w);
    http_reply_header(r, "Content-Type", STR_LIT("application/json"));
    if (status == 401)
        http_reply_header(r, "WWW-Authenticate", STR_LIT("Bearer"));
    if (status == 503)
        http_reply_header(r, "Retry-After", STR_LIT("1"));
    if (status == 405)
        http_reply_header(r, "Allow", STR_LIT("GET"));
    hub_count(owner->hub, BUS_SNAPSHOTS, SNAPSHOT_REFUSED, 1);
    http_reply(r, status, buf_str(&body));
}

static unsigned common_divisor(unsigned a, unsigned b)
{
    while (b) {
        unsigned rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static bool read_number(const struct http_pairs *query, const char *name, uint32_t *ret)
{
    uint64_t value;
    if (str_to_u64(str_of(http_pairs_get(query, name)), &value) || value > PARTITIONS_MAX)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static bool read_query(struct http_request *r, struct snapshot *s)
{
    struct http_pairs query;
    struct error err;
    if (http_pairs_parse(http_query(r), &query, &err))
        return false;
    struct str place = str_of(http_pairs_get(&query, "place"));
    bool whole = place_name_is_valid(place) && read_number(&query, "partition", &s->partition) &&
                 read_number(&query, "partitions", &s->partitions) && s->partition < s->partitions;
    if (whole)
        memcpy(s->place, place.p, place.n);
    http_pairs_done(&query);
    return whole;
}

// The very Redis that was checked for lost writes.
static bool is_usable(const struct snapshots *s)
{
    return hub_redis_usable(s->hub) && s->replication_hash &&
           s->replication_hash == s->hub->params.gate->approved;
}

static void begin(struct snapshot *s)
{
    static const struct http_stream_fns fns = {.on_ready = on_ready, .on_gone = on_gone};
    s->losses = s->owner->losses;
    s->ready = true;
    http_reply_header(s->request, "Content-Type", STR_LIT("application/x-ndjson"));
    http_stream_begin(s->request, 200, &fns, s);
    advance(s);
}

static void on_waited(struct freshness_wait *w, enum freshness_end how)
{
    struct snapshot *s = container_of(w, struct snapshot, wait);
    if (how == FRESHNESS_LEFT) {
        http_reply(s->request, 503, STR_NONE);
        s->request = NULL;
        finish(s, SNAPSHOT_LEFT);
    } else if (how == FRESHNESS_STOPPED || !is_usable(s->owner)) {
        refuse(s->owner, s->request, 503, "Redis is away, or this gateway stops");
        snapshot_free(s);
    } else {
        begin(s);
    }
}

static bool waits_for_nobody(struct freshness_wait *w)
{
    return http_is_gone(container_of(w, struct snapshot, wait)->request);
}

static void hold(struct snapshots *owner, struct http_request *r, const struct snapshot *asked)
{
    struct snapshot *s = mem_alloc(sizeof(*s));
    *s = *asked;
    s->owner = owner;
    s->request = r;
    s->stride = common_divisor(STORE_BUCKETS, s->partitions);
    s->bucket = s->partition % s->stride;
    s->wait.is_gone = waits_for_nobody;
    s->wait.fn = on_waited;
    owner->active++;
    freshness_await(owner->freshness, &s->wait, s->place, s->partition, s->partitions);
}

static void on_request(void *arg, struct http_request *r)
{
    struct snapshots *owner = arg;
    struct snapshot asked = {0};
    if (!token_is_bearer(http_header(r, "Authorization"), str_of(owner->hub->params.snapshot_token)))
        refuse(owner, r, 401, "the token of the internal listener is needed");
    else if (!str_eq_cstr(http_path(r), "/snapshot"))
        refuse(owner, r, 404, "only /snapshot is here");
    else if (http_method(r) != HTTP_GET)
        refuse(owner, r, 405, "only GET");
    else if (!read_query(r, &asked))
        refuse(owner, r, 400, "place, partition and partitions are needed, partition below partitions");
    else if (owner->hub->stopping)
        refuse(owner, r, 503, "this gateway stops");
    else if (!is_usable(owner))
        refuse(owner, r, 503, "Redis is away, or its lost writes are not written back yet");
    else
        hold(owner, r, &asked);
}

// ---- life

// Requests are refused and broken off as they meet it.
static void on_link_down(void *arg, const struct error *why)
{
    (void)why;
    struct snapshots *s = arg;
    s->replication_hash = 0;
    s->losses++;
}

static void on_link_up(void *arg, struct str replication_id)
{
    struct snapshots *s = arg;
    s->replication_hash = store_replication_hash(replication_id);
}

static int open_redis(struct snapshots *s, struct error *err)
{
    const struct bus_params *p = &s->hub->params;
    const struct redis_params params = {.base = s->hub->base,
                                        .url = p->redis_url,
                                        .password = p->redis_password,
                                        .options = p->redis_options,
                                        .command_timeout_ms = 5000,
                                        .arg = s,
                                        .on_up = on_link_up,
                                        .on_down = on_link_down};
    return redis_new(&params, &s->redis, err);
}

int snapshots_new(struct hub *h, struct snapshots **ret, struct error *err)
{
    struct snapshots *s = mem_alloc(sizeof(*s));
    s->hub = h;
    int fd = -1;
    int rc = http_listen(h->params.snapshot_listen, false, &fd, &s->port, err);
    if (rc) {
        free(s);
        return error_prefix(err, "internal listener");
    }
    const struct http_server_params params = {
        .base = h->base, .listen_fd = fd, .limits = HTTP_LIMITS_DEFAULT, .arg = s, .on_request = on_request};
    s->server = http_server_new(&params);
    rc = open_redis(s, err);
    if (!rc)
        rc = freshness_new(h, &s->freshness, err);
    if (rc) {
        redis_free(s->redis);
        http_server_free(s->server);
        free(s);
        return rc;
    }
    *ret = s;
    return 0;
}

void snapshots_stop(struct snapshots *s)
{
    http_server_stop(s->server);
    freshness_stop(s->freshness);
}

bool snapshots_are_idle(const struct snapshots *s)
{
    return !s->active;
}

void snapshots_free(struct snapshots *s)
{
    if (!s)
        return;
    freshness_free(s->freshness);
    http_server_free(s->server); // those under way hear that their client left
    redis_free(s->redis);        // and end with the answers of Redis
    free(s);
}

uint16_t snapshots_port(const struct snapshots *s)
{
    return s->port;
}
