// See admin_registrars.h.
#include "services/registrant/admin_registrars.h"

#include "common/json/json.h"
#include "common/metrics/metrics.h"
#include "common/registration/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- merging

static struct registrar_view *place_of(struct registrars *sum, const struct registrar_view *one)
{
    for (size_t i = 0; i < sum->count; i++)
        if (strcmp(sum->items[i].name, one->name) == 0)
            return &sum->items[i];
    if (sum->count == REGISTRARS_SHOWN)
        return &sum->rest;
    struct registrar_view *place = &sum->items[sum->count++];
    *place = (struct registrar_view){0};
    memcpy(place->name, one->name, sizeof(place->name));
    return place;
}

static int more_first(const void *left, const void *right)
{
    const struct registrar_view *a = left, *b = right;
    if (a->registrations != b->registrations)
        return a->registrations < b->registrations ? 1 : -1;
    return strcmp(a->name, b->name);
}

void registrars_merge(struct registrars *sum, const struct registrar_view *more, size_t count,
                      const struct registrar_view *more_rest)
{
    for (size_t i = 0; i < count; i++) {
        struct registrar_view *place = place_of(sum, &more[i]);
        bool seen = place->registrars > 0 && place != &sum->rest;
        registrar_view_merge(place, &more[i]);
        if (seen)
            place->registrars = 1;
    }
    registrar_view_merge(&sum->rest, more_rest);
    qsort(sum->items, sum->count, sizeof(sum->items[0]), more_first);
}

// ---- metrics

struct family {
    const char *name;
    enum metric_type type;
    const char *help;
};

static const struct family by_state = {"rollcall_registrant_registrar_registrations", METRIC_GAUGE,
                                       "Registrations held, by registrar and state"};
static const struct family by_code = {"rollcall_registrant_registrar_answers_total", METRIC_COUNTER,
                                      "Final answers, by registrar and code"};

// A member each; a double where it says so, else a uint64_t.
static const struct {
    struct family family;
    size_t offset;
    bool is_double;
} numbers[] = {
#define OF(member) offsetof(struct registrar_view, member)
    {{"rollcall_registrant_registrar_bound", METRIC_GAUGE, "Live bindings, by registrar"}, OF(bound), false},
    {{"rollcall_registrant_registrar_waiting", METRIC_GAUGE,
      "Registrations held back by pacing, by registrar"},
     OF(waiting),
     false},
    {{"rollcall_registrant_registrar_in_flight", METRIC_GAUGE, "Attempts under way, by registrar"},
     OF(in_flight),
     false},
    {{"rollcall_registrant_registrar_requests_total", METRIC_COUNTER, "REGISTERs sent, by registrar"},
     OF(requests),
     false},
    {{"rollcall_registrant_registrar_lapsed_total", METRIC_COUNTER,
      "Bindings that ran out while they waited for their turn, by registrar"},
     OF(lapsed),
     false},
    {{"rollcall_registrant_registrar_overcommitted", METRIC_GAUGE,
      "1 while live refreshes need more than the rate of the registrar allows"},
     OF(overcommitted),
     false},
    {{"rollcall_registrant_registrar_suspect", METRIC_GAUGE,
      "1 while the registrar leaves requests unanswered"},
     OF(suspect),
     false},
    {{"rollcall_registrant_registrar_open", METRIC_GAUGE,
      "1 while nothing is sent to the registrar: its circuit breaker is open"},
     OF(open),
     false},
    {{"rollcall_registrant_registrar_rate", METRIC_GAUGE,
      "REGISTERs a second that this registrant may send to the registrar; 0: no limit"},
     OF(rate),
     true},
    {{"rollcall_registrant_registrar_need", METRIC_GAUGE,
      "REGISTERs a second that live refreshes need, by registrar"},
     OF(need),
     true},
#undef OF
};

static double number_of(const struct registrar_view *v, size_t row)
{
    const char *member = (const char *)v + numbers[row].offset;
    double real;
    uint64_t whole;
    if (numbers[row].is_double) {
        memcpy(&real, member, sizeof(real));
        return real;
    }
    memcpy(&whole, member, sizeof(whole));
    return (double)whole;
}

// The ones that are named, and then one for all others.
struct shown {
    const struct registrar_view *views[REGISTRARS_NAMED + 1];
    struct str names[REGISTRARS_NAMED + 1];
    size_t count;
    struct registrar_view others;
};

static void show(const struct registrars *r, struct shown *ret)
{
    ret->count = 0;
    ret->others = r->rest;
    for (size_t i = 0; i < r->count; i++) {
        if (i >= REGISTRARS_NAMED) {
            registrar_view_merge(&ret->others, &r->items[i]);
            continue;
        }
        ret->views[ret->count] = &r->items[i];
        ret->names[ret->count++] = str_of(r->items[i].name);
    }
    ret->views[ret->count] = &ret->others;
    ret->names[ret->count++] = STR_LIT("other");
}

static void begin_family(const struct family *f, struct buf *out)
{
    metrics_add_family(out, f->name, f->type, f->help);
}

