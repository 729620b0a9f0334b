"""Rules about what REST promised: no acknowledged write lost or applied in a wrong order, no deletion undone, no id given
twice, no valid write refused."""
from checker import rule
from history import ACKED, REFUSED, UNKNOWN
from timeline import hold_up, is_shown

RECOVER_S = 30  # after a fault writes wait for what Redis lost to be written back, and requests for connections


def describe(desired):
    if desired is None:
        return "absent"
    return "{registrar} {contact} expire {expire} {auth_user} pop {pop} ".format(**desired) + \
        ("enabled" if desired["enabled"] else "disabled")


def described(shown):
    return (f"{shown['domain']} {shown['contact']} expire {shown['expire']} {shown['auth-user']} pop {shown['pop']} "
            f"{'enabled' if shown['enabled'] else 'disabled'}")


def was_sent(evidence, user, desired):
    """Whether a registrar ever saw that state: it was applied, and undone later."""
    registers = evidence.registers[desired["registrar"], user]
    key = desired["contact"].partition("@")[0]
    return any(uri.startswith(key + "@") for r in registers for uri in r.binds)


@rule
def acknowledged_write_lost(evidence):
    """What is listed at the end is a state that was acknowledged last, or one whose outcome is unknown; here: it is absent, or
    older, and no registrar saw the newer one."""
    for user, line in evidence.timelines.items():
        states, listed = evidence.states_at_end(user), evidence.listed(user)
        if not listed:
            if all(s.desired for s in states):
                yield user, f"is not listed and should be {describe(states[-1].desired)}", None
            continue
        shown = listed[0][1]
        if any(s.desired and is_shown(s.desired, shown) for s in states) or all(s.desired is None for s in states):
            continue
        wanted = [s.desired for s in states if s.desired][-1]
        if not was_sent(evidence, user, wanted):
            older = any(s.desired and is_shown(s.desired, shown) for s in line.states)
            yield user, f"id {listed[0][0]} is {described(shown)}, {'an older state' if older else 'never asked for'}, " \
                f"and should be {describe(wanted)}", None


@rule
def wrong_final_order(evidence):
    """The newer state was applied, as registrars saw, and an older one is listed at the end."""
    for user in evidence.timelines:
        states, listed = evidence.states_at_end(user), evidence.listed(user)
        applied = [s.desired for s in states if s.desired]
        if not listed or not applied or any(is_shown(desired, listed[0][1]) for desired in applied):
            continue
        wanted = applied[-1]
        if was_sent(evidence, user, wanted):
            yield user, f"id {listed[0][0]} is {described(listed[0][1])} after it was {describe(wanted)}", None


@rule
def deletion_undone(evidence):
    """What was deleted is listed no more, under its id or its name."""
    deleted = {o.id: o for o in evidence.history.operations if o.kind == "delete" and o.outcome == ACKED}
    for user in evidence.timelines:
        for number, shown in evidence.listed(user):
            lost = deleted.get(number) and evidence.excuses.of(["writes"], deleted[number].sent_at, deleted[number].ended_at)
            if number in deleted and not lost:
                yield user, f"id {number} was deleted and is listed", deleted[number].ended_at
            elif all(s.desired is None for s in evidence.states_at_end(user)):
                yield user, f"was deleted and is listed as id {number}, {described(shown)}", None


@rule
def id_given_twice(evidence):
    """Two creations never got one id, and one name never has two."""
    made = {}
    for operation in evidence.history.operations:
        if operation.kind != "create" or operation.outcome != ACKED:
            continue
        contact = operation.desired["contact"]
        if made.setdefault(operation.id, contact) != contact:
            yield operation.user, f"id {operation.id} was given to {made[operation.id]} and to {contact}", operation.sent_at
    for user in evidence.timelines:
        if len(evidence.listed(user)) > 1:
            yield user, f"has several ids: {[number for number, _ in evidence.listed(user)]}", None
    for number, shown in evidence.final.listing.items():
        if shown["name"] not in evidence.timelines:
            yield shown["name"], f"id {number} is listed and nobody asked for it", None


@rule
def stale_read(evidence):
    """A read through any gateway shows what was acknowledged before it was sent. Not while Redis is replaced by one that has less."""
    for operation in evidence.history.operations:
        if operation.kind != "read" or operation.outcome != ACKED:
            continue
        line = evidence.timelines[operation.user]
        states = line.possible(operation.sent_at, operation.ended_at)
        fits = any(is_shown(s.desired, operation.seen) if s.desired and operation.seen else not s.desired and not operation.seen
                   for s in states)
        excused = evidence.excuses.of(["writes"], operation.sent_at - RECOVER_S, operation.ended_at)
        if not fits and not excused:
            yield operation.user, f"id {operation.id} was shown as {described(operation.seen) if operation.seen else 'absent'}" \
                f" and is {' or '.join(describe(s.desired) for s in states)}", operation.sent_at


@rule
def valid_write_refused(evidence):
    """Every write is valid. 404 and a taken name only follow from an earlier write whose outcome was unknown."""
    for operation in evidence.history.operations:
        if operation.outcome != REFUSED or operation.status is None or operation.kind == "read":
            continue
        states = evidence.timelines[operation.user].possible(operation.sent_at, operation.ended_at)
        others = [s for s in states if s.operation is not operation]
        if operation.status == 404 and any(s.desired is None for s in others):
            continue
        if "already been taken" in (operation.cause or "") and any(s.desired for s in others):
            continue
        if evidence.excuses.of(["writes"], operation.sent_at - RECOVER_S, operation.ended_at):
            continue
        yield operation.user, f"{operation.kind} of id {operation.id} got {operation.status}: {operation.cause}", \
            operation.sent_at


@rule
def failed_without_a_fault(evidence):
    """A request fails only while something that excuses it lasts, or shortly after."""
    for operation in evidence.history.operations:
        failed = operation.outcome == UNKNOWN or operation.outcome == REFUSED and operation.status is None
        if not failed:
            continue
        if evidence.excuses.of(hold_up(operation), operation.sent_at - RECOVER_S, operation.ended_at):
            continue
        if (operation.cause or "").find("the name is held") < 0:
            yield operation.user, f"{operation.kind} at {operation.gateway} got {operation.status}: {operation.cause}", \
                operation.sent_at
