"""Contract kazoo 2: every form of credential, the logins that the SDKs call, sessions and their end."""
import base64
import json
import time

import pytest

from conftest import make_token
from kazoo_client import (CHILD, MASTER, MASTER_KEY, PARENT, PARENT_KEY, STRANGER, Kazoo, add_principals, basic, credentials, log_in, session)

PRINCIPALS = add_principals
GATEWAY = {"ROLLCALL_FAILED_LOGINS": "0"}
COLLECTION = f"/accounts/{PARENT}/registrations"
A = (401, "invalid credentials", {})
B = (401, "invalid_credentials", {"message": "invalid credentials"})


@pytest.fixture
def kazoo(world):
    return Kazoo(world)


@pytest.fixture(scope="module")
def token(world):
    return log_in(world).token


# ---- where a token may stand, and which wins

@pytest.mark.parametrize("how", ["X-Auth-Token", "Bearer", "bearer", "query", "body", "data", "authorization in the query"])
def test_a_token_is_taken_from(kazoo, token, how):
    """Section 2, forms of a token."""
    headers, query, body = {}, "", None
    if how == "X-Auth-Token":
        headers = {how: token}
    elif how.lower() == "bearer":
        headers = {"Authorization": f"{how} {token}"}
    elif how == "query":
        query = f"?auth_token={token}"
    elif how == "authorization in the query":
        query = f"?authorization=Bearer%20{token}"
    elif how == "body":
        body = b'{"auth_token":"%s","data":{}}' % token.encode()
    else:
        body = b'{"data":{"auth_token":"%s"}}' % token.encode()
    answer = kazoo.call("POST" if body else "GET", COLLECTION + (query or "?") + "&verb=GET", body=body, headers=headers)
    assert isinstance(answer.data, list)
    assert answer.json["auth_token"] == token, "the token in use is echoed"


def test_the_header_wins_over_the_query_and_that_over_authorization(kazoo, token):
    """Section 2, lookup order."""
    good, bad = {"X-Auth-Token": token}, {"X-Auth-Token": "bad"}
    assert kazoo.get(COLLECTION + "?auth_token=bad", headers=good).status == 200
    assert kazoo.get(COLLECTION + f"?auth_token={token}", headers=bad).error == A
    assert kazoo.get(COLLECTION + f"?auth_token={token}", headers={"Authorization": "Bearer bad"}).status == 200
    assert kazoo.get(COLLECTION + f"?authorization=Bearer%20{token}", headers={"Authorization": "Bearer bad"}).error == A


def test_a_value_is_taken_from_the_data_then_the_query_then_the_envelope(kazoo, token):
    """Section 2: where a request value is searched, in that order."""
    def ask(data, query, top):
        body = json.dumps({"data": {"auth_token": data} if data else {}, **({"auth_token": top} if top else {})}).encode()
        return kazoo.call("POST", f"{COLLECTION}?verb=GET" + (f"&auth_token={query}" if query else ""), body=body).status
    assert [ask(token, "bad", "bad"), ask(None, token, "bad"), ask(None, None, token)] == [200] * 3
    assert [ask("bad", token, token), ask(None, "bad", token), ask(None, None, "bad")] == [401] * 3


def test_the_traffic_of_the_javascript_sdk(kazoo):
    """Section 9.1: its requests as they were seen, from the first preflight to a flush, and without a token."""
    cors = {"Origin": "https://ui.example.com"}

    def preflight(path, method, headers="Content-Type"):
        answer = kazoo.call("OPTIONS", path, headers={**cors, "Access-Control-Request-Method": method,
                                                      "Access-Control-Request-Headers": headers})
        assert answer.status == 200 and answer.headers["access-control-allow-origin"] == "*"
        assert method in answer.headers["access-control-allow-methods"].split(", ")
        assert headers.lower() in answer.headers["access-control-allow-headers"].lower().split(", ")

    listing = COLLECTION + "?paginate=false&_=1795255260120"
    preflight("/user_auth", "PUT")
    login = kazoo.call("PUT", "/user_auth", {"credentials": credentials("bob", "bob-pw"), "account_name": "Parent Ltd"}, headers=cors)
    held = {**cors, "X-Auth-Token": login.json["auth_token"]}
    preflight(listing, "GET", "X-Auth-Token")
    assert isinstance(kazoo.get(listing, headers=held).data, list)
    preflight(COLLECTION, "DELETE", "X-Auth-Token")
    flush = kazoo.delete(COLLECTION, body=b'{"data":{}}', headers={**held, "Content-Type": "application/json"})
    assert flush.data == "ok" and flush.headers["access-control-allow-origin"] == "*"
    assert kazoo.get(listing, headers={**cors, "X-Auth-Token": "undefined"}).error == A


