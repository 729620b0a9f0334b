"""Kamailio as the registrar over UDP, TCP and TLS with and without a client's certificate, with MD5 and SHA-256, over IPv4
and IPv6; and a Kamailio that was started anew and remembers nothing.
"""
import shutil
import tempfile

import pytest

from certificates import Certificates
from conftest import make_world
from stack import wait_for

UDP, TCP, TLS = "1", "2", "3"


class Kamailios:
    """One a kind; stopped with the stack."""

    def __init__(self, world, certificates):
        start, server = world.stack.start_kamailio, certificates.server(ips=["127.0.0.1"])
        self.md5 = start(name="md5", tls=(server.certificate, server.key))
        self.sha256 = start(name="sha256", algorithm="SHA-256",
                            tls=(server.certificate, server.key, certificates.ca.certificate))
        self.ipv6 = start(name="ipv6", host="::1")


@pytest.fixture(scope="module")
def certificates():
    directory = tempfile.mkdtemp(prefix="rollcall-certificates-")
    yield Certificates(directory)
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def world(certificates):
    client = certificates.client()
    w = make_world(kamailio=False, registrant_env={
        "ROLLCALL_SIP_LISTEN": "127.0.0.1:0,[::1]:0",
        "ROLLCALL_SIP_TLS_CA_FILE": str(certificates.ca.certificate),
        "ROLLCALL_SIP_TLS_CERTIFICATE_FILE": str(client.certificate),
        "ROLLCALL_SIP_TLS_KEY_FILE": str(client.key)})
    try:
        w.start()
        w.kamailios = Kamailios(w, certificates)
        yield w
    finally:
        w.stop()
        shutil.rmtree(w.stack.directory, ignore_errors=True)


def create(world, kamailio, user, protocol=UDP, **attributes):
    port = kamailio.tls_port if protocol == TLS else kamailio.port
    return world.api.create(
        {"transport-protocol": {"data": {"type": "transport-protocols", "id": protocol}}},
        **{"name": user, "domain": f"{kamailio.host}:{port}", "username": user, "auth_user": user,
           "auth_password": world.stack.sip_password, "contact": f"sip:{user}@{kamailio.host}:5090", "expire": 60, **attributes})


def held(kamailio, user):
    return kamailio.bindings(f"{user}@{kamailio.host}")


WAYS = [("md5", UDP), ("md5", TCP), ("md5", TLS), ("sha256", UDP), ("sha256", TCP), ("sha256", TLS), ("ipv6", UDP), ("ipv6", TCP)]


@pytest.mark.parametrize("name,protocol", WAYS, ids=[f"{n}-{dict(zip('123', ('udp', 'tcp', 'tls')))[p]}" for n, p in WAYS])
def test_is_bound_refreshed_changed_and_removed(world, user, name, protocol):
    kamailio = getattr(world.kamailios, name)
    rid = create(world, kamailio, user, protocol)
    status = world.api.wait_state(rid, "registered")
    [binding] = held(kamailio, user)
    assert binding["Address"] == f"sip:{user}@{kamailio.host}:5090"
    assert status["target"].partition(":")[0] == {UDP: "udp", TCP: "tcp", TLS: "tls"}[protocol]

    command(world, rid, "refresh")
    wait_for(lambda: held(kamailio, user)[0]["CSeq"] > binding["CSeq"], 10, "a refresh at Kamailio")
    assert held(kamailio, user)[0]["Call-ID"] == binding["Call-ID"]

    world.api.update(rid, contact=f"sip:other-{user}@{kamailio.host}:5090")
    wait_for(lambda: [b["Address"] for b in held(kamailio, user)] == [f"sip:other-{user}@{kamailio.host}:5090"], 10,
             "the changed contact alone")
    world.api.delete(rid)
    wait_for(lambda: not held(kamailio, user), 10, "the binding to go")
    wait_for(lambda: not world.keys_of(rid), 10, "the proof of the removal")


def command(world, rid, name):
    answer = world.api.call("POST", f"/registrations/{rid}/{name}")
    assert answer.status_code == 202, answer.text


def test_a_wrong_password_is_rejected_by_either_algorithm(world, user):
    ids = [create(world, k, f"{user}{k.name}", auth_password="wrong") for k in (world.kamailios.md5, world.kamailios.sha256)]
    for rid in ids:
        status = world.api.wait_state(rid, "rejected")
        assert status["code"] == 401
    for rid in ids:
        world.api.delete(rid)


def test_what_kamailio_forgot_is_found_by_an_audit_and_bound_again(world, user):
    """Its memory is lost with its process; an audit sees that nothing is bound and binds it (RFC 3261 10.2.3)."""
    kamailio = world.kamailios.md5
    users = {f"{user}{protocol}": create(world, kamailio, f"{user}{protocol}", protocol, expire=3600) for protocol in (UDP, TCP, TLS)}
    for rid in users.values():
        world.api.wait_state(rid, "registered")
    kamailio.stop()
    kamailio.start()
    assert not any(held(kamailio, u) for u in users)
    for rid in users.values():
        command(world, rid, "audit")
    for name, rid in users.items():
        wait_for(lambda n=name: held(kamailio, n), 15, f"the binding of {name} to be restored")
        assert world.api.wait_state(rid, "registered")
        world.api.delete(rid)


def test_what_kamailio_forgot_is_bound_again_at_its_refresh(world, user):
    kamailio = world.kamailios.sha256
    rid = create(world, kamailio, user, expire=10)
    world.api.wait_state(rid, "registered")
    kamailio.stop()
    kamailio.start()
    wait_for(lambda: held(kamailio, user), 15, "the refresh")
    world.api.wait_state(rid, "registered")
    world.api.delete(rid)


def test_an_audit_shows_what_others_bound(world, user):
    """Every binding that the registrar holds is in the status, with how many of them are others'."""
    kamailio = world.kamailios.md5
    rid = create(world, kamailio, user)
    world.api.wait_state(rid, "registered")
    aor, theirs = f"{user}@127.0.0.1", f"sip:someone-{user}@192.0.2.77:5060"
    other = create(world, kamailio, user, name=f"{user}-other", contact=theirs)
    world.api.wait_state(other, "registered")
    command(world, rid, "audit")
    status = wait_for(lambda: (s := world.api.status(rid))["foreign-contacts"] == 1 and s, 10, "the audit's result")
    assert any("192.0.2.77" in c for c in status["contacts"])
    assert len(kamailio.bindings(aor)) == 2, "an audit touches nothing"
    world.api.delete(rid)
    wait_for(lambda: [b["Address"] for b in kamailio.bindings(aor)] == [theirs], 10, "only ours to go")
    world.api.delete(other)
