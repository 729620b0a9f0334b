"""What each class of final answer does: RFC 3261 8.1.3, 10.2 and 21, as the table of core/outcome.c has it."""

import pytest

from registrar import Registrar

MINUTE_MS = 60000


def only_answer(registrar, registration, step):
    """That answer to its first REGISTER, and to every one after."""
    registrar.script(registration.aor, [step], repeat=True)


def test_a_200_with_our_contact_registers(registrant, registrar):
    """RFC 3261 10.2.4: the 2xx lists the bindings; ours among them says for how long."""
    r = registrant.want(registrar)
    report = r.registered()
    assert report["granted_s"] == 600 and report["cause"] == {"code": 200, "reason": "OK", "by": "remote"}
    assert report["target"] == "udp:" + registrar.address
    assert [b.uri for b in registrar.bindings(r.aor)] == ["sip:%s@%s" % (r.user, registrant.address)]


def test_any_2xx_registers(registrant, registrar):
    """RFC 3261 8.1.3.2: what is not known is treated as x00 of its class."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"edit": lambda data: data.replace(b"200 OK", b"299 Fine")}])
    r.send()
    assert r.registered()["cause"]["code"] == 299


TEMPORARY = [400, 402, 406, 408, 413, 480, 486, 491, 499, 500, 502, 503, 504, 580]


@pytest.fixture(scope="module")
def failing(registrant):
    """Registrations at registrars of their own, of which each fails once with a code; all under way at once."""
    started = {}
    for code in TEMPORARY:
        registrar = Registrar().start()
        r = registrant.prepare(registrar, kept=True)
        registrar.script(r.aor, [{"status": code, "reason": "Because"}])
        r.send()
        started[code] = registrar, r
    yield started
    for registrar, r in started.values():
        r.forget()
        registrar.stop()


@pytest.mark.parametrize("code", TEMPORARY)
def test_a_temporary_failure_is_tried_again_after_the_delay(failing, code):
    """RFC 3261 21.4, 21.5: nothing forbids another try later; the delay is the registration's own."""
    registrar, r = failing[code]
    report = r.wait("retrying")
    assert report["cause"]["code"] == code and report["cause"]["reason"] == "Because" and report["attempt"] == 1
    assert report["cause"]["by"] == "remote" and 0 < report["next_in_ms"] <= 1500
    assert r.registered(since=1)["cause"]["code"] == 200
    first, second = registrar.requests(r.aor)[:2]
    assert second.time - first.time > 0.8 and second.cseq > first.cseq and second.call_id == first.call_id


@pytest.mark.parametrize("code", [403, 404, 600, 603, 604])
def test_a_lasting_refusal_is_asked_again_only_slowly(registrant, registrar, code):
    """RFC 3261 21.4.4, 21.4.5, 21.6: the request should not be repeated as it is."""
    r = registrant.prepare(registrar)
    only_answer(registrar, r, code)
    r.send()
    report = r.wait("rejected")
    assert report["cause"]["code"] == code and report["next_in_ms"] > 20 * MINUTE_MS
    assert len(registrar.requests(r.aor)) == 1


def test_a_change_of_what_is_sent_takes_a_refusal_back(registrant, registrar):
    """RFC 3261 21.4.4: it must not be repeated as it was; another request may be sent."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [403])
    r.send()
    r.wait("rejected")
    r.change(display_username="Somebody")
    assert r.registered()["revision"] == 2


@pytest.mark.parametrize("code", [420, 423, 439, 484, 485, 494])
def test_a_refusal_of_how_it_asks_is_reported_as_it_is(registrant, registrar, code):
    """RFC 3261 21.4.14 to 21.4.23, RFC 5626 11.6, RFC 3329 2.3.1: the cause is the registrar's own."""
    r = registrant.prepare(registrar)
    only_answer(registrar, r, {"status": code, "reason": "Said So"})
    r.send()
    report = r.wait_cause(code)
    assert report["state"] in ("retrying", "rejected") and report["cause"]["by"] in ("remote", "local")
    assert report["cause"]["reason"] == "Said So" or code == 494  # of which our own words say more
    assert registrar.bindings(r.aor) == []


def test_a_423_is_asked_again_with_what_is_accepted(registrant, new_registrar):
    """RFC 3261 10.2.8: may be tried again with expires not below Min-Expires."""
    registrar = new_registrar(min_expires=90)
    r = registrant.want(registrar, expires=30)
    assert r.registered()["granted_s"] == 90
    asked = [q.expires for q in registrar.requests(r.aor)]
    assert asked == [30, 90] and [q.answer.status for q in registrar.requests(r.aor)] == [423, 200]


@pytest.mark.parametrize("least", ["4000000000", "0", "soon", None])
def test_a_423_without_a_sensible_least_is_a_failure(registrant, registrar, least):
    """RFC 3261 10.2.8, 20.23: Min-Expires is a number of seconds; what cannot be followed is not."""
    r = registrant.prepare(registrar)
    headers = {} if least is None else {"Min-Expires": least}
    only_answer(registrar, r, {"status": 423, "headers": headers})
    r.send()
    assert r.wait("retrying")["cause"]["code"] == 423
    assert len(registrar.requests(r.aor)) == 1


