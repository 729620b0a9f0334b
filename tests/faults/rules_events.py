"""Rules about rollcall.events: each accepted write and each transition is one event, in order, however often it is delivered."""
import collections

from checker import rule
from history import ACKED, UNKNOWN
from timeline import SHOWN

CONFIGURED = ("created", "updated", "deleted")
STATE_OF = {"rebound": "registered"}  # a transition's name is the state's, but for these
UNTOLD = ("registering", "unregistered")  # states without an event of their own


def is_excused(evidence):
    return any(what in ("events", "writes") for w in evidence.history.windows for what, _ in w.excuses)


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
                counts[operation.id][0] += operation.outcome == ACKED and differs
                counts[operation.id][1] += 1
    return counts


@rule
def write_without_event(evidence):
    """Each id is created once, updated as often as was asked for, and deleted once if it was; revisions rise."""
    if is_excused(evidence):
        return
    told, changes = stories(evidence), changes_of(evidence)
    gone = {o.id for o in evidence.history.operations if o.kind == "delete" and o.outcome == ACKED}
    for operation in evidence.history.operations:
        if operation.kind != "create" or operation.outcome != ACKED:
            continue
        number = operation.id
        names = [e["what"] for e in told.get(number, ())]
        if names.count("created") != 1 or names[0] != "created":
            yield operation.user, f"id {number} has the story {names[:8]}", operation.sent_at
        updates = names.count("updated")
        least, most = changes[number]
        if not least <= updates <= most + 1:
            yield operation.user, f"id {number} was updated {updates} times by its events, and {least} to {most} times by its " \
                "writes", operation.sent_at
        if number in gone and names.count("deleted") != 1:
            yield operation.user, f"id {number} was deleted and has {names.count('deleted')} events of it", operation.sent_at
        revisions = [e["value"]["revision"] for e in told.get(number, ()) if e["what"] in CONFIGURED]
        if revisions != sorted(set(revisions)):
            yield operation.user, f"id {number} has revisions {revisions} in its events", operation.sent_at


@rule
def transition_without_event(evidence):
    """Transitions of an id are a chain, each begins where the one before ended, and the last is what its status says."""
    if is_excused(evidence):
        return
    for number, events in stories(evidence).items():
        state = None
        for event in events:
            if event["what"] in CONFIGURED:
                continue
            before = event["value"].get("previous_state")
            if state is not None and before != state and before not in UNTOLD:
                yield f"id {number}", f"went from {before} to {event['what']} and was {state} before", None
                break
            state = STATE_OF.get(event["what"], event["what"])
        status = evidence.final.status.get(number)
        if status and state is not None and status["state"] not in (state, "unknown"):
            yield f"id {number}", f"is {status['state']} and its last event says {state}", None


@rule
def removal_without_event(evidence):
    """A deletion is proved in the end, and once."""
    if is_excused(evidence):
        return
    told = stories(evidence)
    for operation in evidence.history.operations:
        if operation.kind == "delete" and operation.outcome == ACKED:
            count = [e["what"] for e in told.get(operation.id, ())].count("removed")
            if count != 1:
                yield operation.user, f"id {operation.id} was deleted, and its removal proved {count} times", operation.ended_at
