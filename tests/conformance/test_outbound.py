"""Flows and what rests on instances: RFC 5626, RFC 5627 and RFC 6140."""

import itertools
import time

import pytest

from registrar import Registrar

INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-%012x>"'
_numbers = itertools.count(1)
SUPPORTS = ["outbound", "path", "gruu", "gin"]


def contact():
    """A contact of an instance of its own, with reg-id 1."""
    return {"uri": "<sip:x@{local}>;reg-id=1;" + INSTANCE % next(_numbers)}


def keeping(new_registrar, **options):
    return new_registrar(supports=SUPPORTS, **options)


def pings(registrar, kind):
    return [p for p in registrar.pings if p.kind == kind]


# ---- what takes seconds: started first, looked at last. A Flow-Timer below PACE_S is not followed (transport.c).

PACE_S = 5


class Kept:
    """Registrations at a registrar of their own that keeps flows, and asks to be pinged at PACE_S."""

    def __init__(self, registrant, count=1, **members):
        self.registrar = Registrar(supports=SUPPORTS, flow_timer=PACE_S).start()
        self.registrations = [registrant.prepare(self.registrar, kept=True, contacts=[contact()], **members)
                              for _ in range(count)]
        self.registration = self.registrations[0]

    def send(self):
        for r in self.registrations:
            r.send()
        return self

    def end(self):
        for r in self.registrations:
            r.forget()
        self.registrar.stop()


@pytest.fixture(scope="module", autouse=True)
def kept(registrant):
    made = {"unanswered": Kept(registrant, transport="tcp"), "stream": Kept(registrant, transport="tcp"),
            "datagrams": Kept(registrant), "many": Kept(registrant, count=10), "mapped": Kept(registrant)}
    made["unanswered"].registrar.pong = False
    for each in made.values():
        each.send()
    yield made
    for each in made.values():
        each.end()


# ---- registering

@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_instance_and_reg_id_ask_for_outbound(registrant, new_registrar, transport):
    """RFC 5626 4.2.1: Supported has outbound and path; the answer's Require: outbound says that it is done."""
    registrar = keeping(new_registrar)
    r = registrant.want(registrar, transport=transport, contacts=[contact()])
    report = r.registered()
    [q] = registrar.requests(r.aor)
    assert {"outbound", "path", "gruu"} <= set(q.message.tags("supported")) and report["outbound"] is True
    assert q.contacts[0].params["reg-id"] == "1" and "+sip.instance" in q.contacts[0].params


def test_without_require_outbound_it_is_an_ordinary_binding(registrant, new_registrar):
    """RFC 5626 4.2.1, 6: no keep-alive is expected of a registrar that does not say so."""
    registrar = new_registrar()
    r = registrant.prepare(registrar, transport="tcp", contacts=[contact()])
    registrar.script(r.aor, [{"headers": {"Flow-Timer": "5"}}])
    r.send()
    report = r.registered()
    assert "outbound" not in report and "flow_timer_s" not in report


def test_without_an_instance_nothing_is_asked_for(registrant, new_registrar):
    """RFC 5626 4.2.1: outbound is for who has both; path alone is always supported (RFC 3327 5.1)."""
    registrar = keeping(new_registrar)
    r = registrant.want(registrar)
    r.registered()
    assert registrar.requests(r.aor)[0].message.tags("supported") == ["path"]


def test_our_binding_is_the_one_of_our_instance_and_reg_id(registrant, new_registrar):
    """RFC 5626 6: the URI is not compared; behind a NAT it may be another."""
    registrar = keeping(new_registrar, alter=lambda binding, text: text.replace("127.0.0.1", "198.51.100.7", 1))
    r = registrant.want(registrar, contacts=[contact()])
    assert r.registered()["granted_s"] == 600


def test_439_is_asked_again_without_outbound(registrant, new_registrar):
    """RFC 5626 4.2.1, 11.6: the first hop lacks outbound support; an ordinary registration may be made, and later ones
    begin so."""
    registrar = keeping(new_registrar, first_hop_outbound=False)
    r = registrant.want(registrar, contacts=[contact()])
    report = r.registered()
    assert "outbound" not in report
    assert [q.answer.status for q in registrar.requests(r.aor)] == [439, 200]
    last = registrar.requests(r.aor)[-1]
    assert "outbound" not in last.message.tags("supported") and "reg-id" not in last.contacts[0].params
    r.command("refresh")
    r.wait("registered", revision=2)
    assert [q.answer.status for q in registrar.requests(r.aor)] == [439, 200, 200]


