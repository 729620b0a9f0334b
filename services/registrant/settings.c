// One row a setting: name, kind, default, unit, limits and the sentence that --help prints.
#include "services/registrant/settings.h"

#include "common/config/shared_rows.h"

#include <string.h>

#define AT(member) .offset = offsetof(struct registrant_settings, member)

static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const nat_ways[] = {"none", "contact", NULL};

static const struct setting table[] = {
    {"ROLLCALL_NODE", SETTING_STRING, "registrant", NULL,
     "This registrant's name in reports, logs and its consumer groups: unique and stable over restarts",
     AT(node)},
    {"ROLLCALL_PLACES", SETTING_STRING, "any", NULL,
     "Places it sends from, comma-separated: any, pop-<id>, node-<id>", AT(places)},
    SETTINGS_OF_KAFKA(struct registrant_settings),
    {"ROLLCALL_KAFKA_SESSION_TIMEOUT", SETTING_INT, "10000", "ms",
     "Silent for so long, its partitions are given to another registrant", AT(session_timeout_ms),
     .min = 1000, .max = 300000},
    {"ROLLCALL_SNAPSHOT_URLS", SETTING_STRING, "http://127.0.0.1:8081", "URL,…",
     "Internal listeners of the gateways, any of which gives the snapshot of a partition", AT(snapshot_urls)},
    {"ROLLCALL_SNAPSHOT_TOKEN", SETTING_SECRET, NULL, NULL, "Bearer token of those listeners",
     AT(snapshot_token), .required = true},
    {"ROLLCALL_KEY_RING_FILE", SETTING_STRING, NULL, "path",
     "Keys that open sealed secrets: lines \"<key id> <64 hex digits>\"; read again on SIGHUP",
     AT(key_ring_file), .required = true},
    {"ROLLCALL_SIP_LISTEN", SETTING_STRING, "127.0.0.1:0", "host:port,…",
     "Addresses that REGISTERs are sent from, one of each family at most; port 0 takes a free one, thread n "
     "a "
     "fixed one plus n",
     AT(sip_listen)},
    {"ROLLCALL_SIP_INTERFACES", SETTING_STRING, NULL, "name=host:port,…",
     "Addresses that registrations choose by name (sip-interface-name); ports as in ROLLCALL_SIP_LISTEN",
     AT(sip_interfaces)},
    {"ROLLCALL_SIP_ALLOW", SETTING_STRING, NULL, "network,…",
     "Networks and addresses (192.0.2.0/24, 2001:db8::/32) that may be sent to; unset: all that "
     "ROLLCALL_SIP_DENY does not name",
     AT(sip_allow)},
    {"ROLLCALL_SIP_DENY", SETTING_STRING, NULL, "network,…",
     "Networks and addresses that may not; of what an address is in, the longest prefix decides",
     AT(sip_deny)},
    {"ROLLCALL_SIP_TLS_CA_FILE", SETTING_STRING, NULL, "path",
     "Certificates that registrars are trusted by, PEM, in place of the system's; read again on SIGHUP",
     AT(tls_ca_file)},
    {"ROLLCALL_SIP_TLS_CERTIFICATE_FILE", SETTING_STRING, NULL, "path",
     "Certificate that is shown to registrars that ask for one, PEM with its chain; read again on SIGHUP",
     AT(tls_certificate_file)},
    {"ROLLCALL_SIP_TLS_KEY_FILE", SETTING_STRING, NULL, "path", "Its key, where it is not in the same file",
     AT(tls_key_file)},
    {"ROLLCALL_SIP_TLS_MIN_VERSION", SETTING_CHOICE, "1.2", NULL, "Oldest TLS that is spoken",
     AT(tls_min_version), .choices = tls_versions},
    {"ROLLCALL_SIP_NAT", SETTING_CHOICE, "none", NULL,
     "contact: {local} in a Contact is the address that the registrar sees us at (received and rport)",
     AT(sip_nat), .choices = nat_ways},
    {"ROLLCALL_SIP_TRANSACTION_TIMEOUT", SETTING_INT, "32", "s",
     "A REGISTER that nobody answers is given up after this time (RFC 3261 timer F)",
     AT(transaction_timeout_s), .min = 1, .max = 180},
    {"ROLLCALL_SIP_THREADS", SETTING_INT, "1", "threads",
     "SIP threads, each with its share of the registrations", AT(sip_threads), .min = 1, .max = 64},
    {"ROLLCALL_RESOLV_CONF", SETTING_STRING, NULL, "path",
     "Resolver configuration in place of /etc/resolv.conf", AT(resolv_conf)},
    {"ROLLCALL_USER_AGENT", SETTING_STRING, "Rollcall", NULL, "User-Agent of every REGISTER", AT(user_agent)},
    {"ROLLCALL_ADMIN_LISTEN", SETTING_STRING, "127.0.0.1:8082", "host:port",
     "Where health, metrics and what is known of registrars (/registrars) are served", AT(admin_listen)},
    {"ROLLCALL_REJECTED_RETRY", SETTING_INT, "3600", "s",
     "A rejected registration is asked for again after this time, give or take half", AT(rejected_retry_s),
     .min = 1, .max = 604800},
    {"ROLLCALL_BACKOFF_CAP", SETTING_INT, "1800", "s",
     "Longest growing pause between two tries (RFC 5626 4.5)", AT(backoff_cap_s), .min = 1, .max = 86400},
    {"ROLLCALL_REGISTRAR_RATE", SETTING_INT, "100", "requests/s",
     "REGISTERs to one registrar, of all registrants together; 0: no limit", AT(registrar_rate), .min = 0,
     .max = 1000000},
    {"ROLLCALL_REGISTRAR_HARD", SETTING_BOOL, "false", NULL,
     "The rate is not raised even where live registrations would lapse", AT(registrar_hard)},
    {"ROLLCALL_AOR_RATE", SETTING_INT, "5", "requests/s", "REGISTERs of one address of record; 0: no limit",
     AT(aor_rate), .min = 0, .max = 1000000},
    {"ROLLCALL_REGISTRARS_FILE", SETTING_STRING, NULL, "path",
     "Limits of registrars by pattern: lines \"<host, * for any characters> rate=… in_flight=… aor_rate=… "
     "expires_min=… hard\"; read again on SIGHUP",
     AT(registrars_file)},
    {"ROLLCALL_MOVE_OVER", SETTING_INT, "300", "s",
     "Registrations whose registrar has left DNS, or whose connection broke, are sent again within this time",
     AT(move_over_s), .min = 0, .max = 86400},
    {"ROLLCALL_REGISTRAR_IN_FLIGHT", SETTING_INT, "200", "transactions",
     "Under way to one registrar in one thread", AT(registrar_in_flight), .min = 1, .max = 2000},
    {"ROLLCALL_MAX_IN_FLIGHT", SETTING_INT, "1000", "transactions", "Under way in one thread",
     AT(max_in_flight), .min = 1, .max = 2000},
    {"ROLLCALL_DRAIN", SETTING_INT, "10", "s",
     "After SIGTERM: time for what is in flight and for the last reports", AT(drain_s), .min = 0, .max = 600},
    SETTINGS_OF_LOG(struct registrant_settings),
};

int registrant_settings_main(int argc, char **argv, struct registrant_settings *s, int *ret_exit)
{
    memset(s, 0, sizeof(*s));
    return settings_main(
        table, ARRAY_LEN(table), "rollcall-registrant",
        "Registers at upstream registrars what the gateway publishes, and keeps it registered.", argc, argv,
        s, ret_exit);
}

void registrant_settings_done(struct registrant_settings *s)
{
    settings_done(table, ARRAY_LEN(table), s);
}
