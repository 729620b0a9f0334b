// The JSON form of a status (proto/schemas/status.json). Zero and empty members are left out: one is written
// and stored at every settled REGISTER.
#include "common/registration/status.h"

#include "common/registration/members.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FORM_VERSION 1
// Four times what a registrant keeps: a longer text is damage, and not what another version chose to keep.
#define TEXT_MAX_BYTES (4 * STATUS_MAX_TEXT_BYTES)

static const char *const state_names[] = {
    [STATE_DISABLED] = "disabled",         [STATE_PENDING] = "pending",
    [STATE_REGISTERING] = "registering",   [STATE_REGISTERED] = "registered",
    [STATE_RETRYING] = "retrying",         [STATE_REJECTED] = "rejected",
    [STATE_GIVEN_UP] = "given_up",         [STATE_UNREGISTERING] = "unregistering",
    [STATE_UNREGISTERED] = "unregistered",
};

static const char *const proof_names[] = {
    [PROOF_NONE] = "none",     [PROOF_ANSWERED] = "answered",
    [PROOF_LAPSED] = "lapsed", [PROOF_NEVER_SENT] = "never_sent",
    [PROOF_TWIN] = "twin",
};

const char *status_state_name(enum status_state s)
{
    return state_names[s];
}

const char *status_proof_name(enum status_proof p)
{
    return proof_names[p];
}

// ---- writing

static void put_list(struct json_writer *w, const char *key, const struct status_list *l)
{
    if (!l->count)
        return;
    json_key(w, key);
    json_begin_array(w);
    for (size_t i = 0; i < l->count; i++)
        json_put_cstr(w, l->items[i]);
    json_end_array(w);
}

static void put_cause(struct json_writer *w, const struct status *s)
{
    if (!s->code && !s->reason)
        return;
    json_key(w, "cause");
    json_begin_object(w);
    json_kv_i64(w, "code", s->code);
    members_put_text(w, "reason", s->reason);
    members_put_text(w, "warning", s->warning);
    if (s->retry_after_s != REGISTRATION_UNSET)
        json_kv_i64(w, "retry_after_s", s->retry_after_s);
    json_kv_cstr(w, "by", s->by_local ? "local" : "remote");
    json_end_object(w);
}

static void put_acted(struct json_writer *w, const struct status *s)
{
    if (!s->refresh_acted && !s->flush_acted && !s->audit_acted)
        return;
    json_key(w, "acted");
    json_begin_object(w);
    members_put_number(w, "refresh", s->refresh_acted);
    members_put_number(w, "flush", s->flush_acted);
    members_put_number(w, "audit", s->audit_acted);
    json_end_object(w);
}

// What is known of the way between us and the registrar.
static void put_path(struct json_writer *w, const struct status *s)
{
    members_put_text(w, "target", s->target);
    members_put_text(w, "local", s->local);
    members_put_text(w, "received", s->received);
    members_put_flag(w, "outbound", s->outbound);
    members_put_number(w, "flow_timer_s", s->flow_timer_s);
    members_put_number(w, "rtt_us", s->rtt_us);
}

static void put_nonces(struct json_writer *w, const struct status_bound *b)
{
    if (!b->nonce_count)
        return;
    json_key(w, "nonces");
    json_begin_array(w);
    for (size_t i = 0; i < b->nonce_count; i++) {
        const struct status_nonce *n = &b->nonces[i];
        json_begin_object(w);
        members_put_text(w, "realm", n->realm);
        members_put_text(w, "nonce", n->nonce);
        members_put_text(w, "opaque", n->opaque);
        members_put_text(w, "algorithm", n->algorithm);
        members_put_text(w, "qop", n->qop);
        members_put_flag(w, "userhash", n->userhash);
        members_put_flag(w, "proxy", n->proxy);
        members_put_number(w, "nc", n->nc);
        json_end_object(w);
    }
    json_end_array(w);
}

static void put_bound(struct json_writer *w, const struct status_bound *b)
{
    json_key(w, "bound");
    json_begin_object(w);
    json_kv_u64(w, "revision", b->revision);
    json_key(w, "sent");
    registration_write_sent(w, &b->sent);
    members_put_text(w, "call_id", b->call_id);
    members_put_text(w, "from_tag", b->from_tag);
    members_put_number(w, "cseq", b->cseq);
    put_nonces(w, b);
    members_put_number(w, "asked_s", b->asked_s);
    members_put_number(w, "granted_s", b->granted_s);
    members_put_number(w, "last_sent_ms", b->last_sent_wall_ms);
    members_put_number(w, "expires_at_ms", b->expires_at_wall_ms);
    json_end_object(w);
}

