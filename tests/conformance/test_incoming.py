"""What others send to the registrant: RFC 3261 8.2 and 11."""

import pytest


def ask(registrar, registrant, transport, r, **arguments):
    to = ("127.0.0.1", registrant.port) if transport == "udp" else registrar.open_connections()[0]
    return registrar.ask(to, ruri="sip:%s@%s" % (r.user, registrant.address), **arguments)


@pytest.fixture(params=["udp", "tcp"])
def reached(request, registrant, registrar):
    """A function that asks the registrant, by way of a datagram or of the connection that it made."""
    r = registrant.want(registrar, transport=request.param)
    r.registered()
    return lambda **arguments: ask(registrar, registrant, request.param, r, **arguments)


def test_options_is_answered(reached):
    """RFC 3261 11.2: 200, with what it allows, accepts and supports."""
    answer = reached(method="OPTIONS")
    assert answer.status == 200 and "tag=" in answer.get("to")
    for name in ("allow", "accept", "accept-encoding", "accept-language", "supported"):
        assert answer.get(name) is not None, name
    assert "OPTIONS" in answer.get("allow")


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE", "NOTIFY", "REGISTER", "WHATEVER"])
def test_what_is_not_served_is_405(reached, method):
    """RFC 3261 8.2.1: a method that is not supported gets 405, with Allow."""
    answer = reached(method=method)
    assert answer.status in (405, 501) and answer.get("allow")


def test_within_a_dialog_that_never_was_it_is_481(reached):
    """RFC 3261 12.2.2: a To tag without its dialog."""
    assert reached(method="BYE", to="<sip:x@127.0.0.1>;tag=abc").status == 481


def test_an_extension_that_it_does_not_know_is_420(reached):
    """RFC 3261 8.2.2.3: Require of what is not understood; Unsupported lists it."""
    answer = reached(method="OPTIONS", headers={"Require": "x-unheard-of"})
    assert answer.status == 420 and "x-unheard-of" in answer.get("unsupported")
