"""Each rule of the checker is shown a history that breaks it, made by hand from a good one, and finds it; the good one, and those in
which a fault excuses what is seen, pass."""
import dataclasses
import datetime

import pytest

import checker
from history import Final, History, Operation, Register, Window

NOW = 1000.0
WALL = 1_700_000_000.0
REGISTRARS = {"registrar-1": "127.0.0.1:5061", "registrar-2": "127.0.0.1:5062"}
ONE, TWO = "10.0.0.1:5060", "10.0.0.2:5060"  # where registrants send from
SENDERS = {ONE: "registrant-1", TWO: "registrant-2"}


def wanted(user, serial=1, registrar="registrar-1", **more):
    return {"username": user, "registrar": registrar, "domain": REGISTRARS[registrar],
            "contact": f"sip:{user}-{serial}@127.0.0.1:5090", "expire": 60, "auth_user": f"{user}.1", "enabled": True,
            "pop": None, **more}


def operation(user, kind, at, desired=None, number="1", outcome="acked", **more):
    return Operation(user, kind, at, more.pop("ended", at + 0.1), outcome, more.pop("gateway", "gateway-1"), number,
                     more.pop("status", 200 if outcome == "acked" else None), desired, **more)


def shown(desired):
    return {"name": desired["username"], "username": desired["username"], "domain": desired["domain"],
            "contact": desired["contact"], "expire": desired["expire"], "auth-user": desired["auth_user"],
            "enabled": desired["enabled"], "pop": desired["pop"]}


def register(user, at, cseq, contacts, registrar="registrar-1", bound=None, status=200, source=ONE, lifetime=60):
    """contacts: {uri: lifetime}; bound: the URIs after it, those with a lifetime where None."""
    uris = [u for u, e in contacts.items() if e] if bound is None else bound
    return Register(registrar, at, f"sip:{user}@127.0.0.1", f"call-{user}", cseq, status,
                    [{"uri": u, "expires": e} for u, e in contacts.items()],
                    [{"uri": u, "until": at + lifetime, "call_id": f"call-{user}", "cseq": cseq} for u in uris], source,
                    ["normal"], f"{user}.1")


def refreshes(user, begin, lifetime=60, serial=1, every=29, until=NOW, registrar="registrar-1"):
    uri, made, at = f"sip:{user}-{serial}@127.0.0.1:5090", [], begin
    while at < until:
        made.append(register(user, at, 1 + len(made), {uri: lifetime}, registrar, lifetime=lifetime))
        at += every
    return made


def status_of(user, state, until=None, **more):
    ends = datetime.datetime.fromtimestamp(until + WALL, datetime.timezone.utc).isoformat() if until else None
    return {"state": state, "in-sync": True, "applied-revision": 5, "revision": 5, "code": 200, "reason": "OK",
            "expires-at": ends, **more}


def event(number, what, revision=1, previous=None, suffix="", at=None):
    return {"id": number, "at": at, "ce_id": f"{number}-{what}-{revision}{suffix}", "what": what,
            "value": {"revision": revision, "previous_state": previous}}


