"""Rules about how a run ended: what is bound is what is wanted, the API says so, all is quiet, and nobody died."""
import datetime

from checker import rule
from rules_bindings import earliest
from timeline import key_of, user_of

REPORTED_S = 3
CLOCK_S = 6  # lifetimes are whole seconds, and a request counts from its sending


@rule
def left_bound(evidence):
    """Nothing is bound at the end that may not be wanted, and nothing twice."""
    for registrar, held in evidence.final.bindings.items():
        for aor, bindings in held.items():
            user, keys = user_of(aor), set()
            for binding in bindings:
                if binding["until"] <= evidence.final.at:
                    continue
                key = key_of(binding["uri"])
                if not any(s.wants(registrar, key) for s in evidence.states_at_end(user)):
                    yield user, f"{binding['uri']} is still bound at {registrar} for {binding['until'] - evidence.final.at:.0f} s", \
                        evidence.final.at
                if key in keys:
                    yield user, f"{key} is bound twice at {registrar}: {[b['uri'] for b in bindings]}", evidence.final.at
                keys.add(key)


def was_lied_to(evidence, registrar, user):
    """Whether the last answer told a longer lifetime than the registrar gave: before the next refresh nobody can know."""
    good = [r for r in evidence.registers[registrar, user] if r.status == 200 and r.t <= evidence.final.at]
    return bool(good) and good[-1].mode == ["lie", "long"]


@rule
def not_bound(evidence):
    """What is certainly wanted is bound at the end."""
    for user in evidence.timelines:
        states = evidence.states_at_end(user)
        if len({(s.enabled, s.key, s.desired and s.desired["registrar"]) for s in states}) > 1 or not states[0].enabled:
            continue
        wanted = states[0].desired
        bound = any(key_of(b["uri"]) == states[0].key for b in evidence.bound(wanted["registrar"], user))
        if not bound and not was_lied_to(evidence, wanted["registrar"], user):
            yield user, f"{wanted['contact']} is not bound at {wanted['registrar']}", evidence.final.at


def seconds_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def was_told_by_a_wrong_clock(evidence, last):
    """A report's times are of its registrant's clock, until the next refresh: of the one that refreshed it last, and of any that took it
    over since. last: the refresh, or None."""
    since = last.t - REPORTED_S if last else evidence.final.healed
    wrong = evidence.excuses.of(["clock"], since, evidence.final.at)
    return any(what == "clock" and name.startswith("registrant") for w in wrong for what, name in w.excuses)


def wrong_status(evidence, shown, status, bindings):
    """What is wrong with a status beside those bindings, or None."""
    registrar = next((n for n, address in evidence.final.registrars.items() if address == shown["domain"]), None)
    bound = [b for aor, held in bindings.get(registrar, {}).items() if user_of(aor) == shown["name"]
             for b in held if key_of(b["uri"]) == key_of(shown["contact"])]
    if not status.get("in-sync"):
        return f"its status is of revision {status.get('applied-revision')}, not {status.get('revision')}"
    expected = "registered" if shown["enabled"] else "disabled"
    if status["state"] != expected:
        return f"is {status['state']} ({status.get('code')} {status.get('reason')}), not {expected}"
    if not shown["enabled"]:
        return f"is disabled and bound at {registrar}" if bound else None
    if was_lied_to(evidence, registrar, shown["name"]):
        return None
    if not bound:
        return f"is registered and not bound at {registrar}"
    told, held = seconds_of(status["expires-at"]) - evidence.final.wall_offset, bound[0]["until"]
    asked = [r for r in evidence.registers[registrar, shown["name"]] if r.status == 200]
    if asked and evidence.final.at - asked[-1].t < REPORTED_S:
        return None  # the report of that may have come just after the list was read
    if abs(told - held) > CLOCK_S and not was_told_by_a_wrong_clock(evidence, asked[-1] if asked else None):
        return f"is said to end at {told:.1f} and ends at {held:.1f}"
    return None


@rule
def status_is_wrong(evidence):
    """At the end the API says of each what its registrar holds, just before or just after the list was read."""
    final = evidence.final
    for number, shown in final.listing.items():
        status = final.status.get(number)
        if status is None:
            yield shown["name"], f"id {number} has no status", final.at
            continue
        wrong = [wrong_status(evidence, shown, status, b) for b in (final.bindings, final.bindings_before or final.bindings)]
        if all(wrong):
            wrong = wrong[0]
            yield shown["name"], f"id {number} {wrong}", evidence.final.at


def lists_others(registers, register):
    """Whether what its sender is shown differs from what it was shown before: something that was left there has run out."""
    before = [r for r in registers if r.status == 200 and r.call_id == register.call_id and r.t < register.t]
    return bool(before) and {b["uri"] for b in before[-1].bound} != {b["uri"] for b in register.bound}


@rule
def not_quiet(evidence):
    """When nothing was asked for any more there are refreshes when they are due, a report of each, and nothing else but an event
    where a registrar lists other contacts than before."""
    quiet = evidence.final.quiet
    if not quiet:
        return
    begin, end, seen, news = quiet["begin"], quiet["end"], 0, 0
    for (registrar, user), registers in evidence.registers.items():
        within = [r for r in registers if begin <= r.t <= end]
        good = [r for r in within if r.status == 200]
        seen += len(good)
        news += sum(lists_others(registers, r) for r in good)
        if not good and within:
            yield user, f"{len(within)} REGISTERs at {registrar} got {sorted({r.status for r in within})}", within[0].t
        if good:
            least = min((c["expires"] for r in good for c in r.contacts), default=60) or 60
            if len(good) > 1 + (end - begin) / earliest(least):
                yield user, f"was registered {len(good)} times at {registrar} in {end - begin:.0f} s", good[0].t
    for topic, most in ("changes", 0), ("events", news), ("status", seen * 1.05 + 5):
        if quiet[topic] > most:
            yield topic, f"{quiet[topic]} records in {end - begin:.0f} s where nothing was asked for and {seen} REGISTERs were " \
                "answered", begin


@rule
def died(evidence):
    """No process ends by itself, nor shows a mistake of its own."""
    for death in evidence.final.deaths:
        yield death["process"], death["text"], None
