"""TCP as it is: messages in pieces and several in one, slow ends, ends, resets, refusals. RFC 3261 18.1, 18.3 and 18.4,
RFC 5626 4.4.1.
"""

import time

import pytest


@pytest.mark.parametrize("segment", [1, 7, 100])
def test_an_answer_in_pieces(registrant, registrar, segment):
    """RFC 3261 18.3: on a stream Content-Length says where a message ends, and nothing else does."""
    r = registrant.prepare(registrar, transport="tcp")
    registrar.script(r.aor, [{"segment": segment, "headers": {"X-Long": "y" * 500}}])
    r.send()
    assert r.registered()["target"] == "tcp:" + registrar.address


def test_a_slow_trickle(registrant, registrar):
    """RFC 3261 18.3: a message may take its time, as long as timer F lets it."""
    r = registrant.prepare(registrar, transport="tcp")
    registrar.script(r.aor, [{"segment": 40, "gap": 0.02}])
    r.send()
    r.registered()


def test_several_answers_in_one_segment(registrant, registrar):
    """RFC 3261 18.3: what follows a message's end is the next one; keep-alives between them are none (7.5)."""
    made = [registrant.prepare(registrar, transport="tcp") for _ in range(5)]
    for r in made:
        registrar.script(r.aor, [{"hold": True, "edit": lambda data: b"\r\n\r\n" + data + b"\r\n"}])
        r.send()
    registrar.wait(lambda: len(registrar.held) == 5)
    registrar.release(order=[4, 2, 0, 1, 3], together=True)
    for r in made:
        r.registered()
    assert len({q.connection for q in registrar.journal}) == 1


def test_a_body_is_read_and_left(registrant, registrar):
    """RFC 3261 18.3: Content-Length bytes belong to the message, whatever they are."""
    r = registrant.prepare(registrar, transport="tcp")
    registrar.script(r.aor, [{"status": 480, "body": "SIP/2.0 200 OK\r\n\r\n" * 20}, "normal"])
    r.send()
    r.wait("retrying")
    r.registered()
    assert len(registrar.connections) == 1


def test_one_connection_serves_all_registrations(registrant, registrar):
    """RFC 3261 18.1.1: connections are kept and used again for requests to the same address."""
    made = [registrant.want(registrar, transport="tcp") for _ in range(20)]
    for r in made:
        r.registered()
    assert len(registrar.connections) == 1 and registrar.connections[0].requests == 20
    made[0].command("refresh")
    made[0].wait("registered", revision=2)
    assert len(registrar.connections) == 1


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_connection_closed_in_place_of_an_answer_is_a_transport_error(registrant, registrar, how):
    """RFC 3261 8.1.3.1, 18.4: 503 of our own, at once; then another try on a new connection."""
    r = registrant.prepare(registrar, transport="tcp")
    registrar.script(r.aor, [{"status": None, "close": how}])
    began = time.monotonic()
    r.send()
    report = r.wait("retrying")
    assert report["cause"]["code"] == 503 and report["cause"]["by"] == "local" and time.monotonic() - began < 1
    r.registered()
    assert len(registrar.connections) == 2


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_an_idle_connection_that_was_closed_is_no_failure(registrant, registrar, how):
    """RFC 3261 18.1.1: the next request opens another; no transaction was lost."""
    r = registrant.want(registrar, transport="tcp")
    r.registered()
    registrant.see_lost(lambda: registrar.connections[0].close(how))
    r.command("refresh")
    r.wait("registered", revision=2)
    assert len(registrar.connections) == 2 and all(x["state"] == "registered" for x in r.reports)


def test_a_refusal_leaves_the_connection_open(registrant, registrar):
    """RFC 5626 4.2.2: a failure that can be recovered from, as a 503 with Retry-After, should not close the flow."""
    r = registrant.prepare(registrar, transport="tcp")
    registrar.script(r.aor, [{"status": 503, "headers": {"Retry-After": "1"}}])
    r.send()
    r.wait("retrying")
    r.registered()
    assert len(registrar.connections) == 1 and registrar.connections[0].is_open


