// The Ribbon dialect's pure parts, and what it decides of an entry and its registrations, races included.
#include "common/base/mem.h"
#include "services/gateway/ribbon/form.h"
#include "services/gateway/ribbon/match.h"
#include "services/gateway/ribbon/unit.h"
#include "services/gateway/ribbon/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const struct limits limits = {
    .aor_ttl = 3600, .ttl = 64, .table_ids = 65534, .entry_ids = 65534, .tables = 1000, .entries = 1000};

// ---- forms and paths

static void reads_pairs_as_encoders_and_as_careless_clients_write_them(void **state)
{
    static const struct {
        const char *form, *name, *value;
    } rows[] = {
        {"a=b+c", "a", "b c"},     {"a=%2Bc", "a", "+c"}, {"a=sip:+1@h", "a", "sip:+1@h"},
        {"a=x y+z", "a", "x y+z"}, {"a=%", "a", "%"},     {"a=%4", "a", "%4"},
        {"a=%00", "a", "%00"},     {"a", "a", ""},        {"a=b=c", "a", "b=c"},
        {"&&a=%41", "a", "A"},     {" a =b", "a", "b"},   {"a=\\", "a", "\\"},
    };
    struct buf name cleanup(buf_done) = BUF_INIT, value cleanup(buf_done) = BUF_INIT;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str rest = str_of(rows[i].form);
        assert_true(form_next(&rest, &name, &value));
        assert_true(str_eq_cstr(buf_str(&name), rows[i].name));
        assert_true(str_eq_cstr(buf_str(&value), rows[i].value));
        assert_false(form_next(&rest, &name, &value));
    }
}

static void splits_paths_whatever_their_slashes(void **state)
{
    struct path p;
    (void)state;
    path_split(STR_LIT("//a/3//b/1/"), &p);
    assert_int_equal(p.count, 4);
    assert_true(str_eq_cstr(p.parts[3], "1"));
    assert_false(p.too_long);
    path_split(STR_LIT("/a/3/b/1/c"), &p);
    assert_true(p.too_long);
    path_split(STR_LIT("/"), &p);
    assert_int_equal(p.count, 0);
}

// ---- XML

static void escapes_what_xml_cannot_hold(void **state)
{
    static const char given[] = "<&>\"'\t\x01\xff\xc3\xa4\xed\xa0\x80\xf0\x9f\x98\x80\xc0\x80\xef\xbf\xbf";
    struct buf out cleanup(buf_done) = BUF_INIT;
    (void)state;
    xml_field(&out, "f", str_of_bytes(given, sizeof(given) - 1));
#define WRONG "\xef\xbf\xbd"
    assert_string_equal(out.p, "<f>&lt;&amp;&gt;&quot;'&#9;" WRONG WRONG "\xc3\xa4" WRONG WRONG WRONG
                               "\xf0\x9f\x98\x80" WRONG WRONG WRONG WRONG WRONG "</f>\n");
#undef WRONG
}

// ---- expressions

static void matches_within_a_bound(void **state)
{
    char text[102];
    (void)state;
    assert_true(match_text(STR_LIT("^40[0-9]{2}$"), STR_LIT("4001")));
    assert_false(match_text(STR_LIT("^40[0-9]{2}$"), STR_LIT("40011")));
    assert_true(match_text(STR_LIT("00"), STR_LIT("4001")));
    assert_false(match_compiles(STR_LIT("(")));
    assert_false(match_text(STR_LIT("("), STR_LIT("(")));
    memset(text, 'a', sizeof(text) - 2);
    text[sizeof(text) - 2] = 'b';
    text[sizeof(text) - 1] = '\0';
    assert_false(match_text(STR_LIT("^(a+)+$"), str_of(text)));
}

static double cpu_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

