"""Records that nobody could have meant, on both topics, and registrations that Redis holds damaged, in the whole system: each is
counted and passed over, what stands beside it and what comes after it is done, and a take-over is not stopped by it. A producer
whose queue is full loses nothing. What the changes topic does to a registrant is in test_registrant.py, too."""
import json

import confluent_kafka
import pytest

from stack import wait_for
from world import removes

WORLD = {"kamailio": False, "gateway_env": {"ROLLCALL_KAFKA_EXTRA": "queue.buffering.max.messages=10;fetch.wait.max.ms=10", "ROLLCALL_ACK_WAIT": "300",
                                            "ROLLCALL_REPORT_WAIT": "1000", "ROLLCALL_GRACE": "2000"}}
CHANGES, STATUS = "rollcall.changes.any", "rollcall.status.any"
HUGE = 10 ** 30


@pytest.fixture(scope="module")
def producer(world):
    return confluent_kafka.Producer({"bootstrap.servers": world.stack.kafka.bootstrap, "partitioner": "murmur2_random",
                                     "message.max.bytes": 2000000})


def send(producer, topic, records):
    for key, value in records:
        producer.produce(topic, value if isinstance(value, bytes) or value is None else json.dumps(value), key=key)
    assert producer.flush(30) == 0


def poison_in(world, source):
    return world.metric(world.gateway, "rollcall_poison_records_total", source=source)


def test_poison_among_the_reports_is_counted_and_the_next_report_is_applied(world, user, producer):
    rid = world.bind(user, 600, expire=600)
    value = world.records(STATUS, rid)[-1][2]
    other = str(int(rid) + 100000)
    before = poison_in(world, "status")
    poison = [
        (rid, b""), (rid, b"\xff\xfe{"), (rid, b"[" * 100000), (rid, b"{" * 5000), (rid, b"7"), (rid, b'"text"'), (rid, b"[]"),
        (rid, b"{}"), (rid, b"\0"), (rid, None), (None, value), (other, value), ("", value), ("x" * 10000, value),
        (rid, {**value, "v": 2}), (rid, {**value, "id": 0}), (rid, {**value, "id": -1}), (rid, {**value, "id": HUGE}),
        (rid, {**value, "id": str(rid)}), (rid, {**value, "account": ""}), (rid, {**value, "account": 7}),
        (rid, {**value, "place": "pop-7"}), (rid, {**value, "place": "x" * 5000}), (rid, {**value, "place": "a/b"}),
        (rid, {**value, "state": "explodes"}), (rid, {**value, "state": []}), (rid, {**value, "epoch": -1}),
        (rid, {**value, "seq": HUGE}), (rid, {**value, "revision": -5}), (rid, {**value, "revision": "new"}),
        (rid, json.dumps(value).encode() + b"x" * 900000),
    ]
    send(producer, STATUS, poison)
    wait_for(lambda: poison_in(world, "status") >= before + len(poison), 20,
             f"all {len(poison)} to be counted, not {poison_in(world, 'status') - before}")
    assert world.gateway.running()
    assert world.api.status(rid)["state"] == "registered"
    world.api.update(rid, contact=f"sip:{user}-after@127.0.0.1:5090")
    wait_for(lambda: world.api.status(rid)["in-sync"] and world.bound(user) == [f"sip:{user}-after@127.0.0.1:5090"], 20,
             "the report that came after")
    assert not any(removes(r) for r in world.sent(user))


def test_reports_of_ids_that_nobody_knows_change_nothing(world, user, producer):
    rid = world.bind(user, 600, expire=600)
    value = world.records(STATUS, rid)[-1][2]
    keys = set(world.redis.scan_iter("rc:*:reg:*"))
    orphans = world.metric(world.gateway, "rollcall_reports_total", verdict="orphan")
    ids = [int(rid) + 50000, 2 ** 53, 2 ** 63 - 1]
    send(producer, STATUS, [(str(id), {**value, "id": id, "seq": 1}) for id in ids])
    wait_for(lambda: world.metric(world.gateway, "rollcall_reports_total", verdict="orphan") >= orphans + len(ids), 20, "orphans")
    assert set(world.redis.scan_iter("rc:*:reg:*")) == keys


