"""ROLLCALL_YETI_STRICT: what a YETI does not know is refused or ignored as there (contract 1.1, 4, 7, 8.3)."""
import json

import pytest
from conftest import Api

GATEWAY = {"ROLLCALL_YETI_STRICT": "true"}


@pytest.mark.parametrize("name, printed", [("name", "name"), ("name_eq", "name_eq"), ("enabled_eq", "enabled_eq"), ("pop.id", "id"),
                                           ("sip-schema-id", "sip_schema_id"), ("id_eq", "id_eq"), ("state_eq", "state_eq"),
                                           ("domain-cont", "domain_cont")])
def test_registrations_have_the_filter_id_alone(api, name, printed):
    """Contract 1.1: filter[name_eq] and all like it are 400 with code 102, on one record too."""
    for path in ("/registrations", f"/registrations/{api.create()}"):
        answer = api.get(f"{path}?filter[{name}]=x")
        assert (answer.status, answer.errors) == (400, [("102", f"{printed} is not allowed.", None)])


def test_the_filter_id_and_those_of_pops_and_nodes_stay(api, place):
    """Contract 8.3."""
    id = api.create()
    assert [d["id"] for d in api.get(f"/registrations?filter[id]={id}").data] == [id]
    assert [d["id"] for d in api.get(f"/nodes?filter[pop_id_eq]={place[0]}&filter[name_cont]=node").data] == [str(place[1])]


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/registrations/{id}/status", 404), ("GET", "/registrations/export", 400), ("POST", "/registrations/import", 404),
    ("POST", "/operations", 404), ("GET", "/registrations/{id}?include=status", 400),
    ("GET", "/registrations?fields[registration-statuses]=state", 400), ("GET", "/registrations?fields[registrations]=status", 400),
    ("GET", "/registrations?fields[registrations]=name,sip", 400)])
def test_additions_are_not_there(api, method, path, status):
    """Contract 4: the routes of its table and no others; "export" is an id that is no number (5.3)."""
    answer = api.call(method, path.format(id=api.create()), {} if method == "POST" else None)
    assert answer.status == status, answer.body


@pytest.mark.parametrize("sip", [None, {}, {"aor": None}])
def test_an_attribute_that_was_added_is_no_attribute(api, sip):
    """Contract 3: as any other name that is none."""
    id = api.create()
    for answer in (api.post(api.required(sip=sip)), api.patch(id, {"sip": sip})):
        assert (answer.status, answer.errors) == (400, [("105", "sip is not allowed.", None)])


def test_conditions_and_idempotency_keys_are_ignored(api):
    """Contract 7: If-Match is ignored; there is no Idempotency-Key."""
    id = api.create()
    assert api.call("PATCH", f"/registrations/{id}", api.resource({"expire": 5}, id=id), {"If-Match": 'W/"0"'}).status == 200
    for _ in range(2):
        answer = api.call("POST", "/registrations", api.resource(api.required()), {"Idempotency-Key": "same"})
        assert answer.status == 201
    assert api.get("/registrations").json["meta"]["total-count"] == 3
    assert api.call("DELETE", f"/registrations/{id}", headers={"If-Match": '"0"'}).status == 204


@pytest.fixture(scope="module")
def pair(world):
    """The same user at this gateway and at one that has the additions, and what there is to ask for."""
    user = next(world.users)
    strict = world.api(user)
    pop, node = {"type": "pops", "id": "71"}, {"type": "nodes", "id": "72"}
    assert strict.call("POST", "/pops", {"data": {**pop, "attributes": {"name": "p"}}}).status == 201
    assert strict.call("POST", "/nodes", {"data": {**node, "attributes": {"name": "n", "rpc-endpoint": "h:1"},
                                                   "relationships": {"pop": {"data": pop}}}}).status == 201
    id = strict.create({"node": {"data": node}, "pop": {"data": pop}}, name="full", auth_user="u", auth_password="secret", expire=600,
                       route_set=["<sip:p;lr>"], display_username="<é&\">")
    strict.create(name="empty", auth_user="", expire=0)
    gateway = world.stack.new_gateway("with-additions").start()
    return strict, Api(gateway.port, strict.token), id


