"""Relationships of a registration: forms of input, linkage, related resources (contract 3, 4)."""
import pytest

EXIST = "must exist"
INVALID_LINKS = ("115", "Data is not a valid Links Object.", None)


def link(type, id):
    return {"data": {"type": type, "id": id}}


def relation(name, message):
    return ("100", f"{name} - {message}", f"/data/relationships/{name}")


def linkage(api, id, name):
    return api.get(f"/registrations/{id}/relationships/{name}").data


def test_linkage_is_set_by_type_and_id(api, place):
    pop, node = place
    id = api.create(relationships={"pop": link("pops", str(pop)), "node": link("nodes", node),
                                   "transport-protocol": link("transport-protocols", 3)})
    assert linkage(api, id, "pop") == {"type": "pops", "id": str(pop)}
    assert linkage(api, id, "node") == {"type": "nodes", "id": str(node)}
    assert linkage(api, id, "transport-protocol") == {"type": "transport-protocols", "id": "3"}


@pytest.mark.parametrize("protocol", ["1", "2", "3", "5"])
def test_every_transport_protocol_is_kept(api, protocol):
    id = api.create(relationships={"transport-protocol": link("transport-protocols", protocol)})
    assert linkage(api, id, "transport-protocol")["id"] == protocol


@pytest.mark.parametrize("value", [{"data": None}, {}, None, {"data": {"type": "pops", "id": None}}])
def test_linkage_is_cleared(api, place, value):
    id = api.create(relationships={"pop": link("pops", str(place[0]))})
    assert api.patch(id, relationships={"pop": value}).status == 200
    assert linkage(api, id, "pop") is None


@pytest.mark.parametrize("value", [
    {"data": {"type": "pops", "id": "1", "meta": {}}}, {"data": {"type": "pops"}}, {"data": {"id": "1"}}, {"data": []},
    {"data": [{"type": "pops", "id": "1"}]}, [], {"data": {}}, {"data": "x"}, {"data": 5}])
def test_malformed_linkage_is_no_links_object(api, value):
    answer = api.patch(api.create(), relationships={"pop": value})
    assert (answer.status, answer.errors) == (400, [INVALID_LINKS])
    assert answer.titles == ["Invalid Links Object"]


@pytest.mark.parametrize("value", ["pops", 5, True])
def test_a_linkage_of_another_shape_is_invalid(api, value):
    answer = api.patch(api.create(), relationships={"pop": value})
    assert (answer.status, answer.errors) == (422, [relation("pop", "is invalid")])


def test_a_wrong_type_does_not_match(api):
    answer = api.patch(api.create(), relationships={"pop": link("nodes", "1")})
    assert (answer.status, answer.errors) == (400, [("116", "nodes is not a valid type for this operation.", None)])
    assert answer.titles == ["Type Mismatch"]


@pytest.mark.parametrize("id, printed", [("abc", "abc"), ("", ""), ("1x", "1x"), (1.5, "1.5"), (True, "true")])
def test_an_id_that_is_no_integer_is_not_valid(api, id, printed):
    answer = api.patch(api.create(), relationships={"pop": link("pops", id)})
    assert (answer.status, answer.errors) == (400, [("103", f"{printed} is not a valid value for id.", None)])


@pytest.mark.parametrize("name", ["transport_protocol", "pops", "status", "sip-schema"])
def test_an_unknown_relationship_is_not_allowed(api, name):
    answer = api.patch(api.create(), relationships={name: {"data": None}})
    assert (answer.status, answer.errors) == (400, [("105", f"{name} is not allowed.", None)])


@pytest.mark.parametrize("id", ["99999", 99999, "-1", "0", "9" * 30])
@pytest.mark.parametrize("name, type", [("pop", "pops"), ("node", "nodes")])
def test_an_unknown_place_must_exist(api, name, type, id):
    """Yeti's answer is 500."""
    answer = api.patch(api.create(), relationships={name: link(type, id)})
    assert (answer.status, answer.errors) == (422, [relation(name, EXIST)])
    answer = api.post(api.required(), {name: link(type, id)})
    assert (answer.status, answer.errors) == (422, [relation(name, EXIST)])


@pytest.mark.parametrize("id", ["4", "6", 99])
def test_an_unknown_transport_protocol_fails_twice(api, id):
    answer = api.patch(api.create(), relationships={"transport-protocol": link("transport-protocols", id)})
    assert (answer.status, answer.errors) == (422, [relation("transport-protocol", EXIST),
                                                    relation("transport-protocol", "can't be blank")])


