// common/config: what a setting takes, the sentence for each mistake, secrets that stay secret, and --help.
#include "common/config/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
// cmocka needs setjmp.h, stdarg.h and stdlib.h
#include <cmocka.h>

struct target {
    char *url, *name, *note, *token;
    int64_t port, wait_s;
    bool fast;
    int format;
};

static const char *const formats[] = {"text", "json", NULL};

#define AT(member) .offset = offsetof(struct target, member)

static const struct setting table[] = {
    {"ROLLCALL_REDIS_URL", SETTING_STRING, NULL, NULL, "Where Redis is", AT(url), .required = true},
    {"ROLLCALL_NAME", SETTING_STRING, "here:1", "host:port", "Name of this process", AT(name)},
    {"ROLLCALL_NOTE", SETTING_STRING, NULL, NULL, "Anything", AT(note)},
    {"ROLLCALL_TOKEN", SETTING_SECRET, "built-in", NULL, "Token of the internal listener", AT(token)},
    {"ROLLCALL_PORT", SETTING_INT, "8080", NULL, "Port of the API", AT(port), .min = 0, .max = 65535},
    {"ROLLCALL_WAIT", SETTING_INT, "-5", "s",
     "How long to wait for something that this sentence describes in so many words that it cannot stand on "
     "one line "
     "of the help",
     AT(wait_s), .min = -10, .max = 10},
    {"ROLLCALL_FAST", SETTING_BOOL, "no", NULL, "Go fast", AT(fast)},
    {"ROLLCALL_LOG_FORMAT", SETTING_CHOICE, "text", NULL, "Form of the log", AT(format), .choices = formats},
};

#define ENVIRONMENT(...) ((char *[]){"PATH=/bin", "ROLLCALL_REDIS_URL=redis://r", __VA_ARGS__, NULL})

static void assert_refused(char *const *environment, const char *sentence)
{
    struct target t = {0};
    struct error err = {0};
    assert_int_equal(settings_load(table, ARRAY_LEN(table), environment, &t, &err), -EINVAL);
    assert_string_equal(err.text, sentence);
    assert_true(!t.url && !t.name && !t.token); // nothing left to free
}

static struct target loaded(char *const *environment)
{
    struct target t = {0};
    struct error err = {0};
    if (settings_load(table, ARRAY_LEN(table), environment, &t, &err))
        fail_msg("%s", err.text);
    return t;
}

static void takes_defaults_where_nothing_is_set(void **state)
{
    (void)state;
    struct target t = loaded(ENVIRONMENT("ROLLCALL_PORT=", "UNRELATED=1", "ROLLCALLX=1"));
    assert_string_equal(t.url, "redis://r");
    assert_string_equal(t.name, "here:1");
    assert_null(t.note);
    assert_string_equal(t.token, "built-in");
    assert_true(t.port == 8080 && t.wait_s == -5 && !t.fast && t.format == 0);
    settings_done(table, ARRAY_LEN(table), &t);
    assert_true(!t.url && !t.token);
}

static void takes_values_from_the_environment(void **state)
{
    (void)state;
    struct target t = loaded(ENVIRONMENT("ROLLCALL_NAME=a=b c", "ROLLCALL_TOKEN=s3", "ROLLCALL_PORT=0",
                                         "ROLLCALL_WAIT=10", "ROLLCALL_FAST=On", "ROLLCALL_LOG_FORMAT=json"));
    assert_string_equal(t.name, "a=b c");
    assert_string_equal(t.token, "s3");
    assert_true(t.port == 0 && t.wait_s == 10 && t.fast && t.format == 1);
    settings_done(table, ARRAY_LEN(table), &t);
}

