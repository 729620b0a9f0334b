"""Contract voximplant 1: every method in every form of request that a client of the API sends, and how answers are framed."""
import json
import socket

import pytest

from voximplant_client import (FORMS, METHODS, Vox, add_accounts, curl, dotnet, encoded, get, go, java, multipart, new_vox, node,
                               python)

PRINCIPALS = add_accounts


@pytest.fixture
def vox(world):
    return new_vox(world)


def by(form):
    return form.__doc__.split(":")[0].split(".")[0] + " " + form.__name__


forms = pytest.mark.parametrize("form", FORMS, ids=by)


# ---- 1: the table

@forms
def test_1_create_in_every_form(vox, form):
    answer = vox.call("CreateSipRegistration", form, sip_username="alice", proxy="sip.example.net:5062", password="a b&c+d=é",
                      is_persistent="false", application_id="12", rule_id="5", user_id="9")
    assert answer.result == 1
    assert vox.read(answer.json["sip_registration_id"]) | {
        "sip_username": "alice", "proxy": "sip.example.net:5062", "is_persistent": False, "application_id": 12, "rule_id": 5,
        "user_id": 9} == vox.read(answer.json["sip_registration_id"])


@forms
def test_1_update_in_every_form(vox, form):
    id = vox.create()
    assert vox.call("UpdateSipRegistration", form, sip_registration_id=id, outbound_proxy="edge.example.net").json == {"result": 1}
    assert vox.read(id)["outbound_proxy"] == "edge.example.net"


@forms
def test_1_bind_in_every_form(vox, form):
    id = vox.create(application_id=12)
    assert vox.call("BindSipRegistration", form, sip_registration_id=id, bind="false").json == {"result": 1}
    assert "application_id" not in vox.read(id)


@forms
def test_1_delete_in_every_form(vox, form):
    id = vox.create()
    assert vox.call("DeleteSipRegistration", form, sip_registration_id=id).json == {"result": 1}
    assert vox.ids() == []


@forms
def test_1_get_in_every_form(vox, form):
    one, two = vox.create(proxy="a.example.net"), vox.create(proxy="b.example.net")
    answer = vox.call("GetSipRegistrations", form, count=1, offset=1, deactivated="false")
    assert [r["sip_registration_id"] for r in answer.result] == [two]
    assert (answer.json["count"], answer.json["total_count"]) == (1, 2)
    assert one < two


@pytest.mark.parametrize("path", ["", "/", "//"])
def test_1_the_method_is_named_by_cmd_where_the_path_names_none(vox, path):
    answer = vox.send("GET", f"{path}?cmd=GetSipRegistrations")
    assert answer.result == []


@pytest.mark.parametrize("path", ["/GetSipRegistrations", "/GetSipRegistrations/", "/GetSipRegistrations//",
                                  "//GetSipRegistrations", "/Get%53ipRegistrations"])
def test_1_a_trailing_slash_is_insignificant(vox, path):
    assert vox.send("GET", path).result == []


def test_1_the_path_is_preferred_to_another_cmd(vox):
    body = encoded({"cmd": "DeleteSipRegistration"}).encode()
    assert vox.send("POST", "/GetSipRegistrations", {"Content-Type": "application/x-www-form-urlencoded"}, body).result == []


def test_1_cmd_of_the_body_is_preferred_to_that_of_the_query(vox):
    body = encoded({"cmd": "GetSipRegistrations"}).encode()
    answer = vox.send("POST", "?cmd=DeleteSipRegistration", {"Content-Type": "application/x-www-form-urlencoded"}, body)
    assert answer.result == []


def test_1_parameters_of_query_and_body_are_merged_and_the_body_wins(vox):
    id = vox.create()
    body = encoded({"sip_username": "from-body", "auth_user": ""}).encode()
    answer = vox.send("POST", f"/UpdateSipRegistration?sip_registration_id={id}&sip_username=from-query&proxy=q.example.net",
                      {"Content-Type": "application/x-www-form-urlencoded"}, body)
    assert answer.json == {"result": 1}
    assert (vox.read(id)["sip_username"], vox.read(id)["proxy"]) == ("from-body", "q.example.net")


@pytest.mark.parametrize("body", [b"{}", b" { } ", b""])
def test_1_an_empty_json_body_is_no_error(vox, body):
    assert vox.send("POST", "/GetSipRegistrations", {"Content-Type": "application/json"}, body).result == []


def test_1_a_json_list_is_a_list_and_null_is_absent(vox):
    one, two, _ = (vox.create(proxy=f"{h}.example.net") for h in "abc")
    body = json.dumps({"proxy": ["a.example.net", "b.example.net"], "user_id": None, "unknown": {"a": [1]}}).encode()
    answer = vox.send("POST", "/GetSipRegistrations", {"Content-Type": "application/json"}, body)
    assert [r["sip_registration_id"] for r in answer.result] == [one, two]


def test_1_unknown_fields_are_ignored(vox):
    fields = {"cmd": "x", "account_id": "1", "output": "json", "userName": "", "extra[]": "1"}
    assert vox.call("GetSipRegistrations", curl, **fields).result == []
    assert vox.create(cmd="CreateSipRegistration", account_id=7, output="json", userName="x")


