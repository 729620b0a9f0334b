// See members.h.
#include "services/gateway/auth/members.h"

#include "common/base/mem.h"
#include "services/gateway/auth/networks.h"
#include "services/gateway/auth/principals.h"

#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NETWORKS = 64 };
#define MAX_NUMBER ((UINT64_C(1) << 53) - 1)

int members_refuse(const struct members *m, const char *key, struct error *err, const char *what)
{
    return error_set(err, -EINVAL, "%s%s%s %s", m->where, m->where[0] ? "." : "", key, what);
}

static int check_known(const struct members *m, const char *const *known, struct error *err)
{
    for (size_t i = 0; i < json_count(m->object); i++) {
        struct str key = json_key_at(m->object, i);
        bool found = false;
        for (const char *const *k = known; *k; k++)
            found = found || str_eq_cstr(key, *k);
        if (found)
            continue;
        char name[64]; // for a log line: short, and nothing but printable ASCII
        size_t n = 0;
        for (; n < key.n && n < sizeof(name) - 1; n++)
            name[n] = key.p[n] >= ' ' && key.p[n] <= '~' ? key.p[n] : '?';
        name[n] = '\0';
        return members_refuse(m, name, err, "is not a member that is known here");
    }
    return 0;
}

int members_open(struct members *ret, const struct json *object, const char *list, size_t index,
                 const char *const *known, struct error *err)
{
    *ret = (struct members){.object = object};
    if (list)
        (void)snprintf(ret->where, sizeof(ret->where), "%s[%zu]", list, index);
    if (!json_is(object, JSON_OBJECT))
        return error_set(err, -EINVAL, "%s takes an object", list ? ret->where : "the file");
    return check_known(ret, known, err);
}

static bool is_plain_text(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return false;
    return text.n > 0 && text.n <= MEMBER_TEXT_BYTES;
}

int members_read_text(const struct members *m, const char *key, bool needed, const char **ret,
                      struct error *err)
{
    const struct json *v = json_get(m->object, key);
    if (!v && !needed)
        return 0;
    if (!is_plain_text(json_str(v)))
        return members_refuse(m, key, err,
                              "takes a text that is not empty, of at most 255 bytes, without control "
                              "characters");
    *ret = json_str(v).p;
    return 0;
}

int members_hash(const struct members *m, const char *key, bool needed, const char **ret, struct error *err)
{
    int rc = members_read_text(m, key, needed, ret, err);
    if (rc || !*ret)
        return rc;
    int verdict = crypt_checksalt(*ret);
    if ((*ret)[0] != '$' || verdict == CRYPT_SALT_INVALID || verdict == CRYPT_SALT_METHOD_DISABLED)
        return members_refuse(m, key, err, "takes a crypt(3) hash such as mkpasswd prints");
    return 0;
}

int members_number(const struct members *m, const char *key, bool needed, uint64_t *ret, struct error *err)
{
    const struct json *v = json_get(m->object, key);
    if (!v && !needed)
        return 0;
    if (json_u64(v, ret) || *ret == 0 || *ret > MAX_NUMBER)
        return members_refuse(m, key, err, "takes a positive integer below 2^53");
    return 0;
}

int members_read_flag(const struct members *m, const char *key, bool *ret, struct error *err)
{
    const struct json *v = json_get(m->object, key);
    if (v && !json_is(v, JSON_BOOL))
        return members_refuse(m, key, err, "takes true or false");
    *ret = json_bool(v, false);
    return 0;
}

int members_roles(const struct members *m, const char *key, unsigned *ret, struct error *err)
{
    const struct json *list = json_get(m->object, key);
    *ret = list ? 0 : ROLE_BIT(ROLE_OWNER);
    if (list && (!json_is(list, JSON_ARRAY) || !json_count(list)))
        return members_refuse(m, key, err, "takes an array with at least one role; without it: owner");
    for (size_t i = 0; i < json_count(list); i++) {
        enum role role = role_of(json_str(json_at(list, i)));
        char item[32];
        (void)snprintf(item, sizeof(item), "%s[%zu]", key, i);
        if (role == ROLE_COUNT)
            return members_refuse(m, item, err,
                                  "takes owner, admin, developer, supervisor, accountant or support");
        if (*ret & ROLE_BIT(role))
            return members_refuse(m, item, err, "stands twice");
        *ret |= ROLE_BIT(role);
    }
    return 0;
}

int members_networks(const struct members *m, const char *key, const char ***ret, struct error *err)
{
    const struct json *list = json_get(m->object, key);
    size_t count = json_count(list);
    if (list && !json_is(list, JSON_ARRAY))
        return members_refuse(m, key, err, "takes an array of addresses");
    if (count > MAX_NETWORKS)
        return members_refuse(m, key, err, "takes at most 64 addresses");
    *ret = mem_array(count + 1, sizeof(const char *));
    for (size_t i = 0; i < count; i++) {
        struct str text = json_str(json_at(list, i));
        char item[32];
        (void)snprintf(item, sizeof(item), "%s[%zu]", key, i);
        if (!network_is_valid(text))
            return members_refuse(m, item, err, "takes an address or a network such as 192.0.2.0/24");
        (*ret)[i] = text.p;
    }
    return 0;
}
