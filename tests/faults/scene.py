"""What the directed cases do to a site: a registration in a case's own hand, whose every request goes through the gateway that the
case says and is recorded as the writer's are, so that the checker judges it, too; and looks at what registrars and Kafka hold.
"""
import dataclasses
import shutil
import tempfile
import time

import confluent_kafka

from api_client import Connection
from fault_site import Site
from history import ACKED, REFUSED, UNKNOWN, Operation, read_journal
from run import Run
from stack import wait_for
from timeline import key_of, user_of
from writer import Wanted

ANYBODY = "127.0.0.1:5090"  # host of Contacts that are no registrant's


class Hand:
    """One registration. user: its name, and the user part of its address of record."""

    def __init__(self, scene, user, registrar="registrar-1", **members):
        self.scene, self.user, self.id, self.serial = scene, user, None, 1
        self.wanted = Wanted(**{"username": user, "registrar": registrar, "domain": scene.site.process(registrar).address,
                                "contact": f"sip:{user}-1@{ANYBODY}", "expire": 60, "auth_user": user, **members})

    # ---- requests

    def document(self, **attributes):
        """Of a request, with these attributes in place of its own."""
        body = self.wanted.document()
        body["data"]["attributes"].update(attributes)
        return body

    def create(self, gateway="gateway-1", headers=None, patient=False, contested=False):
        """patient: repeats what was answered 503. contested: it may be refused, because its name is taken."""
        return self._send("create", gateway, "POST", "/registrations", self.wanted.document(), headers, patient, contested)

    def change(self, gateway="gateway-1", patient=False, **members):
        self.wanted = dataclasses.replace(self.wanted, **members)
        return self._send("change", gateway, "PUT", f"/registrations/{self.id}", self.wanted.document(self.id), patient=patient)

    def contact(self, gateway="gateway-1", patient=False):
        """Another Contact; gives its key."""
        self.serial += 1
        self.change(gateway, patient, contact=f"sip:{self.user}-{self.serial}@{ANYBODY}")
        return self.key

    def delete(self, gateway="gateway-1"):
        return self._send("delete", gateway, "DELETE", f"/registrations/{self.id}")

    def _send(self, kind, gateway, method, path, body=None, headers=None, patient=False, contested=False):
        again = False
        while True:
            sent_at = time.monotonic()
            answer = self.scene.line(gateway).call(method, path, body, headers)
            status = answer.status
            outcome = UNKNOWN if status in (None, 503) else ACKED if status < 300 else REFUSED
            operation = Operation(self.user, kind, sent_at, time.monotonic(), outcome, gateway, self.id, status,
                                  dataclasses.asdict(self.wanted) if body else None, again, bool(headers), cause=answer.text[:300])
            if outcome == ACKED and kind == "create":
                self.id = operation.id = answer.document["data"]["id"]
            self.scene.run.recorder.operation(operation)
            if outcome == ACKED or contested and outcome == REFUSED:
                return operation
            assert patient and status == 503, f"{kind} of {self.user} at {gateway} got {status} {answer.text[:300]}"
            again = True
            time.sleep(0.2)

    # ---- what became of it

    @property
    def key(self):
        """Of the Contact that is wanted."""
        return key_of(self.wanted.contact)

    def bound(self):
        """Keys of what its registrar holds."""
        held = self.scene.site.process(self.wanted.registrar).bindings()
        return {key_of(b["uri"]) for aor, found in held.items() if user_of(aor) == self.user for b in found}

    def wait_bound(self, seconds=20):
        """Until its registrar holds the Contact that is wanted, and nothing else of it."""
        wait_for(lambda: self.bound() == {self.key}, seconds, f"{self.key} alone at the registrar, which holds {self.bound()}",
                 every=0.1)
        return self

    def wait_gone(self, seconds=20):
        wait_for(lambda: not self.bound(), seconds, f"{self.user} to be bound no more", every=0.1)

    def registers(self, since=0.0):
        """REGISTERs of it that its registrar saw."""
        return [r for r in self.scene.registers(since) if user_of(r.aor) == self.user]

    def status(self, gateway="gateway-2"):
        answer = self.scene.line(gateway).call("GET", f"/registrations/{self.id}/status")
        return answer.document["data"]["attributes"] if answer.status == 200 else {}

    def owner(self):
        """The registrant that reported last."""
        wait_for(lambda: self.status().get("node"), 20, f"a report of {self.user}")
        return self.status()["node"]


class Scene:
    """site: started. run: begun."""

    def __init__(self, site, run):
        self.site, self.run = site, run
        self._lines = {}

    def line(self, gateway):
        if gateway not in self._lines:
            self._lines[gateway] = Connection(gateway, self.site.admin(gateway), self.run.writer.login, 5)
        return self._lines[gateway]

    def hand(self, user, **members):
        return Hand(self, user, **members)

    def bound_hand(self, user, **members):
        hand = self.hand(user, **members)
        hand.create()
        return hand.wait_bound()

    def registers(self, since=0.0):
        """Of all registrars, by time."""
        found = [r for path in self.site.directory.glob("registrar-*.journal") for r in read_journal(path)[0]]
        return sorted((r for r in found if r.t >= since), key=lambda r: r.t)

    def source(self, register):
        """Name of the registrant that sent it."""
        senders = self.site.senders
        return senders.get(register.source) or senders.get(register.source.rpartition(":")[0])

    def records(self, topic, since=None):
        """Keys of the records of a topic, in no order; since: monotonic time, of their broker's stamp."""
        stamp = (time.time() - time.monotonic() + since) * 1000 if since else 0
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.site.kafka_bootstrap, "group.id": f"scene-{time.time()}",
                                             "enable.auto.commit": False, "fetch.wait.max.ms": 10,
                                             "auto.offset.reset": "earliest", "enable.partition.eof": True})
        try:
            partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
            consumer.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in partitions])
            left, found = set(partitions), []
            while left:
                message = consumer.poll(20)
                assert message is not None, f"no answer from {topic}"
                if message.error():
                    left.discard(message.partition())
                elif message.timestamp()[1] >= stamp:
                    found.append((message.key().decode(), message.timestamp()[1] / 1000))
            return found
        finally:
            consumer.close()


def played(request, build, **options):
    """Body of a fixture that is one scene for all cases of its file: a site, and a writer at work. What it left is kept if a test
    failed; a process that crashed fails the last one."""
    directory = tempfile.mkdtemp(prefix=f"rollcall-{request.module.__name__}-")
    site = Site(directory, build, registrars=2, redis_replica=True, **options)
    try:
        run = Run(site.start(), users=40, rate=4, threads=2)
        run.begin()
        yield Scene(site, run)
    finally:
        crashes = site.stop()
        if request.session.testsfailed:
            print(f"\nlogs and journals: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    assert not crashes, "\n".join(crashes)