@pytest.mark.parametrize("content_type, body", [
    ("application/json", b"{"), ("application/json", b"[1]"), ("application/json", b'"x"'),
    ("multipart/form-data", b"--x--"), ("multipart/form-data; boundary=x", b"no part"),
    ("application/x-www-form-urlencoded", b"a=%zz"), ("text/xml", b"<a/>"),
])
def test_1_a_body_that_cannot_be_read_is_101(vox, content_type, body):
    code, text = vox.send("POST", "/GetSipRegistrations", {"Content-Type": content_type}, body).error
    assert code == 101 and "body" in text


def test_1_a_query_that_cannot_be_read_is_101(vox):
    code, text = vox.send("GET", "/GetSipRegistrations?count=%2").error
    assert code == 101 and "query" in text


def test_1_values_of_a_multipart_form_are_raw_text(vox):
    body = multipart({"sip_username": "100%25+1 é", "proxy": "sip.example.net"}, "x")
    answer = vox.send("POST", "/CreateSipRegistration", {"Content-Type": "multipart/form-data; boundary=x"}, body)
    assert vox.read(answer.json["sip_registration_id"])["sip_username"] == "100%25+1 é"


def test_1_parameters_are_at_most_256_in_every_form(vox):
    for form in FORMS:
        spare = 255 if form in (node, python, dotnet) else 256  # of which cmd is one
        if form in (java, go):
            continue  # they add fields of their own
        for count, code in ((spare, None), (spare + 1, 101)):
            answer = vox.call("GetSipRegistrations", form, **{f"x{i}": i for i in range(count)})
            assert answer.code == code if code else answer.result == [], form


def test_1_a_client_that_waits_to_be_asked_for_its_body_is_asked(vox, world):
    """Rows 3 and 4: what curl and Apache's client do with Expect (RFC 9110, 10.1.1)."""
    body = multipart({"sip_username": "nobody"}, "x")
    head = (f"POST /platform_api/GetSipRegistrations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {vox.token()}\r\nExpect: 100-continue\r\n"
            f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}\r\n\r\n").encode()
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=10) as s:
        s.sendall(head)
        assert s.recv(1000).startswith(b"HTTP/1.1 100 ")
        s.sendall(body)
        assert s.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("body", [
    b"hello\r\n%b--x--\r\n", b"%b--x--", b"%b--x--\r\ntrailing", b"%b--x--  \r\n"], ids=["preamble", "no last line end", "epilogue", "blanks"])
def test_1_what_stands_around_the_parts_of_a_form(vox, body):
    """RFC 2046, 5.1.1."""
    vox.create(sip_username="alice")
    part = b'--x\r\nContent-Disposition: form-data; name="sip_username"\r\n\r\nnobody\r\n'
    for wanted, name in ((0, b"nobody"), (1, b"alice")):
        answer = vox.send("POST", "/GetSipRegistrations", {"Content-Type": "Multipart/Form-Data; Boundary=x"}, body % part.replace(b"nobody", name))
        assert len(answer.result) == wanted


# ---- 1.1

@pytest.mark.parametrize("method", METHODS)
def test_1_1_errors_are_200_json_with_one_object(vox, method):
    answer = vox.call(method, python, "not-a-token")
    assert answer.status == 200 and answer.content_type == "application/json"
    assert answer.code == 447 and "result" not in answer.json


def test_1_1_successes_are_200_json(vox):
    answer = vox.call("GetSipRegistrations", get)
    assert (answer.status, answer.content_type) == (200, "application/json")


def test_1_1_utf_8_goes_through(vox):
    id = vox.create(sip_username="żółw", application_name="приложение")
    row = vox.read(id)
    assert (row["sip_username"], row["application_name"]) == ("żółw", "приложение")


@pytest.mark.parametrize("verb", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_1_other_http_methods_are_405_and_change_nothing(vox, verb):
    id = vox.create()
    answer = vox.send(verb, f"/DeleteSipRegistration?sip_registration_id={id}")
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, POST"
    assert answer.json["error"]["code"] == 101
    assert vox.ids() == [id]


def test_1_head_is_get_without_a_body(vox):
    answer = vox.send("HEAD", "/GetSipRegistrations")
    assert answer.status == 200 and answer.body == b"" and answer.headers["content-length"] != "0"


def test_every_request_on_one_connection(vox, world):
    """Answers do not disturb the framing of what follows, whatever the body was."""
    for form in FORMS * 2:
        assert vox.call("GetSipRegistrations", form).result == []
    other = Vox(world.gateway.port, vox.number, vox.kid)
    assert other.call("GetSipRegistrations", curl).result == []


def test_1_as_many_members_of_json_as_fields_of_a_form(vox):
    headers = {"Content-Type": "application/json"}
    for count, code in ((256, None), (257, 101)):
        body = json.dumps({f"x{i}": 1 for i in range(count)}).encode()
        answer = vox.send("POST", "/GetSipRegistrations", headers, body)
        assert answer.code == code if code else answer.result == []
