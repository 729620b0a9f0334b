"""Redis away, emptied; Kafka away for longer than a session, or putting a registrant out of its group; a gateway dying between
Redis and Kafka."""
import re
import shutil

import pytest
import requests

from stack import wait_for
from world import Api, removes

# Whenever that file is made in the directory of the world, the registrant's consumer is fenced.
FENCE = "fence"
WORLD = {"kamailio": False, "gateway_env": {"ROLLCALL_GRACE": "3000", "ROLLCALL_REPORT_WAIT": "3000"},
         "registrant_env": {"ROLLCALL_FAULT_POINT": f"consumer_fenced={FENCE}"}}


def test_a_gateway_killed_between_redis_and_kafka_loses_nothing(world, user):
    doomed = world.stack.new_gateway("gateway-doomed", env={"ROLLCALL_FAULT_POINT": "after_redis_write"}).start()
    world.stack.gateways.remove(doomed)
    api = Api(doomed.url, world.stack.username, world.stack.password)
    body = {"data": {"type": "registrations", "attributes": {
        k.replace("_", "-"): v for k, v in world.at_registrar(user).items()}}}
    with pytest.raises(requests.ConnectionError):
        api.call("POST", "/registrations", body)
    wait_for(lambda: not doomed.running(), 5, "the gateway to be dead")
    world.wait_sent(user, 1, 30)
    wait_for(lambda: world.bound(user), 10, "the binding")


def test_refreshes_go_on_while_kafka_is_away_and_nothing_is_forgotten_or_sent_twice(world, user):
    names = [f"{user}k{i}" for i in range(8)]
    ids = {n: world.bind(n, 16, expire=60) for n in names}
    world.stack.kafka.stop()
    answer = requests.get(world.gateway.url + "/readyz", timeout=30)
    marks = {n: len(world.sent(n)) for n in names}
    late = world.api.create(**world.at_registrar(f"{user}late"))
    # Two refreshes of each: 14 to 16 s, more than two session time-outs of 6 s.
    for n in names:
        world.wait_sent(n, marks[n] + 2, 40)
    answer = requests.get(world.gateway.url + "/readyz", timeout=30)
    assert answer.status_code == 200 and answer.json()["kafka"] == "degraded"
    assert not world.sent(f"{user}late")
    world.stack.kafka.start()
    world.api.wait_state(late, "registered", 60)
    for n, rid in ids.items():
        world.api.wait_state(rid, "registered", 60)
    wait_for(lambda: world.metric(world.registrant, "rollcall_registrant_lease_fresh") == 1, 60, "the lease")
    for n in names:
        good = [r for r in world.sent(n) if r.answer and r.answer.status == 200]
        gaps = [b.time - a.time for a, b in zip(good, good[1:])]
        assert all(0.4 * 16 < g < 16 for g in gaps), f"{n} was refreshed at {gaps}"  # due after half of it


def parked(world):
    return world.metric(world.registrant, "rollcall_registrant_partitions", state="parked")


def is_member(world):
    return (world.metric(world.registrant, "rollcall_registrant_lease_fresh") == 1 and parked(world) == 0 and
            world.metric(world.registrant, "rollcall_registrant_partitions", state="owned") > 0)


def fence(world):
    """Has the registrant put out; returns whether it means to join again."""
    told = len(world.registrant.log_text())
    (world.stack.directory / FENCE).touch()
    said = wait_for(lambda: re.search("put us out|will not have us", world.registrant.log_text()[told:]), 30,
                    "the consumer to be fenced")  # it asks as often as it hears of its broker
    return said.group() == "put us out"


def test_a_registrant_put_out_of_its_group_keeps_its_bindings_and_joins_again(world, user):
    wait_for(lambda: is_member(world), 30, "the registrant to be a member")
    rid = world.bind(user, 20, expire=20)
    pid, count = world.registrant.pid, len(world.sent(user))
    assert fence(world)
    wait_for(lambda: parked(world) > 0, 5, "its partitions to be parked")
    late = world.api.create(**world.at_registrar(f"{user}late"))
    world.wait_sent(user, count + 1, 15)
    world.api.wait_state(late, "registered", 30)
    wait_for(lambda: is_member(world), 10, "the registrant to be a member again")
    world.api.update(rid, contact=f"sip:{user}-moved@127.0.0.1:5090")
    wait_for(lambda: world.bound(user) == [f"sip:{user}-moved@127.0.0.1:5090"], 10, "the changed contact alone")
    good = [r for r in world.sent(user) if r.answer and r.answer.status == 200]
    assert all(b.time - a.time < 20 for a, b in zip(good, good[1:])), "the binding lapsed"
    assert len({r.call_id for r in good}) == 1
    assert world.registrant.running() and world.registrant.pid == pid


