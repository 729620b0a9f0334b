"""Imports and exports when what is behind them, or who asked for them, goes away."""
import http.client
import json
import socket

import pytest
from conftest import HOST, PREFIX, Answer
from stack import wait_for

GATEWAY = {"ROLLCALL_YETI_IMPORT_PATIENCE": "2"}
LINES = "application/x-ndjson"


def body(first, last):
    return b"".join(json.dumps({"type": "registrations", "attributes": {
        "name": f"n{i}", "domain": "example.com", "username": "u", "contact": "sip:u@h", "display-username": "x" * 500}}).encode() + b"\n"
        for i in range(first, last))


class Import:
    """One whose body is sent in pieces."""

    def __init__(self, api, port=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port or api.port, timeout=60)
        self.connection.putrequest("POST", f"{PREFIX}/registrations/import", skip_host=True)
        for name, value in (("Host", HOST), ("Authorization", api.token), ("Content-Type", LINES), ("Transfer-Encoding", "chunked")):
            self.connection.putheader(name, value)
        self.connection.endheaders()

    def send(self, piece):
        self.connection.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
        return self

    def answer(self):
        self.connection.send(b"0\r\n\r\n")
        rows = [json.loads(row) for row in Answer(self.connection.getresponse()).body.splitlines()]
        return rows[:-1], rows[-1]["summary"]

    def close(self):
        self.connection.close()


def ready(world):
    """Every loop has its Redis back and takes writes."""
    wait_for(lambda: world.gateway.http_ok("/readyz"), 20, "the gateway to be ready")


def total(api):
    answer = api.get("/registrations?page[size]=1")
    return answer.json["meta"]["total-count"] if answer.status == 200 else 0


def test_redis_away_in_the_middle_is_waited_out(world, api):
    """Retried for a while, and nothing is done twice or forgotten."""
    sent = Import(api).send(body(0, 400))
    wait_for(lambda: total(api) > 100, 20, "the first lines")
    world.stack.redis.kill()
    sent.send(body(400, 600)).send(body(580, 600))
    world.stack.redis.start()
    bad, summary = sent.answer()
    assert not bad and "stopped-at" not in summary
    assert summary["lines"] == 620 == summary["created"] + summary["updated"] + summary["unchanged"]
    assert summary["updated"] == 0
    assert total(api) == 600


def test_redis_away_for_long_stops_it_and_the_line_is_told(world, api):
    """The summary says at which line it stopped; sent again from there it is whole."""
    sent = Import(api).send(body(0, 300))
    wait_for(lambda: total(api) == 300, 20, "the first lines")
    world.stack.redis.kill()
    bad, summary = sent.send(body(300, 320) * 2).answer()
    world.stack.redis.start()
    assert not bad and summary["stopped-at"] == 301 and "Redis is away" in summary["reason"]
    assert (summary["created"], summary["failed"]) == (300, 0)
    ready(world)
    bad, summary = Import(api).send(body(300, 320)).answer()
    assert not bad and summary["created"] + summary["unchanged"] == 20
    assert total(api) == 320


def test_without_redis_neither_begins(world, api):
    world.stack.redis.kill()
    try:
        for method, path, data in (("POST", "/registrations/import", body(0, 1)), ("GET", "/registrations/export", None)):
            answer = api.call(method, path, data, {"Content-Type": LINES, "Accept": LINES})
            assert (answer.status, answer.titles, answer.header("retry-after")) == (503, ["Service Unavailable"], "1")
        operations = {"atomic:operations": [{"op": "remove", "ref": {"type": "registrations", "id": "1"}}]}
        atomic = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'
        assert api.call("POST", "/operations", operations, {"Content-Type": atomic}).status == 503
    finally:
        world.stack.redis.start()
    ready(world)


def test_an_export_that_redis_leaves_says_so_in_its_last_line(world, api):
    Import(api).send(body(0, 3000)).answer()
    with socket.create_connection(("127.0.0.1", api.port)) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.sendall(f"GET {PREFIX}/registrations/export HTTP/1.0\r\nHost: x\r\nAuthorization: {api.token}\r\n\r\n".encode())
        received = s.recv(1000)
        world.stack.redis.kill()
        s.settimeout(20)
        while piece := s.recv(1 << 16):
            received += piece
    world.stack.redis.start()
    rows = received.partition(b"\r\n\r\n")[2].splitlines()
    assert 0 < len(rows) < 3000
    assert json.loads(rows[-1])["errors"][0]["code"] == "503"
    assert all(json.loads(row)["type"] == "registrations" for row in rows[:-1])
    ready(world)


@pytest.mark.parametrize("how", ["half sent", "waiting for Redis", "whole and waiting for Redis"])
def test_a_gateway_stops_cleanly_with_an_import(world, api, how):
    gateway = world.stack.new_gateway(f"stopping {how}".replace(" ", "-"), env={"ROLLCALL_DRAIN": "0"}).start()
    sent = Import(api, gateway.port).send(body(0, 300))
    wait_for(lambda: total(api) == 300, 20, "the first lines")
    try:
        if "waiting" in how:
            world.stack.redis.kill()
            sent.send(body(300, 350) * 4)  # lines of one name follow each other
        if "whole" in how:
            sent.connection.send(b"0\r\n\r\n")
        assert api.get("/transport-protocols").status == 200
        assert gateway.stop() == 0, gateway.log_text()
    finally:
        sent.close()
        if "waiting" in how:
            world.stack.redis.start()
    ready(world)


def test_a_gateway_stops_cleanly_with_an_export_that_nobody_reads(world, api):
    Import(api).send(body(0, 3000)).answer()
    gateway = world.stack.new_gateway("stopping-export", env={"ROLLCALL_DRAIN": "0"}).start()
    with socket.create_connection(("127.0.0.1", gateway.port)) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(f"GET {PREFIX}/registrations/export HTTP/1.1\r\nHost: x\r\nAuthorization: {api.token}\r\n\r\n".encode())
        assert s.recv(100)
        assert gateway.stop() == 0, gateway.log_text()
