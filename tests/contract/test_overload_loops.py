"""As test_overload_fairness, with two loops: the one that serves another account is often not the one that a flood is at, and both
ask the same Redis."""
from stack import wait_for
from test_overload_fairness import PATH, SHARE, Connection, Stopped, accounts, all_answered, ask, taken  # noqa: F401

LOOPS = 2
GATEWAY = {"ROLLCALL_HTTP_THREADS": str(LOOPS)}


def test_a_flood_has_its_share_at_every_loop(world, accounts):  # noqa: F811
    flood, theirs, other, own = accounts
    crowd = [Connection(world.gateway.port) for _ in range(100)]
    victim = Connection(world.gateway.port)
    assert victim.send(other.token, f"{PATH}/{own}").status() == 200  # it asked a moment ago
    before = taken(world)
    with Stopped(world) as stopped:
        ask(crowd, flood, theirs)
        wait_for(lambda: taken(world) >= before + len(crowd), 10, "the flood to be read")
        count = taken(world)
        victim.send(other.token, f"{PATH}/{own}")
        wait_for(lambda: taken(world) > count + 1, 10, "the other's request to be read")
    order = stopped.watch(len(crowd) + 1)
    ahead = order.index(own)
    assert victim.status() == 200
    all_answered(crowd)
    assert ahead <= LOOPS * SHARE, f"{ahead} of the flood came before"
