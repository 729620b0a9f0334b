"""Rules about what the registrars saw: no binding lapsed, removed or made against what was wanted, nobody asked too often, and
no former owner above the new one."""
from checker import rule
from history import REFUSED
from timeline import key_of, user_of

TAKE_OVER_S = 20
SLACK_S = 5  # a machine of two cores runs all of this
ACTED_ON_S = 20  # a change has reached the registrar by then, where nothing holds it up
OWNER = ("registrant", "registrants", "zombie", "gateway", "redis", "kafka")  # what may hold a take-over or a change up
GROUP = ("registrant", "registrants", "zombie", "kafka")  # what makes the group give registrations to others
GATHERED_S = 6  # a session: so long after one has come the group may still hand on what another refreshes
NOTICED_S = 3  # a REGISTER so shortly before a fault may not have been reported
RETRIED_S = 20  # a registrar that answers again is asked by then, and as much later as it was silent
LATE_ANSWER_S = 40  # a REGISTER so long before may have got no answer (64 · T1)
ASKED_S = 2  # a REGISTER may take so long to its registrar, and a lifetime counts from its sending


def is_local(register_uri):
    """A Contact that is the address of a registrant: a new owner has one of its own."""
    return not register_uri.rpartition("@")[2].startswith("127.0.0.1:5090")


def margin(lifetime):
    """A binding is refreshed at least so long before its end."""
    return min(lifetime / 2, max(60, 0.15 * lifetime))


def earliest(lifetime):
    """A binding is refreshed no earlier than this after it was made: up to a tenth before the time that the margin leaves."""
    return 0.9 * (lifetime - margin(lifetime))


class Lapse:
    """register: the one that made the binding, or refreshed it last."""

    def __init__(self, uri, register, until):
        self.registrar, self.uri, self.register, self.made, self.until = register.registrar, uri, register, register.t, until
        self.lifetime = until - self.made
        self.due = until - margin(self.lifetime)


def ends_of(evidence, registrar, user):
    """Bindings that ran out: each uri's last REGISTER was not followed in time."""
    held, lapses = {}, []
    losses = [t for t, name in evidence.losses if name == registrar]

    def pass_to(now):
        for uri, (made_by, until) in list(held.items()):
            if any(made_by.t <= t <= until and t <= now for t in losses):
                del held[uri]
            elif until < now:
                lapses.append(Lapse(uri, made_by, until))
                del held[uri]

    for register in evidence.registers[registrar, user]:
        pass_to(register.t)
        if register.status != 200:
            continue
        held = {b["uri"]: (held[b["uri"]][0] if b["uri"] in held and held[b["uri"]][1] == b["until"] else register,
                           b["until"]) for b in register.bound}
    pass_to(evidence.final.at)
    return lapses


def is_held(evidence, registrar, user, key, at):
    """Whether another binding of that key lived then, as of a Contact with a new owner's address."""
    last = None
    for register in evidence.registers[registrar, user]:
        if register.t > at:
            break
        if register.status == 200:
            last = register
    return last is not None and any(key_of(b["uri"]) == key and b["until"] > at for b in last.bound)


def owner_faults(evidence, lapse):
    """Windows in which its owner was gone: whoever made the binding, and others only if the group may have given it to them since."""
    of, owner = evidence.excuses.of, evidence.sender(lapse.register)
    certain = of([("registrant", owner), ("zombie", owner), "registrants"], lapse.made, lapse.until)
    for window in of(["registrant", "zombie", "registrants"], lapse.made, lapse.until):
        given = [w for w in of(GROUP, lapse.made - TAKE_OVER_S, window.begin) if w is not window]
        if window in certain or given:
            yield window


def may_lapse(evidence, lapse):
    """Less than 60 s, or a registrar that told a longer time than it gave; or the refresh fell due while nobody could take over: from
    the owner's fault until 20 s after the last thing that a take-over needs was back; or while its registrar, or the way there,
    did not answer: until the next try, whose back-off grows with the time without an answer."""
    chain, there = evidence.excuses.chain, [("registrar", lapse.registrar)]
    if lapse.lifetime < 59.5 or lapse.register.mode == ["lie", "long"]:
        return True
    if lapse.lifetime < 119.5:
        there.append("path")
    for window in owner_faults(evidence, lapse):
        taken = chain((*OWNER, *there), window.begin, TAKE_OVER_S)
        if lapse.due >= window.begin - NOTICED_S and lapse.until <= taken + SLACK_S:
            return True
    for window in evidence.excuses.of(there, lapse.made, lapse.until):
        tried = chain((*OWNER, *there), window.begin, RETRIED_S)
        if lapse.due >= window.begin - SLACK_S and lapse.until <= tried + (tried - RETRIED_S - window.begin):
            return True
    return False


