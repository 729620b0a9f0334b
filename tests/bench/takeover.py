"""What the death or the restart of a registrant costs: until its registrations are owned again, REGISTERs that were not due,
bindings that lapsed. Used by bench.py. The judge of what was sent is the registrar's journal (verdict.py).

Lifetimes are spread, so that refreshes fall due all the time, while nobody owns them too.
"""
import contextlib
import time

import requests
import verdict
from measure import report
from stack import wait_for
from storm import FastRegistrar, create

SHORTEST_S, LONGEST_S = 60, 120  # lifetimes: refreshed 27 to 60 s after they were granted
SPREAD_OUT_S = 65  # after so long each was refreshed at least once, at a time of its own
SESSION_MS = 10000
ENV = {"ROLLCALL_REGISTRAR_RATE": "0", "ROLLCALL_REGISTRAR_IN_FLIGHT": "1000", "ROLLCALL_KAFKA_SESSION_TIMEOUT": str(SESSION_MS)}


def figures(registrant):
    """Its metrics by name and labels as they are written, or nothing while it is not to be asked."""
    with contextlib.suppress(requests.RequestException):
        text = requests.get(registrant.url + "/metrics", timeout=2).text
        return {k: float(v) for k, _, v in (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))}
    return {}


def total(registrants, name):
    return sum(figures(r).get(name, 0) for r in registrants if r.running())


def owned(registrants):
    return total(registrants, 'rollcall_registrant_partitions{state="owned"}')


def settled(registrants, partitions):
    """Whether these own all partitions, and are taking nothing over."""
    seen = [figures(r) for r in registrants]
    return all(s.get('rollcall_registrant_partitions{state="loading"}') == 0 for s in seen) and partitions == sum(
        s['rollcall_registrant_partitions{state="owned"}'] for s in seen)


class Scene:
    """`count` registrations at a registrar with a journal, bound by registrants of which each owns its share."""

    def __init__(self, world, build, count, registrants):
        self.world, self.count = world, count
        self.journal = world.stack.directory / "journal"
        self.far = FastRegistrar(world.stack.directory, build, SHORTEST_S,
                                 options=("--spread", LONGEST_S - SHORTEST_S, "--journal", self.journal)).start()
        create(world, count, self.far.port)
        self.registrants = [self.new_registrant(f"registrant-{i + 1}").start() for i in range(registrants)]
        self.partitions = 0
        self.wait_bound()
        self.calm()

    def new_registrant(self, name):
        return self.world.stack.new_registrant(name, env=ENV)

    def wait_bound(self):
        wait_for(lambda: total(self.registrants, "rollcall_registrant_bound") >= self.count, 120 + self.count / 1000,
                 f"{self.count} bindings", every=0.3)
        # What is not in Redis yet nobody can take over.
        wait_for(lambda: figures(self.world.gateway).get('rollcall_reports_total{verdict="ok"}', 0) >= self.count,
                 60 + self.count / 1000, "the first reports to be applied", every=0.3)
        # Every one of them owns some, and together they own the same number for a while: the group has settled.
        wait_for(lambda: all(owned([r]) for r in self.registrants), 60, "each registrant to own some", every=0.2)
        self.partitions = int(owned(self.registrants))

    def calm(self):
        """Until refreshes are spread out."""
        time.sleep(SPREAD_OUT_S)
        wait_for(lambda: settled(self.registrants, self.partitions), 60, "the group to be settled", every=0.2)

    def wait_owned(self, seconds=120):
        """Until all is owned again; the time at which that was seen."""
        wait_for(lambda: settled(self.registrants, self.partitions), seconds, "all to be owned again", every=0.05)
        return time.monotonic()

    def judge(self, since, **figures_of_run):
        """After every binding had to be refreshed once more."""
        time.sleep(SPREAD_OUT_S)
        until = time.monotonic() - 1  # what arrived is answered, and in the journal
        found = verdict.judge(verdict.read(self.journal), since, until)
        report(**figures_of_run, count=self.count, partitions=self.partitions, kafka=self.world.kafka_kind, **found.figures())
        if found.first_early:
            print("the first that was early:", *found.first_early, sep="\n  ")
        return found

    def stop(self):
        self.far.stop()


def takeover(scene, how):
    """kill -9 of the first registrant. how: who takes over: `sharing`, those that share the group with it; `starting`, another that
    is started at that moment; `again`, the same, started again at that moment."""
    victim, others = scene.registrants[0], scene.registrants[1:]
    lost = figures(victim)["rollcall_registrant_bound"]
    victim.kill()
    killed = time.monotonic()
    if how == "again":
        scene.registrants = [victim.start(ready=False), *others]
    elif how == "starting":
        scene.registrants = [*others, scene.new_registrant("registrant-9").start(ready=False)]
    else:
        scene.registrants = others
    back = scene.wait_owned()
    scene.judge(killed, bench="takeover", how=how, lost=round(lost), seconds=round(back - killed, 2))


def rolling(scene):
    """One after the other: SIGTERM, start, wait until it is ready."""
    began, stopping, starting = time.monotonic(), [], []
    for registrant in scene.registrants:
        mark = time.monotonic()
        status = registrant.stop(60)
        assert status == 0, f"{registrant.name} ended with {status}"
        stopping.append(round(time.monotonic() - mark, 2))
        mark = time.monotonic()
        registrant.start()
        starting.append(round(time.monotonic() - mark, 2))
    took = scene.wait_owned() - began
    scene.judge(began, bench="rolling", registrants=len(scene.registrants), seconds=round(took, 2), stopping_s=stopping,
                starting_s=starting)
