// Runs one scenario file (README.md in this folder) against the registrant's core, linked with nothing else
// of the registrant: minutes and hours of SIP time in microseconds.
#include "tests/scenario/steps.h"

#include "common/base/mem.h"
#include "services/registrant/core/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *words_value(const struct words *words, size_t from, const char *key, char op)
{
    size_t n = strlen(key);
    for (size_t i = from; i < words->count; i++)
        if (strncmp(words->items[i], key, n) == 0 && words->items[i][n] == op)
            return words->items[i] + n + 1;
    return NULL;
}

bool words_has(const struct words *words, size_t from, const char *word)
{
    for (size_t i = from; i < words->count; i++)
        if (strcmp(words->items[i], word) == 0)
            return true;
    return false;
}

uint64_t words_number(struct world *w, const char *text)
{
    uint64_t value;
    if (str_to_u64(str_of(text), &value))
        world_fail(w, "not a number: %s", text);
    return value;
}

uint64_t words_time_us(struct world *w, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    double unit = strcmp(end, "ms") == 0  ? 1e3
                  : strcmp(end, "m") == 0 ? 60e6
                  : strcmp(end, "h") == 0 ? 3600e6
                                          : 1e6;
    if (end == text || (*end && unit == 1e6 && strcmp(end, "s") != 0))
        world_fail(w, "not a time: %s", text);
    return (uint64_t)(value * unit);
}

void words_ids(struct world *w, const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
    const char *dots = strstr(text, "..");
    char first[32];
    (void)snprintf(first, sizeof(first), "%.*s", dots ? (int)(dots - text) : 31, text);
    *ret_first = words_number(w, first);
    *ret_last = dots ? words_number(w, dots + 2) : *ret_first;
}

static const char *argument(struct world *w, const struct words *words, size_t i)
{
    if (i >= words->count)
        world_fail(w, "%s needs more words", words->items[0]);
    return words->items[i];
}

