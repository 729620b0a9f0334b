"""Pops, nodes, transport protocols: CRUD with client-chosen ids, filters, what blocks a deletion (contract 8.3, 9)."""
import itertools

import pytest

numbers = itertools.count(5000)
BLANK = "can't be blank"


def send(api, method, path, type, attributes=None, pop=None, **members):
    data = {"type": type, **members}
    if attributes is not None:
        data["attributes"] = attributes
    if pop is not None:
        data["relationships"] = {"pop": {"data": {"type": "pops", "id": pop} if pop else None}}
    return api.call(method, path, {"data": data})


def new_pop(api, name=None):
    id = next(numbers)
    answer = send(api, "POST", "/pops", "pops", {"name": name or f"pop {id}"}, id=str(id))
    assert answer.status == 201, answer.body
    return str(id)


def new_node(api, pop, **attributes):
    id = next(numbers)
    answer = send(api, "POST", "/nodes", "nodes", {"name": f"node {id}", "rpc-endpoint": f"10.0.0.1:{id}", **attributes},
                  pop=pop, id=id)
    assert answer.status == 201, answer.body
    return str(id)


def test_a_pop_is_created_read_changed_and_deleted(api):
    id = next(numbers)
    answer = send(api, "POST", "/pops", "pops", {"name": "first"}, id=id)
    self = f"http://example.org/api/rest/admin/pops/{id}"
    assert (answer.status, answer.header("location")) == (201, self)
    assert answer.json == {"data": {"id": str(id), "type": "pops", "links": {"self": self}, "attributes": {"name": "first"}}}
    assert api.get(f"/pops/{id}").json == answer.json
    assert send(api, "PATCH", f"/pops/{id}", "pops", {"name": "second"}, id=str(id)).attributes == {"name": "second"}
    assert api.call("DELETE", f"/pops/{id}").status == 204
    assert api.get(f"/pops/{id}").errors == [("404", f"The record identified by {id} could not be found.", None)]
    assert api.call("DELETE", f"/pops/{id}").status == 404
    assert send(api, "PATCH", f"/pops/{id}", "pops", {}, id=str(id)).status == 404


def test_a_node_is_created_read_changed_and_deleted(api):
    pop, other = new_pop(api), new_pop(api)
    id = new_node(api, pop)
    answer = api.get(f"/nodes/{id}")
    self = f"http://example.org/api/rest/admin/nodes/{id}"
    assert answer.data == {
        "id": id, "type": "nodes", "links": {"self": self}, "attributes": {"name": f"node {id}", "rpc-endpoint": f"10.0.0.1:{id}"},
        "relationships": {"pop": {"links": {"self": f"{self}/relationships/pop", "related": f"{self}/pop"},
                                  "data": {"type": "pops", "id": pop}}}}
    answer = send(api, "PUT", f"/nodes/{id}", "nodes", {"rpc-endpoint": f"x{id}"}, pop=other, id=id)
    assert answer.attributes == {"name": f"node {id}", "rpc-endpoint": f"x{id}"}
    assert answer.data["relationships"]["pop"]["data"]["id"] == other
    assert api.call("DELETE", f"/nodes/{id}").status == 204
    assert api.get(f"/nodes/{id}").status == 404


def attribute(name, message):
    return ("100", f"{name} - {message}", f"/data/attributes/{name}")


def relation(message):
    return ("100", f"pop - {message}", "/data/relationships/pop")


def test_a_pop_needs_an_id_and_a_name(api):
    answer = send(api, "POST", "/pops", "pops")
    assert (answer.status, answer.errors) == (422, [attribute("id", BLANK), attribute("name", BLANK)])
    answer = send(api, "POST", "/pops", "pops", {"name": "x"})
    assert answer.errors == [attribute("id", BLANK)]


def test_a_node_without_anything_fails_in_yetis_order(api):
    answer = send(api, "POST", "/nodes", "nodes")
    assert (answer.status, answer.errors) == (422, [
        relation("must exist"), relation(BLANK), attribute("id", BLANK), attribute("rpc-endpoint", BLANK), attribute("name", BLANK)])


