"""Challenges and credentials: RFC 3261 22, RFC 7616, RFC 8760. The registrar's own arithmetic (tests/peers/digest_check.py)
decides whether they are right.
"""

import hashlib

import pytest

from conftest import new_digest

ALGORITHMS = ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"]


def answers(registrar, r):
    return [q.answer and q.answer.status for q in registrar.requests(r.aor)]


def auth(registrar, r, number=-1):
    return registrar.requests(r.aor)[number].auth


# ---- every kind

@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth,auth-int"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_with_every_quality(registrant, new_registrar, algorithm, qop):
    """RFC 7616 3.4, RFC 8760 2: MD5, SHA-256 and SHA-512-256, each with -sess, auth and auth-int."""
    registrar = new_registrar(digest=new_digest(algorithms=[algorithm], qop=qop, opaque="o p"))
    r = registrant.want(registrar)
    r.registered()
    assert answers(registrar, r) == [401, 200]
    sent = auth(registrar, r)
    assert sent["algorithm"] == algorithm and sent["opaque"] == "o p" and sent["nc"] == "00000001"
    assert sent["qop"] == ("auth-int" if qop == "auth-int" else "auth") and sent["uri"] == "sip:example.com"


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256"])
def test_without_a_quality_neither_count_nor_client_nonce_is_sent(registrant, new_registrar, algorithm):
    """RFC 3261 22.4 no. 8: cnonce and nc must not be there where the challenge has no qop."""
    registrar = new_registrar(digest=new_digest(algorithms=[algorithm], qop=None))
    r = registrant.want(registrar)
    r.registered()
    assert answers(registrar, r) == [401, 200] and not {"qop", "nc", "cnonce"} & set(auth(registrar, r))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("proxy", [False, True])
def test_a_registrar_and_a_proxy_may_challenge(registrant, new_registrar, transport, proxy):
    """RFC 3261 22.2, 22.3: 401 is answered in Authorization, 407 in Proxy-Authorization; the CSeq rises."""
    registrar = new_registrar(digest=new_digest(), proxy=proxy)
    r = registrant.want(registrar, transport=transport)
    r.registered()
    assert answers(registrar, r) == [407 if proxy else 401, 200]
    first, second = registrar.requests(r.aor)
    assert second.credentials[0][0] is proxy and second.cseq > first.cseq
    assert (second.call_id, second.from_) == (first.call_id, first.from_)


@pytest.mark.parametrize("together", [True, False])
def test_proxy_and_registrar_in_one_answer_or_in_turn(registrant, new_registrar, together):
    """RFC 3261 22.3: credentials for each challenge; those of the proxy go on being sent."""
    own, proxy = new_digest(algorithms=["SHA-256"]), new_digest(realm="proxy", proxy=True)
    registrar = new_registrar(together=together, digest=[proxy, own])
    r = registrant.want(registrar)
    r.registered()
    assert answers(registrar, r) == ([401, 200] if together else [407, 401, 200])
    assert [proxy for proxy, _ in registrar.requests(r.aor)[-1].credentials] == [False, True]


def test_two_realms_get_their_own_credentials(registrant, new_registrar):
    """RFC 3261 22.1: credentials of one realm are never sent to another."""
    registrar = new_registrar(digest=[new_digest(realm="a", passwords={"ua": "pa"}),
                                      new_digest(realm="b", passwords={"ub": "pb"})])
    r = registrant.want(registrar, credentials=[{"realm": "b", "user": "ub", "secret": "pb"},
                                                {"realm": "a", "user": "ua", "secret": "pa"}])
    r.registered()
    sent = {params["realm"]: params["username"] for _, params in registrar.requests(r.aor)[-1].credentials}
    assert sent == {"a": "ua", "b": "ub"} and answers(registrar, r) == [401, 200]


@pytest.mark.parametrize("offered, taken", [
    (["SHA-512-256", "MD5"], "SHA-512-256"), (["MD5", "SHA-256"], "MD5"), (["SHA-3-999", "SHA-256", "MD5"], "SHA-256"),
    (["AKAv1-MD5", "MD5"], "MD5")])
