"""That registrars are not flooded and do not hold each other up, on a real clock; how exactly is for the scenarios
(core/pacer.c).
"""

import time

SETTINGS = {"policy": {"registrar_rate": 20, "aor_rate": 2}}


def test_a_503_with_retry_after_holds_all_of_that_registrar(registrant, registrar, new_registrar):
    """RFC 3261 21.5.4: no other requests are to be forwarded to that server for so long."""
    other = new_registrar()
    first = registrant.prepare(registrar)
    registrar.script(first.aor, [{"status": 503, "headers": {"Retry-After": "2"}}])
    first.send()
    first.wait("retrying")
    began = time.monotonic()
    second, elsewhere = registrant.want(registrar), registrant.want(other)
    elsewhere.registered()
    assert time.monotonic() - began < 1
    second.registered()
    assert registrar.requests(second.aor)[0].time - registrar.requests(first.aor)[0].time > 1.8


def test_a_registrar_is_asked_no_faster_than_its_rate(registrant, registrar):
    """A setting: 20 a second here; RFC 3261 knows none but 503."""
    made = [registrant.want(registrar) for _ in range(40)]
    for r in made:
        r.registered()
    times = sorted(q.time for q in registrar.requests())
    busiest = max(sum(1 for t in times if start <= t < start + 1) for start in times)
    assert busiest <= 42 and times[-1] - times[0] > 0.7


def test_an_address_of_record_is_asked_no_faster_than_carriers_take(registrant, registrar):
    """Carriers refuse more than a few a second for one address of record."""
    r = registrant.want(registrar)
    r.registered()
    for _ in range(2):
        r.command("refresh")
        sent = len(registrar.requests(r.aor))
        registrar.wait(lambda sent=sent: len(registrar.requests(r.aor)) > sent, 5)
    times = [q.time for q in registrar.requests(r.aor)]
    assert times[-1] - times[0] > 0.9


def test_a_silent_registrar_does_not_hold_others_up(registrant, registrar, new_registrar):
    """RFC 3261 17.1.2.2: waiting for an answer is not work."""
    silent = new_registrar()
    silent.listeners[0].silent = True
    waiting = [registrant.want(silent) for _ in range(50)]
    silent.wait(lambda: silent.journal)
    began = time.monotonic()
    made = [registrant.want(registrar) for _ in range(10)]
    for r in made:
        r.registered()
    assert time.monotonic() - began < 1.5
    waiting[0].wait("retrying")
