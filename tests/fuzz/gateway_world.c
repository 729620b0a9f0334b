// See gateway_world.h.
#include "tests/fuzz/gateway_world.h"

#include "common/base/mem.h"
#include "common/log/log.h"
#include "services/gateway/gateway.h"
#include "tests/fuzz/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define API_KEY    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define PATIENCE_S 120 // of a machine that has other things to do
#define TRIES      2000

// The user admin, password "secret", and the key above; hashes of few rounds.
static const char principals[] =
    "{\"accounts\":[{\"name\":\"acme\",\"number\":1,\"realm\":\"acme.localhost\"}],\"users\":[{\"id\":1,"
    "\"username\":\"admin\",\"account\":\"acme\",\"password\":\"$6$rounds=1000$rollcall$"
    "Zqn066VwODfa6Ji6FaVoQul8rG"
    "EshTU3NlA0EVUoX55JQTg4nidEj3v4JKSw0qLJWsqwEdyrBOzMQ2RRx2V.31\",\"credentials_md5\":\"$6$rounds=1000$"
    "rollcall$"
    "i8pqff0KXNgLdgTkOoUyzHZaXaSVBFv0SleKPBewQvPV4O6EpQAh4qnPoYWerXXeLiklzBsSdzYbshnH2bvNY0\"}],\"keys\":[{"
    "\"id\":\"local\",\"account\":\"acme\",\"api_key_sha256\":"
    "\"a8ae6e6ee929abea3afcfc5258c8ccd6f85273e0d4626d26c7279f3250f77c8e\"}]}";
static const char keys[] = "k1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

static struct {
    bool runs;
    uint16_t http, redis, broker;
    int redis_fd;
    pthread_t gateway;
    struct gateway_settings settings;
    struct buf credentials[CLIENT_NONE + 1];
} w;

// ---- what it stands on

