"""TLS to registrars: whom a certificate is for (RFC 5922), trust, client certificates, versions, and how a session ends."""

import contextlib
import pathlib
import re
import socket
import threading
import time

import pytest

from conftest import new_digest

NAME = "good.test"


def SETTINGS(request):  # noqa: N802: see conftest
    made = request.getfixturevalue("certificates")
    directory = request.getfixturevalue("tmp_path_factory").mktemp("tls")
    hosts = directory / "hosts"
    hosts.write_text("127.0.0.1 good.test other.test\n")
    trusted = directory / "trusted.pem"
    trusted.write_bytes(made.ca.certificate.read_bytes())
    own = made.client("registrant")
    return {"hosts_file": str(hosts), "tls_ca_file": str(trusted), "tls_certificate_file": str(own.certificate),
            "tls_key_file": str(own.key)}


def over_tls(registrant, registrar, name=NAME, **members):
    members = {"domain": "%s:%d" % (name, registrar.tls_port), "transport": "tls", **members}
    return registrant.want(None, **members)


@pytest.fixture
def good(new_registrar, certificates):
    return new_registrar(tls=certificates.server(NAME).context())


# ---- what is right

def test_registers_over_tls(registrant, good):
    """RFC 3261 26.2.1, RFC 6066 3: TLS to the domain's server, which is told the name that is meant."""
    r = over_tls(registrant, good)
    report = r.registered()
    [q] = good.requests(r.aor)
    assert report["target"] == "tls:" + good.tls_address and "SIP/2.0/TLS" in q.header("via")
    assert q.connection.tls["server_name"] == NAME and q.connection.tls["version"] == "TLSv1.3"


def test_sips_goes_by_tls(registrant, good):
    """RFC 3261 10.2, 19.1, 26.2.2: SIPS is TLS at every hop; Request-URI, To and Contact are SIPS."""
    r = over_tls(registrant, good, scheme="sips", transport="udp", contacts=[{"uri": "sips:x@{local}"}])
    r.registered()
    [q] = good.journal
    assert q.ruri == "sips:%s:%d" % (NAME, good.tls_port) and q.to.startswith("<sips:") and q.transport == "tls"


@pytest.mark.parametrize("names", [
    {"dns": [NAME]}, {"dns": ["first.test", "GOOD.Test"]}, {"uris": ["sip:good.test"]},
    {"uris": ["sip:other.test", "sip:good.test"]}, {"common_name": NAME}])
def test_the_name_may_stand_in_any_of_its_places(registrant, new_registrar, certificates, names):
    """RFC 5922 7.1: a subjectAltName URI of scheme sip, else a dNSName; the CN where there is no subjectAltName."""
    pair = certificates.server(*names.get("dns", ()), uris=names.get("uris", ()), common_name=names.get("common_name"))
    registrar = new_registrar(tls=pair.context())
    over_tls(registrant, registrar).registered()


def test_a_chain_is_followed(registrant, new_registrar, certificates):
    """RFC 5280 6: the certificates between come with the server's own."""
    registrar = new_registrar(tls=certificates.behind_intermediate(NAME).context())
    over_tls(registrant, registrar).registered()


def test_tls_1_2_is_spoken(registrant, new_registrar, certificates):
    """RFC 8996: what is older is not to be used; 1.2 is."""
    registrar = new_registrar(tls=certificates.server(NAME).context(most="1.2"))
    over_tls(registrant, registrar).registered()
    assert registrar.connections[0].tls["version"] == "TLSv1.2"


def test_a_number_is_compared_with_addresses(registrant, new_registrar, certificates):
    """RFC 5922 knows no numbers; as RFC 6125 and HTTP have it: iPAddress. No SNI for a number (RFC 6066 3)."""
    registrar = new_registrar(tls=certificates.server(ips=["127.0.0.1"]).context())
    r = over_tls(registrant, registrar, name="127.0.0.1")
    r.registered()
    assert registrar.connections[0].tls["server_name"] is None


def test_the_client_has_a_certificate(registrant, new_registrar, certificates):
    """RFC 3261 26.3.1: mutual authentication where the registrar asks for it."""
    registrar = new_registrar(tls=certificates.server(NAME).context(clients=certificates.ca))
    over_tls(registrant, registrar).registered()
    assert registrar.connections[0].tls["client"] == "registrant"


# ---- what is wrong

