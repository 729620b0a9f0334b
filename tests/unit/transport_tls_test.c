// TLS of connections to registrars: who is believed, what is said of those who are not, and the client's own
// certificate, against OpenSSL's server.
#include "services/registrant/transport/tls_private.h"
#include "tests/unit/transport_tls_peer.h"

#define NAME "registrar.example"

struct world {
    struct fixture f;
    struct pair ca, other_ca;
    char folder[32], ca_file[64], own_file[64];
    struct tls_settings settings;
    struct tls_peer peer;
    bool has_peer;
    uint64_t began_us;
};

static void enter(struct world *w)
{
    *w = (struct world){.folder = "/tmp/rollcall-tls-XXXXXX"};
    assert_non_null(mkdtemp(w->folder));
    (void)snprintf(w->ca_file, sizeof(w->ca_file), "%s/ca.pem", w->folder);
    (void)snprintf(w->own_file, sizeof(w->own_file), "%s/own.pem", w->folder);
    w->ca = make_pair(NULL, &(struct wish){.cn = "Test CA", .is_ca = true});
    w->other_ca = make_pair(NULL, &(struct wish){.cn = "Other CA", .is_ca = true});
    write_pem(w->ca_file, &w->ca, NULL);
    w->settings = (struct tls_settings){.ca_file = w->ca_file};
    begin(&w->f);
    w->f.tls = &w->settings;
}

static void leave(struct world *w)
{
    if (w->has_peer)
        peer_end(&w->peer);
    end(&w->f);
    free_pair(&w->ca);
    free_pair(&w->other_ca);
    (void)unlink(w->ca_file);
    (void)unlink(w->own_file);
    (void)rmdir(w->folder);
}

static void serve(struct world *w, const struct pair *ca, const struct wish *wish)
{
    struct pair own = make_pair(ca, wish);
    peer_begin(&w->peer, &w->f, &own);
    w->has_peer = true;
    free_pair(&own);
}

static uint32_t connect_as(struct world *w, const char *name)
{
    struct endpoint to = {.kind = TRANSPORT_TLS, .address = w->peer.at, .name = str_of(name)};
    uint32_t flow = 0;
    if (!w->f.t)
        start(&w->f);
    w->began_us = clock_monotonic_us();
    assert_int_equal(transport_send(w->f.t, &to, STR_LIT(REQUEST), &flow), 0);
    assert_int_equal(w->f.lost, 0);
    return flow;
}

static void expect_message(struct world *w)
{
    UNTIL(&w->f, w->peer.got.n >= sizeof(REQUEST) - 1 || w->f.lost);
    assert_string_equal(w->f.cause, "");
    assert_string_equal(w->peer.got.p, REQUEST);
    assert_int_equal(SSL_write(w->peer.ssl, ANSWER, sizeof(ANSWER) - 1), sizeof(ANSWER) - 1);
    UNTIL(&w->f, w->f.messages == 1);
    assert_string_equal(w->f.all.p, ANSWER);
    assert_int_equal(w->f.path.kind, TRANSPORT_TLS);
}

static void expect_refused(struct world *w, const char *cause)
{
    UNTIL(&w->f, w->f.lost == 1);
    assert_string_equal(w->f.cause, cause);
    assert_false(w->f.lost_up);
    assert_int_equal(w->peer.got.n, 0);
    assert_true(clock_monotonic_us() - w->began_us < SOON_US);
}

// ---- the registrar's certificate

static void believes_a_certificate_for_the_name(void **state)
{
    struct world w;
    enter(&w);
    serve(&w, &w.ca, &(struct wish){.cn = "whatever", .san = "DNS:" NAME});
    (void)connect_as(&w, NAME);
    expect_message(&w);
    assert_string_equal(w.peer.sni, NAME);
    leave(&w);
}

static void the_roots_dot_is_not_sent_with_the_name(void **state)
{
    struct world w;
    enter(&w);
    serve(&w, &w.ca, &(struct wish){.cn = "whatever", .san = "DNS:" NAME});
    (void)connect_as(&w, NAME ".");
    expect_message(&w);
    assert_string_equal(w.peer.sni, NAME);
    leave(&w);
}