static void put_answer(struct json_writer *w, const struct status *s)
{
    put_cause(w, s);
    members_put_number(w, "attempt", s->attempt);
    members_put_number(w, "granted_s", s->granted_s);
    members_put_number(w, "expires_at_ms", s->expires_at_wall_ms);
    members_put_number(w, "next_at_ms", s->next_at_wall_ms);
    members_put_number(w, "next_in_ms", s->next_in_ms);
    put_list(w, "contacts", &s->contacts);
    members_put_number(w, "foreign", s->foreign);
    members_put_number(w, "audited_at_ms", s->audited_at_wall_ms);
    put_list(w, "service_route", &s->service_route);
    put_list(w, "path", &s->path);
    put_list(w, "associated", &s->associated);
    members_put_text(w, "pub_gruu", s->pub_gruu);
    members_put_text(w, "temp_gruu", s->temp_gruu);
    put_path(w, s);
    members_put_text(w, "node", s->node);
}

static void write_report(struct json_writer *w, const struct status *s, bool whole)
{
    json_begin_object(w);
    json_kv_u64(w, "v", FORM_VERSION);
    json_kv_u64(w, "id", s->id);
    members_put_text(w, "account", s->account);
    if (s->place[0])
        json_kv_cstr(w, "place", s->place);
    if (whole) {
        json_kv_u64(w, "epoch", s->epoch);
        json_kv_u64(w, "seq", s->seq);
    }
    json_kv_u64(w, "revision", s->revision);
    json_kv_cstr(w, "state", state_names[s->state]);
    members_put_number(w, "since_ms", s->since_wall_ms);
    put_answer(w, s);
    put_acted(w, s);
    members_put_flag(w, "handover", s->handover);
    if (s->removed != PROOF_NONE)
        json_kv_cstr(w, "removed", proof_names[s->removed]);
    if (whole && s->has_bound)
        put_bound(w, &s->bound);
    json_end_object(w);
}

void status_write(struct buf *out, const struct status *s)
{
    struct json_writer w = json_writer(out);
    write_report(&w, s, true);
}

void status_write_public(struct json_writer *w, const struct status *s)
{
    write_report(w, s, false);
}

// ---- reading

// What is beyond the size that is kept here is left out: it is for reading by people, and another version may
// keep more.
static void read_list(struct members *m, const char *name, struct status_list *l)
{
    const struct json *array = members_array(m, name);
    for (size_t i = 0; i < json_count(array) && l->count < STATUS_MAX_LIST; i++) {
        const struct json *v = json_at(array, i);
        if (!json_is(v, JSON_STRING) || json_str(v).n > TEXT_MAX_BYTES || str_has_char(json_str(v), '\0')) {
            members_fail(m, name, "item %zu is no string, too long, or holds a NUL character", i);
            return;
        }
        l->items[l->count++] = str_dup(json_str(v));
    }
}

static int read_cause(const struct json *object, struct status *s, struct error *err)
{
    static const char *const by_names[] = {"remote", "local"};
    struct members m = members_of(object, err);
    int64_t code = 0;
    members_i64(&m, "code", &code);
    if (code < 0 || code > 999)
        members_fail(&m, "code", "is no SIP status");
    s->code = (int)code;
    members_text(&m, "reason", TEXT_MAX_BYTES, &s->reason);
    members_text(&m, "warning", TEXT_MAX_BYTES, &s->warning);
    members_i64(&m, "retry_after_s", &s->retry_after_s);
    s->by_local = members_choice(&m, "by", by_names, ARRAY_LEN(by_names), 0) == 1;
    return m.rc;
}

static int read_acted(const struct json *object, struct status *s, struct error *err)
{
    struct members m = members_of(object, err);
    members_u64(&m, "refresh", &s->refresh_acted);
    members_u64(&m, "flush", &s->flush_acted);
    members_u64(&m, "audit", &s->audit_acted);
    return m.rc;
}

static int read_nonce(const struct json *object, struct status_nonce *n, struct error *err)
{
    struct members m = members_of(object, err);
    members_text(&m, "realm", TEXT_MAX_BYTES, &n->realm);
    members_text(&m, "nonce", TEXT_MAX_BYTES, &n->nonce);
    members_text(&m, "opaque", TEXT_MAX_BYTES, &n->opaque);
    members_text(&m, "algorithm", TEXT_MAX_BYTES, &n->algorithm);
    members_text(&m, "qop", TEXT_MAX_BYTES, &n->qop);
    members_bool(&m, "userhash", &n->userhash);
    members_bool(&m, "proxy", &n->proxy);
    members_u32(&m, "nc", &n->nc);
    if (!n->realm || !n->nonce)
        members_fail(&m, n->realm ? "nonce" : "realm", "is missing");
    return m.rc;
}

// A nonce beyond those kept costs one more challenge, no more.
static void read_nonces(struct members *m, struct status_bound *b)
{
    const struct json *array = members_array(m, "nonces");
    for (size_t i = 0; !m->rc && i < json_count(array) && b->nonce_count < STATUS_MAX_NONCES; i++) {
        struct status_nonce *n = &b->nonces[b->nonce_count++];
        members_adopt(m, "nonces", read_nonce(json_at(array, i), n, m->err));
    }
}

