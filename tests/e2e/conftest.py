"""Rollcall as a whole, driven from outside: real Redis, a broker (the embedded one, or Apache Kafka when
ROLLCALL_TEST_KAFKA=apache), Kamailio and a scriptable registrar, gateways and registrants as processes.

Every test file gets its own world; every test uses registrations of its own, told apart by user name.
"""
import itertools
import json
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy/local"), str(ROOT / "tests/peers")]
from secret_scan import answers_kept  # noqa: E402
from stack import Stack  # noqa: E402
from world import World  # noqa: E402

BUILD = os.environ.get("ROLLCALL_TEST_BUILD", str(ROOT / "build/tests"))
KAFKA = os.environ.get("ROLLCALL_TEST_KAFKA", "embedded")


def make_world(**options):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="rollcall-e2e-"))
    return World(Stack(directory, BUILD), KAFKA, **options)


@pytest.fixture(scope="module")
def world(request):
    """A gateway and a registrant on Redis, a broker and Kamailio. A file may set WORLD = {...} to change that, and
    PRINCIPALS, a function that adds to the document of the principals file."""
    w = make_world(**getattr(request.module, "WORLD", {}))
    if hasattr(request.module, "PRINCIPALS"):
        document = json.loads(w.stack.principals_file.read_text())
        request.module.PRINCIPALS(document)
        w.stack.principals_file.write_text(json.dumps(document))
    with answers_kept() as answers:
        try:
            w.start()
            yield w
        finally:
            w.stop(answers)
        if not request.session.testsfailed:
            shutil.rmtree(w.stack.directory, ignore_errors=True)
        else:
            print(f"\nlogs of the failed world: {w.stack.directory}")


_numbers = itertools.count(1)


@pytest.fixture
def user(request):
    """A user name that no other test has."""
    return f"u{next(_numbers)}"


@pytest.fixture(autouse=True)
def whole(request):
    """A test finds its world whole, whatever the one before it left behind."""
    if "world" in request.fixturenames:
        request.getfixturevalue("world").mend()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the end of every part's log when a test fails."""
    outcome = yield
    report = outcome.get_result()
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and world:
        world.test_failed = True
    if report.when == "call" and report.failed and world:
        for part in world.stack.parts:
            tail = "\n".join(part.log_text().splitlines()[-25:])
            report.sections.append((f"log of {part.name}", tail))


