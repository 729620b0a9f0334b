"""Structure, not times: how much of a flood a request of another account waits behind. Redis is stopped while all is sent, so that
what the gateway gives it first is what it is then asked first."""
import os
import re
import signal
import socket
import urllib.request

import pytest
from stack import wait_for

SHARE, ALONE = 2, 64  # of one thread: services/gateway/loop.c
GATEWAY = {"ROLLCALL_HTTP_THREADS": "1"}
PATH = "/api/rest/admin/registrations"


def metrics(world):
    world.looks = getattr(world, "looks", 0) + 1
    text = urllib.request.urlopen(f"http://127.0.0.1:{world.gateway.port}/metrics", timeout=10).read().decode()
    return {m.group(1): int(m.group(2)) for m in re.finditer(r"(?m)^(\S+) (\d+)$", text)}


def waiting(world, lane="requests"):
    return metrics(world)[f'rollcall_http_waiting_requests{{lane="{lane}"}}']


def taken(world):
    """GETs so far, without those that look here, of which the gateway counts each alike."""
    return metrics(world)['rollcall_http_requests_total{method="GET"}'] - world.looks


class Connection:
    """Sends without waiting for what comes back."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def send(self, token, path, method="GET", body=b"", headers=""):
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: h\r\nAuthorization: {token}\r\nAccept: */*\r\n"
                            f"Content-Type: application/vnd.api+json\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return self

    def status(self):
        """Of the next answer, read whole."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.read()
        head, _, rest = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        left = int(length.group(1)) - len(rest) if length else 0
        while left > 0:
            left -= len(self.read())
        self.head = head.decode()
        return int(head[9:12])

    def read(self):
        piece = self.socket.recv(65536)
        assert piece, "closed"
        return piece

    def close(self):
        self.socket.close()


class Stopped:
    """Redis takes no command in the meantime; afterwards `order` has the ids that were read, as they were asked for."""

    def __init__(self, world):
        self.world, self.order = world, []

    def __enter__(self):
        self.monitor = socket.create_connection(("127.0.0.1", self.world.stack.redis.port), timeout=20)
        self.monitor.sendall(b"MONITOR\r\n")
        assert self.monitor.recv(5) == b"+OK\r\n"
        os.kill(self.world.stack.redis.pid, signal.SIGSTOP)
        return self

    def __exit__(self, *_):
        os.kill(self.world.stack.redis.pid, signal.SIGCONT)

    def watch(self, count):
        """After the end: waits until so many were read."""
        text = b""
        self.world.redis.echo("the end")
        while len(self.order) < count or b"the end" not in text:
            text += self.monitor.recv(65536)
            self.order = [int(i) for i in re.findall(rb'"HMGET" "rc:\{s\d+\}:reg:(\d+)"', text)]
        self.monitor.close()
        return self.order


@pytest.fixture
def accounts(world):
    """Two users of two accounts, each with a registration, and no connection of theirs under way."""
    flood, other = world.api(), world.api()
    return flood, int(flood.create()), other, int(other.create())


def ask(connections, api, id, path=None):
    for c in connections:
        c.send(api.token, path or f"{PATH}/{id}")


def all_answered(connections, status=200):
    for c in connections:
        assert c.status() == status
        c.close()


def ahead_of_another(world, accounts):
    """How many requests of a flood Redis is asked for before another account's, which comes when all of them are read; and how many of
    them waited by then."""
    flood, theirs, other, own = accounts
    crowd = [Connection(world.gateway.port) for _ in range(100)]
    victim = Connection(world.gateway.port)
    assert victim.send(other.token, f"{PATH}/{own}").status() == 200  # it is there, and asked a moment ago
    before = taken(world)
    with Stopped(world) as stopped:
        ask(crowd, flood, theirs)
        wait_for(lambda: taken(world) >= before + len(crowd), 10, "the flood to be read")
        waited = waiting(world)
        count = taken(world)
        victim.send(other.token, f"{PATH}/{own}")
        wait_for(lambda: taken(world) > count, 10, "the other's request to be read")
    order = stopped.watch(len(crowd) + 1)
    assert victim.status() == 200
    all_answered(crowd)
    return order.index(own), waited


def test_another_accounts_request_waits_behind_a_share_of_a_flood(world, accounts):
    ahead, waited = ahead_of_another(world, accounts)
    assert waited >= 100 - ALONE
    assert ahead <= SHARE, f"{ahead} of the flood came before"
    assert waiting(world) == 0


def test_lists_weigh_more_than_reads(world, accounts):
    flood, theirs, other, own = accounts
    crowd = [Connection(world.gateway.port) for _ in range(20)]
    victim = Connection(world.gateway.port)
    assert victim.send(other.token, f"{PATH}/{own}").status() == 200
    before = taken(world)
    with Stopped(world):
        ask(crowd, flood, theirs, f"{PATH}?page%5Bsize%5D=1000")
        wait_for(lambda: taken(world) >= before + len(crowd), 10, "the flood to be read")
        assert waiting(world) >= len(crowd) - 1
    all_answered(crowd)
    victim.close()