def test_removal_names_the_same_flow(registrant, new_registrar):
    """RFC 5626 4.2.2: with instance and reg-id, on the same connection."""
    registrar = keeping(new_registrar)
    r = registrant.want(registrar, transport="tcp", contacts=[contact()])
    r.registered()
    r.remove()
    assert r.wait("unregistered")["removed"] == "answered" and registrar.bindings(r.aor) == []
    first, last = registrar.requests(r.aor)
    assert first.connection is last.connection
    assert first.contacts[0].params["+sip.instance"] == last.contacts[0].params["+sip.instance"]


# ---- lost connections

@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_lost_connection_is_registered_anew(registrant, new_registrar, how):
    """RFC 5626 4.5: at once or paced, over a new flow, with the same instance, reg-id and Call-ID."""
    registrar = keeping(new_registrar)
    r = registrant.want(registrar, transport="tcp", contacts=[contact()])
    r.registered()
    registrar.connections[0].close(how)
    registrar.wait(lambda: len(registrar.requests(r.aor)) == 2, 6)
    first, second = registrar.requests(r.aor)
    assert first.call_id == second.call_id and first.connection is not second.connection
    assert first.contacts[0].params == second.contacts[0].params and len(registrar.bindings(r.aor)) == 1
    assert all(x["state"] == "registered" for x in r.reports)


def test_what_a_lost_connection_carried_is_sent_again_paced(registrant, new_registrar):
    """RFC 5626 4.5 asks not to come back all at once."""
    registrar = keeping(new_registrar)
    made = [registrant.want(registrar, transport="tcp", contacts=[contact()]) for _ in range(30)]
    for r in made:
        r.registered()
    lost = time.monotonic()
    registrar.connections[0].close("fin")
    registrar.wait(lambda: len(registrar.requests()) == 60, 8)
    again = sorted(q.time - lost for q in registrar.requests()[30:])
    assert again[-1] - again[0] > 0.3 and len(registrar.connections) == 2


# ---- GRUU

def test_gruus_are_reported(registrant, new_registrar):
    """RFC 5627 4.2: public and temporary, of our own contact, as they came."""
    registrar = keeping(new_registrar)
    r = registrant.prepare(registrar, contacts=[contact()])
    registrar.bind(r.aor, "sip:other@192.0.2.77", **{"pub-gruu": '"sip:not@ours;gr=x"'})
    r.send()
    report = r.registered()
    assert report["pub_gruu"].startswith(r.aor + ";gr=urn:uuid:") and report["temp_gruu"].startswith("sip:tgruu.")
    before = report["temp_gruu"]
    r.command("refresh")
    assert r.wait("registered", revision=2)["temp_gruu"] != before
    assert all("gruu=" not in c.text for q in registrar.requests(r.aor) for c in q.contacts)


def test_an_instance_without_reg_id_asks_for_gruus_alone(registrant, new_registrar):
    """RFC 5627 4.1: gruu in Supported with an instance; RFC 5626 4.2.1: outbound with a reg-id, too."""
    registrar = keeping(new_registrar)
    r = registrant.want(registrar, contacts=[{"uri": "<sip:x@{local}>;" + INSTANCE % next(_numbers)}])
    r.registered()
    tags = registrar.requests(r.aor)[0].message.tags("supported")
    assert "gruu" in tags and "outbound" not in tags


# ---- GIN

def test_a_bulk_contact_asks_for_gin(registrant, new_registrar):
    """RFC 6140 5.1: gin in Require and Proxy-Require, path in Supported, a Contact with bnc and without a user part."""
    registrar = keeping(new_registrar)
    r = registrant.want(registrar, contacts=[{"uri": "<sip:{local};bnc>"}])
    r.registered()
    [q] = registrar.requests(r.aor)
    assert q.message.tags("require") == ["gin"] and q.message.tags("proxy-require") == ["gin"]
    assert "path" in q.message.tags("supported") and q.contacts[0].uri.endswith(";bnc") and "@" not in q.contacts[0].uri
    r.remove()
    r.wait("unregistered")
    assert registrar.bindings(r.aor) == []


def test_the_gruu_of_a_bulk_contact_is_reported_as_it_came(registrant, new_registrar):
    """RFC 6140 7.1.1: without a user part and with bnc."""
    registrar = keeping(new_registrar)
    r = registrant.want(registrar, contacts=[{"uri": "<sip:{local};bnc>;" + INSTANCE % next(_numbers)}])
    assert r.registered()["pub_gruu"].startswith("sip:example.com;bnc;gr=urn:uuid:")


