"""Rules about what the registrars saw: no binding lapsed, removed or made against what was wanted, nobody asked too often, and
no former owner above the new one."""
from checker import rule
from timeline import key_of

TAKE_OVER_S = 20
SLACK_S = 5  # a machine of two cores runs all of this
ACTED_ON_S = 20  # a change has reached the registrar by then, where nothing holds it up
OWNER = ("registrant", "registrants", "zombie", "gateway", "redis", "kafka")  # what may hold a take-over or a change up
NOTICED_S = 3  # a REGISTER so shortly before a fault may not have been reported


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
    def __init__(self, registrar, user, uri, made, until):
        self.registrar, self.user, self.uri, self.made, self.until = registrar, user, uri, made, until
        self.lifetime = until - made


def ends_of(evidence, registrar, user):
    """Bindings that ran out: each uri's last REGISTER was not followed in time."""
    held, lapses = {}, []
    losses = [t for t, name in evidence.losses if name == registrar]

    def pass_to(now):
        for uri, (made, until) in list(held.items()):
            if any(made <= t <= until and t <= now for t in losses):
                del held[uri]
            elif until < now:
                lapses.append(Lapse(registrar, user, uri, made, until))
                del held[uri]

    for register in evidence.registers[registrar, user]:
        pass_to(register.t)
        if register.status != 200:
            continue
        held = {b["uri"]: (held[b["uri"]][0] if b["uri"] in held and held[b["uri"]][1] == b["until"] else register.t,
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


def may_lapse(evidence, lapse):
    """A registrar that was not itself, no registrant at all, less than 60 s; or the refresh fell due while nobody could take
    over: from the owner's fault until 20 s after the last thing that a take-over needs was back."""
    excuses = evidence.excuses
    if lapse.lifetime < 59.5:
        return True
    if excuses.of(["registrar"], lapse.made, lapse.until, lapse.registrar):
        return True
    if excuses.of(["registrants"], lapse.made, lapse.until):
        return True
    if lapse.lifetime < 119.5 and excuses.of(["path"], lapse.made, lapse.until):
        return True
    due = lapse.until - margin(lapse.lifetime)
    for window in excuses.of(["registrant", "zombie"], lapse.made, lapse.until):
        taken = excuses.chain(OWNER, window.begin, TAKE_OVER_S)
        if due >= window.begin - NOTICED_S and lapse.until <= taken + SLACK_S:
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


@rule
def removed_though_wanted(evidence):
    """No REGISTER takes away what has been wanted all the time; only a Contact of a former owner's address."""
    for (registrar, user), registers in evidence.registers.items():
        line = evidence.timelines.get(user)
        for register in registers if line else ():
            for uri in register.removes:
                key, since = key_of(uri), register.t - 2 * ACTED_ON_S
                kept = any(key_of(b["uri"]) == key and b["until"] > register.t for b in register.bound)
                if kept or evidence.excuses.of(OWNER, since, register.t):
                    continue
                if line.wanted_by_all(registrar, key, since, register.t):
                    yield user, f"{uri} was removed at {registrar} by {register.source}", register.t


def end_of_wish(line, registrar, key, before):
    """Since when, at `before`, nothing has wanted that key; None: it is wanted."""
    if line.wanted_by_any(registrar, key, before, before):
        return None
    return max((s.end for s in line.states if s.start <= before and s.wants(registrar, key)), default=None)


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
                elif register.t > evidence.excuses.chain((*OWNER, "registrar", "path"), since, ACTED_ON_S):
                    yield user, f"{uri} was bound at {registrar} {register.t - since:.1f} s after it was not wanted any more", \
                        register.t


def is_removed_soon(registers, key, since):
    return any(since < r.t < since + ACTED_ON_S and r.status == 200 and key in map(key_of, r.removes) for r in registers)


@rule
def bound_after_proof(evidence):
    """A deleted or disabled one whose removal was answered is never bound again, however late a former owner wakes up; only one
    that could reach registrars and not its group (`zombie`) may. What a gateway publishes late, when Kafka, Redis or itself is
    back, is bound at most for a moment: the report of it is answered by another removal. Only what was moved to another place
    meanwhile, and is alive there, may keep the binding of its former place until that lapses: nobody is left who would refresh
    it, and the place where it is has proved what it knew of."""
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
                excuses = evidence.excuses
                if excuses.of(["zombie", "path", "registrar"], proved - ACTED_ON_S, register.t):
                    continue
                late = excuses.of(["gateway", "kafka", "redis"], proved - ACTED_ON_S, register.t)
                moved = late and len({s.desired["pop"] for s in line.possible(late[0].begin, register.t) if s.desired}) > 1
                if not moved and not (late and is_removed_soon(registers, key, register.t)):
                    yield user, f"{uri} was bound at {registrar} by {register.source} {register.t - proved:.1f} s after its " \
                        "removal was answered", register.t
            still = {key_of(b["uri"]) for b in register.bound}
            removed.update({key_of(uri): register.t for uri in register.removes if key_of(uri) not in still})


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
            if second.t - first.t >= earliest(lifetime) - 1 or second.t > first.t + lifetime:
                continue
            settled = evidence.excuses.chain((*OWNER, "registrar"), first.t - ACTED_ON_S, ACTED_ON_S)
            if line.touched(first.t - 2 * ACTED_ON_S, second.t) or settled > first.t + SLACK_S:
                continue
            if evidence.excuses.of(["registrar"], first.t - 2 * lifetime, second.t, registrar) or \
                    evidence.excuses.of(["path", "zombie", "registrants"], first.t - SLACK_S, second.t) or \
                    evidence.excuses.of(OWNER, first.t - TAKE_OVER_S, first.t + NOTICED_S):
                continue
            yield user, f"{uri} at {registrar}, bound for {lifetime} s, was sent again after {second.t - first.t:.1f} s, by " \
                f"{first.source} and {second.source}", second.t


@rule
def cseq_not_rising(evidence):
    """Whoever sends with a Call-ID is above everybody who sent with it before (RFC 3261 8.1.1.5). Not where packets come out of
    order, and not from one that cannot know of its successor: cut off from its group, or all of them from Kafka, which parks
    partitions until it is back."""
    last = {}
    for register in evidence.history.registers:
        at = register.registrar, register.call_id
        before = last.get(at)
        if before and register.cseq <= before.cseq and register.source != before.source:
            if not evidence.excuses.of(["path", "zombie", "kafka"], before.t - TAKE_OVER_S, register.t):
                yield register.aor, f"CSeq {register.cseq} from {register.source} at {register.registrar} after {before.cseq} " \
                    f"from {before.source}", register.t
        if before is None or register.cseq > before.cseq:
            last[at] = register