def test_ids_and_names_are_unique(api):
    pop = new_pop(api, "unique name")
    node = new_node(api, pop)
    assert send(api, "POST", "/pops", "pops", {"name": "unique name"}, id=pop).errors == [
        attribute("id", "has already been taken"), attribute("name", "has already been taken")]
    answer = send(api, "POST", "/nodes", "nodes", {"name": f"node {node}", "rpc-endpoint": f"10.0.0.1:{node}"}, pop=pop, id=node)
    assert answer.errors == [attribute(n, "has already been taken") for n in ("id", "rpc-endpoint", "name")]
    assert send(api, "PATCH", f"/pops/{pop}", "pops", {"name": "unique name"}, id=pop).status == 200


@pytest.mark.parametrize("id, message", [(0, "must be greater than 0"), (-5, "must be greater than 0"), ("abc", "must be greater than 0"),
                                         ("", BLANK), (None, BLANK), (10**12, "must be less than or equal to 2147483647")])
def test_an_id_is_a_positive_integer(api, id, message):
    answer = send(api, "POST", "/pops", "pops", {"name": f"n{next(numbers)}"}, id=id)
    assert (answer.status, answer.errors) == (422, [attribute("id", message)])


def test_a_node_needs_a_pop_that_exists(api):
    node = new_node(api, new_pop(api))
    assert send(api, "PATCH", f"/nodes/{node}", "nodes", pop="999999", id=node).errors == [relation("must exist")]
    assert send(api, "PATCH", f"/nodes/{node}", "nodes", pop="", id=node).errors == [relation("must exist"), relation(BLANK)]


def test_an_update_cannot_change_the_id(api):
    pop = new_pop(api)
    assert send(api, "PATCH", f"/pops/{pop}", "pops", {"name": "x"}, id="1").errors[0][0] == "110"
    assert send(api, "PATCH", f"/pops/{pop}", "pops", {"id": 1}, id=pop).errors == [("105", "id is not allowed.", None)]


def test_the_pop_of_a_node_is_a_resource_and_a_linkage(api):
    pop, other = new_pop(api), new_pop(api)
    node = new_node(api, pop)
    assert api.get(f"/nodes/{node}/pop").data["id"] == pop
    assert api.get(f"/nodes/{node}/relationships/pop").data == {"type": "pops", "id": pop}
    assert api.call("PATCH", f"/nodes/{node}/relationships/pop", {"data": {"type": "pops", "id": other}}).status == 204
    assert api.get(f"/nodes/{node}/pop").data["id"] == other
    assert api.call("DELETE", f"/nodes/{node}/relationships/pop").errors == [relation("must exist"), relation(BLANK)]


def test_what_is_used_is_not_deleted(api):
    pop = new_pop(api)
    node = new_node(api, pop)
    id = api.create(relationships={"node": {"data": {"type": "nodes", "id": node}}})
    answer = api.call("DELETE", f"/nodes/{node}")
    text = "Cannot delete record because dependent registrations exist"
    assert (answer.status, answer.errors, answer.titles) == (422, [("100", text, "/data")], [text])
    answer = api.call("DELETE", f"/pops/{pop}")
    assert (answer.status, answer.titles) == (422, ["Cannot delete record because dependent nodes exist"])
    api.call("PATCH", f"/registrations/{id}/relationships/node", {"data": None})
    assert api.call("DELETE", f"/nodes/{node}").status == 204
    api.call("PATCH", f"/registrations/{id}/relationships/pop", {"data": {"type": "pops", "id": pop}})
    assert api.call("DELETE", f"/pops/{pop}").titles == [text]
    api.call("PATCH", f"/registrations/{id}/relationships/pop", {"data": None})
    assert api.call("DELETE", f"/pops/{pop}").status == 204


def test_transport_protocols_are_fixed(api):
    answer = api.get("/transport-protocols")
    assert [(d["id"], d["attributes"]["name"]) for d in answer.data] == [("1", "UDP"), ("2", "TCP"), ("3", "TLS"), ("5", "WS")]
    assert api.get("/transport-protocols/3").attributes == {"name": "TLS"}
    assert api.get("/transport-protocols/4").status == 404
    assert [d["id"] for d in api.get("/transport-protocols?filter[name]=TCP,WS&sort=-name").data] == ["5", "2"]
    assert [d["id"] for d in api.get("/transport-protocols?page[size]=3&page[number]=2").data] == ["5"]


