"""POST /operations: the atomic operations extension of JSON:API (https://jsonapi.org/ext/atomic), an addition to contract 4."""
import concurrent.futures

import pytest
from conftest import MEDIA_TYPE

GATEWAY = {"ROLLCALL_YETI_OPERATIONS_BYTES": "300000"}
ATOMIC = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'
URL = "http://example.org/api/rest/admin/registrations/"


def send(api, operations, headers=None):
    body = operations if isinstance(operations, (bytes, dict)) else {"atomic:operations": operations}
    return api.call("POST", "/operations", body, {"Content-Type": ATOMIC, "Accept": ATOMIC, **(headers or {})})


def results(answer):
    assert answer.status == 200, answer.body
    assert answer.header("content-type") == ATOMIC and list(answer.json) == ["atomic:results"]
    return answer.json["atomic:results"]


def problems(answer):
    """Status, and (code, detail, pointer) of each error."""
    assert answer.header("content-type") == MEDIA_TYPE
    return answer.status, [(e["code"], e["detail"], e.get("source", {}).get("pointer")) for e in answer.json["errors"]]


def add(name, lid=None, relationships=None, **attributes):
    data = {"type": "registrations", "attributes": {"name": name, "domain": "example.com", "username": "u", "contact": "sip:u@h", **attributes}}
    if lid:
        data["lid"] = lid
    if relationships:
        data["relationships"] = relationships
    return {"op": "add", "data": data}


def ref(relationship=None, **identity):
    return {"type": "registrations", **identity, **({"relationship": relationship} if relationship else {})}


def update(attributes, relationships=None, **identity):
    data = {"type": "registrations", **identity, "attributes": attributes}
    if relationships:
        data["relationships"] = relationships
    return {"op": "update", "ref": ref(**identity), "data": data}


def remove(**identity):
    return {"op": "remove", "ref": ref(**identity)}


def listed(api):
    return {d["attributes"]["name"]: d for d in api.get("/registrations?page[size]=1000").data}


# ---- what operations do

def test_add_update_and_remove_in_one_request(api):
    kept, gone = api.create(name="kept"), api.create(name="gone")
    answer = send(api, [add("new"), update({"expire": 7}, id=kept), remove(id=gone)])
    made, changed, removed = results(answer)
    assert made["data"]["type"] == "registrations" and made["data"]["attributes"]["name"] == "new"
    assert made["data"] == api.get(f"/registrations/{made['data']['id']}").data
    assert made["data"]["links"]["self"] == URL + made["data"]["id"]
    assert changed["data"] == api.get(f"/registrations/{kept}").data and changed["data"]["attributes"]["expire"] == 7
    assert removed == {}
    assert set(listed(api)) == {"kept", "new"}


def test_a_relationship_is_updated_and_cleared(api, place):
    """Updating to-one relationships: the result has no data."""
    id = api.create()
    set_pop = {"op": "update", "ref": ref("pop", id=id), "data": {"type": "pops", "id": str(place[0])}}
    assert results(send(api, [set_pop])) == [{}]
    assert api.get(f"/registrations/{id}/relationships/pop").data == {"type": "pops", "id": str(place[0])}
    clear = {"op": "update", "ref": ref("pop", id=id), "data": None}
    node = {"op": "update", "href": f"/api/rest/admin/registrations/{id}/relationships/node", "data": {"type": "nodes", "id": place[1]}}
    tcp = {"op": "update", "ref": ref("transport-protocol", id=id), "data": {"type": "transport-protocols", "id": "2"}}
    assert results(send(api, [clear, node, tcp])) == [{}, {}, {}]
    found = api.get(f"/registrations/{id}?include=pop,node,transport-protocol").data["relationships"]
    assert [found[n]["data"] and found[n]["data"]["id"] for n in ("pop", "node", "transport-protocol")] == [None, str(place[1]), "2"]


