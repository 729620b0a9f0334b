"""UDP as it is: datagrams lost, repeated, late, out of order, from elsewhere, refused. RFC 3261 17.1.2 and 18, RFC 3581."""

import re
import socket
import time

import pytest


def test_a_request_is_repeated_until_it_is_answered(registrant, registrar):
    """RFC 3261 17.1.2.2: timer E sends it again after 0.5 s, then 1 s; the same branch and CSeq."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"hold": True}])
    before = registrant.stats()["retransmissions"]
    r.send()
    registrar.wait(lambda: len(registrar.requests(r.aor, repeated=True)) == 3)
    registrar.release()
    r.registered()
    kept = registrar.requests(r.aor, repeated=True)
    registrant.wait_stats(lambda s: s["retransmissions"] == before + 2)
    assert [q.repeated for q in kept] == [False, True, True] and len({q.message.text for q in kept}) == 1
    assert 0.35 < kept[1].time - kept[0].time < 0.9 and 0.8 < kept[2].time - kept[1].time < 1.5


def test_silence_is_a_408_of_our_own(registrant, registrar):
    """RFC 3261 8.1.3.1, 17.1.2.2: timer F ends it as if 408 had come; nothing is bound, and it is tried again."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, ["drop"])
    began = time.monotonic()
    r.send()
    report = r.wait("retrying")
    assert report["cause"]["code"] == 408 and report["cause"]["by"] == "local"
    assert 1.5 < time.monotonic() - began < 4
    r.registered()


def test_a_provisional_answer_is_no_answer(registrant, registrar):
    """RFC 3261 17.1.2.2: in Proceeding timer F runs on."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"provisional": [100], "hold": True}])
    r.send()
    assert r.wait("retrying")["cause"]["code"] == 408


def test_a_closed_port_is_known_at_once(registrant, new_registrar):
    """RFC 3261 18.4, 8.1.3.1: ICMP port unreachable is a transport error, 503, and no silence of timer F."""
    registrar = new_registrar()
    registrar.listeners[0].close("udp")
    began = time.monotonic()
    r = registrant.want(registrar)
    report = r.wait("retrying")
    assert report["cause"]["code"] == 503 and report["cause"]["by"] == "local" and time.monotonic() - began < 1
    registrar.listeners[0].open("udp")
    r.registered()


def test_a_repeated_answer_changes_nothing(registrant, registrar):
    """RFC 3261 17.1.2.2, 18.1.2: in Completed (and after it) more of the same are absorbed."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"copies": 20}])
    r.send()
    r.registered()
    r.command("refresh")
    r.wait("registered", revision=2)
    assert len(r.reports) == 2 and len(registrar.requests(r.aor)) == 2


def test_a_late_answer_touches_nothing_newer(registrant, new_registrar):
    """RFC 3261 17.1.3: an answer belongs to the transaction of its branch; when that is over it is nobody's."""
    registrar = new_registrar()
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"status": 403, "hold": True}])
    r.send()
    r.wait("retrying")
    r.registered()
    registrar.release()
    r.command("refresh")
    r.wait("registered", revision=2)
    assert [x["state"] for x in r.reports][-1] == "registered" and "rejected" not in [x["state"] for x in r.reports]


def test_a_late_removal_answer_does_not_undo_what_came_after(registrant, registrar):
    """RFC 3261 17.1.3: the same, for the 200 of a removal that timed out."""
    r = registrant.want(registrar)
    r.registered()
    registrar.script(r.aor, [{"hold": True}])
    r.change(enabled=False)
    registrar.wait(lambda: registrar.held)
    r.change(enabled=True)
    r.wait("registered", revision=3)
    registrar.release()
    r.command("refresh")
    report = r.wait("registered", revision=4)
    assert "expires_at_ms" in report and len(registrar.bindings(r.aor)) == 1


def test_answers_may_come_in_another_order(registrant, registrar):
    """RFC 3261 17.1.3: branches tell them apart."""
    made = [registrant.prepare(registrar) for _ in range(4)]
    for number, r in enumerate(made):
        registrar.script(r.aor, [{"hold": True, "headers": {"Expires": "5"}}])
        r.send()
        registrar.wait(lambda count=number + 1: len(registrar.held) == count)
    registrar.release(order=[2, 0, 3, 1])
    for r in made:
        assert r.registered()["granted_s"] == 600


def test_an_answer_from_another_port_counts(registrant, registrar):
    """RFC 3261 17.1.3: matched by branch and method alone; servers behind NAT and clusters answer so."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"other_port": True}])
    r.send()
    assert r.registered()["target"] == "udp:" + registrar.address


@pytest.mark.parametrize("edit", [
    lambda d: re.sub(rb"branch=z9hG4bK", b"branch=z9hG4bKx", d),
    lambda d: d.replace(b" REGISTER\r\n", b" OPTIONS\r\n"),
    lambda d: re.sub(rb"(Via: [^\r]*\r\n)", rb"\1Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKother\r\n", d, count=1),
    lambda d: re.sub(rb"Via: [^\r]*\r\n", b"", d)])
def test_answers_of_others_are_not_ours(registrant, registrar, edit):
    """RFC 3261 17.1.3: branch and CSeq method must match; 8.1.3.3: an answer with a second Via went astray."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"status": 403, "edit": edit}])
    r.send()
    assert r.wait("retrying")["cause"]["code"] == 408


def test_the_via_may_carry_what_the_registrar_saw(registrant, registrar):
    """RFC 3581 4: received and rport are the registrar's word of where the request came from."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"received": ("192.0.2.9", 1234)}])
    r.send()
    report = r.registered()
    assert report["received"] == "192.0.2.9:1234"


def test_the_socket_is_where_the_via_says(registrant, registrar):
    """RFC 3261 18.1.1: sent-by is where answers may be sent; here it is the address that it sends from."""
    r = registrant.want(registrar)
    r.registered()
    [q] = registrar.requests(r.aor)
    sent_by = q.header("via").split()[1].partition(";")[0]
    assert sent_by == "%s:%d" % q.source == registrant.address


def test_what_is_too_large_for_a_datagram_goes_over_a_stream(registrant, registrar):
    """RFC 3261 18.1.1: beyond 1300 bytes, unless the way's MTU is known."""
    contacts = [{"uri": "sip:%s@127.0.0.1:5090;n=%d" % ("a" * 150, n)} for n in range(8)]
    r = registrant.want(registrar, contacts=contacts)
    assert r.registered()["target"] == "tcp:" + registrar.address
    assert "SIP/2.0/TCP" in registrar.requests(r.aor)[0].header("via")


def test_what_is_too_large_goes_in_a_datagram_where_there_is_no_stream(registrant, new_registrar):
    """RFC 3261 18.1.1: if the stream is refused, the datagram is sent after all."""
    registrar = new_registrar()
    registrar.listeners[0].close("tcp")
    contacts = [{"uri": "sip:%s@127.0.0.1:5090;n=%d" % ("a" * 150, n)} for n in range(8)]
    r = registrant.want(registrar, contacts=contacts)
    assert r.registered()["target"] == "udp:" + registrar.address


def test_noise_is_ignored(registrant, registrar):
    """RFC 3261 18.3: what is no SIP message is discarded."""
    host, port = registrant.address.rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for noise in (b"", b"\x00", b"\r\n\r\n", b"\xff" * 1400, b"SIP/2.0", b"SIP/2.0 200 OK\r\n\r\n",
                      b"\x00\x01\x00\x00" * 5):
            s.sendto(noise, (host, int(port)))
    r = registrant.want(registrar)
    r.registered()
