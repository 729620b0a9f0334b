// See options.h.
#include "services/gateway/principals/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BIT(run)  (1u << (run))
#define AT(field) offsetof(struct options, field)

static const struct {
    const char *name, *help;
} subcommands[SUBCOMMAND_COUNT] = {
    [RUN_ACCOUNT] = {"account", "adds an account; makes the file where there is none"},
    [RUN_USER] =
        {"user", "adds a user; asks for the password, or reads it from a standard input that is no terminal"},
    [RUN_KEY] = {"key",
                 "makes an RSA key pair, adds its public half and writes a Voximplant credentials file"},
    [RUN_API_KEY] = {"api-key", "makes an API key, prints it once and adds its SHA-256"},
    [RUN_TOKEN] = {"token",
                   "prints a Yeti token of a user; the secret is ROLLCALL_TOKEN_SECRET or the content of\n"
                   "           the file that ROLLCALL_TOKEN_SECRET_FILE names"},
    [RUN_CHECK] = {"check", "says whether the gateway would take the file, or what is wrong and where"},
};

enum kind { TEXT, FLAG, ROLES, NETWORKS };

static const struct option_row {
    const char *name, *takes, *help;
    unsigned runs;   // bits by enum subcommand
    unsigned needed; // the same
    size_t offset;
    enum kind kind;
} rows[] = {
    {"--name", "NAME", "what registrations are kept under", BIT(RUN_ACCOUNT), BIT(RUN_ACCOUNT), AT(name),
     TEXT},
    {"--title", "TITLE", "shown to people", BIT(RUN_ACCOUNT), 0, AT(title), TEXT},
    {"--number", "N", "Voximplant's account_id", BIT(RUN_ACCOUNT), 0, AT(number), TEXT},
    {"--hex-id", "HEX", "Kazoo's account id, 32 digits; without it: of SHA-256 over the name",
     BIT(RUN_ACCOUNT), 0, AT(hex_id), TEXT},
    {"--realm", "REALM", "Kazoo's account_realm", BIT(RUN_ACCOUNT), 0, AT(realm), TEXT},
    {"--phone-number", "NUMBER", "Kazoo's phone_number", BIT(RUN_ACCOUNT), 0, AT(phone_number), TEXT},
    {"--parent", "NAME", "the account above this one", BIT(RUN_ACCOUNT), 0, AT(parent), TEXT},
    {"--system", NULL, "sees all accounts", BIT(RUN_ACCOUNT), 0, AT(system), FLAG},
    {"--account", "NAME", "whose it is", BIT(RUN_USER) | BIT(RUN_KEY) | BIT(RUN_API_KEY),
     BIT(RUN_USER) | BIT(RUN_KEY) | BIT(RUN_API_KEY), AT(account), TEXT},
    {"--username", "NAME", "what the user logs in with", BIT(RUN_USER) | BIT(RUN_TOKEN),
     BIT(RUN_USER) | BIT(RUN_TOKEN), AT(username), TEXT},
    {"--id", "ID", "of a user a number, without it the next; of a key a text, without it a UUID",
     BIT(RUN_USER) | BIT(RUN_KEY) | BIT(RUN_API_KEY), 0, AT(id), TEXT},
    {"--role", "ROLE",
     "owner, admin, developer, supervisor, accountant or support; may stand again; without it: owner",
     BIT(RUN_USER) | BIT(RUN_KEY) | BIT(RUN_API_KEY), 0, AT(roles), ROLES},
    {"--allow-ip", "NETWORK", "an address or network that the user may ask from; may stand again",
     BIT(RUN_USER), 0, AT(allowed_ips), NETWORKS},
    {"--credentials", "OUT", "the file to write, which must not exist", BIT(RUN_KEY), BIT(RUN_KEY),
     AT(credentials), TEXT},
    {"--email", "EMAIL", "its account_email", BIT(RUN_KEY), 0, AT(email), TEXT},
    {"--lifetime", "S", "seconds; without it ROLLCALL_TOKEN_LIFETIME; 0: it does not expire", BIT(RUN_TOKEN),
     0, AT(lifetime), TEXT},
};