def test_a_registrar_without_gin_is_told_as_that(registrant, registrar):
    """RFC 3261 8.1.3.5, RFC 6140 5.1: 420 with Unsupported: gin; without the option it would mean something else, so it is
    not sent."""
    r = registrant.want(registrar, contacts=[{"uri": "<sip:{local};bnc>"}])
    report = r.wait("rejected")
    assert report["cause"]["code"] == 420 and report["cause"]["reason"] == "registrar has no GIN"
    assert report["next_in_ms"] > 20 * 60000 and len(registrar.requests(r.aor)) == 1


def test_a_contact_that_lost_its_bnc_did_not_register_the_numbers(registrant, new_registrar):
    """RFC 6140 5.2: the answer repeats the bulk contact; another one is one contact of the address of record."""
    registrar = keeping(new_registrar, alter=lambda binding, text: text.replace(";bnc", ""))
    r = registrant.want(registrar, contacts=[{"uri": "<sip:{local};bnc>"}])
    assert r.wait("retrying")["cause"]["by"] == "local"


def test_ordinary_contacts_ask_for_nothing(registrant, new_registrar):
    """RFC 6140 5.1: the option is for bulk contacts alone."""
    registrar = keeping(new_registrar)
    r = registrant.want(registrar, contacts=[{"uri": "<sip:abnc@{local};bncx=1>"}])
    r.registered()
    assert registrar.requests(r.aor)[0].message.tags("require") == []


# ---- keep-alive

def times_between(found):
    return [b.time - a.time for a, b in zip(found, found[1:])]


def test_a_stream_is_pinged_at_the_pace_of_flow_timer(kept):
    """RFC 5626 4.4, 4.4.1: CRLF CRLF, at 80 to 100 % of Flow-Timer."""
    registrar, r = kept["stream"].registrar, kept["stream"].registration
    assert r.registered()["flow_timer_s"] == PACE_S
    registrar.wait(lambda: len(pings(registrar, "crlf")) >= 2, 15)
    assert all(0.5 * PACE_S < s < 1.1 * PACE_S for s in times_between(registrar.pings))
    assert len(registrar.connections) == 1 and len(registrar.requests(r.aor)) == 1


def test_datagrams_are_kept_alive_by_stun(kept):
    """RFC 5626 4.4.2, 8: a Binding Request from the very socket that SIP uses; no CRLF."""
    registrar, r = kept["datagrams"].registrar, kept["datagrams"].registration
    registrar.wait(lambda: len(pings(registrar, "stun")) >= 2, 15)
    assert {p.way.source for p in registrar.pings} == {registrar.requests(r.aor)[0].source}
    assert all(0.5 * PACE_S < s < 1.1 * PACE_S for s in times_between(registrar.pings))
    assert pings(registrar, "crlf") == [] and len(registrar.requests(r.aor)) == 1


def test_one_keep_alive_serves_all_on_a_flow(kept):
    """RFC 5626 4.4: it is the flow's, not the registration's."""
    registrar = kept["many"].registrar
    registrar.wait(lambda: len(registrar.pings) >= 2, 15)
    assert all(s > 0.5 * PACE_S for s in times_between(registrar.pings))


def test_another_mapped_address_is_a_failed_flow(kept):
    """RFC 5626 4.4.2: when XOR-MAPPED-ADDRESS changes the flow has failed, and is registered anew with the same reg-id."""
    registrar, r = kept["mapped"].registrar, kept["mapped"].registration
    registrar.wait(lambda: registrar.pings, 15)
    registrar.seen_as = ("192.0.2.7", 4321)
    registrar.wait(lambda: len(registrar.requests(r.aor)) >= 2, 15)
    first, second = registrar.requests(r.aor)[:2]
    assert first.contacts[0].params == second.contacts[0].params and second.time > registrar.pings[1].time


def test_a_pong_that_does_not_come_in_ten_seconds_is_a_failed_flow(kept):
    """RFC 5626 4.4.1: then the flow is closed and the registration made anew over another."""
    registrar, r = kept["unanswered"].registrar, kept["unanswered"].registration
    registrar.wait(lambda: len(registrar.connections) >= 2 and len(registrar.requests(r.aor)) >= 2, 25)
    first, second = registrar.connections[:2]
    pinged = next(p.time for p in registrar.pings if p.way is first)
    assert 9.5 < second.opened_at - pinged < 14 and first.ended == "theirs"
    assert registrar.requests(r.aor)[1].connection is second
