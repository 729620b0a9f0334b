"""Where a NAT is to be seen through: {local} of a Contact is the address at which the registrar sees the registrant, as
its Via tells (RFC 3581 4).
"""

SETTINGS = {"policy": {"nat_contact": True}}
SEEN = ("192.0.2.9", 1234)


def test_the_contact_becomes_what_the_registrar_saw(registrant, registrar):
    """RFC 3581 4, RFC 3261 10.2.2: the new contact is bound and the old one removed by one REGISTER."""
    r = registrant.prepare(registrar)
    registrar.script(None, [{"received": SEEN}], repeat=True)
    r.send()
    registrar.wait(lambda: [b.uri for b in registrar.bindings(r.aor)] == ["sip:%s@192.0.2.9:1234" % r.user])
    first, second = registrar.requests(r.aor)[:2]
    assert first.contacts[0].uri == "sip:%s@%s" % (r.user, registrant.address)
    assert {c.uri: c.expires for c in second.contacts} == {"sip:%s@192.0.2.9:1234" % r.user: 600, first.contacts[0].uri: 0}
    r.command("refresh")
    r.wait("registered", revision=2)
    assert registrar.requests(r.aor)[-1].contacts[0].uri == "sip:%s@192.0.2.9:1234" % r.user


def test_another_mapping_is_followed(registrant, registrar):
    """RFC 3581 4: each answer tells where its request came from; a NAT that was restarted has others."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"received": SEEN}, {"received": SEEN}, {"received": ("192.0.2.10", 4321)}] +
                     [{"received": ("192.0.2.10", 4321)}] * 3)
    r.send()
    registrar.wait(lambda: [b.uri for b in registrar.bindings(r.aor)] == ["sip:%s@192.0.2.9:1234" % r.user])
    r.command("refresh")
    registrar.wait(lambda: [b.uri for b in registrar.bindings(r.aor)] == ["sip:%s@192.0.2.10:4321" % r.user])


def test_a_contact_without_local_is_left_alone(registrant, registrar):
    """RFC 3261 10.2.1: it is what was asked for."""
    registrar.script(None, [{"received": SEEN}], repeat=True)
    r = registrant.want(registrar, contacts=[{"uri": "sip:fixed@198.51.100.1"}])
    r.registered()
    r.command("refresh")
    r.wait("registered", revision=2)
    assert [b.uri for b in registrar.bindings(r.aor)] == ["sip:fixed@198.51.100.1"] and len(registrar.requests(r.aor)) == 2
