// Settings: lines NAME=value as an environment. What is taken keeps its limits and is freed whole; what is
// refused says so in one line that shows no secret.
#include "common/base/mem.h"
#include "common/config/settings.h"
#include "tests/fuzz/target.h"

#include <string.h>

#define LINES_MAX 16
#define SECRET    "hunter2-hunter2"

struct target {
    char *text, *secret;
    int64_t number;
    bool flag;
    int choice;
};

static const char *const choices[] = {"one", "two", NULL};
static const struct setting table[] = {
    {"ROLLCALL_TEXT", SETTING_STRING, "none", NULL, "A text", .offset = offsetof(struct target, text)},
    {"ROLLCALL_SECRET", SETTING_SECRET, NULL, NULL, "A secret", .offset = offsetof(struct target, secret)},
    {"ROLLCALL_NUMBER", SETTING_INT, "5", "s", "A number", .offset = offsetof(struct target, number),
     .min = -3, .max = 1000},
    {"ROLLCALL_FLAG", SETTING_BOOL, "no", NULL, "A flag", .offset = offsetof(struct target, flag)},
    {"ROLLCALL_CHOICE", SETTING_CHOICE, "one", NULL, "A choice", .offset = offsetof(struct target, choice),
     .choices = choices},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char secret[] = "ROLLCALL_SECRET=" SECRET;
    char *environment[LINES_MAX + 2] = {secret};
    size_t count = 1;
    struct str rest = str_of_bytes(data, size), line;
    if (str_find_str(rest, STR_LIT(SECRET)) < rest.n) // it is no secret then
        return 0;
    while (count <= LINES_MAX && str_split(&rest, '\n', &line))
        if (!str_starts(line, STR_LIT("ROLLCALL_SECRET_FILE"))) // which would read any file
            environment[count++] = str_dup(line);
    struct target t = {0};
    struct error err = {0};
    if (settings_load(table, ARRAY_LEN(table), environment, &t, &err)) {
        HOLDS(err.code < 0 && err.text[0] && !strchr(err.text, '\n') && !strstr(err.text, SECRET));
        HOLDS(!t.text && !t.secret);
    } else {
        HOLDS(t.number >= -3 && t.number <= 1000 && (t.choice == 0 || t.choice == 1) && t.text && t.secret);
        settings_done(table, ARRAY_LEN(table), &t);
    }
    for (size_t i = 1; i < count; i++)
        free(environment[i]);
    return 0;
}
