"""What an end-to-end test does to the system: REST calls, looks at the registrars, at Redis and at Kafka."""
import hashlib
import json
import secrets
import uuid

import confluent_kafka
import redis
import requests

from digest_check import Digest
from faults import stop_without_faults
from members import Members
from redis_servers import Cluster
from registrar import Registrar
from secret_scan import Scan
from stack import Broker, wait_for

MEDIA_TYPE = "application/vnd.api+json"


class Api:
    """The Yeti dialect of one gateway, as a tool would use it."""

    def __init__(self, url, username, password):
        self.url = url + "/api/rest/admin"
        self.session = requests.Session()
        answer = self.session.post(self.url + "/auth", json={"auth": {"username": username, "password": password}},
                                   timeout=30)
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["jwt"]

    def call(self, method, path, body=None, **options):
        headers = {"Accept": MEDIA_TYPE, "Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        if body is not None:
            headers.setdefault("Content-Type", MEDIA_TYPE)
            body = body if isinstance(body, bytes) else json.dumps(body)
        return self.session.request(method, self.url + path, data=body, headers=headers, timeout=options.pop("timeout", 30),
                                    **options)

    def create(self, relationships=None, **attributes):
        data = {"type": "registrations", "attributes": {k.replace("_", "-"): v for k, v in attributes.items()}}
        if relationships:
            data["relationships"] = relationships
        answer = self.call("POST", "/registrations", {"data": data})
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]["id"]

    def update(self, registration_id, relationships=None, **attributes):
        data = {"type": "registrations", "id": registration_id,
                "attributes": {k.replace("_", "-"): v for k, v in attributes.items()}}
        if relationships:
            data["relationships"] = relationships
        answer = self.call("PUT", f"/registrations/{registration_id}", {"data": data})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def delete(self, registration_id):
        answer = self.call("DELETE", f"/registrations/{registration_id}")
        assert answer.status_code == 204, answer.text

    def status(self, registration_id):
        answer = self.call("GET", f"/registrations/{registration_id}/status")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["attributes"]

    def wait_state(self, registration_id, state, seconds=30):
        last = {}

        def there():
            last.update(self.status(registration_id))
            return last["state"] == state

        try:
            wait_for(there, seconds, f"state {state}", every=0.05)
        except TimeoutError:
            raise AssertionError(f"{registration_id} is {last}, not {state}") from None
        return last


def user_of(aor):
    return aor.partition(":")[2].partition("@")[0]


def removes(request):
    """Whether a REGISTER takes all of its contacts away."""
    return bool(request.contacts) and all(c.expires == 0 for c in request.contacts)


def are_staggered(requests):
    """Whether each was sent a second after the one before. A busy machine may send one late, which shortens the next gap and not
    their sum."""
    times = sorted(r.time for r in requests)
    gaps = [b - a for a, b in zip(times, times[1:])]
    return min(gaps) > 0.5 and sum(gaps) > 0.9 * len(gaps)