static void a_number_is_not_sent_as_server_name(void **state)
{
    struct world w;
    enter(&w);
    serve(&w, &w.ca, &(struct wish){.cn = "whatever", .san = "IP:127.0.0.1"});
    (void)connect_as(&w, "127.0.0.1");
    expect_message(&w);
    assert_string_equal(w.peer.sni, "");
    leave(&w);
}

static void refused(bool other_ca, const struct wish *wish, const char *cause)
{
    struct world w;
    enter(&w);
    serve(&w, other_ca ? &w.other_ca : &w.ca, wish);
    (void)connect_as(&w, NAME);
    expect_refused(&w, cause);
    assert_int_equal(transport_stats(w.f.t).failed, 1);
    leave(&w);
}

static void refuses_an_expired_certificate_and_says_so(void **state)
{
    refused(false, &(struct wish){.cn = "old", .san = "DNS:" NAME, .from_s = -7200, .to_s = -60},
            "the certificate has expired (CN=old)");
}

static void refuses_a_certificate_that_is_not_valid_yet(void **state)
{
    refused(false, &(struct wish){.cn = "new", .san = "DNS:" NAME, .from_s = 600},
            "the certificate is not valid yet (CN=new)");
}

static void refuses_an_unknown_ca_and_says_so(void **state)
{
    refused(true, &(struct wish){.cn = "x", .san = "DNS:" NAME},
            "the certificate is signed by a CA that is not trusted (CN=x)");
}

static void refuses_another_name_and_says_which(void **state)
{
    refused(false, &(struct wish){.cn = NAME, .san = "DNS:a.example,DNS:b.example"},
            "the certificate is for a.example, b.example, not for " NAME);
}

static void refuses_a_certificate_that_is_not_for_servers(void **state)
{
    refused(false, &(struct wish){.cn = "c", .san = "DNS:" NAME, .usage = "clientAuth"},
            "the certificate is not for a server (CN=c)");
}

static void believes_a_certificate_for_sip_alone(void **state)
{
    struct world w;
    enter(&w);
    serve(&w, &w.ca, &(struct wish){.cn = "c", .san = "DNS:" NAME, .usage = "1.3.6.1.5.5.7.3.20"});
    (void)connect_as(&w, NAME);
    expect_message(&w);
    leave(&w);
}

static void without_a_name_nobody_is_believed(void **state)
{
    struct world w;
    enter(&w);
    serve(&w, &w.ca, &(struct wish){.cn = "c", .san = "DNS:" NAME});
    (void)connect_as(&w, "");
    expect_refused(&w, "there is no name that a certificate could be for");
    leave(&w);
}

// ---- our own certificate

static void asked_for_a_certificate(int version, bool abrupt, const char *cause)
{
    struct world w;
    enter(&w);
    serve(&w, &w.ca, &(struct wish){.san = "DNS:" NAME});
    peer_ask_for_certificate(&w.peer, &w.ca);
    (void)SSL_CTX_set_max_proto_version(w.peer.context, version);
    w.peer.abrupt = abrupt;
    (void)connect_as(&w, NAME);
    expect_refused(&w, cause);
    leave(&w);
}

static void says_that_a_certificate_is_asked_for(void **state)
{
    for (int abrupt = 0; abrupt < 2; abrupt++) { // the request that lies unread makes the end a reset
        asked_for_a_certificate(TLS1_2_VERSION, abrupt, "the registrar asks for a certificate");
        asked_for_a_certificate(TLS1_3_VERSION, abrupt, "the registrar asks for a certificate");
    }
}

static void refused_by_peer(int version, const struct wish *wish, bool other_ca, const char *cause)
{
    struct world w;
    enter(&w);
    struct pair own = make_pair(other_ca ? &w.other_ca : &w.ca, wish);
    write_pem(w.own_file, &own, &own);
    w.settings.certificate_file = w.own_file;
    serve(&w, &w.ca, &(struct wish){.san = "DNS:" NAME});
    peer_ask_for_certificate(&w.peer, &w.ca);
    (void)SSL_CTX_set_max_proto_version(w.peer.context, version);
    (void)connect_as(&w, NAME);
    if (cause)
        expect_refused(&w, cause);
    else
        expect_message(&w);
    free_pair(&own);
    leave(&w);
}

