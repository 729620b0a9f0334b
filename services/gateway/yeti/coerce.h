// JSON values as attributes hold them: the API rejects no JSON type, it casts (contract 2.2). All are
// coerce_fn.
#ifndef ROLLCALL_GATEWAY_YETI_COERCE_H
#define ROLLCALL_GATEWAY_YETI_COERCE_H

#include "services/gateway/yeti/types.h"

// The messages of validation that more than one file gives (contract 2.1).
#define MESSAGE_BLANK       "can't be blank"
#define MESSAGE_INVALID     "is invalid"
#define MESSAGE_NOT_IN_LIST "is not included in the list"
#define MESSAGE_NO_NUMBER   "is not a number"
#define MESSAGE_EXIST       "must exist"
#define MESSAGE_TAKEN       "has already been taken"
#define MESSAGE_TOO_LONG    "is too long (maximum is 1024 bytes)"

coerce_fn coerce_text;     // char **
coerce_fn coerce_required; // the same of what must not be blank
coerce_fn coerce_flag;     // bool *; null and "" cannot be held
coerce_fn coerce_integer;  // struct integer *; casts whatever it is, 32 bits
coerce_fn coerce_count;    // struct integer *; judges the value as it was written: a number from 1 to 32767
coerce_fn coerce_texts;    // struct texts *
coerce_fn coerce_object;   // only judges the type: what an object makes of the target is its reader's

bool coerce_is_blank(struct str text); // white space, if anything
// A text that says yes or no; coerce_flag takes any other for yes.
bool coerce_is_flag(struct str text);
bool coerce_says_no(struct str text);

void texts_done(struct texts *t);

#endif