def end_by_a_twin(world):
    """A registrant whose group puts it out as often as it joins: by another process of its name, where the broker knows static
    members; the embedded one does not. Returns those that may end, and those that still run."""
    if world.kafka_kind == "apache":
        twin = world.stack.new_registrant("twin", env={"ROLLCALL_NODE": world.registrant.name}).start(ready=False)
        both = [world.registrant, twin]
    else:
        both = [world.registrant]
        joins = 0  # a coordinator that fails twice would do the same; what was done to it a moment ago counts, too
        while fence(world):
            joins += 1
            wait_for(lambda: is_member(world), 30, "the registrant to be a member again")
        assert 1 <= joins <= 2
    wait_for(lambda: not all(r.running() for r in both), 60, "one of both to end")
    return both


def test_a_registrant_with_a_twin_ends_and_the_other_goes_on(world, user):
    wait_for(lambda: is_member(world), 30, "the registrant to be a member")
    rid = world.bind(user, 600, expire=600)
    both = end_by_a_twin(world)
    ended = next(r for r in both if not r.running())
    assert ended.child.returncode == 1
    assert "used twice" in ended.log_text()
    left = [r for r in both if r.running()]
    assert len(left) == len(both) - 1
    for r in [r for r in both if r is not world.stack.registrants[0]]:
        world.stack.registrants.remove(r)
    if not left:
        world.registrant.start()
    world.api.update(rid, contact=f"sip:{user}-moved@127.0.0.1:5090")
    wait_for(lambda: world.bound(user) == [f"sip:{user}-moved@127.0.0.1:5090"], 40, "the changed contact alone")
    for r in left:  # one of that name again, and only one
        if r is not world.registrant:
            assert r.stop() == 0
            world.registrant.start()


def test_redis_away_gives_503_and_registrants_go_on(world, user):
    rid = world.bind(user, 12, expire=60)
    count = len(world.sent(user))
    world.stack.redis.stop()
    answer = world.api.call("PUT", f"/registrations/{rid}",
                            {"data": {"type": "registrations", "id": rid, "attributes": {"name": "x"}}})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["errors"][0]["status"] == "503"
    assert requests.get(world.gateway.url + "/readyz", timeout=30).status_code == 503
    assert requests.get(world.gateway.url + "/healthz", timeout=30).status_code == 200
    world.wait_sent(user, count + 1, 20)
    world.stack.redis.start()
    wait_for(lambda: requests.get(world.gateway.url + "/readyz", timeout=30).status_code == 200, 20, "readiness")
    world.api.wait_state(rid, "registered")
    world.api.update(rid, name=f"{user}-after")


def test_an_emptied_redis_unregisters_nobody_and_gets_back_what_was_published(world, user):
    rid = world.bind(user, 30, expire=60)
    count = len(world.sent(user))
    world.stack.redis.kill()
    for path in world.stack.directory.glob("redis-aof*"):
        shutil.rmtree(path)
    world.stack.redis.start()
    wait_for(lambda: requests.get(world.gateway.url + "/readyz", timeout=30).status_code == 200, 40, "readiness")
    wait_for(lambda: world.api.call("GET", f"/registrations/{rid}").status_code == 200, 10, "the registration")
    world.api.wait_state(rid, "registered")
    world.wait_sent(user, count + 1, 25)
    assert not any(removes(r) for r in world.sent(user))
    assert world.bound(user)
    new = world.api.create(**world.at_registrar(f"{user}new"))
    assert int(new) > int(rid), "an id was given twice"


def test_the_api_says_unknown_when_all_registrants_are_dead_and_reports_ran_out(world, user):
    rid = world.bind(user, 10, expire=10)
    world.registrant.kill()
    status = world.api.wait_state(rid, "unknown", 30)
    assert status["last-report"]["state"] == "registered"
    world.registrant.start()
    world.api.wait_state(rid, "registered", 30)


def test_a_gateway_told_to_stop_finishes_what_is_in_flight(world, user):
    second = world.stack.new_gateway("gateway-2").start()
    api = Api(second.url, world.stack.username, world.stack.password)
    rid = api.create(**world.at_registrar(user))
    assert second.stop() == 0
    world.stack.gateways.remove(second)
    world.api.wait_state(rid, "registered")
    assert world.story(rid)[0] == "created"