@rule
def binding_lapsed(evidence):
    for registrar, user in list(evidence.registers):
        line = evidence.timelines.get(user)
        for lapse in ends_of(evidence, registrar, user) if line else ():
            key = key_of(lapse.uri)
            # Changes that were under way when it was made, or come before its end, leave nothing to promise.
            steady = line.wanted_by_all(registrar, key, lapse.made - ACTED_ON_S, lapse.until + 0.5)
            if steady and not is_held(evidence, registrar, user, key, lapse.until) and not may_lapse(evidence, lapse):
                yield user, f"{lapse.uri} at {registrar}, bound for {lapse.lifetime:.0f} s, was not refreshed", lapse.until


def not_wished_until(line, registrar, key, before):
    """The last time, up to `before`, at which it may have been wanted otherwise."""
    return max(min(s.end, before) for s in line.states if s.start <= before and not s.wants(registrar, key))


@rule
def removed_though_wanted(evidence):
    """No REGISTER takes away what has been wanted for longer than the change to that takes; only a Contact of a former owner's
    address."""
    for (registrar, user), registers in evidence.registers.items():
        line = evidence.timelines.get(user)
        for register in registers if line else ():
            for uri in register.removes:
                key = key_of(uri)
                if key in map(key_of, register.binds) or \
                        any(key_of(b["uri"]) == key and b["until"] > register.t for b in register.bound):
                    continue
                since = not_wished_until(line, registrar, key, register.t)
                if since < register.t and register.t > evidence.excuses.chain(OWNER, since, 2 * ACTED_ON_S):
                    yield user, f"{uri} was removed at {registrar} by {register.source}", register.t


def end_of_wish(line, registrar, key, before):
    """Since when, at `before`, nothing has wanted that key; None: it is wanted."""
    if line.wanted_by_any(registrar, key, before, before):
        return None
    return max((s.end for s in line.states if s.start <= before and s.wants(registrar, key)), default=None)


def binders_faults(evidence, register):
    """What may keep the sender of that REGISTER from knowing better, and the REGISTER on its way."""
    sender = evidence.sender(register)
    return ["kafka", "redis", "registrants", "path", ("registrar", register.registrar), ("registrant", sender), ("zombie", sender)]


@rule
def bound_though_unwanted(evidence):
    """Nothing is bound that has not been wanted for longer than a change takes."""
    for (registrar, user), registers in evidence.registers.items():
        line = evidence.timelines.get(user)
        for register in registers:
            for uri in register.binds if register.status == 200 else ():
                since = end_of_wish(line, registrar, key_of(uri), register.t) if line else None
                if line and line.wanted_by_any(registrar, key_of(uri), register.t, register.t):
                    continue
                if since is None:
                    yield user, f"{uri} was bound at {registrar} and never asked for", register.t
                    continue
                asked = [("gateway", o.gateway) for o in line.operations if o.ended_at == since]
                if register.t > evidence.excuses.chain((*binders_faults(evidence, register), *asked), since, ACTED_ON_S):
                    yield user, f"{uri} was bound at {registrar} {register.t - since:.1f} s after it was not wanted any more", \
                        register.t


def is_removed_soon(evidence, registers, register, key):
    """Whether that binding is removed again as soon as whoever made it was heard, or its registrar could be asked."""
    excuses, binder = evidence.excuses, evidence.sender(register)
    by = excuses.chain(("kafka", "redis", "gateway", "registrants", ("zombie", binder), ("registrar", register.registrar)),
                       register.t, ACTED_ON_S)
    removed = any(register.t < r.t < by and r.status == 200 and key in map(key_of, r.removes) for r in registers)
    silenced = excuses.of(["registrants", ("registrant", binder)], register.t, by)  # it can tell nobody
    return removed or bool(silenced) or all(b["until"] <= by for b in register.bound if key_of(b["uri"]) == key)


