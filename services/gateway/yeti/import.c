// See import.h: the lines of the body, the window of those under way, waiting for a store that is away.
#include "services/gateway/yeti/import.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/event/timer.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/coerce.h"
#include "services/gateway/yeti/handlers.h"

#include <event2/event.h>
#include <string.h>

#define RETRY_MS 250 // between two tries of a store that is away

static void pump(struct import *im);

// They are in no table: the name is that of the line before them.
static void drop_followers(struct line *l)
{
    struct line *f;
    while ((f = TAILQ_FIRST(&l->followers))) {
        TAILQ_REMOVE(&l->followers, f, link);
        l->import->under_way--;
        import_line_free(f);
    }
}

static void import_free(void *arg)
{
    struct import *im = arg;
    struct line *l;
    while ((l = TAILQ_FIRST(&im->waiting))) {
        TAILQ_REMOVE(&im->waiting, l, link);
        drop_followers(l);
        if (l->name)
            HASH_DELETE(hh, im->by_name, l); // NOLINT(clang-analyzer-core.NullDereference): it stands there
        import_line_free(l);
    }
    event_free(im->timer);
    buf_done(&im->text);
    buf_done(&im->report);
    free(im->traceparent);
    free(im);
}

// ---- the end

static void stop_reading(struct import *im, uint64_t at, const char *why)
{
    if (!im->stopped_why || at < im->stopped_at)
        im->stopped_at = at;
    if (!im->stopped_why)
        im->stopped_why = why;
}

static void finish(struct import *im)
{
    struct call *c = im->call;
    if (im->gone) {
        call_free(c);
        return;
    }
    import_report_summary(im);
    answer_lines(c, buf_str(&im->report));
}

// ---- lines under way

static void on_turn(struct fair_ticket *t)
{
    import_line_begin(container_of(t, struct line, turn));
}

// Of the lines of the window few are worked on at once while others ask.
static void work_on(struct line *l)
{
    struct call *c = l->import->call;
    if (fair_ask(c->yeti->params.shared->fair, &l->turn, FAIR_LINES, call_account(c), FAIR_WRITE, on_turn) ==
        FAIR_FULL)
        import_line_begin(l); // the gateway stops, and so will the store
}

static void begin_line(struct line *l)
{
    struct import *im = l->import;
    if (l->name)
        HASH_ADD_KEYPTR(hh, im->by_name, l->name, (unsigned)strlen(l->name), l);
    work_on(l);
}

// The next of the same name takes its place.
static void end_line(struct line *l)
{
    struct import *im = l->import;
    struct line *next = TAILQ_FIRST(&l->followers);
    im->under_way--;
    fair_give_back(&l->turn);
    if (l->name)
        HASH_DELETE(hh, im->by_name, l);
    if (next) {
        TAILQ_REMOVE(&l->followers, next, link);
        TAILQ_CONCAT(&next->followers, &l->followers, link);
    }
    import_line_free(l);
    if (next)
        begin_line(next);
}

static void count(struct import *im, enum import_outcome outcome)
{
    im->counts[outcome]++;
    if (im->counts[IMPORT_FAILED] >= IMPORT_FAILED_MAX)
        stop_reading(im, im->number + 1, "There are too many bad lines.");
    else if (im->report.n >= IMPORT_REPORT_MAX)
        stop_reading(im, im->number + 1, "The report of bad lines is too long.");
}

static void settle(struct line *l, enum import_outcome outcome)
{
    struct import *im = l->import;
    count(im, outcome);
    end_line(l);
    pump(im);
}

void import_line_done(struct line *l, enum import_outcome outcome)
{
    l->import->trouble_us = 0;
    settle(l, outcome);
}

void import_line_fail(struct line *l, const struct errors *errors)
{
    import_report_line(l->import, l->number, l->name, errors);
    settle(l, IMPORT_FAILED);
}

// ---- a store that is away

