"""Bindings that exist at a real registrar are listed and counted in the Kazoo dialect, and its flush really unregisters and
registers anew."""
import pytest

from kazoo_session import KazooSession
from stack import wait_for
from world import removes


@pytest.fixture(scope="module")
def kazoo(world):
    return KazooSession(world.gateway.url, world.stack)


def test_the_life_of_a_binding(world, kazoo, user):
    """Created through another dialect, bound at Kamailio, listed and counted, changed, deleted and gone."""
    before = kazoo.count()
    rid = world.api.create(**world.at_kamailio(user))
    wait_for(lambda: world.kamailio_contacts(user), 20, "the binding")
    entry = wait_for(lambda: kazoo.entries(username=user), 20, "the entry")[0]
    assert kazoo.count() == before + 1
    host, _, port = world.kamailio.address.partition(":")
    assert entry["authorizing_id"] == rid and entry["account_realm"] == f"{world.stack.account}.localhost"
    assert entry["contact"] == f"sip:{user}@127.0.0.1:5090" and entry["contact_port"] == 5090
    assert (entry["proxy_ip"], entry["proxy_port"], entry["proxy_protocol"]) == (host, int(port), "udp")
    assert entry["expires"] == 60 and entry["realm"] == entry["to_host"] == "127.0.0.1"
    held = world.kamailio.bindings(f"{user}@127.0.0.1")
    assert [b["Call-ID"] for b in held] == [entry["call_id"]]

    world.api.update(rid, contact=f"sip:{user}-new@127.0.0.1:5091")
    wait_for(lambda: [e["contact_port"] for e in kazoo.entries(username=user)] == [5091], 20, "the new contact")

    world.api.delete(rid)
    wait_for(lambda: not kazoo.entries(username=user), 20, "the entry to go")
    wait_for(lambda: not world.kamailio_contacts(user), 20, "the binding to go")
    assert kazoo.count() == before


def flushed(world, user):
    """The un-REGISTER and the new REGISTER of a flush, once both were seen: what was sent after the first binding."""
    first = len(world.sent(user))

    def later():
        sent = world.sent(user)[first:]
        gone = [i for i, r in enumerate(sent) if removes(r) and r.answer and r.answer.status == 200]
        back = [r for r in sent[gone[0] + 1:] if not removes(r) and r.answer and r.answer.status == 200] if gone else []
        return (sent[gone[0]], back[0]) if back else None
    return lambda: wait_for(later, 20, f"the flush of {user}, not {[(r.contacts, r.answer and r.answer.status) for r in world.sent(user)[first:]]}")


def test_a_flush_of_a_user_name_unregisters_and_registers_anew(world, kazoo, user):
    world.bind(user, 60)
    old = world.sent(user)[-1]
    wait = flushed(world, user)
    assert kazoo.call("DELETE", f"/{user}") == "ok"
    gone, back = wait()
    assert removes(gone) and not removes(back)
    assert gone.call_id == back.call_id == old.call_id and old.cseq < gone.cseq < back.cseq
    assert world.bound(user) == [f"sip:{user}@127.0.0.1:5090"]
    wait_for(lambda: [e["call_id"] for e in kazoo.entries(username=user)] == [back.call_id], 20, "the entry of the binding")


def test_a_flush_of_the_account_reaches_all_of_its_bindings(world, kazoo, user):
    users = [f"{user}-{i}" for i in range(5)]
    for u in users:
        world.bind(u, 60)
    at_kamailio = world.api.create(**world.at_kamailio(user))
    world.api.wait_state(at_kamailio, "registered")
    cseq = world.kamailio.bindings(f"{user}@127.0.0.1")[0]["CSeq"]
    waits = [flushed(world, u) for u in users]
    assert kazoo.call("DELETE") == "ok"
    for wait in waits:
        wait()
    wait_for(lambda: [b["CSeq"] for b in world.kamailio.bindings(f"{user}@127.0.0.1")] not in ([], [cseq]), 20,
             "a new binding at Kamailio")
    assert all(world.bound(u) == [f"sip:{u}@127.0.0.1:5090"] for u in users)
    wait_for(lambda: not list(world.redis.scan_iter("rc:*:job:*")), 10, "the end of the job")


def test_what_is_not_bound_is_not_listed(world, kazoo, user):
    """A wrong password: a registration that every other dialect lists, and no binding."""
    rid = world.api.create(**world.at_registrar(user, auth_password="wrong"))
    world.api.wait_state(rid, "rejected")
    assert kazoo.entries(username=user) == []
    assert kazoo.call("DELETE", f"/{user}") == "ok", "known, though not registered"
