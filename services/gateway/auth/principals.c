// See principals.h. The file:
//   {"users": [{"id": 1, "username": "admin", "password": "$6$…", "account": "default", "allowed_ips":
//   ["192.0.2.0/24"]}]}
#include "services/gateway/auth/principals.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/json/json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES = 16 << 20, MAX_IPS = 64 };

struct user {
    struct principal view; // points into the members below
    char *username, *password_hash, *account;
    char *allowed_ips[MAX_IPS + 1];
};

struct principals {
    atomic_uint refs;
    size_t count;
    struct user *users;
};

static void user_done(struct user *u)
{
    free(u->username);
    free(u->password_hash);
    free(u->account);
    for (size_t i = 0; u->allowed_ips[i]; i++)
        free(u->allowed_ips[i]);
}

static struct principals *principals_ref(struct principals *p)
{
    (void)atomic_fetch_add(&p->refs, 1);
    return p;
}

void principals_unref(struct principals *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    for (size_t i = 0; i < p->count; i++)
        user_done(&p->users[i]);
    free(p->users);
    free(p);
}

static void unref_ptr(struct principals **p)
{
    principals_unref(*p);
}

// ---- reading the file

static int read_file(const char *path, struct buf *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    char chunk[4096];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof(chunk))) > 0 && out->n < FILE_BYTES)
        buf_add(out, chunk, (size_t)got);
    (void)close(fd);
    return got < 0 ? error_set(err, -EIO, "%s cannot be read", path) : 0;
}

// A CIDR or a plain address, split into the network's bytes and its length in bits.
static int parse_network(struct str text, unsigned char ret_bytes[16], int *ret_family, unsigned *ret_bits)
{
    size_t slash = str_find(text, '/', 0);
    char address[64];
    struct str host = str_slice(text, 0, slash);
    if (host.n == 0 || host.n >= sizeof(address))
        return -EINVAL;
    memcpy(address, host.p, host.n);
    address[host.n] = '\0';
    *ret_family = str_has_char(host, ':') ? AF_INET6 : AF_INET;
    unsigned most = *ret_family == AF_INET ? 32 : 128;
    if (inet_pton(*ret_family, address, ret_bytes) != 1)
        return -EINVAL;
    uint64_t bits = most;
    if (slash < text.n && (str_to_u64(str_slice(text, slash + 1, text.n), &bits) || bits > most))
        return -EINVAL;
    *ret_bits = (unsigned)bits;
    return 0;
}

static int read_text(const struct json *object, const char *key, size_t index, char **ret, struct error *err)
{
    struct str text = json_str(json_get(object, key));
    if (text.n == 0 || memchr(text.p, 0, text.n))
        return error_set(err, -EINVAL, "users[%zu].%s takes a text that is not empty", index, key);
    *ret = str_dup(text);
    return 0;
}

static int read_ips(const struct json *list, size_t index, struct user *u, struct error *err)
{
    if (list && !json_is(list, JSON_ARRAY))
        return error_set(err, -EINVAL, "users[%zu].allowed_ips takes an array of addresses", index);
    if (json_count(list) > MAX_IPS)
        return error_set(err, -EINVAL, "users[%zu].allowed_ips takes at most %d addresses", index, MAX_IPS);
    for (size_t i = 0; i < json_count(list); i++) {
        struct str text = json_str(json_at(list, i));
        unsigned char bytes[16];
        int family;
        unsigned bits;
        if (parse_network(text, bytes, &family, &bits))
            return error_set(err, -EINVAL,
                             "users[%zu].allowed_ips[%zu] takes an address or a network such as 192.0.2.0/24",
                             index, i);
        u->allowed_ips[i] = str_dup(text);
    }
    return 0;
}

static int read_user(const struct json *object, size_t index, struct user *u, struct error *err)
{
    if (!json_is(object, JSON_OBJECT))
        return error_set(err, -EINVAL, "users[%zu] takes an object", index);
    if (json_u64(json_get(object, "id"), &u->view.id) || u->view.id == 0)
        return error_set(err, -EINVAL, "users[%zu].id takes a positive integer", index);
    int rc = read_text(object, "username", index, &u->username, err);
    if (!rc)
        rc = read_text(object, "password", index, &u->password_hash, err);
    if (!rc)
        rc = read_text(object, "account", index, &u->account, err);
    if (!rc && u->password_hash[0] != '$')
        rc = error_set(err, -EINVAL, "users[%zu].password takes a crypt(3) hash such as mkpasswd prints",
                       index);
    if (!rc)
        rc = read_ips(json_get(object, "allowed_ips"), index, u, err);
    if (rc)
        return rc;
    u->view.username = u->username;
    u->view.password_hash = u->password_hash;
    u->view.account = u->account;
    u->view.allowed_ips = (const char *const *)u->allowed_ips;
    return 0;
}

