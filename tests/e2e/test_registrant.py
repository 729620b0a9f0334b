"""A registrant with two SIP threads and two places, records that nobody can read, a process that stood still, and every
moment at which it may be told to stop.
"""
import json
import signal
import socket
import time

import confluent_kafka
import pytest

from stack import wait_for
from world import removes

DRAIN_S = 5
WORLD = {"kamailio": False, "registrant_env": {"ROLLCALL_SIP_THREADS": "2", "ROLLCALL_SIP_LISTEN": "127.0.0.1:0",
                                               "ROLLCALL_PLACES": "any,pop-9", "ROLLCALL_DRAIN": str(DRAIN_S)}}


def stop_in_time(world):
    """Within the drain time. What ignores it waits for a SIP transaction or for Kafka to time out, over half a minute: a busy machine
    may take its time."""
    began = time.monotonic()
    assert world.registrant.stop(60) == 0
    took = time.monotonic() - began
    assert took < DRAIN_S * 3, f"stopping took {took:.1f} s"


def status_in_redis(world, rid):
    return json.loads(world.redis.hget(world.keys_of(rid)[0], "status") or "{}")


@pytest.fixture
def silence():
    """host:port of a registrar that takes what comes and says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(20)
        yield s


# ---- two SIP threads


def test_two_threads_share_and_each_keeps_its_own(world, user):
    names = [f"{user}t{i}" for i in range(12)]
    ids = {n: world.bind(n, 12, expire=12) for n in names}
    first_source = {n: world.sent(n)[0].source for n in names}
    assert len(set(first_source.values())) == 2, "both threads send, each from a port of its own"
    counts = {n: len(world.sent(n)) for n in names}
    for n in names:
        refresh = world.wait_sent(n, counts[n] + 1, 25)[counts[n]]
        assert refresh.source == first_source[n]
        assert refresh.call_id == world.sent(n)[0].call_id
    for rid in ids.values():
        world.api.delete(rid)
    for n, rid in ids.items():
        wait_for(lambda r=rid: not world.keys_of(r), 20, "the proof of a removal")
        assert not world.bound(n)


def test_a_stop_and_a_start_of_two_threads_cost_no_register(world, user):
    names = [f"{user}s{i}" for i in range(8)]
    for n in names:
        world.bind(n, 600, expire=600)
    soon = world.bind(f"{user}soon", 60, expire=60)  # the others' last report is the last word for long
    counts = {n: len(world.sent(n)) for n in names}
    stop_in_time(world)
    wait_for(lambda: status_in_redis(world, soon).get("handover"), 10, "the hand-over to be said of what is due soon")
    world.registrant.start()
    fresh = world.bind(f"{user}fresh", 600)
    assert {n: len(world.sent(n)) for n in names} == counts
    assert world.api.status(fresh)["state"] == "registered"


# ---- two places


def test_a_move_between_two_places_of_one_registrant_sends_nothing(world, user):
    api = world.api
    answer = api.call("POST", "/pops", {"data": {"type": "pops", "id": "9", "attributes": {"name": "nine"}}})
    assert answer.status_code == 201, answer.text
    rid = world.bind(user, 600, expire=600)
    count = len(world.sent(user))
    for pop, place in (({"type": "pops", "id": "9"}, "pop-9"), (None, "any")):
        api.update(rid, relationships={"pop": {"data": pop}})
        wait_for(lambda p=place: status_in_redis(world, rid).get("place") == p, 20, f"a report from {place}")
        assert api.status(rid)["state"] == "registered"
    assert len(world.sent(user)) == count
    api.delete(rid)
    wait_for(lambda: not world.keys_of(rid), 20, "the proof")
    assert not world.bound(user)


# ---- standing still


def test_a_process_that_stood_still_sends_nothing_before_it_is_a_member_again(world, user):
    world.bind(user, 14, expire=14)
    count = len(world.sent(user))
    world.registrant.signal(signal.SIGSTOP)
    world.stack.kafka.stop()
    last = world.sent(user)[-1].time
    wait_for(lambda: time.monotonic() - last > 7.5, 15, "the refresh to be overdue")  # it is due after 6.3 to 7 s
    world.registrant.signal(signal.SIGCONT)
    wait_for(lambda: world.metric(world.registrant, "rollcall_registrant_lease_fresh") == 0, 20, "the lease to be over")
    wait_for(lambda: "Kafka is away" in world.registrant.log_text(), 20, "Kafka to be missed")
    assert len(world.sent(user)) == count, "sent though another may be the owner by now"
    world.stack.kafka.start()
    world.wait_sent(user, count + 1, 40)
    wait_for(lambda: world.bound(user), 10, "the binding")


# ---- poison


def keys_of_partition(world, topic, partition):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": world.stack.kafka.bootstrap, "group.id": f"look-{partition}",
                                         "fetch.wait.max.ms": 10, "enable.partition.eof": True})
    try:
        consumer.assign([confluent_kafka.TopicPartition(topic, partition, confluent_kafka.OFFSET_BEGINNING)])
        keys = set()
        while (m := consumer.poll(10)) is not None and not m.error():
            keys.add((m.key() or b"").decode())
        return keys
    finally:
        consumer.close()


def test_poison_is_counted_and_skipped_and_what_follows_is_done(world, user):
    rid = world.bind(user, 600, expire=600)
    topic = "rollcall.changes.any"
    value = world.records(topic, rid)[-1][2]
    other = str(int(rid) + 1)
    before = world.metric(world.registrant, "rollcall_registrant_poison_total")
    producer = confluent_kafka.Producer({"bootstrap.servers": world.stack.kafka.bootstrap, "partitioner": "murmur2_random",
                                         "message.max.bytes": 2000000})
    partitions = len(producer.list_topics(topic, timeout=10).topics[topic].partitions)
    home = next(p for p in range(partitions) if rid in keys_of_partition(world, topic, p))
    poison = [
        (rid, b"", {}), (rid, None, {}), (None, json.dumps(value), {}), (rid, b"\xff\xfe{", {}), (rid, b"[" * 100000, {}),
        (other, json.dumps(value), {}),
        (rid, json.dumps({**value, "v": 2, "op": "deleted"}), {}),
        (rid, json.dumps({**value, "op": "explode"}), {}),
        (rid, json.dumps({**value, "spec": {**value["spec"], "id": int(other)}}), {}),
        (rid, json.dumps({k: v for k, v in value.items() if k != "spec"}), {}),
        (rid, json.dumps(value) + "x" * 900000, {}),
        (rid, json.dumps(value), {"partition": (home + 1) % partitions}),
    ]
    for key, text, where in poison:
        producer.produce(topic, text, key=key, **where)
    assert producer.flush(20) == 0
    wait_for(lambda: world.metric(world.registrant, "rollcall_registrant_poison_total") >= before + len(poison), 20,
             "all poison to be counted")
    assert world.registrant.running()
    world.api.update(rid, contact=f"sip:{user}-after@127.0.0.1:5090")
    wait_for(lambda: world.bound(user) == [f"sip:{user}-after@127.0.0.1:5090"], 20, "the change that came after")
    assert not any(removes(r) for r in world.sent(user))
    world.bind(f"{user}next", 600)


# ---- SIGTERM


def test_stopping_does_not_wait_for_a_dead_registrar_and_hands_the_others_over(world, user, silence):
    names = [f"{user}d{i}" for i in range(8)]
    for n in names:
        world.bind(n, 600, expire=600)
    soon = world.bind(f"{user}soon", 60, expire=60)
    counts = {n: len(world.sent(n)) for n in names}
    dead = [world.api.create(**world.at_registrar(f"{user}x{i}", domain=f"127.0.0.1:{silence.getsockname()[1]}"))
            for i in range(6)]
    for _ in dead:
        silence.recv(65535)
    stop_in_time(world)
    wait_for(lambda: status_in_redis(world, soon).get("handover"), 10, "the hand-over to be said of what is due soon")
    for rid in dead:
        wait_for(lambda r=rid: status_in_redis(world, r).get("bound"), 10, "what may be bound at the dead one")
        assert not status_in_redis(world, rid).get("handover"), "what was in flight is no clean hand-over"
    world.registrant.start()
    world.bind(f"{user}fresh", 600)
    assert {n: len(world.sent(n)) for n in names} == counts
    for rid in dead:
        world.api.delete(rid)


def test_stopping_while_snapshots_are_not_to_be_had(world):
    stop_in_time(world)
    world.gateway.stop()
    world.registrant.start(ready=False)
    wait_for(lambda: world.metric(world.registrant, "rollcall_registrant_partitions", state="loading") > 0, 20, "partitions")
    wait_for(lambda: "is not to be had yet" in world.registrant.log_text(), 20, "a snapshot to fail")
    stop_in_time(world)
    world.registrant.start(ready=False)
    world.gateway.start()
    wait_for(lambda: world.registrant.http_ok("/readyz"), 30, "readiness once a gateway is there")


def test_stopping_while_kafka_is_away(world, user):
    world.bind(user, 600, expire=600)
    count = len(world.sent(user))
    world.stack.kafka.stop()
    wait_for(lambda: world.metric(world.registrant, "rollcall_registrant_lease_fresh") == 0, 30, "the lease to be over")
    stop_in_time(world)
    world.registrant.start(ready=False)  # before there is any broker, let alone a topic
    world.stack.kafka.start()
    wait_for(lambda: world.registrant.http_ok("/readyz"), 40, "readiness once Kafka is there")
    world.bind(f"{user}fresh", 600)
    assert not any(removes(r) for r in world.sent(user))
    assert len(world.sent(user)) <= count + 1, "asked again at most once, as its last report was lost"
