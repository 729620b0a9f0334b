"""What a registration may have been wanted to be at any time, from the writer's records alone.

A write that was acknowledged holds from its answer at the latest, and ends what held before it. One whose outcome is unknown
may never have been done, or may be done late: by a gateway that was frozen with the request in its socket, say. It is possible
from its sending on, beside what held before.
"""
import dataclasses
import math
import re

from history import REFUSED, UNKNOWN

LATE_S = 20  # a request that got no answer is done by then, or never, where nothing holds its gateway up
SHOWN = {"name": "username", "username": "username", "domain": "domain", "contact": "contact", "expire": "expire",
         "auth-user": "auth_user", "enabled": "enabled", "pop": "pop"}
EXISTING = ("change", "move", "enable", "disable")


def key_of(contact):
    """The part of a Contact that tells which write it is of."""
    found = re.match(r"<?sips?:([^@;>]+)@", contact)
    return found.group(1) if found else contact


def user_of(aor):
    return aor.partition(":")[2].partition("@")[0]


@dataclasses.dataclass
class State:
    """desired None: there is no such registration."""
    start: float
    end: float
    desired: dict
    operation: object = None
    late: float = -math.inf  # until when it may still be done for the first time

    @property
    def enabled(self):
        return self.desired is not None and self.desired["enabled"]

    @property
    def key(self):
        return key_of(self.desired["contact"]) if self.desired else None

    def wants(self, registrar, key):
        return self.enabled and self.desired["registrar"] == registrar and self.key == key


class Excuses:
    """Asks the windows of the faults. What is asked for is a name of README.md's table, or a pair of one and its subject; with a
    subject of None it is of any."""

    def __init__(self, windows):
        self.windows = windows

    @staticmethod
    def _fits(excuse, whats):
        what, name = excuse
        return any(what == w if isinstance(w, str) else what == w[0] and (w[1] is None or name in (w[1], "all")) for w in whats)

    def of(self, whats, begin, end):
        """The windows that overlap and excuse one of these."""
        return [w for w in self.windows if w.overlaps(begin, end) and any(self._fits(e, whats) for e in w.excuses)]

    def chain(self, whats, begin, seconds):
        """begin + seconds, where windows of these that overlap put the end off, each by that many seconds after it."""
        end = begin + seconds
        while True:
            later = max([(w.end or math.inf) + seconds for w in self.of(whats, begin, end)], default=end)
            if later <= end:
                return end
            end = later


def hold_up(operation):
    """What may keep a request from being done."""
    return ("redis", ("gateway", operation.gateway))


class Timeline:
    def __init__(self, operations, excuses):
        self.operations = sorted(operations, key=lambda o: o.sent_at)
        self.states = [State(-math.inf, math.inf, None)]
        for operation in self.operations:
            if operation.writes:
                self._take(operation, excuses)

    def _take(self, operation, excuses):
        gone = operation.outcome == REFUSED and operation.status == 404 and operation.kind != "create"
        if operation.outcome == REFUSED and not gone:
            return
        desired = None if gone or operation.kind == "delete" else operation.desired
        late = -math.inf
        if operation.outcome == UNKNOWN:
            late = excuses.chain(hold_up(operation), operation.ended_at, LATE_S)
        elif not excuses.of(["writes"], operation.sent_at, operation.ended_at):
            self._close(operation, desired)
        self.states.append(State(operation.sent_at, math.inf, desired, operation, late))

    def _close(self, operation, desired):
        for state in self.states:
            if state.end < math.inf:
                continue
            done = state.late <= operation.sent_at
            # What would change a registration finds nothing once that is deleted.
            buried = desired is None and state.operation is not None and state.operation.kind in EXISTING
            once = operation.keyed and state.operation is not None and state.operation.keyed and desired == state.desired
            if done or buried or once:
                state.end = operation.ended_at

    def possible(self, begin, end):
        return [s for s in self.states if s.start <= end and s.end >= begin]

    def wanted_by_all(self, registrar, key, begin, end):
        return all(s.wants(registrar, key) for s in self.possible(begin, end))

    def wanted_by_any(self, registrar, key, begin, end):
        return any(s.wants(registrar, key) for s in self.possible(begin, end))

    def touched(self, begin, end):
        """Whether anything but a read was asked for in that time."""
        return any(o.kind != "read" and o.sent_at <= end and o.ended_at >= begin for o in self.operations)


def timelines(history):
    """{user: Timeline}."""
    excuses = Excuses(history.windows)
    by_user = {}
    for operation in history.operations:
        by_user.setdefault(operation.user, []).append(operation)
    return {user: Timeline(operations, excuses) for user, operations in by_user.items()}


def is_shown(desired, attributes):
    """Whether what the API shows is that."""
    return all(attributes.get(wire) == desired[member] for wire, member in SHOWN.items())
