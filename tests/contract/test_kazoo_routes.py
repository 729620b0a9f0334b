"""Contract kazoo 1 and 3: routes with their exact verb sets, the order of checks, tunnelled verbs, bodies."""
import http.client
import json

import pytest

from kazoo_client import (CHILD, CHILD_KEY, MASTER_KEY, PARENT, READER_KEY, STRANGER, UNKNOWN, Kazoo, add_principals, bind,
                          log_in, session, yeti_user)

PRINCIPALS = add_principals
ALL = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD"]
COLLECTION = f"/accounts/{PARENT}/registrations"


@pytest.fixture(scope="module")
def kazoo(world):
    return log_in(world)


@pytest.fixture(scope="module")
def master(world):
    return log_in(world, MASTER_KEY)


@pytest.fixture(scope="module", autouse=True)
def alice(world):
    """A user name that is known."""
    id = yeti_user(world, "parent").create(username="alice")
    bind(world, "parent", id)
    return id


# ---- section 1: routes × verbs

ROUTES = [
    ("kazoo", COLLECTION, {"GET": 200, "DELETE": 200}),
    ("kazoo", COLLECTION + "/count", {"GET": 200}),
    ("kazoo", COLLECTION + "/alice", {"DELETE": 200}),
    ("kazoo", "/account/registrations", {"GET": 200, "DELETE": 200}),
    ("kazoo", "/account/registrations/count", {"GET": 200}),
    ("kazoo", "/account/registrations/alice", {"DELETE": 200}),
    ("master", "/registrations", {"GET": 200}),
    ("master", "/registrations/count", {"GET": 200}),
    ("master", "/registrations/alice", {"DELETE": 404}),
    ("kazoo", "/user_auth", {"PUT": 400}),
    ("kazoo", "/api_auth", {"PUT": 400}),
    ("kazoo", "/token_auth", {"GET": 200}),
]


# DELETE of token_auth ends the session: test_kazoo_auth.py
@pytest.mark.parametrize("who, path, allowed, method", [
    pytest.param(*row, method, id=f"{method} {row[1]}") for row in ROUTES for method in ALL
    if (row[1], method) != ("/token_auth", "DELETE")])
def test_every_route_answers_its_verbs_and_no_other(request, who, path, allowed, method):
    """Section 1: the allowed sets; everything else is 405 (section 6, verb not allowed)."""
    answer = request.getfixturevalue(who).call(method, path)
    if method in allowed:
        assert answer.status == allowed[method], answer.body
        return
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) - {"DELETE"} == set(allowed) - {"DELETE"}
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert answer.error == (405, "invalid_method", {"message": "method not allowed"})


@pytest.mark.parametrize("path", [COLLECTION + "/", COLLECTION + "//", COLLECTION + "/count/", "/account/registrations/"])
def test_a_trailing_slash_means_nothing(kazoo, path):
    """Section 1: the path is split with trimming of empty tail tokens."""
    assert kazoo.get(path).status == 200


def test_a_base_that_ends_in_a_slash_is_joined(kazoo):
    """Two of the SDKs join base and path with a slash each."""
    assert kazoo.get(COLLECTION, version="//v2").status == 200


def test_count_shadows_a_user_of_that_name(world, kazoo):
    """Section 1: DELETE of `count` is 405, also where somebody is called so."""
    yeti_user(world, "parent").create(username="count")
    assert kazoo.delete(COLLECTION + "/count").status == 405


@pytest.mark.parametrize("method, path", [("GET", "/registrations"), ("GET", "/registrations/count"),
                                          ("DELETE", "/registrations/alice")])
def test_the_system_routes_are_the_superduper_admins(kazoo, method, path):
    """Section 1: superduper admin only."""
    assert kazoo.call(method, path).error == (403, "forbidden", {"message": "forbidden"})


def test_a_flush_of_the_whole_system_is_refused(master):
    """Section 1: nothing is flushed there; the suggestion for a new server is 405."""
    assert master.delete("/registrations").error == (405, "invalid_method", {"message": "method not allowed"})


def test_the_system_has_no_users(master):
    """Section 1: /v2/registrations/{USERNAME} has no account to look in."""
    assert master.delete("/registrations/alice").error == (404, "bad identifier", ["alice"])


@pytest.mark.parametrize("method", ALL + ["OPTIONS"])
@pytest.mark.parametrize("path", ["/accounts/x/registrations", "", "/anything"])
def test_version_1_is_gone(kazoo, method, path):
    """Section 1 and section 3 step 1: 410 before anything else."""
    answer = kazoo.call(method, path, version="/v1")
    assert answer.status == 410
    if method != "HEAD":
        status, message, data = answer.error
        assert message == "gone" and "v2" in data["message"]


@pytest.mark.parametrize("path", ["", "/", "/devices", "/accounts", f"/accounts/{PARENT}", f"/accounts/{PARENT}/devices",
                                  COLLECTION + "/alice/more", "/account", "/registrationsx"])
