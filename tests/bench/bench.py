#!/usr/bin/python3
"""Measures Rollcall on this machine: what a registration costs, what the REST API carries, how fast a change is on the wire.

    tests/bench/bench.py register_storm [--count N …]   N registrations from nothing, then one round of refreshes
    tests/bench/bench.py http_load                      a read and a write in each dialect, beside bare Redis
    tests/bench/bench.py put_to_wire [--kafka apache]   from the PUT's answer to the REGISTER's arrival
    tests/bench/bench.py dead_registrar [--count N]     N registrations at a registrar that says nothing, beside one that answers
    tests/bench/bench.py million [--count N]            import, pages, filters and export of an account of N registrations
    tests/bench/bench.py takeover [--how …] [--count N] kill -9 of a registrant: until all is owned again, REGISTERs not due, lapses
    tests/bench/bench.py rolling [--count N]            three registrants restarted one after the other
    tests/bench/bench.py flood [--only NAME …] [--count ROUNDS] [--without-control]   what floods on one account do to another's latency
    tests/bench/bench.py crowd                          what idle connections and readers who do not read cost in memory

Everything runs on loopback and stops by itself. Figures go to standard output as one JSON object a measurement; timings on a
shared machine are noisy: compare within one run.
"""
import argparse
import asyncio
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy/local"), str(ROOT / "tests/peers"), str(ROOT / "tests/e2e"), str(ROOT / "tests/bench")]
import dialects  # noqa: E402
from crowd import crowd  # noqa: E402
from dead import dead_registrar  # noqa: E402
from faults import stop_without_faults  # noqa: E402
from flood import add_user, flood, token_of  # noqa: E402
from measure import cpu_s, report  # noqa: E402
from million import million  # noqa: E402
from stack import Stack, wait_for  # noqa: E402
from storm import FastRegistrar, storm  # noqa: E402
from takeover import Scene, rolling, takeover  # noqa: E402
from world import World  # noqa: E402

BUILD = pathlib.Path(os.environ.get("ROLLCALL_TEST_BUILD", ROOT / "build/bench"))  # a given one is taken as it is


def build():
    if "ROLLCALL_TEST_BUILD" in os.environ:
        return
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, "--buildtype=release", "-Dwerror=false"], cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD], check=True, stdout=subprocess.DEVNULL)


# ---- REST in bulk: a few connections, requests pipelined

async def _pump(host, port, requests, answers):
    reader, writer = await asyncio.open_connection(host, port)
    window = asyncio.Semaphore(64)

    async def read():
        for _ in requests:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"content-length: (\d+)", head, re.I).group(1))
            body = await reader.readexactly(length)
            answers.append((int(head[9:12]), body))
            window.release()

    reading = asyncio.create_task(read())
    for request in requests:
        await window.acquire()
        writer.write(request)
    await reading
    writer.close()


def post_all(api, url, bodies, connections=64):
    """POSTs all of them and returns the ids."""
    host, port = url.removeprefix("http://").split(":")
    head = (f"POST /api/rest/admin/registrations HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {api.token}\r\n"
            "Content-Type: application/vnd.api+json\r\nContent-Length: ")
    requests = [f"{head}{len(b)}\r\n\r\n{b}".encode() for b in bodies]
    answers = []

    async def run():
        await asyncio.gather(*(_pump(host, int(port), requests[i::connections], answers) for i in range(connections)))

    asyncio.run(run())
    bad = [a for a in answers if a[0] != 201]
    if bad:
        sys.exit(f"{len(bad)} of {len(answers)} registrations were not created, the first because: {bad[0]}")
    return [json.loads(b)["data"]["id"] for _, b in answers]


def body(index, registrar_port, contact="sip:u{i}@127.0.0.1:5090"):
    return json.dumps({"data": {"type": "registrations", "attributes": {
        "name": f"bench-{index}", "domain": f"127.0.0.1:{registrar_port}", "username": f"u{index}", "auth-user": f"u{index}",
        "auth-password": "secret", "contact": contact.format(i=index), "expire": 3600}}})


class BenchWorld(World):
    """Its secrets are looked for elsewhere: not among a million keys, while the next measurement waits."""

    def stop(self):
        if self.registrar:
            self.registrar.stop()
        stop_without_faults(self.stack)


def bench_world(kafka, **options):
    if kafka == "apache":
        import kafka as apache  # only here: it asks for Java and Maven
        cause = apache.unavailable()
        if cause:
            sys.exit(cause)
    stack = Stack(pathlib.Path(tempfile.mkdtemp(prefix="rollcall-bench-")), BUILD)
    return BenchWorld(stack, kafka, kamailio=False, gateway_env={"ROLLCALL_TOKEN_LIFETIME": "0"}, **options)


# ---- register_storm

def run_storm(count, kafka, expires, threads):
    world = bench_world(kafka, registrants=0)
    world.start()
    far = FastRegistrar(world.stack.directory, BUILD, expires).start()
    try:
        storm(world, far, count, threads)
    finally:
        far.stop()
        world.stop()
        shutil.rmtree(world.stack.directory, ignore_errors=True)


