"""Where to send: RFC 3263 and RFC 2782, against a DNS server and several registrars on loopback."""

import itertools
import os
import time

import pytest

from registrar import Registrar

DNS_TTL_S = 1
_numbers = itertools.count(1)


def SETTINGS(request):  # noqa: N802: see conftest
    directory = request.getfixturevalue("tmp_path_factory").mktemp("dns")
    hosts = directory / "hosts"
    hosts.write_text("127.0.0.1 in-the-hosts-file.test\n")
    resolv_conf = request.getfixturevalue("dns").write_resolv_conf(directory / "resolv.conf")
    return {"hosts_file": str(hosts), "resolv_conf": str(resolv_conf)}


@pytest.fixture
def name():
    """A domain that no other test asks for: nothing of it is remembered."""
    return "d%d.test" % next(_numbers)


@pytest.fixture
def two(new_registrar):
    """A registrar with two addresses."""
    registrar = new_registrar()
    registrar.listen("127.0.0.1")
    return registrar


def at(registrant, name, **members):
    return registrant.want(None, **{"domain": name, **members})


def srv(dns, name, *targets, transport="udp", ttl=60):
    """targets: (priority, weight, Listener)."""
    label = "_sips._tcp." if transport == "tls" else "_sip._%s." % transport
    records = []
    for number, (priority, weight, listener) in enumerate(targets):
        host = "h%d.%s" % (number, name)
        dns.set(host, "AAAA" if ":" in listener.host else "A", listener.host, ttl=ttl)
        records.append((priority, weight, listener.tls_port if transport == "tls" else listener.port, host))
    dns.set(label + name, "SRV", *records, ttl=ttl)


def reached(registrar, r):
    """Which listener each REGISTER came to."""
    return [registrar.listeners.index(q.listener) for q in registrar.requests(r.aor)]


FAULTS = ["servfail", "refused", "silence", "garbage"]


@pytest.fixture(scope="module", autouse=True)
def failed(registrant, dns):
    """By fault: a registration whose name could not be looked up once. A failure is remembered for ten seconds, so they are
    started first and looked at last."""
    registrar = Registrar().start()
    made = {fault: registrant.prepare(None, kept=True, domain="%s.test:%d" % (fault, registrar.port)) for fault in FAULTS}
    for fault, r in made.items():
        dns.set(fault + ".test", "A", registrar.host)
        dns.fail(fault + ".test", fault)
        r.send()
    for fault, r in made.items():
        r.wait("retrying")
        dns.fail(fault + ".test", None)
    yield made
    for r in made.values():
        r.forget()
    registrar.stop()


# ---- which records

def test_srv_tells_host_and_port(registrant, dns, registrar, name):
    """RFC 3263 4.2: without a number and a port SRV is asked, for UDP where nothing else is said."""
    srv(dns, name, (1, 0, registrar.listeners[0]))
    r = at(registrant, name)
    assert r.registered()["target"] == "udp:" + registrar.address
    assert registrar.requests(r.aor)[0].ruri == "sip:" + name


@pytest.mark.parametrize("given", [{"transport": "tcp"}, {"registrar": "sip:%s;transport=tcp"}])
def test_a_transport_that_is_given_is_kept_to(registrant, dns, registrar, name, given):
    """RFC 3263 4.1: with a transport NAPTR is not asked, but the SRV of that transport."""
    srv(dns, name, (1, 0, registrar.listeners[0]), transport="tcp")
    r = at(registrant, name, **{key: value.replace("%s", name) for key, value in given.items()})
    assert r.registered()["target"] == "tcp:" + registrar.address
    assert dns.count(name, "NAPTR") == 0 and dns.count("_sip._udp." + name) == 0