static void booleans_have_four_spellings_each(void **state)
{
    (void)state;
    static const struct {
        char entry[24];
        bool value;
    } rows[] = {
        {"ROLLCALL_FAST=true", true}, {"ROLLCALL_FAST=yes", true},  {"ROLLCALL_FAST=on", true},
        {"ROLLCALL_FAST=1", true},    {"ROLLCALL_FAST=TRUE", true}, {"ROLLCALL_FAST=false", false},
        {"ROLLCALL_FAST=no", false},  {"ROLLCALL_FAST=off", false}, {"ROLLCALL_FAST=0", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char entry[24];
        memcpy(entry, rows[i].entry, sizeof(entry));
        struct target t = loaded(ENVIRONMENT(entry));
        assert_int_equal(t.fast, rows[i].value);
        settings_done(table, ARRAY_LEN(table), &t);
    }
}

static void bad_values_are_refused_with_what_the_setting_takes(void **state)
{
    (void)state;
    assert_refused(ENVIRONMENT("ROLLCALL_PORT=65536"),
                   "ROLLCALL_PORT is \"65536\"; it takes a whole number from 0 to 65535");
    assert_refused(ENVIRONMENT("ROLLCALL_PORT=-1"),
                   "ROLLCALL_PORT is \"-1\"; it takes a whole number from 0 to 65535");
    assert_refused(ENVIRONMENT("ROLLCALL_PORT=80 "),
                   "ROLLCALL_PORT is \"80 \"; it takes a whole number from 0 to 65535");
    assert_refused(ENVIRONMENT("ROLLCALL_WAIT=1h\x1b"),
                   "ROLLCALL_WAIT is \"1h?\"; it takes a whole number from -10 to 10 s");
    assert_refused(ENVIRONMENT("ROLLCALL_FAST=maybe"),
                   "ROLLCALL_FAST is \"maybe\"; it takes true or false (also yes, no, on, off, 1, 0)");
    assert_refused(ENVIRONMENT("ROLLCALL_NAME=kept", "ROLLCALL_LOG_FORMAT=xml"),
                   "ROLLCALL_LOG_FORMAT is \"xml\"; it takes one of text, json");
}

static void a_misspelt_setting_is_refused_with_the_nearest_name(void **state)
{
    (void)state;
    assert_refused(ENVIRONMENT("ROLLCALL_PROT=1"),
                   "ROLLCALL_PROT is not a setting; the nearest is ROLLCALL_PORT");
    assert_refused(ENVIRONMENT("ROLLCALL_REDSI_URL=x"),
                   "ROLLCALL_REDSI_URL is not a setting; the nearest is ROLLCALL_REDIS_URL");
    assert_refused(ENVIRONMENT("ROLLCALL_LOGFORMAT=x"),
                   "ROLLCALL_LOGFORMAT is not a setting; the nearest is ROLLCALL_LOG_FORMAT");
    assert_refused(ENVIRONMENT("ROLLCALL_PORT_FILE=/x"),
                   "ROLLCALL_PORT_FILE is not a setting; the nearest is ROLLCALL_PORT");
    assert_refused(ENVIRONMENT("ROLLCALL_"), "ROLLCALL_ is not a setting; the nearest is ROLLCALL_NAME");
    struct target t = {0};
    struct error err = {0};
    assert_int_equal(settings_load(NULL, 0, ENVIRONMENT("ROLLCALL_X=1"), &t, &err), -EINVAL);
    assert_string_equal(err.text, "ROLLCALL_REDIS_URL is not a setting");
}

static void a_required_setting_must_be_there(void **state)
{
    (void)state;
    static const char sentence[] = "ROLLCALL_REDIS_URL must be set: Where Redis is";
    assert_refused((char *[]){NULL}, sentence);
    assert_refused((char *[]){"ROLLCALL_REDIS_URL=", NULL}, sentence);
}

// A file with that content; its path stands behind "ROLLCALL_TOKEN_FILE=" in `entry`.
static void token_file(char entry[static 64], const void *content, size_t count)
{
    (void)snprintf(entry, 64, "ROLLCALL_TOKEN_FILE=/tmp/rollcall-XXXXXX");
    int fd = mkstemp(strchr(entry, '=') + 1);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, count), count);
    (void)close(fd);
}

