"""What a registration costs the registrant: all of them new at once, then at rest, then refreshed. Used by bench.py.

The registrations are there before the registrant is, so that it alone sets the pace.
"""
import json
import re
import time

from measure import cpu_s, report, resident_bytes
from million import Client, PREFIX, ROWS
from stack import Process, wait_for

REST_S = 3  # how long a process is looked at to see what it costs to be there
GATEWAY, REDIS = "gateway", "redis"


class FastRegistrar(Process):
    """tests/bench/registrar.c: challenges what has no credentials, accepts what has."""

    def __init__(self, directory, build, expires, name="fast-registrar", options=()):
        super().__init__(name, directory)
        self.build, self.expires, self.options, self.port = build, expires, options, None

    def start(self):
        self.spawn([self.build / "tests/bench/bench_registrar", "--port", "0", "--expires", str(self.expires), *self.options])

        def listening():
            found = re.search(r"listening \S+ (\d+)", self.log_text())
            self.port = int(found.group(1)) if found else None
            return self.port
        return self.up(listening)

    def counts(self):
        self.stop()
        return json.loads(self.log_text().splitlines()[-1])


def line(index, port):
    return json.dumps({"type": "registrations", "attributes": {
        "name": f"bench-{index}", "domain": f"127.0.0.1:{port}", "username": f"u{index}", "auth-user": f"u{index}",
        "auth-password": "secret", "contact": f"sip:u{index}@127.0.0.1:5090", "expire": 3600}}, separators=(",", ":")).encode()


def create(world, count, port):
    """All of them by one import."""
    client = Client(world)

    def pieces():
        for first in range(0, count, ROWS):
            yield b"\n".join(line(i, port) for i in range(first, min(first + ROWS, count))) + b"\n"

    began, before = time.monotonic(), (cpu_s(world.gateway.pid), cpu_s(world.stack.redis.pid))
    client.connection.request("POST", PREFIX + "/registrations/import", body=pieces(), encode_chunked=True, headers={
        **client.headers, "Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"})
    answer = client.connection.getresponse()
    summary = json.loads(answer.read().splitlines()[-1])["summary"]
    assert summary["created"] == count, summary
    report(bench="register_storm", phase="import", count=count, lines_per_s=round(count / (time.monotonic() - began)),
           gateway_cpu_us=round((cpu_s(world.gateway.pid) - before[0]) / count * 1e6, 1),
           redis_cpu_us=round((cpu_s(world.stack.redis.pid) - before[1]) / count * 1e6, 1))


def cost_of_an_empty_one(world):
    """Resident bytes, and µs of CPU a second."""
    empty = world.stack.new_registrant("registrant-0", env={"ROLLCALL_PLACES": "node-1"}).start()
    rss, before, began = resident_bytes(empty.pid), cpu_s(empty.pid), time.monotonic()
    time.sleep(REST_S)
    idle = (cpu_s(empty.pid) - before) / (time.monotonic() - began) * 1e6
    empty.stop()
    return rss, round(idle)


class Watch:
    """CPU and REGISTERs of a stretch of time."""

    def __init__(self, world, registrant):
        self.world, self.registrant = world, registrant
        self.pids = (registrant.pid, world.gateway.pid, world.stack.redis.pid)
        self.before = self.now()

    def figure(self, name, **labels):
        return self.world.metric(self.registrant, name, **labels)

    def now(self):
        return (time.monotonic(), self.figure("rollcall_registrant_requests_total"), *(cpu_s(p) for p in self.pids))

    def over(self):
        spent = [after - before for after, before in zip(self.now(), self.before)]
        return spent[0], spent[1], [s * 1e6 for s in spent[2:]]


def storm(world, far, count, threads):
    """world: with gateway and Redis, without a registrant."""
    create(world, count, far.port)
    empty_rss, idle_us = cost_of_an_empty_one(world)
    registrant = world.stack.new_registrant("registrant-1", env={
        "ROLLCALL_REGISTRAR_RATE": "0", "ROLLCALL_REGISTRAR_IN_FLIGHT": "1000", "ROLLCALL_SIP_THREADS": str(threads)})
    world.stack.registrants.clear()
    before = cpu_s(world.gateway.pid), cpu_s(world.stack.redis.pid)
    began = time.monotonic()
    registrant.start(ready=False)
    watch = Watch(world, registrant)

    def all_bound():
        return (watch.figure("rollcall_registrant_bound") >= count and
                watch.figure("rollcall_registrant_reports_total", outcome="delivered") >= count)

    wait_for(all_bound, 120 + count / 1000, f"{count} bindings", every=0.2)
    took_s = time.monotonic() - began
    rss, registers = resident_bytes(registrant.pid), watch.figure("rollcall_registrant_requests_total")
    common = dict(bench="register_storm", count=count, sip_threads=threads)
    report(**common, phase="first", seconds=round(took_s, 2), registers=registers, registers_per_s=round(registers / took_s),
           registrant_cpu_us=round(cpu_s(registrant.pid) * 1e6 / count, 1),
           gateway_cpu_us=round((cpu_s(world.gateway.pid) - before[0]) * 1e6 / count, 1),
           redis_cpu_us=round((cpu_s(world.stack.redis.pid) - before[1]) * 1e6 / count, 1),
           resident_bytes=round((rss - empty_rss) / count), empty_rss_mb=round(empty_rss / 1e6, 1),
           engine_bytes=round(watch.figure("rollcall_registrant_engine_bytes") / count), empty_idle_cpu_us_per_s=idle_us)
    # Refreshes: as many as there are registrations, or what a minute brings. Which ones are due is the jitter's.
    wait_for(lambda: watch.figure("rollcall_registrant_requests_total") >= registers + count / 50, 3600, "refreshes", every=0.05)
    watch = Watch(world, registrant)
    wait_for(lambda: watch.figure("rollcall_registrant_requests_total") >= watch.before[1] + count / 2, 3600, "refreshes", every=0.1)
    took_s, requests, spent = watch.over()
    report(**common, phase="refresh", seconds=round(took_s, 2), registers=requests, registers_per_s=round(requests / took_s),
           challenges=watch.figure("rollcall_registrant_challenges_total"),
           registrant_cpu_us=round((spent[0] - idle_us * took_s) / requests, 1), gateway_cpu_us=round(spent[1] / requests, 1),
           redis_cpu_us=round(spent[2] / requests, 1), resident_bytes=round((resident_bytes(registrant.pid) - empty_rss) / count))
    report(**common, phase="registrar", **far.counts())
