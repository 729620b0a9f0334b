// The error catalogue (contract kazoo 6): one row a case.
#ifndef ROLLCALL_GATEWAY_KAZOO_PROBLEMS_H
#define ROLLCALL_GATEWAY_KAZOO_PROBLEMS_H

#include "common/base/str.h"

enum problem {
    PROBLEM_BAD_TOKEN,       // A: a token was presented but is unknown or expired
    PROBLEM_UNAUTHORIZED,    // B: no token, bad signature, any other failure of it
    PROBLEM_METHOD,          // verb not allowed
    PROBLEM_ACCOUNT_SHAPE,   // detail: the id
    PROBLEM_ACCOUNT_EMPTY,   //
    PROBLEM_ACCOUNT_UNKNOWN, // detail: the id
    PROBLEM_FORBIDDEN,       // not authorised for that account, or a role that only reads
    PROBLEM_NO_USERNAME,     // detail: the user name; data is an array
    PROBLEM_NO_API_KEY,      // detail: the key; data is an array
    PROBLEM_NO_RESOURCE,     // authenticated, but nothing is there
    PROBLEM_TOO_MANY,        // rate limit
    PROBLEM_BAD_JSON,        // detail: why
    PROBLEM_BAD_ENVELOPE,    // detail: the member
    PROBLEM_TOO_LONG,        // the body
    PROBLEM_REQUIRED,        // of a login. detail: the member
    PROBLEM_METHOD_ENUM,     // of a login: "method" is neither md5 nor sha
    PROBLEM_GONE,            // API version 1
    PROBLEM_UNREACHABLE,     // the store, for now. detail: why
    PROBLEM_FAULT,           // the store's answer makes no sense, or something of ours
};

struct problem_row {
    int status;
    const char *message; // of the envelope; clients key on the status
    // JSON of `data`; "%s" stands for the detail as a JSON string.
    const char *data;
};
const struct problem_row *kazoo_problem_row(enum problem problem);

#endif