def test_a_local_id_names_what_was_added_before(api, place):
    """lid: usable by later operations of the same request."""
    linkage = {"op": "update", "ref": ref("pop", lid="a"), "data": {"type": "pops", "id": str(place[0])}}
    found = results(send(api, [add("first", lid="a"), add("second", lid="b"), update({"expire": 9}, lid="a"), linkage, remove(lid="b"),
                               add("third")]))
    assert [set(r) for r in found] == [{"data"}, {"data"}, {"data"}, set(), set(), {"data"}]
    id = found[0]["data"]["id"]
    assert found[2]["data"]["id"] == id and found[0]["data"]["attributes"]["expire"] is None and found[2]["data"]["attributes"]["expire"] == 9
    assert set(listed(api)) == {"first", "third"}
    assert api.read(id)["expire"] == 9
    assert api.get(f"/registrations/{id}/relationships/pop").data["id"] == str(place[0])


def test_each_operation_sees_what_those_before_it_did(api):
    """In their order: a name is free once it was given up, and taken once it was given."""
    a, b = api.create(name="a"), api.create(name="b")
    results(send(api, [update({"name": "tmp"}, id=a), update({"name": "a"}, id=b), update({"name": "b"}, id=a)]))
    assert {n: d["id"] for n, d in listed(api).items()} == {"a": b, "b": a}
    results(send(api, [remove(id=a), add("b")]))
    assert set(listed(api)) == {"a", "b"} and listed(api)["b"]["id"] != a
    answer = send(api, [update({"name": "b"}, id=b), add("a")])
    assert problems(answer) == (422, [("100", "name - has already been taken", "/atomic:operations/0/data/attributes/name")])
    answer = send(api, [remove(id=b), update({"expire": 1}, id=b)])
    assert problems(answer) == (404, [("404", f"The record identified by {b} could not be found.", "/atomic:operations/1")])
    assert set(listed(api)) == {"a", "b"}


def test_what_is_made_and_removed_again_never_was(api):
    assert results(send(api, [add("x", lid="x"), remove(lid="x")]))[1] == {}
    assert listed(api) == {}


def test_several_changes_of_one_registration_are_one_write(api, world):
    id = api.create(name="many")
    revision = int(world.redis.hget(world.key(id), "revision"))
    found = results(send(api, [update({"expire": n}, id=id) for n in range(1, 6)]))
    assert [r["data"]["attributes"]["expire"] for r in found] == [1, 2, 3, 4, 5]
    assert int(world.redis.hget(world.key(id), "revision")) > revision
    now = int(world.redis.hget(world.key(id), "revision"))
    assert results(send(api, [update({"expire": 5}, id=id)]))[0]["data"]["attributes"]["expire"] == 5
    assert int(world.redis.hget(world.key(id), "revision")) == now, "nothing was changed"


@pytest.mark.parametrize("target", ["href", "absolute", "relative", "ref", "data", "number"])
def test_ways_to_name_a_target(api, target):
    id = api.create()
    data = {"type": "registrations", "id": id, "attributes": {"expire": 3}}
    ways = {"href": {"href": f"/api/rest/admin/registrations/{id}"}, "absolute": {"href": f"{URL}{id}"}, "relative": {"href": f"registrations/{id}"},
            "ref": {"ref": ref(id=id)}, "data": {}, "number": {"ref": ref(id=int(id))}}
    assert results(send(api, [{"op": "update", "data": data, **ways[target]}]))[0]["data"]["attributes"]["expire"] == 3


@pytest.mark.parametrize("target", [{"href": "/api/rest/admin/registrations"}, {"href": "registrations"}, {"ref": {"type": "registrations"}}, {}])
def test_ways_to_add(api, target):
    assert results(send(api, [{**add("x"), **target}]))[0]["data"]["attributes"]["name"] == "x"


def test_a_password_is_kept_by_its_mask(api, world):
    id = results(send(api, [add("p", **{"auth-user": "u", "auth-password": "secret"})]))[0]["data"]["id"]
    sealed = world.redis.hget(world.key(id), "spec")
    assert "secret\"" not in sealed.replace('"secret":', "")
    found = results(send(api, [update({"auth-password": "********", "expire": 4}, id=id)]))
    assert found[0]["data"]["attributes"]["auth-password"] == "********"
    answer = send(api, [add("q", **{"auth-password": "********"})])
    assert problems(answer) == (422, [("100", "auth-password - is invalid", "/atomic:operations/0/data/attributes/auth-password")])