static void write_help(struct buf *out)
{
    buf_add_cstr(
        out,
        "Usage: rollcall-principals SUBCOMMAND FILE [OPTION]...\n\n"
        "Changes or checks the file of accounts, users and keys that ROLLCALL_PRINCIPALS_FILE names for\n"
        "the gateway, which reads it again on SIGHUP. A bad file is not changed; a change is whole or\n"
        "not at all. A new file is readable by its owner only; one that is there keeps owner and mode.\n");
    for (size_t run = 0; run < SUBCOMMAND_COUNT; run++) {
        buf_addf(out, "\n  %-8s %s\n", subcommands[run].name, subcommands[run].help);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            char left[40];
            if (!(rows[i].runs & BIT(run)))
                continue;
            (void)snprintf(left, sizeof(left), "%s %s", rows[i].name, rows[i].takes ? rows[i].takes : "");
            buf_addf(out, "      %-23s %s%s\n", left, rows[i].help,
                     rows[i].needed & BIT(run) ? " (needed)" : "");
        }
    }
    buf_add_cstr(
        out,
        "\nExit status: 0 done, 1 the file or what was asked is refused, 2 a mistake on the command line.\n");
}

static const struct option_row *find_row(const char *name, enum subcommand run)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(name, rows[i].name) == 0 && rows[i].runs & BIT(run))
            return &rows[i];
    return NULL;
}

static int add(const char **list, size_t *count, const char *value, struct error *err)
{
    if (*count == OPTION_LIST_MOST)
        return error_set(err, -EINVAL, "an option stands more than %d times", OPTION_LIST_MOST);
    list[(*count)++] = value;
    return 0;
}

static int take(struct options *o, const struct option_row *row, const char *value, struct error *err)
{
    char *place = (char *)o + row->offset;
    switch (row->kind) {
    case FLAG:
        *(bool *)place = true;
        return 0;
    case ROLES:
        return add(o->roles, &o->role_count, value, err);
    case NETWORKS:
        return add(o->allowed_ips, &o->allowed_ip_count, value, err);
    case TEXT:
        break;
    }
    if (*(const char **)(void *)place)
        return error_set(err, -EINVAL, "%s stands twice", row->name);
    *(const char **)(void *)place = value;
    return 0;
}

static int check_needed(const struct options *o, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *const *value = (const void *)((const char *)o + rows[i].offset);
        if (rows[i].needed & BIT(o->run) && !*value)
            return error_set(err, -EINVAL, "%s needs %s", subcommands[o->run].name, rows[i].name);
    }
    return o->file ? 0 : error_set(err, -EINVAL, "%s needs a file", subcommands[o->run].name);
}

static int read_arguments(struct options *o, int argc, char **argv, struct error *err)
{
    for (int i = 2; i < argc; i++) {
        const struct option_row *row = find_row(argv[i], o->run);
        int rc = 0;
        if (row && row->kind == FLAG)
            rc = take(o, row, NULL, err);
        else if (row && i + 1 < argc)
            rc = take(o, row, argv[++i], err);
        else if (row)
            rc = error_set(err, -EINVAL, "%s takes a value", row->name);
        else if (argv[i][0] == '-' || o->file)
            rc = error_set(err, -EINVAL, "%s does not take %.64s", subcommands[o->run].name, argv[i]);
        else
            o->file = argv[i];
        if (rc)
            return rc;
    }
    return check_needed(o, err);
}

int options_read(struct options *ret, int argc, char **argv, struct buf *text, struct error *err)
{
    *ret = (struct options){.file = NULL};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            write_help(text);
            return 1;
        }
    }
    for (size_t run = 0; argc > 1 && run < SUBCOMMAND_COUNT; run++) {
        if (strcmp(argv[1], subcommands[run].name) != 0)
            continue;
        ret->run = (enum subcommand)run;
        return read_arguments(ret, argc, argv, err);
    }
    return error_set(err, -EINVAL, "the first argument is account, user, key, api-key, token or check");
}