def test_a_node_of_another_pop_is_refused(api, place):
    """Yeti takes it, and nobody registers."""
    _, node = place
    other = node + 100000
    assert api.call("POST", "/pops", {"data": {"type": "pops", "id": other, "attributes": {"name": f"other {other}"}}}).status == 201
    answer = api.post(api.required(), {"pop": link("pops", other), "node": link("nodes", node)})
    assert (answer.status, answer.errors) == (422, [relation("node", "must belong to the pop")])
    id = api.create(relationships={"node": link("nodes", node)})
    answer = api.patch(id, relationships={"pop": link("pops", other)})
    assert (answer.status, answer.errors) == (422, [relation("node", "must belong to the pop")])


def test_a_relationship_among_the_attributes_is_invalid(api):
    answer = api.patch(api.create(), {"pop": 1})
    assert (answer.status, answer.errors) == (422, [("100", "pop - is invalid", "/data/attributes/pop")])


# ---- …/relationships/X

def test_linkage_is_a_document_of_its_own(api):
    id = api.create()
    answer = api.get(f"/registrations/{id}/relationships/pop?include=bogus&fields=x&page[size]=0")
    self = f"http://example.org/api/rest/admin/registrations/{id}"
    assert answer.status == 200
    assert list(answer.json) == ["data", "links"]
    assert answer.json == {"data": None, "links": {"self": f"{self}/relationships/pop", "related": f"{self}/pop"}}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_linkage_is_written_and_answered_with_nothing(api, place, method):
    id = api.create()
    path = f"/registrations/{id}/relationships/pop"
    answer = api.call(method, path, link("pops", str(place[0])))
    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("content-type") is None and answer.header("cache-control") == "no-cache"
    assert linkage(api, id, "pop") == {"type": "pops", "id": str(place[0])}
    assert api.call(method, path, {"data": None}).status == 204
    assert linkage(api, id, "pop") is None


def test_data_is_mandatory_in_a_linkage(api):
    answer = api.call("PATCH", f"/registrations/{api.create()}/relationships/pop", {"foo": 1})
    assert (answer.status, answer.errors) == (400, [("106", "The required parameter, data, is missing.", None)])


def test_a_bad_linkage_is_refused(api):
    path = f"/registrations/{api.create()}/relationships/pop"
    assert api.call("PATCH", path, {"data": []}).errors == [INVALID_LINKS]
    assert api.call("PATCH", path, link("pops", "99999")).errors == [relation("pop", EXIST)]
    assert api.call("PATCH", path, link("nodes", "1")).errors[0][0] == "116"


def test_deleting_a_linkage_is_idempotent(api, place):
    id = api.create(relationships={"pop": link("pops", str(place[0])), "node": link("nodes", place[1])})
    for name in ("node", "pop", "pop"):
        answer = api.call("DELETE", f"/registrations/{id}/relationships/{name}")
        assert (answer.status, answer.body) == (204, b"")
        assert linkage(api, id, name) is None


def test_the_transport_protocol_cannot_be_deleted(api):
    id = api.create()
    for answer in (api.call("DELETE", f"/registrations/{id}/relationships/transport-protocol"),
                   api.call("PATCH", f"/registrations/{id}/relationships/transport-protocol", {"data": None})):
        assert answer.status == 422
        assert answer.errors == [relation("transport-protocol", EXIST), relation("transport-protocol", "can't be blank")]
        assert answer.titles == [EXIST, "can't be blank"]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_linkage_of_an_unknown_record_is_not_found(api, method):
    body = {"data": None} if method == "PATCH" else None
    answer = api.call(method, "/registrations/7777777/relationships/pop", body)
    assert (answer.status, answer.errors) == (404, [("404", "The record identified by 7777777 could not be found.", None)])


# ---- …/X

def test_the_related_resource_is_a_document(api, place):
    pop, node = place
    id = api.create(relationships={"pop": link("pops", str(pop)), "node": link("nodes", node)})
    answer = api.get(f"/registrations/{id}/pop")
    assert answer.json == {"data": {"id": str(pop), "type": "pops", "links": {
        "self": f"http://example.org/api/rest/admin/pops/{pop}"}, "attributes": {"name": f"pop {pop}"}}}
    answer = api.get(f"/registrations/{id}/node?include=pop&fields[nodes]=name,pop")
    assert list(answer.attributes) == ["name"]
    assert [i["id"] for i in answer.json["included"]] == [str(pop)]
    assert api.get(f"/registrations/{id}/transport-protocol").attributes == {"name": "UDP"}


def test_a_related_resource_that_is_not_set_is_null(api):
    assert api.get(f"/registrations/{api.create()}/pop").json == {"data": None}


def test_the_query_is_judged_by_the_related_type(api):
    id = api.create()
    assert api.get(f"/registrations/{id}/pop?include=pop").errors == [
        ("112", "pop is not a valid relationship of pops", None)]
    assert api.get(f"/registrations/{id}/pop?fields[pops]=username").errors == [
        ("104", "username is not a valid field for pops.", None)]
    assert api.get(f"/registrations/{id}/pop?filter[name]=nothing").status == 200
