"""What the dialect says when something behind it is away, and when writes meet."""
import signal
import socket
import threading

import pytest
from conftest import Api
from stack import wait_for

RETRY = "1"


def unavailable(answer):
    assert answer.status == 503, answer.body
    assert answer.titles == ["Service Unavailable"] and answer.errors[0][0] == "503"
    assert answer.header("retry-after") == RETRY
    assert answer.header("cache-control") == "no-cache"
    return answer.errors[0][1]


def test_writes_that_meet_are_all_applied(world, api):
    """Each thread changes an attribute: none may undo another's, and hardly one is told to come again."""
    id = api.create()
    token, kept, refused, strange = api.token, {}, [], []

    def write(name, values):
        mine = Api(world.gateway.port, token)
        for v in values:
            answer = mine.patch(id, {name: v})
            if answer.status == 200:
                kept[name] = answer.attributes[name]
            else:
                (refused if answer.status == 503 else strange).append(answer.body)

    work = [("username", [f"u{i}" for i in range(40)]), ("expire", list(range(60, 100))), ("display-username", [f"d{i}" for i in range(40)])]
    work += [("max-attempts", list(range(n * 100, n * 100 + 30))) for n in range(1, 13)]
    threads = [threading.Thread(target=write, args=w) for w in work]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not strange and len(kept) == 4
    assert len(refused) <= 5, f"{len(refused)} of 480 writes refused"
    held = api.read(id)
    kept.pop("max-attempts")  # of twelve threads: any may have been the last
    assert {name: held[name] for name in kept} == kept


def test_two_creates_of_one_name_give_one_registration(world, api):
    token, statuses = api.token, []

    def create():
        statuses.append(Api(world.gateway.port, token).post(api.required(name="the only one")).status)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(statuses) == [201] + [422] * 5
    assert len(api.get("/registrations").data) == 1


def test_without_redis_every_request_is_unavailable_and_nothing_is_lost(world, api):
    id = api.create(name="before")
    redis = world.stack.redis
    redis.kill()
    for answer in (api.get("/registrations"), api.get(f"/registrations/{id}"), api.get(f"/registrations/{id}/status"),
                   api.get("/pops"), api.get(f"/registrations/{id}?include=pop")):
        assert unavailable(answer) == "Redis is away."
    for answer in (api.post(api.required(name="during")), api.patch(id, {"name": "x"}), api.call("DELETE", f"/registrations/{id}"),
                   api.call("PATCH", f"/registrations/{id}/relationships/pop", {"data": None})):
        assert "may have been applied" in unavailable(answer) or answer.errors
    assert api.call("GET", "/transport-protocols").status == 200, "needs no Redis"
    assert api.post({}).status == 422, "judged before it is written"
    redis.start()
    wait_for(lambda: api.patch(id, {"username": "after"}).status == 200, 20, "writes to be taken again")
    assert api.read(id)["name"] == "before"


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_a_body_that_is_too_long_is_refused(world, api, method):
    answer = api.call(method, "/registrations" + ("" if method == "POST" else "/1"), b" " * (1 << 20) + b"{}")
    assert answer.status == 413
    assert answer.json["errors"][0]["status"] == "413"


def test_a_gateway_stops_cleanly_with_requests_in_flight(world, api):
    """With no time to drain: one waits for Redis, one for the check of its password."""
    gateway = world.stack.new_gateway("stopping", env={"ROLLCALL_DRAIN": "0"}).start()
    world.stack.redis.signal(signal.SIGSTOP)
    try:
        waiting = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(4)]
        for s in waiting[:2]:
            s.sendall(f"GET /api/rest/admin/registrations/1?include=pop HTTP/1.1\r\nHost: h\r\nAuthorization: {api.token}\r\n\r\n".encode())
        body = b'{"auth":{"username":"admin","password":"x"}}'
        for s in waiting[2:]:
            s.sendall(b"POST /api/rest/admin/auth HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                      b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert gateway.stop() == 0
        for s in waiting:
            s.close()
    finally:
        world.stack.redis.signal(signal.SIGCONT)
