"""ROLLCALL_YETI_STRICT: what a YETI does not know is refused or ignored as there (contract 1.1, 4, 7, 8.3)."""
import pytest

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
    ("GET", "/registrations?fields[registration-statuses]=state", 400), ("GET", "/registrations?fields[registrations]=status", 400)])
def test_additions_are_not_there(api, method, path, status):
    """Contract 4: the routes of its table and no others; "export" is an id that is no number (5.3)."""
    answer = api.call(method, path.format(id=api.create()), {} if method == "POST" else None)
    assert answer.status == status, answer.body


def test_conditions_and_idempotency_keys_are_ignored(api):
    """Contract 7: If-Match is ignored; there is no Idempotency-Key."""
    id = api.create()
    assert api.call("PATCH", f"/registrations/{id}", api.resource({"expire": 5}, id=id), {"If-Match": 'W/"0"'}).status == 200
    for _ in range(2):
        answer = api.call("POST", "/registrations", api.resource(api.required()), {"Idempotency-Key": "same"})
        assert answer.status == 201
    assert api.get("/registrations").json["meta"]["total-count"] == 3
    assert api.call("DELETE", f"/registrations/{id}", headers={"If-Match": '"0"'}).status == 204