def test_changes_with_numbers_and_texts_that_nobody_writes_are_passed_over(world, user, producer):
    rid = world.bind(user, 600, expire=600)
    value = world.records(CHANGES, rid)[-1][2]
    spec = value["spec"]
    sent = len(world.sent(user))
    before = world.metric(world.registrant, "rollcall_registrant_poison_total")
    poison = [(rid, {**value, "id": -int(rid)}), (rid, {**value, "id": HUGE}), (rid, {**value, "v": HUGE}),
              (rid, {**value, "spec": {**spec, "v": 2}}), (rid, {**value, "spec": {**spec, "username": "a\0b"}}),
              (rid, {**value, "spec": {**spec, "expires": HUGE}}), (rid, {**value, "spec": [spec]}),
              (rid, b'{"spec":' * 5000), (rid, {**value, "op": None}), (rid, {**value, "op": ["desired"]})]
    send(producer, CHANGES, poison)
    wait_for(lambda: world.metric(world.registrant, "rollcall_registrant_poison_total") >= before + len(poison), 20,
             f"{len(poison)} to be counted, not {world.metric(world.registrant, 'rollcall_registrant_poison_total') - before}")
    for revision in (-1, 0):  # older than what is held: ignored, and no poison
        send(producer, CHANGES, [(rid, {**value, "revision": revision})])
    world.bind(f"{user}next", 600)
    assert len(world.sent(user)) == sent


def test_damaged_registrations_do_not_stop_a_take_over(world, user):
    """One of each kind of damage beside sound ones; the registrant is killed and comes back."""
    names = [f"{user}g{i}" for i in range(12)]
    good = {n: world.bind(n, 30, expire=30) for n in names}
    bad = [world.bind(f"{user}b{i}", 3600, expire=3600) for i in range(6)]
    keys = [world.keys_of(id)[0] for id in bad]
    spec = [world.redis.hget(k, "spec") for k in keys]
    sound = world.bind(f"{user}s", 30, expire=30)  # its report alone is damaged
    world.redis.hset(world.keys_of(sound)[0], "status", '{"v":99,"state":"registered"}')
    world.redis.hset(keys[0], "spec", spec[0][:100])
    world.redis.hset(keys[1], "spec", '{"count":0}\n{"count":1}\n' + spec[1])
    world.redis.hset(keys[2], "spec", json.dumps({**json.loads(spec[2]), "v": 2}))
    world.redis.hset(keys[3], "spec", json.dumps({**json.loads(spec[3]), "username": "x" * 2000000}))
    world.redis.hdel(keys[4], "spec", "revision")
    world.redis.delete(keys[5])
    world.redis.rpush(keys[5], "not a hash")
    counts = {n: len(world.sent(n)) for n in (*names, f"{user}s")}
    world.registrant.kill()
    world.registrant.start()
    wait_for(lambda: world.metric(world.registrant, "rollcall_registrant_partitions", state="loading") == 0, 30, "all partitions")
    for n in counts:
        wait_for(lambda n=n: len(world.sent(n)) > counts[n], 40, f"a REGISTER of {n} by the new owner")
    assert {n: world.bound(n) for n in names} == {n: [f"sip:{n}@127.0.0.1:5090"] for n in names}
    listed = {r["id"] for r in world.api.call("GET", "/registrations?page[size]=1000").json()["data"]}
    assert set(good.values()) <= listed and not set(bad) & listed
    for k, s in zip(keys, spec):  # as an operator mends them
        world.redis.delete(k) if world.redis.type(k) != "hash" else world.redis.hset(k, "spec", s)


def test_a_full_producer_queue_loses_nothing(world, user):
    """Ten messages fit into it; Kafka is away while far more is written, and back afterwards."""
    left = world.metric(world.gateway, "rollcall_changes_left_to_sweep_total")
    names = [f"{user}q{i}" for i in range(60)]
    world.stack.kafka.stop()
    for n in names:
        world.grant(n, 600)
    ids = [world.api.create(**world.at_registrar(n, expire=600)) for n in names]
    wait_for(lambda: world.metric(world.gateway, "rollcall_changes_left_to_sweep_total") > left, 20, "the queue to be full")
    world.stack.kafka.start()
    for n, id in zip(names, ids):
        wait_for(lambda n=n: world.bound(n), 60, f"{n} to be bound")
    assert all(len(world.bound(n)) == 1 for n in names)
