// See outcome.h.
#include "services/registrant/core/outcome.h"

static const struct outcome_row rows[] = {
    {200, 299, OUTCOME_ACCEPTED, DELAY_NONE, "RFC 3261 10.2.4"},
    {300, 399, OUTCOME_REDIRECT, DELAY_NONE, "RFC 3261 8.1.3.4"},
    {401, 401, OUTCOME_CHALLENGE, DELAY_NONE, "RFC 3261 22.2"},
    {403, 403, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3261 21.4.4"},
    {404, 404, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3261 10.3 step 5"},
    {407, 407, OUTCOME_CHALLENGE, DELAY_NONE, "RFC 3261 22.3"},
    {408, 408, OUTCOME_RETRY, DELAY_BACKOFF, "RFC 3261 8.1.3.1, 10.2.7"},
    {423, 423, OUTCOME_TOO_BRIEF, DELAY_NONE, "RFC 3261 10.2.8"},
    {600, 699, OUTCOME_REJECTED, DELAY_SLOW, "RFC 3261 21.6"},
    {0, 999, OUTCOME_RETRY, DELAY_BACKOFF, "RFC 3261 8.1.3.2, 21.5"},
};

const struct outcome_row *outcome_of(int status)
{
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