# ---- dead_registrar

def run_dead(count, kafka):
    world = bench_world(kafka, registrants=0)
    world.start()
    try:
        dead_registrar(world, BUILD, count)
    finally:
        world.stop()
        shutil.rmtree(world.stack.directory, ignore_errors=True)


# ---- http_load

WRK = re.compile(r"(50|99)%\s+([\d.]+)(us|ms|s)")


# Two of the dialects tell of errors in a 200.
REFUSALS = """
response = function(status, headers, body)
  if body:find('"error":') or (body:find("<http_code>") and not body:find("<http_code>200<")) then print("REFUSED " .. body) end
end
"""


def check_answers(url, script, directory):
    """Asks for a second, and ends the whole where one answer is an error."""
    path = pathlib.Path(directory) / "wrk.lua"
    path.write_text(script + REFUSALS)
    done = subprocess.run(["wrk", "-t1", "-c1", "-d1s", "-s", str(path), url], capture_output=True, text=True, check=True)
    if "REFUSED" in done.stdout:
        sys.exit(done.stdout)


def wrk(url, script, directory, connections=64, seconds=5):
    path = pathlib.Path(directory) / "wrk.lua"
    path.write_text(script)
    done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(path), url], capture_output=True,
                          text=True, check=True)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))
    unit = {"us": 0.001, "ms": 1, "s": 1000}
    latency = {p: float(v) * unit[u] for p, v, u in WRK.findall(done.stdout)}
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    return rate, latency, int(errors.group(1)) if errors else 0


def measure_load(world, name, script):
    # Ribbon's tables of an account are one document with one version: its clients write one by one.
    connections = 1 if name.startswith("Ribbon POST") else 64
    check_answers(world.gateway.url, script, world.stack.directory)
    before = cpu_s(world.gateway.pid)
    rate, latency, errors = wrk(world.gateway.url, script, world.stack.directory, connections)
    report(bench="http_load", request=name, connections=connections, per_s=round(rate), p50_ms=latency["50"],
           p99_ms=latency["99"], errors=errors, gateway_cpu_us=round((cpu_s(world.gateway.pid) - before) / (rate * 5) * 1e6, 1))


def http_load():
    world = bench_world("embedded", registrants=0)
    key = dialects.VoximplantKey()
    key.add_to(world.stack.principals_file)
    world.start()
    try:
        api = world.api
        ids = post_all(api, world.gateway.url, [body(i, 9) for i in range(1000)])
        common = f'''
wrk.headers["Authorization"] = "Bearer {api.token}"
wrk.headers["Content-Type"] = "application/vnd.api+json"
local ids = {{{",".join(ids)}}}
local n = 0
'''
        get = common + '''
request = function() n = n + 1
  return wrk.format("GET", "/api/rest/admin/registrations/" .. ids[n % #ids + 1]) end
'''
        put = common + '''
request = function() n = n + 1 local id = ids[n % #ids + 1]
  return wrk.format("PUT", "/api/rest/admin/registrations/" .. id, nil, '{"data":{"type":"registrations","id":"' .. id ..
    '","attributes":{"display-username":"d' .. n .. '"}}}') end
'''
        for name, script in (("Yeti GET", get), ("Yeti PUT", put), *dialects.voximplant(key, ids),
                             *dialects.kazoo(world.stack, world.gateway.url, len(ids)),
                             *dialects.ribbon(world.stack, world.gateway.url)):
            measure_load(world, name, script)
        bare = subprocess.run(["redis-benchmark", "-p", str(world.stack.redis.port), "-c", "64", "-n", "100000", "-q", "-t",
                               "get,set"], capture_output=True, text=True, check=True).stdout
        for name, rate in re.findall(r"(GET|SET): ([\d.]+) requests per second", bare):
            report(bench="http_load", bare_redis=name, per_s=round(float(rate)))
    finally:
        world.stop()
        shutil.rmtree(world.stack.directory, ignore_errors=True)


# ---- put_to_wire