def test_a_refused_connection_is_known_at_once(registrant, new_registrar):
    """RFC 3261 8.1.3.1: 503 of our own, no timer F."""
    registrar = new_registrar()
    registrar.listeners[0].close("tcp")
    began = time.monotonic()
    r = registrant.want(registrar, transport="tcp")
    report = r.wait("retrying")
    assert report["cause"]["code"] == 503 and report["cause"]["by"] == "local" and time.monotonic() - began < 1
    registrar.listeners[0].open("tcp")
    r.registered()


def test_silence_on_a_stream_is_a_408_and_nothing_is_repeated(registrant, registrar):
    """RFC 3261 17.1.2.2: timer E does not run on reliable transports, timer F does."""
    r = registrant.prepare(registrar, transport="tcp")
    registrar.script(r.aor, ["drop"])
    r.send()
    assert r.wait("retrying")["cause"]["code"] == 408
    assert len(registrar.requests(r.aor, repeated=True)) == 1


def test_a_connection_that_is_deaf_is_given_up(registrant, registrar):
    """RFC 5626 4.2.1: a flow is used while it works; one by which nothing came for a whole timer F does not."""
    r = registrant.want(registrar, transport="tcp")
    r.registered()
    registrar.listeners[0].silent = True
    r.command("refresh")
    r.wait_cause(408)
    registrar.listeners[0].silent = False
    registrar.wait(lambda: len(registrar.connections) == 2)
    r.registered(since=len(r.reports))
    assert registrar.journal[-1].connection is registrar.connections[1]


def test_a_connection_that_answers_others_is_kept(registrant, registrar):
    """RFC 5626 4.2.1: one request without an answer does not make the connection of all others a broken one."""
    mute, other = registrant.prepare(registrar, transport="tcp"), registrant.want(registrar, transport="tcp")
    other.registered()
    registrar.script(mute.aor, ["drop", "normal"])
    mute.send()
    registrar.wait(lambda: len(registrar.requests(mute.aor)) == 1)
    other.command("refresh")
    other.wait("registered", revision=2)
    mute.wait_cause(408)
    mute.registered()
    assert len(registrar.connections) == 1


def test_half_a_message_and_the_end(registrant, registrar):
    """RFC 3261 18.3, 18.4: what is not whole when the stream ends is no message."""
    r = registrant.prepare(registrar, transport="tcp")
    registrar.script(r.aor, [{"edit": lambda data: data[:len(data) // 2], "close": "fin"}])
    r.send()
    assert r.wait("retrying")["cause"]["code"] == 503
    r.registered()


@pytest.mark.parametrize("noise", [b"\x00" * 40, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"y" * 70000,
                                   b"SIP/2.0 200 OK\r\nContent-Length: -5\r\n\r\n",
                                   b"SIP/2.0 200 OK\r\nContent-Length: 99999999999\r\n\r\n"])
def test_noise_on_a_stream_ends_the_connection_and_no_more(registrant, registrar, noise):
    """RFC 3261 18.3: a stream whose next message cannot be found is of no use any more; another one is made."""
    r = registrant.prepare(registrar, transport="tcp")
    registrar.script(r.aor, [{"edit": lambda data: noise}])
    r.send()
    assert r.wait("retrying")["cause"]["code"] in (408, 503)
    r.registered()


def test_pings_of_the_other_end_are_answered(registrant, registrar):
    """RFC 5626 4.4.1, RFC 3261 7.5: a double CRLF between messages asks for one; it disturbs nothing."""
    r = registrant.want(registrar, transport="tcp")
    r.registered()
    [connection] = registrar.connections
    before = connection.bytes_in
    connection.send(b"\r\n\r\n")
    registrar.wait(lambda: connection.bytes_in >= before + 2)
    assert connection.bytes_in == before + 2
    r.command("refresh")
    r.wait("registered", revision=2)
    assert len(registrar.connections) == 1 and connection.pings == 0
