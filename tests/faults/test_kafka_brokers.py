"""Three brokers of a real Kafka, of which one, two, or the coordinator of the registrants' group dies, and all are restarted in turn:
what must not be noticed, and what must be told and made good."""
import pathlib
import sys
import time

import pytest
import requests
from confluent_kafka.admin import AdminClient, ConfigResource

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/e2e"))
import kafka  # noqa: E402
from faults import stop_without_faults  # noqa: E402
from stack import HERE, Stack, wait_for  # noqa: E402
from world import World, removes  # noqa: E402

pytestmark = pytest.mark.long
GROUP, OFFSETS = "rollcall-registrant.any", "__consumer_offsets"
# The coordinator's successor is there within the brokers' own session; the registrants' must outlive that, as it does by default.
REGISTRANT_ENV = {"ROLLCALL_KAFKA_SESSION_TIMEOUT": "10000", "ROLLCALL_KAFKA_REPLICATION": "3"}
GATEWAY_ENV = {"ROLLCALL_GRACE": "3000", "ROLLCALL_REPORT_WAIT": "3000", "ROLLCALL_KAFKA_REPLICATION": "3"}
GRANTED_S = 16
ELECTION_S = 25  # until each partition has a leader again, and the group a coordinator


def java_hash(text):
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xffffffff
    return value & 0x7fffffff


class ThreeBrokers(World):
    def start_kafka(self):
        self.cluster = self.stack.kafka = kafka.KafkaCluster(self.stack.directory, [HERE] * 3).start()
        self.admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap, "topic.metadata.refresh.interval.ms": 2000})

    def stop(self, answers=()):
        """Without a look at all that was written: that is done elsewhere, and three brokers write gigabytes of zeros."""
        self.registrar.stop()
        stop_without_faults(self.stack)
        self.cluster.stop()

    def coordinator(self):
        """The broker that leads the partition of the offsets topic that the group falls into, as Java hashes its name."""
        def leader():
            found = self.admin.list_topics(OFFSETS, timeout=10).topics[OFFSETS].partitions
            return found[java_hash(GROUP) % len(found)].leader
        number = wait_for(lambda: max(leader(), 0), ELECTION_S, "a coordinator", every=0.5)
        return self.cluster.brokers[number - 1]

    def start_broker(self, broker):
        broker.launch().up(broker.serves, 90)

    def total(self, name, **labels):
        return sum(self.metric(r, name, **labels) for r in self.stack.registrants)

    def wait_owned(self):
        def owned():
            each = [self.metric(r, "rollcall_registrant_partitions", state="owned") for r in self.stack.registrants]
            return sum(each) == 64 and min(each) > 0 and self.total("rollcall_registrant_lease_fresh") == len(each)
        wait_for(owned, 90, "three registrants that share all partitions", every=0.3)


@pytest.fixture(scope="module")
def world(build, tmp_path_factory):
    cause = kafka.unavailable()
    if cause:
        pytest.skip(cause)
    w = ThreeBrokers(Stack(tmp_path_factory.mktemp("brokers"), build), "apache", kamailio=False, registrants=3, gateways=2,
                     gateway_env=GATEWAY_ENV, registrant_env=REGISTRANT_ENV)
    try:
        w.start()
        w.wait_owned()
        yield w
    finally:
        w.stop()


@pytest.fixture
def bound(world, request):
    """Eight registrations that are refreshed all the time; nothing of them may lapse, or be sent before it is due."""
    names = [f"{request.node.name[5:25]}{i}".replace("_", "-") for i in range(8)]
    ids = {n: world.bind(n, GRANTED_S, expire=60) for n in names}
    yield ids
    for name in names:
        good = [r for r in world.sent(name) if r.answer and r.answer.status == 200]
        gaps = [b.time - a.time for a, b in zip(good, good[1:])]
        assert gaps and all(7.1 <= gap < GRANTED_S for gap in gaps), f"{name} was refreshed at {gaps}"
        assert not any(removes(r) for r in world.sent(name))
    assert all(r.running() for r in world.stack.registrants)


