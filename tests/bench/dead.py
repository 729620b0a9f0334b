"""What a registrar that says nothing costs: its registrations are asked for by one probe at a time, and those of a registrar
that answers are refreshed as if it were not there. Used by bench.py.
"""
import re
import socket
import time

import requests

from measure import cpu_s, report
from million import Client, PREFIX, ROWS
from stack import wait_for
from storm import FastRegistrar, line

LOOK_S = 20
LIVE, GRANTED_S = 2000, 20
LATENESS = re.compile(r'^rollcall_registrant_lateness_seconds_bucket\{le="([^"]+)"\} (\d+)$', re.M)


def create(world, first, count, port):
    client = Client(world)

    def pieces():
        for at in range(first, first + count, ROWS):
            yield b"\n".join(line(i, port) for i in range(at, min(at + ROWS, first + count))) + b"\n"

    client.connection.request("POST", PREFIX + "/registrations/import", body=pieces(), encode_chunked=True, headers={
        **client.headers, "Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"})
    answer = client.connection.getresponse()
    answer.read()
    assert answer.status == 200


def buckets(registrant):
    text = requests.get(registrant.url + "/metrics", timeout=10).text
    return {float(bound): int(count) for bound, count in LATENESS.findall(text)}


def quantile(before, after, part):
    """The bucket's bound under which that part of the refreshes between was late."""
    grown = {bound: after[bound] - before.get(bound, 0) for bound in sorted(after)}
    total = grown[float("inf")]
    return next(bound for bound, count in grown.items() if count >= part * total)


def look(world, registrant, phase, **more):
    before, began, late = cpu_s(registrant.pid), time.monotonic(), buckets(registrant)
    requests_before = world.metric(registrant, "rollcall_registrant_requests_total")
    time.sleep(LOOK_S)
    took_s, now = time.monotonic() - began, buckets(registrant)
    report(bench="dead_registrar", phase=phase, cpu_ms_per_s=round((cpu_s(registrant.pid) - before) / took_s * 1000, 2),
           registers_per_s=round((world.metric(registrant, "rollcall_registrant_requests_total") - requests_before) / took_s, 1),
           late_p50_s=quantile(late, now, 0.5), late_p99_s=quantile(late, now, 0.99), late_most_s=quantile(late, now, 1), **more)


def dead_registrar(world, build, count):
    """world: without a registrant."""
    far = FastRegistrar(world.stack.directory, build, GRANTED_S).start()
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    try:
        registrant = world.stack.new_registrant("registrant-1", env={"ROLLCALL_REGISTRAR_RATE": "0"}).start()
        create(world, 0, LIVE, far.port)
        wait_for(lambda: world.metric(registrant, "rollcall_registrant_bound") >= LIVE, 60, "the live ones")
        look(world, registrant, "alone", live=LIVE)
        began, before = time.monotonic(), cpu_s(registrant.pid)
        create(world, LIVE, count, silent.getsockname()[1])
        wait_for(lambda: world.metric(registrant, "rollcall_registrant_registrations", state="pending") >= count * 0.95, 120, "the dead ones")
        report(bench="dead_registrar", phase="taken in", dead=count, seconds=round(time.monotonic() - began, 1),
               cpu_us=round((cpu_s(registrant.pid) - before) / count * 1e6, 1))
        time.sleep(LOOK_S)
        look(world, registrant, "beside the dead one", live=LIVE, dead=count)
        assert world.metric(registrant, "rollcall_registrant_bound") >= LIVE
    finally:
        silent.close()
        far.stop()
