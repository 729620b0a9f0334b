"""Topics of a real Kafka that are deleted, or given more partitions, under a running system. The embedded broker has no admin
API, so there is nothing to be done to it."""
import datetime
import os
import time

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions

from stack import wait_for
from world import removes

pytestmark = pytest.mark.skipif(os.environ.get("ROLLCALL_TEST_KAFKA", "embedded") == "embedded",
                                reason="the embedded broker has no admin API: topics can be neither deleted nor enlarged")
WORLD = {"kamailio": False, "registrants": 2,
         "gateway_env": {"ROLLCALL_GRACE": "3000", "ROLLCALL_REPORT_WAIT": "3000", "ROLLCALL_PARTITIONS_ANY": "8"},
         "registrant_env": {"ROLLCALL_PARTITIONS_ANY": "8"}}
TOPICS = ["rollcall.changes.any", "rollcall.status.any", "rollcall.events"]


@pytest.fixture(scope="module")
def admin(world):
    return AdminClient({"bootstrap.servers": world.stack.kafka.bootstrap})


def partitions(admin, topic):
    found = admin.list_topics(timeout=60).topics.get(topic)
    return len(found.partitions) if found and not found.error else 0


def setting(admin, topic, name):
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    return admin.describe_configs([resource])[resource].result(10)[name].value


def owned(world):
    return sum(world.metric(r, "rollcall_registrant_partitions", state="owned") for r in world.stack.registrants)


def is_calm(world, count):
    return owned(world) == count and all(
        world.metric(r, "rollcall_registrant_lease_fresh") == 1 and
        world.metric(r, "rollcall_registrant_partitions", state="loading") == 0 and
        world.metric(r, "rollcall_registrant_partitions", state="parked") == 0 for r in world.stack.registrants)


def handed_on(world):
    """When (time.time) the latest partition was taken over, or seen to be another's."""
    lines = [line for r in world.stack.registrants for line in r.log_text().splitlines()
             if " is ours, epoch " in line or line.endswith(" was given to another meanwhile")]
    return max(datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp() for line in lines)


def refreshed_in_time(world, user, granted, began):
    """Never late, and before it was due (after half of what was granted) at most once, while partitions are handed on after `began`:
    of a report that had not reached Kafka when its topic was deleted nobody knows, so whoever takes over then asks again."""
    good = [r for r in world.sent(user) if r.answer and r.answer.status == 200]
    gaps = [b.time - a.time for a, b in zip(good, good[1:])]
    assert all(g < granted for g in gaps), f"{user} lapsed: it was refreshed at {gaps}"
    early = [r for r, gap in zip(good[1:], gaps) if gap < granted * 0.4]
    assert len(early) <= 1, f"{user} was refreshed at {gaps}"
    assert all(began < r.wall < handed_on(world) + granted / 2 for r in early), f"{user} was refreshed at {gaps}, early without a cause"
    assert not any(removes(r) for r in world.sent(user))
    assert len({r.call_id for r in good}) == 1


def test_deleted_topics_are_made_again_and_nothing_is_forgotten(world, admin, user):
    wait_for(lambda: is_calm(world, 8), 60, "two registrants that share eight partitions", every=0.2)
    names = [f"{user}k{i}" for i in range(8)]
    ids = {n: world.bind(n, 16, expire=60) for n in names}
    began = time.time()
    for future in admin.delete_topics(TOPICS).values():
        future.result(10)
    for topic in TOPICS:  # nobody writes anything
        wait_for(lambda t=topic: partitions(admin, t), 30, f"{topic} to be there again", every=0.2)
        assert setting(admin, topic, "retention.ms") == str(7 * 24 * 3600 * 1000)
    assert partitions(admin, "rollcall.changes.any") == 8
    wait_for(lambda: is_calm(world, 8), 60, "the group to be settled again", every=0.2)
    marks = {n: len(world.sent(n)) for n in names}
    late = world.api.create(**world.at_registrar(f"{user}late"))
    world.api.wait_state(late, "registered", 60)
    for n in names:  # two of each when all is in order again: the second comes of the first's report
        world.wait_sent(n, marks[n] + 2, 40)
    for n, rid in ids.items():
        refreshed_in_time(world, n, 16, began)
        world.api.wait_state(rid, "registered")
    world.api.update(ids[names[0]], contact=f"sip:{names[0]}-moved@127.0.0.1:5090")
    wait_for(lambda: world.bound(names[0]) == [f"sip:{names[0]}-moved@127.0.0.1:5090"], 20, "the changed contact alone")
    wait_for(lambda: "created" in world.story(late), 20, "the event of what was created meanwhile")


def test_a_topic_that_is_given_more_partitions_is_followed_without_a_restart(world, admin, user):
    wait_for(lambda: is_calm(world, 8), 60, "two registrants that share eight partitions", every=0.2)
    names = [f"{user}p{i}" for i in range(12)]
    ids = {n: world.bind(n, 20, expire=60) for n in names}
    marks = {n: len(world.sent(n)) for n in names}
    for topic in ["rollcall.changes.any", "rollcall.status.any"]:
        admin.create_partitions([NewPartitions(topic, 12)])[topic].result(10)
    wait_for(lambda: is_calm(world, 12), 90, "all twelve partitions to be owned", every=0.2)
    for n, rid in ids.items():
        world.api.update(rid, contact=f"sip:{n}-moved@127.0.0.1:5090")
    for n in names:
        wait_for(lambda n=n: world.bound(n) == [f"sip:{n}-moved@127.0.0.1:5090"], 20, f"the changed contact of {n} alone")
        world.wait_sent(n, marks[n] + 3, 40)
        good = [r for r in world.sent(n) if r.answer and r.answer.status == 200]
        assert all(b.time - a.time < 20 for a, b in zip(good, good[1:])), f"{n} lapsed"
    assert {world.api.status(i)["node"] for i in ids.values()} == {"registrant-1", "registrant-2"}