def put_to_wire(kafka, count):
    """The clock starts when the PUT's answer is read and stops when the REGISTER's datagram is."""
    world = bench_world(kafka, registrant_env={"ROLLCALL_REGISTRAR_RATE": "0"})
    world.start()
    arrivals = {}
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far.bind(("127.0.0.1", 0))

    def answer():
        while True:
            datagram, peer = far.recvfrom(65536)
            now = time.monotonic()
            if not datagram:
                return
            text = datagram.decode()
            contact = re.search(r"(?im)^(?:contact|m)\s*:\s*(.*?)\r$", text).group(1)
            arrivals.setdefault(re.search(r"sip:([^@>]+)@", contact).group(1), now)
            keep = [line for line in text.split("\r\n")[1:] if re.match(r"(?i)(via|v|from|f|to|t|call-id|i|cseq|contact|m)\s*:", line)]
            keep = [line + ";tag=x" if re.match(r"(?i)(to|t)\s*:", line) else line for line in keep]
            far.sendto(("SIP/2.0 200 OK\r\n" + "\r\n".join(keep) + "\r\nContent-Length: 0\r\n\r\n").encode(), peer)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        port = far.getsockname()[1]
        api = world.api
        rid = post_all(api, world.gateway.url, [body(0, port, "sip:c{i}@127.0.0.1:5090")])[0]
        wait_for(lambda: "c0" in arrivals, 20, "the first REGISTER")
        samples = []
        for i in range(1, count + 1):
            api.update(rid, contact=f"sip:c{i}@127.0.0.1:5090")
            answered = time.monotonic()
            wait_for(lambda: f"c{i}" in arrivals, 10, "the REGISTER of a PUT", every=0.0005)
            samples.append((arrivals[f"c{i}"] - answered) * 1000)
            wait_for(lambda: api.status(rid)["in-sync"], 10, "the report", every=0.005)
        samples.sort()
        report(bench="put_to_wire", kafka=kafka, count=count, p50_ms=round(statistics.median(samples), 2),
               p99_ms=round(samples[int(len(samples) * 0.99) - 1], 2), max_ms=round(samples[-1], 2))
    finally:
        far.sendto(b"", far.getsockname())
        world.stop()
        shutil.rmtree(world.stack.directory, ignore_errors=True)


# ---- million

def run_million(count):
    world = bench_world("embedded", registrants=0)
    world.start()
    try:
        million(world, count)
    finally:
        world.stop()
        shutil.rmtree(world.stack.directory, ignore_errors=True)


# ---- flood

def run_flood(only, count, control):
    worlds = [bench_world("embedded", registrants=0) for _ in range(1 + control)]
    try:
        for world in worlds:
            add_user(world.stack)
            world.start()
        flood(worlds[0], worlds[1] if control else None, post_all, body, report, only, count)
    finally:
        for world in worlds:
            world.stop()
            shutil.rmtree(world.stack.directory, ignore_errors=True)


# ---- crowd

def run_crowd():
    world = bench_world("embedded", registrants=0)
    add_user(world.stack)
    world.start()
    try:
        ids = post_all(world.api, world.gateway.url, [body(i, 9) for i in range(50)])
        other = type("Flooder", (), {"token": token_of(world.stack, 2)})
        theirs = post_all(other, world.gateway.url, [body(i, 9) for i in range(3000)])[:200]
        crowd(world, ids, theirs, report)
    finally:
        world.stop()
        shutil.rmtree(world.stack.directory, ignore_errors=True)


# ---- takeover, rolling

def run_scene(count, kafka, registrants, what):
    world = bench_world(kafka, registrants=0)
    world.start()
    try:
        scene = Scene(world, BUILD, count, registrants)
        try:
            what(scene)
        finally:
            scene.stop()
    except BaseException:
        print("logs and journal:", world.stack.directory, file=sys.stderr)
        raise
    finally:
        world.stop()
    shutil.rmtree(world.stack.directory, ignore_errors=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("bench", choices=["register_storm", "dead_registrar", "http_load", "put_to_wire", "million", "flood",
                                         "crowd", "takeover", "rolling"])
    p.add_argument("--count", type=int, nargs="+", help="registrations, PUTs or rounds")
    p.add_argument("--kafka", choices=["embedded", "apache"], default="embedded")
    p.add_argument("--threads", type=int, default=1, help="SIP threads of the registrant in register_storm")
    p.add_argument("--expires", type=int, default=120, help="lifetime that the registrar of register_storm grants, in s")
    p.add_argument("--only", nargs="+", help="of the floods")
    p.add_argument("--without-control", action="store_true", help="flood: not also at a gateway of its own")
    p.add_argument("--how", choices=["sharing", "starting", "again"], default="starting",
                   help="who takes over: those that shared with it, another that is started, the same started again")
    p.add_argument("--registrants", type=int, help="registrants in takeover (1, sharing: 2) or rolling (3)")
    options = p.parse_args()
    build()
    if options.bench == "register_storm":
        for count in options.count or [10000, 100000]:
            run_storm(count, options.kafka, options.expires, options.threads)
    elif options.bench == "dead_registrar":
        run_dead((options.count or [100000])[0], options.kafka)
    elif options.bench == "http_load":
        http_load()
    elif options.bench == "million":
        run_million((options.count or [1000000])[0])
    elif options.bench == "flood":
        run_flood(options.only, (options.count or [5])[0], not options.without_control)
    elif options.bench == "crowd":
        run_crowd()
    elif options.bench == "takeover":
        run_scene((options.count or [100000])[0], options.kafka, options.registrants or (2 if options.how == "sharing" else 1),
                  lambda scene: takeover(scene, options.how))
    elif options.bench == "rolling":
        run_scene((options.count or [100000])[0], options.kafka, options.registrants or 3, rolling)
    else:
        put_to_wire(options.kafka, (options.count or [200])[0])


if __name__ == "__main__":
    main()