def test_a_resource_object_names_its_target_by_lid_too(api):
    found = results(send(api, [add("x", lid="a"), {"op": "update", "data": {"type": "registrations", "lid": "a", "attributes": {"expire": 4}}}]))
    assert found[1]["data"]["id"] == found[0]["data"]["id"] and found[1]["data"]["attributes"]["expire"] == 4


def test_meta_and_members_of_the_document_go_with_operations(api):
    """The extension's document structure: any top-level member but data and included; an operation may have meta."""
    body = {"atomic:operations": [{**add("x"), "meta": {"a": 1}}], "meta": {}, "jsonapi": {"version": "1.1"}, "links": {}}
    answer = send(api, body)
    assert len(results(answer)) == 1 and answer.header("vary") == "Accept"
    assert problems(send(api, {**body, "included": []})) == (400, [("105", "included is not allowed.", None)])


# ---- all or none

@pytest.mark.parametrize("bad, status, code, pointer", [
    (add("ok1"), 422, "100", "/data/attributes/name"), (add(""), 422, "100", "/data/attributes/name"),
    (add("z", contact="x"), 422, "100", "/data/attributes/contact"), (add("z", bogus=1), 400, "105", ""),
    (add("z", relationships={"pop": {"data": {"type": "pops", "id": "7777777"}}}), 422, "100", "/data/relationships/pop"),
    (add("z", relationships={"pop": {"data": {"type": "nodes", "id": "1"}}}), 400, "116", ""),
    (update({"expire": 1}, id="7777777"), 404, "404", ""), (remove(id="7777777"), 404, "404", ""),
    (update({"expire": 1}, lid="nobody"), 404, "404", "/ref"), (remove(lid="nobody"), 404, "404", "/ref"), (remove(id="abc"), 404, "404", "/ref"),
    ({"op": "update", "ref": ref("transport-protocol", lid="ok"), "data": None}, 422, "100", "/data/relationships/transport-protocol")])
def test_one_that_fails_undoes_all(api, bad, status, code, pointer):
    """Atomic: nothing of the request is done, and the error points to the operation."""
    answer = send(api, [add("ok0"), add("ok1", lid="ok"), bad, add("ok2")])
    assert (answer.status, {(e["code"], e["source"]["pointer"]) for e in answer.json["errors"]}) == (status, {(code, f"/atomic:operations/2{pointer}")})
    assert listed(api) == {}


@pytest.mark.parametrize("target, at", [({"ref": ref(id="abc")}, "/ref"), ({"href": "registrations/abc"}, "/href"),
                                        ({"ref": ref("pop", id="abc")}, "/ref"), ({"href": "registrations/abc/relationships/pop"}, "/href")])
def test_a_pointer_leads_to_what_is_in_the_request(api, target, at):
    """JSON:API, error objects: a pointer names a value of the document that was sent."""
    is_relationship = "pop" in str(target)
    answer = send(api, [{"op": "update", "data": None, **target} if is_relationship else {"op": "remove", **target}])
    assert problems(answer) == (404, [("404", "The record identified by abc could not be found.", f"/atomic:operations/0{at}")])


def test_a_name_that_another_holds_undoes_all(api):
    """The store is the judge of names that no operation is about."""
    api.create(name="held")
    answer = send(api, [add("one"), add("two"), add("held"), add("three")])
    assert problems(answer) == (422, [("100", "name - has already been taken", "/atomic:operations/2/data/attributes/name")])
    assert set(listed(api)) == {"held"}


def test_all_that_is_wrong_with_an_operation_is_told_in_the_order_of_a_post(api):
    """Contract 2.1's order, below the operation's pointer."""
    answer = send(api, [{"op": "add", "data": {"type": "registrations"}}])
    at = "/atomic:operations/0/data/attributes/"
    assert problems(answer) == (422, [("100", "name - can't be blank", at + "name"), ("100", "domain - can't be blank", at + "domain"),
                                      ("100", "username - can't be blank", at + "username"), ("100", "contact - is invalid", at + "contact")])


