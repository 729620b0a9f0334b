"""The dangers that the architecture knows by name, each provoked once, while a writer goes on beside it. Each case looks at what the
danger would do; what else it did is seen at the end by the checker, which judges all of them as one run.
"""
import concurrent.futures
import random
import time

import pytest

import checker
import injections
from history import ACKED
from scene import ANYBODY, played
from stack import wait_for

SESSION_S = injections.LEASE_S
TAKE_OVER_S = 20
DEFAULT_GRACE_S = 20
# Quick to take silence for loss, so that a case need not wait for it.
GATEWAY_ENV = {"ROLLCALL_GRACE": "3000", "ROLLCALL_REPORT_WAIT": "3000"}
REGISTRANT_ENV = {"ROLLCALL_PLACES": "any,pop-1", "ROLLCALL_SIP_TRANSACTION_TIMEOUT": "8"}


@pytest.fixture(scope="module")
def scene(request, build, site_options):
    yield from played(request, build, clocks=True, gateway_env=GATEWAY_ENV, registrant_env=REGISTRANT_ENV, **site_options)


@pytest.fixture
def inject(scene):
    """Begins a fault of a kind, at a victim where one is named; gives what ends it, which is called at the end of the case anyway."""
    ends = []

    def begin(kind, victim=None):
        fault = kind()
        if victim:
            fault.choose = lambda rng, names: setattr(fault, "victims", {victim}) or setattr(fault, "detail", victim) or victim
        end = scene.run.inject(fault, random.Random(1))
        ends.append(end)

        def once():
            if end in ends:
                ends.remove(end)
                end()
        return once

    yield begin
    for end in list(ends):
        end()
    scene.site.wait_ready()


def needs(scene, *kinds):
    missing = [k.__name__ for k in kinds if not k.usable(scene.site)]
    if missing:
        pytest.skip(f"this site cannot carry {', '.join(missing)}")


def needs_quick_groups(scene):
    if scene.site.kafka_kind == "embedded":
        pytest.skip("the embedded broker takes its time to put a group together again")


# ---- gateways

def test_a_paused_gateway_publishes_late_and_nobody_follows_it(scene, inject):
    """What it took is in Redis; the other gateway's later write is at the registrar before the older one is published."""
    needs(scene, injections.CutGatewayFromKafka)
    hand = scene.bound_hand("late")
    heal = inject(injections.CutGatewayFromKafka, "gateway-1")
    old = hand.contact("gateway-1")
    hand.contact("gateway-2")
    hand.wait_bound()
    mark, known = time.monotonic(), published(scene, {hand.id})
    heal()
    wait_for(lambda: published(scene, {hand.id}) > known, 30, "the older revision to be published late", every=0.5)
    wait_for(lambda: hand.status()["in-sync"], 20, "the report of the newer one")
    assert not [r for r in hand.registers(mark) if old in str(r.binds)]
    assert hand.bound() == {hand.key}


def test_a_frozen_gateway_that_wakes_undoes_nothing(scene, inject):
    hand, gone = scene.bound_hand("woken"), scene.bound_hand("wokengone")
    hand.contact("gateway-1")
    thaw = inject(injections.FreezeGateway, "gateway-1")
    hand.contact("gateway-2")
    gone.delete("gateway-2")
    hand.wait_bound()
    gone.wait_gone()
    thaw()
    wait_for(lambda: scene.site.ready("gateway-1"), 20, "the gateway to be well")
    wait_for(lambda: hand.status("gateway-1")["in-sync"] and hand.status("gateway-2")["in-sync"], 30, "the report of the newest")
    assert hand.bound() == {hand.key} and not gone.bound()
    assert hand.status("gateway-1")["applied-revision"] == hand.status("gateway-2")["applied-revision"]


def test_two_gateways_that_make_the_same_at_once_make_one(scene):
    """The same Idempotency-Key at both; and the same name without one."""
    def make(hand, gateway, key):
        return hand.create(gateway, {"Idempotency-Key": key} if key else None, contested=not key)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for i in range(10):
            hands, key = [scene.hand(f"once{i}") for _ in range(2)], f"key-{i}" if i % 2 else None
            both = list(pool.map(make, hands, ("gateway-1", "gateway-2"), (key, key)))
            made = [o.id for o in both if o.outcome == ACKED]
            assert len(set(made)) == 1 and len(made) == (2 if key else 1), both
            next(h for h in hands if h.id).delete()


