// See terms.h.
#include "services/gateway/store/terms.h"

#include "common/base/encode.h"
#include "common/json/json.h"

#include <ctype.h>
#include <openssl/sha.h>
#include <string.h>

#define MAX_VALUE_BYTES 64 // a longer one costs less as a digest

void terms_digest(struct str text, char ret[TERMS_DIGEST_BYTES])
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)text.p, text.n, hash);
    struct buf hex cleanup(buf_done) = BUF_INIT;
    encode_hex(&hex, hash, (TERMS_DIGEST_BYTES - 1) / 2);
    memcpy(ret, hex.p, TERMS_DIGEST_BYTES);
}

// '#' marks a digest, and no value that stands as it is may look like one.
static bool stands_as_it_is(struct str value)
{
    if (value.n > MAX_VALUE_BYTES || str_starts(value, STR_LIT("#")))
        return false;
    for (size_t i = 0; i < value.n; i++)
        if (iscntrl((unsigned char)value.p[i]))
            return false;
    return true;
}

static void add_value(struct buf *out, struct str value)
{
    if (stands_as_it_is(value)) {
        buf_add_str(out, value);
        return;
    }
    char digest[TERMS_DIGEST_BYTES];
    terms_digest(value, digest);
    buf_add_char(out, '#');
    buf_add_cstr(out, digest);
}

void term_add(struct buf *out, const char *field, struct str value)
{
    buf_add_cstr(out, field);
    buf_add_char(out, ':');
    if (strcmp(field, "domain") != 0) {
        add_value(out, value);
        return;
    }
    struct buf lower cleanup(buf_done) = BUF_INIT;
    for (size_t i = 0; i < value.n; i++)
        buf_add_char(&lower, (char)tolower((unsigned char)value.p[i]));
    add_value(out, buf_str(&lower));
}

static void add_line(struct buf *out, const char *field, struct str value)
{
    if (!value.n)
        return;
    if (out->n)
        buf_add_char(out, '\n');
    term_add(out, field, value);
}

// A member's name is part of a key and of a line.
static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!isalnum((unsigned char)name.p[i]) && name.p[i] != '_' && name.p[i] != '-')
            return false;
    return name.n && name.n <= MAX_VALUE_BYTES;
}

static void add_labels(struct buf *out, const char *labels)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    if (!labels || !strstr(labels, "\"index\"") || json_parse(str_of(labels), NULL, &root, NULL))
        return;
    const struct json *index = json_get(root, "index");
    if (!json_is(index, JSON_OBJECT))
        return;
    size_t added = 0;
    for (size_t i = 0; i < json_count(index) && added < TERMS_MAX_LABELS; i++) {
        struct str value = json_str(json_at(index, i)), name = json_key_at(index, i);
        if (!value.n || !is_name(name))
            continue;
        struct buf field cleanup(buf_done) = BUF_INIT;
        buf_addf(&field, "label." STR_FMT, STR_ARG(name));
        add_line(out, field.p, value);
        added++;
    }
}

void terms_of(struct buf *out, const struct registration *r)
{
    add_line(out, "username", str_of(r->username));
    add_line(out, "domain", str_of(r->domain));
    add_labels(out, r->labels);
}
