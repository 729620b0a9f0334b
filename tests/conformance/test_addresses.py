"""From where it sends: families, named interfaces, and what cannot be. RFC 3261 18.1, RFC 3581."""

import pytest



def SETTINGS(request):  # noqa: N802: see conftest
    hosts = request.getfixturevalue("tmp_path_factory").mktemp("addresses") / "hosts"
    hosts.write_text("::1 six.test\n")
    return {"listen": "127.0.0.1,[::1]", "interfaces": "inside=127.0.0.3,six=[::1],both=127.0.0.4,both=[::1]",
            "hosts_file": str(hosts)}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_ipv6(registrant, new_registrar, transport):
    """RFC 3261 19.1.1, 20.42: brackets in URIs and Via."""
    registrar = new_registrar(host="::1")
    r = registrant.want(registrar, transport=transport)
    report = r.registered()
    [q] = registrar.requests(r.aor)
    assert report["target"] == "%s:%s" % (transport, registrar.address) and q.source[0] == "::1"
    assert "SIP/2.0/%s [::1]:" % transport.upper() in q.header("via") and "@[::1]:" in q.contacts[0].uri
    assert report["local"].startswith("%s:[::1]:" % transport)


def test_the_contact_is_of_the_family_that_a_name_leads_to(registrant, new_registrar):
    """RFC 3261 8.1.1.8, 10.2.1: a Contact is where the registrar can reach us; which family that is shows at the first
    answer."""
    registrar = new_registrar(host="::1")
    r = registrant.want(None, domain="six.test:%d" % registrar.port)
    registrar.wait(lambda: [b.uri.rpartition(":")[0] for b in registrar.bindings(r.aor)] == ["sip:%s@[::1]" % r.user])
    r.registered()
    r.command("refresh")
    r.wait("registered", revision=2)
    assert len(registrar.requests(r.aor)) <= 4 and all(x["state"] == "registered" for x in r.reports)


def test_both_families_at_once(registrant, registrar, new_registrar):
    """RFC 3263 4: each registration goes by the family of its target."""
    six = new_registrar(host="::1")
    first, second = registrant.want(registrar), registrant.want(six)
    first.registered()
    second.registered()
    assert registrar.journal[0].source[0] == "127.0.0.1" and six.journal[0].source[0] == "::1"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_named_interface_is_where_it_leaves_from(registrant, registrar, transport):
    """RFC 3261 18.1.1: source, Via and Contact are of that interface."""
    r = registrant.want(registrar, transport=transport, interface="inside")
    report = r.registered()
    [q] = registrar.requests(r.aor)
    assert q.source[0] == "127.0.0.3" and " 127.0.0.3:" in q.header("via") and "@127.0.0.3:" in q.contacts[0].uri
    assert report["local"].startswith("%s:127.0.0.3:" % transport)


def test_an_interface_may_have_both_families(registrant, registrar, new_registrar):
    """The target's family chooses."""
    six = new_registrar(host="::1")
    registrant.want(registrar, interface="both").registered()
    registrant.want(six, interface="both").registered()
    assert registrar.journal[0].source[0] == "127.0.0.4" and six.journal[0].source[0] == "::1"


@pytest.mark.parametrize("interface, words", [("outside", "outside"), ("six", "no local address")])
def test_an_interface_that_there_is_not_is_an_error_and_no_fallback(registrant, registrar, interface, words):
    """Nothing leaves from an address that was not meant, be it that there is no such name or not that family."""
    r = registrant.want(registrar, interface=interface)
    report = r.wait("retrying")
    assert report["cause"]["by"] == "local" and words in report["cause"]["reason"] and registrar.journal == []


def test_websocket_is_not_there_and_says_so(registrant, registrar):
    """RFC 7118 is not built in: a status says so, nothing is sent."""
    r = registrant.want(registrar, transport="ws")
    report = r.wait()
    assert report["state"] in ("retrying", "rejected") and report["cause"]["by"] == "local"
    assert "websocket" in report["cause"]["reason"].lower() and registrar.journal == []


def test_connections_of_two_interfaces_are_two(registrant, registrar):
    """RFC 3261 18.1.1: a connection has one local end."""
    registrant.want(registrar, transport="tcp").registered()
    registrant.want(registrar, transport="tcp", interface="inside").registered()
    assert sorted(c.source[0] for c in registrar.connections) == ["127.0.0.1", "127.0.0.3"]