class World:
    def __init__(self, stack, kafka, registrants=1, gateways=1, kamailio=True, kamailio_options=None, registrant_env=None,
                 gateway_env=None, cluster=None):
        """cluster: instead of one Redis, a cluster of so many masters and as many replicas of each as (masters, replicas) says."""
        self.stack = stack
        self.cluster = Cluster(stack.directory, *cluster, settings={"cluster-node-timeout": 3000}) if cluster else None
        self.kafka_kind = kafka
        self.registrant_count, self.gateway_count = registrants, gateways
        self.with_kamailio = kamailio
        self.kamailio_options = kamailio_options or {}
        self.registrant_env, self.gateway_env = registrant_env or {}, gateway_env or {}
        self.kamailio = self.registrar = None
        self.grants = {}
        self.registrar_password = secrets.token_urlsafe(12)
        self.users = set()
        self.kafka_settings = {}  # of librdkafka, where the broker asks who comes
        self.other_secrets = {}  # of a test's own making: name: secret
        self._api = self._members = None
        self.test_failed = False

    # ---- parts

    def start(self):
        s = self.stack
        if self.cluster:
            s.redis = self.cluster.start()
        else:
            s.start_redis()
        self.start_kafka()
        if self.with_kamailio:
            self.kamailio = s.start_kamailio(**self.kamailio_options)
        self.registrar = self.new_registrar()
        self.registrar.start()
        for i in range(self.gateway_count):
            s.new_gateway(f"gateway-{i + 1}", env=self.gateway_env).start()
        for i in range(self.registrant_count):
            s.new_registrant(f"registrant-{i + 1}", env=self.registrant_env).start()

    def mend(self):
        """Before each test: all that ran before the first one runs and is ready."""
        if self._members is None:
            self._members = Members(self.stack, self.cluster)
        self._members.mend(self.test_failed)
        self.test_failed = False

    def start_kafka(self):
        if self.kafka_kind == "apache":
            from kafka import Kafka
            self.stack.kafka = self.stack.add(Kafka(self.stack.directory))
        else:
            self.stack.kafka = self.stack.add(Broker(self.stack.directory, self.stack.build))
        self.stack.kafka.start()

    def new_registrar(self, algorithms=("MD5",), **options):
        """A scriptable registrar that challenges everybody; the password is `registrar_password`, lifetimes as `grant` says."""
        return Registrar(digest=Digest(lambda user: self.registrar_password, realm="127.0.0.1", algorithms=algorithms),
                         grant=lambda request, asked: min(asked, self.grants.get(user_of(request.aor), asked)), **options)

    def stop(self, answers=()):
        """Ends every part. One that died of a mistake, or a secret where none may stand, fails the run."""
        if self.registrar:
            self.registrar.stop()
        scan, found = self.secrets(), []
        try:
            found += self.look_while_it_runs(scan)
        finally:
            try:
                stop_without_faults(self.stack)
            finally:
                if self.cluster:
                    self.cluster.kill()
        found += scan.answers(answers)
        found += scan.tree(self.stack.directory, but=[self.stack.key_ring_file, self.stack.principals_file])
        assert not found, "secrets where none may stand:\n" + "\n".join(found)
        deaths = self._members.deaths if self._members else []
        assert not deaths, "\n".join(deaths)

    def look_while_it_runs(self, scan):
        found = []
        for part in (*self.stack.gateways, *self.stack.registrants):
            if part.running():
                found += scan.command_line(part.name, part.pid)
        if self.stack.redis and self.stack.redis.running():
            found += scan.redis(self.cluster.client() if self.cluster else redis.Redis(
                port=self.stack.redis.port, decode_responses=True, encoding_errors="replace", socket_timeout=30))
        if self.stack.kafka and self.stack.kafka.running():
            found += scan.kafka(self.stack.kafka.bootstrap, self.kafka_settings)
        return found

    def secrets(self):
        """All that is secret in this world."""
        s, scan = self.stack, Scan()
        scan.knows("password of the user", s.password)
        for name in ("md5", "sha1"):
            scan.knows(f"Kazoo credentials ({name}) of the user", hashlib.new(name, f"{s.username}:{s.password}".encode()).hexdigest())
        scan.knows("API key", s.api_key)
        scan.knows("token secret", s.token_secret)
        scan.knows("snapshot token", s.snapshot_token)
        scan.knows_password("password at Kamailio", s.sip_password, self.users, ["127.0.0.1", "::1"])
        scan.knows_password("password at the registrar", self.registrar_password, self.users, ["127.0.0.1"])
        for line in s.key_ring_file.read_text().splitlines():
            scan.knows(f"sealing key {line.split()[0]}", line.split()[1])
        for name, secret in self.other_secrets.items():
            scan.knows(name, secret)
        return scan

    @property
    def gateway(self):
        return self.stack.gateways[0]

    @property
    def registrant(self):
        return self.stack.registrants[0]

    @property
    def api(self):
        if self._api is None:
            self._api = Api(self.gateway.url, self.stack.username, self.stack.password)
        return self._api

    # ---- registrations

    def at_kamailio(self, user, **attributes):
        """Attributes of a registration of that user at Kamailio."""
        self.users.add(user)
        return {"name": attributes.pop("name", f"{user}-{uuid.uuid4().hex[:6]}"), "domain": self.kamailio.address,
                "username": user, "auth_user": user, "auth_password": self.stack.sip_password,
                "contact": f"sip:{user}@127.0.0.1:5090", "expire": 60, **attributes}

    def at_registrar(self, user, **attributes):
        """The same at the scriptable registrar."""
        self.users.add(user)
        return {"name": attributes.pop("name", f"{user}-{uuid.uuid4().hex[:6]}"),
                "domain": f"127.0.0.1:{self.registrar.port}", "username": user, "auth_user": user,
                "auth_password": self.registrar_password, "contact": f"sip:{user}@127.0.0.1:5090", "expire": 60, **attributes}

    def kamailio_contacts(self, user):
        return [b["Address"] for b in self.kamailio.bindings(f"{user}@127.0.0.1")]

    def grant(self, user, seconds):
        """The scriptable registrar grants that user at most so long."""
        self.grants[user] = seconds

    def bind(self, user, granted, **attributes):
        """Creates a registration at the scriptable registrar, which grants so many seconds, and waits until it is bound."""
        self.grant(user, granted)
        rid = self.api.create(**self.at_registrar(user, **attributes))
        self.api.wait_state(rid, "registered")
        return rid

    def script(self, user, answers, repeat=False):
        """The next answers to that user at the scriptable registrar."""
        self.registrar.script(f"sip:{user}@127.0.0.1", answers, repeat)

    def sent(self, user, registrar=None):
        """The REGISTERs of that user that the scriptable registrar saw, oldest first, without retransmissions."""
        return (registrar or self.registrar).requests(f"sip:{user}@127.0.0.1")

    def bound(self, user):
        """URIs of the bindings that the scriptable registrar holds of that user."""
        return sorted(b.uri for b in self.registrar.bindings(f"sip:{user}@127.0.0.1"))

    def wait_sent(self, user, count, seconds=20):
        wait_for(lambda: len(self.sent(user)) >= count, seconds, f"{count} REGISTERs of {user}, not {len(self.sent(user))}")
        return self.sent(user)

    # ---- Redis and Kafka

    @property
    def redis(self):
        return self.cluster.client() if self.cluster else redis.Redis(port=self.stack.redis.port, decode_responses=True)

    def keys_of(self, registration_id):
        return list(self.redis.scan_iter(f"rc:*:reg:{registration_id}"))

    def grave_of(self, registration_id):
        return any(self.redis.zscore(key, registration_id) is not None for key in self.redis.scan_iter("rc:*:gone"))

    def messages(self, topic, key=None):
        """All of a topic, or of a key of it, read from its beginning to its present end."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.stack.kafka.bootstrap, "group.id": uuid.uuid4().hex,
                                             "enable.auto.commit": False, "fetch.wait.max.ms": 10,
                                             "auto.offset.reset": "earliest", "enable.partition.eof": True})
        try:
            metadata = consumer.list_topics(topic, timeout=60)
            parts = [confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING)
                     for p in metadata.topics[topic].partitions]
            consumer.assign(parts)
            open_parts, found = {p.partition for p in parts}, []
            while open_parts:
                message = consumer.poll(60)
                assert message is not None, f"no answer from {topic}"
                if message.error():
                    assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF, message.error()
                    open_parts.discard(message.partition())
                    continue
                if key is None or message.key() == str(key).encode():
                    found.append(message)
            return found
        finally:
            consumer.close()

    def records(self, topic, key=None):
        """The same as (key, headers, value)."""
        return [(m.key().decode(), {k: v.decode() for k, v in m.headers() or []}, json.loads(m.value()))
                for m in self.messages(topic, key)]

    def published_at(self, topic, key):
        """When (time.time) the last record of that key was made."""
        return self.messages(topic, key)[-1].timestamp()[1] / 1000

    def story(self, registration_id):
        """What the events of a registration are called, in order."""
        return [h["ce_type"].rpartition(".")[2] for _, h, _ in self.records("rollcall.events", registration_id)]

    def metric(self, part, name, **labels):
        text = requests.get(part.url + "/metrics", timeout=30).text
        want = name + ("{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}" if labels else "")
        for line in text.splitlines():
            if line.rpartition(" ")[0] == want:
                return float(line.rpartition(" ")[2])
        raise KeyError(want)