@pytest.mark.parametrize("bad", ["undefined", "x", "a.b.c", "0" * 32])
def test_a_token_that_nobody_knows(kazoo, bad):
    """Section 6 variant A, and the echo of what was sent; section 9.1: the SDK's text `undefined`."""
    answer = kazoo.get(COLLECTION, headers={"X-Auth-Token": bad})
    assert answer.error == A and answer.json["auth_token"] == bad


def test_a_token_that_expired(kazoo, world):
    """Section 6 variant A."""
    assert kazoo.get(COLLECTION, headers={"X-Auth-Token": session(world, exp=int(time.time()) - 1)}).error == A


def test_another_dialects_token_is_none(kazoo, world):
    """Section 6 variant A: of the same key, but for another audience."""
    assert kazoo.get(COLLECTION, headers={"X-Auth-Token": world.token(9001)}).error == A


@pytest.mark.parametrize("claims", [{"key": "gone"}, {"account_id": CHILD}, {"key": None, "user": 4711}, {"key": None, "user": 9003}],
                         ids=["key", "account", "user", "user of another account"])
def test_a_token_of_somebody_who_is_gone(kazoo, world, claims):
    """Section 6 variant B: other token failure."""
    assert kazoo.get(COLLECTION, headers={"X-Auth-Token": session(world, **claims)}).error == B


def test_a_token_of_another_key_or_without_a_signature(kazoo, world):
    """Section 6 variant B: bad signature."""
    claims = {"aud": "kazoo", "jti": "1", "account_id": PARENT, "method": "cb_api_auth", "key": "parent-key",
              "exp": int(time.time()) + 60}
    for wrong in (make_token("another", claims), make_token(world.stack.token_secret, claims, header={"alg": "none"})):
        assert kazoo.get(COLLECTION, headers={"X-Auth-Token": wrong}).error == B


def test_a_token_without_a_scheme_is_of_no_known_kind(kazoo, token):
    """Section 2: `Authorization: TOKEN` is not accepted."""
    assert kazoo.get(COLLECTION, headers={"Authorization": token}).error == B


def test_the_account_id_of_the_header_must_be_the_tokens(kazoo, token):
    """Section 2: X-Auth-Account-ID."""
    assert kazoo.get(COLLECTION, headers={"X-Auth-Token": token, "X-Auth-Account-ID": PARENT}).status == 200
    assert kazoo.get(COLLECTION, headers={"X-Auth-Token": token, "X-Auth-Account-ID": CHILD}).error == B


# ---- Basic

def test_basic_takes_the_account_and_the_digest_of_user_and_password(kazoo):
    """Section 2: Basic b64(ACCOUNT_ID:md5hex(user:pass)); the second user of the account too."""
    for name in ("alice", "bob"):
        answer = kazoo.get(COLLECTION, headers={"Authorization": basic(PARENT, name, f"{name}-pw")})
        assert isinstance(answer.data, list)
    assert kazoo.get(f"/accounts/{CHILD}/registrations", headers={"Authorization": basic(PARENT, "alice", "alice-pw")}).status == 200


@pytest.mark.parametrize("header", [
    basic(PARENT, "alice", "wrong"), basic(CHILD, "alice", "alice-pw"), basic("f" * 32, "alice", "alice-pw"),
    basic(STRANGER, "keyless", "x"), basic(PARENT, "away", "away-pw"), "Basic !!!", "Basic ",
    "Basic " + base64.b64encode(b"nocolon").decode(), "Basic " + base64.b64encode(b":").decode()],
    ids=["password", "other account", "no account", "no credentials", "address", "no base64", "empty", "no colon", "nothing"])
def test_basic_that_is_wrong(kazoo, header):
    """Section 6 variant B."""
    assert kazoo.get(COLLECTION, headers={"Authorization": header}).error == B


def test_basic_of_one_account_does_not_open_another(kazoo):
    assert kazoo.get(f"/accounts/{STRANGER}/registrations", headers={"Authorization": basic(PARENT, "alice", "alice-pw")}).status == 403


# ---- 2.1 logins

LOGIN_DATA = {"account_id", "account_name", "reseller_id", "is_reseller", "is_master_account", "cluster_id", "language", "apps"}


@pytest.mark.parametrize("account", [{"account_name": "Parent Ltd"}, {"account_name": "parent ltd"}, {"account_realm": "parent.example.com"},
                                     {"realm": "parent.example.com"}, {"phone_number": "+15551234"}],
                         ids=["name", "name in lower case", "account_realm", "realm", "phone_number"])
