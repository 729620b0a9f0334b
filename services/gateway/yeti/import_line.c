// One line of an import: find the registration of that name, make of it what the line says, write it.
#include "common/base/mem.h"
#include "services/gateway/yeti/coerce.h"
#include "services/gateway/yeti/import.h"
#include "services/gateway/yeti/registrations.h"
#include "services/gateway/yeti/validate.h"

#include <errno.h>
#include <string.h>

void import_line_free(struct line *l)
{
    json_free(l->root);
    free(l->name);
    free(l);
}

bool import_line_read(struct line *l, struct str text, struct errors *errors)
{
    const struct json_limits limits = {.max_bytes = IMPORT_LINE_BYTES, .max_depth = 64};
    const struct body_params params = {.type = type_of(TYPE_REGISTRATIONS), .client_ids = true};
    struct error err;
    if (json_parse(text, &limits, &l->root, &err)) {
        l->root = NULL;
        errors_add(errors, PROBLEM_BAD_REQUEST, str_of(err.text), STR_NONE);
        return false;
    }
    if (!json_is(l->root, JSON_OBJECT)) {
        errors_add(errors, PROBLEM_BAD_REQUEST, STR_LIT("A line must be a resource object"), STR_NONE);
        return false;
    }
    const struct json *attributes = json_get(l->root, "attributes");
    const struct json *name = json_get(attributes, attribute_at(ATTRIBUTE_NAME)->name);
    if (name && coerce_text(name, &l->name))
        l->name = NULL;
    return body_read_resource(&l->body, l->root, &params, errors);
}

// ---- what the store says

static void find(struct line *l);

// What is neither done nor the line's fault.
static void fail(struct line *l, int rc, const struct error *err)
{
    struct errors errors cleanup(errors_done) = ERRORS_INIT;
    const char *detail;
    bool raced = rc == -ESTALE || rc == -EEXIST || rc == -ENOENT;
    if (raced && ++l->attempts < REGISTRATIONS_ATTEMPTS_MAX) {
        find(l);
        return;
    }
    bool passes = dialect_failure_of("yeti", 0, rc, err, false, &detail) == FAILURE_UNAVAILABLE;
    if (passes && !raced) {
        import_line_wait(l, detail);
        return;
    }
    errors_add(&errors, passes ? PROBLEM_UNAVAILABLE : PROBLEM_INTERNAL, str_of(detail), STR_NONE);
    import_line_fail(l, &errors);
}

static struct store_write_context context_of(const struct line *l)
{
    return (struct store_write_context){.traceparent = str_of(l->import->traceparent),
                                        .actor = str_of(l->import->call->call.principal->username)};
}

// The draft as a registration, `r` being what was there before. False: the line failed.
static bool make(struct line *l, struct draft *d, struct registration *r)
{
    const struct call *c = l->import->call;
    struct errors errors cleanup(errors_done) = ERRORS_INIT;
    draft_apply(d, &l->body, !c->yeti->params.clear_passwords);
    bool good = draft_check(d, &c->pops, &c->nodes, &errors);
    good = good && draft_to(d, r, &errors);
    if (!good)
        import_line_fail(l, &errors);
    return good;
}

// ---- create

static void on_created(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct line *l = arg;
    (void)record;
    if (rc)
        fail(l, rc, err);
    else
        import_line_done(l, IMPORT_CREATED);
}

static void create(struct line *l)
{
    struct call *c = l->import->call;
    struct draft d cleanup(draft_done) = {.has_password = false};
    struct registration made cleanup(registration_done);
    registration_init(&made);
    made.account = str_dup(call_account(c));
    values_init(&d.values);
    if (!make(l, &d, &made))
        return;
    if (l->import->dry_run) {
        import_line_done(l, IMPORT_CREATED);
        return;
    }
    const struct store_write_context context = context_of(l);
    store_create(call_store(c), &made, &context, on_created, l);
}

// ---- update

static void on_updated(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct line *l = arg;
    if (rc)
        fail(l, rc, err);
    else
        import_line_done(l, record->reg.revision == l->revision ? IMPORT_UNCHANGED : IMPORT_UPDATED);
}

static bool is_same(struct store *s, const struct registration *before, struct registration *after)
{
    struct buf a cleanup(buf_done) = BUF_INIT, b cleanup(buf_done) = BUF_INIT;
    if (!store_keep_secrets(s, before, after))
        return false;
    registration_write(&a, before);
    registration_write(&b, after);
    return str_eq(buf_str(&a), buf_str(&b));
}

static void update(struct line *l, const struct registration *before)
{
    struct call *c = l->import->call;
    struct draft d cleanup(draft_done);
    struct registration after cleanup(registration_done);
    draft_of(&d, before);
    registration_copy(&after, before);
    if (!make(l, &d, &after))
        return;
    if (is_same(call_store(c), before, &after)) {
        import_line_done(l, IMPORT_UNCHANGED);
    } else if (l->import->dry_run) {
        import_line_done(l, IMPORT_UPDATED);
    } else {
        const struct store_write_context context = context_of(l);
        l->revision = before->revision;
        store_update(call_store(c), before, &after, &context, on_updated, l);
    }
}

// ---- find

static void on_found(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct line *l = arg;
    if (rc == -ENOENT)
        create(l);
    else if (rc)
        fail(l, rc, err);
    else
        update(l, &record->reg);
}

static void find(struct line *l)
{
    struct call *c = l->import->call;
    store_find(call_store(c), call_account(c), str_of(l->name), on_found, l);
}

// What has no name can be nothing but a creation that fails, with all that a POST would say.
void import_line_begin(struct line *l)
{
    if (l->name && !coerce_is_blank(str_of(l->name)))
        find(l);
    else
        create(l);
}