// They are not done, and nor is what follows them.
static void give_up(struct import *im, const char *why)
{
    struct line *l;
    while ((l = TAILQ_FIRST(&im->waiting))) {
        TAILQ_REMOVE(&im->waiting, l, link);
        stop_reading(im, l->number, why);
        drop_followers(l);
        end_line(l);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct import *im = arg;
    struct lines again = TAILQ_HEAD_INITIALIZER(again);
    struct line *l;
    im->call->call.waits = false;
    TAILQ_CONCAT(&again, &im->waiting, link);
    im->holds = true; // a line that ends at once must not end the import under this loop
    while ((l = TAILQ_FIRST(&again))) {
        TAILQ_REMOVE(&again, l, link);
        work_on(l);
    }
    im->holds = false;
    pump(im);
}

void import_line_wait(struct line *l, const char *why)
{
    struct import *im = l->import;
    uint64_t now_us = clock_monotonic_us();
    if (!im->trouble_us)
        im->trouble_us = now_us;
    fair_give_back(&l->turn);
    TAILQ_INSERT_TAIL(&im->waiting, l, link);
    if (im->gone || im->stopped_why || now_us - im->trouble_us > im->call->yeti->params.import_patience_us) {
        give_up(im, why);
        pump(im);
        return;
    }
    im->call->call.waits = true;
    if (!event_pending(im->timer, EV_TIMEOUT, NULL))
        timer_in_ms(im->timer, RETRY_MS);
}

// ---- lines of the body

static void refuse_long(struct import *im)
{
    struct errors errors cleanup(errors_done) = ERRORS_INIT;
    errors_add(&errors, PROBLEM_BAD_REQUEST, STR_LIT("A line may be 65536 bytes long"), STR_NONE);
    import_report_line(im, im->number, NULL, &errors);
    im->line_count++;
    count(im, IMPORT_FAILED);
}

// Some editors begin a file with U+FEFF in UTF-8; what reads JSON may pass over it (RFC 8259, 8.1).
static struct str without_mark(struct str first)
{
    struct str mark = STR_LIT("\xef\xbb\xbf");
    return str_starts(first, mark) ? str_slice(first, mark.n, first.n) : first;
}

// Cuts the next whole line off; at the end of the body the rest is one. False: there is none yet.
static bool next_line(struct import *im, struct str *ret)
{
    struct str rest = str_slice(buf_str(&im->text), im->text_at, im->text.n);
    size_t end = str_find(rest, '\n', 0);
    bool whole = end < rest.n;
    bool starts = rest.n && !im->skips;
    if (starts && end > IMPORT_LINE_BYTES) {
        im->number++;
        refuse_long(im);
        im->skips = true;
    }
    if (!whole && !(im->ended && rest.n)) {
        im->text_at += im->skips ? rest.n : 0;
        return false;
    }
    im->text_at += whole ? end + 1 : end;
    *ret = im->skips ? STR_NONE : str_slice(rest, 0, end);
    im->number += !im->skips;
    im->skips = false;
    return true;
}

static void take_line(struct import *im, struct str text)
{
    struct errors errors cleanup(errors_done) = ERRORS_INIT;
    struct line *l = mem_alloc(sizeof(*l)), *first = NULL;
    *l = (struct line){.import = im, .number = im->number};
    TAILQ_INIT(&l->followers);
    im->line_count++;
    im->under_way++;
    if (!import_line_read(l, text, &errors)) {
        import_report_line(im, l->number, l->name, &errors);
        free(l->name);
        l->name = NULL; // it is in no table
        settle(l, IMPORT_FAILED);
        return;
    }
    if (l->name)
        HASH_FIND(hh, im->by_name, l->name, (unsigned)strlen(l->name), first);
    if (first)
        TAILQ_INSERT_TAIL(&first->followers, l, link);
    else
        begin_line(l);
}

static void compact(struct import *im)
{
    size_t left = im->text.n - im->text_at;
    if (left)
        memmove(im->text.p, im->text.p + im->text_at, left);
    im->text.n = left;
    im->text_at = 0;
}

// Reads lines while the window has room; ends the import when nothing is left to do. Not to be entered again
// by what a line does at once.
static void pump(struct import *im)
{
    struct str text;
    bool more = true;
    if (im->holds)
        return;
    im->holds = true;
    while (more && !im->gone && !im->stopped_why && im->under_way < IMPORT_WINDOW) {
        more = next_line(im, &text);
        if (more && im->number == 1)
            text = without_mark(text);
        if (more && !coerce_is_blank(text))
            take_line(im, text);
    }
    im->holds = false;
    bool over = im->gone || im->stopped_why || (im->ended && !more);
    if (over && !im->under_way)
        finish(im);
    else if (!over)
        http_upload_pause(im->call->call.http, im->under_way >= IMPORT_WINDOW);
}

// ---- the upload

static void on_data(void *arg, struct str bytes)
{
    struct import *im = ((struct call *)arg)->work;
    compact(im);
    buf_add_str(&im->text, bytes);
    pump(im);
}

static void on_end(void *arg)
{
    struct import *im = ((struct call *)arg)->work;
    im->ended = true;
    pump(im);
}

// What is under way is finished first: its answers come here.
static void on_gone(void *arg)
{
    struct import *im = ((struct call *)arg)->work;
    im->gone = true;
    (void)event_del(im->timer);
    give_up(im, "");
    pump(im);
}

static void begin(struct call *c)
{
    static const struct http_upload_fns fns = {.on_data = on_data, .on_end = on_end, .on_gone = on_gone};
    http_upload_begin(c->call.http, &fns, c);
}

void import_run(struct call *c)
{
    const char *dry_run = http_pairs_get(&c->params, "dry-run");
    if (dry_run && !coerce_is_flag(str_of(dry_run))) {
        answer_error(c, PROBLEM_BAD_REQUEST, STR_LIT("dry-run must be true or false"), STR_NONE);
        return;
    }
    struct import *im = mem_alloc(sizeof(*im));
    *im = (struct import){
        .call = c,
        .traceparent = str_dup(dialect_traceparent(c->call.http)),
        .dry_run = dry_run && !coerce_says_no(str_of(dry_run)),
        .timer = event_new(c->yeti->params.base, -1, 0, on_timer, im),
    };
    TAILQ_INIT(&im->waiting);
    c->work = im;
    c->work_free = import_free;
    call_load(c, true, true, begin); // once, and not for each line
}
