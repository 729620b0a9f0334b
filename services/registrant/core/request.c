// Puts one REGISTER of an attempt together: credentials, Request-URI, option tags. What it needs of text
// lives in the engine's scratch buffers until the call that sends it returns.
#include "services/registrant/core/entry.h"

#include "common/base/encode.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "services/registrant/core/pieces.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// Of the scratch buffers; contacts.c has the ones between.
enum { HEAD, CONTACTS, CREDENTIALS = 4, SECRET, MISC };

// ---- credentials

// What a credential has to answer with: its password, else its HA1 of the algorithm. p NULL: nothing.
static struct str secret_for(const struct spec_view *v, size_t i, enum digest_algorithm algorithm)
{
    if (v->credentials[i].secret.p || algorithm == DIGEST_UNKNOWN)
        return v->credentials[i].secret;
    return v->credentials[i].ha1[digest_ha1_of(algorithm)];
}

// The credential for a realm: one that names it, else one for any. -1: none.
static int find_credential(const struct spec_view *v, struct str realm, enum digest_algorithm algorithm)
{
    int any = -1;
    for (size_t i = 0; i < v->credential_count; i++) {
        if (!secret_for(v, i, algorithm).p)
            continue;
        if (!v->credentials[i].realm.p && any < 0)
            any = (int)i;
        if (v->credentials[i].realm.p && digest_is_text(realm, v->credentials[i].realm))
            return (int)i;
    }
    return any;
}

// To remove a binding the newest credentials of its identity serve: a mistyped password must not keep it.
static const struct spec *request_credentials(const struct flight *f)
{
    const struct entry *r = f->entry;
    bool same_identity = f->kind == FLIGHT_UNBIND || f->kind == FLIGHT_FETCH;
    bool newer =
        (same_identity && r->want && r->differs != SPEC_IDENTITY) || (f->kind == FLIGHT_LEAVE && r->want);
    return newer ? r->want : f->spec;
}

bool request_can_answer(const struct flight *f, const struct digest_challenge *c)
{
    struct spec_view v;
    spec_open(request_credentials(f), &v);
    return find_credential(&v, c->realm, c->algorithm) >= 0;
}

bool request_names_realm(const struct flight *f, struct str realm)
{
    struct spec_view v;
    bool any = false;
    spec_open(request_credentials(f), &v);
    for (size_t i = 0; !any && i < v.credential_count; i++)
        for (int a = DIGEST_MD5; !any && a < DIGEST_UNKNOWN; a++)
            any = secret_for(&v, i, (enum digest_algorithm)a).p &&
                  (!v.credentials[i].realm.p || digest_is_text(realm, v.credentials[i].realm));
    return any;
}

// The same for one nonce at all its uses, as -sess wants it (RFC 7616 3.4.2); unlike for another nonce.
static struct str make_cnonce(const struct engine *e, const struct entry *r, struct str nonce, char ret[16])
{
    uint64_t mix = hash_u64(e->secret ^ r->seed) ^ hash_murmur2(nonce);
    mix = hash_u64(mix);
    for (int i = 15; i >= 0; i--, mix >>= 4)
        ret[i] = "0123456789abcdef"[mix & 15];
    return (struct str){.p = ret, .n = 16};
}