def test_accounts_that_wait_are_served_in_turn(world, accounts):
    """One waits with many, then another comes with a few: those are not behind all of the many."""
    flood, theirs, other, own = accounts
    crowd = [Connection(world.gateway.port) for _ in range(60)]
    few = [Connection(world.gateway.port) for _ in range(12)]
    assert few[0].send(other.token, f"{PATH}/{own}").status() == 200
    assert crowd[0].send(flood.token, f"{PATH}/{theirs}").status() == 200
    before = taken(world)
    with Stopped(world) as stopped:
        ask(few[:1], other, own)
        ask(crowd, flood, theirs)
        wait_for(lambda: taken(world) >= before + len(crowd), 10, "the many")
        ask(few[1:], other, own)
        wait_for(lambda: taken(world) >= before + len(crowd) + len(few), 10, "the few")
    order = stopped.watch(len(crowd) + len(few))
    all_answered(crowd + few)
    last = [i for i, id in enumerate(order) if id == own][len(few) - 1]  # what the gateway reads for itself may come behind
    assert last <= 2 * len(few) + 4 * SHARE, f"the last of {len(few)} was number {last}"


def test_who_leaves_while_it_waits_costs_redis_nothing(world, accounts):
    flood, theirs, other, own = accounts
    crowd = [Connection(world.gateway.port) for _ in range(40)]
    assert Connection(world.gateway.port).send(other.token, f"{PATH}/{own}").status() == 200
    before = taken(world)
    with Stopped(world) as stopped:
        ask(crowd, flood, theirs)
        wait_for(lambda: taken(world) >= before + len(crowd), 10, "the flood to be read")
        for c in crowd:
            c.close()
        urllib.request.urlopen(f"http://127.0.0.1:{world.gateway.port}/healthz", timeout=10).read()
    last = Connection(world.gateway.port)
    assert last.send(flood.token, f"{PATH}/{theirs}").status() == 200
    wait_for(lambda: waiting(world) == 0, 10, "nothing to wait")
    order = stopped.watch(1)
    assert len(order) < len(crowd) // 2, "they were served"


def test_too_many_that_wait_are_told_to_come_again(world, accounts):
    """1024 of an account wait at a thread; a connection holds one request only, so that takes as many connections."""
    flood, theirs, other, own = accounts
    crowd = [Connection(world.gateway.port) for _ in range(1024 + ALONE + 20)]
    before = taken(world)
    refused = metrics(world)['rollcall_http_limited_total{limit="waiting_requests"}']
    with Stopped(world):
        ask(crowd, flood, theirs)
        wait_for(lambda: taken(world) >= before + len(crowd), 20, "the flood to be read")
        assert metrics(world)['rollcall_http_limited_total{limit="waiting_requests"}'] >= refused + 20
    statuses = []
    for c in crowd:
        statuses.append(c.status())
        if statuses[-1] == 503:
            assert "retry-after: 1" in c.head.lower()
        c.close()
    assert statuses.count(503) >= 20 and set(statuses) == {200, 503}


def test_exports_of_an_account_take_nothing_from_its_requests(world, accounts):
    flood, theirs, *_ = accounts
    for i in range(5):
        flood.create()
    crowd = [Connection(world.gateway.port) for _ in range(30)]
    ask(crowd, flood, theirs, f"{PATH}/export")
    assert flood.get(f"/registrations/{theirs}").status == 200
    for c in crowd:
        c.close()
    wait_for(lambda: waiting(world, "bulk") == 0, 10, "no export to wait")


def test_logins_from_one_address_leave_the_other_requests_alone(world, accounts):
    """Right and wrong ones, far more than can be hashed meanwhile: each is answered, with a token or told to come again."""
    flood, theirs, other, own = accounts
    stack = world.stack
    bodies = [f'{{"auth":{{"username":"{stack.username}","password":"{p}"}}}}'.encode() for p in (stack.password, "wrong")]
    crowd = [Connection(world.gateway.port) for _ in range(400)]
    for i, c in enumerate(crowd):
        c.send("", "/api/rest/admin/auth", "POST", bodies[i % 2])
    assert other.get(f"/registrations/{own}").status == 200
    statuses = [c.status() for c in crowd]
    assert set(statuses) <= {201, 401, 429, 503} and 201 in statuses and {429, 503} & set(statuses)
    for c in crowd:
        c.close()
    assert waiting(world, "logins") == 0


def test_a_new_connection_is_served_while_a_flood_goes_on(world, accounts):
    flood, theirs, other, own = accounts
    count, ahead = 100, 150  # connections, and requests that each sends without waiting
    crowd = [Connection(world.gateway.port) for _ in range(count)]
    request = f"GET {PATH}/{theirs} HTTP/1.1\r\nHost: h\r\nAuthorization: {flood.token}\r\n\r\n".encode() * ahead
    before = taken(world)
    for c in crowd:
        c.socket.sendall(request)
    for _ in range(3):
        fresh = Connection(world.gateway.port)
        assert fresh.send(other.token, f"{PATH}/{own}").status() == 200
        fresh.close()
    assert taken(world) - before < count * ahead, "the flood was over before anybody else was served"
    for c in crowd:
        c.close()
    wait_for(lambda: waiting(world) == 0, 20, "the flood to end")