BAD = {
    "another name": (lambda c: c.server("other.test"), "other.test"),
    "a wildcard": (lambda c: c.server("*.test"), r"\*\.test|not for"),
    "a part of the name": (lambda c: c.server("test"), "test"),
    "a longer name": (lambda c: c.server("x.good.test"), "x.good.test"),
    "a dNSName beside a URI of another": (lambda c: c.server(NAME, uris=["sip:other.test"]), "other.test|not for"),
    "a URI with a user part": (lambda c: c.server(uris=["sip:somebody@good.test"]), "not for"),
    "the CN beside a subjectAltName": (lambda c: c.server("other.test", common_name=NAME), "not for"),
    "the CN beside an address alone": (lambda c: c.server(ips=["127.0.0.1"], common_name=NAME), "not for"),
    "expired": (lambda c: c.expired(NAME), "expired"),
    "not yet valid": (lambda c: c.not_yet_valid(NAME), "not valid yet"),
    "an unknown authority": (lambda c: c.of_stranger(NAME), "issuer|authority|trust|self.signed"),
    "self-signed": (lambda c: c.self_signed(NAME), "signed by itself"),
    "a client's": (lambda c: c.server(NAME, usage="client"), "not for a server"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_certificate_is_told_as_that(registrant, new_registrar, certificates, kind):
    """RFC 5922 7.1 to 7.3, RFC 5280 6: not authenticated means not connected; nothing is sent, and the cause says why,
    within a second."""
    make, words = BAD[kind]
    registrar = new_registrar(tls=make(certificates).context())
    began = time.monotonic()
    r = over_tls(registrant, registrar)
    report = r.wait("retrying")
    assert time.monotonic() - began < 1
    assert report["cause"]["code"] == 503 and report["cause"]["by"] == "local"
    assert "certificate" in report["cause"]["reason"] and re.search(words, report["cause"]["reason"]), report["cause"]
    assert registrar.journal == [] and report["target"] == "tls:" + registrar.tls_address
    registrar.wait(lambda: not registrar.open_connections())


def test_a_mended_certificate_is_taken(registrant, new_registrar, certificates):
    """RFC 3261 8.1.3.1: a transport error like any other: it is tried again."""
    registrar = new_registrar(tls=certificates.expired(NAME).context())
    r = over_tls(registrant, registrar)
    r.wait("retrying")
    good = certificates.server(NAME)
    registrar.listeners[0].tls.load_cert_chain(good.certificate, good.key)
    r.registered()


def test_a_registrar_that_wants_another_client_is_told_as_that(registrant, new_registrar, certificates):
    """RFC 8446 6.2: the registrar's alert is the cause."""
    registrar = new_registrar(tls=certificates.server(NAME).context(clients=certificates.stranger))
    began = time.monotonic()
    report = over_tls(registrant, registrar).wait("retrying")
    assert time.monotonic() - began < 1 and report["cause"]["code"] == 503
    assert re.search("certificate|unknown ca|alert", report["cause"]["reason"], re.I), report["cause"]


def test_an_old_version_is_refused(registrant, new_registrar, certificates):
    """RFC 8996 2: TLS 1.0 and 1.1 must not be used."""
    registrar = new_registrar(tls=certificates.server(NAME).context(least="1.0", most="1.1"))
    began = time.monotonic()
    report = over_tls(registrant, registrar).wait("retrying")
    assert time.monotonic() - began < 1 and re.search("version|protocol", report["cause"]["reason"], re.I), report["cause"]


def test_a_least_version_of_our_own_is_kept_to(registrant, new_registrant, new_registrar, certificates):
    """A setting: 1.3 refuses what is as old as 1.2 (RFC 8446 4.2.1: the versions that are offered)."""
    strict = new_registrant(**{**{k: v for k, v in registrant.settings.items() if k != "policy"}, "tls_min_version": "1.3"})
    old = new_registrar(tls=certificates.server(NAME).context(most="1.2"))
    report = over_tls(strict, old).wait("retrying")
    assert re.search("version|protocol", report["cause"]["reason"], re.I), report["cause"]
    over_tls(strict, new_registrar(tls=certificates.server(NAME).context())).registered()


def test_tls_over_ipv6(new_registrant, registrant, new_registrar, certificates, tmp_path):
    """RFC 3261 19.1.1, RFC 5922: the family is none of the certificate's business."""
    hosts = tmp_path / "hosts"
    hosts.write_text("::1 good.test\n")
    settings = {k: v for k, v in registrant.settings.items() if k != "policy"}
    six = new_registrant(**{**settings, "listen": "[::1]", "hosts_file": str(hosts)})
    registrar = new_registrar(host="::1", tls=certificates.server(NAME).context())
    assert over_tls(six, registrar).registered()["target"] == "tls:" + registrar.tls_address
    assert "SIP/2.0/TLS [::1]:" in registrar.journal[0].header("via")


def test_a_server_that_speaks_no_tls_is_told_at_once(registrant, new_registrar):
    """RFC 8446 5.1: what is no record is no TLS."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            connection.recv(65536)

    threading.Thread(target=answer, daemon=True).start()
    began = time.monotonic()
    r = registrant.want(None, domain="%s:%d" % (NAME, listener.getsockname()[1]), transport="tls")
    report = r.wait("retrying")
    assert time.monotonic() - began < 1 and report["cause"]["code"] == 503 and report["cause"]["by"] == "local"
    listener.close()


def test_a_server_that_says_nothing_is_a_failure_in_time(registrant):
    """RFC 3261 17.1.2.2: timer F counts the handshake, too."""
    listener = socket.create_server(("127.0.0.1", 0))
    r = registrant.want(None, domain="%s:%d" % (NAME, listener.getsockname()[1]), transport="tls")
    report = r.wait("retrying")
    assert report["cause"]["code"] in (408, 503) and report["cause"]["by"] == "local"
    listener.close()


# ---- sessions

def test_one_session_serves_all_of_a_domain_and_no_other(registrant, new_registrar, certificates):
    """RFC 5922 4, RFC 5626 4.3: a connection is for the domain that its certificate was checked against."""
    registrar = new_registrar(tls=certificates.server(NAME, "other.test").context())
    made = [over_tls(registrant, registrar, name=name) for name in [NAME, "other.test"] * 5]
    for r in made:
        r.registered()
    names = [c.tls["server_name"] for c in registrar.connections]
    assert sorted(names) == [NAME, "other.test"]
    assert {(q.connection.tls["server_name"], q.ruri.partition(":")[2].partition(":")[0]) for q in registrar.journal} == {
        (NAME, NAME), ("other.test", "other.test")}


@pytest.mark.parametrize("how", ["notify", "fin", "rst"])
def test_a_session_that_ended_idle_is_made_again(registrant, good, how):
    """RFC 8446 6.1: close_notify or the end of the stream; the next request makes another session."""
    r = over_tls(registrant, good)
    r.registered()
    registrant.see_lost(lambda: good.connections[0].close(how))
    r.command("refresh")
    r.wait("registered", revision=2)
    assert len(good.connections) == 2 and all(x["state"] == "registered" for x in r.reports)


@pytest.mark.parametrize("how", ["notify", "fin", "rst"])
def test_a_session_that_ends_in_place_of_an_answer_is_a_transport_error(registrant, good, how):
    """RFC 3261 8.1.3.1, 18.4."""
    r = registrant.prepare(None, domain="%s:%d" % (NAME, good.tls_port), transport="tls")
    good.script(r.aor, [{"status": None, "close": how}])
    began = time.monotonic()
    r.send()
    report = r.wait("retrying")
    assert report["cause"]["code"] == 503 and time.monotonic() - began < 1
    r.registered()


@pytest.mark.parametrize("segment", [1, 50])
def test_answers_come_in_many_records(registrant, good, segment):
    """RFC 8446 5.1: records are no messages."""
    r = registrant.prepare(None, domain="%s:%d" % (NAME, good.tls_port), transport="tls")
    good.script(r.aor, [{"segment": segment}])
    r.send()
    r.registered()


def test_authentication_over_tls(registrant, new_registrar, certificates):
    """RFC 3261 22, 26: the digest's URI is the Request-URI, whatever carries it."""
    registrar = new_registrar(tls=certificates.server(NAME).context(), digest=new_digest(algorithms=["SHA-256"]))
    r = over_tls(registrant, registrar)
    r.registered()
    assert [q.auth_result for q in registrar.requests(r.aor)] == [None, "ok"]


# ---- reload

def test_trust_is_read_again_when_it_is_told_to(registrant, new_registrar, certificates):
    """Files are read again on a reload; sessions that stand are left alone."""
    trusted = pathlib.Path(registrant.settings["tls_ca_file"])
    kept = trusted.read_bytes()
    registrar = new_registrar(tls=certificates.of_stranger(NAME).context())
    r = over_tls(registrant, registrar)
    r.wait("retrying")
    try:
        trusted.write_bytes(kept + certificates.stranger.certificate.read_bytes())
        registrant.send({"reload": True})
        r.registered()
        trusted.write_bytes(b"no certificate")  # a bad file changes nothing
        registrant.send({"reload": True})
        registrant.see_lost(lambda: registrar.connections[-1].close("fin"))
        r.command("refresh")
        r.wait("registered", revision=2)
    finally:
        trusted.write_bytes(kept)
        registrant.send({"reload": True})
