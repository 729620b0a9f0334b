// The error document (contract 5.1): one table of codes, titles and detail patterns, and the list that an
// answer collects. Knows no HTTP but the status that each row carries.
#ifndef ROLLCALL_GATEWAY_YETI_ERRORS_H
#define ROLLCALL_GATEWAY_YETI_ERRORS_H

#include "common/base/buf.h"

// One row of the table each; what {a} and {b} stand for is said there.
enum problem {
    PROBLEM_INVALID_RESOURCE,
    PROBLEM_FILTER_NOT_ALLOWED,
    PROBLEM_INVALID_ID,
    PROBLEM_INVALID_FIELD,
    PROBLEM_PARAM_NOT_ALLOWED,
    PROBLEM_PARAM_MISSING,
    PROBLEM_FILTER_VALUE,
    PROBLEM_KEY_MISSING,
    PROBLEM_KEY_NOT_IN_URL,
    PROBLEM_INVALID_INCLUDE,
    PROBLEM_INVALID_SORT,
    PROBLEM_LINKS_OBJECT,
    PROBLEM_TYPE_MISMATCH,
    PROBLEM_PAGE_VALUE,
    PROBLEM_PAGE_TOO_LARGE,
    PROBLEM_FIELDS_FORMAT,
    PROBLEM_FILTER_SYNTAX,
    PROBLEM_DATA_FORMAT,
    PROBLEM_BAD_REQUEST,
    PROBLEM_LOGIN,
    PROBLEM_FORBIDDEN,
    PROBLEM_NO_RECORD,
    PROBLEM_NO_ROUTE,
    PROBLEM_NOT_ACCEPTABLE,
    PROBLEM_CONDITION,
    PROBLEM_TOO_LARGE,
    PROBLEM_MEDIA_TYPE,
    PROBLEM_OTHER_TYPE,
    PROBLEM_OTHER_CODING,
    PROBLEM_OTHER_ACCEPT,
    PROBLEM_KEY_SPENT,
    PROBLEM_KEY_REUSED,
    PROBLEM_TOO_MANY,
    PROBLEM_INTERNAL,
    PROBLEM_DAMAGED,
    PROBLEM_UNAVAILABLE,
};

struct errors {
    struct buf entries; // the array's text without its brackets
    size_t count;
    int status;  // of the first
    char at[64]; // what pointers begin with; where it is not empty, every entry has one
};
#define ERRORS_INIT ((struct errors){.entries = {0}})

void errors_done(struct errors *e);

// Adds the row, with a and b in its pattern. Texts are copied.
void errors_add(struct errors *e, enum problem problem, struct str a, struct str b);
// 400, 404 or 422 that a header of the request is to blame for.
void errors_add_header(struct errors *e, enum problem problem, struct str a, const char *header);

// Code 100 (422). The pointer is /data/attributes/<name>, /data/relationships/<name> or /data; with the last
// the detail is the message alone.
enum pointer { POINTER_ATTRIBUTE, POINTER_RELATIONSHIP, POINTER_MEMBER, POINTER_RECORD };
void errors_add_invalid(struct errors *e, enum pointer pointer, const char *name, const char *message);

// {"errors":[…]}
void errors_write(struct buf *out, const struct errors *e);

#endif
