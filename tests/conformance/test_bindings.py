"""What a 2xx says of bindings: RFC 3261 10.2.1, 10.2.4 and 19.1.4, RFC 3327, 3608 and 7315."""

import pytest


@pytest.mark.parametrize("granted", [60, 599, 3000])
def test_what_is_granted_rules_not_what_was_asked(registrant, new_registrar, granted):
    """RFC 3261 10.2.4: the expiry of the binding is the one in the answer, be it shorter or longer."""
    registrar = new_registrar(grant=lambda request, asked: granted)
    r = registrant.want(registrar)
    report = r.registered()
    assert report["granted_s"] == granted and report["next_in_ms"] < granted * 1000
    assert report["next_in_ms"] >= granted * 1000 / 2 - 1000


def test_a_shrinking_lifetime_is_followed_at_each_refresh(registrant, new_registrar):
    """RFC 3261 10.2.4: each answer's own expiry counts; refreshes are before it."""
    lifetimes = iter([4, 2, 600])
    registrar = new_registrar(grant=lambda request, asked: next(lifetimes))
    r = registrant.want(registrar)
    r.wait("registered", granted_s=600, seconds=12)
    requests = registrar.requests(r.aor)
    assert [report["granted_s"] for report in r.reports] == [4, 2, 600]
    for request, following, granted in zip(requests, requests[1:], [4, 2]):
        assert granted * 0.4 < following.time - request.time < granted


def test_the_expires_header_rules_where_the_contact_says_nothing(registrant, new_registrar):
    """RFC 3261 10.2.4: without its parameter a binding's expiry is that of the Expires header."""
    registrar = new_registrar(alter=lambda binding, text: text.partition(";expires")[0])
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"headers": {"Expires": "77"}}])
    r.send()
    assert r.registered()["granted_s"] == 77


@pytest.mark.parametrize("text", ["99999999999999999999", "abc", "-5", "1.5"])
def test_a_lifetime_that_is_no_number_does_not_break_it(registrant, new_registrar, text):
    """RFC 3261 10.2.1.1: malformed values should be treated as 3600; what is beyond 2^32 - 1 as that."""
    registrar = new_registrar(alter=lambda binding, written: "%s;expires=%s" % (written.partition(";expires")[0], text))
    r = registrant.want(registrar)
    assert 0 < r.registered()["granted_s"] <= 604800


def test_a_200_that_grants_nothing_registers_nothing(registrant, new_registrar):
    """RFC 3261 10.2.4: a binding that is not in the answer, or for 0 seconds, is none."""
    registrar = new_registrar(grant=lambda request, asked: 0)
    r = registrant.want(registrar)
    report = r.wait("retrying")
    assert report["cause"]["by"] == "local" and report["attempt"] == 1 and "expires_at_ms" not in report


def test_a_200_without_our_contact_registers_nothing(registrant, new_registrar):
    """RFC 3261 10.2.4: the answer lists every binding; ours is not there."""
    registrar = new_registrar(alter=lambda binding, text: None if "foreign" not in binding.call_id else text)
    r = registrant.prepare(registrar)
    registrar.bind(r.aor, "sip:%s@192.0.2.77" % r.user, 3600)
    r.send()
    assert r.wait("retrying")["cause"]["by"] == "local"


@pytest.mark.parametrize("alter", [
    lambda text: text.replace("<sip:", '"Somebody Else" <sip:'),
    lambda text: text.replace("sip:u", "sip:%75"),
    lambda text: text.replace(">", ";ob;x=y>"),
    lambda text: text.replace(";expires", ";q=0.7;received=\"sip:192.0.2.1\";expires"),
    lambda text: text.replace(";expires=", "; EXPIRES = "),
    lambda text: text.replace("127.0.0.1", "127.0.0.1").replace("<sip:", "<SIP:")])
def test_our_contact_is_known_though_it_was_written_anew(registrant, new_registrar, alter):
    """RFC 3261 19.1.4: URIs are compared by their parts; unknown parameters of one side do not count, nor does the way in
    which it is escaped."""
    registrar = new_registrar(alter=lambda binding, text: alter(text))
    assert registrant.want(registrar).registered()["granted_s"] == 600


