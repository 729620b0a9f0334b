"""If-Match and Idempotency-Key, additions to contract 7 (RFC 9110 13.1.1 with the weak comparison)."""
import concurrent.futures

import pytest


COLLEAGUES = (1001, 1002)


def PRINCIPALS(document):
    """Two users of one account."""
    document["users"] += [{**document["users"][0], "id": id, "username": f"colleague{id}", "account": "colleagues"} for id in COLLEAGUES]


def change(api, id, attributes, tag, method="PATCH", query=""):
    return api.call(method, f"/registrations/{id}{query}", api.resource(attributes, id=id), {"If-Match": tag})


def tag_of(api, path):
    return api.get(path).header("etag")


# ---- If-Match

@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_the_present_tag_lets_a_change_through_and_an_old_one_does_not(api, method):
    id = api.create()
    old = tag_of(api, f"/registrations/{id}")
    assert change(api, id, {"expire": 5}, old, method).status == 200
    answer = change(api, id, {"expire": 6}, old, method)
    now = tag_of(api, f"/registrations/{id}")
    assert (answer.status, answer.titles) == (412, ["Precondition failed"])
    assert answer.errors == [("412", f"The record as it is now has the entity tag {now}.", None)]
    assert answer.header("etag") == now
    assert api.read(id)["expire"] == 5
    assert change(api, id, {"expire": 6}, answer.header("etag"), method).status == 200


@pytest.mark.parametrize("form, status", [("{tag}", 200), ("{strong}", 200), ("*", 200), (' "x" , {tag}', 200), ('"a,b", {tag},"c"', 200),
                                          ('W/"0"', 412), ('"0","1"', 412), ("", 412), ("{bare}", 412), ('"', 412), (",", 412), ("W/*", 412)])
def test_forms_of_the_condition(api, form, status):
    """Weak and strong spelling are the same; a list names any of them; what is no tag names none."""
    id = api.create()
    tag = tag_of(api, f"/registrations/{id}")
    given = form.format(tag=tag, strong=tag[2:], bare=tag[3:-1])
    assert change(api, id, {"expire": 5}, given).status == status


def test_the_tag_is_that_of_the_same_url(api, place):
    """What a GET of the URL gives is what the condition is about: its includes and fields, too."""
    id = api.create({"node": {"data": {"type": "nodes", "id": place[1]}}})
    for query in ("?include=node.pop", "?fields[registrations]=name,pop", "?include=pop,status&fields[pops]=name"):
        tag = tag_of(api, f"/registrations/{id}{query}")
        assert tag != tag_of(api, f"/registrations/{id}")
        assert change(api, id, {}, tag).status == 412
        assert change(api, id, {}, tag, query=query).status == 200


def test_a_delete_with_a_condition(api):
    id = api.create()
    old = tag_of(api, f"/registrations/{id}")
    api.patch(id, {"expire": 9})
    answer = api.call("DELETE", f"/registrations/{id}", headers={"If-Match": old})
    assert (answer.status, answer.titles) == (412, ["Precondition failed"])
    assert api.call("DELETE", f"/registrations/{id}", headers={"If-Match": tag_of(api, f"/registrations/{id}")}).status == 204
    assert api.get(f"/registrations/{id}").status == 404
    assert api.call("DELETE", f"/registrations/{api.create()}", headers={"If-Match": "*"}).status == 204


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_what_is_not_there_is_404_whatever_the_condition(api, method):
    body = api.resource({}, id="7777777") if method == "PATCH" else None
    assert api.call(method, "/registrations/7777777", body, {"If-Match": "*"}).status == 404


def test_a_condition_is_judged_before_validation(api):
    id = api.create()
    assert change(api, id, {"name": ""}, '"0"').status == 412
    assert change(api, id, {"name": ""}, "*").status == 422


def test_relationships_have_conditions_of_their_own(api, place):
    id = api.create()
    path = f"/registrations/{id}/relationships/pop"
    body = {"data": {"type": "pops", "id": place[0]}}
    old = tag_of(api, path)
    assert api.call("PATCH", path, body, {"If-Match": tag_of(api, f"/registrations/{id}")}).status == 412
    assert api.call("PATCH", path, body, {"If-Match": old}).status == 204
    assert api.call("PUT", path, {"data": None}, {"If-Match": old}).status == 412
    assert api.call("DELETE", path, headers={"If-Match": old}).status == 412
    assert api.call("DELETE", path, headers={"If-Match": tag_of(api, path)}).status == 204


