// A resolver with its name server, hosts file and clock, for tests of it.
#ifndef ROLLCALL_TESTS_UNIT_RESOLVE_WORLD_H
#define ROLLCALL_TESTS_UNIT_RESOLVE_WORLD_H

#include "services/registrant/resolve/resolve.h"
#include "tests/unit/name_server.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

struct world {
    struct event_base *base;
    struct name_server server;
    struct resolver *resolver;
    char hosts[64];
    char text[4096]; // of the last answer: targets, or the cause
    char cause[256];
    size_t count, usable;
    unsigned answers;
    char changed[1024];
    unsigned changes;
};

int world_open(void **state); // of a cmocka test; the clock stands where it really is
int world_close(void **state);

uint64_t world_now_us(void);
void world_pass(uint64_t us);                       // the clock goes ahead
void world_tick(struct world *w, uint64_t seconds); // and the resolver does what it does each second
void world_wait(struct world *w, unsigned answers); // runs the loop until that many answers are there
void world_settle(struct world *w,
                  unsigned asked); // until so many questions have come, and what they lead to

void world_hosts(struct world *w, const char *text);
void world_servers(struct world *w, const char *first, const char *second); // in resolv.conf; NULL: one
void world_serve(struct world *w, const struct name_record *records, size_t count);
#define SERVE(w, ...)                                                                                        \
    static const struct name_record served[] = {__VA_ARGS__};                                                \
    world_serve(w, served, COUNT(served))

void world_answer(void *arg, const struct resolve_answer *a); // resolve_fn: arg is the world
struct resolve_query world_query(const char *host, enum registration_transport transport);
void world_find(struct world *w, const struct resolve_query *q); // and waits for the answer
// The targets as text; without a port, and without and with a transport parameter.
const char *world_host(struct world *w, const char *host);
const char *world_given(struct world *w, const char *host, enum registration_transport transport);

#endif
