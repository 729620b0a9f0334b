"""As test_overload_fairness, with two loops: the one that serves another account is often not the one that a flood is at, and both
ask the same Redis."""
from test_overload_fairness import SHARE, accounts, ahead_of_another  # noqa: F401

LOOPS = 2
GATEWAY = {"ROLLCALL_HTTP_THREADS": str(LOOPS)}


def test_a_flood_has_its_share_at_every_loop(world, accounts):  # noqa: F811
    ahead, _ = ahead_of_another(world, accounts)
    assert ahead <= LOOPS * SHARE, f"{ahead} of the flood came before"
