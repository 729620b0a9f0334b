"""The keys that seal secrets are rotated under a working system: what docs/KEYS.md promises, in its order and out of it."""
import secrets
import signal
import threading

import pytest

from key_ring import KeyRing
from ribbon_client import CONTACT, CREDENTIALS, SERVERS, Ribbon, credential_path, entry_path, path, server_path
from stack import StartError, wait_for

WORLD = {"gateways": 2, "registrants": 2, "kamailio": False}
COUNT = 60


@pytest.fixture(scope="module")
def ring(world):
    return KeyRing(world)


@pytest.fixture
def old(ring):
    """The one key of the ring, with which everything is sealed."""
    return ring.settle()


@pytest.fixture(scope="module")
def users(world):
    """Bound for ten minutes: no refresh falls due while the tests run."""
    names = [f"rotated{i}" for i in range(COUNT)]
    ids = {name: world.api.create(**world.at_registrar(name, expire=600)) for name in names}
    for id in ids.values():
        world.api.wait_state(id, "registered")
    return ids


class Writer(threading.Thread):
    """Changes one registration over and over: its password to a wrong one and back, in turns at both gateways."""

    def __init__(self, world, id):
        super().__init__()
        self.world, self.id, self.ended, self.failures, self.writes = world, id, threading.Event(), [], 0

    def run(self):
        while not self.ended.is_set():
            try:
                self.world.api.update(self.id, auth_password=f"wrong-{self.writes}", enabled=False)
                self.writes += 1
            except Exception as failure:  # noqa: BLE001 - shown by the test
                self.failures.append(failure)
                return

    def end(self):
        self.ended.set()
        self.join()
        assert not self.failures, self.failures


def test_a_rotation_in_order_sends_nothing_upstream(world, users, user, ring, old):
    other = world.api.create(**world.at_registrar(user, enabled=False))
    writer = Writer(world, other)
    before = {name: len(world.sent(name)) for name in users}
    told = {id: (world.redis.hget(world.keys_of(id)[0], "updated_at"), world.story(id)) for id in list(users.values())[:5]}
    new = ring.new()
    writer.start()
    ring.turn(old, new)
    ring.turn(new, old)
    wait_for(lambda: ring.count(new) >= COUNT, 30, "the re-sealing")
    writer.end()
    ring.wait_sealed(new)
    assert writer.writes > 3
    world.api.update(other, auth_password=world.registrar_password, enabled=True)
    world.api.wait_state(other, "registered")  # the last write won, whatever was sealed meanwhile
    wait_for(lambda: ring.count(old) == 0, 30, f"no value under {old}")
    ring.turn(new)
    assert {name: len(world.sent(name)) for name in users} == before, "nothing was configured, and nothing was sent"
    for id, before in told.items():
        assert (world.redis.hget(world.keys_of(id)[0], "updated_at"), world.story(id)) == before, "nobody is told of it"


def test_after_it_bindings_are_taken_over_and_refreshed_with_the_new_key_alone(world, users, old):
    before = {name: len(world.sent(name)) for name in users}
    world.stack.registrants[1].stop()
    name, id = next(iter(users.items()))
    world.stack.registrants[1].start()
    assert {n: len(world.sent(n)) for n in users} == before
    assert world.api.call("POST", f"/registrations/{id}/refresh").status_code < 300
    sent = world.wait_sent(name, before[name] + 1)
    assert sent[-1].answer.status == 200, f"sealed with {old}, which is all there is"


def test_a_ring_that_is_no_ring_is_refused_whole(world, users, ring, old):
    good = ring.file.read_text()
    parts = [world.gateway, world.registrant]
    for text in ("", f"{old} nonsense\n", f"{old} {secrets.token_hex(32)}\n"):
        ring.file.write_text(text)
        counts = [part.log_text().count("key ring not read again") for part in parts]
        for part in parts:
            part.signal(signal.SIGHUP)
        wait_for(lambda: all(p.log_text().count("key ring not read again") > n for p, n in zip(parts, counts)), 10, "the refusal")
    ring.file.write_text(good)
    name, id = list(users.items())[1]
    world.api.update(id, auth_password="another-" + name)  # sealed and opened with what was held before
    assert world.api.wait_state(id, "rejected")["code"] == 401
    world.api.update(id, auth_password=world.registrar_password)
    world.api.wait_state(id, "registered")


