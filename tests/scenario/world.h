// The simulated world of a scenario: one engine, its clocks, and what it sent and reported, kept until the
// scenario looks at it.
#ifndef ROLLCALL_TESTS_SCENARIO_WORLD_H
#define ROLLCALL_TESTS_SCENARIO_WORLD_H

#include "services/registrant/core/engine.h"

#define MAX_NAMED  64
#define MAX_WORDS  48
#define MAX_MODELS 4096

struct sent { // one REGISTER, copied
    uint64_t token, at_us;
    char *request_uri, *to, *from, *call_id, *next_hop, *interface;
    char **contacts, **routes, **authorizations;
    size_t contact_count, route_count, authorization_count;
    uint32_t cseq, expires;
    enum registration_transport transport;
    char *supported, *require, *registrar;
    uint64_t affinity;
    bool taken; // by an `expect`
    struct sent *next;
};

struct said { // one report, as the JSON that would go to Kafka and read back from it
    uint32_t shard;
    uint64_t at_us;
    struct status status;
    struct said *next;
};

struct model { // a registration as the store would hold it
    bool used, has_last;
    struct registration reg;
    uint64_t revision;
    struct status last;
    uint32_t last_cseq;
    char *last_call_id, *last_from;
    char *password;
};

struct world {
    const char *file;
    unsigned line;
    struct engine *engine;
    struct engine_policy policy;
    struct moment now;
    uint64_t start_us, wake_us, seed;
    int64_t clock_off_ms; // of the wall clock
    char local[128], local6[128];
    char node[32];
    int send_rc;
    uint32_t kept_alive, kept_timer_s; // how often a flow was to be kept alive, and at which pace last
    struct key_ring *ring;
    struct rules *rules;
    struct sent *sent, **sent_end, *current;
    struct {
        char name[16];
        struct sent *sent;
    } named[MAX_NAMED];
    size_t named_count;
    uint64_t forgotten; // requests that the engine wants to hear nothing more of
    struct said *said, **said_end;
    uint32_t closed[64];
    size_t closed_count;
    struct model models[MAX_MODELS]; // by id
    // An automatic registrar: challenges what has no credentials, accepts the rest.
    bool credit_by_hand;
    bool automatic;
    uint32_t automatic_expires;
    uint64_t taken_requests;
};

// Says file, line and sentence, and ends the process with 1.
_Noreturn void world_fail(const struct world *w, const char *fmt, ...) printf_like(2, 3);

void world_start(struct world *w); // a new engine; what was sent before is forgotten, reports stay in models
void world_stop(struct world *w);  // kill -9
void world_tell_time(struct world *w); // the wall clock's, after `now.us` or the clock was moved
void world_advance(struct world *w, uint64_t to_us);
// Runs on until a request that nobody took is there, at most to to_us.
struct sent *world_next_request(struct world *w, uint64_t id, uint64_t to_us);
struct said *world_next_report(struct world *w, uint64_t id, uint64_t to_us);
struct model *world_model(struct world *w, uint64_t id);
void world_after(struct world *w); // after each call into the engine
void world_clear(struct world *w);
void said_free(struct said *s);
uint64_t sent_id(const struct sent *s); // of the registration: its username is u<id>

#endif