def test_two_gateways_that_sweep_publish_what_is_late_once_a_pause(scene, inject):
    """No registrant lives, so everything that is written is late; both gateways sweep, and claim no id together."""
    needs_quick_groups(scene)
    inject(injections.KillAllRegistrants)
    hands = [scene.hand(f"swept{i}") for i in range(20)]
    mark = time.monotonic()
    for i, hand in enumerate(hands):
        hand.create(f"gateway-{i % 2 + 1}")
    ids = {h.id for h in hands}
    wait_for(lambda: time.monotonic() - mark > 9, 20, "several pauses to pass", every=0.5)
    stamps = {}
    for key, at in scene.records("rollcall.changes.any", mark):
        stamps.setdefault(key, []).append(at)
    for number in ids:
        times = sorted(stamps[number])
        gaps = [b - a for a, b in zip(times, times[1:])]
        assert all(gap > 0.7 for gap in gaps), f"{number} was published at {times}"
    assert any(len(stamps[number]) > 1 for number in ids), "nobody swept"


# ---- registrants

def test_a_woken_zombie_sends_nothing_that_another_has_taken_over(scene, inject):
    """Frozen for longer than its session: its registrations have another owner, one is deleted, one is changed."""
    needs_quick_groups(scene)
    hands = [scene.bound_hand(f"zombie{i}") for i in range(12)]
    victim = hands[0].owner()
    mine = [h for h in hands if h.owner() == victim]
    thaw = inject(injections.FreezeRegistrant, victim)
    gone, changed = mine[0], (mine[1:] or [None])[0]
    old = changed.key if changed else None
    gone.delete("gateway-2")
    if changed:
        changed.contact("gateway-2")
    gone.wait_gone(TAKE_OVER_S + 10)
    if changed:
        changed.wait_bound(TAKE_OVER_S + 10)
    mark = time.monotonic()
    thaw()
    wait_for(lambda: scene.site.ready(victim), 30, "the zombie to be a member again")
    wait_for(lambda: time.monotonic() - mark > 6, 10, "time to do harm", every=0.5)
    assert not gone.bound(), "a deleted registration was bound again"
    assert not [r for r in gone.registers(mark) if r.binds]
    if changed:
        assert not [r for r in changed.registers(mark) if old in str(r.binds)], "an old Contact was bound again"
        assert changed.bound() == {changed.key}


def hands_of_one(scene, name, least, **members):
    """(a registrant, at least so many bound hands that it owns)."""
    by_owner = {}
    for i in range(8 * least):
        hand = scene.bound_hand(f"{name}{i}", **members)
        owned = by_owner.setdefault(hand.owner(), [])
        owned.append(hand)
        if len(owned) == least:
            return hand.owner(), owned
    raise AssertionError(f"no registrant owns {least} of {8 * least} registrations")


def removed_after_its_last_bind(hand, key):
    """Whether a REGISTER took that Contact away after the last one that bound it."""
    good = [r for r in hand.registers() if r.status == 200]
    bound = max(r.t for r in good if key in str(r.binds))
    return any(r.t > bound and key in str(r.removes) for r in good)


