"""Contract kazoo 4 and 4.1: envelope, headers, CORS, pretty printing."""
import json
import re

import pytest

from kazoo_client import PARENT, STRANGER_KEY, Kazoo, add_principals, create_bound, log_in

PRINCIPALS = add_principals
COLLECTION = f"/accounts/{PARENT}/registrations"


@pytest.fixture(scope="module")
def kazoo(world):
    create_bound(world, "parent", username="pretty", contact='"a{[,:]} \\" b" <sip:pretty@192.0.2.1>')
    return log_in(world)


def test_success_has_its_members(kazoo):
    """Section 4: what is there on success, and what is not."""
    for answer in (kazoo.get(COLLECTION), kazoo.get(COLLECTION + "/count"), kazoo.delete(COLLECTION)):
        assert set(answer.json) == {"data", "status", "request_id", "auth_token", "node", "timestamp", "version", "revision"}


def test_an_error_has_its_members(kazoo):
    """Section 4: error is a string with the decimal status; version only once authenticated; no token, no auth_token."""
    assert set(kazoo.get(COLLECTION, token=False).json) == {
        "data", "error", "message", "status", "request_id", "node", "timestamp"}
    assert set(kazoo.get("/nothing").json) == {
        "data", "error", "message", "status", "request_id", "node", "timestamp", "auth_token", "version"}


def test_the_request_id_is_the_clients_or_a_new_one(kazoo):
    """Section 4: echo of X-Request-ID, else 32 hexadecimal digits; also a header."""
    answer = kazoo.get(COLLECTION, headers={"X-Request-ID": "abc-123.x"})
    assert answer.json["request_id"] == "abc-123.x" == answer.headers["x-request-id"]
    one, two = kazoo.get(COLLECTION).json["request_id"], kazoo.get(COLLECTION).json["request_id"]
    assert re.fullmatch("[0-9a-f]{32}", one) and one != two
    answer = kazoo.get(COLLECTION, headers={"X-Request-ID": 'a"b<c>'})
    assert answer.json["request_id"] == "abc"
    assert kazoo.get(COLLECTION, headers={"X-Request-ID": "x" * 300}).json["request_id"] == "x" * 255


def test_the_revision_follows_the_data(kazoo):
    """Section 4: the seed's `revision`."""
    a, b = kazoo.get(COLLECTION).json, kazoo.get(COLLECTION).json
    assert a["revision"] == b["revision"] != kazoo.get(COLLECTION + "/count").json["revision"]


def test_the_content_type_has_no_charset(kazoo):
    """Section 4.1: one SDK compares the whole text, of errors too."""
    for answer in (kazoo.get(COLLECTION), kazoo.get("/nothing"), kazoo.get(COLLECTION, token=False)):
        assert answer.headers["content-type"] == "application/json"


CORS = ["access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers",
        "access-control-expose-headers", "access-control-max-age"]


@pytest.mark.parametrize("header", ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"])
def test_cors_on_any_request_that_asks(kazoo, header):
    """Section 4.1: CORS."""
    answer = kazoo.get(COLLECTION, headers={header: "https://ui.example.com"})
    assert answer.status == 200 and set(CORS) <= set(answer.headers)
    assert answer.headers["access-control-allow-origin"] == "*" and answer.headers["access-control-max-age"] == "86400"
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"content-type", "x-auth-token", "x-http-method-override", "if-match"} <= set(allowed)
    exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
    assert {"x-auth-token", "x-request-id", "location", "etag"} <= set(exposed)


def test_no_cors_unasked_but_on_every_error(kazoo):
    """Section 4.1: on every error reply."""
    assert not set(CORS) & set(kazoo.get(COLLECTION).headers)
    for answer in (kazoo.get("/nothing"), kazoo.call("PUT", COLLECTION), kazoo.get(COLLECTION, token=False)):
        assert answer.status >= 400 and set(CORS) <= set(answer.headers)


@pytest.mark.parametrize("path", [COLLECTION, "/user_auth", "/api_auth", f"{COLLECTION}/count", "/accounts/x/registrations", "/nothing"])
def test_options_answers_cors_without_a_token(kazoo, path):
    """Section 4.1: OPTIONS is 200, empty, with CORS; otherwise 405."""
    answer = kazoo.call("OPTIONS", path, token=False, headers={"Origin": "https://x", "Access-Control-Request-Method": "PUT"})
    assert (answer.status, answer.body) == (200, b"") and set(CORS) <= set(answer.headers)
    assert kazoo.call("OPTIONS", path, token=False).error == (405, "invalid_method", {"message": "method not allowed"})


@pytest.mark.parametrize("query, headers", [("?jsonp=fn", {}), ("?accept=csv", {}), ("", {"Accept": "text/csv"}), ("", {"Accept-Encoding": "gzip"})],
                         ids=["jsonp", "csv in the query", "csv", "gzip"])
def test_what_is_optional_and_not_served_is_answered_in_plain_json(kazoo, query, headers):
    """Section 4.1: JSONP, CSV and compression are optional."""
    answer = kazoo.get(COLLECTION + query, headers=headers)
    assert isinstance(answer.data, list) and "content-encoding" not in answer.headers


@pytest.mark.parametrize("how", ["header", "query"])
def test_pretty_printing_says_the_same_in_lines(kazoo, how):
    """Section 4.1: X-Pretty-Print and ?pretty_print."""
    plain = kazoo.get(COLLECTION)
    query, headers = ("?pretty_print=true", {}) if how == "query" else ("", {"X-Pretty-Print": "true"})
    pretty = kazoo.get(COLLECTION + query, headers=headers)
    assert pretty.json["data"] == plain.json["data"]
    assert pretty.body.decode() == json.dumps(pretty.json, indent=4, ensure_ascii=False)
    error = kazoo.get("/nothing", headers={"X-Pretty-Print": "true"})
    assert error.body.count(b"\n") > 5 and error.json["error"] == "404"


def test_empty_containers_are_printed_pretty_too(world):
    k = Kazoo(world)
    answer = k.get(COLLECTION, headers={"X-Auth-Token": "bad", "X-Pretty-Print": "true"})
    assert b'"data": {}' in answer.body and answer.json["data"] == {}


@pytest.mark.parametrize("path", ["", "/count"])
def test_what_the_store_holds_damaged_is_503(world, path):
    """Section 6: database trouble of the other kind, and nothing of its cause."""
    create_bound(world, "stranger")
    [key] = world.redis.scan_iter("rc:*:acct:stranger:live")
    held = world.redis.zrange(key, 0, -1, withscores=True)
    world.redis.delete(key)
    world.redis.set(key, "no sorted set")
    answer = log_in(world, STRANGER_KEY).get(f"/account/registrations{path}")
    assert answer.error == (503, "datastore_fault", {"message": "an internal error was logged"})
    world.redis.delete(key)
    world.redis.zadd(key, dict(held))


@pytest.mark.parametrize("method, path", [("GET", ""), ("GET", "/count"), ("DELETE", ""), ("DELETE", "/pretty")])
def test_the_store_away_is_503(world, kazoo, method, path):
    """Section 6: database trouble. The last test of this file: it stops Redis."""
    if world.stack.redis.running():
        world.stack.redis.stop()
    answer = kazoo.call(method, COLLECTION + path)
    status, message, data = answer.error
    assert (status, message) == (503, "datastore_unreachable") and isinstance(data["message"], str)
    assert answer.headers["retry-after"] == "1"