def create(world, user, seconds):
    """A creation that reaches the registrar in so many seconds; the answer to it does not wait for Kafka. Gives the seconds."""
    began = time.monotonic()
    rid = world.api.create(**world.at_registrar(user))
    assert time.monotonic() - began < 2
    world.api.wait_state(rid, "registered", seconds)
    return time.monotonic() - began


def setting(world, topic, name):
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    return world.admin.describe_configs([resource])[resource].result(10)[name].value


def test_topics_are_made_with_three_replicas_of_which_two_must_hold_a_record(world):
    for topic, partitions in ("rollcall.changes.any", 64), ("rollcall.status.any", 64), ("rollcall.events", 64):
        found = world.admin.list_topics(topic, timeout=10).topics[topic].partitions
        assert len(found) == partitions and {len(p.replicas) for p in found.values()} == {3}
        assert setting(world, topic, "min.insync.replicas") == "2"
        assert setting(world, topic, "retention.ms") == str(7 * 24 * 3600 * 1000)


def test_one_broker_that_dies_is_not_noticed(world, bound):
    victim = next(b for b in world.cluster.brokers if b is not world.coordinator())
    victim.kill()
    took = [create(world, f"one{i}", ELECTION_S) for i in range(6)]
    print(f"one broker killed: creations were registered after {', '.join(f'{s:.1f}' for s in took)} s")
    answer = requests.get(world.gateway.url + "/readyz", timeout=5)
    assert answer.status_code == 200 and answer.json()["kafka"] == "up"
    world.start_broker(victim)
    world.wait_owned()


def test_a_coordinator_that_dies_three_times_in_a_row_ends_no_registrant(world, bound):
    before = [r.pid for r in world.stack.registrants]
    for _ in range(3):
        victim = world.coordinator()
        victim.kill()
        # Long enough for the registrants' session to end where the successor is late.
        wait_for(lambda v=victim: world.coordinator() is not v, ELECTION_S, "another coordinator", every=0.5)
        world.wait_owned()
        world.start_broker(victim)
    create(world, "coordinated", ELECTION_S)
    assert [r.pid for r in world.stack.registrants] == before and all(r.running() for r in world.stack.registrants)
    assert not any("fenced" in r.log_text() for r in world.stack.registrants)


def test_with_two_dead_writes_are_taken_and_done_when_one_is_back(world, bound):
    coordinator = world.coordinator()
    other = next(b for b in world.cluster.brokers if b is not coordinator)
    coordinator.kill()
    other.kill()
    began = time.monotonic()
    late = world.api.create(**world.at_registrar("minority"))
    print(f"two brokers killed: a creation was answered in {(time.monotonic() - began) * 1000:.0f} ms")
    wait_for(lambda: requests.get(world.gateway.url + "/readyz", timeout=5).json()["kafka"] == "degraded", 60, "degraded", every=0.5)
    assert requests.get(world.gateway.url + "/readyz", timeout=5).status_code == 200
    gone = next(iter(bound))
    world.wait_sent(gone, len(world.sent(gone)) + 2, 40)  # refreshes go on
    assert not world.sent("minority")
    world.start_broker(other)
    back = time.monotonic()
    world.api.wait_state(late, "registered", 60)
    print(f"one of them back: it was registered {time.monotonic() - back:.1f} s after that")
    world.start_broker(coordinator)
    world.wait_owned()


def test_brokers_restarted_one_after_the_other_are_not_noticed(world, bound):
    for i, broker in enumerate(world.cluster.brokers):
        assert broker.stop(60) is not None
        create(world, f"roll{i}a", ELECTION_S)
        world.start_broker(broker)
        create(world, f"roll{i}b", ELECTION_S)
    world.wait_owned()