def good():
    """u0 lives from 100 on; u1 is changed at 300; u2 is deleted at 500; u3 is disabled at 500."""
    history = History()
    history.operations = [operation(f"u{i}", "create", 100 + i, wanted(f"u{i}"), str(i + 1)) for i in range(4)]
    history.operations += [operation("u1", "change", 300, wanted("u1", 2), "2"), operation("u2", "delete", 500, None, "3"),
                           operation("u3", "disable", 500, wanted("u3", enabled=False), "4")]
    old, new = "sip:u1-1@127.0.0.1:5090", "sip:u1-2@127.0.0.1:5090"
    history.registers = refreshes("u0", 101) + refreshes("u1", 102, until=300)
    history.registers.append(register("u1", 301, 90, {old: 0, new: 60}))
    history.registers += [dataclasses.replace(r, cseq=r.cseq + 100) for r in refreshes("u1", 330, serial=2)]
    for user in "u2", "u3":
        history.registers += refreshes(user, 103, until=500)
        history.registers.append(register(user, 501, 90, {f"sip:{user}-1@127.0.0.1:5090": 0}))
    history.registers.sort(key=lambda r: r.t)
    last = {user: [r for r in history.registers if r.aor == f"sip:{user}@127.0.0.1"][-1] for user in ("u0", "u1")}
    listing = {"1": shown(wanted("u0")), "2": shown(wanted("u1", 2)), "4": shown(wanted("u3", enabled=False))}
    status = {"1": status_of("u0", "registered", last["u0"].t + 60), "2": status_of("u1", "registered", last["u1"].t + 60),
              "4": status_of("u3", "disabled")}
    bindings = {"registrar-1": {r.aor: r.bound for r in last.values()}, "registrar-2": {}}
    events = [event(n, "created", at=101) for n in "1234"] + [event(n, "registered", 1, "pending", "r", 104) for n in "1234"]
    events += [event("2", "updated", 2, at=300), event("2", "rebound", 2, "registered", at=301), event("3", "deleted", 2, at=500),
               event("3", "unregistering", 2, "registered", at=501), event("3", "removed", 2, "unregistering", at=501),
               event("4", "updated", 2, at=500), event("4", "disabled", 2, "registered", at=501)]
    history.final = Final(NOW, 600, listing, status, bindings, events, SENDERS, REGISTRARS, wall_offset=WALL,
                          quiet={"begin": 900, "end": 990, "changes": 0, "events": 0, "status": 8})
    return history


def found(history):
    return {v.rule for v in checker.check(history)}


def test_a_good_history_passes():
    assert not checker.check(good())


# ---- each rule


def lost(h):
    h.final.listing["2"] = shown(wanted("u1"))
    h.registers = [r for r in h.registers if "sip:u1-2@127.0.0.1:5090" not in r.binds]


def absent(h):
    del h.final.listing["1"]


def reordered(h):
    h.final.listing["2"] = shown(wanted("u1"))


def reordered_beside_a_deletion_of_unknown_outcome(h):
    reordered(h)
    h.operations.append(operation("u1", "delete", 995, None, "2", "unknown", status=503))
    h.final.listing["2"] = shown(wanted("u1"))


def undone(h):
    h.final.listing["3"] = shown(wanted("u2"))


def made_again(h):
    h.final.listing["9"] = shown(wanted("u2"))


def twice(h):
    h.operations.append(operation("u9", "create", 700, wanted("u9"), "1"))


def two_of_a_name(h):
    h.final.listing["8"] = shown(wanted("u0"))


def nobodys(h):
    h.final.listing["8"] = shown(wanted("stranger"))


def stale(h):
    h.operations.append(operation("u1", "read", 400, None, "2", seen=shown(wanted("u1"))))


def unseen(h):
    h.operations.append(operation("u0", "read", 400, None, "1", seen={}))


def refused(h):
    h.operations.append(operation("u0", "change", 700, wanted("u0"), "1", "refused", status=404, cause="not found"))


def failed(h):
    h.operations.append(operation("u0", "change", 700, wanted("u0"), "1", "unknown", status=503))


def lapsed(h):
    h.registers = [r for r in h.registers if not (r.aor.startswith("sip:u0@") and 400 < r.t < 480)]


def removed(h):
    h.registers.append(register("u0", 420, 200, {"sip:u0-1@127.0.0.1:5090": 0}))
    h.registers.sort(key=lambda r: r.t)


def unwanted(h):
    h.registers.append(register("u1", 700, 300, {"sip:u1-1@127.0.0.1:5090": 60}))


def unheard_of(h):
    h.registers.append(register("u0", 700, 300, {"sip:u0-99@127.0.0.1:5090": 60}))


def resurrected(h):
    h.registers.append(register("u2", 503, 300, {"sip:u2-1@127.0.0.1:5090": 60}, source=TWO))


def early(h):
    at = [r for r in h.registers if r.aor.startswith("sip:u0@")][5].t + 5
    h.registers.append(register("u0", at, 7, {"sip:u0-1@127.0.0.1:5090": 60}, source=TWO))
    h.registers.sort(key=lambda r: r.t)


