"""The fault suite: sites on a wire where namespaces are to be had (tests/run starts this part in a network and a mount namespace of
its own), on loopback else; on a real Apache Kafka where it is to be had, on the embedded broker else.

ROLLCALL_FAULTS_LONG=1 has what takes too long for every run, too.
"""
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy/local"), str(ROOT / "tests/peers"), str(pathlib.Path(__file__).parent)]
import wire  # noqa: E402

BUILD = os.environ.get("ROLLCALL_TEST_BUILD", str(ROOT / "build/tests"))
LONG = os.environ.get("ROLLCALL_FAULTS_LONG") == "1"


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes minutes; run by tests/run faults --long")
    if wire.in_own_network():
        wire.loopback_up()


def pytest_collection_modifyitems(items):
    if not LONG:
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: tests/run faults --long"))


@pytest.fixture(scope="session")
def build():
    return BUILD


@pytest.fixture(scope="session")
def own_network(build):
    """Skips where there can be no wire."""
    cause = wire.unavailable(build)
    if cause:
        pytest.skip(cause)


@pytest.fixture(scope="session")
def site_options(build):
    """The best that is to be had here, as arguments of a Site."""
    import kafka  # only here: it asks for Java and Maven
    apache = not kafka.unavailable()
    wired = apache and not wire.unavailable(build)
    return {"kafka": "apache" if apache else "embedded", "wire": wired, "disk_mb": 64 if wired else 0}


@pytest.fixture
def run_directory(request):
    """Where a case writes everything; kept when it fails."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="rollcall-faults-"))
    failed = request.session.testsfailed
    yield directory
    if request.session.testsfailed == failed:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        print(f"\nlogs and journals of the failed case: {directory}")