def test_a_thousand_at_once_and_not_one_more(api):
    tiny = {"domain": "h", "username": "u", "contact": "sip:u@h"}
    many = [{"op": "add", "data": {"type": "registrations", "attributes": {"name": f"n{i}", **tiny}}} for i in range(1000)]
    found = results(send(api, many))
    assert len({r["data"]["id"] for r in found}) == 1000
    assert api.get("/registrations").json["meta"]["total-count"] == 1000
    answer = send(api, many + [{"op": "add", "data": {"type": "registrations"}}])
    assert problems(answer) == (413, [("413", "At most 1000 operations are done at once.", None)])


def test_what_belongs_to_others_is_not_there(api, world):
    other = world.api().create(name="theirs")
    assert send(api, [remove(id=other)]).status == 404
    assert send(api, [update({"expire": 1}, id=other)]).status == 404


def test_parallel_requests_over_the_same_registrations_all_get_through(world):
    """Another write that comes between is no failure: the operations are done again over what is there now."""
    user = next(world.users)
    api = world.api(user)
    ids = [api.create(name=f"r{i}", expire=1) for i in range(5)]

    def work(n):
        return send(world.api(user), [update({"expire": 100 + n}, id=i) for i in ids])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert {a.status for a in pool.map(work, range(16))} == {200}
    assert len({api.read(i)["expire"] for i in ids}) == 1, "each request was done as a whole"


# ---- form

@pytest.mark.parametrize("body, code, pointer", [
    ({}, "106", None), ({"atomic:operations": []}, "106", None), ({"atomic:operations": {}}, "106", None), ({"data": {}, "atomic:operations": []}, "105", None),
    ([5], "400", ""), ([{}], "106", ""), ([{"op": "bogus"}], "400", "/op"), ([{"op": "add"}], "106", ""), ([{"op": "add", "data": []}], "106", ""),
    ([{"op": "add", "data": {"type": "pops"}}], "101", ""), ([{"op": "add", "data": {}}], "106", ""),
    ([{"op": "add", "data": {"type": "registrations", "id": "5"}}], "105", ""), ([{"op": "add", "data": {"type": "registrations", "lid": 5}}], "105", ""),
    ([{**add("x"), "ref": ref(id="1")}], "400", ""), ([{**remove(id="1"), "href": "registrations/1"}], "400", ""),
    ([{"op": "remove"}], "400", ""), ([{"op": "remove", "ref": {"type": "registrations"}}], "400", ""), ([{"op": "remove", "ref": 5}], "400", "/ref"),
    ([{"op": "remove", "ref": {"type": "pops", "id": "1"}}], "101", "/ref"), ([{"op": "remove", "ref": {"id": "1"}}], "106", "/ref"),
    ([{"op": "remove", "ref": ref(id="1", lid="1")}], "400", "/ref"), ([{"op": "remove", "ref": ref("pop", id="1")}], "400", "/op"),
    ([{"op": "add", "ref": ref("pop", id="1"), "data": []}], "400", "/op"), ([{"op": "remove", "ref": ref("bogus", id="1")}], "105", "/ref"),
    ([{"op": "remove", "ref": ref("status", id="1")}], "105", "/ref"), ([{"op": "remove", "href": "pops/1"}], "400", "/href"),
    ([{"op": "remove", "href": "registrations/1/pop"}], "400", "/href"), ([{"op": "remove", "href": "registrations/1?x=1"}], "400", "/href"),
    ([{"op": "remove", "href": "registrations/1#x"}], "400", "/href"), ([{"op": "remove", "href": ""}], "400", "/href"),
    ([{"op": "remove", "href": "//example.org/api/rest/admin/registrations/1"}], "400", "/href"), ([{"op": "remove", "href": "/registrations/1"}], "400", "/href"),
    ([{"op": "update", "href": "registrations", "data": {"type": "registrations"}}], "109", ""), ([{"op": "update"}], "109", ""), ([{"op": "remove", "href": 5}], "400", "/href"),
    ([{"op": "update", "data": {"type": "registrations"}}], "109", ""), ([{"op": "update", "ref": ref(id="1")}], "106", ""),
    ([{"op": "update", "ref": ref(id="1"), "data": {"type": "registrations"}}], "109", ""),
    ([{"op": "update", "ref": ref(id="1"), "data": {"type": "registrations", "id": "2"}}], "110", ""),
    ([{"op": "update", "ref": ref("pop", id="1")}], "106", ""), ([{"op": "update", "ref": ref("pop", id="1"), "data": []}], "115", ""),
    ([{"op": "update", "ref": {"type": "registrations", "relationship": "pop"}, "data": None}], "400", "/ref"),
    ([add("a", lid="x"), add("b", lid="x")], "400", "/data/lid")])
