"""The keys that seal secrets are rotated on a Redis Cluster: accounts on all of its servers, one of them in a slot that is being
moved, and a master that dies on the way. Kafka has no part in it: the embedded broker does as well as another."""
import signal

import pytest

from conftest import KAFKA
from key_ring import KeyRing, left
from stack import wait_for
from world import Api

pytestmark = pytest.mark.skipif(KAFKA != "embedded", reason="the same on any Kafka")
WORLD = {"gateways": 2, "registrants": 1, "kamailio": False, "cluster": (3, 1), "gateway_env": {"ROLLCALL_REDIS_WAIT": "1"}}
ACCOUNTS = [f"account{i}" for i in range(12)]
EACH = 4


def PRINCIPALS(document):
    admin = document["users"][0]
    for i, account in enumerate(ACCOUNTS):
        document["users"].append({"id": 100 + i, "username": f"user-of-{account}", "account": account, "password": admin["password"]})


@pytest.fixture(scope="module")
def ring(world):
    return KeyRing(world)


@pytest.fixture(scope="module")
def apis(world):
    return {account: Api(world.gateway.url, f"user-of-{account}", world.stack.password) for account in ACCOUNTS}


@pytest.fixture(scope="module")
def users(world, apis):
    """name: (account, id). Bound for ten minutes: no refresh falls due while the tests run."""
    found = {f"{account}-{i}": account for account in ACCOUNTS for i in range(EACH)}
    ids = {name: apis[account].create(**world.at_registrar(name, expire=600)) for name, account in found.items()}
    for name, account in found.items():
        apis[account].wait_state(ids[name], "registered")
    return {name: (account, ids[name]) for name, account in found.items()}


@pytest.fixture
def old(ring):
    return ring.settle()


def counts(world, users):
    return {name: len(world.sent(name)) for name in users}


def test_an_account_whose_slot_is_on_the_move_is_sealed_anew_when_it_has_arrived(world, users, ring, old):
    """Until then scripts of that slot are put off by its servers, and no gateway says that all is done."""
    cluster = world.cluster
    slots = {account: cluster.account_slot(account) for account in ACCOUNTS}
    owners = {cluster.owner_of(slot) for slot in slots.values()}
    assert len(owners) == len(cluster.masters), "accounts on all servers"
    before, new = counts(world, users), ring.new()
    moving = slots[ACCOUNTS[0]]
    target = next(owner for owner in owners if owner is not cluster.owner_of(moving))
    ring.turn(old, new)
    told = {g: len(g.log_text()) for g in world.stack.gateways}
    cluster.begin_move(moving, target, most=EACH)
    try:
        ring.turn(new, old)
        wait_for(lambda: all("TRYAGAIN" in g.log_text()[told[g]:] for g in told), 30, "the gateways to be put off", every=0.1)
        assert all(left(g) > 0 for g in world.stack.gateways)
    finally:
        cluster.move(moving, target)
    ring.wait_sealed(new)
    wait_for(lambda: ring.count(old) == 0, 30, f"no value under {old}")
    assert ring.count(new) >= len(users)
    assert cluster.owner_of(moving) is target
    assert counts(world, users) == before, "nothing was sent"


def test_a_master_that_dies_under_a_rotation_leaves_nothing_under_the_old_key(world, users, apis, ring, old):
    cluster = world.cluster
    before, new = counts(world, users), ring.new()
    doomed = cluster.owner_of(cluster.account_slot(ACCOUNTS[1]))
    ring.turn(old, new)
    ring.write(new, old)
    for part in (*world.stack.gateways, *world.stack.registrants):
        part.signal(signal.SIGHUP)
    doomed.kill()
    ring.wait_sealed(new)
    wait_for(lambda: ring.count(old) == 0, 60, f"no value under {old}")
    ring.turn(new)
    assert counts(world, users) == before, "nothing was sent"
    world.registrant.stop()
    world.registrant.start()
    doomed.start()  # a write is acknowledged where a replica has it

    def refresh(account, id):
        return apis[account].call("POST", f"/registrations/{id}/refresh").status_code < 300

    for account in ACCOUNTS:  # opened with the new key, which is all there is
        name, (_, id) = next((n, u) for n, u in users.items() if u[0] == account)
        wait_for(lambda a=account, i=id: refresh(a, i), 30, f"{account} to take writes", every=0.2)
        assert world.wait_sent(name, before[name] + 1)[-1].answer.status == 200