@pytest.mark.long
def test_a_registrant_split_from_its_group_stands_down_and_what_it_kept_is_removed(scene, inject):
    """One that it has was deleted meanwhile, another one changed."""
    needs(scene, injections.Split)
    victim, mine = hands_of_one(scene, "split", 3, expire=20)
    heal = inject(injections.Split, victim)
    mark = time.monotonic()
    mine[0].delete("gateway-2")
    changed, old = mine[1], mine[1].key
    changed.contact("gateway-2")

    def taken():
        return all(any(scene.source(r) != victim and r.status == 200 for r in h.registers(mark)) for h in mine[1:])

    def kept():
        """The change was done, and then the old Contact bound again."""
        done = [r.t for r in changed.registers(mark) if changed.key in str(r.binds)]
        return any(old in str(r.binds) and r.t > min(done) for r in changed.registers(mark)) if done else False

    wait_for(taken, TAKE_OVER_S + 20, "others to refresh what it had", every=0.5)
    wait_for(kept, 30, "it to refresh what was changed", every=0.5)
    heal()
    wait_for(lambda: scene.site.ready(victim), 30, "it to be a member again")
    mine[0].wait_gone(30)
    changed.wait_bound(30)
    assert removed_after_its_last_bind(changed, old), "what it kept bound was left to lapse"
    end = time.monotonic()
    wait_for(lambda: time.monotonic() - end > 12, 20, "a refresh of each", every=0.5)
    for hand in mine[1:]:
        late = hand.registers(end)
        assert len({r.call_id for r in late}) == 1 and len({r.source for r in late}) == 1, "two owners refresh it"
        cseqs = [r.cseq for r in late]
        assert cseqs == sorted(set(cseqs))


@pytest.mark.long
def test_a_gateway_that_hangs_does_not_hold_a_take_over_up(scene, inject):
    """The snapshot is asked for at another one."""
    needs_quick_groups(scene)
    hands = [scene.bound_hand(f"hung{i}", expire=24) for i in range(9)]
    victim = hands[0].owner()
    mine = [h for h in hands if h.owner() == victim]
    inject(injections.FreezeGateway, "gateway-1")
    began = time.monotonic()
    inject(injections.KillRegistrant, victim)
    for hand in mine:
        wait_for(lambda: [r for r in hand.registers(began) if scene.source(r) != victim and r.status == 200], TAKE_OVER_S + 12,
                 f"another owner of {hand.user}", every=0.3)
    assert time.monotonic() - began < TAKE_OVER_S + 12


# ---- deletion

def test_a_twin_keeps_the_binding_that_a_deleted_one_shared(scene):
    """Two registrations hold the same binding: deleting one must not take it from the other."""
    one = scene.bound_hand("twin")
    other = scene.line("gateway-1").call("POST", "/registrations", one.document(name="twin-of-it"))
    assert other.status == 201, other.text
    number, mark = other.document["data"]["id"], time.monotonic()
    assert scene.line("gateway-2").call("DELETE", f"/registrations/{number}").status == 204
    wait_for(lambda: any(k == number for k, _ in scene.records("rollcall.status.any", mark)), 20, "its removal to be proved",
             every=0.3)
    assert one.bound() == {one.key}
    assert not [r for r in one.registers(mark) if r.removes]


def test_a_deletion_at_a_dead_registrar_is_not_forgotten(scene, inject):
    """It cannot be told while it is dead; it is when it is back, and the binding outlives neither."""
    hand = scene.bound_hand("unreachable", expire=120, registrar="registrar-2")
    back = inject(injections.RegistrarDies, "registrar-2")
    hand.delete()
    wait_for(lambda: [r for r in hand.registers() if r.removes and r.status == 0], 20, "a try")
    assert hand.bound()
    back()
    hand.wait_gone(60)


# ---- Redis

def test_revisions_rise_over_writes_that_redis_lost(scene, inject):
    """Its last second is gone, with a write that a registrant has applied already: it comes back from Kafka, and the next write is
    above it."""
    hand = scene.bound_hand("lostrevision")
    before = int(hand.status()["revision"])

    class Lost(injections.RedisLosesASecond):
        def begin(self, site, rng):
            timer = concurrent.futures.ThreadPoolExecutor(1)
            done = timer.submit(lambda: (time.sleep(0.2), hand.contact("gateway-1"), hand.wait_bound(5)))
            super().begin(site, rng)
            done.result(10)
            # It was published before it was lost, so it must come back.
            self.excuses = [e for e in self.excuses if e[0] != "writes"]

    inject(Lost)()
    key = hand.key
    wait_for(lambda: int(hand.status().get("revision", 0)) > before, 40, "Redis to have what was lost")
    wait_for(lambda: hand.status()["in-sync"], 20, "its report")
    assert hand.bound() == {key}
    shown = scene.line("gateway-1").call("GET", f"/registrations/{hand.id}").document["data"]["attributes"]
    assert shown["contact"] == hand.wanted.contact
    hand.contact("gateway-2", patient=True)
    hand.wait_bound()


