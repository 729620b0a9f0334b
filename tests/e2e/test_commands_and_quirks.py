"""What a command and a dialect's switches do on the wire: a flush unregisters and registers anew, and quirks change how."""
import json
import pathlib

import pytest

from stack import wait_for
from world import are_staggered, removes

RATE = 20
WORLD = {"kamailio": False, "registrant_env": {"ROLLCALL_REGISTRAR_RATE": str(RATE)}}
STORE = pathlib.Path(__file__).resolve().parents[2] / "services/gateway/store"


def command(world, rid, counter="flush_seq"):
    """Raises a counter by the script that the gateways use; their sweep publishes it."""
    key = world.keys_of(rid)[0]
    script = (STORE / "shared.lua").read_text() + (STORE / "raise.lua").read_text()
    assert world.redis.eval(script, 1, key, rid, world.redis.hget(key, "account"), counter, 0)


def reshape(world, rid, **members):
    """Gives a registration members of the model that Yeti's documents cannot say."""
    key = world.keys_of(rid)[0]
    spec = json.loads(world.redis.hget(key, "spec"))
    world.redis.hset(key, "spec", json.dumps({**spec, **members}))


def acted(world, rid, name):
    return json.loads(world.redis.hget(world.keys_of(rid)[0], "status")).get("acted", {}).get(name, 0)


def wait_acted(world, rid, name, count, seconds=30):
    wait_for(lambda: acted(world, rid, name) == count, seconds, f"{name} {count} to be reported as acted on")


def settled(requests):
    """Those that were answered with a 2xx."""
    return [r for r in requests if r.answer and 200 <= r.answer.status < 300]


def test_a_flush_unregisters_and_registers_anew(world, user):
    rid = world.bind(user, 600)
    before = world.sent(user)
    command(world, rid)
    wait_acted(world, rid, "flush", 1)
    gone, back = settled(world.sent(user)[len(before):])
    assert removes(gone) and gone.expires == 0 and gone.auth_result == "ok"
    assert [c.uri for c in gone.contacts] == [f"sip:{user}@127.0.0.1:5090"]
    assert not removes(back) and back.cseq > gone.cseq and back.call_id == before[0].call_id
    assert world.bound(user) == [f"sip:{user}@127.0.0.1:5090"]
    assert world.api.status(rid)["state"] == "registered"


def test_two_flushes_in_a_row_leave_it_registered_and_are_both_done(world, user):
    rid = world.bind(user, 600)
    command(world, rid)
    command(world, rid)
    wait_acted(world, rid, "flush", 2)
    later = settled(world.sent(user))[1:]
    assert [removes(r) for r in later] in ([True, False], [True, False, True, False])
    assert world.bound(user) and world.api.status(rid)["state"] == "registered"


def test_a_flush_ends_the_wait_of_one_that_failed(world, user):
    world.script(user, [{"status": 403}])
    rid = world.api.create(**world.at_registrar(user))
    world.api.wait_state(rid, "rejected")
    command(world, rid)
    world.api.wait_state(rid, "registered")
    assert not any(removes(r) for r in world.sent(user))


def test_a_flush_of_a_disabled_one_sends_nothing(world, user):
    rid = world.bind(user, 600)
    world.api.update(rid, enabled=False)
    world.api.wait_state(rid, "disabled")
    count = len(world.sent(user))
    command(world, rid)
    wait_acted(world, rid, "flush", 1)
    assert len(world.sent(user)) == count and world.api.status(rid)["state"] == "disabled"


