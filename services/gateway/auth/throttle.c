// See throttle.h. Token buckets in shards, each with its lock, its table and its order of use.
#include "services/gateway/auth/throttle.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#define uthash_fatal(msg) abort()
#include <uthash.h>

enum { SHARDS = 16, SHARD_BUCKETS = 8192, KEY_BYTES = 16, SALT_BYTES = 16 };

// What a bucket counts; part of its key.
enum kind { REQUESTS = 'r', FAILED_BY_NAME = 'n', FAILED_BY_ADDRESS = 'a' };

struct bucket {
    unsigned char key[KEY_BYTES];
    int64_t level; // see rate; below 0: a debt of failed logins
    uint64_t seen_us;
    TAILQ_ENTRY(bucket) link;
    UT_hash_handle hh;
};

struct shard {
    pthread_mutex_t lock;
    struct bucket *table;
    TAILQ_HEAD(, bucket) by_use; // the first is idle longest
    unsigned count;
};

struct throttle {
    struct throttle_params params;
    unsigned char salt[SALT_BYTES];
    struct shard shards[SHARDS];
};

// How fast a kind of bucket fills, and how much it holds. A level counts in parts of which one request has
// period_us, so that each microsecond adds a whole number of them and nothing is lost between two looks.
struct rate {
    uint64_t per_period, period_us, most;
};

// Logins that are checked side by side all pass while one would; what fails of them is owed, up to so many
// times the limit, so that trying in parallel gains nothing.
enum { DEBT_MOST = 8 };

struct throttle *throttle_new(const struct throttle_params *p)
{
    struct throttle *t = mem_alloc(sizeof(*t));
    t->params = *p;
    random_bytes(t->salt, sizeof(t->salt));
    for (size_t i = 0; i < SHARDS; i++) {
        (void)pthread_mutex_init(&t->shards[i].lock, NULL);
        TAILQ_INIT(&t->shards[i].by_use);
    }
    return t;
}

static void drop(struct shard *s, struct bucket *b)
{
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there is one to drop
    TAILQ_REMOVE(&s->by_use, b, link);
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the table holds what the list holds
    HASH_DEL(s->table, b);
    s->count--;
    free(b);
}

void throttle_free(struct throttle *t)
{
    for (size_t i = 0; t && i < SHARDS; i++) {
        while (!TAILQ_EMPTY(&t->shards[i].by_use))
            drop(&t->shards[i], TAILQ_FIRST(&t->shards[i].by_use));
        (void)pthread_mutex_destroy(&t->shards[i].lock);
    }
    free(t);
}

static struct rate rate_of(const struct throttle *t, enum kind kind)
{
    uint64_t requests = t->params.requests_per_s, logins = t->params.failed_logins_per_min;
    if (kind == REQUESTS)
        return (struct rate){requests, 1000000, 2 * requests * 1000000};
    return (struct rate){logins, 60000000, logins * 60000000};
}

// Of fixed length whatever a client calls itself, and unknown to it, so that it cannot choose who shares a
// chain of the table with whom.
static void key_of(const struct throttle *t, enum kind kind, struct str who, unsigned char ret[KEY_BYTES])
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    unsigned char digest[EVP_MAX_MD_SIZE];
    buf_add(&text, t->salt, sizeof(t->salt));
    buf_add_char(&text, (char)kind);
    buf_add_str(&text, who);
    if (EVP_Digest(text.p, text.n, digest, NULL, EVP_sha256(), NULL) != 1)
        abort(); // memory
    memcpy(ret, digest, KEY_BYTES);
}

struct str throttle_address(struct str address, unsigned char scratch[16])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[INET6_ADDRSTRLEN];
    if (address.n >= sizeof(text) || !str_has_char(address, ':'))
        return address;
    memcpy(text, address.p, address.n);
    text[address.n] = '\0';
    if (inet_pton(AF_INET6, text, scratch) != 1 || memcmp(scratch, mapped, sizeof(mapped)) == 0)
        return address;
    return str_of_bytes(scratch, 8);
}

static struct bucket *add(struct shard *s, const unsigned char *key, const struct rate *r, uint64_t now_us)
{
    if (s->count == SHARD_BUCKETS)
        drop(s, TAILQ_FIRST(&s->by_use));
    struct bucket *b = mem_alloc(sizeof(*b));
    memcpy(b->key, key, KEY_BYTES);
    b->level = (int64_t)r->most;
    b->seen_us = now_us;
    HASH_ADD(hh, s->table, key, KEY_BYTES, b);
    TAILQ_INSERT_TAIL(&s->by_use, b, link);
    s->count++;
    return b;
}

