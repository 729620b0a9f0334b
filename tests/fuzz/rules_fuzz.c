// The file of registrars: what is taken is found by its hosts and makes limits that can be kept, what is
// refused names its line.
#include "services/registrant/core/rules.h"
#include "tests/fuzz/target.h"

#include <math.h>
#include <string.h>

static void apply(const struct rules *rules, struct str host)
{
    const struct rule *rule = rules_find(rules, host);
    struct pacer_limits limits = {.rate = 50, .in_flight = 100, .aor_rate = 1};
    if (!rule)
        return;
    rule_apply(rule, &limits);
    HOLDS(isfinite(limits.rate) && limits.rate >= 0 && limits.in_flight > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rules *rules = NULL;
    struct str text = str_of_bytes(data, size), rest = text, word;
    struct error err = {0};
    if (rules_parse(text, &rules, &err)) {
        HOLDS(!rules && err.code < 0 && strstr(err.text, "line") && !strchr(err.text, '\n'));
        return 0;
    }
    apply(rules, STR_LIT("sip.example.com"));
    apply(rules, rules_host_of(text));
    while (str_split(&rest, ' ', &word))
        apply(rules, word);
    rules_free(rules);
    return 0;
}