def test_the_topmost_that_it_knows_is_answered(registrant, registrar, offered, taken):
    """RFC 8760 2.4: challenges of one realm stand in the order of preference; the first that is supported is used."""
    r = registrant.prepare(registrar)
    headers = [("WWW-Authenticate", 'Digest realm="example.com", nonce="n%s", algorithm=%s, qop="auth"' % (a, a))
               for a in offered]
    registrar.script(r.aor, [{"status": 401, "headers": headers}])
    r.send()
    r.registered()
    assert [params["algorithm"] for _, params in registrar.requests(r.aor)[1].credentials] == [taken]


def test_several_challenges_may_stand_in_one_header(registrant, registrar):
    """RFC 7616 3.7: a list of challenges, its commas those of parameters and of challenges alike; other schemes are left."""
    r = registrant.prepare(registrar)
    value = ('Basic realm="x, y", Digest realm="example.com", nonce="a,b\\"c", algorithm=SHA-256, qop="auth, auth-int", '
             'Digest realm="example.com", nonce="z", algorithm=MD5')
    registrar.script(r.aor, [{"status": 401, "headers": {"WWW-Authenticate": value}}])
    r.send()
    r.registered()
    [(_, sent)] = registrar.requests(r.aor)[1].credentials
    assert sent["algorithm"] == "SHA-256" and sent["nonce"] == 'a,b"c' and sent["qop"] == "auth"
    assert 'nonce="a,b\\"c"' in registrar.requests(r.aor)[1].header("authorization")


@pytest.mark.parametrize("value", [
    'Basic realm="example.com"', 'Digest realm="example.com", nonce="x", algorithm=SHA-3-999',
    'Digest realm="example.com", nonce="x", qop="unheard-of"', 'Digest realm="example.com"', "Digest",
    'Digest nonce="x"', "", 'Digest realm="example.com, nonce="x"', "\x7f" * 300])
