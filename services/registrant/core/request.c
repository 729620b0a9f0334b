// Puts one REGISTER of an attempt together: Contacts, credentials, Request-URI. What it needs of text lives
// in the engine's scratch buffers until the call that sends it returns.
#include "services/registrant/core/entry.h"

#include "common/base/encode.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "services/registrant/core/binding.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HEAD, CONTACTS, OWN, DROP, CREDENTIALS, SECRET, MISC };

// Texts in a growing buffer: offsets until it is whole.
struct pieces {
    struct buf *text;
    size_t at[REQUEST_MAX_CONTACTS + 1];
    size_t count;
};

static struct pieces pieces_in(struct buf *text)
{
    buf_clear(text);
    return (struct pieces){.text = text};
}

static void piece_end(struct pieces *p)
{
    p->at[++p->count] = p->text->n;
}

static struct str piece(const struct pieces *p, size_t i)
{
    return str_slice(buf_str(p->text), p->at[i], p->at[i + 1]);
}

// ---- Contacts

void contacts_of(const struct spec *s, struct str local, struct contact_lines *ret)
{
    struct spec_view v;
    struct pieces pieces = pieces_in(ret->text);
    spec_open(s, &v);
    for (size_t i = 0; i < v.contact_count; i++) {
        spec_contact_text(v.contacts[i].uri, local, ret->text);
        piece_end(&pieces);
    }
    ret->count = pieces.count;
    for (size_t i = 0; i < pieces.count; i++)
        ret->items[i] = piece(&pieces, i);
}

static bool is_among(const struct contact_lines *lines, struct str contact)
{
    for (size_t i = 0; lines && i < lines->count; i++)
        if (binding_is_same(lines->items[i], contact))
            return true;
    return false;
}

// Adds a contact unless it is among `keep` or there already.
static void add_contact(const struct contact_lines *keep, struct str contact, struct pieces *out)
{
    if (!contact.n || is_among(keep, contact) ||
        out->count == REQUEST_MAX_CONTACTS - REGISTRATION_MAX_CONTACTS)
        return;
    for (size_t i = 0; i < out->count; i++)
        if (str_eq(piece(out, i), contact))
            return;
    buf_add_str(out->text, contact);
    piece_end(out);
}

static void add_contacts_of(const struct spec *s, struct str local, const struct contact_lines *keep,
                            struct pieces *out)
{
    struct spec_view v;
    struct buf one = BUF_INIT;
    spec_open(s, &v);
    for (size_t i = 0; i < v.contact_count; i++) {
        buf_clear(&one);
        spec_contact_text(v.contacts[i].uri, local, &one);
        add_contact(keep, buf_str(&one), out);
    }
    buf_done(&one);
}

void contacts_to_drop(struct engine *e, const struct entry *r, const struct contact_lines *keep,
                      struct contact_lines *ret)
{
    struct pieces pieces = pieces_in(ret->text);
    if (r->bound)
        add_contacts_of(r->bound, interned_str(r->bound_local), keep, &pieces);
    if (r->bound && r->unsure && r->want && r->differs < SPEC_ADDRESS)
        add_contacts_of(r->want, entry_local(e, r, r->want), keep, &pieces);
    struct str rest = str_of(r->extra ? r->extra->dropped : NULL), line;
    while (str_split(&rest, '\n', &line))
        add_contact(keep, line, &pieces);
    ret->count = pieces.count;
    for (size_t i = 0; i < pieces.count; i++)
        ret->items[i] = piece(&pieces, i);
}

