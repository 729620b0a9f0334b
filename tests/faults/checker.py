#!/usr/bin/python3
"""Judges a run: check(history) gives the violations of what the architecture promises, and an empty list where there is none.

    tests/faults/checker.py DIRECTORY     judges a run that was written there

Each rule is a function of the evidence with a name, which test_checker.py breaks by hand. A rule errs on the side of silence
where a fault's window excuses what was seen (README.md), and nowhere else.
"""
import collections
import dataclasses
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import history as past  # noqa: E402
import timeline  # noqa: E402

RULES = {}


@dataclasses.dataclass
class Violation:
    rule: str
    subject: str
    text: str
    at: float = None

    def __str__(self):
        return f"{self.rule}: {self.subject}: {self.text}" + (f" (at {self.at:.3f})" if self.at is not None else "")


def rule(function):
    """Registers a rule, a generator of (subject, text, time or None)."""
    RULES[function.__name__] = function
    return function


class Evidence:
    """A history, sorted into what rules ask for."""

    def __init__(self, history):
        self.history, self.final = history, history.final
        self.excuses = timeline.Excuses(history.windows)
        self.timelines = timeline.timelines(history)
        self.registers = collections.defaultdict(list)  # (registrar, user): REGISTERs by time
        for register in history.registers:
            self.registers[register.registrar, timeline.user_of(register.aor)].append(register)
        self.losses = sorted(history.losses)

    def sender(self, register):
        """The registrant that sent it; None: nobody can tell, so it may be any."""
        senders = self.final.senders
        return senders.get(register.source) or senders.get(register.source.rpartition(":")[0])

    def states_at_end(self, user):
        return self.timelines[user].possible(self.final.at, self.final.at) if user in self.timelines else []

    def listed(self, user):
        """[(id, attributes)] of that name."""
        return [(number, shown) for number, shown in self.final.listing.items() if shown["name"] == user]

    def bound(self, registrar, user):
        """Bindings at the end."""
        return [b for aor, held in self.final.bindings.get(registrar, {}).items() if timeline.user_of(aor) == user
                for b in held if b["until"] > self.final.at]


def rules():
    """{name: rule}; they stand in files that need this one."""
    import rules_bindings, rules_end, rules_events, rules_writes  # noqa: E401,F401 pylint: disable=all
    return RULES


def check(history):
    evidence = Evidence(history)
    return [Violation(name, *found) for name, function in rules().items() for found in function(evidence)]


def summary(violations, most=5):
    """Text: how often each rule was broken, and the first of each."""
    by_rule = collections.defaultdict(list)
    for violation in violations:
        by_rule[violation.rule].append(violation)
    lines = []
    for name, found in by_rule.items():
        lines.append(f"{len(found)} × {name}")
        lines += [f"    {v.subject}: {v.text}" + (f" (at {v.at:.3f})" if v.at is not None else "") for v in found[:most]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.modules["checker"] = sys.modules["__main__"]
    result = check(past.load(sys.argv[1]))
    print(summary(result, 1000) or "no violation")
    sys.exit(bool(result))