@pytest.mark.parametrize("alter", [
    lambda text: text.replace("sip:u", "sip:U"),
    lambda text: text.replace("<sip:", "<sips:"),
    lambda text: text.replace(">", ";user=phone>"),
    lambda text: text.replace(">", ";transport=tcp>"),
    lambda text: text.replace("@127.0.0.1:", "@127.0.0.2:")])
def test_another_contact_is_not_taken_for_ours(registrant, new_registrar, alter):
    """RFC 3261 19.1.4: user parts are compared with their case; scheme, host, user and transport must match."""
    registrar = new_registrar(alter=lambda binding, text: alter(text))
    assert registrant.want(registrar).wait("retrying")["cause"]["by"] == "local"


def test_foreign_bindings_are_left_alone_and_reported(registrant, new_registrar):
    """RFC 3261 10.2.4: a UA should not refresh bindings of other UAs; their expiry is not ours."""
    registrar = new_registrar()
    r = registrant.prepare(registrar)
    registrar.bind(r.aor, "sip:desk@192.0.2.77:5070", 13)
    registrar.bind(r.aor, "sip:%s@192.0.2.78" % r.user, 5)
    r.send()
    report = r.registered()
    assert report["granted_s"] == 600 and len(report["contacts"]) == 3
    assert any("desk@192.0.2.77:5070" in text for text in report["contacts"])
    r.remove()
    r.wait("unregistered")
    assert {b.uri for b in registrar.bindings(r.aor)} == {"sip:%s@192.0.2.78" % r.user, "sip:desk@192.0.2.77:5070"}
    assert all(c.uri != "*" for q in registrar.requests(r.aor) for c in q.contacts)


def test_a_hundred_bindings_of_others_do_not_hide_ours(registrant, new_registrar):
    """RFC 3261 10.2.4: ours is somewhere in the list; how many are kept for the report is bounded."""
    registrar = new_registrar(transports=("udp", "tcp"))
    r = registrant.prepare(registrar, transport="tcp")
    for n in range(100):
        registrar.bind(r.aor, "sip:desk%d@192.0.2.77" % n)
    r.send()
    report = r.registered()
    assert report["granted_s"] == 600 and len(report["contacts"]) <= 32


def test_several_contacts_with_q_and_expires_of_their_own(registrant, registrar):
    """RFC 3261 10.2.1.1 and 10.2.1.2: each contact may have its own lifetime and preference."""
    r = registrant.want(registrar, contacts=[{"uri": "sip:a@127.0.0.1:5090", "q": "0.9", "expires": 100},
                                             {"uri": "sip:b@127.0.0.1:5090", "q": "0.1"}])
    assert r.registered()["granted_s"] == 100
    held = {b.uri: b for b in registrar.bindings(r.aor)}
    assert held["sip:a@127.0.0.1:5090"].params["q"] == "0.9" and held["sip:b@127.0.0.1:5090"].expires_in > 590
    assert 99 <= held["sip:a@127.0.0.1:5090"].expires_in <= 100


def test_removal_names_our_contact_alone(registrant, registrar):
    """RFC 3261 10.2.2: removed by an expiry of 0; `*` would remove what others bound."""
    r = registrant.want(registrar)
    r.registered()
    r.remove()
    assert r.wait("unregistered")["removed"] == "answered" and registrar.bindings(r.aor) == []
    last = registrar.requests(r.aor)[-1]
    assert [c.uri for c in last.contacts] == ["sip:%s@%s" % (r.user, registrant.address)] and last.contacts[0].expires == 0


def test_a_changed_contact_takes_the_old_one_along(registrant, registrar):
    """RFC 3261 10.2.2: what is not wanted any more is removed, by the REGISTER that binds the new one."""
    r = registrant.want(registrar, contacts=[{"uri": "sip:old@127.0.0.1:5090"}])
    r.registered()
    r.change(contacts=[{"uri": "sip:new@127.0.0.1:5090"}])
    r.wait("registered", revision=2)
    assert [b.uri for b in registrar.bindings(r.aor)] == ["sip:new@127.0.0.1:5090"]