def test_a_flush_of_many_keeps_to_the_rate_and_holds_no_refresh_up(world, user):
    names = [f"{user}m{i}" for i in range(60)]
    ids = {n: world.api.create(**world.at_registrar(n, expire=600)) for n in names}
    for rid in ids.values():
        world.api.wait_state(rid, "registered")
    other = world.bind(user, 600)
    seen, count = {n: len(world.sent(n)) for n in names}, len(world.sent(user))
    for i, rid in enumerate(ids.values()):
        command(world, rid)
        if i == len(ids) // 2:
            command(world, other, "refresh_seq")
    refreshed = world.wait_sent(user, count + 1)[count]
    assert not removes(refreshed)
    heard = world.published_at("rollcall.changes.any", other)
    for rid in ids.values():
        wait_acted(world, rid, "flush", 1)
    pairs = [settled(world.sent(n)[seen[n]:]) for n in names]
    times = sorted(r.time for pair in pairs for r in pair)
    before = sum(heard < r.wall < refreshed.wall for pair in pairs for r in pair)
    assert before < 2 * RATE, f"the refresh waited for others to be flushed: {before} were sent before it"
    for gone, back in pairs:
        assert removes(gone) and not removes(back)
        between = sum(gone.time < t < back.time for t in times)
        assert between < RATE, f"who was removed is bound again before others are: {between} were sent meanwhile"
    assert all(world.bound(n) for n in names)
    most = max(sum(1 for t in times if first <= t < first + 1) for first in times)
    assert most <= RATE + RATE // 10 + 2, f"{most} requests in a second"


def test_credentials_wait_for_a_challenge_where_that_is_wanted(world, user):
    rid = world.bind(user, 600)
    reshape(world, rid, quirks={"challenge_first": True})
    count = len(world.sent(user))
    command(world, rid, "refresh_seq")
    wait_acted(world, rid, "refresh", 1)
    bare, with_credentials = world.sent(user)[count:]
    assert bare.auth is None and bare.answer.status == 401
    assert with_credentials.auth_result == "ok" and with_credentials.answer.status == 200


@pytest.mark.parametrize("non_stale, state", [("retry", "retrying"), ("stop", "rejected")])
def test_what_becomes_of_refused_credentials_is_switched(world, user, non_stale, state):
    rid = world.bind(user, 600, retry_delay=2)
    reshape(world, rid, quirks={"non_stale": non_stale})
    challenge = {"status": 401, "headers": {"WWW-Authenticate": 'Digest realm="127.0.0.1", nonce="%s", qop="auth"'}}
    world.script(user, [{**challenge, "headers": {k: v % i for k, v in challenge["headers"].items()}} for i in "ab"])
    count = len(world.sent(user))
    command(world, rid, "refresh_seq")
    wait_acted(world, rid, "refresh", 1)
    said = world.api.status(rid)
    assert said["state"] in (state, "registered")
    if non_stale == "retry":
        again = world.wait_sent(user, count + 3)[count + 2]
        assert again.auth["nonce"] == "b" and again.time - world.sent(user)[count + 1].time >= 1.9
        world.api.wait_state(rid, "registered")
        return
    assert "next-action-at" not in said or said["next-action-at"] is None
    shard = world.keys_of(rid)[0].split(":reg:")[0]
    wait_for(lambda: world.redis.zscore(f"{shard}:due", rid) is None, 10, "nothing to be due")
    command(world, rid)
    world.api.wait_state(rid, "registered")


def test_staggered_ones_are_a_second_apart(world, user):
    names = [f"{user}s{i}" for i in range(3)]
    ids = {n: world.bind(n, 600) for n in names}
    for rid in ids.values():
        reshape(world, rid, quirks={"stagger": True})
        command(world, rid)
    for rid in ids.values():
        wait_acted(world, rid, "flush", 1)
    sent = [r for n in names for r in settled(world.sent(n))[1:]]
    assert len(sent) == 6 and are_staggered(sent)


def test_the_address_of_record_of_the_local_host_is_sent(world, user):
    rid = world.bind(user, 600)
    reshape(world, rid, aor="sip:%s@{local}" % user, quirks={"clear_first": True})
    count = len(world.sent(user))
    command(world, rid, "refresh_seq")
    wait_acted(world, rid, "refresh", 1)
    assert [removes(r) for r in settled(world.sent(user)[count:])] == [True, True, False]  # the old AoR, a clear, the new
    last = world.sent(user)[-1]
    assert last.header("to") == f"<sip:{user}@127.0.0.1>"
    assert last.header("from").startswith(f"<sip:{user}@127.0.0.1>;tag=")
    assert last.ruri == f"sip:127.0.0.1:{world.registrar.port}"
    world.api.delete(rid)
    wait_for(lambda: world.grave_of(rid), 20, "the proof of the removal")
    assert not world.bound(user)