static void add_numbers(const struct shown *shown, size_t row, struct buf *out)
{
    begin_family(&numbers[row].family, out);
    for (size_t i = 0; i < shown->count; i++) {
        const struct metric_label label = {"registrar", shown->names[i]};
        metrics_add_sample(out, numbers[row].family.name, &label, 1, number_of(shown->views[i], row));
    }
}

static void add_states(const struct shown *shown, struct buf *out)
{
    begin_family(&by_state, out);
    for (size_t i = 0; i < shown->count; i++)
        for (size_t s = 0; s < OBSERVE_STATES; s++) {
            const struct metric_label labels[] = {{"registrar", shown->names[i]},
                                                  {"state", str_of(status_state_name((enum status_state)s))}};
            metrics_add_sample(out, by_state.name, labels, 2, (double)shown->views[i]->states[s]);
        }
}

// Codes that were never seen are left out.
static void add_codes(const struct shown *shown, struct buf *out)
{
    begin_family(&by_code, out);
    for (size_t i = 0; i < shown->count; i++)
        for (unsigned c = 0; c < OBSERVE_CODES; c++) {
            const struct metric_label labels[] = {{"registrar", shown->names[i]},
                                                  {"code", str_of(observe_code_name(c))}};
            if (shown->views[i]->codes[c])
                metrics_add_sample(out, by_code.name, labels, 2, (double)shown->views[i]->codes[c]);
        }
}

void registrars_metrics(const struct registrars *r, struct buf *out)
{
    struct shown shown;
    show(r, &shown);
    add_states(&shown, out);
    add_codes(&shown, out);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        add_numbers(&shown, i, out);
}

// ---- JSON

static void add_rate(struct json_writer *w, const char *key, double value)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%.3f", value);
    json_key(w, key);
    json_put_raw(w, str_of(text));
}

static void add_learned(struct json_writer *w, const struct registrar_view *v)
{
    json_key(w, "learned");
    json_begin_object(w);
    json_kv_u64(w, "granted_s", v->granted_s);
    json_kv_u64(w, "granted_least_s", v->granted_least_s);
    json_kv_u64(w, "min_expires_s", v->min_expires_s);
    json_kv_u64(w, "nonce_age_s", v->nonce_age_s);
    json_kv_bool(w, "outbound", v->outbound);
    json_kv_cstr(w, "received", v->received);
    json_end_object(w);
}

static void add_counts(struct json_writer *w, const struct registrar_view *v)
{
    json_key(w, "states");
    json_begin_object(w);
    for (size_t s = 0; s < OBSERVE_STATES; s++)
        if (v->states[s])
            json_kv_u64(w, status_state_name((enum status_state)s), v->states[s]);
    json_end_object(w);
    json_key(w, "answers");
    json_begin_object(w);
    for (unsigned c = 0; c < OBSERVE_CODES; c++)
        if (v->codes[c])
            json_kv_u64(w, observe_code_name(c), v->codes[c]);
    json_end_object(w);
}

// Of one registrar whether any thread finds it so; of many how many.
static void add_flag(struct json_writer *w, const char *name, uint64_t count, bool one)
{
    if (one)
        json_kv_bool(w, name, count > 0);
    else
        json_kv_u64(w, name, count);
}

static void add_view(struct json_writer *w, const struct registrar_view *v, bool one)
{
    json_begin_object(w);
    if (one)
        json_kv_cstr(w, "name", v->name);
    else
        json_kv_u64(w, "registrars", v->registrars);
    json_kv_u64(w, "registrations", v->registrations);
    json_kv_u64(w, "bound", v->bound);
    json_kv_u64(w, "waiting", v->waiting);
    json_kv_u64(w, "in_flight", v->in_flight);
    json_kv_u64(w, "requests", v->requests);
    json_kv_u64(w, "lapsed", v->lapsed);
    add_counts(w, v);
    add_rate(w, "rate", v->rate);
    add_rate(w, "need", v->need);
    add_flag(w, "overcommitted", v->overcommitted, one);
    add_flag(w, "hard", v->hard, one);
    add_flag(w, "suspect", v->suspect, one);
    add_flag(w, "open", v->open, one);
    json_kv_u64(w, "open_for_ms", v->open_for_ms);
    if (one)
        add_learned(w, v);
    json_end_object(w);
}

// The name begins with the transport; whoever looks for a host need not know it.
static bool begins(const struct registrar_view *v, struct str prefix)
{
    struct str name = str_of(v->name);
    return str_istarts(name, prefix) ||
           str_istarts(str_slice(name, str_find(name, ':', 0) + 1, name.n), prefix);
}

void registrars_json(const struct registrars *r, struct str prefix, struct buf *out)
{
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    json_key(&w, "registrars");
    json_begin_array(&w);
    for (size_t i = 0; i < r->count; i++)
        if (begins(&r->items[i], prefix))
            add_view(&w, &r->items[i], true);
    json_end_array(&w);
    if (!prefix.n) {
        json_key(&w, "rest");
        add_view(&w, &r->rest, false);
    }
    json_end_object(&w);
}
