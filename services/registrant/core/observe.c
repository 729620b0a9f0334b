// See observe.h.
#include "services/registrant/core/observe.h"

#include "common/base/base.h"

#include <assert.h>
#include <string.h>

// ---- histograms

void histogram_add(struct histogram *h, uint64_t us)
{
    static const double bounds_s[] = OBSERVE_BOUNDS_S;
    static_assert(ARRAY_LEN(bounds_s) == OBSERVE_BUCKETS + 1, "one bucket a bound");
    unsigned at = 0;
    while (at < OBSERVE_BUCKETS && (double)us > bounds_s[at] * 1e6)
        at++;
    h->counts[at]++;
    h->sum_us += us;
}

void histogram_merge(struct histogram *sum, const struct histogram *more)
{
    for (size_t i = 0; i < ARRAY_LEN(sum->counts); i++)
        sum->counts[i] += more->counts[i];
    sum->sum_us += more->sum_us;
}

// ---- codes

static const struct {
    int from, to;
    bool local;
    const char *name;
} codes[] = {
    {200, 200, false, "200"},      {200, 299, false, "2xx"},      {300, 399, false, "3xx"},
    {408, 408, true, "local_408"}, {503, 503, true, "local_503"}, {100, 699, true, "local_other"},
    {400, 400, false, "400"},      {401, 401, false, "401"},      {403, 403, false, "403"},
    {404, 404, false, "404"},      {405, 405, false, "405"},      {407, 407, false, "407"},
    {408, 408, false, "408"},      {410, 410, false, "410"},      {416, 416, false, "416"},
    {420, 420, false, "420"},      {421, 421, false, "421"},      {423, 423, false, "423"},
    {439, 439, false, "439"},      {480, 480, false, "480"},      {481, 481, false, "481"},
    {484, 484, false, "484"},      {485, 485, false, "485"},      {486, 486, false, "486"},
    {488, 488, false, "488"},      {494, 494, false, "494"},      {400, 499, false, "4xx"},
    {500, 500, false, "500"},      {501, 501, false, "501"},      {502, 502, false, "502"},
    {503, 503, false, "503"},      {504, 504, false, "504"},      {513, 513, false, "513"},
    {500, 599, false, "5xx"},      {600, 600, false, "600"},      {603, 603, false, "603"},
    {604, 604, false, "604"},      {606, 606, false, "606"},      {600, 699, false, "6xx"},
    {0, 9999, false, "other"},
};
static_assert(ARRAY_LEN(codes) == OBSERVE_CODES, "observe.h says how many there are");

unsigned observe_code(int status, bool local)
{
    unsigned i = 0;
    while (i + 1 < ARRAY_LEN(codes) &&
           (codes[i].local != local || status < codes[i].from || status > codes[i].to))
        i++;
    return i;
}

const char *observe_code_name(unsigned code)
{
    return code < ARRAY_LEN(codes) ? codes[code].name : NULL;
}

// ---- registrars

static void add_counts(struct registrar_view *sum, const struct registrar_view *more)
{
    sum->registrars += more->registrars;
    sum->registrations += more->registrations;
    sum->bound += more->bound;
    sum->waiting += more->waiting;
    sum->in_flight += more->in_flight;
    sum->requests += more->requests;
    sum->lapsed += more->lapsed;
    sum->overcommitted += more->overcommitted;
    sum->hard += more->hard;
    sum->suspect += more->suspect;
    sum->open += more->open;
    sum->rate += more->rate;
    sum->need += more->need;
    for (size_t i = 0; i < OBSERVE_STATES; i++)
        sum->states[i] += more->states[i];
    for (size_t i = 0; i < OBSERVE_CODES; i++)
        sum->codes[i] += more->codes[i];
}

static void add_least(uint32_t *least, uint32_t more)
{
    if (more && (!*least || more < *least))
        *least = more;
}

void registrar_view_merge(struct registrar_view *sum, const struct registrar_view *more)
{
    bool same = sum->name[0] && strcmp(sum->name, more->name) == 0;
    add_counts(sum, more);
    if (more->open_for_ms > sum->open_for_ms)
        sum->open_for_ms = more->open_for_ms;
    if (!same)
        return;
    add_least(&sum->granted_least_s, more->granted_least_s);
    sum->granted_s = sum->granted_s ? sum->granted_s : more->granted_s;
    if (more->min_expires_s > sum->min_expires_s)
        sum->min_expires_s = more->min_expires_s;
    if (more->nonce_age_s && (!sum->nonce_age_s || more->nonce_age_s < sum->nonce_age_s))
        sum->nonce_age_s = more->nonce_age_s;
    sum->outbound = sum->outbound || more->outbound;
    if (!sum->received[0])
        memcpy(sum->received, more->received, sizeof(sum->received));
}
