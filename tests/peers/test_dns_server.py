"""The DNS server of the tests: what it is told is what it says."""

import time

import dnslib
import pytest

from dns_server import DnsServer


@pytest.fixture(scope="module")
def server():
    with DnsServer() as d:
        yield d


def ask(server, name, kind, tcp=False, timeout=5):
    data = dnslib.DNSRecord.question(name, kind).send(server.host, server.port, tcp=tcp, timeout=timeout)
    return dnslib.DNSRecord.parse(data)


def test_records_of_every_kind_with_their_ttl_and_their_changes(server):
    server.set("a.test", "NAPTR", (10, 50, "s", "SIP+D2U", "", "_sip._udp.a.test"), ttl=7)
    server.set("_sip._udp.a.test", "SRV", (1, 2, 5060, "h.a.test"), (2, 0, 5061, "i.a.test"))
    server.set("h.a.test", "A", "127.0.0.1", "127.0.0.2")
    server.set("h.a.test", "AAAA", "::1")
    server.set("alias.test", "CNAME", "h.a.test")
    [naptr] = ask(server, "a.test", "NAPTR").rr
    assert naptr.ttl == 7 and str(naptr.rdata) == '10 50 "s" "SIP+D2U" "" _sip._udp.a.test.'
    assert [str(rr.rdata) for rr in ask(server, "_sip._udp.a.test", "SRV").rr] == ["1 2 5060 h.a.test.", "2 0 5061 i.a.test."]
    assert [str(rr.rdata) for rr in ask(server, "H.A.TEST", "AAAA").rr] == ["::1"]
    assert [str(rr.rdata) for rr in ask(server, "alias.test", "A").rr] == ["h.a.test.", "127.0.0.1", "127.0.0.2"]
    server.set("h.a.test", "A", "127.0.0.3")
    assert [str(rr.rdata) for rr in ask(server, "h.a.test", "A").rr] == ["127.0.0.3"]
    assert server.count("h.a.test", "A") == 1 and server.count("h.a.test") == 2


def test_what_does_not_exist_and_what_has_no_such_record(server):
    server.set("b.test", "A", "127.0.0.1")
    assert ask(server, "b.test", "AAAA").header.rcode == dnslib.RCODE.NOERROR
    server.remove("b.test")
    assert ask(server, "b.test", "A").header.rcode == dnslib.RCODE.NXDOMAIN


def test_faults(server):
    server.set("c.test", "A", "127.0.0.1")
    for fault, code in (("servfail", dnslib.RCODE.SERVFAIL), ("refused", dnslib.RCODE.REFUSED)):
        server.fail("c.test", fault)
        assert ask(server, "c.test", "A").header.rcode == code
    server.fail("c.test", "garbage")
    with pytest.raises(dnslib.DNSError):
        ask(server, "c.test", "A")
    server.fail("c.test", "silence")
    with pytest.raises(TimeoutError):
        ask(server, "c.test", "A", timeout=0.05)
    server.fail("c.test", "truncated")
    assert ask(server, "c.test", "A").header.tc == 1 and len(ask(server, "c.test", "A", tcp=True).rr) == 1
    server.fail("c.test", None)
    assert len(ask(server, "c.test", "A").rr) == 1


def test_a_long_answer_is_truncated_but_over_tcp(server):
    server.set("d.test", "A", *["127.0.1.%d" % n for n in range(100)])
    cut, whole = ask(server, "d.test", "A"), ask(server, "d.test", "A", tcp=True)
    assert cut.header.tc == 1 and cut.rr == [] and str(cut.q.qname) == "d.test."
    assert whole.header.tc == 0 and len(whole.rr) == 100


def test_who_says_so_gets_a_larger_datagram(server):
    server.set("f.test", "A", *["127.0.1.%d" % n for n in range(60)])
    query = dnslib.DNSRecord.question("f.test", "A")
    query.add_ar(dnslib.EDNS0(udp_len=1400))
    answer = dnslib.DNSRecord.parse(query.send(server.host, server.port, timeout=5))
    assert answer.header.tc == 0 and len(answer.rr) == 60 and answer.ar


def test_delay(server):
    server.set("e.test", "A", "127.0.0.1")
    server.delay = 0.1
    before = time.monotonic()
    assert len(ask(server, "e.test", "A").rr) == 1 and time.monotonic() - before >= 0.1
    server.delay = 0.0


def test_its_resolv_conf(server, tmp_path):
    text = server.write_resolv_conf(tmp_path / "r").read_text()
    assert text.splitlines() == ["nameserver 127.0.0.1", "port %d" % server.port, "options timeout:1 attempts:1"]
