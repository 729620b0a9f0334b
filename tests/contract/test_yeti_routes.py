"""Which URLs exist, with which methods; ids in them (contract 4, 5.3)."""
import pytest
from conftest import PREFIX


@pytest.mark.parametrize("method, path", [
    ("DELETE", "/registrations"), ("PATCH", "/registrations"), ("PUT", "/registrations"), ("POST", "/registrations/1"),
    ("OPTIONS", "/registrations"), ("POST", "/registrations/1/relationships/pop"), ("PATCH", "/registrations/1/pop"),
    ("POST", "/registrations/1/pop"), ("DELETE", "/registrations/1/pop"), ("GET", "/Registrations"), ("GET", "/"),
    ("GET", ""), ("GET", "/registrations/1/bogus"), ("GET", "/registrations/1/relationships/bogus"),
    ("GET", "/registrations/1/relationships/status"), ("DELETE", "/registrations/1/status"), ("GET", "/auth"),
    ("POST", "/transport-protocols"), ("PATCH", "/transport-protocols/1"), ("DELETE", "/transport-protocols/1"),
    ("GET", "/pops/1/nodes"), ("GET", "/registrations/1/2/3/4"), ("GET", "/sip-schemas"), ("GET", "/registrations/%zz")])
def test_an_unknown_route_is_404_before_anything_else(api, method, path):
    answer = api.call(method, path, headers={"Authorization": None, "Accept": "text/html"})
    assert answer.status == 404
    assert [e[0] for e in answer.errors] == ["404"]
    assert answer.header("cache-control") == "no-cache"


def test_paths_below_the_prefix_only_are_the_dialects(api):
    answer = api.call("GET", "/registrations", prefix="/api/rest/administrator")
    assert answer.status == 404
    assert answer.header("content-type") == "application/json"


def test_create_read_update_delete(api):
    answer = api.post(api.required(name="trunk"))
    assert answer.status == 201
    id = answer.data["id"]
    assert isinstance(id, str) and id.isdigit()
    assert answer.header("location") == f"http://example.org{PREFIX}/registrations/{id}" == answer.data["links"]["self"]
    assert api.get(f"/registrations/{id}").json == answer.json
    assert api.patch(id, {"name": "other"}).attributes["name"] == "other"
    answer = api.call("DELETE", f"/registrations/{id}")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("content-type") is None and answer.header("cache-control") == "no-cache"
    gone = [("404", f"The record identified by {id} could not be found.", None)]
    for again in (api.get(f"/registrations/{id}"), api.patch(id, {"name": "x"}), api.call("DELETE", f"/registrations/{id}")):
        assert (again.status, again.errors) == (404, gone)
        assert again.titles == ["Record not found"]
    assert api.get("/registrations").data == []


def test_ids_rise_and_are_not_given_twice(api):
    first = int(api.create())
    assert api.call("DELETE", f"/registrations/{first}").status == 204
    assert int(api.create()) > first


def test_a_deleted_name_is_free_at_once(api):
    id = api.create(name="phoenix")
    assert api.call("DELETE", f"/registrations/{id}").status == 204
    api.create(name="phoenix")


def test_another_account_sees_nothing(api, world):
    id = api.create()
    other = world.api()
    assert other.get("/registrations").data == []
    for answer in (other.get(f"/registrations/{id}"), other.patch(id, {"name": "x"}), other.get(f"/registrations/{id}/status"),
                   other.call("DELETE", f"/registrations/{id}"), other.get(f"/registrations/{id}/pop")):
        assert answer.status == 404
    assert api.get(f"/registrations/{id}").status == 200


@pytest.mark.parametrize("form", ["/registrations/{}/", "//registrations//{}", "/registrations/{}.json", "/registrations/{}.xml",
                                  "/registrations/{}/?timezone=x", "/registrations/%20{}", "/registrations/0{}"])
def test_forms_of_a_path_that_are_tolerated(api, form):
    id = api.create()
    assert api.get(form.format(id)).data["id"] == id


def test_a_list_tolerates_a_suffix(api):
    assert api.get("/registrations.json").status == 200
    assert api.get("/registrations/").status == 200


@pytest.mark.parametrize("id, printed", [("new", "new"), ("abc", "abc"), ("1abc", "1abc"), ("-1", "-1"), ("1.5", "1.5"),
                                         ("0x1", "0x1"), ("%C3%BC", "ü")])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_reads_refuse_an_id_that_is_no_integer(api, method, id, printed):
    answer = api.call(method, f"/registrations/{id}")
    assert (answer.status, answer.errors) == (400, [("103", f"{printed} is not a valid value for id.", None)])
    assert answer.titles == ["Invalid field value"]


@pytest.mark.parametrize("id", ["77777777", "3000000000", "99999999999999999999999", "0"])
def test_an_id_that_nobody_has_is_not_found(api, id):
    for answer in (api.get(f"/registrations/{id}"), api.patch(id, {}), api.call("DELETE", f"/registrations/{id}")):
        assert (answer.status, answer.errors) == (404, [("404", f"The record identified by {id} could not be found.", None)])


def test_writes_take_an_id_that_is_no_integer_for_unknown(api):
    answer = api.patch("abc", {})
    assert (answer.status, answer.errors) == (404, [("404", "The record identified by abc could not be found.", None)])


def test_head_is_get_without_a_body(api):
    id = api.create()
    for path in (f"/registrations/{id}", "/registrations", "/registrations/7777777"):
        head, get = api.call("HEAD", path), api.get(path)
        assert (head.status, head.body) == (get.status, b"")
        assert head.header("etag") == get.header("etag")
        assert head.header("content-length") == str(len(get.body))


def test_a_delete_needs_no_content_type(api):
    id = api.create()
    assert api.call("DELETE", f"/registrations/{id}", headers={"Content-Type": "text/plain"}).status == 204


def test_the_order_of_checks(api):
    """Route, token, content type, accept, query, body, record, validation."""
    bad = {"Authorization": "x", "Content-Type": "text/plain", "Accept": "text/html"}
    path, body = "/registrations/77777?include=bogus", b"{"
    assert api.call("PATCH", path, body, bad).status == 401
    bad.pop("Authorization")
    assert api.call("PATCH", path, body, bad).status == 415
    bad.pop("Content-Type")
    assert api.call("PATCH", path, body, bad).status == 406
    assert api.call("PATCH", path, b'{"data":{}}').errors[0][0] == "112"
    path = "/registrations/77777"
    assert api.call("PATCH", path, body).errors[0][0] == "400"
    assert api.call("PATCH", path, {"data": {"type": "registrations", "id": "77777", "attributes": {"bogus": 1}}}).errors[0][0] == "105"
    assert api.call("PATCH", path, {"data": {"type": "registrations", "id": "77777", "attributes": {"name": None}}}).status == 404
