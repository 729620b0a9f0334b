"""A partition snapshot that is read while its slot moves from one server of a Redis Cluster to the other, and back: whatever is
whole holds every registration."""
import collections
import json
import threading

import pytest
import requests

from conftest import BUILD, KAFKA
from redis_servers import Cluster
from stack import Stack, wait_for
from world import Api

pytestmark = pytest.mark.skipif(KAFKA != "embedded", reason="the same on any Kafka")

REAL, OTHERS = 640, 4000  # a bucket holds a 64th of the first, and these: enough for some twenty pages
BUCKETS = 64


@pytest.fixture
def stack(tmp_path):
    s = Stack(tmp_path, BUILD)
    s.redis = s.add(Cluster(tmp_path, 2, settings={"appendonly": "no"}))
    s.redis.start()
    s.start_broker()
    yield s
    s.stop()


def create(stack, gateway):
    """Many registrations that nobody registers."""
    api = Api(gateway.url, stack.username, stack.password)
    lines = "".join(json.dumps({"type": "registrations", "attributes": {
        "name": f"r{i}", "domain": "example.com", "username": "alice", "contact": "sip:alice@192.0.2.1", "enabled": False}}) + "\n"
        for i in range(REAL))
    answer = requests.post(api.url + "/registrations/import", data=lines, timeout=60, headers={
        "Authorization": f"Bearer {api.token}", "Content-Type": "application/x-ndjson"})
    assert json.loads(answer.text.splitlines()[-1])["summary"]["created"] == REAL, answer.text[-500:]


class Reader(threading.Thread):
    """Takes the snapshot of one partition again and again."""

    def __init__(self, stack, gateway, wanted):
        super().__init__()
        self.url = f"http://{gateway.host}:{gateway.snapshot_port}/snapshot?place=any&partition=0&partitions={BUCKETS}"
        self.token, self.wanted = stack.snapshot_token, wanted
        self.ended = threading.Event()
        self.whole = self.told_again = 0
        self.fault = None

    def run(self):
        while not self.ended.is_set() and not self.fault:
            try:
                answer = requests.get(self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=20)
                lines = [json.loads(line) for line in answer.text.splitlines()]
            except requests.RequestException:
                continue  # broken off
            if answer.status_code == 200 and lines and lines[-1].get("count") == len(lines) - 1:
                self.look_at(collections.Counter(line["id"] for line in lines[:-1]))

    def look_at(self, told):
        self.whole += 1
        self.told_again += any(n > 1 for n in told.values())
        if told.keys() != self.wanted:
            self.fault = f"{len(self.wanted - told.keys())} of {len(self.wanted)} are not told of"


def test_a_snapshot_misses_nothing_while_its_slot_moves(stack):
    gateway = stack.new_gateway("gateway-1").start()
    create(stack, gateway)
    client = stack.redis.client()
    bucket = next(client.scan_iter("rc:*:at:any:0"))
    wanted = {int(i) for i in client.smembers(bucket)}
    client.sadd(bucket, *range(10**9, 10**9 + OTHERS))  # ids of nothing
    slot = stack.redis.slot_of(bucket)
    reader = Reader(stack, gateway, wanted)
    reader.start()
    try:
        wait_for(lambda: reader.whole > 2 or reader.fault, 20, "the first snapshots")

        def moved_in_the_middle():
            source = stack.redis.owner_of(slot)
            stack.redis.move(slot, next(m for m in stack.redis.masters if m is not source))
            return reader.told_again or reader.fault

        wait_for(moved_in_the_middle, 60, "a bucket that moved while it was read")
        whole = reader.whole
        wait_for(lambda: reader.whole > whole or reader.fault, 20, "a snapshot after that")
    finally:
        reader.ended.set()
        reader.join()
    assert not reader.fault, reader.fault