READS = ["/registrations", "/registrations/{id}", "/registrations/{id}/", "/registrations/{id}.json", "/registrations/x", "/registrations/7777777",
         "/registrations/{id}?include=pop,node.pop,transport-protocol", "/registrations?include=node.pop&sort=-name,expire&page[size]=1",
         "/registrations?page[number]=3&page[size]=1&filter[id]={id},1", "/registrations?fields[registrations]=name,pop&fields[pops]=name&include=pop",
         "/registrations/{id}/pop", "/registrations/{id}/node?include=pop", "/registrations/{id}/transport-protocol",
         "/registrations/{id}/relationships/pop", "/registrations/{id}/relationships/node", "/registrations/{id}/relationships/transport-protocol",
         "/registrations?include=x&filter[y]=1&page[size]=0", "/registrations?fields[registrations]=zz", "/registrations?sort=zz", "/registrations?filter=x",
         "/registrations?fields=x", "/registrations?page[size]=1001", "/registrations?timezone=UTC&unknown=1", "/registrations/{id}?filter[zz]=1",
         "/pops", "/pops?filter[name_start]=p&sort=-id", "/pops/71", "/nodes?include=pop&filter[pop_id_in]=71,5", "/nodes/72", "/nodes/72/pop",
         "/nodes/72/relationships/pop", "/pops?filter[name_eq]=a,b", "/transport-protocols", "/transport-protocols/2?fields[transport-protocols]=name",
         "/transport-protocols?filter[name]=UDP,TLS", "/bogus", "/registrations/{id}/bogus", "/auth"]
WRITES = [("PATCH", "/registrations/{id}", {"data": {"type": "registrations", "id": "{id}", "attributes": {"expire": 600}}}),
          ("PUT", "/registrations/{id}?include=pop&fields[registrations]=name", {"data": {"type": "registrations", "id": "{id}"}}),
          ("PATCH", "/registrations/{id}", {"data": {"type": "registrations", "id": "{id}", "attributes": {"name": "", "contact": "x", "retry-delay": None}}}),
          ("PATCH", "/registrations/{id}", {"data": {"type": "pops", "id": "{id}"}}), ("PATCH", "/registrations/{id}", {"data": {"type": "registrations"}}),
          ("PATCH", "/registrations/{id}", {"data": {"type": "registrations", "id": "1{id}"}}), ("PATCH", "/registrations/{id}", b"{"),
          ("POST", "/registrations", {"data": {"type": "registrations"}}), ("POST", "/registrations", {"data": {"type": "registrations", "lid": "x"}}),
          ("POST", "/registrations", {"data": {"type": "registrations", "attributes": {"status": 1}}}), ("POST", "/registrations", b""),
          ("POST", "/registrations", {"data": {"type": "registrations", "relationships": {"status": {"data": None}}}}),
          ("PATCH", "/registrations/{id}/relationships/transport-protocol", {"data": {"type": "transport-protocols", "id": "1"}}),
          ("PATCH", "/registrations/{id}/relationships/transport-protocol", {"data": None}), ("PUT", "/registrations/{id}/relationships/pop", {}),
          ("DELETE", "/registrations/{id}/relationships/transport-protocol", None), ("POST", "/registrations/{id}/relationships/pop", {"data": None}),
          ("DELETE", "/registrations/7777777", None), ("DELETE", "/pops/71", None), ("DELETE", "/nodes/72", None), ("POST", "/pops", {"data": {"type": "pops"}}),
          ("OPTIONS", "/registrations", None), ("DELETE", "/registrations", None), ("POST", "/registrations/{id}", {})]


def without_chance(answer):
    return answer.status, [h for h in answer.headers if h[0] not in ("x-request-id", "x-runtime")], answer.body


@pytest.mark.parametrize("headers", [{}, {"Accept": None}, {"Accept": "text/html"}, {"Authorization": None}, {"Content-Type": "application/json"}], ids=str)
def test_what_a_yeti_knows_is_answered_alike_with_and_without_the_additions(pair, headers):
    """Contract 4, 5, 7, 8: status, headers and body, byte for byte, for reads, writes and errors."""
    strict, extended, id = pair
    for method, path, body in [("GET", p, None) for p in READS] + [("HEAD", p, None) for p in READS[:3]] + WRITES:
        if isinstance(body, dict):
            body = json.loads(json.dumps(body).replace("{id}", id))
        one, other = (without_chance(api.call(method, path.format(id=id), body, headers)) for api in (strict, extended))
        assert one == other, (method, path)


def test_a_tag_is_the_same_with_and_without_the_additions(pair):
    """Contract 7: If-None-Match with the tag of one is 304 at the other."""
    strict, extended, id = pair
    for path in (f"/registrations/{id}", "/registrations?sort=-id", "/nodes/72"):
        tag = extended.get(path).header("etag")
        assert strict.get(path, If_None_Match=tag).status == extended.get(path, If_None_Match=tag).status == 304