def test_what_the_registrar_tells_beside_is_reported(registrant, new_registrar):
    """RFC 3608 5, RFC 7315 4.1, RFC 3327 5.3: for the user of the registration; none of it is a route of a REGISTER."""
    registrar = new_registrar(service_route=["<sip:home.example.net;lr>"], associated=["<sip:+4930@example.com>"])
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"headers": {"Path": "<sip:edge.example.net;lr>"}}])
    r.send()
    report = r.registered()
    assert report["service_route"] == ["<sip:home.example.net;lr>"]
    assert report["associated"] == ["<sip:+4930@example.com>"] and report["path"] == ["<sip:edge.example.net;lr>"]
    r.command("refresh")
    registrar.wait(lambda: len(registrar.requests(r.aor)) == 2)
    assert all(q.header("route") is None for q in registrar.requests(r.aor))


def test_service_routes_are_those_of_the_latest_answer(registrant, new_registrar):
    """RFC 3608 6.1: replaced by each 2xx, and gone when it has none."""
    routes = ["<sip:two.example.net;lr>", "<sip:one.example.net;lr>"]
    registrar = new_registrar(service_route=routes)
    r = registrant.want(registrar)
    assert r.registered()["service_route"] == routes
    registrar.location.service_route = []
    r.command("refresh")
    assert "service_route" not in r.wait("registered", revision=2)


def test_service_routes_go_when_a_refresh_is_refused(registrant, new_registrar):
    """RFC 3608 6.1: then they should be discarded."""
    registrar = new_registrar(service_route=["<sip:one.example.net;lr>"])
    r = registrant.want(registrar)
    assert r.registered()["service_route"]
    registrar.script(r.aor, [403])
    r.command("refresh")
    assert "service_route" not in r.wait("rejected")


def test_record_route_is_ignored(registrant, registrar):
    """RFC 3261 10.2: a UA must ignore Record-Route in an answer to REGISTER."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"headers": {"Record-Route": "<sip:127.0.0.9;lr>"}}])
    r.send()
    r.registered()
    r.command("refresh")
    r.wait("registered", revision=2)
    assert [q.header("route") for q in registrar.requests(r.aor)] == [None, None]


def test_the_request_is_as_the_rfc_has_it(registrant, registrar):
    """RFC 3261 10.2, 8.1.1, RFC 3581 3: no user part in the Request-URI, To and From the address of record, a branch with
    the cookie, rport without a value, Max-Forwards."""
    r = registrant.want(registrar, display_username="A \"B\"")
    r.registered()
    [q] = registrar.requests(r.aor)
    assert q.ruri == "sip:example.com" and q.aor == r.aor and "tag=" in q.from_ and "tag=" not in q.to
    assert q.message.branch.startswith("z9hG4bK") and ";rport;" in q.header("via") + ";"
    assert q.header("max-forwards") == "70" and q.header("cseq").endswith(" REGISTER")
    assert q.header("user-agent") == "Rollcall" and "path" in q.message.tags("supported")


def test_every_request_has_a_branch_of_its_own(registrant, registrar):
    """RFC 3261 8.1.1.7, 17.1.3: new for each transaction, those after one another too, and not to be foreseen."""
    r = registrant.want(registrar)
    r.registered()
    for revision in (2, 3, 4):
        r.command("refresh")
        r.wait("registered", revision=revision)
    branches = [q.message.branch for q in registrar.requests(r.aor)]
    assert len(set(branches)) == 4 and all(len(b) >= 7 + 16 for b in branches)


def test_a_third_party_has_its_own_from(registrant, registrar):
    """RFC 3261 10.2: From is that of whoever is responsible; To is the address of record."""
    r = registrant.want(registrar, **{"from": "sip:admin@example.com"})
    r.registered()
    [q] = registrar.requests(r.aor)
    assert "sip:admin@example.com" in q.from_ and q.aor == r.aor


@pytest.mark.parametrize("route, ruri", [("<sip:%s;lr>", "sip:example.com"), ("<sip:%s>", "sip:%s")])
def test_a_preloaded_route_is_followed(registrant, registrar, route, ruri):
    """RFC 3261 8.1.1.1, 12.2.1.1, 16.12: a loose route stands in Route, a strict one becomes the Request-URI."""
    strict = "lr" not in route
    r = registrant.want(None, route_set=[route % registrar.address])
    r.registered()
    [q] = registrar.requests(r.aor)
    assert q.ruri == (ruri % registrar.address if strict else ruri)
    assert q.header("route") == ("<sip:example.com>" if strict else route % registrar.address)