static void step_policy(struct world *w, const struct words *words)
{
    static uint32_t nat;
    const struct {
        const char *key;
        uint32_t *slot;
    } numbers[] = {{"backoff_cap_s", &w->policy.backoff_cap_s},
                   {"min_expires_cap_s", &w->policy.min_expires_cap_s},
                   {"granted_cap_s", &w->policy.granted_cap_s},
                   {"retry_after_cap_s", &w->policy.retry_after_cap_s},
                   {"max_in_flight", &w->policy.max_in_flight},
                   {"registrar_rate", &w->policy.registrar_rate},
                   {"registrar_in_flight", &w->policy.registrar_in_flight},
                   {"nat_contact", &nat},
                   {"aor_rate", &w->policy.aor_rate},
                   {"max_redirects", &w->policy.max_redirects}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (strcmp(argument(w, words, 1), numbers[i].key) == 0) {
            *numbers[i].slot = (uint32_t)words_number(w, argument(w, words, 2));
            w->policy.nat_contact = nat;
            world_stop(w);
            world_start(w);
            return;
        }
    world_fail(w, "unknown policy \"%s\"", words->items[1]);
}

static uint32_t shard_of(struct world *w, const struct words *words)
{
    return words->count > 1 && !strchr(words->items[1], '=') ? (uint32_t)words_number(w, words->items[1]) : 1;
}

static uint64_t epoch_of(struct world *w, const struct words *words)
{
    const char *epoch = words_value(words, 1, "epoch", '=');
    return epoch ? words_number(w, epoch) : 1;
}

static double share_of(const struct words *words)
{
    const char *share = words_value(words, 1, "share", '=');
    return share ? strtod(share, NULL) : 1;
}

static void step_load(struct world *w, const struct words *words)
{
    const char *place = words_value(words, 1, "place", '=');
    engine_shard_load(w->engine, shard_of(w, words), place ? place : "any");
}

static void step_open(struct world *w, const struct words *words)
{
    step_load(w, words);
    engine_shard_open(w->engine, shard_of(w, words), epoch_of(w, words), share_of(words), w->now);
    world_after(w);
}

static void step_close(struct world *w, const struct words *words)
{
    engine_shard_close(w->engine, shard_of(w, words), w->now);
    world_after(w);
}

static void step_park(struct world *w, const struct words *words)
{
    engine_shard_park(w->engine, shard_of(w, words), w->now);
    world_after(w);
}

static void step_unpark(struct world *w, const struct words *words)
{
    engine_shard_unpark(w->engine, shard_of(w, words), epoch_of(w, words), share_of(words), w->now);
    world_after(w);
}

static void step_drop(struct world *w, const struct words *words)
{
    engine_shard_drop(w->engine, shard_of(w, words), w->now);
    world_after(w);
}

static void step_stop(struct world *w, const struct words *words)
{
    (void)words;
    engine_stop(w->engine, w->now);
    world_after(w);
}

static void step_lease(struct world *w, const struct words *words)
{
    const char *name = argument(w, words, 1);
    enum engine_lease lease = strcmp(name, "fresh") == 0     ? LEASE_FRESH
                              : strcmp(name, "expired") == 0 ? LEASE_EXPIRED
                                                             : LEASE_STALLED;
    engine_lease(w->engine, lease, w->now);
    world_after(w);
}

// credit none: a new engine that gives reports out only by "credit <n>"
static void step_credit(struct world *w, const struct words *words)
{
    if (strcmp(argument(w, words, 1), "none") == 0) {
        w->credit_by_hand = true;
        world_stop(w);
        world_start(w);
    } else {
        engine_credit(w->engine, (uint32_t)words_number(w, words->items[1]), w->now);
    }
    world_after(w);
}

static void step_report_failed(struct world *w, const struct words *words)
{
    engine_report_failed(w->engine, words_number(w, argument(w, words, 1)), w->now);
    world_after(w);
}

// rules '<line>' …: of registrars by pattern, from now on; without any, none
static void step_rules(struct world *w, const struct words *words)
{
    struct buf text = BUF_INIT;
    struct error err = {0};
    struct rules *before = w->rules;
    for (size_t i = 1; i < words->count; i++)
        buf_addf(&text, "%s\n", words->items[i]);
    if (rules_parse(buf_str(&text), &w->rules, &err))
        world_fail(w, "%s", err.text);
    buf_done(&text);
    engine_rules(w->engine, w->rules, w->now);
    w->policy.rules = w->rules;
    rules_free(before);
    world_after(w);
}

// flow_lost <number> …
static void step_flow_lost(struct world *w, const struct words *words)
{
    for (size_t i = 1; i < words->count; i++)
        engine_flow_lost(w->engine, (uint32_t)words_number(w, words->items[i]), w->now);
    world_after(w);
}

// targets_changed <registrar> <target> …
static void step_targets_changed(struct world *w, const struct words *words)
{
    struct str targets[MAX_WORDS];
    size_t count = 0;
    for (size_t i = 2; i < words->count; i++)
        targets[count++] = str_of(words->items[i]);
    engine_targets_changed(w->engine, str_of(argument(w, words, 1)), targets, count, w->now);
    world_after(w);
}

// at <time since the start>
static void step_at(struct world *w, const struct words *words)
{
    uint64_t to_us = w->start_us + words_time_us(w, argument(w, words, 1));
    if (to_us < w->now.us)
        world_fail(w, "it is later already");
    world_advance(w, to_us);
}

static void step_after(struct world *w, const struct words *words)
{
    world_advance(w, w->now.us + words_time_us(w, argument(w, words, 1)));
}

// silent <duration>: time passes and no REGISTER is sent
static void step_silent(struct world *w, const struct words *words)
{
    uint64_t to_us = w->now.us + words_time_us(w, argument(w, words, 1));
    const struct sent *s = world_next_request(w, 0, to_us);
    if (s)
        world_fail(w, "a REGISTER was sent at %.3f s", (double)(s->at_us - w->start_us) / 1e6);
    world_advance(w, to_us);
}

static void step_restart(struct world *w, const struct words *words)
{
    (void)words;
    world_stop(w);
    world_start(w);
}

// clock <time> ahead|behind: the wall clock is that far from the true one
static void step_clock(struct world *w, const struct words *words)
{
    if (words->count != 3)
        world_fail(w, "clock <time> ahead|behind");
    int64_t off_ms = (int64_t)(words_time_us(w, words->items[1]) / 1000);
    w->clock_off_ms = strcmp(words->items[2], "ahead") != 0 ? -off_ms : off_ms;
    world_tell_time(w);
}

// the name of the node, from the next restart on
static void step_node(struct world *w, const struct words *words)
{
    (void)snprintf(w->node, sizeof(w->node), "%s", argument(w, words, 1));
    w->policy.node = w->node;
}

static void step_local(struct world *w, const struct words *words)
{
    const char *text = argument(w, words, 1);
    (void)snprintf(w->local, sizeof(w->local), "%s", strcmp(text, "none") == 0 ? "" : text);
    (void)snprintf(w->local6, sizeof(w->local6), "%s", words->count > 2 ? words->items[2] : "");
}

// sending fails with that errno, or "works"
static void step_sending(struct world *w, const struct words *words)
{
    const char *text = argument(w, words, 1);
    w->send_rc = strcmp(text, "works") == 0 ? 0 : -(int)words_number(w, text);
}

static struct key_ring *new_ring(struct world *w, const struct words *words)
{
    struct buf text = BUF_INIT;
    struct error err;
    struct key_ring *ring = NULL;
    buf_addf(&text, "%s %064d\n", argument(w, words, 1), words->items[1][1] - '0');
    if (words->count > 2)
        buf_addf(&text, "%s %064d\n", words->items[2], words->items[2][1] - '0');
    if (key_ring_parse(buf_str(&text), &ring, &err))
        world_fail(w, "%s", err.text);
    buf_done(&text);
    return ring;
}

// keys k1 [k2]: another ring, and a restart
static void step_keys(struct world *w, const struct words *words)
{
    struct key_ring *old = w->ring;
    w->ring = new_ring(w, words);
    if (!old)
        return;
    world_stop(w);
    world_start(w);
    key_ring_free(old);
}

// ring k1 [k2]: another ring, read again while it runs
static void step_ring(struct world *w, const struct words *words)
{
    struct key_ring *old = w->ring;
    w->ring = new_ring(w, words);
    engine_keys(w->engine, w->ring, w->now);
    key_ring_free(old);
}

static const struct {
    const char *word;
    step_fn *run;
} steps[] = {
    {"policy", step_policy},
    {"keys", step_keys},
    {"ring", step_ring},
    {"load", step_load},
    {"open", step_open},
    {"close", step_close},
    {"park", step_park},
    {"unpark", step_unpark},
    {"drop", step_drop},
    {"stop", step_stop},
    {"restart", step_restart},
    {"clock", step_clock},
    {"node", step_node},
    {"lease", step_lease},
    {"credit", step_credit},
    {"report_failed", step_report_failed},
    {"local", step_local},
    {"sending", step_sending},
    {"rules", step_rules},
    {"flow_lost", step_flow_lost},
    {"targets_changed", step_targets_changed},
    {"set", step_set},
    {"want", step_want},
    {"remove", step_remove},
    {"moved", step_moved},
    {"buried", step_buried},
    {"snapshot", step_snapshot},
    {"at", step_at},
    {"after", step_after},
    {"silent", step_silent},
    {"answer", step_answer},
    {"answer_all", step_answer_all},
    {"automatic", step_automatic},
    {"timeout", step_timeout},
    {"unreachable", step_unreachable},
    {"expect", step_expect},
};

void step_run(struct world *w, const struct words *words)
{
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (strcmp(words->items[0], steps[i].word) == 0) {
            steps[i].run(w, words);
            return;
        }
    world_fail(w, "unknown step \"%s\"", words->items[0]);
}

// Words are separated by blanks; '…' keeps blanks and double quotes together.
static void split(struct world *w, char *line, struct words *ret)
{
    ret->count = 0;
    char *at = line;
    for (;;) {
        at += strspn(at, " \t\r\n");
        if (!*at || *at == '#')
            return;
        if (ret->count == MAX_WORDS)
            world_fail(w, "too many words");
        char *to = at;
        ret->items[ret->count++] = at;
        for (bool quoted = false; *at && (quoted || !strchr(" \t\r\n", *at)); at++) {
            if (*at == '\'')
                quoted = !quoted;
            else
                *to++ = *at;
        }
        bool last = !*at;
        *to = '\0';
        if (last)
            return;
        at++;
    }
}

int main(int argc, char **argv)
{
    static struct world w;
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s <file.scn>\n", argv[0]);
        return 2;
    }
    FILE *file = fopen(argv[1], "re");
    if (!file) {
        perror(argv[1]);
        return 2;
    }
    const char *slash = strrchr(argv[1], '/');
    w.file = slash ? slash + 1 : argv[1];
    w.policy = engine_policy_default();
    w.start_us = UINT64_C(1000000000);
    w.now = (struct moment){.us = w.start_us, .wall_ms = SCENARIO_WALL_MS};
    w.seed = 1;
    struct words first = {.items = {(char[]){"keys"}, (char[]){"k1"}}, .count = 2};
    step_run(&w, &first);
    world_start(&w);
    char line[16384];
    bool expected = false;
    while (fgets(line, sizeof(line), file)) {
        struct words words;
        w.line++;
        split(&w, line, &words);
        if (!words.count)
            continue;
        expected = expected || strcmp(words.items[0], "expect") == 0;
        step_run(&w, &words);
    }
    (void)fclose(file);
    if (!expected)
        world_fail(&w, "nothing was expected");
    world_clear(&w);
    return 0;
}