// Those of extra.left but what is bound and is to stay so; of one that goes, all.
static void contacts_left_behind(struct engine *e, const struct entry *r, struct contact_lines *ret)
{
    struct contact_lines keep = {.text = &e->scratch[OWN]};
    struct pieces pieces = pieces_in(ret->text);
    if (r->bound && r->enabled && !r->removing)
        contacts_of(r->bound, interned_str(r->bound_local), &keep);
    add_contacts_of(r->extra->left, interned_str(r->extra->left_local), &keep, &pieces);
    ret->count = pieces.count;
    for (size_t i = 0; i < pieces.count; i++)
        ret->items[i] = piece(&pieces, i);
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

// Without RFC 5626 a flow has no number: a registrar that is not asked for it would take another meaning from
// it, if any.
static void add_contact_text(const struct flight *f, struct str contact, struct pieces *out)
{
    if (f->entry->no_outbound)
        spec_without_flow(contact, out->text);
    else
        buf_add_str(out->text, contact);
}

// Header values of what is to be bound; a Contact's own expires wins over the header (RFC 3261 10.2.1.1).
static void add_bound_contacts(const struct flight *f, const struct spec_view *v,
                               const struct contact_lines *own, struct pieces *out)
{
    uint32_t floor_s = f->entry->floor_s;
    for (size_t i = 0; i < own->count; i++) {
        add_contact_text(f, own->items[i], out);
        if (v->contacts[i].q.n) {
            buf_add_cstr(out->text, ";q=");
            buf_add_str(out->text, v->contacts[i].q);
        }
        int64_t expires = v->contacts[i].expires;
        if (expires >= 0) {
            buf_add_cstr(out->text, ";expires=");
            buf_add_u64(out->text, (uint64_t)(expires > (int64_t)floor_s ? expires : (int64_t)floor_s));
        }
        piece_end(out);
    }
}

static void add_dropped_contacts(const struct flight *f, const struct contact_lines *drop, struct pieces *out)
{
    for (size_t i = 0; i < drop->count && out->count < REQUEST_MAX_CONTACTS; i++) {
        add_contact_text(f, drop->items[i], out);
        buf_add_cstr(out->text, ";expires=0");
        piece_end(out);
    }
}

static void build_contacts(struct engine *e, struct flight *f, const struct spec_view *v, struct pieces *out)
{
    struct entry *r = f->entry;
    struct contact_lines own = {.text = &e->scratch[OWN]}, drop = {.text = &e->scratch[DROP]};
    if (f->kind == FLIGHT_FETCH)
        return;
    if (f->kind == FLIGHT_UNBIND) {
        contacts_to_drop(e, r, NULL, &drop);
        add_dropped_contacts(f, &drop, out);
        return;
    }
    if (f->kind == FLIGHT_LEAVE) {
        contacts_left_behind(e, r, &drop);
        add_dropped_contacts(f, &drop, out);
        return;
    }
    contacts_of(f->spec, interned_str(f->local), &own);
    if (f->kind == FLIGHT_CLEAR) {
        add_dropped_contacts(f, &own, out);
        return;
    }
    add_bound_contacts(f, v, &own, out);
    if (!r->bound || (f->kind == FLIGHT_BIND && r->differs == SPEC_ADDRESS) ||
        (r->bound == f->spec && str_eq(interned_str(r->bound_local), interned_str(f->local)) &&
         !(r->extra && r->extra->dropped)))
        return;
    contacts_to_drop(e, r, &own, &drop);
    add_dropped_contacts(f, &drop, out);
}

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
    uint64_t mix = hash_u64(e->secret ^ r->seed[1]) ^ hash_murmur2(nonce);
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
    int rc = seal_open(e->ring, &context, secret_for(v, (size_t)chosen, held->algorithm), secret, err);
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

static uint32_t next_cseq(const struct entry *r, struct moment now)
{
    uint64_t seconds = now.wall_ms / 1000 > CSEQ_EPOCH_S ? now.wall_ms / 1000 - CSEQ_EPOCH_S : 1;
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

// RFC 3327 5.1, RFC 5626 4.2.1, RFC 5627 4.1; RFC 6140 5.1 wants path too.
static struct str supported_of(const struct flight *f, struct buf *out)
{
    const struct {
        const char *tag;
        bool sent;
    } options[] = {
        {"path", !f->entry->no_path},
        {"outbound", request_is_outbound(f)},
        {"gruu", f->spec->gruu && !f->entry->no_gruu},
    };
    buf_clear(out);
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (options[i].sent)
            buf_addf(out, "%s%s", out->n ? ", " : "", options[i].tag);
    return buf_str(out);
}

static size_t all_pieces(const struct pieces *p, struct str *ret)
{
    for (size_t i = 0; i < p->count; i++)
        ret[i] = piece(p, i);
    return p->count;
}

// With a redirection the pre-loaded Route set ends (RFC 3261 8.1.3.4): its Contact says where to go.
static int hand_over(struct engine *e, struct flight *f, const struct spec_view *v, const struct str *head,
                     const struct pieces *contacts, const struct pieces *lines)
{
    struct str contact_items[REQUEST_MAX_CONTACTS], line_items[STATUS_MAX_NONCES];
    bool removes = f->kind == FLIGHT_UNBIND || flight_is_aside(f); // or only asks
    uint32_t least = f->entry->floor_s, asked = f->spec->expires_s > least ? f->spec->expires_s : least;
    const struct sip_request request = {
        .request_uri = head[0],
        .to = head[1],
        .from = head[2],
        .call_id = head[3],
        .next_hop = head[4],
        .cseq = f->entry->cseq,
        .contacts = contact_items,
        .contact_count = all_pieces(contacts, contact_items),
        .expires = removes ? 0 : asked,
        .routes = f->redirect ? NULL : v->routes,
        .route_count = f->redirect ? 0 : v->route_count,
        .transport = f->spec->transport,
        .interface = interned_str(f->spec->interface),
        .authorizations = line_items,
        .authorization_count = all_pieces(lines, line_items),
        .supported = supported_of(f, &e->scratch[MISC]),
        .require = f->spec->bulk && contacts->count ? STR_LIT("gin") : STR_NONE,
        .registrar = pacer_target_key(f->spec->target),
        .affinity = hash_u64(f->entry->id),
    };
    f->asked_s = removes ? 0 : longest_asked(v, asked, least);
    return e->ops->send(e->ops_arg, &request, flight_token(f));
}

struct str request_no_interface(const struct flight *f, char ret[REQUEST_MAX_REASON])
{
    if (f->spec->transport == TRANSPORT_WS)
        return STR_LIT("WebSocket is not supported");
    if (!f->spec->interface)
        return STR_LIT("no local address for this transport");
    (void)snprintf(ret, REQUEST_MAX_REASON, "no such interface: %s", f->spec->interface->text);
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
    (void)all_pieces(&head, head_items);
    int rc = add_authorizations(e, f, &credentials, head_items[0], &lines, now, err);
    if (rc)
        return rc;
    build_contacts(e, f, &v, &contacts);
    r->cseq = next_cseq(r, now);
    rc = hand_over(e, f, &v, head_items, &contacts, &lines);
    return rc < 0 ? say_unsent(f, rc, err) : 0;
}
