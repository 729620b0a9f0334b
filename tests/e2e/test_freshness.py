"""What a registrant is given when it takes over is as new as what was reported, also while the gateway that has the reports
stands still and another one is asked."""
import signal

import pytest

from conftest import KAFKA
from stack import comes_true, wait_for

pytestmark = pytest.mark.skipif(KAFKA == "embedded", reason="a group of sessions as long as these settles there only after half a "
                                "minute, and a member that asks again meanwhile ends that broker")
WORLD = {"kamailio": False, "gateways": 2,
         "gateway_env": {"ROLLCALL_KAFKA_SESSION_TIMEOUT": "30000"},  # who stands still for some seconds keeps what it has
         "registrant_env": {"ROLLCALL_KAFKA_SESSION_TIMEOUT": "4000"}}
USERS = 12
HELD_S = 1  # of the 5 s for which a gateway waits


def reports(world, gateway):
    return world.metric(gateway, "rollcall_reports_total", verdict="ok")


def share_the_reports(world):
    """Returns when both gateways apply reports."""
    numbers = iter(range(1000))

    def both_have_some():
        before = [reports(world, g) for g in world.stack.gateways]
        for _ in range(USERS):
            world.bind(f"probe{next(numbers)}", 600, expire=600)
        return all(reports(world, g) > had for g, had in zip(world.stack.gateways, before))

    wait_for(both_have_some, 90, "both gateways to apply reports", every=0.2)


def loading(world):
    return world.metric(world.registrant, "rollcall_registrant_partitions", state="loading")


def owned(world):
    return world.metric(world.registrant, "rollcall_registrant_partitions", state="owned")


def answers(world):
    try:
        return loading(world) + owned(world) > 0
    except OSError:
        return False


def test_nothing_is_sent_anew_because_reports_on_it_were_not_applied_yet(world):
    share_the_reports(world)
    partitions = owned(world)
    asked, frozen = world.stack.gateways
    stale = world.metric(asked, "rollcall_snapshots_stale_total")
    users = [f"word{i}" for i in range(USERS)]
    frozen.signal(signal.SIGSTOP)
    try:
        for u in users:
            world.grant(u, 600)
        ids = {u: world.api.create(**world.at_registrar(u, expire=600)) for u in users}
        wait_for(lambda: all(world.bound(u) for u in users), 20, "all to be bound")
        wait_for(lambda: set(ids.values()) <= {key for key, _, value in world.records("rollcall.status.any")
                                               if value["state"] == "registered"}, 20, "the reports to be in Kafka")
        sent = {u: len(world.sent(u)) for u in users}
        world.registrant.kill()
        world.registrant.env["ROLLCALL_SNAPSHOT_URLS"] = f"http://{asked.host}:{asked.snapshot_port}"
        world.registrant.start(ready=False)
        wait_for(lambda: answers(world), 40, "partitions to take over")
        assert not comes_true(lambda: owned(world) == partitions, HELD_S), "a snapshot that is older than the reports"
        assert any(world.api.status(i)["state"] != "registered" for i in ids.values()), "all was applied: it proves nothing"
    finally:
        frozen.signal(signal.SIGCONT)
    wait_for(lambda: owned(world) == partitions, 20, "all partitions to be taken over")
    for i in ids.values():
        world.api.wait_state(i, "registered")
    assert not comes_true(lambda: any(len(world.sent(u)) > sent[u] for u in users), 1), "a REGISTER that was not due"
    assert world.metric(asked, "rollcall_snapshots_stale_total") == stale
