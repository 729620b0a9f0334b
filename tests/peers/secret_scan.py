"""Looks for secrets where none may stand: in Redis and its append-only file, in Kafka and its log, in the logs of all parts, in
what the gateway and the registrant answered over HTTP, and on the command lines of processes.

    scan = Scan()
    scan.knows("password of ann", "correct horse")
    with answers_kept() as answers:
        ...
    found = [*scan.redis(client), *scan.kafka(bootstrap), *scan.tree(directory), *scan.answers(answers)]

A find is a sentence that names the place and the secret by its name, never the secret. A secret is looked for as it is, and in
the forms in which a text travels: base64, percent-encoded, JSON-escaped, hexadecimal in either case.
"""
import base64
import contextlib
import hashlib
import http.client
import json
import pathlib
import re
import urllib.parse
import uuid

SHORTEST = 8  # a shorter one is a word that stands in any text
CHUNK = 1 << 22
HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{32,}")
LONGEST_DIGEST = 64


def forms(secret):
    """The byte strings by which a secret is found."""
    raw = secret.encode() if isinstance(secret, str) else bytes(secret)
    assert len(raw) >= SHORTEST, "too short a secret to be told from other texts"
    found = {raw, raw.hex().encode(), raw.hex().upper().encode()}
    for lead in range(3):  # also within a longer text that was encoded as a whole: without what depends on neighbours
        found.add(base64.b64encode(b"\0" * lead + raw)[4 if lead else 0:(lead + len(raw)) // 3 * 4])
    if isinstance(secret, str):
        found |= {urllib.parse.quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode()}
        if len(raw) == 64 and set(secret.lower()) <= set("0123456789abcdef"):
            found |= {secret.lower().encode(), secret.upper().encode(), bytes.fromhex(secret)}
    return found


def ha1s(user, realm, password):
    """What a digest is made of in place of the password (RFC 7616 3.4.2)."""
    text = f"{user}:{realm}:{password}".encode()
    return {algorithm: hashlib.new(name, text).hexdigest()
            for algorithm, name in (("MD5", "md5"), ("SHA-256", "sha256"), ("SHA-512-256", "sha512_256"))}


def redis_texts(client):
    """Every key and value that a Redis holds, as (key, text)."""
    readers = {"string": lambda k: [client.get(k)], "hash": lambda k: [x for pair in client.hgetall(k).items() for x in pair],
               "set": lambda k: client.smembers(k), "zset": lambda k: client.zrange(k, 0, -1),
               "list": lambda k: client.lrange(k, 0, -1),
               "stream": lambda k: [x for _, fields in client.xrange(k) for pair in fields.items() for x in pair]}
    for key in client.scan_iter(count=1000):
        yield key, key
        for text in readers.get(client.type(key), lambda k: [])(key):
            if text is not None:
                yield key, text


def kafka_records(bootstrap, settings=None):
    """Every record of every topic, as (topic, bytes). settings: of librdkafka, where the broker asks who comes."""
    import confluent_kafka
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, **(settings or {}), "group.id": uuid.uuid4().hex, "fetch.wait.max.ms": 10,
                                         "enable.auto.commit": False, "enable.partition.eof": True})
    try:
        topics = consumer.list_topics(timeout=60).topics
        parts = [confluent_kafka.TopicPartition(name, p, confluent_kafka.OFFSET_BEGINNING)
                 for name, topic in topics.items() if not name.startswith("__") for p in topic.partitions]
        open_parts = {(p.topic, p.partition) for p in parts}
        consumer.assign(parts)
        while open_parts:
            message = consumer.poll(60)
            assert message is not None, "Kafka does not answer"
            if message.error():
                open_parts.discard((message.topic(), message.partition()))
                continue
            headers = b"".join(k.encode() + (v or b"") for k, v in message.headers() or [])
            yield message.topic(), b"\0".join((message.key() or b"", headers, message.value() or b""))
    finally:
        consumer.close()