static void shows_its_own_certificate(void **state)
{
    refused_by_peer(TLS1_2_VERSION, &(struct wish){.cn = "me"}, false, NULL);
    refused_by_peer(TLS1_3_VERSION, &(struct wish){.cn = "me"}, false, NULL);
}

static void says_why_its_own_certificate_is_refused(void **state)
{
    const struct wish old = {.cn = "me", .from_s = -7200, .to_s = -60};
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        refused_by_peer(version, &(struct wish){.cn = "me"}, true,
                        "the registrar refuses our certificate: unknown CA");
        refused_by_peer(version, &old, false, "the registrar refuses our certificate: certificate expired");
    }
}

// ---- versions, files

static void keeps_to_the_least_version(void **state)
{
    struct world w;
    enter(&w);
    w.settings.min_version = "1.3";
    serve(&w, &w.ca, &(struct wish){.san = "DNS:" NAME});
    (void)SSL_CTX_set_max_proto_version(w.peer.context, TLS1_2_VERSION);
    (void)connect_as(&w, NAME);
    expect_refused(&w, "the registrar refuses TLS: protocol version");
    leave(&w);
}

static void write_text(const char *file, const char *text)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    (void)fputs(text, out);
    (void)fclose(out);
}

static void nobody_is_asked_for_a_pass_phrase(void **state)
{
    static const unsigned char phrase[] = "secret";
    struct world w;
    struct error err;
    enter(&w);
    write_pem(w.own_file, &w.ca, NULL);
    FILE *out = fopen(w.own_file, "a");
    assert_int_equal(
        PEM_write_PrivateKey(out, w.ca.key, EVP_aes_128_cbc(), phrase, sizeof(phrase) - 1, NULL, NULL), 1);
    (void)fclose(out);
    w.settings.certificate_file = w.own_file;
    assert_int_equal(open_transport(&w.f, &err), -EINVAL);
    assert_memory_equal(err.text, "key file ", 9);
    leave(&w);
}

static void files_that_cannot_be_used_are_errors(void **state)
{
    struct world w;
    struct error err;
    enter(&w);
    w.settings.min_version = "1.1";
    assert_int_equal(open_transport(&w.f, &err), -EINVAL);
    assert_string_equal(err.text, "the least TLS version is 1.2 or 1.3, not \"1.1\"");
    w.settings = (struct tls_settings){.ca_file = "/nonexistent/ca.pem"};
    assert_int_equal(open_transport(&w.f, &err), -ENOENT);
    w.settings = (struct tls_settings){.ca_file = w.ca_file, .certificate_file = w.ca_file};
    assert_int_equal(open_transport(&w.f, &err), -EINVAL); // it holds no key
    w.settings = (struct tls_settings){.ca_file = w.ca_file, .certificate_file = w.own_file};
    assert_int_equal(open_transport(&w.f, &err), -ENOENT);
    write_text(w.own_file, "no certificate");
    assert_int_equal(open_transport(&w.f, &err), -EINVAL);
    w.settings = (struct tls_settings){.ca_file = w.own_file};
    assert_int_equal(open_transport(&w.f, &err), -EINVAL);
    assert_memory_equal(err.text, "CA file ", 8);
    assert_null(w.f.t);
    w.settings = (struct tls_settings){0}; // the system's store
    start(&w.f);
    leave(&w);
}

static void reads_its_files_again(void **state)
{
    struct world w;
    struct error err;
    enter(&w);
    serve(&w, &w.other_ca, &(struct wish){.cn = "x", .san = "DNS:" NAME});
    (void)connect_as(&w, NAME);
    expect_refused(&w, "the certificate is signed by a CA that is not trusted (CN=x)");
    peer_end(&w.peer);
    write_pem(w.ca_file, &w.other_ca, NULL);
    assert_int_equal(transport_reload(w.f.t, &err), 0);
    (void)unlink(w.ca_file);
    assert_int_equal(transport_reload(w.f.t, &err), -ENOENT); // what was read before stays in force
    serve(&w, &w.other_ca, &(struct wish){.cn = "x", .san = "DNS:" NAME});
    w.f.lost = 0;
    w.f.cause[0] = '\0';
    (void)connect_as(&w, NAME);
    expect_message(&w);
    leave(&w);
}

