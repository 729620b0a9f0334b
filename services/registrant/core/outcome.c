// See outcome.h.
#include "services/registrant/core/outcome.h"

static const struct outcome_row local_rows[] = {
    {408, 408, OUTCOME_NEXT_TARGET, DELAY_BACKOFF, "RFC 3261 8.1.3.1, 10.2.7; RFC 3263 4.3", NULL},
    {503, 503, OUTCOME_NEXT_TARGET, DELAY_BACKOFF, "RFC 3261 8.1.3.1; RFC 3263 4.3", NULL},
    {403, 403, OUTCOME_REJECTED, DELAY_SLOW, "none: the operator's own networks", NULL},
};

static const struct outcome_row rows[] = {
    {200, 299, OUTCOME_ACCEPTED, DELAY_BACKOFF, "RFC 3261 10.2.4", NULL},
    {300, 399, OUTCOME_REDIRECT, DELAY_BACKOFF, "RFC 3261 8.1.3.4", NULL},
    {401, 401, OUTCOME_CHALLENGE, DELAY_SLOW, "RFC 3261 22.2", NULL},
    {403, 403, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3261 21.4.4", NULL},
    {404, 404, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3261 10.3 step 5", NULL},
    {407, 407, OUTCOME_CHALLENGE, DELAY_SLOW, "RFC 3261 22.3", NULL},
    {408, 408, OUTCOME_RETRY, DELAY_BACKOFF, "RFC 3261 21.4.9", NULL},
    {410, 410, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3261 21.4.11", NULL},
    {416, 416, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3261 21.4.14", NULL},
    {420, 420, OUTCOME_BAD_EXTENSION, DELAY_SLOW, "RFC 3261 8.1.3.5, 21.4.15", NULL},
    {421, 421, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3261 21.4.16", NULL},
    {423, 423, OUTCOME_TOO_BRIEF, DELAY_BACKOFF, "RFC 3261 10.2.8", NULL},
    {439, 439, OUTCOME_NO_OUTBOUND, DELAY_BACKOFF, "RFC 5626 4.2.1, 11.6", NULL},
    {480, 480, OUTCOME_RETRY, DELAY_BACKOFF, "RFC 3261 21.4.18", NULL},
    {484, 484, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3261 21.4.22", NULL},
    {485, 485, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3261 21.4.23", NULL},
    {486, 486, OUTCOME_RETRY, DELAY_BACKOFF, "RFC 3261 21.4.24", NULL},
    {494, 494, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3329 2.3.1",
     "the registrar wants a security agreement (RFC 3329)"},
    {500, 500, OUTCOME_RETRY, DELAY_BACKOFF, "RFC 3261 21.5.1", NULL},
    {501, 501, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3261 21.5.2", NULL},
    {503, 503, OUTCOME_NEXT_TARGET, DELAY_BACKOFF, "RFC 3261 21.5.4; RFC 3263 4.3", NULL},
    {505, 505, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3261 21.5.6", NULL},
    {600, 699, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3261 21.6", NULL},
    {0, 999, OUTCOME_RETRY, DELAY_BACKOFF, "RFC 3261 8.1.3.2, 21.5", NULL},
};

const struct outcome_row *outcome_of(int status, bool local)
{
    for (size_t i = 0; local && i < ARRAY_LEN(local_rows); i++)
        if (status == local_rows[i].from)
            return &local_rows[i];
    for (size_t i = 0; i + 1 < ARRAY_LEN(rows); i++)
        if (status >= rows[i].from && status <= rows[i].to)
            return &rows[i];
    return &rows[ARRAY_LEN(rows) - 1];
}

static bool mentions(struct str text, const char *word)
{
    struct str wanted = str_of(word);
    for (size_t i = 0; i + wanted.n <= text.n; i++)
        if (str_ieq(str_slice(text, i, i + wanted.n), wanted))
            return true;
    return false;
}

bool outcome_is_cseq_too_low(int status, struct str reason, struct str warning)
{
    if (status != 400 && status != 500)
        return false;
    return mentions(reason, "cseq") || mentions(reason, "out of order") || mentions(warning, "cseq");
}
