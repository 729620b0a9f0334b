"""A gateway that is told to stop while requests and logins wait for their turn: those that were not begun are told so, and it ends."""
import os
import signal

from stack import wait_for
from test_overload_fairness import PATH, Connection, taken, waiting

GATEWAY = {"ROLLCALL_HTTP_THREADS": "1", "ROLLCALL_DRAIN": "1"}


def test_what_waits_is_told_to_come_again(world):
    api, stack = world.api(), world.stack
    id = api.create()
    crowd = [Connection(world.gateway.port) for _ in range(100)]
    logins = [Connection(world.gateway.port) for _ in range(60)]
    redis, gateway = stack.redis.pid, world.gateway.pid
    before = taken(world)
    os.kill(redis, signal.SIGSTOP)
    try:
        for c in crowd:
            c.send(api.token, f"{PATH}/{id}")
        wait_for(lambda: taken(world) >= before + len(crowd), 10, "all to be read")
        for c in logins:
            c.send("", "/api/rest/admin/auth", "POST", f'{{"auth":{{"username":"{stack.username}","password":"no"}}}}'.encode())
        assert waiting(world) > 0
        os.kill(gateway, signal.SIGTERM)
        statuses = [c.status() for c in crowd]
        assert set(statuses) == {503}, "Redis was asked, and is away"
        assert {c.status() for c in logins} <= {401, 429, 503}
        wait_for(lambda: not world.gateway.running(), 20, "the gateway to end")
    finally:
        os.kill(redis, signal.SIGCONT)