def test_a_request_of_the_wrong_form(api, body, code, pointer):
    answer = send(api, body)
    n = len(body) - 1 if isinstance(body, list) else 0
    found = answer.json["errors"]
    wanted = f"/atomic:operations/{n}{pointer}" if pointer is not None else None
    assert (answer.status, [(e["code"], e.get("source", {}).get("pointer")) for e in found]) == (400, [(code, wanted)])
    assert listed(api) == {}


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b"null", b"\xff\xfe"])
def test_a_body_that_is_no_document(api, body):
    answer = send(api, body)
    assert answer.status == 400 and problems(answer)[1][0][0] in ("400", "106")


def test_a_body_that_is_too_long(api):
    answer = send(api, b'{"atomic:operations":[' + b" " * 300000 + b"]}")
    assert problems(answer) == (413, [("413", "The operations are too long.", None)])
    assert api.get("/registrations").status == 200


# ---- media types (JSON:API 1.1, Content Negotiation)

@pytest.mark.parametrize("type", [MEDIA_TYPE, "application/json", None, f"{MEDIA_TYPE};charset=utf-8", f'{ATOMIC};charset=utf-8',
                                  f"{ATOMIC};q=1", f'{MEDIA_TYPE};ext=""', f'{MEDIA_TYPE};ext="https://example.org/other"', f'{MEDIA_TYPE};ext="https://jsonapi.org/ext/atomic https://example.org/x"'])
def test_a_content_type_that_is_not_taken(api, type):
    answer = send(api, [add("x")], {"Content-Type": type})
    assert (answer.status, answer.json["errors"][0]["code"]) == (415, "415") and ATOMIC in answer.json["errors"][0]["detail"]


def test_a_body_that_is_packed_is_refused(api):
    """RFC 9110, 8.4 and 15.5.16."""
    answer = send(api, [add("x")], {"Content-Encoding": "gzip"})
    assert (answer.status, answer.json["errors"][0]["code"]) == (415, "415") and "Content-Encoding" in answer.json["errors"][0]["detail"]
    assert results(send(api, [add("x")], {"Content-Encoding": "identity"}))


@pytest.mark.parametrize("type", [ATOMIC, ATOMIC.replace(";", "; "), ATOMIC.replace("application/vnd", "Application/Vnd"), f'{ATOMIC};profile="https://example.org/p"', ATOMIC.replace('"', "")])
def test_a_content_type_that_is_taken(api, type):
    assert send(api, [add("x")], {"Content-Type": type}).status == 200


@pytest.mark.parametrize("accept, status", [
    (ATOMIC, 200), (None, 200), ("", 200), ("*/*", 200), (MEDIA_TYPE, 200), (f"text/html, {ATOMIC}", 200), ("application/*;q=0.1", 200),
    ("text/html", 406), ("application/json", 406), (f"{MEDIA_TYPE};charset=utf-8", 406), (f'{MEDIA_TYPE};ext="https://example.org/other"', 406),
    (f'{MEDIA_TYPE};ext="https://example.org/other", {ATOMIC}', 200), (f'{MEDIA_TYPE};charset=utf-8, {MEDIA_TYPE}', 200)])
def test_accept(api, accept, status):
    answer = send(api, [add("x")], {"Accept": accept})
    assert answer.status == status, answer.body
    assert listed(api) == {} or status == 200


def test_the_token_is_asked_for_before_the_body(api):
    answer = send(api, [add("x")], {"Authorization": None})
    assert (answer.status, answer.body) == (401, b"")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_it_is_posted_only(api, method):
    assert api.call(method, "/operations").status == 404
