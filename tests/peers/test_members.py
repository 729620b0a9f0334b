"""What a failed test left behind is as it was before the next one: of members.py, on real processes."""
import pathlib
import signal
import sys
import warnings

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy/local"))
from members import Members, stands_still  # noqa: E402
from stack import Redis  # noqa: E402


class Parts:
    """As much of a stack as is asked."""

    def __init__(self, directory):
        self.directory = directory
        self.parts, self.gateways, self.registrants = [], [], []
        self.add("first").start()
        self.add("second").start()

    def add(self, name):
        self.parts.append(Redis(self.directory, name=name))
        return self.parts[-1]


@pytest.fixture
def stack(tmp_path):
    made = Parts(tmp_path)
    yield made
    for part in made.parts:
        part.kill()


def said(members, failed):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        members.mend(failed)
    return [str(w.message) for w in heard]


def test_nothing_is_said_of_a_world_that_is_whole(stack):
    members, pids = Members(stack), [part.pid for part in stack.parts]
    assert said(members, failed=False) == [] and said(members, failed=True) == []
    assert [part.pid for part in stack.parts] == pids


def test_what_does_not_run_is_started_again_and_what_stands_still_goes_on(stack):
    members = Members(stack)
    first, second = stack.parts
    first.kill()
    second.signal(signal.SIGSTOP)
    assert stands_still(second)
    assert said(members, failed=False) == ["mended before a test: first did not run: started again, second stood still: goes on"]
    assert first.answers() and second.answers() and not stands_still(second)


def test_after_a_failure_settings_are_as_they_were_and_what_was_added_ends(stack):
    members = Members(stack)
    first = stack.parts[0]
    first.options = ["--maxclients", "20"]
    added = stack.add("third").start()
    stack.gateways.append(added)
    assert said(members, failed=False) == [] and added.running()
    assert said(members, failed=True) == ["mended before a test: first was set otherwise: started again"]
    assert first.options == [] and first.answers()
    assert not added.running() and stack.gateways == []


def test_a_death_of_its_own_is_kept(stack):
    members = Members(stack)
    stack.parts[0].signal(signal.SIGSEGV)
    stack.parts[0].child.wait()
    assert said(members, failed=True)
    assert len(members.deaths) == 1 and "ended by signal 11" in members.deaths[0]