def test_a_replica_that_takes_over_gives_no_id_twice(scene, inject):
    needs(scene, injections.ReplicaTakesOver)
    first = scene.bound_hand("beforefailover")
    inject(injections.ReplicaTakesOver)()
    wait_for(lambda: scene.line("gateway-1").call("GET", f"/registrations/{first.id}").status == 200, 40, "the registration")
    second = scene.hand("afterfailover")
    second.create(patient=True)
    assert int(second.id) > int(first.id)
    first.contact("gateway-2", patient=True)
    first.wait_bound()
    second.wait_bound()


def test_a_full_disk_refuses_writes_and_loses_none(scene, inject):
    needs(scene, injections.RedisDiskFull)
    hand = scene.bound_hand("fulldisk")
    kept = hand.contact("gateway-1")
    empty = inject(injections.RedisDiskFull)

    def refused():
        answer = scene.line("gateway-1").call("PUT", f"/registrations/{hand.id}", hand.wanted.document(hand.id))
        return answer.status == 503

    wait_for(refused, 20, "a write to be refused")
    empty()
    scene.site.wait_ready()
    shown = scene.line("gateway-2").call("GET", f"/registrations/{hand.id}").document["data"]["attributes"]
    assert kept in shown["contact"]
    hand.contact("gateway-2", patient=True)
    hand.wait_bound()


# ---- Kafka, and storms

def published(scene, ids, since=None):
    """How many changes of those ids there are, of gateways that had them from that time on."""
    return sum(key in ids for key, _ in scene.records("rollcall.changes.any", since))


@pytest.fixture
def default_grace(scene, inject):
    """Gateways take silence for loss as late as they do by default."""
    gateways = [scene.site.process(name) for name in scene.site.names("gateway")]
    for gateway in gateways:
        gateway.more_env["ROLLCALL_GRACE"] = str(DEFAULT_GRACE_S * 1000)
    inject(injections.RollGateways)()
    yield
    for gateway in gateways:
        del gateway.more_env["ROLLCALL_GRACE"]
    scene.site.wait_ready()
    inject(injections.RollGateways)()


@pytest.mark.long
@pytest.mark.usefixtures("default_grace")
def test_an_outage_of_kafka_is_followed_by_no_storm(scene, inject):
    """Nothing is heard of registrations while Kafka is away; when it is back they are not all published again."""
    needs(scene, injections.StopBroker)
    calm = [scene.bound_hand(f"calm{i}", expire=30) for i in range(40)]
    inject(injections.StopBroker)
    began = time.monotonic()
    late = scene.hand("latekafka")
    late.create("gateway-1")
    wait_for(lambda: time.monotonic() - began > 2 * SESSION_S, 20, "two sessions to pass", every=0.5)
    scene.site.begin("kafka-1")
    mark = time.monotonic()
    late.wait_bound(60)
    scene.site.wait_ready()
    wait_for(lambda: time.monotonic() - mark > DEFAULT_GRACE_S + 5, 60, "a storm to come", every=0.5)
    count = published(scene, {h.id for h in calm}, mark)
    assert count <= len(calm) // 4, f"{count} changes were published of {len(calm)} registrations that nobody touched"
    assert all(h.bound() == {h.key} for h in calm)


@pytest.mark.long
def test_what_was_moved_while_kafka_was_away_is_not_left_bound_where_it_was(scene, inject):
    """Its former place refreshes it until it hears of that."""
    needs(scene, injections.StopBroker)
    hands = [scene.bound_hand(f"strayed{i}", expire=20) for i in range(8)]
    old = {h.user: h.key for h in hands}
    inject(injections.StopBroker)
    mark = time.monotonic()
    for hand in hands:
        hand.serial += 1
        hand.change("gateway-1", contact=f"sip:{hand.user}-{hand.serial}@{ANYBODY}", pop="1")
    wait_for(lambda: all(any(r.binds for r in h.registers(mark)) for h in hands), 20, "a refresh of each", every=0.5)
    scene.site.begin("kafka-1")
    for hand in hands:
        hand.wait_bound(60)
    assert all(removed_after_its_last_bind(h, old[h.user]) for h in hands), "what was bound there was left to lapse"


