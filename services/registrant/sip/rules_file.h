// The file in which the operator limits registrars by pattern (core/rules.h says what its lines mean).
#ifndef ROLLCALL_REGISTRANT_SIP_RULES_FILE_H
#define ROLLCALL_REGISTRANT_SIP_RULES_FILE_H

#include "services/registrant/core/rules.h"

// Path NULL: *ret is NULL, no rules. Negative with a sentence that begins with the path; *ret is not set
// then.
must_use int rules_file_read(const char *path, struct rules **ret, struct error *err);

#endif