def test_an_unknown_resource_is_404_with_a_token_and_401_without(kazoo, path):
    """Section 1 and 6: unknown resource."""
    assert kazoo.get(path).error == (404, "not_found", {"message": "not found"})
    assert kazoo.get(path, token=False).error == (401, "invalid_credentials", {"message": "invalid credentials"})


# ---- section 3: the order of checks

def test_3_2_the_body_is_read_before_the_token(kazoo):
    """Step 2 before step 3."""
    assert kazoo.call("PUT", COLLECTION, body=b"{", headers={"X-Auth-Token": "bad"}).status == 400


def test_3_3_a_bad_token_is_told_before_the_verb(kazoo):
    """Step 3 before step 4."""
    assert kazoo.call("PUT", COLLECTION, headers={"X-Auth-Token": "bad"}).error == (401, "invalid credentials", {})


def test_3_4_the_verb_is_told_before_the_account_and_a_missing_token(kazoo):
    """Step 4 before steps 5 and 6: without any token, 405 wins over 404 and 401."""
    assert kazoo.call("PUT", f"/accounts/{UNKNOWN}/registrations", token=False).status == 405


def test_3_4_a_bad_signature_counts_only_after_verb_and_account(kazoo, world):
    """Step 6 after steps 4 and 5."""
    broken = {"X-Auth-Token": session(world)[:-3] + "abc"}
    assert kazoo.call("PUT", COLLECTION, headers=broken).status == 405
    assert kazoo.get(f"/accounts/{UNKNOWN}/registrations", headers=broken).status == 404
    assert kazoo.get(COLLECTION, headers=broken).status == 401


@pytest.mark.parametrize("id, data", [
    ("short", {"message": "invalid account_id 'short'"}), ("x" * 33, {"message": f"invalid account_id '{'x' * 33}'"}),
    ("a%22b", {"message": "invalid account_id 'a\"b'"}), ("", {"message": "missing account_id"})],
    ids=["short", "long", "odd", "empty"])
def test_3_5_an_account_id_of_the_wrong_shape(kazoo, id, data):
    """Section 6: account id has the wrong shape, account id empty; before 401."""
    for token in (True, False):
        assert kazoo.get(f"/accounts/{id}/registrations", token=token).error == (404, "bad identifier", data)


def test_3_5_an_unknown_account(kazoo):
    """Section 6: account unknown; before 401."""
    for token in (True, False):
        assert kazoo.get(f"/accounts/{UNKNOWN}/registrations", token=token).error == (
            404, "bad_identifier", {"message": "bad identifier", "cause": UNKNOWN})


def test_3_6_without_a_token(kazoo):
    """Section 6 variant B."""
    assert kazoo.get(COLLECTION, token=False).error == (401, "invalid_credentials", {"message": "invalid credentials"})
    assert kazoo.get("/account/registrations", token=False).status == 401


def test_3_7_another_account_is_forbidden(world, kazoo):
    """Section 6: not authorised for that account: neither its own nor a descendant's; before an unknown user name."""
    for path in ("", "/count"):
        assert kazoo.get(f"/accounts/{STRANGER}/registrations{path}").error == (403, "forbidden", {"message": "forbidden"})
    assert kazoo.delete(f"/accounts/{STRANGER}/registrations/nobody").status == 403
    assert log_in(world, CHILD_KEY).get(COLLECTION).status == 403


def test_3_7_a_descendant_is_the_accounts_and_all_are_the_systems(kazoo, master):
    """Section 1: account or an ancestor, or superduper admin."""
    assert kazoo.get(f"/accounts/{CHILD}/registrations").status == 200
    assert kazoo.delete(f"/accounts/{CHILD}/registrations").data == "ok"
    assert master.get(f"/accounts/{STRANGER}/registrations").status == 200


def test_a_role_that_only_reads_flushes_nothing(world):
    """Roles: a flush writes."""
    reader = log_in(world, READER_KEY)
    assert reader.get(COLLECTION).status == 200
    assert reader.get(COLLECTION + "/count").status == 200
    assert reader.delete(COLLECTION).error == (403, "forbidden", {"message": "forbidden"})
    assert reader.delete(COLLECTION + "/alice").status == 403


@pytest.mark.parametrize("name", ["nobody", "al%20ice", "%22", "x" * 600, "100%", "%zz"])
def test_3_8_an_unknown_user_name(kazoo, name):
    """Section 6: data is an array with the name."""
    status, message, data = kazoo.delete(f"{COLLECTION}/{name}").error
    decoded = name.replace("%20", " ").replace("%22", '"')
    assert (status, message, data) == (404, "bad identifier", [decoded])


# ---- section 3: verb tunnelling

