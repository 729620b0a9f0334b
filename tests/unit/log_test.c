// common/log: the form of a line, one write a line, and that what a peer sent cannot forge one. Standard
// error is a datagram socket here, so that each write(2) arrives as one piece.
#include "common/json/json.h"
#include "common/log/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
// cmocka needs setjmp.h, stdarg.h and stdlib.h
#include <cmocka.h>

struct capture {
    int saved, reader;
    char line[16384];
};

static void capture_begin(struct capture *c)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    c->saved = dup(STDERR_FILENO);
    c->reader = pair[0];
    assert_true(c->saved >= 0 && dup2(pair[1], STDERR_FILENO) == STDERR_FILENO);
    (void)close(pair[1]);
}

// The next write without its newline; NULL when there is none.
static const char *next_write(struct capture *c)
{
    ssize_t n = recv(c->reader, c->line, sizeof(c->line) - 1, MSG_DONTWAIT);
    if (n <= 0)
        return NULL;
    assert_int_equal(c->line[n - 1], '\n');
    c->line[n - 1] = '\0';
    assert_null(strchr(c->line, '\n'));
    return c->line;
}

static void capture_end(struct capture *c)
{
    (void)dup2(c->saved, STDERR_FILENO);
    (void)close(c->saved);
    (void)close(c->reader);
}

// 2026-11-21T10:30:00.123Z
static void assert_time(const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; i < sizeof(form) - 1; i++)
        assert_true(form[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i]);
}

#define AFTER_TIME 25 // the time and a space

static void a_text_line_has_time_level_service_component_and_id(void **state)
{
    (void)state;
    struct capture c;
    log_setup("rollcall-gateway", LOG_INFO, 0);
    capture_begin(&c);
    log_line(LOG_INFO, "publish", 7, "sent %d of %s", 2, "3");
    log_line(LOG_ERROR, "store", 0, "no id");
    char first[256], second[256];
    (void)snprintf(first, sizeof(first), "%s", next_write(&c));
    (void)snprintf(second, sizeof(second), "%s", next_write(&c));
    const char *third = next_write(&c);
    capture_end(&c);
    assert_time(first);
    assert_string_equal(first + AFTER_TIME, "info rollcall-gateway publish id=7 sent 2 of 3");
    assert_string_equal(second + AFTER_TIME, "error rollcall-gateway store no id");
    assert_null(third);
}

static void a_json_line_is_one_object(void **state)
{
    (void)state;
    struct capture c;
    log_setup("rollcall-registrant", LOG_DEBUG, 1);
    capture_begin(&c);
    log_line(LOG_DEBUG, "core", 18446744073709551615u, "a \"quote\"\nand \x1b[2J \xff");
    struct json *root = NULL;
    int rc = json_parse(str_of(next_write(&c)), NULL, &root, NULL);
    log_line(LOG_WARNING, "core", 0, "no id");
    bool second_has_id = strstr(next_write(&c), "\"id\"");
    capture_end(&c);
    assert_int_equal(rc, 0);
    assert_int_equal(json_count(root), 6);
    assert_time(json_str(json_get(root, "time")).p);
    assert_string_equal(json_str(json_get(root, "level")).p, "debug");
    assert_string_equal(json_str(json_get(root, "service")).p, "rollcall-registrant");
    assert_string_equal(json_str(json_get(root, "component")).p, "core");
    assert_true(json_u64_or(json_get(root, "id"), 0) == UINT64_MAX);
    assert_string_equal(json_str(json_get(root, "message")).p, "a \"quote\"\nand \x1b[2J \xef\xbf\xbd");
    assert_false(second_has_id);
    json_free(root);
}

static void control_characters_cannot_forge_a_text_line(void **state)
{
    (void)state;
    struct capture c;
    log_setup("s", LOG_INFO, 0);
    capture_begin(&c);
    log_line(LOG_INFO, "sip", 0, "%s", "x\r\n2026 error\t\x1b[31m\x7f \xc2\x9b ok \xc2\xa0\xc3\xa9");
    const char *line = next_write(&c);
    capture_end(&c);
    assert_non_null(line);
    assert_string_equal(line + AFTER_TIME,
                        "info s sip x\\r\\n2026 error\\t\\x1b[31m\\x7f \\x9b ok \xc2\xa0\xc3\xa9");
}