# ---- filters

@pytest.fixture(scope="module")
def rows(world):
    api = world.api()
    pops = [new_pop(api, name) for name in ("Berlin", "Bern", "Oslo", "bergen, NO")]
    nodes = [new_node(api, pop, name=f"n-{i}-x", **{"rpc-endpoint": f"198.51.100.{i}:80"}) for i, pop in enumerate(pops)]
    return pops, nodes


def found(api, path, query, among):
    answer = api.get(f"{path}?{query}")
    assert answer.status == 200, answer.body
    return [among.index(d["id"]) for d in answer.data if d["id"] in among]


@pytest.mark.parametrize("query, wanted", [
    ("filter[name]=Bern", [1]), ("filter[name]=Bern,Oslo", [1, 2]), ('filter[name]=%22bergen,%20NO%22', [3]), ("filter[name]=bern", []),
    ("filter[name_eq]=Oslo", [2]), ("filter[name-eq]=Oslo", [2]), ("filter[name_not_eq]=Oslo", [0, 1, 3]),
    ("filter[name_cont]=BER", [0, 1, 3]), ("filter[name_start]=ber", [0, 1, 3]), ("filter[name_end]=N", [0, 1]),
    ("filter[name_in]=Oslo,Bern", [1, 2]), ("filter[name_not_in]=Oslo,Bern", [0, 3]), ("filter[name_cont_any]=slo,lin", [0, 2]),
    ("filter[name_start]=ber&filter[name_end]=n", [0, 1]), ("filter[name]=", [])])
def test_pops_are_filtered_by_name(api, rows, query, wanted):
    assert found(api, "/pops", query, rows[0]) == wanted


@pytest.mark.parametrize("query, wanted", [
    ("filter[id]={n1},{n3}", [1, 3]), ("filter[id_eq]={n0}", [0]), ("filter[id_gt]={n1}", [2, 3]), ("filter[id_gteq]={n3}", [3]),
    ("filter[id_lt]={n1}", [0]), ("filter[id_lteq]={n1}", [0, 1]), ("filter[id_in]={n0},{n2}", [0, 2]),
    ("filter[pop_id_eq]={p1}", [1]), ("filter[pop_id_in]={p1},{p2}", [1, 2]), ("filter[pop_id_not_eq]={p1}", [0, 2, 3]),
    ("filter[rpc_endpoint_cont]=100.2", [2]), ("filter[rpc-endpoint-start]=198.51.100.3", [3]), ("filter[name_cont]=-1-", [1]),
    ("filter[id_eq]=abc", [])])
def test_nodes_are_filtered(api, rows, query, wanted):
    ids = {f"n{i}": n for i, n in enumerate(rows[1])} | {f"p{i}": p for i, p in enumerate(rows[0])}
    assert found(api, "/nodes", query.format(**ids), rows[1]) == wanted


@pytest.mark.parametrize("path, query, error", [
    ("/pops", "filter[bogus]=1", ("102", "bogus is not allowed.", None)),
    ("/pops", "filter[name_gt]=1", ("102", "name_gt is not allowed.", None)),
    ("/pops", "filter[id_eq]=1", ("102", "id_eq is not allowed.", None)),
    ("/nodes", "filter[name]=1", ("102", "name is not allowed.", None)),
    ("/transport-protocols", "filter[name_eq]=1", ("102", "name_eq is not allowed.", None)),
    ("/pops", "filter[name_eq]=a,b", ("107", "a,b is not a valid value for name_eq.", None)),
    ("/nodes", "filter[id_gt]=", ("107", " is not a valid value for id_gt.", None))])
def test_filters_that_are_not_there(api, path, query, error):
    answer = api.get(f"{path}?{query}")
    assert (answer.status, answer.errors) == (400, [error])


def test_nodes_include_their_pop(api, rows):
    answer = api.get(f"/nodes?filter[id]={rows[1][0]},{rows[1][1]}&include=pop&sort=-name")
    assert [d["id"] for d in answer.data] == [rows[1][1], rows[1][0]]
    assert [i["id"] for i in answer.json["included"]] == [rows[0][1], rows[0][0]]
