// See settings.h.
#include "tests/conformance/settings.h"

#include "common/base/mem.h"
#include "services/registrant/transport/networks.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define KEY_LINE "conformance 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"

// ---- tables

#define TEXT(path, name)                                                                                     \
    {                                                                                                        \
        name, offsetof(struct sip_thread_params, path)                                                       \
    }
#define NUMBER(name)                                                                                         \
    {                                                                                                        \
#name, offsetof(struct engine_policy, name)                                                          \
    }

static const struct {
    const char *name;
    size_t at;
} texts[] =
    {
        TEXT(listen, "listen"),
        TEXT(interfaces, "interfaces"),
        TEXT(rules_file, "rules_file"),
        TEXT(tls.ca_file, "tls_ca_file"),
        TEXT(tls.certificate_file, "tls_certificate_file"),
        TEXT(tls.key_file, "tls_key_file"),
        TEXT(tls.min_version, "tls_min_version"),
        TEXT(resolv_conf, "resolv_conf"),
        TEXT(hosts_file, "hosts_file"),
        TEXT(policy.node, "node"),
        TEXT(policy.user_agent, "user_agent"),
},
  numbers[] = {
      NUMBER(rejected_retry_s), NUMBER(backoff_cap_s),       NUMBER(min_expires_cap_s),
      NUMBER(granted_cap_s),    NUMBER(retry_after_cap_s),   NUMBER(max_in_flight),
      NUMBER(registrar_rate),   NUMBER(registrar_in_flight), NUMBER(aor_rate),
      NUMBER(move_over_s),      NUMBER(max_redirects),       NUMBER(transaction_timeout_s),
      NUMBER(close_wait_s),
};

// ---- reading

static int set_number(struct harness_settings *s, struct str name, const struct json *value,
                      struct error *err)
{
    struct engine_policy *policy = &s->thread.policy;
    if (str_eq_cstr(name, "nat_contact")) {
        policy->nat_contact = json_bool(value, false);
        return 0;
    }
    uint64_t number;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (!str_eq_cstr(name, numbers[i].name) || json_u64(value, &number) != 0)
            continue;
        *(uint32_t *)((char *)policy + numbers[i].at) = (uint32_t)number;
        return 0;
    }
    return error_set(err, -EINVAL, "the policy has no number \"" STR_FMT "\"", STR_ARG(name));
}

static int set_policy(struct harness_settings *s, const struct json *policy, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; i < json_count(policy) && rc == 0; i++)
        rc = set_number(s, json_key_at(policy, i), json_at(policy, i), err);
    return rc;
}

static int set_text(struct harness_settings *s, struct str name, const struct json *value, struct error *err)
{
    if (str_eq_cstr(name, "allow") || str_eq_cstr(name, "deny")) {
        *(str_eq_cstr(name, "allow") ? &s->allow : &s->deny) = json_str(value).p;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!str_eq_cstr(name, texts[i].name) || !json_is(value, JSON_STRING))
            continue;
        *(const char **)((char *)&s->thread + texts[i].at) = json_str(value).p;
        return 0;
    }
    return error_set(err, -EINVAL, "there is no setting \"" STR_FMT "\"", STR_ARG(name));
}

int harness_settings_read(struct str text, struct harness_settings *ret_init, struct error *err)
{
    struct harness_settings *s = ret_init;
    *s = (struct harness_settings){
        .thread = {.policy = engine_policy_default(), .listen = "127.0.0.1", .max_queue = 4096}};
    int rc = key_ring_parse(STR_LIT(KEY_LINE), &s->ring, err);
    if (rc == 0)
        rc = json_parse(text, NULL, &s->json, err);
    s->thread.ring = s->ring;
    for (size_t i = 0; rc == 0 && i < json_count(s->json); i++) {
        struct str name = json_key_at(s->json, i);
        const struct json *value = json_at(s->json, i);
        rc = str_eq_cstr(name, "policy") ? set_policy(s, value, err) : set_text(s, name, value, err);
    }
    if (rc == 0)
        rc = networks_new(s->allow, s->deny, &s->networks, err);
    s->thread.networks = s->networks;
    return rc;
}

void harness_settings_done(struct harness_settings *s)
{
    networks_free(s->networks);
    key_ring_free(s->ring);
    json_free(s->json);
}

// ---- sealing

static void seal(const struct key_ring *ring, const struct registration *r, const struct credential *c,
                 const char *field, char **text)
{
    if (!*text || seal_is_sealed(str_of(*text)))
        return;
    const struct seal_context context = {
        .account = str_of(r->account), .id = r->id, .field = field, .realm = str_of(c->realm)};
    struct buf sealed = BUF_INIT;
    seal_text(ring, &context, str_of(*text), &sealed);
    free(*text);
    *text = buf_steal(&sealed);
}

void harness_seal(const struct key_ring *ring, struct registration *r)
{
    for (size_t i = 0; i < r->credential_count; i++) {
        struct credential *c = &r->credentials[i];
        seal(ring, r, c, "password", &c->secret);
        for (size_t k = 0; k < HA1_COUNT; k++)
            seal(ring, r, c, credential_ha1_field((enum credential_ha1)k), &c->ha1[k]);
    }
}
