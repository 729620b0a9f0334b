"""What clients who hold on to the gateway cost it in memory: connections that are idle, then readers who do not read, while others flood
it. Used by bench.py.

The gateway's address space is bounded to what it has and a little more, so that whatever grows without a bound ends it.
"""
import resource
import socket
import time

import requests
from flood import REGISTRATIONS, Generator, floods, token_of
from measure import percentiles, resident_bytes

IDLE, READERS, EXPORTS = 8000, 600, 200
FLOODS, CONNECTIONS, SECONDS = ("PUT", "lists of 1000", "walks"), 150, 12
SPARE_BYTES = 300 << 20
OWN_DESCRIPTORS = IDLE + READERS + EXPORTS + 200


def connect(port, count):
    return [socket.create_connection(("127.0.0.1", port), 20) for _ in range(count)]


def close(connections):
    for c in connections:
        c.close()


def idle(world, report):
    """Kilobytes for a connection before its first request, and after it."""
    calm, crowd = resident_bytes(world.gateway.pid), connect(world.gateway.port, IDLE)
    requests.get(world.gateway.url + "/healthz", timeout=20)
    silent = resident_bytes(world.gateway.pid)
    for c in crowd:
        c.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
    for c in crowd:
        c.recv(4096)
    asked = resident_bytes(world.gateway.pid)
    close(crowd)
    report(bench="crowd", idle=IDLE, **{f"{name}_kb_each": round((bytes - calm) / IDLE / 1000, 1)
                                        for name, bytes in (("silent", silent), ("asked", asked))})


def slow_readers(world, token, count, path, times):
    """They ask and do not read; the kernel takes little for them."""
    request = f"GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n".encode() * times
    for _ in range(count):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.connect(("127.0.0.1", world.gateway.port))
        s.sendall(request)
        yield s


def limit_memory(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        has = int(statm.read().split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (has + SPARE_BYTES, has + SPARE_BYTES))


def crowd(world, ids, theirs, report):
    """ids: of the account that goes on asking; theirs: of the one that floods."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (OWN_DESCRIPTORS, OWN_DESCRIPTORS))
    pid, token = world.gateway.pid, token_of(world.stack, 2)
    calm = resident_bytes(pid)
    idle(world, report)
    limit_memory(pid)
    held = [*slow_readers(world, token, READERS, f"{REGISTRATIONS}?page%5Bsize%5D=1000", 3),
            *slow_readers(world, token, EXPORTS, f"{REGISTRATIONS}/export", 1)]
    scripts = floods(world.stack, theirs)
    storms = [Generator(world.gateway.url, scripts[name], world.stack.directory, f"crowd-{i}", CONNECTIONS, SECONDS, 19)
              for i, name in enumerate(FLOODS)]
    peak, samples, session = 0, [], requests.Session()
    session.headers["Authorization"] = "Bearer " + token_of(world.stack, 1)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        began = time.perf_counter()
        session.get(f"{world.gateway.url}{REGISTRATIONS}/{ids[0]}", timeout=20).raise_for_status()
        samples.append((time.perf_counter() - began) * 1000)
        peak = max(peak, resident_bytes(pid))
        time.sleep(0.02)
    for storm in storms:
        storm.process.wait(60)
        storm.process.stdout.close()
    close(held)
    p50, p99 = percentiles(samples, 50, 99)
    report(bench="crowd", slow_readers=READERS, exports=EXPORTS, floods=len(FLOODS), calm_mb=round(calm / 1e6), peak_mb=round(peak / 1e6),
           get_p50_ms=round(p50, 2), get_p99_ms=round(p99, 2), alive=world.gateway.running())
