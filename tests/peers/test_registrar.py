"""The scriptable registrar itself: what other tests rely on has to be right first."""

import time

import pytest

from digest_check import Digest, response_of
from registrar import Registrar
from registrar_client import AOR, Client, authorization, challenge_of
from sip_message import Address, split_list


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_binds_refreshes_and_removes(transport):
    with Registrar() as r:
        client = Client(r, transport)
        status, text = client.register(cseq=1)
        assert status == 200 and "Contact: <sip:alice@127.0.0.1:5099>;expires=60" in text
        assert ";rport=%d;received=127.0.0.1" % client.socket.getsockname()[1] in text
        [binding] = r.bindings(AOR)
        assert binding.transport == transport and 58 < binding.expires_in <= 60
        assert client.register(cseq=2, expires=120)[0] == 200
        assert r.bindings(AOR)[0].expires_in > 100
        assert client.register(cseq=3, expires=0)[0] == 200
        assert r.bindings(AOR) == []
        assert [q.cseq for q in r.requests(AOR)] == [1, 2, 3]
        assert r.journal[0].source == client.socket.getsockname() and r.journal[0].answer.status == 200


def test_a_cseq_that_does_not_rise_changes_nothing():
    with Registrar() as r:
        client = Client(r)
        assert client.register(cseq=5)[0] == 200
        assert client.register(cseq=5, expires=0)[0] == 500
        assert client.register(cseq=4, contact="*", expires=0)[0] == 500
        assert len(r.bindings(AOR)) == 1
        assert client.register(cseq=1, call_id="c2", expires=90)[0] == 200  # another Call-ID
        assert r.bindings(AOR)[0].call_id == "c2"


def test_star_removes_all_and_needs_expires_0():
    with Registrar() as r:
        client = Client(r)
        client.register(cseq=1, contact="<sip:a@h>, <sip:b@h>;expires=30")
        assert sorted(round(b.expires_in) for b in r.bindings(AOR)) == [30, 60]
        assert client.register(cseq=2, contact="*", expires=60)[0] == 400
        assert client.register(cseq=3, contact="*", expires=0)[0] == 200
        assert r.bindings(AOR) == []


def test_a_repeated_request_gets_the_same_answer():
    with Registrar() as r:
        client = Client(r)
        r.script(AOR, [{"status": 503, "headers": {"Retry-After": "5"}}, "drop", 404])
        first = client.register(branch="x")[1]
        assert "Retry-After: 5" in first and client.register(branch="x")[1] == first
        client.send(cseq=2, branch="y")
        client.send(cseq=2, branch="y")
        assert client.register(cseq=3)[0] == 404
        assert client.register(cseq=4)[0] == 200
        assert [q.repeated for q in r.journal] == [False, True, False, True, False, False]
        assert [q.answer and q.answer.status for q in r.requests(AOR)] == [503, None, 404, 200]


def test_a_script_may_be_a_function_and_may_go_on():
    with Registrar() as r:
        client = Client(r)
        r.script(None, [lambda q: "normal" if q.cseq == 2 else {"status": 480, "delay": 0.05}], repeat=True)
        assert [client.register(cseq=n)[0] for n in (1, 2, 3)] == [480, 200, 480]


def test_too_brief_is_423_and_grants_are_clamped():
    with Registrar(min_expires=50, max_expires=55) as r:
        client = Client(r)
        status, text = client.register(cseq=1, expires=20)
        assert status == 423 and "Min-Expires: 50" in text
        assert "expires=55" in client.register(cseq=2, expires=3600)[1]


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256"])
def test_digest_is_checked(algorithm):
    with Registrar(digest=Digest({"alice": "secret"}, algorithms=[algorithm])) as r:
        client = Client(r)
        status, text = client.register(cseq=1)
        [challenge] = challenge_of(text)
        assert status == 401 and challenge["algorithm"] == algorithm and "stale" not in challenge
        assert client.register(cseq=2, extra=authorization(challenge))[0] == 200
        assert client.register(cseq=3, extra=authorization(challenge, nc=2))[0] == 200
        status, text = client.register(cseq=4, extra=authorization(challenge, nc=2))  # replayed
        assert status == 401 and challenge_of(text)[0]["stale"] == "true"
        status, text = client.register(cseq=5, extra=authorization(challenge, "other", nc=3))
        assert status == 401 and "stale" not in challenge_of(text)[0]
        assert [q.auth_result for q in r.journal] == [None, "ok", "ok", "stale", "wrong"]


def test_several_challenges_in_order_and_old_nonces():
    digest = Digest({"alice": "secret"}, algorithms=["SHA-256", "MD5"], qop=None, nonce_lifetime=0.05)
    with Registrar(digest=digest) as r:
        client = Client(r)
        first, second = challenge_of(client.register(cseq=1)[1])
        assert (first["algorithm"], second["algorithm"]) == ("SHA-256", "MD5")
        made = digest.nonces[second["nonce"]][0]
        r.wait(lambda: time.monotonic() - made > 0.06, 5)
        status, text = client.register(cseq=2, extra=authorization(second, qop=None))
        assert status == 401 and challenge_of(text)[0]["stale"] == "true"


def test_the_response_of_rfc_7616_3_9_1():
    params = {"username": "Mufasa", "realm": "http-auth@example.org", "uri": "/dir/index.html", "qop": "auth",
              "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "nc": "00000001",
              "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"}
    assert response_of(dict(params, algorithm="MD5"), "GET", "Circle of Life") == "8ca523f5e9506fed4657c9700eebdbec"
    assert response_of(dict(params, algorithm="SHA-256"), "GET", "Circle of Life") == (
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")


def test_what_is_no_sip_is_ignored_and_a_bad_request_is_400():
    with Registrar() as r:
        client = Client(r)
        client.socket.send(b"hello")
        client.socket.send(b"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n")
        assert client.receive()[0] == 400
        assert r.journal == []


def test_wait_says_what_there_was():
    with Registrar() as r:
        Client(r).register()
        with pytest.raises(TimeoutError, match="cseq=1"):
            r.wait(lambda: False, 0.1)


def test_lists_and_addresses_are_cut_where_they_should_be():
    assert split_list('"a, b" <sip:x,y@h>;q=1, <sip:z@h>') == ['"a, b" <sip:x,y@h>;q=1', "<sip:z@h>"]
    address = Address('"A" <sip:a@h;x=1>;expires=5;+sip.instance="<u;v>"')
    assert (address.uri, address.params) == ("sip:a@h;x=1", {"expires": "5", "+sip.instance": '"<u;v>"'})
