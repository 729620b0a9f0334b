"""Contract voximplant 6, row 340: too many requests of a key, too many failed authentications of an address."""
import pytest

from stack import wait_for
from voximplant_client import Vox, add_accounts, new_vox

PRINCIPALS = add_accounts
GATEWAY = {"ROLLCALL_REQUEST_RATE": "3", "ROLLCALL_FAILED_LOGINS": "4", "ROLLCALL_HTTP_THREADS": "1"}


@pytest.fixture
def vox(world):
    return new_vox(world)


def test_340_too_many_requests_of_a_key(vox, world):
    answers = [vox.call("GetSipRegistrations") for _ in range(12)]
    limited = [a for a in answers if "error" in a.json]
    assert limited and limited[0].code == 340 and "again" in limited[0].error[1]
    assert len(limited) < 12
    assert new_vox(world).list() == []  # another key has its own
    wait_for(lambda: "error" not in vox.call("GetSipRegistrations").json, 5, "the limit to pass", every=0.2)


def test_340_too_many_failed_authentications_of_an_address(vox):
    wrong = Vox(vox.port, vox.number, "nobody")
    codes = [wrong.call("GetSipRegistrations").code for _ in range(8)]
    assert codes[0] == 100 and codes[-1] == 340
    assert vox.call("GetSipRegistrations").code == 340
