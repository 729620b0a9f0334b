// The table as text for people: --help, --version and what a setting takes.
#include "common/config/settings_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COLUMNS     110
#define EXIT_USAGE  2
#define LEFT_MARGIN 2

static void describe_choices(const struct setting *s, struct buf *out)
{
    buf_add_cstr(out, "one of ");
    for (size_t i = 0; s->choices[i]; i++)
        buf_addf(out, "%s%s", i ? ", " : "", s->choices[i]);
}

void settings_describe(const struct setting *s, struct buf *out)
{
    switch (s->type) {
    case SETTING_STRING:
        buf_add_cstr(out, "text");
        break;
    case SETTING_SECRET:
        buf_addf(out, "a secret, or the path of its file in %s_FILE", s->name);
        break;
    case SETTING_INT:
        buf_addf(out, "a whole number from %" PRId64 " to %" PRId64, s->min, s->max);
        break;
    case SETTING_BOOL:
        buf_add_cstr(out, "true or false (also yes, no, on, off, 1, 0)");
        break;
    case SETTING_CHOICE:
        describe_choices(s, out);
        break;
    }
    if (s->unit)
        buf_addf(out, s->type == SETTING_INT ? " %s" : " (%s)", s->unit);
}

// "Takes …; default …" of a row. A secret's default is never shown either.
static void add_facts(const struct setting *s, struct buf *out)
{
    buf_add_cstr(out, "Takes ");
    settings_describe(s, out);
    if (s->fallback && s->type == SETTING_SECRET)
        buf_add_cstr(out, "; default not shown");
    else if (s->fallback && s->type == SETTING_INT && s->unit)
        buf_addf(out, "; default %s %s", s->fallback, s->unit);
    else if (s->fallback)
        buf_addf(out, "; default %s", s->fallback[0] ? s->fallback : "\"\"");
    else
        buf_add_cstr(out, s->required ? "; required" : "; no default");
    buf_add_char(out, '.');
}

static void add_spaces(struct buf *out, size_t count)
{
    while (count--)
        buf_add_char(out, ' ');
}

// Words of `text` from column `indent` on, where the cursor already stands; a word is never broken.
static void add_wrapped(struct buf *out, size_t indent, struct str text)
{
    size_t column = indent;
    struct str word;
    while (str_split(&text, ' ', &word)) {
        if (column > indent && column + 1 + word.n > COLUMNS) {
            buf_add_char(out, '\n');
            add_spaces(out, indent);
            column = indent;
        } else if (column > indent) {
            buf_add_char(out, ' ');
            column++;
        }
        buf_add_str(out, word);
        column += word.n;
    }
    buf_add_char(out, '\n');
}

static void add_row(const struct setting *s, size_t indent, struct buf *out)
{
    add_spaces(out, LEFT_MARGIN);
    buf_add_cstr(out, s->name);
    add_spaces(out, indent - LEFT_MARGIN - strlen(s->name));
    add_wrapped(out, indent, str_of(s->help));
    struct buf facts cleanup(buf_done) = BUF_INIT;
    add_facts(s, &facts);
    add_spaces(out, indent);
    add_wrapped(out, indent, buf_str(&facts));
}

void settings_help(const struct setting *table, size_t count, const char *service, const char *summary,
                   struct buf *out)
{
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(table[i].name);
        longest = n > longest ? n : longest;
    }
    buf_addf(out, "Usage: %s [--help | --version]\n\n", service);
    add_wrapped(out, 0, str_of(summary));
    buf_add_cstr(out, "\nSettings are environment variables; one that is empty counts as unset.\n\n");
    for (size_t i = 0; i < count; i++)
        add_row(&table[i], LEFT_MARGIN + longest + 2, out);
}

static void print(int fd, const struct buf *text)
{
    size_t done = 0;
    while (done < text->n) {
        ssize_t n = write(fd, text->p + done, text->n - done);
        if (n <= 0)
            return;
        done += (size_t)n;
    }
}

// What the first argument asks for; false when it is nothing known.
static bool answer_argument(const struct setting *table, size_t count, const char *service,
                            const char *summary, const char *argument, struct buf *out)
{
    if (strcmp(argument, "--help") == 0)
        settings_help(table, count, service, summary, out);
    else if (strcmp(argument, "--version") == 0)
        buf_addf(out, "%s %s\n", service, ROLLCALL_VERSION);
    else
        return false;
    return true;
}

// The first argument that is nothing known, or the first one too many.
static const char *stray_argument(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") != 0 && strcmp(argv[i], "--version") != 0)
            return argv[i];
    }
    return argv[argc - 1];
}

int settings_main(const struct setting *table, size_t count, const char *service, const char *summary,
                  int argc, char **argv, void *target, int *ret_exit)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    if (argc == 2 && answer_argument(table, count, service, summary, argv[1], &text)) {
        print(STDOUT_FILENO, &text);
        *ret_exit = 0;
        return 1;
    }
    struct error err = {0};
    if (argc > 1) {
        buf_addf(&text, "%s: unexpected argument \"%s\"; see %s --help\n", service,
                 stray_argument(argc, argv), service);
    } else if (settings_load(table, count, environ, target, &err)) {
        buf_addf(&text, "%s: %s\n", service, err.text);
    } else {
        return 0;
    }
    print(STDERR_FILENO, &text);
    *ret_exit = EXIT_USAGE;
    return 1;
}
