// Paths and form bodies of the Ribbon dialect: what is taken is stored, read back and registered as it was
// meant.
#include "common/json/json.h"
#include "services/gateway/ribbon/derive.h"
#include "services/gateway/ribbon/form.h"
#include "services/gateway/ribbon/xml.h"
#include "tests/fuzz/target.h"

#include <string.h>

static const struct limits limits = {
    .aor_ttl = 3600, .ttl = 64, .table_ids = 65534, .entry_ids = 65534, .tables = 1000, .entries = 1000};

static void check_path(struct str text)
{
    struct path p;
    path_split(text, &p);
    HOLDS(p.count <= PATH_PARTS_MAX);
    for (size_t i = 0; i < p.count; i++)
        HOLDS(p.parts[i].n && !str_has_char(p.parts[i], '/'));
}

static void check_stored(const struct fieldset *v)
{
    struct buf json cleanup(buf_done) = BUF_INIT, again cleanup(buf_done) = BUF_INIT;
    struct fieldset back;
    fieldset_write(&json, v);
    HOLDS(fieldset_read(buf_str(&json), v->resource, &back, NULL) == 0);
    fieldset_write(&again, &back);
    HOLDS(str_eq(buf_str(&json), buf_str(&again)));
    fieldset_done(&back);
}

// What the fields let through can be registered, and no text of it breaks out of a SIP header.
static void check_derived(const struct fieldset *entry)
{
    static const struct dialect_shared shared = {.contact = {"sip:{username}@{local}", 22}};
    struct fieldset server;
    struct registration r;
    struct made made;
    struct error err;
    fieldset_init(&server, resource_of(STR_LIT("sipserver")));
    fieldset_set(&server, SERVER_HOST, STR_LIT("192.0.2.1"));
    const struct derive_input in = {.shared = &shared,
                                    .account = STR_LIT("a"),
                                    .entry_id = {1, 1},
                                    .server_id = {1, 1},
                                    .entry = entry,
                                    .server = &server,
                                    .prefix = ""};
    int rc = derive_registration(&in, &r, &made, &err);
    // Only what grows too long by its escapes is refused here, which a write tells the client.
    HOLDS(rc == 0 || strstr(err.text, "longer than"));
    fieldset_done(&server);
    if (rc == 0)
        registration_done(&r);
}

static void check_xml(const struct fieldset *v)
{
    struct buf out cleanup(buf_done) = BUF_INIT;
    for (size_t i = 0; i < v->resource->field_count; i++) {
        buf_clear(&out);
        xml_field(&out, "f", fieldset_text(v, i));
        struct str text = str_slice(buf_str(&out), 3, out.n - 5);
        HOLDS(!str_has_char(text, '<') && !str_has_char(text, '>') && !str_has_char(text, '\0'));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of_bytes(data, size);
    check_path(text);
    for (size_t i = 0; i < resource_count(); i++) {
        struct fieldset v;
        fieldset_init(&v, resource_at(i));
        if (!fieldset_take_form(&v, text) && !fieldset_complete(&v, &limits) && !fieldset_check(&v)) {
            check_stored(&v);
            check_xml(&v);
            if (str_eq_cstr(str_of(v.resource->name), "sipregistrantentry") &&
                fieldset_number(&v, ENTRY_AOR_TYPE) != 0)
                check_derived(&v);
        }
        fieldset_done(&v);
    }
    return 0;
}
