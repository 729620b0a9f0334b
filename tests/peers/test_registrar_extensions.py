"""The scriptable registrar's extensions: options, outbound, GRUU, bulk contacts, foreign and altered bindings, and digests
of every kind.
"""

import hashlib

import pytest

from digest_check import Digest
from registrar import Registrar
from registrar_client import AOR, Client, authorization, challenge_of

INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"'
OUTBOUND = "<sip:alice@127.0.0.1:5099>;reg-id=%d;" + INSTANCE


def test_a_fetch_lists_foreign_bindings_too():
    with Registrar() as r:
        client = Client(r)
        client.register(cseq=1)
        r.bind(AOR, "sip:alice@192.0.2.99", 100, q="0.5")
        status, text = client.register(cseq=2, contact=None, expires=None)
        assert status == 200 and text.count("\r\nContact: ") == 2
        assert "Contact: <sip:alice@192.0.2.99>;q=0.5;expires=100\r\n" in text


def test_answers_carry_what_they_are_told():
    with Registrar(service_route=["<sip:a;lr>", "<sip:b;lr>"], associated=["<tel:+1>"], require=["x"],
                   alter=lambda binding, text: text.replace("alice", "bob")) as r:
        text = Client(r).register(extra=["Path: <sip:p;lr>"])[1]
        for line in ("Service-Route: <sip:a;lr>", "Service-Route: <sip:b;lr>", "P-Associated-URI: <tel:+1>", "Require: x",
                     "Path: <sip:p;lr>", "Contact: <sip:bob@127.0.0.1:5099>;expires=60"):
            assert line + "\r\n" in text
        r.location.alter = lambda binding, text: None
        assert "Contact:" not in Client(r).register(cseq=2)[1]


def test_an_option_that_it_does_not_know_is_420():
    with Registrar() as r:
        status, text = Client(r).register(extra=["Require: path, gin"])
        assert status == 420 and "\r\nUnsupported: gin\r\n" in text and r.bindings(AOR) == []


def test_outbound_binds_by_instance_and_reg_id():
    with Registrar(supports=["outbound", "path"], flow_timer=30) as r:
        client = Client(r)
        supported = ["Supported: outbound, path"]
        text = client.register(cseq=1, contact=OUTBOUND % 1, extra=supported)[1]
        assert "\r\nFlow-Timer: 30\r\n" in text and "\r\nRequire: outbound\r\n" in text
        client.register(cseq=2, contact=OUTBOUND % 2, extra=supported)
        client.register(cseq=3, contact=(OUTBOUND % 1).replace("5099", "5098"), extra=supported)
        assert sorted((b.params["reg-id"], b.uri[-4:]) for b in r.bindings(AOR)) == [("1", "5098"), ("2", "5099")]
        r.location.first_hop_outbound = False
        assert client.register(cseq=4, contact=OUTBOUND % 1, extra=supported)[0] == 439
        assert client.register(cseq=5, contact=OUTBOUND % 1)[0] == 200


def test_gruus_are_given_and_the_temporary_one_changes():
    with Registrar(supports=["gruu"]) as r:
        client = Client(r)
        contact = "<sip:alice@127.0.0.1:5099>;" + INSTANCE
        first, second = (client.register(cseq=n, contact=contact, extra=["Supported: gruu"])[1] for n in (1, 2))
        assert 'pub-gruu="%s;gr=urn:uuid:00000000-0000-1000-8000-000a95a0e128"' % AOR in first
        temporary = [text.partition("temp-gruu=")[2].split('"')[1] for text in (first, second)]
        assert temporary[0] != temporary[1]
        assert "gruu" not in client.register(cseq=3, contact=contact)[1]


def test_bulk_contacts_need_the_option_and_no_user():
    with Registrar(supports=["gin"]) as r:
        client = Client(r)
        bulk, extra = "<sip:127.0.0.1:5099;bnc>", ["Require: gin", "Proxy-Require: gin"]
        assert client.register(cseq=1, contact=bulk)[0] == 400
        assert client.register(cseq=2, contact="<sip:alice@127.0.0.1;bnc>", extra=extra)[0] == 400
        assert client.register(cseq=3, contact=bulk, extra=extra)[0] == 200
        assert r.bindings(AOR)[0].uri == "sip:127.0.0.1:5099;bnc"