// Each of 500 starts takes nearly as many steps as one start may.
static void the_bound_is_that_of_all_starts_together(void **state)
{
    char text[501] = {0};
    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    double began = cpu_ms();
    for (int i = 0; i < 10; i++)
        assert_false(match_text(STR_LIT("a?a?a?a?a?a?a?a?a?a?[bc]"), str_of(text)));
    assert_true(cpu_ms() - began < 100);
    assert_true(match_text(STR_LIT("a{20}$"), str_of(text)));
    assert_true(match_text(STR_LIT("^.*a.*$"), str_of(text)));
}

// ---- links

static void keeps_labels_of_others_and_reads_its_own(void **state)
{
    struct link l = {.entry = {3, 1},
                     .server = {2, 7},
                     .made = {.of = {1, 2, 3, 4, 5, 6, 0xffffffff}},
                     .turn = 4},
                back;
    struct registration r;
    (void)state;
    registration_init(&r);
    r.labels = mem_dup_cstr(
        "{\"yeti\":{\"a\":1},\"index\":{\"app\":\"x\",\"ribbon-entry\":\"9:9\"},\"ribbon\":{\"old\":true}}");
    link_store(&l, &r);
    assert_non_null(strstr(r.labels, "\"yeti\":{\"a\":1}"));
    assert_non_null(strstr(r.labels, "\"app\":\"x\""));
    assert_null(strstr(r.labels, "9:9"));
    assert_non_null(strstr(r.labels, "\"ribbon-entry\":\"3:1\",\"ribbon-table\":\"3\""));
    assert_true(link_read(r.labels, &back));
    assert_int_equal(row_id_compare(back.server, l.server), 0);
    assert_memory_equal(back.made.of, l.made.of, sizeof(l.made.of));
    assert_int_equal(back.turn, 4);
    registration_done(&r);
    assert_false(link_read(NULL, &back));
    assert_false(link_read("{\"yeti\":{}}", &back));
    assert_false(link_read("[", &back));
}

// ---- an entry and its registrations: a table with entry 1 at the server rows that are given, each with a
// mark or not

struct world {
    struct plan plan;
    struct dialect_shared shared;
    struct ribbon_params params;
    struct unit unit;
};

static void put_object(struct objects *o, struct row_id id, const char *json)
{
    o->items = mem_resize(o->items, o->count + 1, sizeof(*o->items));
    o->items[o->count++] = (struct object){.id = id, .json = mem_dup_cstr(json)};
}

static void open_world(struct world *w, const char *entry, const char *marks, unsigned servers)
{
    *w = (struct world){.shared = {.contact = STR_LIT("sip:{username}@{local}")}};
    w->params = (struct ribbon_params){.shared = &w->shared, .limits = limits};
    plan_init(&w->plan, &w->params, "account", 3, 1);
    if (entry)
        put_object(&w->plan.reader.items[1].objects, (struct row_id){.row = 1}, entry);
    if (marks)
        put_object(&w->plan.reader.items[2].objects, (struct row_id){.row = 1}, marks);
    w->plan.servers = mem_array(servers + 1, sizeof(*w->plan.servers));
    for (; w->plan.server_count < servers; w->plan.server_count++) {
        struct server_row *s = &w->plan.servers[w->plan.server_count];
        s->id = (struct row_id){2, w->plan.server_count + 1};
        fieldset_init(&s->values, resource_of(STR_LIT("sipserver")));
        fieldset_set(&s->values, SERVER_HOST, STR_LIT("192.0.2.1"));
    }
    unit_init(&w->unit, 1);
}

static void close_world(struct world *w)
{
    unit_done(&w->unit);
    plan_done(&w->plan);
}

#define ENTRY "{\"AOR\":\"sip:4001\",\"AorTtl\":\"600\"}"

// What was decided, made real: the registrations that there are afterwards are held by a new unit.
static void carry_out(struct world *w)
{
    struct unit next;
    unit_init(&next, 1);
    for (size_t i = 0; i < w->unit.item_count; i++)
        if (w->unit.items[i].after)
            unit_hold(&next, w->unit.items[i].after);
    unit_done(&w->unit);
    w->unit = next;
}