static int add_authorization(struct engine *e, struct flight *f, const struct spec_view *v, size_t i,
                             struct str uri, struct pieces *out, struct error *err)
{
    struct entry *r = f->entry;
    struct nonce *held = &r->nonces->items[i];
    int chosen = find_credential(v, interned_str(held->realm), held->algorithm);
    if (chosen < 0)
        return 0;
    bool hashed = !v->credentials[chosen].secret.p;
    struct buf *secret = &e->scratch[SECRET];
    struct seal_context context = entry_seal_context(r);
    context.realm = v->credentials[chosen].realm;
    if (hashed)
        context.field = credential_ha1_field(digest_ha1_of(held->algorithm));
    buf_clear(secret);
    int rc =
        seal_opener_open(e->opener, &context, secret_for(v, (size_t)chosen, held->algorithm), secret, err);
    if (rc)
        return rc;
    char cnonce[16];
    struct str nonce = nonce_text(r->nonces, i);
    const struct digest_input in = {
        .algorithm = held->algorithm,
        .algorithm_given = held->algorithm_given,
        .qop = held->qop,
        .proxy = held->proxy,
        .userhash = held->userhash,
        .user = v->credentials[chosen].user.p ? v->credentials[chosen].user : v->username,
        .password = hashed ? STR_NONE : buf_str(secret),
        .ha1 = hashed ? buf_str(secret) : STR_NONE,
        .realm = interned_str(held->realm),
        .nonce = nonce,
        .opaque = nonce_opaque(r->nonces, i),
        .method = STR_LIT("REGISTER"),
        .uri = uri,
        .cnonce = make_cnonce(e, r, nonce, cnonce),
        .nc = ++held->nc,
    };
    rc = digest_authorization(e->digest, &in, out->text);
    mem_wipe(secret->p, secret->n);
    if (rc)
        return error_set(err, rc, "this OpenSSL refuses %s", digest_algorithm_name(in.algorithm));
    piece_end(out);
    if (!(f->fresh & 1u << i))
        f->preemptive |= (uint8_t)(1u << i);
    return 0;
}

// ---- the request

static int add_authorizations(struct engine *e, struct flight *f, const struct spec_view *v, struct str uri,
                              struct pieces *out, struct moment now, struct error *err)
{
    const struct nonces *n = f->entry->nonces;
    f->preemptive = 0;
    for (size_t i = 0; n && i < n->count; i++) {
        bool fresh = f->fresh & 1u << i;
        if (!fresh && f->entry->challenge_first)
            continue;
        int64_t age = ms_of(now) - n->items[i].since_ms;
        if (!fresh &&
            !learned_nonce_is_worth(pacer_learned(f->ticket.target), age > 0 ? (uint64_t)age : 0, now.us))
            continue;
        int rc = add_authorization(e, f, v, i, uri, out, err);
        if (rc)
            return rc;
    }
    return 0;
}

uint64_t request_cseq_of(struct moment now)
{
    return now.wall_ms / 1000 > CSEQ_EPOCH_S ? now.wall_ms / 1000 - CSEQ_EPOCH_S : 1;
}

static uint32_t next_cseq(const struct entry *r, struct moment now)
{
    uint64_t seconds = request_cseq_of(now);
    uint64_t next = (uint64_t)r->cseq + 1 > seconds ? (uint64_t)r->cseq + 1 : seconds;
    return next > INT32_MAX ? INT32_MAX : (uint32_t)next; // RFC 3261 8.1.1.5: below 2^31
}

// Request-URI, To, From, Call-ID and where to send, in this order.
static void build_head(struct engine *e, const struct flight *f, const struct spec_view *v,
                       struct pieces *out)
{
    struct buf *tag = &e->scratch[MISC];
    if (f->redirect)
        buf_add_str(out->text, interned_str(f->redirect));
    else
        spec_request_uri(f->spec, out->text);
    piece_end(out);
    spec_to(f->spec, v, interned_str(f->local), out->text);
    piece_end(out);
    buf_clear(tag);
    entry_from_tag(f->entry, tag);
    spec_from(f->spec, v, interned_str(f->local), buf_str(tag), out->text);
    piece_end(out);
    entry_call_id(f->entry, out->text);
    piece_end(out);
    if (f->redirect)
        buf_add_str(out->text, interned_str(f->redirect));
    else
        spec_next_hop(f->spec, v, out->text);
    piece_end(out);
}

bool request_is_outbound(const struct flight *f)
{
    return f->spec->outbound && !f->entry->no_outbound;
}

static void add_listed(struct buf *out, const char *tag)
{
    if (out->n)
        buf_add(out, ", ", 2);
    buf_add_cstr(out, tag);
}

// RFC 3327 5.1, RFC 5626 4.2.1, RFC 5627 4.1; RFC 6140 5.1 wants path too.
static struct str supported_of(const struct flight *f, const struct pieces *contacts, struct buf *out)
{
    struct str lines = buf_str(contacts->text);
    bool flows = str_find_str(lines, STR_LIT(";reg-id=")) < lines.n; // of what is dropped, too
    const struct {
        const char *tag;
        bool sent;
    } options[] = {
        {"path", !f->entry->no_path},
        {"outbound", request_is_outbound(f) || flows},
        {"gruu", f->spec->gruu && !f->entry->no_gruu},
    };
    buf_clear(out);
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (options[i].sent)
            add_listed(out, options[i].tag);
    return buf_str(out);
}