@pytest.mark.parametrize("how", ["query", "body", "data", "capitals"])
def test_a_verb_is_tunnelled_through_post(kazoo, how):
    """POST stands for the verb in query or body, in any case; the answer is that verb's."""
    query = {"query": "?verb=DELETE", "capitals": "?verb=DeLeTe"}.get(how, "")
    body = {"body": {"data": {}, "verb": "delete"}, "data": {"data": {"verb": "DELETE"}}}.get(how)
    answer = kazoo.call("POST", COLLECTION + "/alice" + query, body=json.dumps(body).encode() if body else None)
    assert answer.status == 200 and answer.data == "ok"


def test_a_tunnelled_get_lists(kazoo):
    assert isinstance(kazoo.call("POST", COLLECTION + "?verb=get").data, list)


@pytest.mark.parametrize("query", ["", "?verb=PUT", "?verb=nonsense", "?verb="])
def test_post_is_taken_only_for_a_verb_that_is_allowed(kazoo, query):
    assert kazoo.call("POST", COLLECTION + query).status == 405


def test_a_verb_beside_another_method_means_nothing(world, kazoo, alice):
    """Section 11.7 leaves GET with ?verb=DELETE open: it is a GET."""
    before = world.redis.hget(world.key(alice), "flush_seq")
    assert isinstance(kazoo.get(COLLECTION + "?verb=DELETE").data, list)
    assert world.redis.hget(world.key(alice), "flush_seq") == before


# ---- section 3: bodies

@pytest.mark.parametrize("body", [b"", b"  ", b"{}", b'{"data":{}}', b'{"data":[]}', b'{"DATA":{}}', b'{"data":{},"x":1}'])
def test_a_body_may_be_empty_or_an_envelope(kazoo, body):
    """Section 3, body rules; 11.2: `data` may be absent."""
    answer = kazoo.delete(COLLECTION + "/alice", body=body, headers={"Content-Type": "application/json"})
    assert answer.data == "ok"


@pytest.mark.parametrize("type", ["application/json", "application/json; charset=utf-8", None,
                                  "application/x-www-form-urlencoded"])
def test_a_body_that_is_no_json(kazoo, type):
    """Section 6: unparsable JSON body; JSON is also what says nothing of its type, or says that it is a form."""
    status, message, data = kazoo.delete(COLLECTION + "/alice", body=b'{"data":', headers={"Content-Type": type}).error
    assert status == 400 and set(data["json"]["invalid"]) == {"message", "target"}


def test_a_body_of_another_type_is_not_read(kazoo):
    assert kazoo.delete(COLLECTION + "/alice", body=b"{", headers={"Content-Type": "text/plain"}).data == "ok"


@pytest.mark.parametrize("inside", [b"[" * 70 + b"]" * 70, b"[" + b"1," * 10000 + b"1]"], ids=["deep", "many"])
def test_a_body_that_is_more_than_an_envelope(kazoo, inside):
    """Section 3 step 2, validation: what nobody sends is refused before anybody knows whose it is."""
    answer = kazoo.delete(COLLECTION, body=b'{"data":' + inside + b"}", token=False)
    assert answer.status == 400 and set(answer.json["data"]["json"]["invalid"]) == {"message", "target"}


@pytest.mark.parametrize("body, member", [(b"[]", "json"), (b'"x"', "json"), (b'{"data":1}', "data"), (b'{"data":"x"}', "data")])
def test_a_body_that_is_no_envelope(kazoo, body, member):
    """Section 3 step 2: invalid envelope."""
    status, message, data = kazoo.delete(COLLECTION + "/alice", body=body, headers={"Content-Type": "application/json"}).error
    assert status == 400 and list(data) == [member]


def test_the_keys_of_the_envelope_are_taken_in_any_case(world, kazoo):
    """Section 3: envelope keys are lower-cased before use."""
    body = json.dumps({"Data": {}, "VERB": "get", "Auth_Token": kazoo.token}).encode()
    assert isinstance(kazoo.call("POST", COLLECTION, body=body, token=False).data, list)


def test_a_long_body_is_taken_up_to_eight_million_bytes(world, kazoo):
    """Section 3 step 2 and section 6: body too large."""
    def send(count):
        body = b'{"data":{"x":"' + b"x" * (count - 17) + b'"}}'
        assert len(body) == count
        return Kazoo(world, kazoo.token).call("POST", COLLECTION + "?verb=GET", body=body)
    assert send(8_000_000).status == 200
    status, message, data = send(8_000_001).error
    assert status == 413 and set(data["file"]["maxSize"]) == {"message", "target"}


def test_a_client_that_leaves_in_its_body_leaves_nothing_behind(world, kazoo):
    for part in (b"", b'{"data"'):
        c = http.client.HTTPConnection("127.0.0.1", world.gateway.port)
        c.putrequest("PUT", "/v2/user_auth")
        c.putheader("Content-Length", "1000")
        c.endheaders(part)
        c.close()
    assert kazoo.get(COLLECTION).status == 200


def test_unknown_parameters_are_ignored(kazoo):
    """Section 3: jQuery adds one to every GET; section 7: paging has no effect."""
    assert len(kazoo.get(COLLECTION + "?_=1795255260120&paginate=false&page_size=0&start_key=x&a=%zz").data) >= 1
