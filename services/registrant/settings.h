// The registrant's settings, filled from the table in settings.c.
#ifndef ROLLCALL_REGISTRANT_SETTINGS_H
#define ROLLCALL_REGISTRANT_SETTINGS_H

#include "common/config/settings.h"

struct registrant_settings {
    char *node, *places;
    char *kafka_bootstrap, *kafka_extra, *kafka_password, *topic_prefix;
    int64_t partitions_any, partitions_pop, partitions_node, kafka_replication;
    int64_t session_timeout_ms;
    char *snapshot_urls, *snapshot_token;
    char *key_ring_file;
    char *sip_listen, *sip_interfaces, *resolv_conf, *user_agent;
    char *sip_allow, *sip_deny;
    char *tls_ca_file, *tls_certificate_file, *tls_key_file;
    int tls_min_version; // 0: 1.2, 1: 1.3
    int sip_nat;         // 0: none, 1: contact
    int64_t sip_threads, transaction_timeout_s;
    char *registrars_file;
    bool registrar_hard;
    char *admin_listen;
    int64_t rejected_retry_s, backoff_cap_s, registrar_rate, registrar_in_flight, max_in_flight, aor_rate,
        move_over_s;
    int64_t drain_s;
    int log_level, log_format;
};

// As settings_main; *s is zeroed first.
must_use int registrant_settings_main(int argc, char **argv, struct registrant_settings *s, int *ret_exit);
void registrant_settings_done(struct registrant_settings *s);

#endif
