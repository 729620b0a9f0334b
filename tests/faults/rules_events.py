"""Rules about rollcall.events: each accepted write and each transition is one event, in order, however often it is delivered."""
import collections
import math

from checker import rule
from history import ACKED, UNKNOWN
from timeline import SHOWN, key_of

CONFIGURED = ("created", "updated", "deleted")
STATE_OF = {"rebound": "registered"}  # a transition's name is the state's, but for these
UNTOLD = ("registering", "unregistered")  # states without an event of their own


TOLD_S = 10  # an event is in its topic by then, where nothing holds it up
DESTROYED_S = 5  # so long after they were told to delete a topic brokers may still take records of it
PROVED_S = 20
HOLD_UP = ("kafka", "redis", "gateway")  # what may keep an event in its outbox


def may_be_lost(evidence, begin, end):
    """Whether an event of a write or a transition between these may be lost, or delivered under another id: what was in an outbox, or
    in a topic, that was destroyed since."""
    told = evidence.excuses.chain(HOLD_UP, end, TOLD_S)
    destroyed = evidence.excuses.of(["past_events"], begin - DESTROYED_S, evidence.final.at)
    return bool(destroyed or evidence.excuses.of(["events", "writes"], begin - TOLD_S, told))


def stories(evidence):
    """{id: events in order, each once}."""
    found, seen = collections.defaultdict(list), set()
    for event in evidence.final.events:
        if event["ce_id"] not in seen:
            seen.add(event["ce_id"])
            found[str(event["id"])].append(event)
    return found


def changes_of(evidence):
    """{id: [least, most]}: how many updates must and may have been made."""
    counts = collections.defaultdict(lambda: [0, 0])
    for line in evidence.timelines.values():
        for operation in line.operations:
            if operation.kind in ("change", "move", "enable", "disable") and operation.outcome in (ACKED, UNKNOWN):
                before = [s for s in line.possible(operation.sent_at, operation.sent_at) if s.operation is not operation]
                differs = all(s.desired is None or any(s.desired[m] != operation.desired[m] for m in SHOWN.values())
                              for s in before)
                unsure = may_be_lost(evidence, operation.sent_at, operation.ended_at)
                counts[operation.id][0] += operation.outcome == ACKED and differs and not unsure
                counts[operation.id][1] += 2 if unsure else 1
    return counts


def is_told_wrongly(evidence, operation, times):
    """Of what is told once."""
    unsure = may_be_lost(evidence, operation.sent_at, operation.ended_at)
    return times > 2 if unsure else times != 1


@rule
def write_without_event(evidence):
    """Each id is created once, updated as often as was asked for, and deleted once if it was; revisions rise."""
    told, changes = stories(evidence), changes_of(evidence)
    gone = {o.id: o for o in evidence.history.operations if o.kind == "delete" and o.outcome == ACKED}
    for operation in evidence.history.operations:
        if operation.kind != "create" or operation.outcome != ACKED:
            continue
        number = operation.id
        names = [e["what"] for e in told.get(number, ())]
        if is_told_wrongly(evidence, operation, names.count("created")) or "created" in names[1:] and names.count("created") == 1:
            yield operation.user, f"id {number} has the story {names[:8]}", operation.sent_at
        updates = names.count("updated")
        least, most = changes[number]
        if not least <= updates <= most + 1:
            yield operation.user, f"id {number} was updated {updates} times by its events, and {least} to {most} times by its " \
                "writes", operation.sent_at
        if number in gone and is_told_wrongly(evidence, gone[number], names.count("deleted")):
            yield operation.user, f"id {number} was deleted and has {names.count('deleted')} events of it", operation.sent_at
        revisions = [e["value"]["revision"] for e in told.get(number, ()) if e["what"] in CONFIGURED]
        if revisions != sorted(set(revisions)) and not twice_by_a_fault(evidence, told[number]):
            yield operation.user, f"id {number} has revisions {revisions} in its events", operation.sent_at


def is_broken_by_a_fault(evidence, before, after):
    """Whether between two events one may be lost, or the state that they tell of. An event whose time is not known (the clock of who
    sent it was wrong) may be of any."""
    begin, end = before.get("at"), after.get("at")
    return bool(evidence.excuses.of(["events", "writes"], begin if begin is not None else -math.inf,
                                    end if end is not None else math.inf))


def twice_by_a_fault(evidence, events):
    """Whether each step back of the revisions is over a fault that destroyed an outbox."""
    told = [e for e in events if e["what"] in CONFIGURED]
    return all(a["value"]["revision"] < b["value"]["revision"] or is_broken_by_a_fault(evidence, a, b)
               for a, b in zip(told, told[1:]))


@rule
def transition_without_event(evidence):
    """Transitions of an id are a chain, each begins where the one before ended, and the last is what its status says."""
    now = {"at": evidence.final.at}
    for number, events in stories(evidence).items():
        last, state = None, None
        for event in events:
            if event["what"] in CONFIGURED:
                continue
            before = event["value"].get("previous_state")
            broken = state is not None and before != state and before not in UNTOLD
            if broken and not is_broken_by_a_fault(evidence, last, event):
                yield f"id {number}", f"went from {before} to {event['what']} and was {state} before", None
                break
            last, state = event, STATE_OF.get(event["what"], event["what"])
        status = evidence.final.status.get(number)
        if status and last and status["state"] not in (state, "unknown") and not is_broken_by_a_fault(evidence, last, now):
            yield f"id {number}", f"is {status['state']} and its last event says {state}", None


def proved_by(evidence, operation):
    """When the removal of what was deleted must have been proved: after the last REGISTER of any of its Contacts."""
    line = evidence.timelines[operation.user]
    keys = {key_of(o.desired["contact"]) for o in line.operations if o.desired and o.id == operation.id}
    sent = [r.t for (_, user), registers in evidence.registers.items() if user == operation.user
            for r in registers if keys & set(map(key_of, r.binds + r.removes))]
    return evidence.excuses.chain((*HOLD_UP, "registrant", "registrants", "zombie"), max([operation.ended_at, *sent]), PROVED_S)


@rule
def removal_without_event(evidence):
    """A deletion is proved in the end, and once."""
    told = stories(evidence)
    for operation in evidence.history.operations:
        if operation.kind == "delete" and operation.outcome == ACKED:
            count = [e["what"] for e in told.get(operation.id, ())].count("removed")
            if count != 1 and not (count < 3 and may_be_lost(evidence, operation.sent_at, proved_by(evidence, operation))):
                yield operation.user, f"id {operation.id} was deleted, and its removal proved {count} times", operation.ended_at