static void fill(struct bucket *b, const struct rate *r, uint64_t now_us)
{
    uint64_t passed_us = now_us > b->seen_us ? now_us - b->seen_us : 0;
    uint64_t full_us = (1 + DEBT_MOST) * r->most / r->per_period;
    b->level += (int64_t)((passed_us < full_us ? passed_us : full_us) * r->per_period);
    b->level = b->level < (int64_t)r->most ? b->level : (int64_t)r->most;
    b->seen_us = now_us > b->seen_us ? now_us : b->seen_us;
}

// The bucket with what has flowed in since, now the most recently used of its shard. NULL: there is none,
// which is as good as a full one.
static struct bucket *find(struct shard *s, const unsigned char *key, const struct rate *r, uint64_t now_us)
{
    struct bucket *b = NULL;
    HASH_FIND(hh, s->table, key, KEY_BYTES, b);
    if (!b)
        return NULL;
    TAILQ_REMOVE(&s->by_use, b, link);
    TAILQ_INSERT_TAIL(&s->by_use, b, link);
    fill(b, r, now_us);
    return b;
}

static struct throttle_answer answer_of(const struct bucket *b, const struct rate *r, int64_t asked)
{
    struct throttle_answer answer = {.passes = b->level >= asked};
    if (!answer.passes)
        answer.wait_ms = (uint32_t)((uint64_t)(asked - b->level) / r->per_period / 1000 + 1);
    answer.remaining = b->level > 0 ? (uint32_t)((uint64_t)b->level / r->period_us) : 0;
    return answer;
}

enum what {
    ASK,  // whether so many are there
    TAKE, // the same, and take them then
    OWE,  // take them whether they are there or not
};
static struct throttle_answer use(struct throttle *t, enum kind kind, struct str who, enum what what,
                                  uint32_t count, uint64_t now_us)
{
    const struct rate r = rate_of(t, kind);
    unsigned char key[KEY_BYTES];
    if (!r.per_period || !who.n)
        return (struct throttle_answer){.passes = true, .remaining = UINT32_MAX};
    key_of(t, kind, who, key);
    struct shard *s = &t->shards[key[0] % SHARDS];
    uint64_t parts = count * r.period_us;
    int64_t asked = (int64_t)(parts < r.most ? parts : r.most); // more than it holds could never pass
    int64_t lowest = -(int64_t)(DEBT_MOST * r.most);
    (void)pthread_mutex_lock(&s->lock);
    struct bucket full = {.level = (int64_t)r.most}, *b = find(s, key, &r, now_us);
    // Asking makes no bucket: else names that nobody has, asked for, would push those out that owe.
    if (!b)
        b = what == ASK ? &full : add(s, key, &r, now_us);
    struct throttle_answer answer = answer_of(b, &r, asked);
    if (what == OWE || (what == TAKE && answer.passes)) {
        b->level = b->level - asked > lowest ? b->level - asked : lowest;
        answer.remaining = answer_of(b, &r, 0).remaining;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return answer;
}

struct throttle_answer throttle_request(struct throttle *t, struct str who, uint32_t cost, uint64_t now_us)
{
    return use(t, REQUESTS, who, TAKE, cost, now_us);
}

struct throttle_answer throttle_login(struct throttle *t, struct str name, struct str address,
                                      uint64_t now_us)
{
    unsigned char scratch[16];
    struct throttle_answer by_name = use(t, FAILED_BY_NAME, name, ASK, 1, now_us);
    struct throttle_answer by_address =
        use(t, FAILED_BY_ADDRESS, throttle_address(address, scratch), ASK, 1, now_us);
    if (by_name.passes != by_address.passes)
        return by_name.passes ? by_address : by_name;
    if (!by_name.passes)
        return by_name.wait_ms > by_address.wait_ms ? by_name : by_address;
    return by_name.remaining < by_address.remaining ? by_name : by_address;
}

void throttle_login_failed(struct throttle *t, struct str name, struct str address, uint64_t now_us)
{
    unsigned char scratch[16];
    (void)use(t, FAILED_BY_NAME, name, OWE, 1, now_us);
    (void)use(t, FAILED_BY_ADDRESS, throttle_address(address, scratch), OWE, 1, now_us);
}
