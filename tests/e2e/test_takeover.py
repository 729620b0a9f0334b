"""A registrant that dies, stops, is joined by another: bindings go on, nothing is sent that was not due."""
from stack import wait_for
from world import removes

WORLD = {"kamailio": False}


def gaps(world, user):
    """Between one REGISTER that was answered well and the next, in parts of what is granted."""
    good = [r.time for r in world.sent(user) if r.answer and r.answer.status == 200]
    return [(b - a) / world.grants[user] for a, b in zip(good, good[1:])]


def never_lapsed(world, user):
    """Every REGISTER after the first came before the binding that it renewed had run out."""
    return all(gap < 1 for gap in gaps(world, user))


def never_early(world, user):
    """None came before it was due, after half of what was granted."""
    return all(gap > 0.4 for gap in gaps(world, user))


def test_a_killed_registrant_goes_on_where_it_was(world, user):
    rid = world.bind(user, 40, expire=60)
    late = f"{user}late"
    world.bind(late, 600, expire=600)
    before, before_late = world.sent(user), world.sent(late)
    world.registrant.kill()
    world.registrant.start()
    after = world.wait_sent(user, len(before) + 1, 30)
    assert len(world.sent(late)) == len(before_late), "a binding that was not due was sent again"
    refresh = after[len(before)]
    assert refresh.call_id == before[-1].call_id
    assert refresh.cseq > before[-1].cseq
    assert never_early(world, user), "the refresh was not due yet"
    world.api.wait_state(rid, "registered")
    assert never_lapsed(world, user)


def test_what_was_written_while_no_registrant_lived_is_done_afterwards(world, user):
    rid = world.bind(user, 600, expire=600)
    gone = f"{user}gone"
    rid_gone = world.bind(gone, 600, expire=600)
    world.registrant.kill()
    world.api.update(rid, contact=f"sip:{user}-moved@127.0.0.1:5090")
    world.api.delete(rid_gone)
    fresh = world.api.create(**world.at_registrar(f"{user}fresh"))
    world.registrant.start()
    wait_for(lambda: world.bound(user) == [f"sip:{user}-moved@127.0.0.1:5090"], 30, "the changed contact alone")
    wait_for(lambda: not world.bound(gone), 30, "the deleted binding to go")
    wait_for(lambda: not world.keys_of(rid_gone), 20, "the proof")
    world.api.wait_state(fresh, "registered")


def test_a_stopped_registrant_unregisters_nobody_and_says_so_nowhere(world, user):
    world.bind(user, 600, expire=600)
    count = len(world.sent(user))
    assert world.registrant.stop() == 0
    assert len(world.sent(user)) == count
    assert world.bound(user)
    world.registrant.start()
    assert len(world.sent(user)) == count, "a hand-over cost a REGISTER"


def test_two_registrants_share_and_one_that_stops_hands_over(world):
    users = [f"share{i}" for i in range(16)]
    ids = {u: world.bind(u, 60, expire=60) for u in users}
    second = world.stack.new_registrant("registrant-2").start()
    try:
        wait_for(lambda: world.metric(second, "rollcall_registrant_partitions", state="owned") > 0, 60,
                 "the second registrant to own partitions")
        wait_for(lambda: world.metric(world.registrant, "rollcall_registrant_partitions", state="owned") > 0 and
                 world.metric(world.registrant, "rollcall_registrant_partitions", state="loading") == 0, 60,
                 "the first one to keep some")
        wait_for(lambda: {world.api.status(i)["node"] for i in ids.values()} == {"registrant-1", "registrant-2"}, 60,
                 "refreshes by both registrants", every=0.5)
        assert second.stop() == 0
        wait_for(lambda: {world.api.status(i)["node"] for i in ids.values()} == {"registrant-1"}, 90,
                 "refreshes of all by the one that is left", every=0.5)
    finally:
        second.stop()
        world.stack.registrants.remove(second)
    for u in users:
        assert not any(removes(r) for r in world.sent(u)), "something was unregistered"
        assert never_lapsed(world, u), f"{u} lapsed"
        assert never_early(world, u), "a hand-over made REGISTERs that were not due"
        assert len({r.call_id for r in world.sent(u)}) == 1
    assert all(world.api.status(i)["state"] == "registered" for i in ids.values())