def test_topics_that_are_deleted_are_made_again_and_nobody_is_unregistered(scene, inject):
    """What is created afterwards has lower offsets than what was read before."""
    needs(scene, injections.DeleteTopics)
    hands = [scene.bound_hand(f"topics{i}") for i in range(24)]
    for hand in hands:
        for _ in range(3):
            hand.contact("gateway-2")
    mark = time.monotonic()
    inject(injections.DeleteTopics)()
    hands[0].contact("gateway-1")
    later = [scene.hand(f"topicslater{i}") for i in range(24)]
    for hand in later:
        hand.create("gateway-2")
    for hand in hands + later:
        hand.wait_bound(60)
    kept = {h.user for h in hands[1:]}
    assert not [r for r in scene.registers(mark) if r.user in kept and not r.binds]


# ---- clocks

@pytest.mark.parametrize("seconds", [-3600, pytest.param(3600, marks=pytest.mark.long)])
def test_a_registrant_whose_clock_is_wrong_takes_over_and_gives_back(scene, inject, seconds):
    """Epochs and CSeqs are made of wall clocks, and must rise all the same."""
    needs_quick_groups(scene)
    hands = [scene.bound_hand(f"clock{seconds}x{i}", expire=24) for i in range(9)]
    wrong = next(name for name in scene.site.running("registrant") if name != hands[0].owner())
    victim = hands[0].owner()

    class Step(injections.StepRegistrantClock):
        def begin(self, site, rng):
            super().begin(site, rng)
            site.step_clock(self.name, seconds)

    right = inject(Step, wrong)
    back = inject(injections.KillRegistrant, victim)
    mark = time.monotonic()
    for hand in hands:
        wait_for(lambda: [r for r in hand.registers(mark) if r.status == 200], TAKE_OVER_S + 12, f"a refresh of {hand.user}",
                 every=0.3)
    back()
    right()
    for hand in hands:
        hand.contact("gateway-1")
    for hand in hands:
        hand.wait_bound(30)
    for hand in hands:
        wait_for(lambda: hand.status()["state"] == "registered" and hand.status()["in-sync"], 20, f"the report of {hand.user}")


def test_a_redis_whose_clock_goes_back_still_gives_rising_revisions(scene, inject):
    hand = scene.bound_hand("redisclock")

    class Back(injections.StepRedisClock):
        def begin(self, site, rng):
            super().begin(site, rng)
            site.step_clock(self.name, -3600)

    right = inject(Back)
    before = int(hand.status()["revision"])
    hand.contact("gateway-1")
    hand.wait_bound(40)
    assert int(hand.status()["revision"]) > before
    right()
    hand.contact("gateway-2")
    hand.wait_bound(40)


# ---- restarts

def test_a_rolling_restart_sends_nothing(scene, inject):
    needs_quick_groups(scene)
    hands = [scene.bound_hand(f"roll{i}", expire=150) for i in range(20)]
    mark = time.monotonic()
    inject(injections.RollRegistrants)()
    assert time.monotonic() - mark < 60
    sent = [r for h in hands for r in h.registers(mark)]
    assert not sent, f"{len(sent)} REGISTERs of {len(hands)} registrations were sent, and none was due"


@pytest.mark.long
def test_three_become_one_and_three_again(scene, inject):
    needs_quick_groups(scene)
    hands = [scene.bound_hand(f"scale{i}", expire=150) for i in range(20)]
    mark = time.monotonic()
    back = inject(injections.Scale)
    hands[0].contact("gateway-1")
    hands[0].wait_bound(40)
    back()
    scene.site.wait_ready()
    hands[1].contact("gateway-2")
    hands[1].wait_bound(40)
    sent = [r for h in hands[2:] for r in h.registers(mark)]
    assert not sent, f"{len(sent)} REGISTERs were sent, and none was due"


# ---- all of it

def test_the_checker_finds_no_promise_broken(scene):
    """Last: the writer ends, all comes to rest, and the run is judged from what was written down."""
    scene.site.wait_ready()
    violations = checker.check(scene.run.finish())
    assert not violations, checker.summary(violations)
