"""ROLLCALL_SIP_ALLOW and ROLLCALL_SIP_DENY: whatever names the way, nothing leaves towards an address that may not be sent to."""
import itertools

import pytest

from registrar import Registrar

INSIDE, EXCEPTION = "127.0.0.66", "127.0.0.67"  # of a network that is denied; one of it that is allowed all the same
REFUSAL = f"address {INSIDE} is not allowed (ROLLCALL_SIP_DENY)"
_numbers = itertools.count(1)


def SETTINGS(request):  # noqa: N802: see conftest
    directory = request.getfixturevalue("tmp_path_factory").mktemp("networks")
    resolv_conf = request.getfixturevalue("dns").write_resolv_conf(directory / "resolv.conf")
    return {"listen": "127.0.0.1,[::1]", "resolv_conf": str(resolv_conf), "deny": "127.0.0.64/26, fe80::/10",
            "allow": f"{EXCEPTION}, 127.0.0.0/8, ::1"}


@pytest.fixture
def inside(new_registrar):
    return new_registrar(host=INSIDE)


@pytest.fixture
def name():
    return f"n{next(_numbers)}.test"


def refused(r, registrar, cause=REFUSAL, since=0):
    """It is told, asked again only slowly, and nothing arrived: no message, no connection."""
    report = r.wait("rejected", since=since)
    assert (report["cause"]["reason"], report["cause"]["by"]) == (cause, "local")
    assert not registrar.requests(r.aor) and not registrar.connections
    return report


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_denied_address_is_not_sent_to(registrant, inside, transport):
    report = refused(registrant.want(inside, transport=transport), inside)
    assert report["next_in_ms"] > 60000


def test_the_longest_prefix_decides(registrant, new_registrar):
    exception = new_registrar(host=EXCEPTION)
    registrant.want(exception).registered()


def test_what_is_in_no_network_that_is_allowed_is_not_sent_to(registrant):
    r = registrant.want(None, domain="192.0.2.1:5060")
    assert r.wait("rejected")["cause"]["reason"] == "address 192.0.2.1 is not allowed (ROLLCALL_SIP_ALLOW)"


def test_an_ipv4_address_in_ipv6_clothes_is_the_same(registrant, inside):
    r = registrant.want(None, domain=f"[::ffff:{INSIDE}]:{inside.port}")
    report = r.wait("rejected")
    assert report["cause"]["reason"].endswith("is not allowed (ROLLCALL_SIP_DENY)") and not inside.requests(r.aor)


@pytest.mark.parametrize("way", ["registrar", "route"])
def test_neither_a_next_hop_nor_a_route_leads_there(registrant, registrar, inside, way):
    members = {"registrar": f"sip:{inside.address}"} if way == "registrar" else {"route_set": [f"<sip:{inside.address};lr>"]}
    refused(registrant.want(None, domain=registrar.address, **members), inside)
    assert not registrar.journal


def test_no_redirection_leads_there(registrant, registrar, inside):
    registrar.script(None, [{"status": 302, "headers": {"Contact": f"<sip:{inside.address}>"}}], repeat=True)
    refused(registrant.want(registrar), inside)


def test_the_next_contact_of_a_redirection_is_asked(registrant, registrar, inside, new_registrar):
    other = new_registrar()
    registrar.script(None, [{"status": 302, "headers": {
        "Contact": f"<sip:{inside.address}>;q=1.0, <sip:{other.address}>;q=0.5"}}], repeat=True)
    registrant.want(registrar).registered()
    assert other.journal and not inside.journal


def test_among_the_addresses_of_a_name_it_is_passed_over(registrant, registrar, inside, dns, name):
    dns.set(f"inside.{name}", "A", INSIDE)
    dns.set(f"outside.{name}", "A", "127.0.0.1")
    dns.set(f"_sip._udp.{name}", "SRV", (1, 1, inside.port, f"inside.{name}"), (2, 1, registrar.port, f"outside.{name}"))
    r = registrant.want(None, domain=name)
    r.registered()
    assert not inside.journal


def test_a_registrar_that_fails_is_not_replaced_by_it(registrant, registrar, inside, dns, name):
    dns.set(f"inside.{name}", "A", INSIDE)
    dns.set(f"outside.{name}", "A", "127.0.0.1")
    dns.set(f"_sip._udp.{name}", "SRV", (1, 1, registrar.port, f"outside.{name}"), (2, 1, inside.port, f"inside.{name}"))
    registrar.script(None, ["drop"], repeat=True)
    r = registrant.want(None, domain=name)
    assert r.wait("retrying")["cause"]["code"] == 408
    assert not inside.journal


def test_a_name_that_is_rebound_to_it_is_refused_when_it_is_used(registrant, inside, dns, name):
    """DNS rebinding: checked is the address that is sent to, at each request, and not what a name once was."""
    dns.set(name, "A", "127.0.0.1", ttl=1)
    outside = f"{name}:{inside.port}"
    with Registrar(port=inside.port, host="127.0.0.1") as first:
        r = registrant.want(None, domain=outside)
        r.registered()
        dns.set(name, "A", INSIDE, ttl=1)

        def is_refused():
            since = len(r.reports)
            r.command("refresh")
            return r.wait(None, since=since, revision=r.revision)["state"] == "rejected"

        assert first.wait(is_refused, 15)
    assert not inside.journal and r.report["cause"]["reason"] == REFUSAL