def below(h):
    h.registers.append(register("u0", 998, 2, {"sip:u0-1@127.0.0.1:5090": 60}, source=TWO, status=500))


def still_bound(h):
    h.final.bindings["registrar-2"] = {"sip:u2@127.0.0.1": [{"uri": "sip:u2-1@127.0.0.1:5090", "until": NOW + 9}]}


def bound_twice(h):
    held = h.final.bindings["registrar-1"]["sip:u0@127.0.0.1"]
    held.append({"uri": "sip:u0-1@10.0.0.9:5060", "until": NOW + 9})


def unbound(h):
    del h.final.bindings["registrar-1"]["sip:u0@127.0.0.1"]


def says_retrying(h):
    h.final.status["1"]["state"] = "retrying"


def says_another_end(h):
    h.final.status["1"] = status_of("u0", "registered", NOW + 300)


def says_an_old_revision(h):
    h.final.status["1"]["in-sync"] = False


def has_no_status(h):
    del h.final.status["1"]


def keeps_publishing(h):
    h.final.quiet["changes"] = 3


def keeps_reporting(h):
    h.final.quiet["status"] = 80


def keeps_registering(h):
    h.registers += [register("u0", 901 + i, 50 + i, {"sip:u0-1@127.0.0.1:5090": 60}) for i in range(8)]


def is_refused(h):
    h.registers.append(register("u5", 950, 1, {}, status=401))


def died(h):
    h.final.deaths.append({"process": "gateway-1", "text": "ended with -11"})


def untold(h):
    h.final.events = [e for e in h.final.events if e["what"] != "updated"]


def told_twice(h):
    h.final.events.append(event("2", "updated", 3))
    h.final.events.append(event("2", "updated", 4))


def told_out_of_order(h):
    h.final.events.append(event("2", "updated", 1))


def gap(h):
    h.final.events.append(event("1", "registered", 5, "retrying"))


def last_word(h):
    h.final.events.append(event("1", "retrying", 5, "registered"))


def unproved(h):
    h.final.events = [e for e in h.final.events if e["what"] != "removed"]


BROKEN = [("acknowledged_write_lost", lost), ("acknowledged_write_lost", absent), ("wrong_final_order", reordered),
          ("wrong_final_order", reordered_beside_a_deletion_of_unknown_outcome), ("deletion_undone", undone),
          ("deletion_undone", made_again), ("id_given_twice", twice),
          ("id_given_twice", two_of_a_name), ("id_given_twice", nobodys), ("stale_read", stale), ("stale_read", unseen),
          ("valid_write_refused", refused), ("failed_without_a_fault", failed), ("binding_lapsed", lapsed),
          ("removed_though_wanted", removed), ("bound_though_unwanted", unwanted), ("bound_though_unwanted", unheard_of),
          ("bound_after_proof", resurrected), ("asked_for_before_due", early), ("cseq_not_rising", below),
          ("left_bound", still_bound), ("left_bound", bound_twice), ("not_bound", unbound), ("status_is_wrong", says_retrying),
          ("status_is_wrong", says_another_end), ("status_is_wrong", says_an_old_revision), ("status_is_wrong", has_no_status),
          ("not_quiet", keeps_publishing), ("not_quiet", keeps_reporting), ("not_quiet", keeps_registering),
          ("not_quiet", is_refused), ("died", died), ("write_without_event", untold), ("write_without_event", told_twice),
          ("write_without_event", told_out_of_order), ("transition_without_event", gap),
          ("transition_without_event", last_word), ("removal_without_event", unproved)]