# ---- digests

@pytest.mark.parametrize("qop", ["auth-int", "auth"])
def test_the_body_counts_with_auth_int_only(qop):
    with Registrar(digest=Digest({"alice": "secret"}, algorithms=["SHA-512-256-sess"], qop=qop)) as r:
        client = Client(r)
        [challenge] = challenge_of(client.register(cseq=1)[1])
        credentials = authorization(challenge, qop=qop, body="hello")
        status = client.register(cseq=2, extra=credentials, body="hullo")[0]
        assert status == (401 if qop == "auth-int" else 200)
        credentials = authorization(challenge, qop=qop, body="hello", nc=2)
        assert client.register(cseq=3, extra=credentials, body="hello")[0] == 200


def test_a_name_may_be_hashed_where_that_is_offered():
    hashed = hashlib.sha256(b"alice:example.com").hexdigest()
    for offered in (True, False):
        with Registrar(digest=Digest({"alice": "secret"}, algorithms=["SHA-256"], userhash=offered)) as r:
            client = Client(r)
            [challenge] = challenge_of(client.register(cseq=1)[1])
            assert challenge.get("userhash") == ("true" if offered else None)
            credentials = authorization(challenge, username=hashed, userhash="true")
            assert client.register(cseq=2, extra=credentials)[0] == (200 if offered else 401)


def test_a_proxy_and_a_registrar_challenge_at_once_or_in_turn():
    for together, statuses in ((True, [401, 401, 200]), (False, [407, 401, 200])):
        proxy = Digest({"alice": "p"}, realm="proxy", proxy=True)
        own = Digest({"alice": "o"})
        with Registrar(digest=[proxy, own], together=together) as r:
            client = Client(r)
            seen, text = [], client.register(cseq=1)
            seen.append(text[0])
            challenges = {c["realm"]: c for c in challenge_of(text[1])}
            assert set(challenges) == ({"proxy", "example.com"} if together else {"proxy"})
            first = authorization(challenges["proxy"], "p", proxy=True)
            text = client.register(cseq=2, extra=first)
            seen.append(text[0])
            [challenge] = challenge_of(text[1])
            assert challenge["realm"] == "example.com"
            first = authorization(challenges["proxy"], "p", proxy=True, nc=2)
            seen.append(client.register(cseq=3, extra=first + authorization(challenge, "o"))[0])
            assert seen == statuses


def test_two_realms_of_one_kind_are_told_apart():
    with Registrar(digest=[Digest({"alice": "a"}, realm="a"), Digest({"alice": "b"}, realm="b")]) as r:
        client = Client(r)
        one, two = challenge_of(client.register(cseq=1)[1])
        assert client.register(cseq=2, extra=authorization(two, "b"))[0] == 401
        assert client.register(cseq=3, extra=authorization(one, "a") + authorization(two, "b", nc=2))[0] == 200


def test_a_nonce_may_be_good_for_one_use_and_the_next_one_is_told():
    with Registrar(digest=Digest({"alice": "secret"}, max_uses=1), next_nonce=True) as r:
        client = Client(r)
        [challenge] = challenge_of(client.register(cseq=1)[1])
        status, text = client.register(cseq=2, extra=authorization(challenge))
        told = dict(challenge, nonce=text.partition('nextnonce="')[2].partition('"')[0])
        assert status == 200
        status, text = client.register(cseq=3, extra=authorization(challenge, nc=2))
        assert status == 401 and challenge_of(text)[0]["stale"] == "true"
        assert client.register(cseq=4, extra=authorization(told))[0] == 200


def test_a_challenge_may_be_scripted_though_all_is_well():
    with Registrar(digest=Digest({"alice": "secret"})) as r:
        r.script(AOR, [407])
        status, text = Client(r).register()
        assert status == 407 and "Proxy-Authenticate: Digest" in text
