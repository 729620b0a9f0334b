// A report's life, and how long it is believed. Its JSON form is report.c's.
#include "common/registration/status.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define BELIEF_GRACE_MS 60000

void status_init(struct status *s)
{
    *s = (struct status){.retry_after_s = REGISTRATION_UNSET};
}

static void list_done(struct status_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i]);
}

static void nonce_done(struct status_nonce *n)
{
    free(n->realm);
    free(n->nonce);
    free(n->opaque);
    free(n->algorithm);
    free(n->qop);
}

static void bound_done(struct status_bound *b)
{
    registration_done(&b->sent);
    free(b->call_id);
    free(b->from_tag);
    for (size_t i = 0; i < b->nonce_count; i++)
        nonce_done(&b->nonces[i]);
    *b = (struct status_bound){0};
}

void status_done(struct status *s)
{
    free(s->account);
    free(s->reason);
    free(s->warning);
    list_done(&s->contacts);
    list_done(&s->service_route);
    list_done(&s->path);
    list_done(&s->associated);
    free(s->target);
    free(s->local);
    free(s->received);
    free(s->pub_gruu);
    free(s->temp_gruu);
    free(s->node);
    bound_done(&s->bound);
    *s = (struct status){0};
}

uint64_t status_bound_until_ms(const struct status *s)
{
    uint64_t bound = s->has_bound ? s->bound.expires_at_wall_ms : 0;
    return bound > s->expires_at_wall_ms ? bound : s->expires_at_wall_ms;
}

bool status_is_believed(const struct status *s, uint64_t now_wall_ms)
{
    if (s->state == STATE_DISABLED || s->state == STATE_UNREGISTERED || s->state == STATE_GIVEN_UP)
        return true;
    if (s->expires_at_wall_ms && now_wall_ms < s->expires_at_wall_ms)
        return true;
    // Past its expiry a binding is gone: "registered" is false from then on, the other states go by the
    // action that was announced.
    if (s->expires_at_wall_ms && s->state == STATE_REGISTERED)
        return false;
    return !s->next_at_wall_ms || now_wall_ms < s->next_at_wall_ms + BELIEF_GRACE_MS;
}

static const char *const yeti_names[] = {
    [YETI_PENDING] = "RegisterPending",     [YETI_ACTIVE] = "RegisterActive",
    [YETI_ERROR] = "RegisterError",         [YETI_EXPIRED] = "RegisterExpired",
    [YETI_POSTPONED] = "RegisterPostponed",
};

const char *yeti_state_name(enum yeti_state s)
{
    return yeti_names[s];
}

enum yeti_state status_yeti_state(const struct status *s, uint64_t now_wall_ms)
{
    switch (s->state) {
    case STATE_REGISTERED:
        return now_wall_ms < s->expires_at_wall_ms ? YETI_ACTIVE : YETI_EXPIRED;
    case STATE_RETRYING:
    case STATE_REJECTED:
    case STATE_GIVEN_UP:
        return YETI_ERROR;
    case STATE_REGISTERING:
        return YETI_PENDING;
    case STATE_UNREGISTERING:
        return s->attempt ? YETI_ERROR : YETI_PENDING;
    case STATE_PENDING:
        return YETI_POSTPONED;
    case STATE_DISABLED:
    case STATE_UNREGISTERED:
        break;
    }
    return YETI_EXPIRED;
}
