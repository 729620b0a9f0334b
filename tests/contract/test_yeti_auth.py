"""Login and tokens (contract 6)."""
import base64
import hashlib
import json
import time

import pytest
from conftest import Api, encode, make_token

GATEWAY = {"ROLLCALL_TOKEN_LIFETIME": "600"}
JSON = {"Content-Type": "application/json", "Authorization": None, "Accept": None}


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def login(api, body, **headers):
    return api.call("POST", "/auth", body, {**JSON, **headers})


@pytest.fixture
def user(world):
    return {"username": world.stack.username, "password": world.stack.password}


# ---- login

def test_a_login_gives_a_token_that_works(world, api, user):
    before = int(time.time())
    answer = login(api, {"auth": user})
    assert answer.status == 201
    assert answer.header("content-type") == "application/json; charset=utf-8"
    assert list(answer.json) == ["jwt"]
    held = claims(answer.json["jwt"])
    assert held["sub"] == 1 and held["aud"] == ["admin"] and before + 600 <= held["exp"] <= time.time() + 600
    assert not {"iat", "nbf", "jti"} & set(held)
    assert Api(world.gateway.port, answer.json["jwt"]).get("/registrations").status == 200


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/vnd.api+json"}, {"Content-Type": "application/json; charset=utf-8"},
                                     {"Accept": "text/html"}])
def test_nested_json_of_either_type_logs_in(api, user, headers):
    assert login(api, {"auth": user}, **headers).status == 201


def test_flat_json_logs_in(api, user):
    assert login(api, user).status == 201


def test_a_form_logs_in(api, user):
    body = f"auth%5Busername%5D={user['username']}&auth[password]={user['password']}".encode()
    assert login(api, body, **{"Content-Type": "application/x-www-form-urlencoded"}).status == 201


@pytest.mark.parametrize("change", [{"password": "wrong"}, {"username": "nobody"}, {"password": ""}, {"password": None},
                                    {"username": None}, {"password": "x" * 600}, {"username": 5}])
def test_a_wrong_login_is_refused(api, user, change):
    answer = login(api, {"auth": {**user, **change}})
    assert answer.status == 401
    assert answer.json == {"errors": [{"title": "Authentication failed", "detail": "Incorrect login or password.",
                                       "code": "401", "status": "401"}]}


def test_another_address_is_refused_after_the_password(api, user):
    answer = login(api, {"auth": {**user, "username": "elsewhere"}})
    assert (answer.status, answer.errors) == (401, [("401", "Your IP address is not allowed.", None)])
    answer = login(api, {"auth": {"username": "elsewhere", "password": "wrong"}})
    assert answer.errors == [("401", "Incorrect login or password.", None)]


@pytest.mark.parametrize("body", [b"", {}, {"auth": {}}, {"auth": None}, {"auth": "text"}, {"auth": []}, {"other": 1}, b"{", b"[]", b"5"])
def test_a_login_without_credentials_is_a_bad_request(api, body):
    answer = login(api, body)
    assert answer.status == 400 and answer.titles == ["Bad Request"]


def test_flat_json_is_for_plain_json_only(api, user):
    assert login(api, user, **{"Content-Type": "application/vnd.api+json"}).status == 400


# ---- tokens

def status(world, token):
    return Api(world.gateway.port, token).get("/registrations").status


@pytest.mark.parametrize("change", [{}, {"exp": None}, {"aud": "admin"}, {"aud": ["x", "admin"]}, {"iat": 9999999999},
                                    {"nbf": 1}])
def test_a_token_that_holds_is_taken(world, change):
    assert status(world, world.token(2, **change)) == 200


@pytest.mark.parametrize("change", [
    {"exp": 1}, {"aud": None}, {"aud": ["customer"]}, {"aud": "customer"}, {"aud": 1}, {"sub": None}, {"sub": 999999},
    {"sub": "x"}, {"nbf": 9999999999}, {"exp": "soon"}])
def test_a_token_that_does_not_hold_is_refused(world, change):
    assert status(world, world.token(**{"user": 2, **{k: v for k, v in change.items() if k != "sub"},
                                        **({"sub": change["sub"]} if "sub" in change else {})})) == 401


def test_an_expired_token_is_refused_at_once(world):
    assert status(world, world.token(2, exp=int(time.time()))) == 401


def test_other_algorithms_and_keys_are_refused(world):
    good = {"sub": 2, "aud": ["admin"], "exp": int(time.time()) + 60}
    secret = world.stack.token_secret
    assert status(world, make_token(secret, good)) == 200
    assert status(world, make_token(secret + "x", good)) == 401
    assert status(world, make_token(secret, good, {"alg": "HS512"}, hashlib.sha512)) == 401
    assert status(world, make_token(secret, good, {"alg": "none"})) == 401
    assert status(world, (encode({"alg": "none"}) + b"." + encode(good) + b".").decode()) == 401


@pytest.mark.parametrize("token", ["", "x", "a.b", "a.b.c", "....", "Bearer", "é"])
def test_what_is_no_token_is_refused_with_an_empty_body(world, token):
    answer = Api(world.gateway.port, token.encode()).get("/registrations")
    assert (answer.status, answer.body) == (401, b"")
    assert answer.header("www-authenticate") is None
    assert answer.header("vary") is None and answer.header("etag") is None
    assert answer.header("content-type") == "text/html" and answer.header("cache-control") == "no-cache"
    assert answer.header("x-frame-options") == "SAMEORIGIN" and answer.header("x-request-id")


@pytest.mark.parametrize("form", ["{}", "Bearer {}", "Foo Bar {}", "bearer   {}", "{} "])
def test_the_last_word_of_authorization_is_the_token(world, form):
    assert status(world, form.format(world.token(2))) == 200


def test_a_token_parameter_wins_over_the_header(world):
    api, token = world.api(3), world.token(2)
    api.create(name="of user 3")
    assert len(api.get("/registrations").data) == 1
    assert api.get(f"/registrations?token={token}").data == []
    assert api.get("/registrations?token=bad").status == 401
    assert Api(world.gateway.port, "").get(f"/registrations?token={token}").status == 200
    assert "token" not in api.get(f"/registrations?token={token}").json["links"]["first"]


def test_a_token_may_stand_in_the_body(world):
    api = Api(world.gateway.port, "")
    body = {**Api.resource(api.required()), "token": world.token(2)}
    assert api.call("POST", "/registrations", body).status == 201
    assert world.api(2).call("POST", "/registrations", {**body, "token": "bad"}).status == 401


def test_the_address_is_checked_with_every_request(world):
    assert status(world, world.token(400)) == 401


def test_forwarded_headers_are_ignored_unless_they_are_trusted(world, api, user):
    forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    assert login(api, {"auth": {**user, "username": "elsewhere"}}, **forwarded).status == 401
    assert api.call("GET", "/registrations", headers=forwarded).json["links"]["first"].startswith("http://")