static void a_secret_comes_from_its_file_without_the_last_newline(void **state)
{
    (void)state;
    static const struct {
        const char *content, *secret;
    } rows[] = {{"s3cret\n", "s3cret"}, {"s3cret", "s3cret"}, {"a\n\n", "a\n"}, {" a b ", " a b "}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char entry[64];
        token_file(entry, rows[i].content, strlen(rows[i].content));
        struct target t = loaded(ENVIRONMENT(entry));
        assert_string_equal(t.token, rows[i].secret);
        settings_done(table, ARRAY_LEN(table), &t);
        (void)unlink(strchr(entry, '=') + 1);
    }
}

static void a_bad_secret_file_is_refused_without_its_content(void **state)
{
    (void)state;
    static char large[64 * 1024];
    memset(large, 'x', sizeof(large));
    const struct {
        const char *content;
        size_t count;
        const char *cause;
    } rows[] = {{"\n", 1, " is empty"},
                {"", 0, " is empty"},
                {"s3\0t", 4, " holds a NUL"},
                {large, sizeof(large), ": File too large"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char entry[64], sentence[128];
        token_file(entry, rows[i].content, rows[i].count);
        const char *path = strchr(entry, '=') + 1;
        (void)snprintf(sentence, sizeof(sentence), "ROLLCALL_TOKEN_FILE: %s\"%s\"%s",
                       rows[i].content == large ? "cannot read " : "", path, rows[i].cause);
        assert_refused(ENVIRONMENT(entry), sentence);
        (void)unlink(path);
    }
    assert_refused(ENVIRONMENT("ROLLCALL_TOKEN_FILE=/nowhere/at/all"),
                   "ROLLCALL_TOKEN_FILE: cannot read \"/nowhere/at/all\": No such file or directory");
    assert_refused(ENVIRONMENT("ROLLCALL_TOKEN=s3cret", "ROLLCALL_TOKEN_FILE=/x"),
                   "ROLLCALL_TOKEN and ROLLCALL_TOKEN_FILE are both set; give one");
}

static void help_shows_every_row_with_default_and_unit_and_no_secret(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    settings_help(table, ARRAY_LEN(table), "rollcall-x", "Does x.", &out);
    for (struct str rest = buf_str(&out), line; str_split(&rest, '\n', &line);)
        assert_true(line.n <= 110 && !str_ends(line, STR_LIT(" ")));
    assert_string_equal(
        out.p,
        "Usage: rollcall-x [--help | --version]\n\n"
        "Does x.\n\n"
        "Settings are environment variables; one that is empty counts as unset.\n\n"
        "  ROLLCALL_REDIS_URL   Where Redis is\n"
        "                       Takes text; required.\n"
        "  ROLLCALL_NAME        Name of this process\n"
        "                       Takes text (host:port); default here:1.\n"
        "  ROLLCALL_NOTE        Anything\n"
        "                       Takes text; no default.\n"
        "  ROLLCALL_TOKEN       Token of the internal listener\n"
        "                       Takes a secret, or the path of its file in ROLLCALL_TOKEN_FILE; default not "
        "shown.\n"
        "  ROLLCALL_PORT        Port of the API\n"
        "                       Takes a whole number from 0 to 65535; default 8080.\n"
        "  ROLLCALL_WAIT        How long to wait for something that this sentence describes in so many words "
        "that it\n"
        "                       cannot stand on one line of the help\n"
        "                       Takes a whole number from -10 to 10 s; default -5 s.\n"
        "  ROLLCALL_FAST        Go fast\n"
        "                       Takes true or false (also yes, no, on, off, 1, 0); default no.\n"
        "  ROLLCALL_LOG_FORMAT  Form of the log\n"
        "                       Takes one of text, json; default text.\n");
    buf_done(&out);
}

struct run {
    int rc, status;
    char out[4096], err[4096];
};

static int replace_fd(int fd, int *ret_saved)
{
    int file = memfd_create("capture", MFD_CLOEXEC);
    *ret_saved = dup(fd);
    assert_true(file >= 0 && *ret_saved >= 0 && dup2(file, fd) == fd);
    return file;
}

static void restore_fd(int fd, int saved, int file, char *text, size_t size)
{
    (void)dup2(saved, fd);
    (void)close(saved);
    ssize_t n = pread(file, text, size - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    (void)close(file);
}

static struct run run_main(struct target *t, int argc, char **argv)
{
    struct run r = {.status = -1};
    int saved_out, saved_err;
    (void)fflush(stdout);
    int out = replace_fd(STDOUT_FILENO, &saved_out), err = replace_fd(STDERR_FILENO, &saved_err);
    r.rc = settings_main(table, ARRAY_LEN(table), "rollcall-x", "Does x.", argc, argv, t, &r.status);
    restore_fd(STDOUT_FILENO, saved_out, out, r.out, sizeof(r.out));
    restore_fd(STDERR_FILENO, saved_err, err, r.err, sizeof(r.err));
    return r;
}

static void main_answers_help_and_version_on_standard_output(void **state)
{
    (void)state;
    struct target t = {0};
    struct run help = run_main(&t, 2, (char *[]){"x", "--help", NULL});
    assert_true(help.rc != 0 && help.status == 0 && help.err[0] == '\0');
    assert_non_null(strstr(help.out, "ROLLCALL_LOG_FORMAT  Form of the log\n"));
    struct run version = run_main(&t, 2, (char *[]){"x", "--version", NULL});
    assert_true(version.rc != 0 && version.status == 0 && version.err[0] == '\0');
    unsigned major, minor, patch;
    assert_int_equal(sscanf(version.out, "rollcall-x %u.%u.%u\n", &major, &minor, &patch), 3);
}

static void main_refuses_stray_arguments_and_bad_settings_with_2(void **state)
{
    (void)state;
    struct target t = {0};
    struct run stray = run_main(&t, 3, (char *[]){"x", "--help", "me", NULL});
    assert_true(stray.rc != 0 && stray.status == 2 && stray.out[0] == '\0');
    assert_string_equal(stray.err, "rollcall-x: unexpected argument \"me\"; see rollcall-x --help\n");
    assert_int_equal(unsetenv("ROLLCALL_REDIS_URL"), 0);
    struct run unset = run_main(&t, 1, (char *[]){"x", NULL});
    assert_true(unset.rc != 0 && unset.status == 2 && unset.out[0] == '\0');
    assert_string_equal(unset.err, "rollcall-x: ROLLCALL_REDIS_URL must be set: Where Redis is\n");
}

static void main_goes_on_with_good_settings(void **state)
{
    (void)state;
    struct target t = {0};
    assert_int_equal(setenv("ROLLCALL_REDIS_URL", "redis://here", 1), 0);
    struct run r = run_main(&t, 1, (char *[]){"x", NULL});
    assert_int_equal(unsetenv("ROLLCALL_REDIS_URL"), 0);
    assert_true(r.rc == 0 && r.status == -1 && r.out[0] == '\0' && r.err[0] == '\0');
    assert_string_equal(t.url, "redis://here");
    settings_done(table, ARRAY_LEN(table), &t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_defaults_where_nothing_is_set),
        cmocka_unit_test(takes_values_from_the_environment),
        cmocka_unit_test(booleans_have_four_spellings_each),
        cmocka_unit_test(bad_values_are_refused_with_what_the_setting_takes),
        cmocka_unit_test(a_misspelt_setting_is_refused_with_the_nearest_name),
        cmocka_unit_test(a_required_setting_must_be_there),
        cmocka_unit_test(a_secret_comes_from_its_file_without_the_last_newline),
        cmocka_unit_test(a_bad_secret_file_is_refused_without_its_content),
        cmocka_unit_test(help_shows_every_row_with_default_and_unit_and_no_secret),
        cmocka_unit_test(main_answers_help_and_version_on_standard_output),
        cmocka_unit_test(main_refuses_stray_arguments_and_bad_settings_with_2),
        cmocka_unit_test(main_goes_on_with_good_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
