"""Everything at once, drawn from a seed: a registrar that loses, delays, repeats, cuts, refuses and forgets. When it has
come to its senses, every registration is bound, and what is reported is what the registrar holds.
"""

import contextlib
import random
import time

import pytest

from conftest import new_digest

STEPS = 100
COUNT = 30
TRANSPORTS = ["udp", "tcp", "tls"]


def SETTINGS(request):  # noqa: N802: see conftest
    return {"tls_ca_file": str(request.getfixturevalue("certificates").ca.certificate)}


def draw(rng, transport):
    """A step for one REGISTER."""
    steps = ["normal", "normal", "drop", 401, 407, 400, 480, 500, {"status": 503}, 504, {"delay": rng.random()},
             {"copies": 3}, {"provisional": [100]}, {"status": 500, "copies": 2},
             {"edit": lambda data: data[:rng.randrange(len(data))]},
             {"edit": lambda data: bytes(b if rng.random() > 0.02 else rng.randrange(256) for b in data)},
             {"edit": lambda data: [data.replace(b"z9hG4bK", b"z9hG4bKx"), data]}]
    if transport == "udp":
        steps += [{"other_port": True}, {"received": ("192.0.2.9", 1234)}]
    else:
        steps += [{"segment": 1}, {"segment": 9, "gap": 0.001}, {"close": "fin"}, {"status": None, "close": "rst"}]
    return rng.choice(steps)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("seed", [1])
def test_all_are_bound_in_the_end(registrant, new_registrar, certificates, transport, seed):
    """RFC 3261 10.2, 17.1.2, 18.4 and 22 together."""
    rng = random.Random(seed)
    registrar = new_registrar(digest=new_digest(max_uses=3), tls=certificates.server(ips=["127.0.0.1"]).context())
    registrar.script(None, [lambda request: draw(rng, transport)], repeat=True)
    where = {"domain": "127.0.0.1:%d" % registrar.tls_port} if transport == "tls" else {}
    made = [registrant.want(None if where else registrar, transport=transport, **where) for _ in range(COUNT)]
    for _ in range(STEPS):
        seen = len(registrar.journal)
        rng.choice(made).command("refresh")
        if rng.random() < 0.02:
            registrar.forget()
        with contextlib.suppress(TimeoutError):  # the breaker may hold it
            registrar.wait(lambda seen=seen: len(registrar.journal) > seen, 0.03)
    registrar.script(None, [])
    for r in made:
        r.command("refresh")
    for r in made:
        r.wait("registered", revision=r.revision, seconds=30)
    registrant.wait_stats(lambda s: s["in_flight"] == 0)
    for r in made:
        [binding] = registrar.bindings(r.aor)
        assert binding.uri == "sip:%s@%s" % (r.user, registrant.address) and binding.cseq <= r.report["bound"]["cseq"]
        assert abs(binding.expires_in - (r.report["expires_at_ms"] / 1000 - time.time())) < 5