static void without_tls_there_is_nothing_to_reload(void **state)
{
    struct fixture f;
    struct error err;
    uint32_t flow;
    begin(&f);
    start(&f);
    struct address at = loopback(AF_INET, 9);
    struct endpoint to = endpoint_of(TRANSPORT_TLS, &at);
    assert_int_equal(transport_reload(f.t, &err), -ENOTSUP);
    assert_int_equal(transport_send(f.t, &to, STR_LIT(REQUEST), &flow), -EPROTONOSUPPORT);
    assert_null(transport_local(f.t, TRANSPORT_TLS, STR_NONE, AF_UNSPEC));
    end(&f);
}

// ---- ends

static void tells_the_end_of_a_session(void **state)
{
    struct world w;
    enter(&w);
    serve(&w, &w.ca, &(struct wish){.san = "DNS:" NAME});
    uint32_t flow = connect_as(&w, NAME);
    expect_message(&w);
    assert_int_equal(SSL_shutdown(w.peer.ssl), 0);
    UNTIL(&w.f, w.f.lost == 1);
    assert_int_equal(w.f.lost_flow, flow);
    assert_true(w.f.lost_up);
    assert_string_equal(w.f.cause, "closed by the registrar");
    UNTIL(&w.f, w.peer.ended);
    assert_true(w.peer.notified); // it said goodbye, too
    leave(&w);
}

static void says_goodbye_when_it_ends(void **state)
{
    struct world w;
    enter(&w);
    serve(&w, &w.ca, &(struct wish){.san = "DNS:" NAME});
    (void)connect_as(&w, NAME);
    expect_message(&w);
    transport_free(w.f.t);
    w.f.t = NULL;
    UNTIL(&w.f, w.peer.ended);
    assert_true(w.peer.notified);
    assert_int_equal(w.f.lost, 0);
    leave(&w);
}

