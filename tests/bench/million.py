"""What an account of a million registrations costs the REST API: import, pages, filters, export. Used by bench.py.

Requests go one after the other over one connection, so that a latency is a request's own and not its queue's.
"""
import http.client
import json
import random
import threading
import time

import redis

from measure import cpu_s, percentiles, report, resident_bytes

ROWS = 1000  # lines that go into one piece of the upload
PREFIX = "/api/rest/admin"


def line(index):
    return json.dumps({"type": "registrations", "attributes": {
        "name": f"trunk-{index}", "domain": f"registrar-{index % 50}.example.com", "username": f"u{index}",
        "auth-user": f"u{index}", "auth-password": "secret", "contact": f"sip:u{index}@192.0.2.1:5060",
        "enabled": False}}, separators=(",", ":")).encode() + b"\n"


def pieces(count):
    for first in range(0, count, ROWS):
        yield b"".join(line(i) for i in range(first, min(first + ROWS, count)))


class Peak:
    """The most memory that a process had while this was open."""

    def __init__(self, pid):
        self.pid, self.most, self.over = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.over.wait(0.05):
            self.most = max(self.most, resident_bytes(self.pid))

    def __enter__(self):
        self.before = resident_bytes(self.pid)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


class Client:
    def __init__(self, world):
        self.headers = {"Authorization": f"Bearer {world.api.token}", "Accept": "*/*"}
        self.port = world.gateway.port
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def timed(self, path):
        """Milliseconds until the whole answer is there; the answer must be a 200."""
        began = time.perf_counter()
        self.connection.request("GET", PREFIX + path, headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1000
        assert answer.status == 200, body
        return took, body


def figures(samples):
    p50, p99 = percentiles(samples, 50, 99)
    return {"p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "max_ms": round(max(samples), 2)}


def redis_bytes(world):
    return redis.Redis(port=world.stack.redis.port).info("memory")["used_memory"]


def run_import(world, count, phase):
    gateway, server = world.gateway.pid, world.stack.redis.pid
    client = Client(world)
    used, before, began = redis_bytes(world), (cpu_s(gateway), cpu_s(server)), time.monotonic()
    with Peak(gateway) as peak:
        client.connection.request("POST", PREFIX + "/registrations/import", body=pieces(count), encode_chunked=True, headers={
            **client.headers, "Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"})
        answer = client.connection.getresponse()
        lines = answer.read().splitlines()
    took_s = time.monotonic() - began
    assert answer.status == 200, lines[:3]
    report(bench="million", phase=phase, lines_per_s=round(count / took_s), seconds=round(took_s, 1),
           gateway_rss_before_mb=round(peak.before / 1e6, 1), gateway_rss_peak_mb=round(peak.most / 1e6, 1),
           gateway_cpu_us=round((cpu_s(gateway) - before[0]) / count * 1e6, 1),
           redis_cpu_us=round((cpu_s(server) - before[1]) / count * 1e6, 1),
           redis_bytes=round((redis_bytes(world) - used) / count), **json.loads(lines[-1])["summary"])


def run_export(world, count):
    client = Client(world)
    began, seen = time.monotonic(), 0
    with Peak(world.gateway.pid) as peak:
        client.connection.request("GET", PREFIX + "/registrations/export", headers=client.headers)
        answer = client.connection.getresponse()
        while piece := answer.read(1 << 20):
            seen += piece.count(b"\n")
    took_s = time.monotonic() - began
    assert seen == count, f"{seen} of {count} lines"
    report(bench="million", phase="export", lines_per_s=round(count / took_s), gateway_rss_peak_mb=round(peak.most / 1e6, 1))


def run_pages(world, count, requests):
    client = Client(world)
    for name, path in (("first pages", lambda: random.randrange(1, 20)), ("any page", lambda: random.randrange(1, count // 50))):
        samples = [client.timed(f"/registrations?page[size]=50&page[number]={path()}")[0] for _ in range(requests)]
        report(bench="million", phase="list of 50", which=name, **figures(samples))
    samples = [client.timed(f"/registrations?filter[username_eq]=u{random.randrange(count)}")[0] for _ in range(requests)]
    report(bench="million", phase="filter by an index", **figures(samples))


def run_filter_beside(world, filters):
    """GETs of one registration, alone and while filters walk the whole account."""
    client = Client(world)
    _, body = client.timed("/registrations?page[size]=1")
    path = f"/registrations/{json.loads(body)['data'][0]['id']}"
    samples = [client.timed(path)[0] for _ in range(3000)]
    report(bench="million", phase="GET alone", **figures(samples))
    for walk in filters:
        done, took = threading.Event(), []

        def run(query=walk):
            took.append(Client(world).timed(f"/registrations?{query}")[0])
            done.set()

        threading.Thread(target=run).start()
        samples = []
        while not done.is_set():
            samples.append(client.timed(path)[0])
        report(bench="million", phase="GET beside a filter", filter=walk, filter_ms=round(took[0]), gets=len(samples),
               **figures(samples))


def million(world, count, requests=2000):
    run_import(world, count, "import")
    run_import(world, count, "import again")
    run_pages(world, count, requests)
    run_filter_beside(world, ["filter[name_cont]=no-such-name", "filter[enabled_eq]=true", "sort=-name"])
    run_export(world, count)
