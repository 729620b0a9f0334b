// One row a setting: name, kind, default, unit, limits and the sentence that --help prints.
#include "services/gateway/settings.h"

#include "common/config/shared_rows.h"

#include <string.h>

static const char *const password_modes[] = {"mask", "clear", NULL};

static const char *const ribbon_layouts[] = {"legacy", "clean", NULL};
static const char *const ribbon_absent_codes[] = {"500", "404", NULL};

#define AT(member) .offset = offsetof(struct gateway_settings, member)

static const struct setting table[] = {
    {"ROLLCALL_NODE", SETTING_STRING, "gateway", NULL,
     "This gateway's name in events, logs and Kafka client ids", AT(node)},
    {"ROLLCALL_HTTP_LISTEN", SETTING_STRING, NULL, "host:port",
     "Where the REST API is served without TLS; unset: 127.0.0.1:8080, or nowhere where "
     "ROLLCALL_HTTPS_LISTEN is set",
     AT(http_listen)},
    {"ROLLCALL_HTTPS_LISTEN", SETTING_STRING, NULL, "host:port",
     "Where the REST API is served over TLS 1.2 and later; unset: nowhere", AT(https_listen)},
    {"ROLLCALL_TLS_CERTIFICATE_FILE", SETTING_STRING, NULL, "path",
     "PEM certificate with its chain, for ROLLCALL_HTTPS_LISTEN; read again on SIGHUP",
     AT(tls_certificate_file)},
    {"ROLLCALL_TLS_KEY_FILE", SETTING_STRING, NULL, "path",
     "PEM key of that certificate, without a pass phrase; read again on SIGHUP", AT(tls_key_file)},
    {"ROLLCALL_HTTP_THREADS", SETTING_INT, "2", "threads",
     "Event loops that serve the REST API, all on the same ports", AT(http_threads), .min = 1, .max = 64},
    {"ROLLCALL_HTTP_HEADER_BYTES", SETTING_INT, "16384", "bytes",
     "Longest request header; longer is answered 431", AT(http_header_bytes), .min = 1024, .max = 1 << 20},
    {"ROLLCALL_HTTP_BODY_BYTES", SETTING_INT, "1048576", "bytes",
     "Longest request body; longer is answered 413", AT(http_body_bytes), .min = 1024, .max = 1 << 30},
    {"ROLLCALL_HTTP_HEADER_TIMEOUT", SETTING_INT, "10000", "ms", "Time for a whole request header; then 408",
     AT(http_header_timeout_ms), .min = 10, .max = 3600000},
    {"ROLLCALL_HTTP_BODY_TIMEOUT", SETTING_INT, "30000", "ms", "Time for a whole request body; then 408",
     AT(http_body_timeout_ms), .min = 10, .max = 3600000},
    {"ROLLCALL_HTTP_IDLE_TIMEOUT", SETTING_INT, "60000", "ms",
     "A kept-alive connection without a request is closed", AT(http_idle_timeout_ms), .min = 10,
     .max = 3600000},
    {"ROLLCALL_HTTP_CONNECTIONS", SETTING_INT, "10000", "connections",
     "Most connections of one thread at each listener", AT(http_connections), .min = 1, .max = 1000000},
    {"ROLLCALL_HTTP_BUFFERED_BYTES", SETTING_INT, "268435456", "bytes",
     "Most bytes of request bodies held at a time, short ones aside; past it 503 with Retry-After",
     AT(http_buffered_bytes), .min = 1 << 20, .max = (int64_t)1 << 40},
    {"ROLLCALL_REDIS_URL", SETTING_STRING, "redis://127.0.0.1:6379", NULL,
     "Redis: redis://[user@]host[:port][/db], unix:///path, "
     "redis-sentinel://[user@]host[:port],…/master[/db] "
     "or redis-cluster://[user@]host[:port],…; rediss… for TLS",
     AT(redis_url)},
    {"ROLLCALL_REDIS_PASSWORD", SETTING_SECRET, NULL, NULL, "Redis password", AT(redis_password)},
    {"ROLLCALL_REDIS_SENTINEL_PASSWORD", SETTING_SECRET, NULL, NULL, "Password of the sentinels themselves",
     AT(redis_sentinel_password)},
    {"ROLLCALL_REDIS_TLS_CA_FILE", SETTING_STRING, NULL, "path",
     "Who may sign the certificate of Redis; unset: whom the system trusts", AT(redis_tls_ca_file)},
    {"ROLLCALL_REDIS_TLS_CERTIFICATE_FILE", SETTING_STRING, NULL, "path",
     "Our certificate, where Redis asks for one; read at each connection", AT(redis_tls_certificate_file)},
    {"ROLLCALL_REDIS_TLS_KEY_FILE", SETTING_STRING, NULL, "path", "Key of that certificate",
     AT(redis_tls_key_file)},
    {"ROLLCALL_REDIS_WAIT", SETTING_INT, "0", "replicas",
     "Replicas that must confirm a write before it is answered", AT(redis_wait), .min = 0, .max = 16},
    {"ROLLCALL_REDIS_WAIT_TIMEOUT", SETTING_INT, "1000", "ms", "How long to wait for those replicas",
     AT(redis_wait_timeout_ms), .min = 10, .max = 60000},
    SETTINGS_OF_KAFKA(struct gateway_settings),
    {"ROLLCALL_KAFKA_SESSION_TIMEOUT", SETTING_INT, "10000", "ms",
     "A gateway silent for so long loses its status partitions", AT(session_timeout_ms), .min = 1000,
     .max = 300000},
    {"ROLLCALL_SNAPSHOT_LISTEN", SETTING_STRING, "127.0.0.1:8081", "host:port",
     "Internal listener where registrants fetch partition snapshots", AT(snapshot_listen)},
    {"ROLLCALL_SNAPSHOT_TOKEN", SETTING_SECRET, NULL, NULL,
     "Bearer token of the internal listener, 16 bytes or more", AT(snapshot_token), .required = true},
    {"ROLLCALL_KEY_RING_FILE", SETTING_STRING, NULL, "path",
     "Keys that seal secrets: lines \"<key id> <64 hex digits>\", the first one seals; read again on SIGHUP",
     AT(key_ring_file), .required = true},
    {"ROLLCALL_PRINCIPALS_FILE", SETTING_STRING, NULL, "path",
     "JSON file of accounts, users, keys and roles; read again on SIGHUP", AT(principals_file),
     .required = true},
    {"ROLLCALL_TOKEN_SECRET", SETTING_SECRET, NULL, NULL,
     "HS256 key of the tokens that the gateway issues, 32 bytes or more", AT(token_secret), .required = true},
    {"ROLLCALL_TOKEN_LIFETIME", SETTING_INT, "600", "s",
     "Lifetime of the Yeti dialect's tokens; 0: they do not expire", AT(token_lifetime_s), .min = 0,
     .max = 31536000},
    {"ROLLCALL_YETI_PASSWORDS", SETTING_CHOICE, "mask", NULL,
     "How the Yeti dialect shows auth-password: a fixed mask, or in clear as Yeti does", AT(yeti_passwords),
     .choices = password_modes},
    {"ROLLCALL_YETI_STRICT", SETTING_BOOL, "false", NULL,
     "The Yeti dialect knows what a Yeti knows and nothing more: no filters but id, no additions",
     AT(yeti_strict)},
    {"ROLLCALL_YETI_OPERATIONS_BYTES", SETTING_INT, "8388608", "bytes",
     "Longest body of the Yeti dialect's atomic operations; longer is answered 413",
     AT(yeti_operations_bytes), .min = 1024, .max = 1 << 30},
    {"ROLLCALL_YETI_IMPORT_PATIENCE", SETTING_INT, "30", "s",
     "How long an import of the Yeti dialect waits for a Redis that is away before it stops",
     AT(yeti_import_patience_s), .min = 0, .max = 3600},
    {"ROLLCALL_TRUST_FORWARDED", SETTING_BOOL, "false", NULL,
     "Take the client's address from X-Forwarded-For when the peer is this machine", AT(trust_forwarded)},
    {"ROLLCALL_CONTACT", SETTING_STRING, "sip:{username}@{local}", NULL,
     "Contact of a registration where its dialect gives none; {local} is the registrant's own address",
     AT(contact)},
    {"ROLLCALL_RIBBON_XML", SETTING_CHOICE, "legacy", NULL,
     "Bytes of the Ribbon dialect's answers: legacy begins with a line break, which clients that slice text "
     "need",
     AT(ribbon_xml), .choices = ribbon_layouts},
    {"ROLLCALL_RIBBON_SESSION_IDLE", SETTING_INT, "600", "s",
     "A session of the Ribbon dialect ends so long after its last request", AT(ribbon_session_idle_s),
     .min = 1, .max = 86400},
    {"ROLLCALL_RIBBON_CSRF", SETTING_BOOL, "false", NULL,
     "The Ribbon dialect takes only requests that bring the session's X-CSRF-Token", AT(ribbon_csrf)},
    {"ROLLCALL_RIBBON_STATUS_200", SETTING_BOOL, "true", NULL,
     "HTTP status of the Ribbon dialect's answers: 200 whatever came of it; false: as http_code says",
     AT(ribbon_status_200)},
    {"ROLLCALL_RIBBON_DELETE_ABSENT", SETTING_CHOICE, "500", NULL,
     "http_code of the Ribbon dialect for deleting what is not there", AT(ribbon_delete_absent),
     .choices = ribbon_absent_codes},
    {"ROLLCALL_RIBBON_AOR_TTL", SETTING_INT, "3600", "s", "Default of the Ribbon dialect's AorTtl",
     AT(ribbon_aor_ttl), .min = 1, .max = INT32_MAX},
    {"ROLLCALL_RIBBON_TTL", SETTING_INT, "64", "s",
     "Default of the Ribbon dialect's TTL1 to TTL8; 0: as AorTtl", AT(ribbon_ttl), .min = 0,
     .max = INT32_MAX},
    {"ROLLCALL_RIBBON_TABLE_IDS", SETTING_INT, "65534", NULL, "Highest id of a table of the Ribbon dialect",
     AT(ribbon_table_ids), .min = 1, .max = 65534},
    {"ROLLCALL_RIBBON_ENTRY_IDS", SETTING_INT, "65534", NULL,
     "Highest id of an entry in a table of the Ribbon dialect", AT(ribbon_entry_ids), .min = 1,
     .max = INT32_MAX},
    {"ROLLCALL_RIBBON_TABLES", SETTING_INT, "1000", "tables",
     "Most tables of one kind that an account has in the Ribbon dialect", AT(ribbon_tables), .min = 1,
     .max = 65534},
    {"ROLLCALL_RIBBON_ENTRIES", SETTING_INT, "1000", "entries",
     "Most entries of a table of the Ribbon dialect", AT(ribbon_entries), .min = 1, .max = 65534},
    {"ROLLCALL_REQUEST_RATE", SETTING_INT, "0", "requests/s",
     "Most requests of one user or key at this gateway; 0: no limit", AT(requests_per_s), .min = 0,
     .max = 1000000},
    {"ROLLCALL_FAILED_LOGINS", SETTING_INT, "30", "logins/min",
     "Most failed logins of one name and of one address at this gateway; 0: no limit",
     AT(failed_logins_per_min), .min = 0, .max = 1000000},
    {"ROLLCALL_ACK_WAIT", SETTING_INT, "1000", "ms",
     "After a write: when an unacknowledged change is published again", AT(ack_wait_ms), .min = 10,
     .max = 600000},
    {"ROLLCALL_REPORT_WAIT", SETTING_INT, "10000", "ms",
     "After the broker's acknowledgement: when a change not reported as applied is published again",
     AT(report_wait_ms), .min = 10, .max = 600000},
    {"ROLLCALL_GRACE", SETTING_INT, "15000", "ms",
     "After a registrant's announced next action: when its silence is taken for loss", AT(grace_ms),
     .min = 10, .max = 600000},
    {"ROLLCALL_SWEEP_INTERVAL", SETTING_INT, "200", "ms", "Pause between two sweeps over what is late",
     AT(sweep_interval_ms), .min = 10, .max = 60000},
    {"ROLLCALL_DRAIN", SETTING_INT, "10", "s",
     "After SIGTERM: time for requests in flight and for the producer", AT(drain_s), .min = 0, .max = 600},
    SETTINGS_OF_LOG(struct gateway_settings),
};

int gateway_settings_main(int argc, char **argv, struct gateway_settings *s, int *ret_exit)
{
    memset(s, 0, sizeof(*s));
    return settings_main(table, ARRAY_LEN(table), "rollcall-gateway",
                         "Takes registrations over REST, keeps them in Redis and publishes changes to Kafka.",
                         argc, argv, s, ret_exit);
}

void gateway_settings_done(struct gateway_settings *s)
{
    settings_done(table, ARRAY_LEN(table), s);
}

struct redis_options gateway_settings_redis(const struct gateway_settings *s)
{
    return (struct redis_options){.sentinel_password = s->redis_sentinel_password,
                                  .tls_ca_file = s->redis_tls_ca_file,
                                  .tls_certificate_file = s->redis_tls_certificate_file,
                                  .tls_key_file = s->redis_tls_key_file};
}
