// See world.h.
#include "tests/scenario/world.h"

#include "common/base/mem.h"
#include "services/registrant/core/rules.h"
#include "tests/scenario/steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void world_fail(const struct world *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fprintf(stderr, "%s:%u: (at %.3f s) ", w->file, w->line, (double)(w->now.us - w->start_us) / 1e6);
    (void)vfprintf(stderr, fmt, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static char **copy_texts(const struct str *texts, size_t count)
{
    char **copy = mem_array(count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = str_dup(texts[i]);
    return copy;
}

static int on_send(void *arg, const struct sip_request *r, uint64_t token)
{
    struct world *w = arg;
    if (w->send_rc)
        return w->send_rc;
    struct sent *s = mem_alloc(sizeof(*s));
    *s = (struct sent){.token = token,
                       .at_us = w->now.us,
                       .request_uri = str_dup(r->request_uri),
                       .to = str_dup(r->to),
                       .from = str_dup(r->from),
                       .call_id = str_dup(r->call_id),
                       .next_hop = str_dup(r->next_hop),
                       .interface = str_dup(r->interface),
                       .contacts = copy_texts(r->contacts, r->contact_count),
                       .routes = copy_texts(r->routes, r->route_count),
                       .authorizations = copy_texts(r->authorizations, r->authorization_count),
                       .contact_count = r->contact_count,
                       .route_count = r->route_count,
                       .authorization_count = r->authorization_count,
                       .cseq = r->cseq,
                       .expires = r->expires,
                       .transport = r->transport,
                       .supported = str_dup(r->supported),
                       .require = str_dup(r->require),
                       .registrar = str_dup(r->registrar),
                       .affinity = r->affinity};
    *w->sent_end = s;
    w->sent_end = &s->next;
    return 0;
}

static void on_report(void *arg, uint32_t shard, const struct status *status)
{
    struct world *w = arg;
    struct buf text = BUF_INIT;
    struct json *tree = NULL;
    struct error err = {0};
    struct said *s = mem_alloc(sizeof(*s));
    status_write(&text, status);
    if (json_parse(buf_str(&text), &JSON_LIMITS_DEFAULT, &tree, &err) || status_read(tree, &s->status, &err))
        world_fail(w, "a report cannot be read back: %s\n%s", err.text, text.p);
    struct model *m = world_model(w, status->id);
    if (m->has_last)
        status_done(&m->last);
    if (status_read(tree, &m->last, &err))
        world_fail(w, "a report cannot be read back: %s", err.text);
    m->has_last = true;
    json_free(tree);
    buf_done(&text);
    s->shard = shard;
    s->at_us = w->now.us;
    *w->said_end = s;
    w->said_end = &s->next;
}

static void on_closed(void *arg, uint32_t shard)
{
    struct world *w = arg;
    if (w->closed_count < ARRAY_LEN(w->closed))
        w->closed[w->closed_count++] = shard;
}

static struct str on_local(void *arg, enum registration_transport transport, struct str interface,
                           struct str host)
{
    struct world *w = arg;
    (void)transport;
    (void)interface;
    return str_of(*w->local6 && str_has_char(host, ':') ? w->local6 : w->local);
}

// A flow of UDP gets its number only now.
static uint32_t on_keep_alive(void *arg, uint64_t token, uint32_t flow_timer_s)
{
    struct world *w = arg;
    (void)token;
    w->kept_timer_s = flow_timer_s;
    return 1000 + ++w->kept_alive;
}

static void on_forget(void *arg, uint64_t token)
{
    struct world *w = arg;
    for (struct sent *s = w->sent; s; s = s->next)
        w->forgotten += s->token == token;
}

void world_start(struct world *w)
{
    static const struct engine_ops ops = {.send = on_send,
                                          .report = on_report,
                                          .closed = on_closed,
                                          .local_hostport = on_local,
                                          .keep_alive = on_keep_alive,
                                          .forget = on_forget};
    const struct engine_params params = {
        .ops = &ops, .ops_arg = w, .policy = w->policy, .ring = w->ring, .seed = w->seed++};
    w->engine = engine_new(&params, w->now);
    w->sent_end = &w->sent;
    w->said_end = &w->said;
    if (!w->credit_by_hand)
        engine_credit(w->engine, UINT32_MAX, w->now);
    w->wake_us = UINT64_MAX;
}

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

static void sent_free(struct sent *s)
{
    free_texts(s->contacts, s->contact_count);
    free_texts(s->routes, s->route_count);
    free_texts(s->authorizations, s->authorization_count);
    free(s->request_uri);
    free(s->to);
    free(s->from);
    free(s->call_id);
    free(s->next_hop);
    free(s->interface);
    free(s->supported);
    free(s->require);
    free(s->registrar);
    free(s);
}

void said_free(struct said *s)
{
    status_done(&s->status);
    free(s);
}

void world_stop(struct world *w)
{
    engine_free(w->engine);
    w->engine = NULL;
    while (w->sent) {
        struct sent *s = w->sent;
        w->sent = s->next;
        sent_free(s);
    }
    while (w->said) {
        struct said *s = w->said;
        w->said = s->next;
        said_free(s);
    }
    w->current = NULL;
    w->named_count = 0;
    w->closed_count = 0;
}

void world_clear(struct world *w)
{
    world_stop(w);
    for (size_t i = 0; i < MAX_MODELS; i++) {
        struct model *m = &w->models[i];
        if (m->used)
            registration_done(&m->reg);
        if (m->has_last)
            status_done(&m->last);
        free(m->last_call_id);
        free(m->last_from);
        free(m->password);
    }
    key_ring_free(w->ring);
    rules_free(w->rules);
}

struct model *world_model(struct world *w, uint64_t id)
{
    if (!id || id >= MAX_MODELS)
        world_fail(w, "registration ids are 1 to %d", MAX_MODELS - 1);
    return &w->models[id];
}

uint64_t sent_id(const struct sent *s)
{
    const char *user = strstr(s->to, ":u");
    return user ? strtoull(user + 2, NULL, 10) : 0;
}

void world_after(struct world *w)
{
    for (;;) {
        w->wake_us = engine_tick(w->engine, w->now);
        if (!w->automatic || !steps_answer_automatically(w))
            return;
    }
}

void world_tell_time(struct world *w)
{
    w->now.wall_ms = SCENARIO_WALL_MS + (uint64_t)w->clock_off_ms + (w->now.us - w->start_us) / 1000;
}

void world_advance(struct world *w, uint64_t to_us)
{
    while (w->wake_us <= to_us) {
        uint64_t step = w->wake_us > w->now.us ? w->wake_us - w->now.us : 1000;
        if (w->now.us + step > to_us)
            break;
        w->now.us += step;
        world_tell_time(w);
        world_after(w);
    }
    if (to_us > w->now.us)
        w->now.us = to_us;
    world_tell_time(w);
    world_after(w);
}

struct sent *world_next_request(struct world *w, uint64_t id, uint64_t to_us)
{
    for (;;) {
        for (struct sent *s = w->sent; s; s = s->next)
            if (!s->taken && (!id || sent_id(s) == id))
                return s;
        if (w->wake_us > to_us || w->now.us >= to_us)
            return NULL;
        world_advance(w, w->wake_us > w->now.us ? w->wake_us : w->now.us + 1000);
    }
}

struct said *world_next_report(struct world *w, uint64_t id, uint64_t to_us)
{
    for (;;) {
        for (struct said **at = &w->said; *at; at = &(*at)->next) {
            struct said *s = *at;
            if (id && s->status.id != id)
                continue;
            *at = s->next;
            if (!s->next)
                w->said_end = at;
            return s;
        }
        if (w->wake_us > to_us || w->now.us >= to_us)
            return NULL;
        world_advance(w, w->wake_us > w->now.us ? w->wake_us : w->now.us + 1000);
    }
}
