// The gateway's settings, filled from the table in settings.c.
#ifndef ROLLCALL_GATEWAY_SETTINGS_H
#define ROLLCALL_GATEWAY_SETTINGS_H

#include "common/config/settings.h"
#include "common/redis/redis.h"

struct gateway_settings {
    char *node;
    char *http_listen, *https_listen; // NULL: not served
    char *tls_certificate_file, *tls_key_file;
    int64_t http_threads;
    int64_t http_header_bytes, http_body_bytes;
    int64_t http_header_timeout_ms, http_body_timeout_ms, http_idle_timeout_ms;
    int64_t http_connections, http_buffered_bytes;
    char *redis_url, *redis_password, *redis_sentinel_password;
    char *redis_tls_ca_file, *redis_tls_certificate_file, *redis_tls_key_file;
    int64_t redis_wait, redis_wait_timeout_ms;
    char *kafka_bootstrap, *kafka_extra, *kafka_password, *topic_prefix;
    int64_t partitions_any, partitions_pop, partitions_node, kafka_replication;
    int64_t session_timeout_ms;
    char *snapshot_listen, *snapshot_token;
    char *key_ring_file, *principals_file;
    char *token_secret;
    int64_t token_lifetime_s;
    int yeti_passwords; // 0 mask, 1 clear
    bool yeti_strict;
    int64_t yeti_operations_bytes, yeti_import_patience_s;
    bool trust_forwarded;
    char *contact;
    int ribbon_xml;           // 0 legacy, 1 clean
    int ribbon_delete_absent; // 0: 500, 1: 404
    bool ribbon_csrf, ribbon_status_200;
    int64_t ribbon_session_idle_s, ribbon_aor_ttl, ribbon_ttl;
    int64_t ribbon_table_ids, ribbon_entry_ids, ribbon_tables, ribbon_entries;
    int64_t requests_per_s, failed_logins_per_min;
    int64_t ack_wait_ms, report_wait_ms, grace_ms, sweep_interval_ms;
    int64_t drain_s;
    int log_level, log_format;
};

// As settings_main; *s is zeroed first.
must_use int gateway_settings_main(int argc, char **argv, struct gateway_settings *s, int *ret_exit);
void gateway_settings_done(struct gateway_settings *s);
// Borrows the settings' strings.
struct redis_options gateway_settings_redis(const struct gateway_settings *s);

#endif
