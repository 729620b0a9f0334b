"""Between any two that talk to each other the network is cut, and then bad: packets are lost, late, and overtaken. Everybody else goes on
meanwhile, and nothing is broken afterwards. (Between all of them at once: test_soak.py; between one and many: test_dangers.py.)
"""
import time

import pytest

import checker
import injections
from conftest import LONG
from injections import ALL
from scene import played
from stack import wait_for

LEAST_S = 2.5
FATES = {"cut": {"cut": 1}, "bad": {"loss": 60, "late": 80, "late_by": 0.1, "delay": 0.02, "jitter": 0.03}}
GATEWAY, KAFKA, REDIS = ["gateway", "gateway-1"], ["kafka", ALL], ["redis", ALL]
# Pair: what a cut between them excuses, and what a bad network does. Nothing at all where another way is left.
PAIRS = {
    ("driver", "gateway-1"): ([GATEWAY], [GATEWAY]),
    ("gateway-1", "redis-1"): ([GATEWAY], [GATEWAY, REDIS]),
    ("gateway-1", "kafka-1"): ([GATEWAY, KAFKA], [KAFKA]),
    ("gateway-1", "registrant-1"): ([], []),
    ("redis-1", "redis-2"): ([], []),
    ("registrant-1", "kafka-1"): ([["zombie", "registrant-1"]], [KAFKA]),
    ("registrant-1", "registrar-2"): ([["registrar", "registrar-2"]], [["path", ALL]]),
    ("kafka-1", "kafka-2"): ([KAFKA], [KAFKA]),
}


class Between(injections.Network):
    def __init__(self, pair, fate, excuses):
        super().__init__()
        self.pair, self.fate = pair, FATES[fate]
        self.victims, self.excuses, self.detail = set(pair), excuses, f"{' and '.join(pair)}, {fate}"

    def begin(self, site, rng):
        self.disturb(site, [self.pair])


@pytest.fixture(scope="module")
def scene(request, build, own_network, site_options):
    del own_network
    if not site_options["wire"]:
        pytest.skip("without a real Kafka there is no wire")
    yield from played(request, build, brokers=3 if LONG else 1, registrant_env={"ROLLCALL_PLACES": "any,pop-1"}, **site_options)


def disturbed(scene):
    """Packets that did not come through as they were sent."""
    counts = scene.site.wire.counts()
    return counts["lost"] + counts["overtaken"]


@pytest.mark.parametrize("fate", ["cut", pytest.param("bad", marks=pytest.mark.long)])
@pytest.mark.parametrize("pair", PAIRS, ids="-and-".join)
def test_what_happens_between_two_is_not_noticed_by_the_others(scene, pair, fate):
    if not set(pair) <= {"driver", *scene.site.processes}:
        pytest.skip("three brokers are of the long form")
    site, hand = scene.site, scene.bound_hand(f"{'x'.join(pair)}{fate}".replace("-", ""))
    before, began = disturbed(scene), time.monotonic()
    end = scene.run.inject(Between(pair, fate, PAIRS[pair][fate == "bad"]), None)
    try:
        if pair == ("gateway-1", "registrant-1"):  # they talk when it takes over
            restarted = scene.run.inject(Restarted("registrant-1"), None)
            site.restart("registrant-1", ready=True)
            restarted()
            assert time.monotonic() - began < 40  # to stop, to start, and to take over by the other gateway
        elif "registrant-1" not in pair or "kafka-1" not in pair:
            hand.contact("gateway-2")
            hand.wait_bound()
        wait_for(lambda: disturbed(scene) > before and time.monotonic() - began > LEAST_S, 20, "packets to be lost or late")
    finally:
        end()
    site.wait_ready()
    hand.contact("gateway-1", patient=True)
    hand.wait_bound()


class Restarted(injections.Fault):
    def __init__(self, name):
        super().__init__()
        self.excuses, self.detail = [["registrant", name]], name

    def begin(self, site, rng):
        pass

    def end(self, site):
        pass


def test_the_checker_finds_no_promise_broken(scene):
    """Last: all of it is judged as one run."""
    violations = checker.check(scene.run.finish())
    assert not violations, checker.summary(violations)
