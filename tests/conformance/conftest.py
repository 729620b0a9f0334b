"""A real SIP registrant against the scriptable registrar. The registrant is one harness for each file; every test has
registrations, users and, where it needs one, a registrar of its own.

A file may set SETTINGS, a dictionary of Registrant's arguments.
"""

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/peers"))
from certificates import Certificates  # noqa: E402
from digest_check import Digest  # noqa: E402
from dns_server import DnsServer  # noqa: E402
from registrant import Registrant  # noqa: E402
from registrar import Registrar  # noqa: E402

BUILD = os.environ.get("ROLLCALL_TEST_BUILD", str(ROOT / "build/tests"))


def new_digest(**options):
    """Everybody's password is `secret`."""
    return Digest(options.pop("passwords", lambda user: "secret"), **options)


@pytest.fixture(scope="module")
def registrant(request):
    """A module's SETTINGS may be a function of pytest's `request`, for what other fixtures make."""
    settings = getattr(request.module, "SETTINGS", {})
    made = Registrant(BUILD, **(settings(request) if callable(settings) else settings)).start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def forget(request):
    """What a test wanted is not wanted in the next one."""
    yield
    if "registrant" in request.fixturenames:
        request.getfixturevalue("registrant").forget_all()


@pytest.fixture
def new_registrar(request):
    """Makes registrars that believe everybody, with the arguments of Registrar; ends them."""
    made = []

    def make(**options):
        made.append(Registrar(**options).start())
        return made[-1]

    yield make
    for registrar in made:
        registrar.stop()


@pytest.fixture
def new_registrant(request):
    """One more registrant, where a test restarts it or hands over."""
    made = []

    def make(**settings):
        made.append(Registrant(BUILD, **settings).start())
        return made[-1]

    yield make
    for registrant in made:
        registrant.stop()


@pytest.fixture
def registrar(new_registrar):
    """Believes everybody."""
    return new_registrar()


@pytest.fixture
def guarded(new_registrar):
    """Challenges everybody: MD5 and qop=auth."""
    return new_registrar(digest=new_digest())


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def dns():
    with DnsServer() as server:
        yield server