def test_naptr_chooses_the_transport(registrant, dns, registrar, name):
    """RFC 3263 4.1: by order, then preference; services that cannot be had are left out; flag s leads to SRV."""
    dns.set(name, "NAPTR", (20, 10, "s", "SIP+D2U", "", "_sip._udp." + name),
            (10, 20, "s", "SIP+D2T", "", "_other._tcp." + name), (10, 10, "s", "SIP+D2S", "", "_sip._sctp." + name),
            (5, 10, "s", "E2U+sip", "", "_enum." + name))
    dns.set("_other._tcp." + name, "SRV", (1, 0, registrar.port, "h0." + name))
    srv(dns, name, (1, 0, registrar.listeners[0]))
    r = at(registrant, name)
    assert r.registered()["target"] == "tcp:" + registrar.address


def test_a_port_asks_for_addresses_alone(registrant, dns, registrar, name):
    """RFC 3263 4.2: with a port neither NAPTR nor SRV is asked."""
    dns.set(name, "A", registrar.host)
    r = at(registrant, "%s:%d" % (name, registrar.port))
    r.registered()
    assert dns.count(name, "A") == 1 and dns.count(name, "NAPTR") == 0 and dns.count("_sip._udp." + name) == 0


def test_a_number_asks_for_nothing(registrant, dns, registrar):
    """RFC 3263 4.1, 4.2."""
    before = dns.count()
    at(registrant, registrar.address).registered()
    assert dns.count() == before