def test_pops_and_nodes_have_conditions(api, place):
    for path, type, id in ((f"/pops/{place[0]}", "pops", place[0]), (f"/nodes/{place[1]}", "nodes", place[1])):
        old = tag_of(api, path)
        body = {"data": {"type": type, "id": str(id), "attributes": {"name": f"other {type} {id}"}}}
        assert api.call("PATCH", path, body, {"If-Match": '"0"'}).status == 412
        assert api.call("PATCH", path, body, {"If-Match": old}).status == 200
        assert api.call("PUT", path, body, {"If-Match": old}).status == 412
    assert api.call("DELETE", f"/nodes/{place[1]}", headers={"If-Match": '"0"'}).status == 412
    assert api.call("DELETE", f"/nodes/{place[1]}", headers={"If-Match": tag_of(api, f"/nodes/{place[1]}")}).status == 204
    assert api.call("DELETE", f"/pops/{place[0]}", headers={"If-Match": '"0"'}).status == 412


def test_of_many_at_the_same_moment_one_wins(world):
    """The condition and the write are one: of twelve who read the same, eleven are told 412."""
    user = next(world.users)
    api = world.api(user)
    id = api.create(expire=1)
    tag = tag_of(api, f"/registrations/{id}")
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda i: change(world.api(user), id, {"expire": 100 + i}, tag), range(12)))
    assert sorted(a.status for a in answers) == [200] + [412] * 11
    winner = next(a for a in answers if a.status == 200)
    assert api.read(id)["expire"] == winner.attributes["expire"]


# ---- Idempotency-Key

def create(api, key, **attributes):
    body = api.resource({"name": "once", "domain": "example.com", "username": "u", "contact": "sip:u@h", **attributes})
    return api.call("POST", "/registrations", body, {"Idempotency-Key": key})


def test_a_create_that_is_sent_again_makes_nothing(api):
    first = create(api, "k1")
    again = create(api, "k1")
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body and again.header("location") == first.header("location")
    assert api.get("/registrations").json["meta"]["total-count"] == 1


def test_a_key_is_good_for_one_request_only(api):
    assert create(api, "k1").status == 201
    answer = create(api, "k1", name="other")
    assert (answer.status, answer.titles) == (422, ["Idempotency key reused"])
    assert answer.errors == [("422", "k1 was given with another request before.", None)]
    assert answer.json["errors"][0]["source"] == {"header": "idempotency-key"}
    assert create(api, "k2", name="other").status == 201


def test_a_create_that_is_sent_again_does_not_bring_back_what_was_deleted(api):
    id = create(api, "gone").data["id"]
    assert api.call("DELETE", f"/registrations/{id}").status == 204
    for _ in range(2):
        answer = create(api, "gone")
        assert (answer.status, answer.titles) == (404, ["Record not found"])
        assert answer.json["errors"][0]["detail"] == "What gone made before could not be found."
        assert answer.json["errors"][0]["source"] == {"header": "idempotency-key"}
    assert api.get("/registrations").data == []
    assert create(api, "another").status == 201


def test_a_create_that_is_sent_again_gives_what_it_is_now(api):
    id = create(api, "k").data["id"]
    api.patch(id, {"expire": 77, "name": "renamed"})
    again = create(api, "k")
    assert (again.status, again.data["id"], again.attributes["expire"], again.attributes["name"]) == (201, id, 77, "renamed")


def test_users_of_an_account_share_its_keys(world):
    """Whoever of them sends the same again gets what the first made; another body is refused."""
    one, other = (world.api(user) for user in COLLEAGUES)
    first = create(one, "shared")
    assert first.status == 201 and create(other, "shared").body == first.body
    assert create(other, "shared", expire=5).status == 422
    assert other.get("/registrations").json["meta"]["total-count"] == 1


def test_a_failed_create_leaves_its_key_unused(api):
    assert create(api, "k", domain="").status == 422
    assert create(api, "k").status == 201


def test_keys_belong_to_the_account(api, world):
    assert create(api, "shared").status == 201
    assert create(world.api(), "shared", name="mine").status == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_bad_key(api, key):
    answer = create(api, key)
    assert (answer.status, answer.titles) == (400, ["Bad Request"])
    assert answer.json["errors"][0]["source"] == {"header": "idempotency-key"}
    assert api.get("/registrations").json["meta"]["total-count"] == 0


def test_the_longest_key(api):
    assert [create(api, "y" * 255).status for _ in range(2)] == [201, 201]


def test_a_key_lasts_a_day(api, world):
    assert create(api, "day").status == 201
    keys = [k for k in world.redis.scan_iter("rc:*:idem:*")]
    assert keys and all(86000 < world.redis.ttl(k) <= 86400 for k in keys)


def test_the_same_create_at_the_same_moment_makes_one(world):
    user = next(world.users)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: create(world.api(user), "race"), range(8)))
    assert {a.status for a in answers} == {201}
    assert len({a.data["id"] for a in answers}) == 1
    assert world.api(user).get("/registrations").json["meta"]["total-count"] == 1