static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HOLDS(fd >= 0 && bind(fd, (struct sockaddr *)(void *)&address, bytes) == 0);
    HOLDS(getsockname(fd, (struct sockaddr *)(void *)&address, &bytes) == 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

// It dies with this process, and of its output nobody hears.
static void start(char *const argv[])
{
    pid_t parent = getpid(), pid = fork();
    HOLDS(pid >= 0);
    if (pid > 0)
        return;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    (void)dup2(null, STDOUT_FILENO);
    (void)dup2(null, STDERR_FILENO);
    (void)execvp(argv[0], argv);
    _exit(127);
}

static int try_connect(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HOLDS(fd >= 0);
    if (connect(fd, (struct sockaddr *)(void *)&to, sizeof(to)) < 0) {
        (void)close(fd);
        return -1;
    }
    HOLDS(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
    return fd;
}

static int connect_to(uint16_t port)
{
    int fd = -1;
    for (int i = 0; i < TRIES && (fd = try_connect(port)) < 0; i++)
        (void)poll(NULL, 0, 10);
    HOLDS(fd >= 0);
    return fd;
}

static void set_port(const char *name, const char *before, uint16_t port)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%s%u", before, port);
    HOLDS(setenv(name, text, 1) == 0);
}

static void start_redis(void)
{
    char name[] = "redis-server", port[8], o1[] = "--port", o2[] = "--bind", host[] = "127.0.0.1",
         o3[] = "--save", none[] = "";
    (void)snprintf(port, sizeof(port), "%u", w.redis);
    start((char *[]){name, o1, port, o2, host, o3, none, NULL});
    w.redis_fd = connect_to(w.redis);
    set_port("ROLLCALL_REDIS_URL", "redis://127.0.0.1:", w.redis);
}

static void start_broker(void)
{
    char path[] = BROKER_PATH;
    set_port("ROLLCALL_BROKER_LISTEN", "", w.broker);
    start((char *[]){path, NULL});
    HOLDS(unsetenv("ROLLCALL_BROKER_LISTEN") == 0); // which a gateway does not have
    (void)close(connect_to(w.broker));
    set_port("ROLLCALL_KAFKA_BOOTSTRAP", "127.0.0.1:", w.broker);
}

// ---- the gateway

static void set_file(const char *name, const char *text)
{
    char path[] = "/tmp/rollcall-fuzz-XXXXXX";
    int fd = mkstemp(path);
    HOLDS(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
    HOLDS(setenv(name, path, 1) == 0);
}

static void *run_gateway(void *arg)
{
    (void)arg;
    HOLDS(gateway_run(&w.settings) == 0);
    return NULL;
}

static void forget_file(const char *name)
{
    (void)unlink(getenv(name));
}

static void start_gateway(void)
{
    static const char *const fixed[][2] = {
        {"ROLLCALL_KAFKA_EXTRA", "fetch.wait.max.ms=10"},
        {"ROLLCALL_TOKEN_SECRET", "0123456789abcdef0123456789abcdef"},
        {"ROLLCALL_TOKEN_LIFETIME", "0"},
        {"ROLLCALL_SNAPSHOT_TOKEN", "0123456789abcdef"},
        {"ROLLCALL_SNAPSHOT_LISTEN", "127.0.0.1:0"},
        {"ROLLCALL_HTTP_THREADS", "1"},
        {"ROLLCALL_FAILED_LOGINS", "0"},
        {"ROLLCALL_RIBBON_SESSION_IDLE", "86400"},
    };
    char name[] = "rollcall-gateway";
    int status;
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        HOLDS(setenv(fixed[i][0], fixed[i][1], 1) == 0);
    set_port("ROLLCALL_HTTP_LISTEN", "127.0.0.1:", w.http);
    set_file("ROLLCALL_PRINCIPALS_FILE", principals);
    set_file("ROLLCALL_KEY_RING_FILE", keys);
    HOLDS(gateway_settings_main(1, (char *[]){name, NULL}, &w.settings, &status) == 0);
    HOLDS(pthread_create(&w.gateway, NULL, run_gateway, NULL) == 0);
    (void)close(connect_to(w.http));
    forget_file("ROLLCALL_PRINCIPALS_FILE");
    forget_file("ROLLCALL_KEY_RING_FILE");
}

static bool is_ready(void)
{
    struct buf answer cleanup(buf_done) = BUF_INIT;
    world_exchange(STR_LIT("GET /readyz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), &answer);
    return str_starts(buf_str(&answer), STR_LIT("HTTP/1.1 200 "));
}

void world_start(void)
{
    if (w.runs)
        return;
    w.runs = true;
    (void)signal(SIGPIPE, SIG_IGN);
    log_setup("rollcall-gateway", LOG_ERROR, false);
    w.http = free_port();
    w.redis = free_port();
    w.broker = free_port();
    start_broker(); // first: it has none of the settings that follow
    start_redis();
    start_gateway();
    for (int i = 0; i < TRIES && !is_ready(); i++)
        (void)poll(NULL, 0, 10);
    for (int c = 0; c < CLIENT_NONE; c++)
        world_log_in((enum client)c);
}

// ---- what clients are known by

static void add_between(struct buf *out, struct str text, const char *from, char until)
{
    size_t at = str_find_str(text, str_of(from));
    HOLDS(at < text.n);
    struct str rest = str_slice(text, at + strlen(from), text.n), value;
    HOLDS(str_split(&rest, until, &value) && value.n);
    buf_add_str(out, value);
}

static void log_in(enum client c, const char *line, const char *type, const char *body, const char *from,
                   char until)
{
    struct buf request cleanup(buf_done) = BUF_INIT, answer cleanup(buf_done) = BUF_INIT;
    buf_addf(
        &request,
        "%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
        line, type, strlen(body), body);
    for (int i = 0; i < TRIES && str_find_str(buf_str(&answer), str_of(from)) >= answer.n; i++) {
        if (i)
            (void)poll(NULL, 0, 100); // logins are bounded, too
        buf_clear(&answer);
        world_exchange(buf_str(&request), &answer);
    }
    add_between(&w.credentials[c], buf_str(&answer), from, until);
}

void world_log_in(enum client c)
{
    struct buf *out = &w.credentials[c];
    buf_clear(out);
    if (c == CLIENT_YETI) {
        buf_add_cstr(out, "Authorization: Bearer ");
        log_in(c, "POST /api/rest/admin/auth", "application/json",
               "{\"auth\":{\"username\":\"admin\",\"password\":\"secret\"}}", "\"jwt\":\"", '"');
        buf_add_cstr(out, "\r\n");
    } else if (c == CLIENT_KAZOO) {
        buf_add_cstr(out, "X-Auth-Token: ");
        log_in(c, "PUT /v2/api_auth", "application/json", "{\"data\":{\"api_key\":\"" API_KEY "\"}}",
               "\"auth_token\":\"", '"');
        buf_add_cstr(out, "\r\n");
    } else if (c == CLIENT_RIBBON) {
        buf_add_cstr(out, "Cookie: PHPSESSID=");
        log_in(c, "POST /rest/login", "application/x-www-form-urlencoded", "Username=admin&Password=secret",
               "PHPSESSID=", ';');
        buf_add_cstr(out, "\r\n");
    } else if (c == CLIENT_VOXIMPLANT) {
        buf_add_cstr(out, "account_id=1&api_key=" API_KEY);
    }
}

struct str world_credential(enum client c)
{
    return buf_str(&w.credentials[c]);
}

enum client world_client_of(struct str target)
{
    static const char *const paths[] = {"/api/rest/admin", "/platform_api", "/v2", "/rest"};
    while (target.n > 1 && target.p[1] == '/')
        target = str_slice(target, 1, target.n);
    for (int c = 0; c < CLIENT_NONE; c++)
        if (str_starts(target, str_of(paths[c])))
            return (enum client)c;
    return CLIENT_NONE;
}

// ---- bytes

static void send_all(int fd, struct str bytes)
{
    while (bytes.n) {
        ssize_t sent = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (sent <= 0) // it has answered and closed before the end
            return;
        bytes = str_slice(bytes, (size_t)sent, bytes.n);
    }
}

void world_exchange(struct str request, struct buf *out)
{
    char piece[16384];
    int fd = connect_to(w.http);
    send_all(fd, request);
    for (;;) {
        ssize_t count = recv(fd, piece, sizeof(piece), 0);
        if (count < 0 && errno != ECONNRESET) {
            (void)fprintf(stderr, "no more than\n" STR_FMT "\nwas answered to\n" STR_FMT "\n",
                          STR_ARG(buf_str(out)), STR_ARG(request));
            abort();
        }
        if (count <= 0)
            break;
        buf_add(out, piece, (size_t)count);
    }
    (void)close(fd);
}

void world_clean(void)
{
    static const char script[] =
        "for _,k in ipairs(redis.call('KEYS','*')) do if not (k:find('session') or k:find('seq') or "
        "k:find('replid') or k:find('owner') or k:find('terms')) then redis.call('DEL',k) end end return 1";
    struct buf command cleanup(buf_done) = BUF_INIT;
    char answer[64];
    buf_addf(&command, "*3\r\n$4\r\nEVAL\r\n$%zu\r\n%s\r\n$1\r\n0\r\n", sizeof(script) - 1, script);
    send_all(w.redis_fd, buf_str(&command));
    ssize_t count = recv(w.redis_fd, answer, sizeof(answer), 0);
    HOLDS(count == 4 && memcmp(answer, ":1\r\n", 4) == 0);
}