def test_without_srv_it_is_the_name_itself_at_the_default_port(registrant, dns, new_registrar, name):
    """RFC 3263 4.2: A and AAAA of the name, port 5060."""
    host = "127.%d.%d.60" % (64 + os.getpid() % 64, os.getpid() // 64 % 250 + 1)
    registrar = new_registrar(host=host, port=5060)
    dns.set(name, "A", host)
    assert at(registrant, name).registered()["target"] == "udp:%s:5060" % host
    assert registrar.journal


def test_an_alias_is_followed(registrant, dns, registrar, name):
    """RFC 1034 3.6.2."""
    dns.set(name, "CNAME", "canonical." + name)
    dns.set("canonical." + name, "A", registrar.host)
    at(registrant, "%s:%d" % (name, registrar.port)).registered()


def test_the_hosts_file_goes_before_dns(registrant, dns, registrar):
    """As every resolver of the system has it."""
    at(registrant, "in-the-hosts-file.test:%d" % registrar.port).registered()
    assert dns.count("in-the-hosts-file.test") == 0


def test_the_registrar_of_a_registration_is_resolved_and_its_domain_is_not(registrant, dns, registrar, name):
    """RFC 3261 8.1.2: the next hop's URI is what RFC 3263 is applied to."""
    srv(dns, name, (1, 0, registrar.listeners[0]))
    r = registrant.want(None, domain="nowhere.test", registrar="sip:" + name)
    r.registered()
    assert dns.count("nowhere.test") == 0 and registrar.requests(r.aor)[0].ruri == "sip:nowhere.test"


def test_an_answer_too_long_for_a_datagram(registrant, dns, registrar, name):
    """RFC 1035 4.2.1, RFC 7766 5: truncated over UDP; whole over TCP, or by a larger datagram."""
    dns.set("_sip._udp." + name, "SRV", *[(n, 0, registrar.port, "h%02d.%s" % (n, name)) for n in range(30)])
    for n in range(30):
        dns.set("h%02d.%s" % (n, name), "A", registrar.host)
    at(registrant, name).registered()


# ---- order and weight

def test_priorities_are_kept_to(registrant, dns, two, name):
    """RFC 2782: the lowest priority that can be reached."""
    srv(dns, name, (2, 100, two.listeners[0]), (1, 0, two.listeners[1]))
    made = [at(registrant, name) for _ in range(10)]
    for r in made:
        r.registered()
        assert reached(two, r) == [1]


def test_weights_share_registrations_out(registrant, dns, two, name):
    """RFC 2782: in proportion to their weights."""
    srv(dns, name, (1, 30, two.listeners[0]), (1, 10, two.listeners[1]))
    made = [at(registrant, name) for _ in range(80)]
    for r in made:
        r.registered()
    heavy = sum(reached(two, r) == [0] for r in made)
    assert 45 <= heavy <= 75, heavy


def test_a_registration_stays_where_it_is(registrant, dns, two, name):
    """RFC 3261 10.2.4: a refresh should go to the same address as the registration."""
    srv(dns, name, (1, 10, two.listeners[0]), (1, 10, two.listeners[1]))
    made = [at(registrant, name) for _ in range(8)]
    for r in made:
        r.registered()
        for revision in (2, 3):
            r.command("refresh")
            r.wait("registered", revision=revision)
        assert len(set(reached(two, r))) == 1


# ---- failover

@pytest.mark.parametrize("fault", ["unreachable", "503", "silence"])
def test_the_next_target_is_tried_in_the_same_attempt(registrant, dns, two, name, fault):
    """RFC 3263 4.3: on a transport error, a 503 and a time-out without any answer the next target gets the request, as a
    new transaction."""
    srv(dns, name, (1, 0, two.listeners[0]), (2, 0, two.listeners[1]))
    if fault == "unreachable":
        two.listeners[0].close("udp")
    elif fault == "503":
        two.listeners[0].always = 503
    else:
        two.listeners[0].silent = True
    r = at(registrant, name)
    report = r.registered()
    assert report["target"] == "udp:" + two.listeners[1].address and "attempt" not in report
    assert [x["state"] for x in r.reports] == ["registered"]
    sent = two.requests(r.aor)
    assert len({q.message.branch for q in sent}) == len(sent) and len({q.call_id for q in sent}) == 1
    assert [q.cseq for q in sent] == sorted({q.cseq for q in sent})


def test_a_refused_connection_leads_to_the_next_target(registrant, dns, two, name):
    """RFC 3263 4.3, for a stream."""
    srv(dns, name, (1, 0, two.listeners[0]), (2, 0, two.listeners[1]), transport="tcp")
    two.listeners[0].close("tcp")
    r = at(registrant, name, transport="tcp")
    assert r.registered()["target"] == "tcp:" + two.listeners[1].address
    assert [x["state"] for x in r.reports] == ["registered"]


@pytest.mark.parametrize("status", [500, 480, 408, 403, 600])
def test_other_answers_are_no_reason_for_another_target(registrant, dns, two, name, status):
    """RFC 3263 4.3: only 503, transport errors and time-outs without an answer are."""
    srv(dns, name, (1, 0, two.listeners[0]), (2, 0, two.listeners[1]))
    two.listeners[0].always = status
    r = at(registrant, name)
    assert r.wait_cause(status)["state"] in ("retrying", "rejected")
    assert reached(two, r) == [0]


def test_a_time_out_after_a_provisional_answer_is_no_reason_either(registrant, dns, two, name):
    """RFC 3263 4.3: the server is there."""
    srv(dns, name, (1, 0, two.listeners[0]), (2, 0, two.listeners[1]))
    two.listeners[0].always = {"provisional": [100], "hold": True}
    r = at(registrant, name)
    assert r.wait("retrying")["cause"]["code"] == 408
    assert 1 not in reached(two, r)


def test_what_failed_is_set_aside_for_a_time(registrant, dns, two, name):
    """RFC 3263 4.3 and RFC 3261 21.5.4: other requests do not run into it one by one."""
    srv(dns, name, (1, 0, two.listeners[0]), (2, 0, two.listeners[1]))
    two.listeners[0].always = 503
    at(registrant, name).registered()
    asked = len([q for q in two.journal if q.listener is two.listeners[0]])
    made = [at(registrant, name) for _ in range(5)]
    for r in made:
        r.registered()
        assert reached(two, r) == [1]
    assert len([q for q in two.journal if q.listener is two.listeners[0]]) == asked


def test_when_all_fail_it_is_a_failure_and_tried_again(registrant, dns, two, name):
    """RFC 3263 4.3, RFC 3261 8.1.3.1: the last target's answer is the outcome."""
    srv(dns, name, (1, 0, two.listeners[0]), (2, 0, two.listeners[1]))
    for listener in two.listeners:
        listener.close("udp")
    r = at(registrant, name)
    report = r.wait("retrying")
    assert report["cause"]["code"] == 503 and report["cause"]["by"] == "local" and report["attempt"] == 1
    for listener in two.listeners:
        listener.open("udp")
    r.registered()


# ---- time

def test_answers_live_as_long_as_their_ttl(registrant, dns, registrar, name):
    """RFC 3263 3, RFC 1035 3.2.1: not asked again before."""
    srv(dns, name, (1, 0, registrar.listeners[0]), ttl=600)
    r = at(registrant, name)
    r.registered()
    for revision in (2, 3, 4):
        r.command("refresh")
        r.wait("registered", revision=revision)
    for _ in range(3):
        at(registrant, name).registered()
    assert dns.count("_sip._udp." + name) == 1 and dns.count("h0." + name) <= 2


def test_a_registrar_that_changes_its_address_is_followed(registrant, dns, two, name):
    """RFC 3263 3: when the TTL is over it is asked again; registrations move, gently, without a failure."""
    srv(dns, name, (1, 0, two.listeners[0]), ttl=DNS_TTL_S)
    made = [at(registrant, name) for _ in range(10)]
    for r in made:
        r.registered()
    srv(dns, name, (1, 0, two.listeners[1]), ttl=DNS_TTL_S)
    for r in made:
        two.wait(lambda r=r: reached(two, r)[-1] == 1, 8)
    assert all(reached(two, r) == [0, 1] for r in made)
    for r in made:
        assert all(x["state"] == "registered" for x in r.reports)


def test_another_order_of_the_same_is_no_change(registrant, dns, two, name):
    """RFC 2782: records of one name have no order."""
    host = "h." + name
    records = [(1, 10, listener.port, host) for listener in two.listeners]
    dns.set(host, "A", "127.0.0.1", ttl=DNS_TTL_S)
    dns.set("_sip._udp." + name, "SRV", *records, ttl=DNS_TTL_S)
    r = at(registrant, name)
    r.registered()
    dns.set("_sip._udp." + name, "SRV", *reversed(records), ttl=DNS_TTL_S)
    asked = dns.count("_sip._udp." + name)
    two.wait(lambda: dns.count("_sip._udp." + name) > asked, 12)
    with pytest.raises(TimeoutError):
        two.wait(lambda: len(two.requests(r.aor)) > 1, 1.5)  # over move_over_s


# ---- DNS that fails

def test_a_name_that_does_not_exist_is_told_at_once(registrant, dns, name):
    """RFC 3261 8.1.3.1: nowhere to send is a transport error, 503; the cause names what was asked."""
    began = time.monotonic()
    report = at(registrant, name).wait("retrying")
    assert time.monotonic() - began < 1 and report["cause"]["code"] == 503 and report["cause"]["by"] == "local"
    assert name in report["cause"]["reason"]


def test_a_dns_that_fails_later_leaves_what_is_known_in_use(registrant, dns, registrar, name):
    """RFC 8767 is the reason: a registrar that answers is not lost because DNS does not."""
    srv(dns, name, (1, 0, registrar.listeners[0]), ttl=DNS_TTL_S)
    r = at(registrant, name)
    r.registered()
    for each in ("_sip._udp." + name, "h0." + name, name):
        dns.fail(each, "servfail")
    asked = dns.count("_sip._udp." + name)
    registrar.wait(lambda: dns.count("_sip._udp." + name) > asked, 8)
    r.command("refresh")
    r.wait("registered", revision=2)
    assert all(x["state"] == "registered" for x in r.reports)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_dns_that_fails_is_told_and_tried_again(failed, fault):
    """RFC 3263 4.3, RFC 3261 8.1.3.1; RFC 2308 7: a failure is remembered for a while, too."""
    r = failed[fault]
    report = r.reports[0]
    assert report["state"] == "retrying" and report["cause"]["by"] == "local" and report["cause"]["code"] == 503
    assert "DNS" in report["cause"]["reason"]
    r.registered(seconds=20)
