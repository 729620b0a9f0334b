"""Documents, the error table, and what a body must look like (contract 5)."""
import json

import pytest

SELF = "http://example.org/api/rest/admin"


def test_members_stand_in_order(api):
    answer = api.get(f"/registrations/{api.create()}")
    assert list(answer.json) == ["data"]
    assert list(answer.data) == ["id", "type", "links", "attributes", "relationships"]
    assert list(answer.data["relationships"]) == ["transport-protocol", "pop", "node"]
    for name, relation in answer.data["relationships"].items():
        assert list(relation) == ["links"], "data only where it is included"
        assert list(relation["links"]) == ["self", "related"], name


def test_a_list_has_data_meta_and_links(api):
    api.create()
    answer = api.get("/registrations")
    assert list(answer.json) == ["data", "meta", "links"]
    assert answer.json["meta"] == {"total-count": 1}


def test_the_body_is_compact_and_text_unescaped(api):
    id = api.create(display_username="<ä> & \"q\" / \\")
    answer = api.get(f"/registrations/{id}")
    assert answer.body == json.dumps(answer.json, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize("host", ["example.org", "example.org:8443", "192.0.2.1", "[2001:db8::1]:80"])
def test_urls_are_made_of_the_host_header(api, host):
    id = api.create()
    answer = api.call("GET", f"/registrations/{id}", headers={"Host": host})
    assert answer.data["links"]["self"] == f"http://{host}/api/rest/admin/registrations/{id}"
    answer = api.call("GET", "/registrations", headers={"Host": host})
    assert answer.json["links"]["first"].startswith(f"http://{host}/api/rest/admin/registrations?")


def test_fields_that_select_no_attribute_leave_the_member_out(api):
    id = api.create()
    assert list(api.get(f"/registrations/{id}?fields[registrations]=pop").data) == ["id", "type", "links", "relationships"]
    assert list(api.get(f"/registrations/{id}?fields[registrations]=name").data) == ["id", "type", "links", "attributes"]
    assert list(api.get(f"/registrations/{id}?fields[registrations]=id").data) == ["id", "type", "links"]


# ---- data, type and id

def send(api, method, body, id=None):
    return api.call(method, f"/registrations/{id}" if id else "/registrations", body)


MISSING_DATA = [("106", "The required parameter, data, is missing.", None)]


@pytest.mark.parametrize("body", [b"", b" ", {}, {"data": None}, {"data": {}}, {"data": []}, {"meta": 1}])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_data_is_required(api, method, body):
    answer = send(api, method, body, api.create() if method == "PATCH" else None)
    assert (answer.status, answer.errors, answer.titles) == (400, MISSING_DATA, ["Missing Parameter"])


@pytest.mark.parametrize("data", ["text", [1], [{"type": "registrations"}], 5, True])
def test_data_is_an_object(api, data):
    answer = send(api, "POST", {"data": data})
    assert (answer.status, answer.errors, answer.titles) == (
        400, [("122", "Data must be a hash.", None)], ["Invalid data format"])


@pytest.mark.parametrize("body", [b"{", b'{"data":', b"nonsense", b'{"data":{}}x', b'{"a":1,"a":2}', b'{"a":"\xff"}', b"[1,]",
                                  b"[" * 5000])
def test_a_body_that_is_not_json_is_a_bad_request(api, body):
    answer = send(api, "POST", body)
    assert answer.status == 400
    assert answer.titles == ["Bad Request"] and answer.errors[0][0] == "400" and answer.errors[0][1]


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"', b"null", b"true"])
def test_the_request_is_an_object(api, body):
    answer = send(api, "POST", body)
    assert (answer.status, answer.errors) == (400, [("400", "Request must be a hash", None)])


@pytest.mark.parametrize("type, printed", [("foos", "foos"), (5, "5"), ("", ""), ("pops", "pops"), (["registrations"], '["registrations"]')])
def test_another_type_is_no_valid_resource(api, type, printed):
    for answer in (send(api, "POST", {"data": {"type": type}}),
                   (lambda id: send(api, "PATCH", {"data": {"type": type, "id": id}}, id))(api.create())):
        assert (answer.status, answer.errors) == (400, [("101", f"{printed} is not a valid resource.", None)])
        assert answer.titles == ["Invalid resource"]


@pytest.mark.parametrize("data", [{"attributes": {}}, {"type": None}])
def test_the_type_is_required(api, data):
    assert send(api, "POST", {"data": data}).errors == [("106", "The required parameter, type, is missing.", None)]


def test_the_type_is_compared_after_underscoring(api):
    assert api.call("POST", "/registrations", {"data": {"type": "Registrations", "attributes": api.required()}}).status == 201


def test_a_client_supplied_id_is_not_allowed(api):
    answer = api.post(api.required(), id="5")
    assert (answer.status, answer.errors, answer.titles) == (400, [("105", "id is not allowed.", None)], ["Param not allowed"])


def test_the_key_is_required_in_an_update(api):
    id = api.create()
    for data in ({"type": "registrations"}, {"type": "registrations", "id": None}):
        answer = send(api, "PATCH", {"data": data}, id)
        assert (answer.status, answer.errors) == (400, [("109", "The resource object does not contain a key.", None)])
        assert answer.titles == ["A key is required"]


def test_the_key_is_the_urls_as_text(api):
    id = api.create()
    assert send(api, "PATCH", {"data": {"type": "registrations", "id": int(id)}}, id).status == 200
    for other in (f"0{id}", "1x", int(id) + 1):
        answer = send(api, "PATCH", {"data": {"type": "registrations", "id": other}}, id)
        assert (answer.status, answer.errors) == (400, [("110", f"The URL does not support the key {other}", None)])
        assert answer.titles == ["Key is not included in URL"]


@pytest.mark.parametrize("member", ["links", "meta", "bogus"])
def test_other_members_of_data_are_not_allowed(api, member):
    answer = api.post(api.required(), **{member: {}})
    assert (answer.status, answer.errors) == (400, [("105", f"{member} is not allowed.", None)])


def test_other_members_beside_data_are_ignored(api):
    assert api.call("POST", "/registrations", {**api.resource(api.required()), "meta": {"a": 1}, "jsonapi": {}}).status == 201


def test_no_attributes_are_an_empty_array_too(api):
    id = api.create()
    assert send(api, "PATCH", {"data": {"type": "registrations", "id": id, "attributes": []}}, id).status == 200


@pytest.mark.parametrize("member, value", [("attributes", None), ("attributes", "x"), ("attributes", 1), ("attributes", ["a"]),
                                           ("relationships", None), ("relationships", []), ("relationships", "x")])
def test_members_of_another_shape_are_invalid(api, member, value):
    """Yeti's answer is 500."""
    id = api.create()
    answer = send(api, "PATCH", {"data": {"type": "registrations", "id": id, member: value}}, id)
    assert (answer.status, answer.errors) == (422, [("100", f"{member} - is invalid", f"/data/{member}")])


def test_fields_and_include_are_honoured_by_writes(api):
    answer = api.call("POST", "/registrations?fields[registrations]=name,pop&include=transport-protocol", api.resource(api.required()))
    assert answer.status == 201
    assert list(answer.attributes) == ["name"] and list(answer.data["relationships"]) == ["pop"]
    answer = api.patch(answer.data["id"], {}, query="?include=transport-protocol")
    assert answer.data["relationships"]["transport-protocol"]["data"] == {"type": "transport-protocols", "id": "1"}
    assert answer.json["included"][0]["attributes"] == {"name": "UDP"}
    assert api.patch(answer.data["id"], {}, query="?page[size]=0&sort=bogus&filter[bogus]=1").status == 200


# ---- included

def link(type, id):
    return {"data": {"type": type, "id": str(id)}}


def test_included_is_flat_grouped_and_without_duplicates(api, place):
    pop, node = place
    links = {"pop": link("pops", pop), "node": link("nodes", node)}
    for _ in range(2):
        api.create(relationships=links)
    api.create()
    answer = api.get("/registrations?include=pop,node.pop,transport-protocol")
    assert [(i["type"], i["id"]) for i in answer.json["included"]] == [
        ("transport-protocols", "1"), ("pops", str(pop)), ("nodes", str(node))]
    relations = [r["relationships"] for r in answer.data]
    assert relations[0]["node"]["data"] == {"type": "nodes", "id": str(node)}
    assert relations[2]["node"]["data"] is None
    included = answer.json["included"][2]
    assert included["relationships"]["pop"]["data"] == {"type": "pops", "id": str(pop)}
    assert list(answer.json) == ["data", "included", "meta", "links"]


@pytest.mark.parametrize("include, types", [("node.pop", ["nodes", "pops"]), ("node.pop,pop", ["pops", "nodes"]), ("pop,node", ["pops", "nodes"]),
                                            ("node.pop,transport-protocol", ["transport-protocols", "nodes", "pops"]),
                                            ("status,node.pop,pop", ["pops", "nodes", "registration-statuses"])])
def test_types_are_included_in_the_order_in_which_they_are_first_seen(api, place, include, types):
    """Relationships in their order, whatever the parameter's; a node is seen before its pop."""
    pop, node = place
    api.create(relationships={"pop": link("pops", pop), "node": link("nodes", node)} if "pop" in include.split(",") else {"node": link("nodes", node)})
    assert [i["type"] for i in api.get(f"/registrations?include={include}").json["included"]] == types


@pytest.mark.parametrize("fields, wanted", [
    ("fields[registrations]=name", ["nodes", "pops"]), ("fields[registrations]=id&fields[nodes]=id", ["nodes", "pops"]),
    ("fields[nodes]=name&fields[pops]=id", ["nodes", "pops"])])
def test_fields_that_hide_a_relationship_do_not_hide_what_is_included(api, place, fields, wanted):
    """Contract 8.2: fields apply per type; JSON:API, Compound Documents: sparse fieldsets are the exception from full linkage."""
    id = api.create(relationships={"node": link("nodes", place[1])})
    for path in (f"/registrations/{id}", "/registrations"):
        answer = api.get(f"{path}?include=node.pop&{fields}")
        assert [i["type"] for i in answer.json["included"]] == wanted
        shown = answer.data if isinstance(answer.data, dict) else answer.data[0]
        assert ("relationships" in shown) == ("fields[registrations]" not in fields)
        assert ("relationships" in answer.json["included"][0]) == ("fields[nodes]" not in fields)


def test_a_node_always_shows_its_pop(api, place):
    pop, node = place
    id = api.create(relationships={"node": link("nodes", node)})
    included = api.get(f"/registrations/{id}?include=node").json["included"]
    assert [i["type"] for i in included] == ["nodes"]
    assert list(included[0]["relationships"]["pop"]) == ["links", "data"]
    assert included[0]["relationships"]["pop"]["data"]["id"] == str(pop)


def test_fields_shape_what_is_included(api, place):
    id = api.create(relationships={"node": link("nodes", place[1])})
    node = api.get(f"/registrations/{id}?include=node&fields[nodes]=rpc-endpoint").json["included"][0]
    assert list(node) == ["id", "type", "links", "attributes"] and list(node["attributes"]) == ["rpc-endpoint"]


def test_an_included_null_is_null_with_nothing_in_included(api):
    answer = api.get(f"/registrations/{api.create()}?include=pop,node.pop")
    assert "included" not in answer.json
    assert answer.data["relationships"]["pop"]["data"] is None


def test_an_empty_include_is_none(api):
    assert api.get(f"/registrations/{api.create()}?include=").data["relationships"]["pop"].keys() == {"links"}
