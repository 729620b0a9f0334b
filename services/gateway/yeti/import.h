// POST /registrations/import, an addition to Yeti's API: a resource object a line, of any number of lines, in
// bounded memory. A line names its registration by the account's name for it; it is created, or changed by
// what the line holds, so that the whole can be sent again. What is shared by its files.
#ifndef ROLLCALL_GATEWAY_YETI_IMPORT_H
#define ROLLCALL_GATEWAY_YETI_IMPORT_H

#include "common/base/keyed_table.h"
#include "services/gateway/yeti/body.h"
#include "services/gateway/yeti/call.h"

#include <stdlib.h>
#include <sys/queue.h>

#define IMPORT_WINDOW     256   // lines under way
#define IMPORT_LINE_BYTES 65536 // longest line
#define IMPORT_FAILED_MAX 10000 // bad lines, after which nothing more is read
#define IMPORT_REPORT_MAX ((size_t)16 << 20)

struct import;

// One line under way. Lines of one name are worked off one after the other: the first is in the table, the
// others follow it.
struct line {
    struct import *import;
    struct fair_ticket turn; // while it is worked on
    uint64_t number;
    struct json *root;
    struct body body; // borrows from root
    char *name;       // NULL: it has none that can be looked up
    unsigned attempts;
    uint64_t revision;      // held before it was written
    TAILQ_ENTRY(line) link; // among those that follow another, or that wait for the store
    TAILQ_HEAD(lines, line) followers;
    UT_hash_handle hh;
};

enum import_outcome { IMPORT_CREATED, IMPORT_UPDATED, IMPORT_UNCHANGED, IMPORT_FAILED, IMPORT_OUTCOMES };

struct import {
    struct call *call;
    char *traceparent;
    bool dry_run;

    struct buf text;     // what came and was not read yet
    size_t text_at;      // the next line begins there
    bool skips;          // the rest of a line that is too long
    uint64_t number;     // of lines read
    uint64_t line_count; // of those that were not blank

    size_t under_way;     // lines
    struct line *by_name; // those at work
    struct lines waiting; // for the store to come back
    struct event *timer;
    uint64_t trouble_us;     // since when the store is away, monotonic; 0: it is there
    bool ended, gone;        // the body came whole; the client left
    bool holds;              // lines are being begun: what ends now is looked at afterwards
    uint64_t stopped_at;     // the first line not done; 0: none
    const char *stopped_why; // nothing more is read; NULL

    uint64_t counts[IMPORT_OUTCOMES];
    struct buf report;
};

// import_line.c: begins the work on a line, which ends in import_line_done, _fail or _wait, now or later.
void import_line_begin(struct line *l);
// Reads the text. False: *errors says what is wrong with its form.
bool import_line_read(struct line *l, struct str text, struct errors *errors);
void import_line_free(struct line *l);

// import.c: these end the line's work, and it may be gone afterwards.
void import_line_done(struct line *l, enum import_outcome outcome);
void import_line_fail(struct line *l, const struct errors *errors);
// The store cannot for now; the line is begun again.
void import_line_wait(struct line *l, const char *why);

// import_report.c
void import_report_line(struct import *im, uint64_t number, const char *name, const struct errors *errors);
void import_report_summary(struct import *im);

#endif