@rule
def bound_after_proof(evidence):
    """A deleted or disabled one whose removal was answered is never bound again, however late a former owner wakes up; only by one
    that could reach registrars and not its group (`zombie`), or that acts on what a gateway published late, when Kafka, Redis or
    itself was back. That is removed again as soon as it is reported."""
    for (registrar, user), registers in evidence.registers.items():
        line, removed = evidence.timelines.get(user), {}
        for register in registers if line else ():
            if register.status != 200:
                continue
            for uri in register.binds:
                key = key_of(uri)
                proved = removed.pop(key, None)
                if proved is None or line.wanted_by_any(registrar, key, proved, register.t):
                    continue
                since, of = proved - ACTED_ON_S, evidence.excuses.of
                if of(["path", ("registrar", registrar)], since, register.t):
                    continue
                late = of(["gateway", "kafka", "redis", ("zombie", evidence.sender(register))], since, register.t)
                if not (late and is_removed_soon(evidence, registers, register, key)):
                    yield user, f"{uri} was bound at {registrar} by {register.source} {register.t - proved:.1f} s after its " \
                        "removal was answered", register.t
            still = {key_of(b["uri"]) for b in register.bound}
            removed.update({key_of(uri): register.t for uri in register.removes if key_of(uri) not in still})


def may_ask_again(evidence, first, second):
    """Whether the first one may not have been answered, or not reported: by a fault of its registrar or its sender, or because reports
    were held up; or its times were told by a wrong clock, or read by one; or the group was coming together, after one of it had gone or
    come: whoever had lost it refreshed without a word until it heard who the next owner was."""
    of, one, other = evidence.excuses.of, evidence.sender(first), evidence.sender(second)
    held_up = ["kafka", "redis", "gateway", "registrants", ("registrant", one)]
    settled = evidence.excuses.chain(held_up, first.t - ACTED_ON_S, ACTED_ON_S)
    return bool(settled > first.t + SLACK_S or of(held_up, first.t - TAKE_OVER_S, first.t + NOTICED_S)
                or of([("clock", one)], first.t, first.t + NOTICED_S) or of([("clock", other)], first.t, second.t)
                or of([("registrar", first.registrar)], first.t - LATE_ANSWER_S, second.t)
                or of([("zombie", one), ("zombie", other)], first.t - TAKE_OVER_S, second.t)  # until it has heard of the other
                or (one != other and of(["registrant"], first.t - GATHERED_S, second.t))
                or of(["path", "registrants"], first.t - SLACK_S, second.t))


@rule
def asked_for_before_due(evidence):
    """A refresh comes when it is due. A take-over, a restart, a Kafka or Redis that was away make none before that, but for what
    was sent during the fault or just before, and had not been reported."""
    for (registrar, user), registers in evidence.registers.items():
        line = evidence.timelines.get(user)
        good = [r for r in registers if r.status == 200 and r.binds and not r.removes] if line else []
        for first, second in zip(good, good[1:]):
            uri = second.binds[0]
            if uri not in first.binds or is_local(uri):
                continue
            lifetime = min(c["expires"] for c in first.contacts)
            if second.t - first.t >= earliest(lifetime) - ASKED_S or second.t > first.t + lifetime:
                continue
            if line.touched(first.t - 2 * ACTED_ON_S, second.t) or may_ask_again(evidence, first, second):
                continue
            yield user, f"{uri} at {registrar}, bound for {lifetime} s, was sent again after {second.t - first.t:.1f} s, by " \
                f"{first.source} and {second.source}", second.t


def is_at_two_places(evidence, register):
    """Whether its former place may not have heard yet that it was moved to another."""
    line = evidence.timelines.get(user_of(register.aor))
    moves = [o for o in line.operations if o.desired and o.outcome != REFUSED and o.sent_at <= register.t] if line else []
    return any(s.desired and s.desired["pop"] != o.desired["pop"] and register.t <= evidence.excuses.chain(OWNER, o.ended_at, ACTED_ON_S)
               for o in moves for s in line.possible(o.sent_at, o.sent_at) if s.operation is not o)


@rule
def cseq_not_rising(evidence):
    """Whoever sends with a Call-ID is above everybody who sent with it before (RFC 3261 8.1.1.5). Not where packets come out of
    order, and not from one that cannot know of its successor: cut off from its group, or at a place that was moved from; nor where all
    registrants came at once, of which two may have taken over within one second from the same word."""
    last = {}
    for register in evidence.history.registers:
        at = register.registrar, register.call_id
        before = last.get(at)
        if before and register.cseq <= before.cseq and register.source != before.source:
            apart = [(what, evidence.sender(register)) for what in ("zombie", "registrant")]  # it wakes, and has not heard yet
            apart.append(("zombie", evidence.sender(before)))
            if not evidence.excuses.of(["path", "registrants", *apart], before.t - TAKE_OVER_S, register.t) and not is_at_two_places(evidence, register):
                yield register.aor, f"CSeq {register.cseq} from {register.source} at {register.registrar} after {before.cseq} " \
                    f"from {before.source}", register.t
        if before is None or register.cseq > before.cseq:
            last[at] = register
