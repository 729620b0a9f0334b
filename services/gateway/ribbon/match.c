// See match.h.
#include "services/gateway/ribbon/match.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define STEPS_MAX    5000 // of all starts, about a tenth of a millisecond
#define STEPS_MIN    20   // of one, for plain patterns in long texts
#define HEAP_MAX_KIB 1024

static void code_free(pcre2_code **code)
{
    pcre2_code_free(*code);
}

static void data_free(pcre2_match_data **data)
{
    pcre2_match_data_free(*data);
}

static void context_free(pcre2_match_context **context)
{
    pcre2_match_context_free(*context);
}

static pcre2_code *compile(struct str pattern)
{
    int problem;
    PCRE2_SIZE at;
    return pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C,
                         &problem, &at, NULL);
}

bool match_compiles(struct str pattern)
{
    pcre2_code *code cleanup(code_free) = compile(pattern);
    return code != NULL;
}

// The library counts anew at each place where a match may begin, which is one where the pattern says so.
static uint32_t steps_of_a_start(const pcre2_code *code, struct str text)
{
    uint32_t options = 0;
    bool told = pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options) == 0;
    size_t starts = told && options & PCRE2_ANCHORED ? 1 : text.n + 1;
    return (uint32_t)(STEPS_MAX / starts) + STEPS_MIN;
}

bool match_text(struct str pattern, struct str text)
{
    pcre2_code *code cleanup(code_free) = compile(pattern);
    if (!code)
        return false;
    pcre2_match_context *context cleanup(context_free) = pcre2_match_context_create(NULL);
    pcre2_match_data *data cleanup(data_free) = pcre2_match_data_create(1, NULL);
    if (!context || !data)
        return false;
    (void)pcre2_set_match_limit(context, steps_of_a_start(code, text));
    (void)pcre2_set_heap_limit(context, HEAP_MAX_KIB);
    return pcre2_match(code, (PCRE2_SPTR)text.p, text.n, 0, 0, data, context) >= 0;
}