def test_a_key_that_registrants_do_not_have_is_said_and_nothing_goes_out_without_a_password(world, users, ring, old):
    """The order was not kept: gateways seal with a key that registrants have not read."""
    name, id = list(users.items())[2]
    new = ring.new()
    ring.turn(new, old, of=world.stack.gateways)
    seen = len(world.sent(name))
    assert world.api.call("POST", f"/registrations/{id}/refresh").status_code < 300
    status = world.api.wait_state(id, "retrying")
    assert (status["reason"], status["initiator"], status["code"]) == (f"key {new} missing", "local", None)
    assert {r.auth_result for r in world.sent(name)[seen:]} <= {None, "ok"}, "no digest without its password"
    assert world.bound(name), "and nothing was unbound"
    ring.turn(new, old, of=world.stack.registrants)
    world.api.wait_state(id, "registered", 15)  # at once: no back-off is waited for
    ring.wait_sealed(new)


def test_re_sealing_goes_on_when_its_gateway_is_killed(world, users, ring, old):
    first, second = world.stack.gateways
    first.stop()
    second.stop()
    new = ring.new()
    ring.turn(new, old, of=world.stack.registrants)
    second.more_env = {"ROLLCALL_FAULT_POINT": "after_redis_write"}
    try:
        second.start(ready=False)
    except StartError:
        pass  # it may be dead before it was asked
    wait_for(lambda: not second.running(), 20, "its death at the first registration")
    under_way = ring.count(new)
    assert 0 < under_way < COUNT, "killed in the middle"
    second.more_env = {}
    before = {name: len(world.sent(name)) for name in users}
    first.start()
    ring.wait_sealed(new, [first])
    wait_for(lambda: ring.count(old) == 0, 30, f"no value under {old}")
    second.start()
    assert {name: len(world.sent(name)) for name in users} == before


def test_passwords_of_ribbons_tables_are_sealed_anew_and_their_registrations_stay(world, user, ring, old):
    ribbon = Ribbon(world.gateway.port)
    assert ribbon.login(world.stack.username, world.stack.password).done
    for table, id in ((CONTACT, 3), (SERVERS, 2), (CREDENTIALS, 4)):
        ribbon.make(path(table, id), Description="rotated")
    ribbon.make(credential_path(4, 1), User=user, EncryptedPassword=world.registrar_password)
    ribbon.make(server_path(2, 1), **{"Host": "127.0.0.1", "Port": world.registrar.port, "ContactRegistrantTableID": 3,
                                      "RemoteAuthorizationTableID": 4})
    ribbon.make(entry_path(3, 1), AOR=f"sip:{user}", AorTtl="600")
    wait_for(lambda: ribbon.get(entry_path(3, 1), "?filter=runtime").item.values.get("rt_State") == "registered", 20, "its binding")
    sent = len(world.sent(user))
    # Another dialect gives the registration a password of its own, which no re-sealing may take back.
    id = world.api.call("GET", f"/registrations?filter[username_eq]={user}").json()["data"][0]["id"]
    world.api.update(id, display_username="mine")
    sent = len(world.wait_sent(user, sent + 1))
    new = ring.new()
    ring.turn(old, new)
    ring.turn(new, old)
    ring.wait_sealed(new)
    assert ring.count(old) == 0
    before = world.redis.hget(world.keys_of(id)[0], "spec")
    ribbon.post(entry_path(3, 1), AorTtl="600")  # brings its registrations in step: none of their parts is another
    assert world.redis.hget(world.keys_of(id)[0], "spec") == before
    ring.turn(new)
    ribbon.post(credential_path(4, 1), EncryptedPassword="another-password")  # it can be opened, and is another
    wait_for(lambda: ribbon.get(entry_path(3, 1), "?filter=runtime").item.values.get("rt_State") != "registered", 20, "the refusal")
    assert len([r for r in world.sent(user)[sent:] if r.answer.status == 200]) == 0