@contextlib.contextmanager
def answers_kept():
    """Heads and bodies of every HTTP answer that this process reads meanwhile: requests, urllib and http.client alike."""
    kept, held = [], {}
    response = http.client.HTTPResponse
    begin, read, readinto = response.begin, response.read, response.readinto

    def keep(answer, data):
        held.setdefault(id(answer), kept[-1] if kept else bytearray()).extend(data)

    def begin_kept(self, *args, **options):
        begin(self, *args, **options)
        kept.append(bytearray(str(self.headers or "").encode()))
        held[id(self)] = kept[-1]

    inside = []  # read() may be made of readinto()

    def read_kept(self, *args, **options):
        inside.append(self)
        try:
            data = read(self, *args, **options)
        finally:
            inside.pop()
        keep(self, data)
        return data

    def readinto_kept(self, buffer):
        count = readinto(self, buffer)
        if not inside:
            keep(self, bytes(buffer[:count]))
        return count

    response.begin, response.read, response.readinto = begin_kept, read_kept, readinto_kept
    try:
        yield kept
    finally:
        response.begin, response.read, response.readinto = begin, read, readinto


class Scan:
    def __init__(self):
        self.needles = {}  # bytes: name
        self.hexadecimal, self.lengths = {}, set()  # digests, of which there are thousands: digits: name

    def knows(self, name, secret):
        for form in forms(secret):
            self.needles[form] = name

    def knows_password(self, name, password, users=(), realms=()):
        """The password, and the HA1 of each user at each realm."""
        self.knows(name, password)
        for user in users:
            for realm in realms:
                for algorithm, ha1 in ha1s(user, realm, password).items():
                    self.hexadecimal[ha1.encode()] = f"{algorithm} HA1 of {name}"
                    self.lengths.add(len(ha1))

    def names_in(self, data):
        found = {name for needle, name in self.needles.items() if needle in data}
        for run in HEXADECIMAL.finditer(data) if self.hexadecimal else ():
            digits = run.group().lower()
            for length in self.lengths:
                found.update(self.hexadecimal[digits[at:at + length]] for at in range(len(digits) - length + 1)
                             if digits[at:at + length] in self.hexadecimal)
        return sorted(found)

    def _tell(self, where, data):
        return [f"{where} holds the {name}" for name in self.names_in(data)]

    def redis(self, client):
        whole = {}
        for key, text in redis_texts(client):
            whole.setdefault(key, bytearray()).extend((text if isinstance(text, bytes) else text.encode()) + b"\0")
        return self._tell_all("Redis", whole)

    def kafka(self, bootstrap, settings=None):
        whole = {}
        for topic, data in kafka_records(bootstrap, settings):
            whole.setdefault(topic, bytearray()).extend(data + b"\0")
        return self._tell_all("Kafka's topic", whole)

    def _tell_all(self, what, whole):
        if not self.names_in(b"\0".join(bytes(data) for data in whole.values())):
            return []
        return [find for key, data in whole.items() for find in self._tell(f"{what} {key}", bytes(data))]

    def file(self, path):
        longest, tail, found = max(LONGEST_DIGEST, *map(len, self.needles)), b"", set()
        with open(path, "rb") as file:
            while data := file.read(CHUNK):
                found.update(self.names_in(tail + data))
                tail = data[-longest:]
        return [f"{path} holds the {name}" for name in sorted(found)]

    def tree(self, directory, but=()):
        """Every file below the directory: append-only files, Kafka's log, logs of parts, what they left lying about."""
        but = {pathlib.Path(p).resolve() for p in but}
        files = [p for p in sorted(pathlib.Path(directory).rglob("*")) if p.is_file() and not p.is_symlink() and p.resolve() not in but]
        return [find for path in files for find in self.file(path)]

    def answers(self, kept):
        return self._tell_all("an HTTP answer, number", {i: data for i, data in enumerate(kept)})

    def command_line(self, name, pid):
        try:
            return self._tell(f"the command line of {name}", pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
        except OSError:
            return []  # it has ended
