#!/usr/bin/python3
"""Faults by a seeded schedule, alone and two together, while the writer runs; then everything is healed and judged. The same seed
gives the same schedule on the same kind of site.

By hand, in a network and a mount namespace of its own where that may be had:

    unshare --net --mount tests/faults/soak.py --seed 7 --minutes 10

With --list it tells which faults that seed has, where all of them can be done, and runs nothing.
"""
import argparse
import json
import os
import pathlib
import random
import re
import sys
import tempfile
import time
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy/local"), str(ROOT / "tests/peers"), str(pathlib.Path(__file__).resolve().parent)]
import checker  # noqa: E402
import injections  # noqa: E402
import wire  # noqa: E402
from fault_site import Site  # noqa: E402
from run import Run  # noqa: E402

TOGETHER = 0.35  # of the steps are two faults that overlap
FAMILY = re.compile("Gateway|Registrants?|Scale|CutOff|CutOneWay|Split|Registrar|Redis|Replica|Broker|Kafka|Topics|Bad")
SAME = {"Registrants": "Registrant", "Scale": "Registrant", "CutOff": "Registrant", "CutOneWay": "Registrant",
        "Split": "Registrant", "Replica": "Redis", "Brokers": "Kafka", "Broker": "Kafka", "Topics": "Kafka"}
REGISTRANTS = {"ROLLCALL_PLACES": "any,pop-1", "ROLLCALL_REJECTED_RETRY": "10"}


def family(kind):
    """What it is done to: two of one family are not put together."""
    found = FAMILY.search(kind.__name__)
    return SAME.get(found.group(), found.group()) if found else kind.__name__


def schedule(kinds, seed, seconds):
    """[(pause before it, [(fault's class, after so many seconds, lasting so many)])], for about so many seconds."""
    rng, steps, left, total = random.Random(seed), [], [], 0.0
    while total < seconds:
        if len(left) < 2:
            left = left + rng.sample(kinds, len(kinds))  # each once before any comes again
        first = left.pop(0)
        chosen = [first]
        other = next((k for k in left if family(k) != family(first)), None)
        if other and rng.random() < TOGETHER:
            left.remove(other)
            chosen.append(other)
        pause = rng.uniform(3, 12)
        step = [(kind, rng.uniform(0, 4) * bool(i), rng.uniform(*kind.seconds)) for i, kind in enumerate(chosen)]
        steps.append((pause, step))
        total += pause + max(after + lasting for _, after, lasting in step)
    return steps


class Soak:
    def __init__(self, run, seed, seconds, kinds, say=print):
        self.run, self.seed, self.say = run, seed, say
        self.steps = schedule(kinds, seed, seconds)
        self.begun = {}

    def go(self):
        started = time.monotonic()
        for number, (pause, step) in enumerate(self.steps):
            time.sleep(pause)
            at, open_faults = time.monotonic(), []
            for kind, after, lasting in step:
                time.sleep(max(0.0, at + after - time.monotonic()))
                self._end_due(open_faults)
                fault = kind()
                end = self.run.inject(fault, random.Random(f"{self.seed}-{number}-{kind.__name__}"))
                self.begun[kind.__name__] = self.begun.get(kind.__name__, 0) + 1
                self.say(f"{time.monotonic() - started:6.1f} s {fault}, for {lasting:.0f} s", flush=True)
                open_faults.append((time.monotonic() + lasting, end))
            while open_faults:
                time.sleep(max(0.0, min(t for t, _ in open_faults) - time.monotonic()))
                self._end_due(open_faults)

    @staticmethod
    def _end_due(open_faults):
        for due in sorted([f for f in open_faults if f[0] <= time.monotonic()], key=lambda f: f[0]):
            open_faults.remove(due)
            due[1]()


def soak(directory, build, seed, seconds, users=300, rate=24, quiet_s=12, kinds=None, say=print, **options):
    """Runs one; gives (Run, History, violations, faults begun by kind)."""
    site = Site(directory, build, seed=seed, registrant_env=REGISTRANTS, **options)
    try:
        site.start()
        run = Run(site, seed, users=users, rate=rate)
        run.begin()
        usable = [k for k in injections.usable(site) if not kinds or k.__name__ in kinds]
        work = Soak(run, seed, seconds, usable, say)
        work.go()
        history = run.finish(quiet_s)
        return run, history, checker.check(history), work.begun
    finally:
        site.stop()


def planned(seed, seconds, kafka="apache", brokers=1):
    """{kind: how often} of a soak where all can be done that its Kafka knows."""
    wired = kafka == "apache"
    site = types.SimpleNamespace(wire=wired, disk=wired, clocks=True, kafka_kind=kafka, broker_count=brokers,
                                 names=lambda role: [f"{role}-1", f"{role}-2"])
    found = {}
    for _, step in schedule(injections.usable(site), seed, seconds):
        for kind, _, _ in step:
            found[kind.__name__] = found.get(kind.__name__, 0) + 1
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--rate", type=float, default=24)
    parser.add_argument("--kafka", choices=("apache", "embedded"), default="apache")
    parser.add_argument("--brokers", type=int, default=1)
    parser.add_argument("--kinds", nargs="*", help="only these faults")
    parser.add_argument("--build", default=os.environ.get("ROLLCALL_TEST_BUILD", str(ROOT / "build/tests")))
    parser.add_argument("--list", action="store_true", help="tells which faults there would be, and ends")
    options = parser.parse_args()
    if options.list:
        print(json.dumps(planned(options.seed, options.minutes * 60, options.kafka, options.brokers)))
        return 0
    directory = pathlib.Path(tempfile.mkdtemp(prefix="rollcall-soak-"))
    print(f"everything is written to {directory}", flush=True)
    wired = options.kafka == "apache" and wire.in_own_network() and not wire.unavailable(options.build)
    if wire.in_own_network():
        wire.loopback_up()
    print("on a wire" if wired else "on loopback", flush=True)
    run, history, violations, begun = soak(directory, options.build, options.seed, options.minutes * 60, options.users,
                                           options.rate, 20, options.kinds, kafka=options.kafka, brokers=options.brokers,
                                           wire=wired, redis_replica=True, disk_mb=64 if wired else 0, clocks=True)
    print(f"faults {json.dumps(begun)}\n{run.summary(history)}\n{checker.summary(violations) or 'no violation'}")
    return bool(violations)


if __name__ == "__main__":
    sys.exit(main())
