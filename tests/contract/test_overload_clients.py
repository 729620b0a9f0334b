"""Clients that hold on to what they were given: connections that say nothing, heads and bodies that never end, answers that nobody
reads, more connections than there is room or descriptors for. Others are served meanwhile, and the gateway neither spins nor grows."""
import os
import pathlib
import re
import resource
import socket
import time
import urllib.request

import pytest
from stack import wait_for
from test_overload_fairness import PATH, Connection, metrics

ROOM = 40
GATEWAY = {"ROLLCALL_HTTP_THREADS": "1", "ROLLCALL_HTTP_CONNECTIONS": str(ROOM), "ROLLCALL_HTTP_BODY_TIMEOUT": "400"}


def limited(world, limit):
    return metrics(world)[f'rollcall_http_limited_total{{limit="{limit}"}}']


def connect(world, count):
    return [Connection(world.gateway.port) for _ in range(count)]


def is_closed(connection):
    connection.socket.settimeout(10)
    try:
        return connection.socket.recv(65536) == b""
    except ConnectionError:
        return True


def cpu_s(world):
    fields = pathlib.Path(f"/proc/{world.gateway.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("said", [b"", b"G", b"GET / HTTP/1.1\r\nHost: h\r\n"], ids=["nothing", "a byte", "half a head"])
def test_connections_that_ask_nothing_make_room_for_one_that_asks(world, api, said):
    id = api.create()
    before = limited(world, "idle_connections")
    crowd = connect(world, 3 * ROOM)
    for c in crowd:
        try:
            c.socket.sendall(said)
        except ConnectionError:
            pass  # it made room already
    last = Connection(world.gateway.port)
    assert last.send(api.token, f"{PATH}/{id}").status() == 200
    wait_for(lambda: limited(world, "idle_connections") >= before + 2 * ROOM, 10, "the oldest to make room")
    assert is_closed(crowd[0])
    for c in (*crowd, last):
        c.close()


def test_an_answer_that_is_not_read_is_given_up(world, api):
    """It is larger than what the kernel takes for it."""
    for i in range(5):
        api.create(contact="sip:a@192.0.2.1;x=" + "y" * 400)
    before = limited(world, "slow_client")
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    slow.connect(("127.0.0.1", world.gateway.port))
    request = f"GET {PATH} HTTP/1.1\r\nHost: h\r\nAuthorization: {api.token}\r\n\r\n".encode()
    slow.settimeout(0.2)
    try:
        for _ in range(20000):  # pipelined: each is answered once the one before is out
            slow.sendall(request)
    except (TimeoutError, ConnectionError):
        pass
    wait_for(lambda: limited(world, "slow_client") > before, 20, "who does not read to be closed")
    slow.close()


def test_a_body_that_comes_byte_by_byte_is_given_up(world, api):
    before = limited(world, "slow_client")
    c = Connection(world.gateway.port)
    c.socket.sendall(f"POST {PATH} HTTP/1.1\r\nHost: h\r\nAuthorization: {api.token}\r\nContent-Length: 100000\r\n\r\n".encode())
    wait_for(lambda: c.socket.send(b"x") and limited(world, "slow_client") > before, 10, "the body to take too long", every=0.05)
    assert c.status() == 408


def test_an_upload_that_comes_byte_by_byte_is_given_up(world, api):
    before = limited(world, "slow_client")
    c = Connection(world.gateway.port)
    c.socket.sendall(f"POST {PATH}/import HTTP/1.1\r\nHost: h\r\nAuthorization: {api.token}\r\nContent-Type: application/x-ndjson\r\n"
                     "Content-Length: 100000\r\n\r\n".encode())
    wait_for(lambda: c.socket.send(b"x") and limited(world, "slow_client") > before, 10, "the upload to take too long", every=0.05)
    assert c.status() == 408


def test_pipelined_requests_are_answered_one_by_one(world, api):
    id = api.create()
    c = Connection(world.gateway.port)
    for _ in range(500):
        c.send(api.token, f"{PATH}/{id}")
    other = Connection(world.gateway.port)
    assert other.send(api.token, f"{PATH}/{id}").status() == 200
    c.close()


def test_out_of_descriptors_accepting_rests_and_goes_on(world, api):
    id = api.create()
    known = Connection(world.gateway.port)
    assert known.send(api.token, f"{PATH}/{id}").status() == 200
    pid = world.gateway.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = max(int(fd) for fd in os.listdir(f"/proc/{pid}/fd")) + 1
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 3, before[1]))
        crowd = connect(world, 20)
        began, at = cpu_s(world), time.monotonic()
        for _ in range(10):
            assert known.send(api.token, f"{PATH}/{id}").status() == 200
        while time.monotonic() < at + 0.6:  # time is what is measured here
            time.sleep(0.05)
        assert cpu_s(world) - began < 0.3, "it spins"
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    late = Connection(world.gateway.port)
    assert late.send(api.token, f"{PATH}/{id}").status() == 200
    for c in (*crowd, known, late):
        c.close()


def test_as_many_connections_as_there_are_descriptors_and_some_are_kept_back(world):
    hard = resource.prlimit(world.gateway.pid, resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard > 1 << 20:
        pytest.skip("there are more descriptors than a test can use up")
    assert resource.prlimit(world.gateway.pid, resource.RLIMIT_NOFILE)[0] == hard


def test_an_idle_connection_costs_little_memory(world, api):
    def resident():
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{world.gateway.pid}/status").read_text()).group(1)) * 1024

    urllib.request.urlopen(f"http://127.0.0.1:{world.gateway.port}/healthz", timeout=10).read()
    before = resident()
    crowd = connect(world, ROOM - 5)
    assert api.get("/registrations").status == 200
    assert (resident() - before) / len(crowd) < 40000
    for c in crowd:
        c.close()