static void creates_one_for_each_row_and_then_leaves_it_alone(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, ENTRY, NULL, 2);
    unit_decide(&w.unit, &w.plan);
    assert_int_equal(w.unit.item_count, 2);
    assert_true(w.unit.adds_marks);
    assert_string_equal(w.unit.marks.p, "2:1,2:2");
    assert_string_equal(w.unit.items[1].after->name, "ribbon:3:1@2:2");
    carry_out(&w);
    put_object(&w.plan.reader.items[2].objects, (struct row_id){.row = 1}, "\"2:1,2:2\"");
    unit_decide(&w.unit, &w.plan);
    assert_int_equal(w.unit.item_count, 0);
    assert_false(w.unit.adds_marks);
    close_world(&w);
}

static void gives_a_wanted_one_without_a_mark_a_revision_of_its_own(void **state)
{
    struct world w;
    struct link link;
    (void)state;
    open_world(&w, ENTRY, NULL, 1);
    unit_decide(&w.unit, &w.plan);
    carry_out(&w); // and whoever did it died before it wrote the mark
    unit_decide(&w.unit, &w.plan);
    assert_int_equal(w.unit.item_count, 1);
    assert_int_equal(w.unit.items[0].kind, STORE_ITEM_UPDATE);
    assert_true(link_read(w.unit.items[0].after->labels, &link));
    assert_int_equal(link.turn, 1);
    assert_true(w.unit.adds_marks);
    close_world(&w);
}

static void takes_a_marked_row_without_a_registration_for_deleted_elsewhere(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, ENTRY, "\"2:1\"", 1);
    unit_decide(&w.unit, &w.plan);
    assert_int_equal(w.unit.item_count, 0);
    assert_true(w.unit.is_gone);
    close_world(&w);
}

static void removes_what_is_wanted_no_more(void **state)
{
    struct world w;
    struct buf kept cleanup(buf_done) = BUF_INIT;
    (void)state;
    open_world(&w, ENTRY, "\"2:1,2:2\"", 2);
    free(w.plan.reader.items[2].objects.items[0].json);
    w.plan.reader.items[2].objects.items[0].json = mem_dup_cstr("\"\"");
    unit_decide(&w.unit, &w.plan);
    carry_out(&w);
    free(w.plan.reader.items[2].objects.items[0].json);
    w.plan.reader.items[2].objects.items[0].json = mem_dup_cstr("\"2:1,2:2\"");
    fieldset_done(&w.plan.servers[--w.plan.server_count].values); // row 2:2 left
    assert_true(unit_drops_marks(&w.plan, 1, &kept));
    assert_string_equal(kept.p, "2:1");
    unit_decide(&w.unit, &w.plan);
    assert_int_equal(w.unit.item_count, 1);
    assert_int_equal(w.unit.items[0].kind, STORE_ITEM_DELETE);
    assert_string_equal(w.unit.items[0].before->name, "ribbon:3:1@2:2");
    close_world(&w);
}

static void removes_all_of_an_entry_that_is_not_there_or_of_type_0(void **state)
{
    static const char *const entries[] = {NULL, "{\"AOR\":\"sip:4001\",\"AorType\":\"0\"}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        struct world w, other;
        open_world(&other, ENTRY, NULL, 1);
        unit_decide(&other.unit, &other.plan);
        open_world(&w, entries[i], NULL, 1);
        unit_hold(&w.unit, other.unit.items[0].after);
        unit_decide(&w.unit, &w.plan);
        assert_int_equal(w.unit.item_count, 1);
        assert_int_equal(w.unit.items[0].kind, STORE_ITEM_DELETE);
        close_world(&w);
        close_world(&other);
    }
}

