"""Structure, not times: how many of the records and lines that exports, lists and imports consist of another account's request waits
behind. Redis is stopped in the midst of them, so that what was asked of it by then is what is ahead."""
import json
import os
import re
import select
import signal
import socket
import time

import pytest
from stack import wait_for
from test_overload_fairness import PATH, Connection, metrics, taken

GATEWAY = {"ROLLCALL_HTTP_THREADS": "1"}
RECORDS = 6  # of one account read at once: services/gateway/store/store.c
LINES = 2  # of imports, one command at a time: services/gateway/loop.c
JOB = 2  # registrations that a job reads at once, as the one that looks for what is to be sealed anew: services/gateway/loop.c
LOOKS = 12
ALONE_S = 1  # without a request of another: services/gateway/fair/company.c


class Monitor:
    def __init__(self, world):
        self.redis, self.text = world.stack.redis.pid, b""
        self.socket = socket.create_connection(("127.0.0.1", world.stack.redis.port), timeout=20)
        self.socket.sendall(b"MONITOR\r\n")
        assert self.socket.recv(5) == b"+OK\r\n"

    def stop(self):
        """Redis, and forgets what it was asked before."""
        os.kill(self.redis, signal.SIGSTOP)
        os.waitpid(self.redis, os.WUNTRACED)
        self.socket.setblocking(False)
        try:
            while self.socket.recv(65536):
                pass
        except BlockingIOError:
            pass
        self.socket.settimeout(20)
        self.text = b""

    def go_on(self):
        os.kill(self.redis, signal.SIGCONT)

    def ahead_of(self, id, shard):
        """Commands about registrations of a shard that came over the same connection before this registration was read."""
        pattern = re.compile(rb'\[\d+ (\S+)\] "HMGET" "rc:\{s\d+\}:reg:%d"' % id)
        while not pattern.search(self.text):
            self.text += self.socket.recv(65536)
        found = pattern.search(self.text)
        before = [line for line in self.text[:found.start()].split(b"\r\n") if b" " + found.group(1) + b"] " in line]
        return sum(shard + b":reg:" in line for line in before)

    def close(self):
        self.socket.close()


def most_ahead(world, shard, other, own, begin):
    """Of some looks, each in the midst of what `begin` begins. The other asks before, and all the while."""
    victim, ahead = Connection(world.gateway.port), []

    def asks():
        assert victim.send(other.token, f"{PATH}/{own}").status() == 200

    def settle():  # what was begun while nobody else asked for a second is over
        for _ in range(20):
            asks()

    def look(monitor):
        count = taken(world)
        victim.send(other.token, f"{PATH}/{own}")
        wait_for(lambda: taken(world) > count, 10, "the other's request to be read")
        monitor.go_on()
        ahead.append(monitor.ahead_of(own, shard))
        assert victim.status() == 200

    asks()
    begin()
    settle()
    while len(ahead) < LOOKS:
        began = time.monotonic()
        asks()
        monitor = Monitor(world)
        monitor.stop()
        if time.monotonic() - began < ALONE_S / 2:
            look(monitor)
        else:  # on a machine this busy whoever asks all the time was silent for so long that the other was alone
            monitor.go_on()
            settle()
        monitor.close()
    victim.close()
    return max(ahead)


@pytest.fixture
def accounts(world):
    """Two users of two accounts; the flood's with its shard in Redis and 60 registrations, the other's with the id of its only one."""
    flood, other = world.api(), world.api()
    ids = [flood.create(name=f"r{i}") for i in range(60)]
    shard = next(world.redis.scan_iter(f"rc:{{s*}}:reg:{ids[0]}", count=10000)).partition(":reg:")[0].encode()
    return flood, shard, other, int(other.create())


@pytest.mark.parametrize("path", ["/export", "?page%5Bsize%5D=1000", "?filter%5Bauth_user_cont%5D=u"], ids=["export", "list", "walk"])
def test_another_accounts_request_waits_behind_a_few_records(world, accounts, path):
    flood, shard, other, own = accounts
    crowd = [Connection(world.gateway.port) for _ in range(30)]

    def begin():
        for c in crowd:
            for _ in range(50):  # one after the other
                c.send(flood.token, PATH + path)

    most = most_ahead(world, shard, other, own, begin)
    assert metrics(world)['rollcall_http_waiting_requests{lane="requests"}'] + \
        metrics(world)['rollcall_http_waiting_requests{lane="bulk"}'] > 0, "they were over before"
    for c in crowd:
        c.close()
    # what Redis had done when it was stopped, but not told the monitor, is among them
    assert most <= 2 * RECORDS + JOB, f"{most} commands came before"


def test_another_accounts_request_waits_behind_a_few_lines_of_an_import(world, accounts):
    flood, shard, other, own = accounts
    lines = b"".join(json.dumps({"type": "registrations", "attributes": {"name": f"r{i % 60}", "display-username": f"d{i}"}}).encode()
                     + b"\n" for i in range(3000))
    importing = Connection(world.gateway.port)

    def begin():
        importing.socket.sendall(f"POST {PATH}/import HTTP/1.1\r\nHost: h\r\nAuthorization: {flood.token}\r\n"
                                 f"Content-Type: application/x-ndjson\r\nContent-Length: {len(lines)}\r\n\r\n".encode())
        importing.socket.setblocking(False)
        importing.socket.send(lines)  # as much as there is room for: it is not read further while its lines wait

    most = most_ahead(world, shard, other, own, begin)
    assert not select.select([importing.socket], [], [], 0)[0], "it was over before"
    importing.close()
    assert most <= 2 * LINES + JOB, f"{most} commands came before"
