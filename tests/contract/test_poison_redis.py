"""A registration that Redis holds damaged, of a newer version or of another type harms itself alone: asked for, it is told apart by
an error that names what is wrong; lists, walks and exports of its account leave it out and show all others; it is counted, logged
once, and not published again and again; writing it anew is up to who asks, deleting it works."""
import json
import re
import urllib.request

import pytest
from stack import wait_for
from test_one_model import ALL, PRINCIPALS, Account  # noqa: F401

GATEWAY = {"ROLLCALL_CONTACT": "sip:{username}@192.0.2.77:5090", "ROLLCALL_ACK_WAIT": "50", "ROLLCALL_REPORT_WAIT": "50",
           "ROLLCALL_GRACE": "50", "ROLLCALL_SWEEP_INTERVAL": "20"}


def newer(spec):
    return json.dumps({**json.loads(spec), "v": 2})


DAMAGES = {"cut off": lambda spec: spec[:len(spec) // 2],
           "empty object": lambda spec: "{}",
           "an array": lambda spec: "[]",
           "a number": lambda spec: "7",
           "newer": newer,
           "wrong types": lambda spec: json.dumps({**json.loads(spec), "username": 7}),
           "another id": lambda spec: json.dumps({**json.loads(spec), "id": 1}),
           "deep": lambda spec: "[" * 5000 + "]" * 5000,
           "NUL": lambda spec: spec.replace("alice", "ali\0ce"),
           "line ends": lambda spec: '{"count":0}\n{"count":1}\n' + spec,
           "huge": lambda spec: json.dumps({**json.loads(spec), "username": "x" * 2000000})}


def damage(world, id, kind):
    key = world.key(id)
    if kind == "another type":
        world.redis.delete(key)
        world.redis.rpush(key, "x")
    elif kind == "no spec":
        world.redis.hdel(key, "spec")
    else:
        spec = world.redis.hget(key, "spec")
        assert DAMAGES[kind](spec) != spec
        world.redis.hset(key, "spec", DAMAGES[kind](spec))


def metric(world, name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{world.gateway.port}/metrics", timeout=10).read().decode()
    return int(re.search(rf"(?m)^{re.escape(name)} (\d+)$", text).group(1))


@pytest.fixture
def account(world):
    return Account(world)


@pytest.mark.parametrize("kind", [*DAMAGES, "another type", "no spec"])
def test_a_damaged_one_is_told_apart_and_left_out(world, account, kind):
    ids = [account.make("yeti", f"alice{i}") for i in range(3)]
    damage(world, ids[1], kind)
    left = [ids[0], ids[2]]
    seen = metric(world, "rollcall_damaged_registrations_total")
    assert account.lists() == dict.fromkeys(ALL, left)
    lines = account.yeti.get("/registrations/export", accept="*/*").body.splitlines()
    assert [json.loads(line)["attributes"]["username"] for line in lines] == ["alice0", "alice2"]
    filtered = account.yeti.get("/registrations?filter[username_cont]=alice").json
    assert [int(r["id"]) for r in filtered["data"]] == left
    for _ in range(2):
        answer = account.yeti.get(f"/registrations/{ids[1]}")
        assert answer.status == 500
        [(code, detail, _)] = answer.errors
        assert code == "500" and f"registration {ids[1]}" in detail and len(detail) < 1000
    assert metric(world, "rollcall_damaged_registrations_total") > seen
    logged = re.findall(rf" store id={ids[1]} what Redis holds", world.gateway.log_text())
    assert 1 <= len(logged) <= 2  # each of the two threads once
    if kind != "another type":
        assert account.yeti.call("DELETE", f"/registrations/{ids[1]}").status == 204
        assert account.yeti.get(f"/registrations/{ids[1]}").status == 404


@pytest.mark.parametrize("kind", ["cut off", "another type", "newer", "no spec", "huge"])
def test_what_cannot_be_read_is_not_published_again_and_again(world, account, kind):
    bad, good = account.make("yeti", "alice"), account.make("yeti", "bob")
    damage(world, bad, kind)
    shard = re.match("rc:{s[0-9]+}:", world.key(good)).group(0)
    for id in (bad, good):
        world.redis.zadd(f"{shard}due", {id: 1})
    wait_for(lambda: world.redis.zscore(f"{shard}due", bad) is None, 10, "the damaged one to be given up")
    # its neighbour in the same shard is swept as ever
    wait_for(lambda: (world.redis.hget(world.key(good), "pause") or "0") != "0", 10, "the good one to be swept")


@pytest.mark.parametrize("status", ["{", "7", '{"v":2,"state":"registered"}', '{"v":1,"state":[]}', "[" * 5000, "\0"])
def test_a_damaged_report_is_as_good_as_none(world, account, status):
    id = account.make("yeti", "alice")
    world.redis.hset(world.key(id), "status", status)
    assert account.yeti.get(f"/registrations/{id}").status == 200
    assert account.yeti.get(f"/registrations/{id}/status").attributes["state"] in ("unknown", "pending")
    assert account.lists()["yeti"] == account.lists()["voximplant"] == account.lists()["ribbon"] == [id]


def test_damaged_pops_leave_the_registrations_readable(world, account):
    id = account.make("yeti", "alice")
    world.redis.hset("rc:{g}:pops", 77, "{")
    try:
        assert account.lists()["yeti"] == [id]
        assert account.yeti.get("/registrations?include=pop").status == 200
        assert account.yeti.get("/pops").status == 200
    finally:
        world.redis.hdel("rc:{g}:pops", 77)