@pytest.mark.parametrize("method", [None, "md5", "sha"])
def test_user_auth(world, kazoo, account, method):
    """Section 2.1: PUT user_auth; method defaults to md5."""
    given = {"credentials": credentials("bob", "bob-pw", "sha1" if method == "sha" else "md5"), **account}
    if method:
        given["method"] = method
    answer = kazoo.call("PUT", "/user_auth", given)
    assert answer.status == 201
    assert set(answer.data) == LOGIN_DATA | {"owner_id"}
    d = answer.data
    assert (d["account_id"], d["owner_id"], d["account_name"], d["is_master_account"], d["apps"]) == (
        PARENT, "9002", "Parent Ltd", False, [])
    kazoo.token = answer.json["auth_token"]
    assert isinstance(kazoo.get(COLLECTION).data, list)
    assert answer.json["version"]


@pytest.mark.parametrize("given", [
    {"credentials": credentials("bob", "wrong"), "account_name": "Parent Ltd"},
    {"credentials": credentials("bob", "bob-pw"), "account_name": "Nobody Ltd"},
    {"credentials": credentials("bob", "bob-pw"), "account_realm": "child.example.com"},
    {"credentials": credentials("bob", "bob-pw"), "account_name": "Parent Ltd", "method": "sha"},
    {"credentials": credentials("away", "away-pw"), "account_name": "Parent Ltd"}],
    ids=["password", "account", "other account", "method", "address"])
def test_user_auth_with_wrong_credentials(kazoo, given):
    """Section 2.1: 401 invalid_credentials."""
    assert kazoo.call("PUT", "/user_auth", given).error == B


@pytest.mark.parametrize("given, member, rule", [
    ({"account_name": "Parent Ltd"}, "credentials", "required"), ({"credentials": "x"}, "account_name", "required"),
    ({"credentials": "x", "account_name": "a", "method": "sha512"}, "method", "enum"), ({}, "credentials", "required"),
    ([], "credentials", "required"), ({"credentials": 5, "account_name": "a"}, "credentials", "required")])
def test_user_auth_that_lacks_something(kazoo, given, member, rule):
    """Section 2.1, schemas: 400 with the member and the rule."""
    status, message, data = kazoo.call("PUT", "/user_auth", given).error
    assert status == 400 and list(data) == [member] and list(data[member]) == [rule]


def test_a_stale_token_is_no_hindrance_to_a_login(kazoo):
    kazoo.token = "undefined"
    assert kazoo.call("PUT", "/api_auth", {"api_key": PARENT_KEY}).status == 201


def test_api_auth(kazoo):
    """Section 2.1: PUT api_auth; the same shape without a user."""
    answer = kazoo.call("PUT", "/api_auth", {"api_key": MASTER_KEY})
    assert answer.status == 201 and set(answer.data) == LOGIN_DATA
    assert (answer.data["account_id"], answer.data["is_master_account"]) == (MASTER, True)


def test_api_auth_with_an_unknown_key(kazoo):
    """Section 2.1: 404, data is an array with the key."""
    assert kazoo.call("PUT", "/api_auth", {"api_key": "f" * 64}).error == (404, "bad identifier", ["f" * 64])
    status, _, data = kazoo.call("PUT", "/api_auth", {}).error
    assert status == 400 and list(data) == ["api_key"]


def test_a_login_may_be_tunnelled(kazoo):
    assert kazoo.call("POST", "/api_auth?verb=PUT", {"api_key": PARENT_KEY}).status == 201


def test_token_auth_shows_the_session(world):
    """Section 2.1: GET token_auth."""
    k = log_in(world)
    d = k.get("/token_auth").data
    assert d["account_id"] == PARENT and d["method"] == "cb_api_auth"
    assert 3500 < d["exp"] - time.time() <= 3600


def test_token_auth_revokes_the_session_and_no_other(world):
    """Section 2.1: DELETE token_auth; kept until the token would have expired."""
    one, two = log_in(world), log_in(world)
    assert one.delete("/token_auth").status == 200
    assert one.get(COLLECTION).error == A
    assert two.get(COLLECTION).status == 200
    kept = [k for k in world.redis.scan_iter("rc:*:revoked:*")]
    assert len(kept) == 1 and 3500000 < world.redis.pttl(kept[0]) <= 3600000


def test_basic_has_no_session(kazoo):
    assert kazoo.get("/token_auth", headers={"Authorization": basic(PARENT, "alice", "alice-pw")}).error == B
    assert kazoo.get("/token_auth").error == B
