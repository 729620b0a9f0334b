"""Work over many registrations outlives the gateway that does it."""
import json

from kazoo_session import KazooSession
from stack import wait_for

WORLD = {"gateways": 2, "kamailio": False}
COUNT = 4000


def load(world):
    """Registrations that are not to be registered: only the gateways have work with them."""
    lines = "".join(json.dumps({"type": "registrations", "attributes": {
        "name": f"job-{i}", "domain": "registrar.invalid", "username": f"u{i}", "contact": f"sip:u{i}@192.0.2.1", "enabled": False}}) + "\n"
        for i in range(COUNT))
    answer = world.api.call("POST", "/registrations/import", lines.encode(), timeout=60,
                            headers={"Content-Type": "application/x-ndjson", "Accept": "application/x-ndjson"})
    assert answer.status_code == 200 and json.loads(answer.text.splitlines()[-1])["summary"]["created"] == COUNT


def flushes(world):
    """How often each registration was flushed."""
    keys = list(world.redis.scan_iter("rc:*:reg:*", count=10000))
    pipe = world.redis.pipeline(transaction=False)
    for key in keys:
        pipe.hget(key, "flush_seq")
    return [int(n or 0) for n in pipe.execute()]


def flush_account(world, gateway):
    assert KazooSession(gateway.url, world.stack).call("DELETE") == "ok"


def jobs(world):
    return [(k, id) for k in range(16) for id in world.redis.zrange(f"rc:{{s{k}}}:jobs", 0, -1)]


def holder(world):
    """The gateway that has the job now, once it has got somewhere."""
    for shard, id in jobs(world):
        job = world.redis.hgetall(f"rc:{{s{shard}}}:job:{id}")
        if job.get("cursor"):
            return next(g for g in world.stack.gateways if job["holder"].startswith(g.name + "-"))
    return None


def test_a_flush_goes_on_when_its_gateway_is_killed(world):
    load(world)
    flush_account(world, world.gateway)
    dead = wait_for(lambda: holder(world), 20, "a gateway that works on it", every=0.001)
    dead.kill()
    done = sum(n > 0 for n in flushes(world))
    assert 0 < done < COUNT, "killed in the middle"
    wait_for(lambda: not jobs(world), 40, "the end of the job", every=0.2)
    seen = flushes(world)
    assert len(seen) == COUNT and min(seen) == 1, "every one was flushed"
    assert max(seen) <= 2 and sum(n == 2 for n in seen) <= 200, "at most the slice that was under way was done twice"
    dead.start()