static void lines_above_the_level_are_not_written(void **state)
{
    (void)state;
    struct capture c;
    log_setup("s", LOG_WARNING, 0);
    capture_begin(&c);
    log_line(LOG_INFO, "x", 0, "no");
    log_line(LOG_DEBUG, "x", 0, "no");
    bool silent = !next_write(&c);
    log_line(LOG_WARNING, "x", 0, "yes");
    bool written = next_write(&c);
    capture_end(&c);
    assert_true(silent && written);
    assert_true(log_enabled(LOG_ERROR) && log_enabled(LOG_WARNING) && !log_enabled(LOG_INFO));
}

static void a_long_message_is_cut_between_characters_and_says_so(void **state)
{
    (void)state;
    struct capture c;
    char longer[4096];
    log_setup("s", LOG_INFO, 1);
    for (size_t shift = 0; shift < 4; shift++) {
        memset(longer, 'a', sizeof(longer));
        for (size_t at = shift; at + 2 < sizeof(longer); at += 2)
            memcpy(longer + at, "\xc3\xa9", 2);
        longer[sizeof(longer) - 1] = '\0';
        capture_begin(&c);
        log_line(LOG_INFO, "x", 0, "%s", longer);
        const char *line = next_write(&c);
        capture_end(&c);
        assert_non_null(line);
        struct json *root = NULL;
        assert_int_equal(json_parse(str_of(line), NULL, &root, NULL), 0);
        struct str message = json_str(json_get(root, "message"));
        assert_true(message.n > 2000 && message.n < 2048);
        assert_true(str_ends(message, STR_LIT("…")));
        assert_int_equal(str_find_str(message, STR_LIT("\xef\xbf\xbd")), message.n);
        json_free(root);
    }
}

static void logging_keeps_errno(void **state)
{
    (void)state;
    log_setup("s", LOG_INFO, 0);
    int saved = dup(STDERR_FILENO);
    (void)close(STDERR_FILENO); // the write fails
    errno = ENOENT;
    log_line(LOG_INFO, "x", 0, "lost");
    int after = errno;
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    (void)close(saved);
    assert_int_equal(after, ENOENT);
}

static void limited_lines_are_counted_and_told(void **state)
{
    (void)state;
    struct capture c;
    struct log_limit limit = {0};
    log_setup("s", LOG_INFO, 0);
    capture_begin(&c);
    int first = log_limit_pass(&limit, LOG_INFO, "sip");
    limit.next_us = UINT64_MAX; // the second never ends
    int during = log_limit_pass(&limit, LOG_INFO, "sip") + log_limit_pass(&limit, LOG_INFO, "sip");
    bool silent = !next_write(&c);
    limit.next_us = 0; // it has ended
    int after = log_limit_pass(&limit, LOG_INFO, "sip");
    const char *told = next_write(&c);
    capture_end(&c);
    assert_true(first == 1 && during == 0 && after == 1 && silent && told);
    assert_string_equal(told + AFTER_TIME, "info s sip left out 2 lines like the next");
    assert_true(limit.left_out == 0 && limit.next_us > 0);
    assert_int_equal(log_limit_pass(&limit, LOG_DEBUG, "sip"), 0);
    assert_true(limit.left_out == 0);
}

static void limited_lines_of_one_place_come_once_a_second(void **state)
{
    (void)state;
    struct capture c;
    log_setup("s", LOG_INFO, 0);
    capture_begin(&c);
    for (int i = 0; i < 3; i++)
        log_limited(LOG_INFO, "sip", 9, "line %d", i);
    const char *line = next_write(&c);
    bool once = line && strcmp(line + AFTER_TIME, "info s sip id=9 line 0") == 0 && !next_write(&c);
    capture_end(&c);
    assert_true(once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_line_has_time_level_service_component_and_id),
        cmocka_unit_test(a_json_line_is_one_object),
        cmocka_unit_test(control_characters_cannot_forge_a_text_line),
        cmocka_unit_test(lines_above_the_level_are_not_written),
        cmocka_unit_test(a_long_message_is_cut_between_characters_and_says_so),
        cmocka_unit_test(logging_keeps_errno),
        cmocka_unit_test(limited_lines_are_counted_and_told),
        cmocka_unit_test(limited_lines_of_one_place_come_once_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