@pytest.mark.parametrize("rule,breaking", BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_promise_is_found(rule, breaking):
    history = good()
    breaking(history)
    assert rule in found(history)


def test_every_rule_has_a_history_that_breaks_it():
    assert set(checker.rules()) == {name for name, _ in BROKEN}


# ---- what is excused, and what is not


EXCUSED = [("binding_lapsed", lapsed, ["registrar", "registrar-1"]), ("binding_lapsed", lapsed, ["registrants", "all"]),
           ("failed_without_a_fault", failed, ["redis", "redis-1"]), ("failed_without_a_fault", failed, ["gateway", "gateway-1"]),
           ("bound_after_proof", resurrected, ["zombie", "registrant-2"]), ("stale_read", stale, ["writes", "all"]),
           ("cseq_not_rising", below, ["path", "all"]), ("write_without_event", untold, ["events", "all"]),
           ("acknowledged_write_lost", lost, ["writes", "all"])]
NO_EXCUSE = [("binding_lapsed", lapsed, ["registrar", "registrar-2"]), ("binding_lapsed", lapsed, ["registrant", "registrant-1"]),
             ("failed_without_a_fault", failed, ["gateway", "gateway-2"]), ("acknowledged_write_lost", lost, ["redis", "redis-1"]),
             ("bound_after_proof", resurrected, ["registrant", "registrant-1"]), ("deletion_undone", undone, ["redis", "redis-1"]),
             ("wrong_final_order", reordered, ["gateway", "gateway-1"]), ("left_bound", still_bound, ["kafka", "all"])]


@pytest.mark.parametrize("rule,breaking,excuse", EXCUSED, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_fault_excuses_what_it_must(rule, breaking, excuse):
    history = good()
    breaking(history)
    history.windows = [Window("fault", 90, NOW, [excuse])]
    assert rule not in found(history)


@pytest.mark.parametrize("rule,breaking,excuse", NO_EXCUSE, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_fault_excuses_nothing_else(rule, breaking, excuse):
    history = good()
    breaking(history)
    history.windows = [Window("fault", 380, 400, [excuse])]
    assert rule in found(history)


# Each excuse just inside of what its fault can touch, and just outside: of somebody else, or too early. The binding that `lapsed` lets
# run out was made at 391 by registrant-1, is due at 421 and ends at 451.

def without_an_update(h):
    h.final.events = [e for e in h.final.events if (e["id"], e["what"]) != ("2", "updated")]


def gap_at_700(h):
    h.final.events.append(event("1", "registered", 5, "retrying", at=700))


def last_word_at_700(h):
    h.final.events.append(event("1", "retrying", 5, "registered", at=700))


def told_out_of_order_at_700(h):
    h.final.events.append(event("2", "updated", 1, suffix="late", at=700))


def switched_and_removed(h):
    """Wanted again since 352, and removed at 420."""
    h.operations += [operation("u0", "disable", 350, wanted("u0", enabled=False), "1"),
                     operation("u0", "enable", 352, wanted("u0"), "1")]
    removed(h)


def early_once(h):
    early(h)
    h.registers = [r for r in h.registers if not (r.aor.startswith("sip:u0@") and 252 < r.t < 280)]


def beside_its_former_place(h):
    """u0 was moved to a pop at 950; TWO is above ONE, which does not know yet at 998."""
    h.operations.append(operation("u0", "change", 950, wanted("u0", pop="1"), "1"))
    h.registers += [register("u0", 960, 400, {"sip:u0-1@127.0.0.1:5090": 60}, source=TWO)]
    h.registers += [register("u0", 998, 350, {"sip:u0-1@127.0.0.1:5090": 60}, status=500)]


def follows_its_registrant(h):
    """The Contact of a former owner's address is dropped by the REGISTER that binds the new one's, at its second try."""
    h.registers.append(register("u0", 420, 200, {"sip:u0-1@10.0.0.2:5090": 60, "sip:u0-1@127.0.0.1:5090": 0}, status=401, bound=[]))


def resurrected_and_removed(h):
    resurrected(h)
    h.registers.append(register("u2", 518, 301, {"sip:u2-1@127.0.0.1:5090": 0}))


TOUCHED = [
    ("status_is_wrong", says_another_end, (972, 980, "clock", "registrant-1"), (900, 940, "clock", "registrant-1")),
    ("status_is_wrong", says_another_end, (972, 980, "clock", "registrant-2"), (972, 980, "clock", "gateway-1")),
    ("write_without_event", without_an_update, (290, 305, "events", "all"), (320, 400, "events", "all")),
    ("write_without_event", without_an_update, (700, 720, "past_events", "all"), (200, 290, "past_events", "all")),
    ("write_without_event", without_an_update, (200, 297, "past_events", "all"), (200, 294, "past_events", "all")),
    ("write_without_event", told_out_of_order_at_700, (400, 410, "events", "all"), (710, 720, "events", "all")),
    ("transition_without_event", gap_at_700, (400, 410, "events", "all"), (710, 720, "events", "all")),
    ("transition_without_event", last_word_at_700, (710, 720, "events", "all"), (400, 410, "events", "all")),
    ("removal_without_event", unproved, (505, 515, "events", "all"), (600, 620, "events", "all")),
    ("removal_without_event", unproved, (700, 720, "past_events", "all"), (400, 420, "past_events", "all")),
    ("binding_lapsed", lapsed, (415, 440, "registrar", "registrar-1"), (392, 400, "registrar", "registrar-1")),
    ("binding_lapsed", lapsed, (415, 440, "registrar", "registrar-1"), (415, 440, "registrar", "registrar-2")),
    ("binding_lapsed", lapsed, (418, 440, "registrant", "registrant-1"), (410, 411, "registrant", "registrant-1")),
    ("binding_lapsed", lapsed, (418, 440, "registrant", "registrant-1"), (418, 440, "registrant", "registrant-2")),
    ("binding_lapsed", lapsed, (418, 440, "registrants", "all"), (392, 393, "registrants", "all")),
    ("binding_lapsed", lapsed, (418, 440, "path", "all"), (392, 395, "path", "all")),
    ("removed_though_wanted", switched_and_removed, (349, 410, "kafka", "all"), (349, 370, "kafka", "all")),
    ("bound_though_unwanted", unwanted, (295, 690, "zombie", "registrant-1"), (295, 690, "zombie", "registrant-2")),
    ("bound_though_unwanted", unwanted, (295, 690, "gateway", "gateway-1"), (295, 690, "gateway", "gateway-2")),
    ("bound_though_unwanted", unwanted, (295, 690, "registrar", "registrar-1"), (295, 690, "registrar", "registrar-2")),
    ("bound_though_unwanted", unwanted, (295, 690, "kafka", "all"), (295, 670, "kafka", "all")),
    ("bound_after_proof", resurrected_and_removed, (490, 510, "zombie", "registrant-2"), (490, 510, "zombie", "registrant-1")),
    ("bound_after_proof", resurrected_and_removed, (490, 504, "kafka", "all"), (440, 480, "kafka", "all")),
    ("asked_for_before_due", early_once, (247, 260, "registrant", "registrant-1"), (200, 210, "registrant", "registrant-1")),
    ("asked_for_before_due", early_once, (225, 246, "registrant", "registrant-3"), (225, 235, "registrant", "registrant-3")),
    ("asked_for_before_due", early_once, (230, 240, "registrar", "registrar-1"), (150, 160, "registrar", "registrar-1")),
    ("asked_for_before_due", early_once, (230, 240, "registrar", "registrar-1"), (230, 240, "registrar", "registrar-2")),
    ("asked_for_before_due", early_once, (240, 250, "clock", "registrant-1"), (240, 250, "clock", "gateway-1")),
    ("asked_for_before_due", early_once, (249, 250, "clock", "registrant-2"), (200, 240, "clock", "registrant-2")),
    ("asked_for_before_due", early_once, (215, 230, "zombie", "registrant-1"), (215, 230, "zombie", "registrant-3")),
    ("cseq_not_rising", below, (990, 999, "zombie", "registrant-2"), (990, 999, "zombie", "registrant-3")),
    ("cseq_not_rising", below, (980, 995, "registrant", "registrant-2"), (980, 995, "registrant", "registrant-1")),
    ("cseq_not_rising", below, (990, 999, "path", "all"), (990, 999, "kafka", "all")),
    ("cseq_not_rising", below, (980, 995, "registrants", "all"), (880, 900, "registrants", "all")),
    ("cseq_not_rising", beside_its_former_place, (949, 979, "kafka", "all"), (949, 969, "kafka", "all")),
    ("stale_read", stale, (380, 399, "writes", "all"), (380, 401, "redis", "redis-1")),
    ("failed_without_a_fault", failed, (680, 690, "gateway", "gateway-1"), (600, 660, "gateway", "gateway-1")),
    ("failed_without_a_fault", failed, (680, 690, "redis", "redis-1"), (680, 710, "path", "all")),
]


def judged_with(breaking, *windows):
    history = good()
    breaking(history)
    history.registers.sort(key=lambda r: r.t)
    history.windows = [Window("fault", begin, end, [[what, subject]]) for begin, end, what, subject in windows]
    return found(history)


@pytest.mark.parametrize("rule,breaking,inside,outside", TOUCHED, ids=lambda value: getattr(value, "__name__", str(value)))
def test_an_excuse_goes_as_far_as_its_fault(rule, breaking, inside, outside):
    assert rule not in judged_with(breaking, inside)
    assert rule in judged_with(breaking, outside)


def test_another_registrant_may_only_have_lost_a_binding_that_the_group_may_have_given_it():
    first, second = (392, 394, "registrant", "registrant-1"), (418, 440, "registrant", "registrant-2")
    assert "binding_lapsed" not in judged_with(lapsed, first, second)
    assert "binding_lapsed" in judged_with(lapsed, second)


def test_what_was_always_wanted_is_removed_under_no_fault():
    assert "removed_though_wanted" in judged_with(removed, (380, 430, "kafka", "all"), (380, 430, "registrant", "registrant-1"))


def test_what_binds_the_same_anew_removes_nothing():
    assert "removed_though_wanted" not in judged_with(follows_its_registrant)


def test_what_is_bound_after_its_removal_must_be_removed_again():
    for excuse in ("zombie", "registrant-2"), ("kafka", "all"), ("gateway", "gateway-1"):
        assert "bound_after_proof" in judged_with(resurrected, (490, 510, *excuse))


def test_who_sent_what_must_be_removed_again_and_died_can_tell_nobody():
    dead = 511, 530, "registrant", "registrant-2"
    assert "bound_after_proof" not in judged_with(resurrected, (490, 510, "zombie", "registrant-2"), dead)


def test_a_binding_is_held_no_longer_than_was_told():
    def lied(h):
        lapsed(h)
        next(r for r in h.registers if r.aor.startswith("sip:u0@") and 385 < r.t < 400).mode = ["lie", "long"]
    assert "binding_lapsed" not in judged_with(lied)


def test_nobody_can_know_that_a_registrar_told_a_longer_lifetime_than_it_gave():
    history = good()
    unbound(history)
    history.registers = [r for r in history.registers if not r.aor.startswith("sip:u0@") or r.t < 850]
    [r for r in history.registers if r.aor.startswith("sip:u0@")][-1].mode = ["lie", "long"]
    history.windows = [Window("lie", 800, 860, [["registrar", "registrar-1"]])]
    assert not found(history) & {"not_bound", "status_is_wrong"}


def test_a_write_whose_outcome_is_unknown_may_have_been_done_or_not():
    for listed in wanted("u0"), wanted("u0", 2):
        history = good()
        history.operations.append(operation("u0", "disable", 700, dict(wanted("u0", 2), enabled=False), "1", "unknown"))
        history.windows = [Window("frozen", 690, 710, [["gateway", "gateway-1"]])]
        history.final.listing["1"] = shown(dict(listed, enabled=listed == wanted("u0")))
        assert not found(history) & {"acknowledged_write_lost", "wrong_final_order"}


def test_a_late_write_does_not_outlive_one_that_was_sent_after_it_must_have_been_done():
    history = good()
    history.operations += [operation("u0", "change", 700, wanted("u0", 2), "1", "unknown"),
                           operation("u0", "change", 760, wanted("u0", 3), "1")]
    history.final.listing["1"] = shown(wanted("u0", 2))
    assert "acknowledged_write_lost" in found(history)


def test_a_take_over_within_its_bound_excuses_no_lapse_of_what_was_due_before():
    history = good()
    lapsed(history)
    before = [r for r in history.registers if r.aor.startswith("sip:u0@") and r.t <= 400][-1]
    history.windows = [Window("kill", before.t + 40, before.t + 41, [["registrant", "registrant-1"]])]
    assert "binding_lapsed" in found(history)