static int read_bound(const struct json *object, struct status_bound *b, struct error *err)
{
    struct members m = members_of(object, err);
    members_u64(&m, "revision", &b->revision);
    const struct json *sent = members_object(&m, "sent");
    if (!sent)
        members_fail(&m, "sent", "is missing");
    else
        members_adopt(&m, "sent", registration_read_sent(sent, &b->sent, err));
    members_text(&m, "call_id", TEXT_MAX_BYTES, &b->call_id);
    members_text(&m, "from_tag", TEXT_MAX_BYTES, &b->from_tag);
    members_u32(&m, "cseq", &b->cseq);
    read_nonces(&m, b);
    members_u32(&m, "asked_s", &b->asked_s);
    members_u32(&m, "granted_s", &b->granted_s);
    members_u64(&m, "last_sent_ms", &b->last_sent_wall_ms);
    members_u64(&m, "expires_at_ms", &b->expires_at_wall_ms);
    return m.rc;
}

static void read_version(struct members *m)
{
    uint64_t version = FORM_VERSION;
    members_u64(m, "v", &version);
    if (version != FORM_VERSION)
        members_fail(m, "v", "is %llu, and only %d is known", (unsigned long long)version, FORM_VERSION);
}

static void read_head(struct members *m, struct status *s)
{
    char *place = NULL;
    members_u64(m, "id", &s->id);
    members_text(m, "account", REGISTRATION_MAX_TEXT_BYTES, &s->account);
    members_text(m, "place", sizeof(s->place) - 1, &place);
    if (place)
        (void)snprintf(s->place, sizeof(s->place), "%s", place);
    free(place);
    members_u64(m, "epoch", &s->epoch);
    members_u64(m, "seq", &s->seq);
    members_u64(m, "revision", &s->revision);
    if (!s->id)
        members_fail(m, "id", "is missing");
    if (!json_get(m->object, "state"))
        members_fail(m, "state", "is missing");
    s->state = members_choice(m, "state", state_names, ARRAY_LEN(state_names), s->state);
    members_u64(m, "since_ms", &s->since_wall_ms);
}

static void read_path(struct members *m, struct status *s)
{
    members_text(m, "target", TEXT_MAX_BYTES, &s->target);
    members_text(m, "local", TEXT_MAX_BYTES, &s->local);
    members_text(m, "received", TEXT_MAX_BYTES, &s->received);
    members_bool(m, "outbound", &s->outbound);
    members_u32(m, "flow_timer_s", &s->flow_timer_s);
    members_u32(m, "rtt_us", &s->rtt_us);
}

static void read_answer(struct members *m, struct status *s)
{
    const struct json *cause = members_object(m, "cause");
    if (cause)
        members_adopt(m, "cause", read_cause(cause, s, m->err));
    members_u32(m, "attempt", &s->attempt);
    members_u32(m, "granted_s", &s->granted_s);
    members_u64(m, "expires_at_ms", &s->expires_at_wall_ms);
    members_u64(m, "next_at_ms", &s->next_at_wall_ms);
    members_u64(m, "next_in_ms", &s->next_in_ms);
    read_list(m, "contacts", &s->contacts);
    members_u32(m, "foreign", &s->foreign);
    members_u64(m, "audited_at_ms", &s->audited_at_wall_ms);
    read_list(m, "service_route", &s->service_route);
    read_list(m, "path", &s->path);
    read_list(m, "associated", &s->associated);
    members_text(m, "pub_gruu", TEXT_MAX_BYTES, &s->pub_gruu);
    members_text(m, "temp_gruu", TEXT_MAX_BYTES, &s->temp_gruu);
    read_path(m, s);
    members_text(m, "node", TEXT_MAX_BYTES, &s->node);
}

static void read_tail(struct members *m, struct status *s)
{
    const struct json *acted = members_object(m, "acted");
    if (acted)
        members_adopt(m, "acted", read_acted(acted, s, m->err));
    members_bool(m, "handover", &s->handover);
    s->removed = members_choice(m, "removed", proof_names, ARRAY_LEN(proof_names), PROOF_NONE);
    const struct json *bound = members_object(m, "bound");
    if (!bound)
        return;
    s->has_bound = true;
    members_adopt(m, "bound", read_bound(bound, &s->bound, m->err));
    s->bound.sent.id = s->id;
    if (!m->rc)
        s->bound.sent.account = s->account ? str_dup(str_of(s->account)) : NULL;
}

int status_read(const struct json *object, struct status *ret_init, struct error *err)
{
    struct members m = members_of(object, err);
    status_init(ret_init);
    read_version(&m);
    read_head(&m, ret_init);
    read_answer(&m, ret_init);
    read_tail(&m, ret_init);
    if (m.rc)
        status_done(ret_init);
    return m.rc;
}