static void a_reset_is_told(void **state)
{
    const struct linger hard = {.l_onoff = 1};
    struct world w;
    enter(&w);
    serve(&w, &w.ca, &(struct wish){.san = "DNS:" NAME});
    (void)connect_as(&w, NAME);
    expect_message(&w);
    (void)connect_as(&w, NAME); // something waits
    assert_int_equal(setsockopt(w.peer.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    (void)close(w.peer.fd);
    w.peer.fd = w.peer.listener; // nobody is accepted any more
    w.peer.ended = true;
    transport_flush(w.f.t);
    UNTIL(&w.f, w.f.lost == 1);
    assert_true(w.f.lost_up);
    assert_true(strcmp(w.f.cause, "connection reset by peer") == 0 || strcmp(w.f.cause, "broken pipe") == 0 ||
                strcmp(w.f.cause, "closed by the registrar") == 0);
    w.peer.fd = -1;
    leave(&w);
}

static void a_slow_reader_gets_everything(void **state)
{
    static char message[60000];
    struct world w;
    size_t sent = sizeof(REQUEST) - 1;
    uint32_t flow;
    enter(&w);
    serve(&w, &w.ca, &(struct wish){.san = "DNS:" NAME});
    (void)connect_as(&w, NAME);
    expect_message(&w);
    (void)event_del(w.peer.pump);
    const struct endpoint to = {.kind = TRANSPORT_TLS, .address = w.peer.at, .name = STR_LIT(NAME)};
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (char)('a' + i % 26);
    while (transport_send(w.f.t, &to, str_of_bytes(message, sizeof(message)), &flow) == 0)
        sent += sizeof(message);
    assert_true(sent > 1000000);
    while (w.peer.got.n < sent) {
        peer_pump(&w.peer);
        (void)event_base_loop(w.f.base, EVLOOP_NONBLOCK);
        assert_int_equal(w.f.lost, 0);
    }
    for (size_t i = sizeof(REQUEST) - 1; i < sent; i++)
        assert_int_equal(w.peer.got.p[i], message[(i - sizeof(REQUEST) + 1) % sizeof(message)]);
    leave(&w);
}

static void messages_are_whole_across_records(void **state)
{
    static char body[50001];
    struct world w;
    struct buf long_one cleanup(buf_done) = BUF_INIT;
    enter(&w);
    serve(&w, &w.ca, &(struct wish){.san = "DNS:" NAME});
    (void)connect_as(&w, NAME);
    expect_message(&w);
    memset(body, 'b', sizeof(body) - 1);
    buf_addf(&long_one, "SIP/2.0 200 OK\r\nl: 50000\r\n\r\n%s" ANSWER, body);
    assert_int_equal(SSL_write(w.peer.ssl, long_one.p, (int)long_one.n), (int)long_one.n);
    for (size_t i = 0; i < sizeof(ANSWER) - 1; i++)
        assert_int_equal(SSL_write(w.peer.ssl, &ANSWER[i], 1), 1);
    UNTIL(&w.f, w.f.messages == 4);
    assert_int_equal(w.f.all.n, long_one.n + 2 * (sizeof(ANSWER) - 1));
    leave(&w);
}

static void a_server_without_tls_is_told_as_that(void **state)
{
    struct world w;
    enter(&w);
    int listener = peer_socket(AF_INET, SOCK_STREAM, &w.peer.at);
    (void)connect_as(&w, NAME);
    int peer = peer_accept(&w.f, listener);
    put(peer, STR_LIT("SIP/2.0 400 Bad Request\r\n\r\n"));
    expect_refused(&w, "TLS: wrong version number");
    (void)close(peer);
    (void)close(listener);
    leave(&w);
}

static void a_handshake_has_its_time(void **state)
{
    struct world w;
    enter(&w);
    w.f.times.connect_ms = 100;
    int listener = peer_socket(AF_INET, SOCK_STREAM, &w.peer.at);
    (void)connect_as(&w, NAME);
    expect_refused(&w, "the TLS handshake timed out");
    (void)close(listener);
    leave(&w);
}

static void another_name_is_another_connection(void **state)
{
    struct world w;
    enter(&w);
    serve(&w, &w.ca, &(struct wish){.san = "DNS:" NAME});
    uint32_t one = connect_as(&w, NAME), same = connect_as(&w, NAME), other = connect_as(&w, "b.example");
    assert_int_equal(one, same);
    assert_int_not_equal(one, other);
    leave(&w);
}

// ---- names (RFC 5922 7.1, 7.2)

static void matches_names_as_rfc_5922_says(void **state)
{
    static const struct {
        const char *cn, *san, *name;
        bool matches;
    } rows[] = {
        {NULL, "DNS:example.com", "example.com", true},
        {NULL, "DNS:EXAMPLE.com", "example.COM", true},
        {NULL, "DNS:example.com", "example.com.", true},
        {NULL, "DNS:example.com", "sip.example.com", false},
        {NULL, "DNS:sip.example.com", "example.com", false},
        {NULL, "DNS:*.example.com", "sip.example.com", false},
        {NULL, "URI:sip:example.com", "example.com", true},
        {NULL, "URI:sip:other.example,URI:SIP:example.com", "example.com", true},
        {NULL, "URI:sip:*.example.com", "sip.example.com", false},
        {NULL, "URI:sips:example.com", "example.com", false},
        {NULL, "URI:sip:alice@example.com", "example.com", false},
        {NULL, "URI:sip:other.example,DNS:example.com", "example.com", false},
        {NULL, "URI:sip:alice@other.example,DNS:example.com", "example.com", true},
        {NULL, "URI:https://other.example,DNS:example.com", "example.com", true},
        {"example.com", NULL, "example.com", true},
        {"*.example.com", NULL, "sip.example.com", false},
        {"example.com", "DNS:other.example", "example.com", false},
        {"example.com", "IP:192.0.2.1", "example.com", false},
        {NULL, "IP:192.0.2.1", "192.0.2.1", true},
        {NULL, "IP:192.0.2.1", "192.0.2.2", false},
        {NULL, "IP:2001:db8::1", "2001:db8:0::1", true},
        {NULL, "DNS:192.0.2.1", "192.0.2.1", false},
        {"192.0.2.1", NULL, "192.0.2.1", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pair p = make_pair(NULL, &(struct wish){.cn = rows[i].cn, .san = rows[i].san});
        if (tls_name_matches(p.cert, str_of(rows[i].name)) != rows[i].matches)
            fail_msg("%s for %s (CN %s)", rows[i].san, rows[i].name, rows[i].cn);
        free_pair(&p);
    }
}

static void expect_no_name(struct pair *p)
{
    struct buf names cleanup(buf_done) = BUF_INIT;
    assert_int_equal(X509_sign(p->cert, p->key, EVP_sha256()) > 0, 1);
    assert_false(tls_name_matches(p->cert, STR_LIT(NAME)));
    tls_add_names(&names, p->cert);
    assert_int_equal(names.n, 0);
    free_pair(p);
}

static void the_cn_counts_only_where_there_is_no_other_name_at_all(void **state)
{
    struct pair p = make_pair(NULL, &(struct wish){.cn = NAME});
    GENERAL_NAMES *none = GENERAL_NAMES_new();
    assert_true(tls_name_matches(p.cert, STR_LIT(NAME)));
    assert_int_equal(X509_add1_ext_i2d(p.cert, NID_subject_alt_name, none, 0, 0), 1);
    GENERAL_NAMES_free(none);
    expect_no_name(&p); // an empty list
    p = make_pair(NULL, &(struct wish){.cn = NAME});
    ASN1_OCTET_STRING *broken = ASN1_OCTET_STRING_new();
    (void)ASN1_OCTET_STRING_set(broken, (const unsigned char *)"\x30\x05nonsense", 10);
    X509_EXTENSION *e = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, broken);
    assert_int_equal(X509_add_ext(p.cert, e, -1), 1);
    X509_EXTENSION_free(e);
    ASN1_OCTET_STRING_free(broken);
    expect_no_name(&p); // one that cannot be read
    p = make_pair(NULL, &(struct wish){.cn = NAME, .san = "DNS:" NAME});
    add_extension(p.cert, NID_subject_alt_name, "DNS:" NAME);
    expect_no_name(&p); // two of them
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(believes_a_certificate_for_the_name),
        cmocka_unit_test(the_roots_dot_is_not_sent_with_the_name),
        cmocka_unit_test(a_number_is_not_sent_as_server_name),
        cmocka_unit_test(refuses_an_expired_certificate_and_says_so),
        cmocka_unit_test(refuses_a_certificate_that_is_not_valid_yet),
        cmocka_unit_test(refuses_an_unknown_ca_and_says_so),
        cmocka_unit_test(refuses_another_name_and_says_which),
        cmocka_unit_test(refuses_a_certificate_that_is_not_for_servers),
        cmocka_unit_test(believes_a_certificate_for_sip_alone),
        cmocka_unit_test(without_a_name_nobody_is_believed),
        cmocka_unit_test(says_that_a_certificate_is_asked_for),
        cmocka_unit_test(shows_its_own_certificate),
        cmocka_unit_test(says_why_its_own_certificate_is_refused),
        cmocka_unit_test(keeps_to_the_least_version),
        cmocka_unit_test(nobody_is_asked_for_a_pass_phrase),
        cmocka_unit_test(files_that_cannot_be_used_are_errors),
        cmocka_unit_test(reads_its_files_again),
        cmocka_unit_test(without_tls_there_is_nothing_to_reload),
        cmocka_unit_test(tells_the_end_of_a_session),
        cmocka_unit_test(says_goodbye_when_it_ends),
        cmocka_unit_test(a_reset_is_told),
        cmocka_unit_test(a_slow_reader_gets_everything),
        cmocka_unit_test(messages_are_whole_across_records),
        cmocka_unit_test(a_server_without_tls_is_told_as_that),
        cmocka_unit_test(a_handshake_has_its_time),
        cmocka_unit_test(another_name_is_another_connection),
        cmocka_unit_test(matches_names_as_rfc_5922_says),
        cmocka_unit_test(the_cn_counts_only_where_there_is_no_other_name_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