static uint32_t longest_asked(const struct spec_view *v, uint32_t asked_s, uint32_t floor_s)
{
    uint32_t longest = asked_s;
    for (size_t i = 0; i < v->contact_count; i++) {
        int64_t own = v->contacts[i].expires;
        if (own > (int64_t)longest && own <= UINT32_MAX)
            longest = (uint32_t)own;
    }
    return longest > floor_s ? longest : floor_s;
}

// With a redirection the pre-loaded Route set ends (RFC 3261 8.1.3.4): its Contact says where to go.
static int hand_over(struct engine *e, struct flight *f, const struct spec_view *v, const struct str *head,
                     const struct pieces *contacts, const struct pieces *lines)
{
    struct str contact_items[REQUEST_MAX_CONTACTS], line_items[STATUS_MAX_NONCES];
    bool removes = f->kind == FLIGHT_UNBIND || flight_is_aside(f); // or only asks
    uint32_t least = f->least_s, asked = f->spec->expires_s > least ? f->spec->expires_s : least;
    const struct sip_request request = {
        .request_uri = head[0],
        .to = head[1],
        .from = head[2],
        .call_id = head[3],
        .next_hop = head[4],
        .cseq = f->entry->cseq,
        .contacts = contact_items,
        .contact_count = pieces_all(contacts, contact_items),
        .expires = removes ? 0 : asked,
        .routes = f->redirect ? NULL : v->routes,
        .route_count = f->redirect ? 0 : v->route_count,
        .transport = f->spec->transport,
        .interface = interned_str(f->spec->way->key.interface),
        .authorizations = line_items,
        .authorization_count = pieces_all(lines, line_items),
        .supported = supported_of(f, contacts, &e->scratch[MISC]),
        .require = f->spec->bulk && contacts->count ? STR_LIT("gin") : STR_NONE,
        .registrar = pacer_target_key(f->spec->way->target),
        .affinity = hash_u64(f->entry->id),
    };
    f->asked_s = removes ? 0 : longest_asked(v, asked, least);
    return e->ops->send(e->ops_arg, &request, flight_token(f));
}

struct str request_no_interface(const struct flight *f, char ret[REQUEST_MAX_REASON])
{
    if (f->spec->transport == TRANSPORT_WS)
        return STR_LIT("WebSocket is not supported");
    if (!f->spec->way->key.interface)
        return STR_LIT("no local address for this transport");
    (void)snprintf(ret, REQUEST_MAX_REASON, "no such interface: %s", f->spec->way->key.interface->text);
    return str_of(ret);
}

static int say_unsent(const struct flight *f, int rc, struct error *err)
{
    char text[REQUEST_MAX_REASON];
    if (rc == -EADDRNOTAVAIL || (rc == -EPROTONOSUPPORT && f->spec->transport == TRANSPORT_WS))
        return error_set(err, rc, "%s", request_no_interface(f, text).p);
    if (rc == -EPROTONOSUPPORT)
        return error_set(err, rc, "no settings for %s", registration_transport_name(f->spec->transport));
    return error_set(err, rc, "the request could not be sent: %s", strerror(-rc));
}

int request_send(struct engine *e, struct flight *f, struct moment now, struct error *err)
{
    struct entry *r = f->entry;
    struct spec_view v, credentials;
    struct pieces head = pieces_in(&e->scratch[HEAD]), contacts = pieces_in(&e->scratch[CONTACTS]),
                  lines = pieces_in(&e->scratch[CREDENTIALS]);
    struct str head_items[REQUEST_MAX_CONTACTS];
    spec_open(f->spec, &v);
    spec_open(request_credentials(f), &credentials);
    build_head(e, f, &v, &head);
    (void)pieces_all(&head, head_items);
    int rc = add_authorizations(e, f, &credentials, head_items[0], &lines, now, err);
    if (rc)
        return rc;
    contacts_build(e, f, &v, &contacts);
    r->cseq = next_cseq(r, now);
    rc = hand_over(e, f, &v, head_items, &contacts, &lines);
    return rc < 0 ? say_unsent(f, rc, err) : 0;
}
