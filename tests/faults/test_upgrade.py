"""An upgrade in place: gateways and registrants of the commit before are replaced one by one, while a writer goes on. The commit is
the parent of what is checked out, or ROLLCALL_FAULTS_UPGRADE_FROM."""
import os
import subprocess

import pytest

import checker
from fault_site import ROOT, Site
from run import Run
from scene import Scene

FROM = os.environ.get("ROLLCALL_FAULTS_UPGRADE_FROM", "HEAD~1")
SERVICES = ["services/gateway/rollcall-gateway", "services/registrant/rollcall-registrant", "services/broker/rollcall-broker"]


@pytest.fixture(scope="module")
def former_build():
    """Built from that commit, beside the other builds."""
    asked = subprocess.run(["git", "rev-parse", "--short", FROM], cwd=ROOT, capture_output=True, text=True, check=False)
    if asked.returncode:
        pytest.skip(f"{FROM} is not in this repository")
    tree = ROOT / "build/upgrade-from" / asked.stdout.strip()
    if not (tree / "build/build.ninja").exists():
        tree.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run(["git", "archive", FROM], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "x", "-C", tree], input=archive.stdout, check=True)
        subprocess.run(["meson", "setup", tree / "build", tree], capture_output=True, check=True)
    done = subprocess.run(["ninja", "-C", tree / "build", *SERVICES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    return tree / "build"


@pytest.mark.long
def test_an_upgrade_one_by_one_loses_nothing_and_sends_nothing_that_was_not_due(run_directory, build, former_build, site_options):
    site = Site(run_directory, build, registrars=2, registrant_env={"ROLLCALL_PLACES": "any,pop-1"}, **site_options)
    services = site.names("gateway") + site.names("registrant")
    for name in services:
        site.process(name).build = former_build
    try:
        run = Run(site.start(), users=100, rate=8, threads=2)
        run.begin()
        scene = Scene(site, run)
        hands = [scene.bound_hand(f"upgrade{i}", expire=300) for i in range(30)]
        marks = [len(h.registers()) for h in hands]
        for name in services:
            site.process(name).build = site.build
            window = run.inject(Replaced(name), None)
            site.restart(name, ready=True)
            window()
        moved = hands[0].contact("gateway-1", patient=True)
        hands[0].wait_bound()
        assert hands[0].bound() == {moved}
        assert [len(h.registers()) for h in hands[1:]] == marks[1:], "REGISTERs were sent that were not due"
        violations = checker.check(run.finish())
    finally:
        crashes = site.stop()
    assert not violations, checker.summary(violations)
    assert not crashes, "\n".join(crashes)


class Replaced:
    """What the restart of one process excuses."""

    def __init__(self, name):
        self.excuses = [[name.rpartition("-")[0], name]]

    def begin(self, site, rng):
        pass

    def end(self, site):
        pass
