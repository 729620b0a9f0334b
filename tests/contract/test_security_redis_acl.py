"""A gateway lives with the least that deploy/redis/rollcall.acl gives its user at Redis: every plain request of every dialect, the sweep, reports
of a registrant and its snapshots are done without one refused command; and the user can do nothing else."""
import json
import pathlib
import urllib.request

import pytest
import redis
from conftest import World
from openapi_document import Document
from openapi_targets import TARGETS, add_principals
from stack import wait_for
from test_openapi_generated import Run, by_name, operations_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSWORD = "least-privilege"
LINES = (ROOT / "deploy/redis/rollcall.acl").read_text(encoding="ascii").splitlines()
RULES = next(line for line in LINES if line.startswith("user rollcall ")).split()[2:]


@pytest.fixture(scope="module")
def world():
    w = World({}, add_principals)
    try:
        w.stack.start_redis()
        w.stack.start_broker()
        w.redis = redis.Redis(port=w.stack.redis.port, decode_responses=True)
        w.redis.execute_command("ACL", "SETUSER", "rollcall", *RULES, f">{PASSWORD}")
        w.redis.execute_command("ACL", "LOG", "RESET")
        w.env = {"ROLLCALL_REDIS_URL": f"redis://rollcall@127.0.0.1:{w.stack.redis.port}", "ROLLCALL_REDIS_PASSWORD": PASSWORD,
                 "ROLLCALL_FAILED_LOGINS": "0", "ROLLCALL_ACK_WAIT": "100", "ROLLCALL_REPORT_WAIT": "300", "ROLLCALL_SWEEP_INTERVAL": "50"}
        w.gateway = w.stack.new_gateway(env=w.env).start()
        w.stack.new_registrant(env={"ROLLCALL_SIP_TRANSACTION_TIMEOUT": "1"}).start()
        yield w
    finally:
        w.stop()


def denied(world):
    return [(entry["reason"], entry["object"], entry["username"]) for entry in
            (dict(zip(e[::2], e[1::2])) if isinstance(e, list) else e for e in world.redis.execute_command("ACL", "LOG", 100))]


@pytest.mark.parametrize("target", TARGETS, ids=by_name)
def test_every_request_is_done_without_a_refused_command(world, target):
    with urllib.request.urlopen(world.gateway.url + "/openapi.json", timeout=10) as answer:
        document = Document(json.load(answer))
    run, one = Run(world, document), target(world)
    for operation in operations_of(document, target):
        run.plain(one, operation)
    run.finish()
    assert denied(world) == []


def test_reports_sweeps_and_removals_are_done_without_one(world):
    api = world.api()
    ids = [api.create(domain="127.0.0.1:9", username=f"acl{i}", enabled=i > 0) for i in range(3)]  # the first is never sent
    wait_for(lambda: all(world.redis.hget(world.key(id), "applied") for id in ids), 30, "reports")
    assert api.call("DELETE", f"/registrations/{ids[0]}").status == 204
    for word in ("refresh", "flush", "audit"):
        assert api.call("POST", f"/registrations/{ids[1]}/{word}").status in (200, 202, 204)
    wait_for(lambda: not list(world.redis.scan_iter(f"rc:*:reg:{ids[0]}")), 60, "the removal")
    assert denied(world) == []


REFUSED = [
    "KEYS *", "SCAN 0", "FLUSHALL", "FLUSHDB", "CONFIG GET *", "CONFIG SET dir /tmp", "DEBUG SLEEP 0", "MODULE LOAD x", "ACL LIST",
    "MONITOR", "SHUTDOWN", "REPLICAOF no one", "SAVE", "CLIENT LIST", "SCRIPT FLUSH", "FUNCTION LIST", "MIGRATE h 1 k 0 1", "GET other",
    "SET rd:x 1", "DEL x", "EVAL return(redis.call('GET',KEYS[1])) 1 other", "PUBLISH c m", "DUMP rc:x", "RENAME rc:x rc:y", "SWAPDB 0 1",
    "LATENCY DOCTOR", "CLUSTER RESET"]


def test_the_user_can_do_nothing_else(world):
    user = redis.Redis(port=world.stack.redis.port, username="rollcall", password=PASSWORD, decode_responses=True)
    assert user.ping()
    for command in REFUSED:
        with pytest.raises(redis.exceptions.ResponseError, match="(?i)no permission|noperm|can't|not allowed"):
            user.execute_command(*command.split())


def test_every_command_that_it_is_given_is_used_or_is_one_for_a_cluster_or_a_replica(world):
    """After all of the above: the list is no longer than it has to be."""
    stats = set(world.redis.info("commandstats"))
    used = {name.removeprefix("cmdstat_").lower() for name in stats}
    given = {rule[1:] for rule in RULES if rule.startswith("+")}
    for_others = {"asking", "cluster|slots", "cluster|info", "select", "wait"}  # a cluster, a database by number, replicas
    for_others |= {"zrevrange", "zrevrangebyscore"}  # pages from the end
    assert sorted(given - used - for_others) == []
