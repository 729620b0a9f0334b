// See entry.h.
#include "services/gateway/voximplant/entry.h"

#include <stdio.h>
#include <time.h>

#define DATE_BYTES 32

static struct tm utc(uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm t;
    (void)gmtime_r(&seconds, &t);
    return t;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 1 && leap ? 29 : days[month];
}

// A subscription is for a month: the first day after today that is a whole number of months after the
// creation, the last of its month where that has no such day.
static void put_renewal(struct json_writer *w, uint64_t created_ms, uint64_t now_ms)
{
    struct tm first = utc(created_ms), now = utc(now_ms);
    char text[DATE_BYTES];
    int months = (now.tm_year - first.tm_year) * 12 + now.tm_mon - first.tm_mon, year, month, day;
    for (months = months < 1 ? 1 : months;; months++) {
        month = (first.tm_mon + months) % 12;
        year = first.tm_year + (first.tm_mon + months) / 12 + 1900;
        int most = days_in_month(year, month);
        day = first.tm_mday < most ? first.tm_mday : most;
        if (year > now.tm_year + 1900 || month != now.tm_mon || day > now.tm_mday)
            break;
    }
    (void)snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month + 1, day);
    json_kv_cstr(w, "next_subscription_renewal", text);
}

static void put_purchase(struct json_writer *w, uint64_t created_ms)
{
    struct tm t = utc(created_ms);
    char text[DATE_BYTES];
    (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &t);
    json_kv_cstr(w, "purchase_date", text);
}

static void put_subscription(struct json_writer *w, const struct account *account,
                             const struct registration *r, uint64_t now_ms)
{
    struct terms terms = vox_catalogue_terms(account);
    if (terms.next_renewal.n)
        json_kv_str(w, "next_subscription_renewal", terms.next_renewal);
    else
        put_renewal(w, r->created_at_ms, now_ms);
    if (terms.purchase_date.n)
        json_kv_str(w, "purchase_date", terms.purchase_date);
    else
        put_purchase(w, r->created_at_ms);
    json_kv_str(w, "subscription_price", terms.subscription_price);
}

static void put_outcome(struct json_writer *w, const struct outcome *o)
{
    if (o->successful != CHOICE_ANY)
        json_kv_bool(w, "successful", o->successful == CHOICE_TRUE);
    if (o->status_code > 0)
        json_kv_i64(w, "status_code", o->status_code);
    if (o->message)
        json_kv_cstr(w, "error_message", o->message);
}

static void put_binding(struct json_writer *w, const struct account *account, const struct binding *b)
{
    for (size_t i = 0; i < TARGET_COUNT; i++) {
        const struct target_words *words = vox_target_words((enum target_kind)i);
        const struct target *t = &b->of[i];
        struct str name = t->id ? vox_catalogue_name(account, (enum target_kind)i, t->id) : STR_NONE;
        if (!name.n)
            name = str_of(t->name);
        if (t->id)
            json_kv_u64(w, words->id, t->id);
        if (name.n)
            json_kv_str(w, words->name, name);
    }
}

// auth_user: the digest user, also where it is the user name.
static void put_identity(struct json_writer *w, const struct registration *r, const struct facts *f,
                         const struct outcome *o)
{
    struct buf scratch cleanup(buf_done) = BUF_INIT;
    struct str outbound = vox_model_outbound_proxy(r, f, &scratch);
    json_kv_u64(w, "sip_registration_id", r->id);
    json_kv_cstr(w, "sip_username", r->username);
    json_kv_str(w, "proxy", vox_model_proxy(r, f));
    json_kv_u64(w, "last_updated", o->updated_s);
    if (r->credential_count && r->credentials[0].user && r->credentials[0].user[0])
        json_kv_cstr(w, "auth_user", r->credentials[0].user);
    if (outbound.n)
        json_kv_str(w, "outbound_proxy", outbound);
}

void vox_entry_write(struct json_writer *w, const struct account *account, const struct store_record *record,
                     uint64_t now_wall_ms)
{
    const struct registration *r = &record->reg;
    struct facts f cleanup(vox_facts_done);
    struct outcome o cleanup(vox_outcome_done);
    vox_facts_of(&f, r);
    vox_outcome_of(&o, record, now_wall_ms);
    json_begin_object(w);
    put_identity(w, r, &f, &o);
    put_outcome(w, &o);
    json_kv_bool(w, "deactivated", vox_model_is_deactivated(r, &f));
    put_subscription(w, account, r, now_wall_ms);
    json_kv_bool(w, "is_persistent", f.is_persistent);
    put_binding(w, account, &f.binding);
    json_end_object(w);
}