def test_a_registrar_that_is_never_content_is_not_asked_in_a_loop(registrant, registrar):
    """RFC 3261 10.2.8: one try with the least that it named; a second 423 is a failure."""
    r = registrant.prepare(registrar)
    least = iter(range(700, 100000, 100))
    only_answer(registrar, r, lambda request: {"status": 423, "headers": {"Min-Expires": str(next(least))}})
    r.send()
    r.wait("retrying")
    assert len(registrar.requests(r.aor)) == 2


# ---- Retry-After

@pytest.mark.parametrize("code", [404, 480, 486, 500, 503, 600])
def test_retry_after_only_lengthens(registrant, registrar, code):
    """RFC 3261 20.33, 21.5.4: the service is expected back after so long."""
    r = registrant.prepare(registrar)
    only_answer(registrar, r, {"status": code, "headers": {"Retry-After": "120 (lunch);duration=60"}})
    r.send()
    report = r.wait_cause(code)
    assert report["cause"]["retry_after_s"] == 120 and report["next_in_ms"] >= 119000


def test_a_retry_after_beyond_reason_is_clamped(registrant, registrar):
    """RFC 3261 20.33 has no bound; a registrar must not switch a registration off for ever."""
    r = registrant.prepare(registrar)
    only_answer(registrar, r, {"status": 480, "headers": {"Retry-After": "4294967295"}})
    r.send()
    assert r.wait("retrying")["next_in_ms"] <= 86400 * 1000


def test_what_a_warning_says_is_reported(registrant, registrar):
    """RFC 3261 20.43: additional information about the status."""
    r = registrant.prepare(registrar)
    only_answer(registrar, r, {"status": 480, "headers": {"Warning": '399 registrar "the line is cut"'}})
    r.send()
    assert r.wait("retrying")["cause"]["warning"] == '399 registrar "the line is cut"'


# ---- 3xx

def test_a_redirection_is_followed(registrant, registrar, new_registrar):
    """RFC 3261 8.1.3.4: the client should use the URIs of the Contact for new requests; 10.2, 19.1.1: a Request-URI of a
    REGISTER has no user part, no method and no headers."""
    other = new_registrar()
    r = registrant.prepare(registrar)
    contact = "<sip:%s@%s;method=INVITE?Route=%%3Csip:x%%3E>" % (r.user, other.address)
    only_answer(registrar, r, {"status": 302, "headers": {"Contact": contact}})
    r.send()
    assert r.registered()["target"] == "udp:" + other.address
    [request] = other.requests(r.aor)
    assert request.ruri == "sip:" + other.address and request.aor == r.aor
    assert request.call_id == registrar.requests(r.aor)[0].call_id


def test_redirections_end(registrant, registrar, new_registrar):
    """RFC 3261 8.1.3.4: no URI is tried twice, so a ring comes to its end."""
    other = new_registrar()
    r = registrant.prepare(registrar, retry_delay_s=60)
    for at, to in ((registrar, other), (other, registrar)):
        at.script(None, [{"status": 302, "headers": {"Contact": "<sip:%s>" % to.address}}], repeat=True)
    r.send()
    assert r.wait("retrying")["cause"]["code"] == 302
    asked = [q.ruri for each in (registrar, other) for q in each.requests(r.aor)]
    assert len(asked) == len(set(asked)) and len(asked) <= 3


def test_the_preferred_contact_of_a_redirection_goes_first(registrant, registrar, new_registrar):
    """RFC 3261 8.1.3.4: by q, and the next one when one fails."""
    good, bad, silent = new_registrar(), new_registrar(), new_registrar()
    bad.listeners[0].always = 500
    r = registrant.prepare(registrar)
    contacts = [("Contact", "<sip:%s>;q=0.1" % silent.address), ("Contact", "<sip:%s>;q=0.5" % good.address),
                ("Contact", "<sip:%s>" % bad.address)]
    only_answer(registrar, r, {"status": 300, "headers": contacts})
    r.send()
    assert r.registered()["target"] == "udp:" + good.address
    assert len(bad.journal) == 1 and silent.journal == []


@pytest.mark.parametrize("contact", [None, "<tel:+4930123>", "<sip:>", "*", "<sip:127.0.0.1:99999>"])
def test_a_redirection_to_nowhere_is_a_failure(registrant, registrar, contact):
    """RFC 3261 8.1.3.4: without a URI that can be used the request has failed."""
    r = registrant.prepare(registrar)
    only_answer(registrar, r, {"status": 301, "headers": {"Contact": contact} if contact else {}})
    r.send()
    assert r.wait("retrying")["cause"]["code"] in (301, 503)


# ---- provisional

@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_provisional_answers_change_nothing(registrant, registrar, transport):
    """RFC 3261 17.1.2.2: a provisional answer moves the transaction to Proceeding; the final one ends it."""
    r = registrant.prepare(registrar, transport=transport)
    registrar.script(r.aor, [{"provisional": [100, 181, 183, 199], "delay": 0.2}])
    r.send()
    assert r.registered()["cause"]["code"] == 200 and len(registrar.requests(r.aor)) == 1


# ---- limits

def test_attempts_end_where_that_is_wanted(registrant, registrar):
    """The registration's own max_attempts; RFC 3261 says nothing of when to give up."""
    r = registrant.prepare(registrar, max_attempts=2)
    only_answer(registrar, r, 500)
    r.send()
    report = r.wait("given_up")
    assert report["attempt"] == 2 and "next_in_ms" not in report and len(registrar.requests(r.aor)) == 2