def test_a_challenge_that_cannot_be_answered_is_no_loop(registrant, registrar, value):
    """RFC 3261 22: nothing is sent that answers none; the cause says so. Basic is never used (22)."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"status": 401, "headers": {"WWW-Authenticate": value} if value else {}}], repeat=True)
    r.send()
    report = r.wait_cause(401)
    assert report["state"] in ("rejected", "retrying")
    assert all(not q.credentials for q in registrar.requests(r.aor)) and len(registrar.requests(r.aor)) == 1


def test_a_session_algorithm_without_a_quality_cannot_be_answered(registrant, registrar):
    """RFC 3261 22.4 no. 8: cnonce must not be sent without qop, and -sess needs it."""
    r = registrant.prepare(registrar)
    value = 'Digest realm="example.com", nonce="n", algorithm=MD5-sess'
    registrar.script(r.aor, [{"status": 401, "headers": {"WWW-Authenticate": value}}], repeat=True)
    r.send()
    r.wait_cause(401)
    assert len(registrar.requests(r.aor)) == 1


def test_a_quoted_realm_is_hashed_without_its_backslashes(registrant, new_registrar):
    """RFC 7616 3.3, 3.4.2: unq() takes the quotes and the quoting backslashes away; what is sent back is as it came."""
    realm = 'a "b" \\ c'
    digest = new_digest(realm=realm)
    digest.challenges = lambda stale=False: ['Digest realm="a \\"b\\" \\\\ c", nonce="%s", algorithm=MD5, qop="auth"'
                                             % digest.new_nonce()]
    registrar = new_registrar(digest=digest)
    r = registrant.want(registrar)
    r.registered()
    assert answers(registrar, r) == [401, 200]


# ---- nonces

def test_refreshes_send_credentials_unasked_and_count(registrant, guarded):
    """RFC 3261 22.2, RFC 7616 3.4.5: the nonce is used again; its count rises by one with each request."""
    r = registrant.want(guarded)
    r.registered()
    for number in (2, 3, 4):
        r.command("refresh")
        r.wait("registered", revision=number)
    assert answers(guarded, r) == [401, 200, 200, 200, 200]
    assert [q.auth["nc"] for q in guarded.requests(r.aor)[1:]] == ["%08x" % n for n in (1, 2, 3, 4)]
    assert len({q.auth["nonce"] for q in guarded.requests(r.aor)[1:]}) == 1
    assert len({q.auth["cnonce"] + q.auth["nc"] for q in guarded.requests(r.aor)[1:]}) == 4


def test_a_stale_nonce_is_replaced_without_a_failure(registrant, new_registrar):
    """RFC 7616 3.3: stale=true says that the password was right; the request is sent again with the new nonce."""
    registrar = new_registrar(digest=new_digest(max_uses=1))
    r = registrant.want(registrar)
    r.registered()
    r.command("refresh")
    report = r.wait("registered", revision=2)
    assert answers(registrar, r) == [401, 200, 401, 200] and "attempt" not in report
    assert [q.auth_result for q in registrar.requests(r.aor)] == [None, "ok", "stale", "ok"]
    assert all(x["state"] == "registered" for x in r.reports)


def test_a_challenge_to_an_old_nonce_is_no_refusal_even_without_stale(registrant, guarded):
    """RFC 7616 3.3: a registrar that lost its nonces may not know that it made them."""
    r = registrant.want(guarded)
    r.registered()
    guarded.digest.forget_nonces()
    guarded.script(r.aor, [401])
    r.command("refresh")
    r.wait("registered", revision=2)
    assert answers(guarded, r) == [401, 200, 401, 200] and all(x["state"] == "registered" for x in r.reports)


def test_the_next_nonce_is_used(registrant, new_registrar):
    """RFC 7616 3.5: nextnonce should be used for the next request, its count beginning anew."""
    registrar = new_registrar(digest=new_digest(max_uses=1), next_nonce=True)
    r = registrant.want(registrar)
    r.registered()
    r.command("refresh")
    r.wait("registered", revision=2)
    assert answers(registrar, r) == [401, 200, 200]
    one, two = [q.auth for q in registrar.requests(r.aor)[1:]]
    assert one["nonce"] != two["nonce"] and two["nc"] == "00000001"


def test_the_next_nonce_of_a_proxy_is_its_own(registrant, new_registrar):
    """RFC 7616 3.8: Proxy-Authentication-Info is to a proxy's challenge what Authentication-Info is to a registrar's."""
    digest = new_digest(max_uses=1)
    registrar = new_registrar(digest=digest, proxy=True)
    r = registrant.prepare(registrar)
    told = []

    def tell(_request):
        told.append(digest.new_nonce())
        return {"headers": {"Proxy-Authentication-Info": 'nextnonce="%s"' % told[-1]}}

    registrar.script(r.aor, [tell], repeat=True)
    r.send()
    r.registered()
    r.command("refresh")
    r.wait("registered", revision=2)
    assert answers(registrar, r) == [407, 200, 200] and auth(registrar, r)["nonce"] == told[1]


def test_a_flood_of_stale_is_no_loop(registrant, new_registrar):
    """RFC 7616 3.3 knows no bound; a client must have one (RFC 3261 22.1)."""
    registrar = new_registrar(digest=new_digest(max_uses=0))
    r = registrant.want(registrar)
    assert r.wait("retrying")["cause"]["code"] == 401
    assert len(registrar.requests(r.aor)) <= 8


# ---- wrong ones

def test_wrong_credentials_are_sent_once(registrant, guarded):
    """RFC 3261 22.1: credentials that were just rejected must not be sent again; asked again only slowly."""
    r = registrant.want(guarded, credentials=[{"user": "x", "secret": "wrong"}])
    report = r.wait("rejected")
    assert answers(guarded, r) == [401, 401] and report["next_in_ms"] > 20 * 60000
    assert report["cause"]["code"] == 401


def test_the_right_password_helps_at_once(registrant, guarded):
    """RFC 3261 22.1: other credentials may be sent."""
    r = registrant.want(guarded, credentials=[{"user": "x", "secret": "wrong"}])
    r.wait("rejected")
    r.change(credentials=[{"user": "x", "secret": "secret"}])
    r.registered()
    assert guarded.requests(r.aor)[-1].auth_result == "ok"


def test_without_credentials_a_challenge_is_a_refusal(registrant, guarded):
    """RFC 3261 22.1: there is nothing to answer with."""
    r = registrant.want(guarded, credentials=None)
    assert r.wait("rejected")["cause"]["code"] == 401 and answers(guarded, r) == [401]


def test_credentials_of_another_realm_are_kept_back(registrant, guarded):
    """RFC 3261 22.1: a realm is a protection domain; others' credentials are none of it."""
    r = registrant.want(guarded, credentials=[{"realm": "elsewhere", "user": "x", "secret": "secret"}])
    assert r.wait("rejected")["cause"]["code"] == 401 and answers(guarded, r) == [401]


