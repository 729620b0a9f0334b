// The answer of an import: a line for each bad line, and a last one that sums up.
#include "services/gateway/yeti/import.h"

void import_report_line(struct import *im, uint64_t number, const char *name, const struct errors *errors)
{
    struct json_writer w = json_writer(&im->report);
    json_begin_object(&w);
    json_kv_u64(&w, "line", number);
    json_kv_cstr(&w, "name", name);
    json_key(&w, "errors");
    json_begin_array(&w);
    json_put_raw(&w, buf_str(&errors->entries));
    json_end_array(&w);
    json_end_object(&w);
    buf_add_char(&im->report, '\n');
}

void import_report_summary(struct import *im)
{
    struct json_writer w = json_writer(&im->report);
    json_begin_object(&w);
    json_key(&w, "summary");
    json_begin_object(&w);
    json_kv_u64(&w, "lines", im->line_count);
    json_kv_u64(&w, "created", im->counts[IMPORT_CREATED]);
    json_kv_u64(&w, "updated", im->counts[IMPORT_UPDATED]);
    json_kv_u64(&w, "unchanged", im->counts[IMPORT_UNCHANGED]);
    json_kv_u64(&w, "failed", im->counts[IMPORT_FAILED]);
    if (im->dry_run)
        json_kv_bool(&w, "dry-run", true);
    if (im->stopped_why) {
        json_kv_u64(&w, "stopped-at", im->stopped_at);
        json_kv_cstr(&w, "reason", im->stopped_why);
    }
    json_end_object(&w);
    json_end_object(&w);
    buf_add_char(&im->report, '\n');
}