static int check_unique(const struct principals *p, struct error *err)
{
    for (size_t i = 0; i < p->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (p->users[i].view.id == p->users[k].view.id)
                return error_set(err, -EINVAL, "users[%zu].id stands twice", i);
            if (strcmp(p->users[i].username, p->users[k].username) == 0)
                return error_set(err, -EINVAL, "users[%zu].username stands twice", i);
        }
    }
    return 0;
}

int principals_load(const char *path, struct principals **ret, struct error *err)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    struct json *root cleanup(json_free_ptr) = NULL;
    struct principals *p cleanup(unref_ptr) = NULL;
    int rc = read_file(path, &text, err);
    if (rc)
        return rc;
    const struct json_limits limits = {.max_bytes = FILE_BYTES, .max_depth = 8};
    rc = json_parse(buf_str(&text), &limits, &root, err);
    if (rc) {
        (void)error_prefix(err, "%s", path);
        return rc;
    }
    const struct json *users = json_get(root, "users");
    if (!json_is(users, JSON_ARRAY) || json_count(users) == 0)
        return error_set(err, -EINVAL, "%s: \"users\" takes an array with at least one user", path);
    p = mem_alloc(sizeof(*p));
    p->refs = 1;
    p->users = mem_array(json_count(users), sizeof(*p->users));
    for (size_t i = 0; i < json_count(users) && !rc; i++) {
        p->count++;
        rc = read_user(json_at(users, i), i, &p->users[i], err);
    }
    if (!rc)
        rc = check_unique(p, err);
    if (rc) {
        (void)error_prefix(err, "%s", path);
        return rc;
    }
    *ret = p;
    p = NULL;
    return 0;
}

// ---- looking up

const struct principal *principals_by_username(const struct principals *p, struct str username)
{
    for (size_t i = 0; i < p->count; i++)
        if (str_eq_cstr(username, p->users[i].username))
            return &p->users[i].view;
    return NULL;
}

const struct principal *principals_by_id(const struct principals *p, uint64_t id)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->users[i].view.id == id)
            return &p->users[i].view;
    return NULL;
}

const char *principals_decoy_hash(const struct principals *p)
{
    return p->users[0].password_hash; // there is at least one
}

static bool network_has(struct str network, struct str address)
{
    unsigned char net[16], ip[16];
    int net_family, ip_family;
    unsigned net_bits, ip_bits;
    if (parse_network(network, net, &net_family, &net_bits) ||
        parse_network(address, ip, &ip_family, &ip_bits))
        return false;
    if (net_family != ip_family || memcmp(net, ip, net_bits / 8) != 0)
        return false;
    unsigned rest = net_bits % 8;
    return rest == 0 || (net[net_bits / 8] ^ ip[net_bits / 8]) >> (8 - rest) == 0;
}

bool principal_allows_ip(const struct principal *p, struct str address)
{
    if (!p->allowed_ips[0])
        return true;
    for (size_t i = 0; p->allowed_ips[i]; i++)
        if (network_has(str_of(p->allowed_ips[i]), address))
            return true;
    return false;
}

// ---- the present set

struct principals_box {
    pthread_mutex_t lock;
    struct principals *present;
};

struct principals_box *principals_box_new(struct principals *take_first)
{
    struct principals_box *box = mem_alloc(sizeof(*box));
    (void)pthread_mutex_init(&box->lock, NULL);
    box->present = take_first;
    return box;
}

void principals_box_free(struct principals_box *box)
{
    principals_unref(box->present);
    (void)pthread_mutex_destroy(&box->lock);
    free(box);
}

struct principals *principals_box_get(struct principals_box *box)
{
    (void)pthread_mutex_lock(&box->lock);
    struct principals *p = principals_ref(box->present);
    (void)pthread_mutex_unlock(&box->lock);
    return p;
}

void principals_box_swap(struct principals_box *box, struct principals *take_next)
{
    (void)pthread_mutex_lock(&box->lock);
    struct principals *old = box->present;
    box->present = take_next;
    (void)pthread_mutex_unlock(&box->lock);
    principals_unref(old);
}