@pytest.mark.parametrize("secret", ["p\u00e4\u00dfw\u00f6rt", 'a"b\\c:d', " leading and trailing ", "x" * 128])
def test_passwords_of_any_bytes(registrant, new_registrar, secret):
    """RFC 7616 3.4.2, 4: the password is hashed as it is, UTF-8 where it is not ASCII."""
    registrar = new_registrar(digest=new_digest(passwords=lambda user: secret, algorithms=["SHA-256"]))
    r = registrant.want(registrar, credentials=[{"user": "x", "secret": secret}])
    r.registered()
    assert answers(registrar, r) == [401, 200]


@pytest.mark.parametrize("user", ["al ice", 'a"b', "back\\slash", "j\u00f6rg", "user@example.com"])
def test_user_names_of_any_bytes(registrant, new_registrar, user):
    """RFC 7616 3.4: username is a quoted string; what needs a backslash gets one, and the hash is of the plain name."""
    registrar = new_registrar(digest=new_digest(passwords={user: "secret"}))
    r = registrant.want(registrar, credentials=[{"user": user, "secret": "secret"}])
    r.registered()
    assert auth(registrar, r)["username"] == user


# ---- HA1, hashed names

def ha1(algorithm, user, realm="example.com", secret="secret"):
    name = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}[algorithm]
    return hashlib.new(name, ("%s:%s:%s" % (user, realm, secret)).encode()).hexdigest()


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256-sess"])
def test_an_ha1_stands_for_a_password(registrant, new_registrar, algorithm):
    """RFC 7616 3.4.2: H(A1) is all that is needed of a password, one for each hash function."""
    registrar = new_registrar(digest=new_digest(passwords={"x": "secret"}, algorithms=[algorithm]))
    base = algorithm.removesuffix("-sess")
    r = registrant.want(registrar, credentials=[{"realm": "example.com", "user": "x", "ha1": {base: ha1(base, "x")}}])
    r.registered()
    assert answers(registrar, r) == [401, 200]


def test_a_challenge_for_which_there_is_no_ha1_is_passed_over(registrant, new_registrar):
    """RFC 8760 2.4: the topmost that can be answered; an HA1 of one function is none of another."""
    registrar = new_registrar(digest=new_digest(passwords={"x": "secret"}, algorithms=["SHA-256", "MD5"]))
    r = registrant.want(registrar, credentials=[{"realm": "example.com", "user": "x", "ha1": {"MD5": ha1("MD5", "x")}}])
    r.registered()
    assert auth(registrar, r)["algorithm"] == "MD5"


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256-sess"])
def test_the_name_is_hashed_where_that_is_offered(registrant, new_registrar, algorithm):
    """RFC 7616 3.4.4: userhash=true in the challenge: the name is sent as its hash, userhash=true with it; A1 is of the
    plain name."""
    registrar = new_registrar(digest=new_digest(passwords={"x": "secret"}, algorithms=[algorithm], userhash=True))
    r = registrant.want(registrar, credentials=[{"user": "x", "secret": "secret"}])
    r.registered()
    sent = auth(registrar, r)
    assert sent["userhash"] == "true" and sent["username"] != "x" and answers(registrar, r) == [401, 200]


# ---- over a restart

def test_the_count_rises_over_a_take_over(registrant, new_registrant, guarded):
    """RFC 7616 3.4.5, RFC 3261 10.2: Call-ID, CSeq, nonce and its count go on with the next owner."""
    r = registrant.want(guarded, contacts=[{"uri": "sip:x@127.0.0.1:5090"}])
    r.registered()
    other = new_registrant()
    taken = other.take_over(r)
    taken.command("refresh")
    taken.wait("registered", revision=2)
    assert answers(guarded, r) == [401, 200, 200]
    _, before, after = guarded.requests(r.aor)
    assert after.auth["nonce"] == before.auth["nonce"] and int(after.auth["nc"], 16) == int(before.auth["nc"], 16) + 1
    assert after.call_id == before.call_id and after.cseq > before.cseq