static void does_nothing_for_a_damaged_entry(void **state)
{
    struct world w, other;
    struct buf kept cleanup(buf_done) = BUF_INIT;
    (void)state;
    open_world(&other, ENTRY, NULL, 1);
    unit_decide(&other.unit, &other.plan);
    open_world(&w, "{", "\"2:1\"", 1);
    unit_hold(&w.unit, other.unit.items[0].after);
    unit_decide(&w.unit, &w.plan);
    assert_int_equal(w.unit.item_count, 0);
    assert_false(unit_drops_marks(&w.plan, 1, &kept));
    close_world(&w);
    close_world(&other);
}

static void avoids_a_name_that_is_taken(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, ENTRY, NULL, 1);
    w.unit.taken = 1;
    unit_decide(&w.unit, &w.plan);
    assert_string_equal(w.unit.items[0].after->name, "ribbon:3:1@2:1~2");
    close_world(&w);
}

// ---- the page

static void add_range(struct buf *out, const struct field *f)
{
    switch (f->kind) {
    case FIELD_TEXT:
    case FIELD_SECRET:
        buf_addf(out, "≤ %lld bytes", (long long)f->max);
        break;
    case FIELD_NUMBER:
        buf_addf(out, "%lld … %lld", (long long)f->min, (long long)f->max);
        break;
    case FIELD_ENUM:
        buf_add_cstr(out, f->choices);
        break;
    case FIELD_IDS:
        buf_addf(out, "ids, ≤ %lld bytes", (long long)f->max);
        break;
    }
}

// "| `AorTtl` | no | 3600 | 1 … 2147483647 |"
static void add_row(struct buf *out, const struct field *f)
{
    struct buf otherwise cleanup(buf_done) = BUF_INIT;
    field_default(f, &limits, &otherwise);
    buf_addf(out, "| `%s` | %s | %s | ", f->name, f->required ? "yes" : "no", otherwise.n ? otherwise.p : "");
    add_range(out, f);
    buf_add_cstr(out, " |");
}

static void the_page_has_every_parameter_as_the_table_has_it(void **state)
{
    (void)state;
    FILE *file = fopen(DOCS_DIR "/dialects/ribbon.md", "r");
    assert_non_null(file);
    char *page = mem_alloc(1 << 17);
    assert_true(fread(page, 1, (1 << 17) - 1, file) > 0);
    (void)fclose(file);
    size_t missing = 0;
    for (size_t i = 0; i < resource_count(); i++) {
        const struct resource *r = resource_at(i);
        for (size_t k = 0; k < r->field_count; k++) {
            struct buf row cleanup(buf_done) = BUF_INIT;
            add_row(&row, &r->fields[k]);
            if (strstr(page, row.p))
                continue;
            print_error("%s: %s\n", r->name, row.p);
            missing++;
        }
    }
    free(page);
    assert_int_equal(missing, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_pairs_as_encoders_and_as_careless_clients_write_them),
        cmocka_unit_test(splits_paths_whatever_their_slashes),
        cmocka_unit_test(escapes_what_xml_cannot_hold),
        cmocka_unit_test(matches_within_a_bound),
        cmocka_unit_test(the_bound_is_that_of_all_starts_together),
        cmocka_unit_test(keeps_labels_of_others_and_reads_its_own),
        cmocka_unit_test(creates_one_for_each_row_and_then_leaves_it_alone),
        cmocka_unit_test(gives_a_wanted_one_without_a_mark_a_revision_of_its_own),
        cmocka_unit_test(takes_a_marked_row_without_a_registration_for_deleted_elsewhere),
        cmocka_unit_test(removes_what_is_wanted_no_more),
        cmocka_unit_test(removes_all_of_an_entry_that_is_not_there_or_of_type_0),
        cmocka_unit_test(does_nothing_for_a_damaged_entry),
        cmocka_unit_test(avoids_a_name_that_is_taken),
        cmocka_unit_test(the_page_has_every_parameter_as_the_table_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
