"""Headers, entity tags, content negotiation (contract 7)."""
import hashlib
import json
import re
import subprocess

import pytest
from stack import wait_for

FIXED = {"x-frame-options": "SAMEORIGIN", "x-xss-protection": "0", "x-content-type-options": "nosniff",
         "x-permitted-cross-domain-policies": "none", "referrer-policy": "strict-origin-when-cross-origin"}
MEDIA_TYPE = "application/vnd.api+json"
PRIVATE = "max-age=0, private, must-revalidate"


def test_every_answer_carries_the_fixed_headers(api):
    id = api.create()
    for answer in (api.get(f"/registrations/{id}"), api.get("/registrations/7777777"), api.get("/bogus"),
                   api.call("GET", "/registrations", headers={"Authorization": None}), api.post(),
                   api.call("POST", "/auth", b"{", {"Content-Type": "application/json"}),
                   api.call("DELETE", f"/registrations/{id}")):
        assert {k: answer.header(k) for k in FIXED} == FIXED
        assert re.fullmatch(r"\d+\.\d{6}", answer.header("x-runtime"))
        assert answer.header("x-request-id")


def test_errors_are_not_cached_and_have_no_tag(api):
    for answer in (api.get("/registrations/7777777"), api.get("/registrations?include=x"), api.post(), api.get("/bogus")):
        assert answer.header("cache-control") == "no-cache"
        assert answer.header("etag") is None
        assert answer.header("vary") == "Accept"
        assert answer.header("content-type") == MEDIA_TYPE
        assert answer.header("content-length") == str(len(answer.body))


def tag(body):
    return f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'


def test_the_tag_is_made_of_the_body(api):
    created = api.post(api.required())
    id = created.data["id"]
    for answer in (created, api.get(f"/registrations/{id}"), api.patch(id, {}), api.get("/registrations"), api.get("/pops"),
                   api.get(f"/registrations/{id}/pop"), api.get(f"/registrations/{id}/relationships/node"),
                   api.get(f"/registrations/{id}/status")):
        assert answer.header("etag") == tag(answer.body)
        assert answer.header("cache-control") == PRIVATE


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_present_tag_is_answered_304(api, method):
    path = f"/registrations/{api.create()}"
    etag = api.get(path).header("etag")
    answer = api.call(method, path, headers={"If-None-Match": etag})
    assert (answer.status, answer.body) == (304, b"")
    assert (answer.header("etag"), answer.header("vary"), answer.header("cache-control")) == (etag, "Accept", PRIVATE)
    assert answer.header("content-type") is None and answer.header("x-request-id") and answer.header("x-runtime")


@pytest.mark.parametrize("other", ["*", 'W/"0"', '"x"', ""])
def test_another_tag_is_answered_in_full(api, other):
    assert api.call("GET", f"/registrations/{api.create()}", headers={"If-None-Match": other}).status == 200


def test_a_tag_depends_on_the_host_and_on_the_record(api):
    id = api.create()
    etag = api.get(f"/registrations/{id}").header("etag")
    other = api.call("GET", f"/registrations/{id}", headers={"Host": "example.net", "If-None-Match": etag})
    assert other.status == 200 and other.header("etag") != etag
    api.patch(id, {"expire": 5})
    assert api.call("GET", f"/registrations/{id}", headers={"If-None-Match": etag}).status == 200


def test_writes_ignore_conditions_other_than_if_match(api):
    id = api.create()
    etag = api.get(f"/registrations/{id}").header("etag")
    for headers in ({"If-None-Match": etag}, {"If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}):
        answer = api.call("PATCH", f"/registrations/{id}", {"data": {"type": "registrations", "id": id}}, headers)
        assert answer.status == 200


@pytest.mark.parametrize("given, echoed", [("abc-123_@Z", "abc-123_@Z"), ("a b;c/d", "abcd"), ("x" * 300, "x" * 255)])
def test_the_request_id_is_echoed_without_odd_characters(api, given, echoed):
    assert api.get("/registrations", X_Request_Id=given).header("x-request-id") == echoed


@pytest.mark.parametrize("given", [None, "", ";;;"])
def test_without_a_request_id_there_is_a_fresh_uuid(api, given):
    ids = {api.call("GET", "/registrations", headers={"X-Request-Id": given}).header("x-request-id") for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", i) for i in ids)


# ---- content negotiation

@pytest.mark.parametrize("accept", [None, "", MEDIA_TYPE, f"text/html, {MEDIA_TYPE}", "*/*", "*/*;q=0.8", f"{MEDIA_TYPE};q=1, */*",
                                    f"{MEDIA_TYPE};charset=utf-8,{MEDIA_TYPE}"])
def test_an_accept_that_fits(api, accept):
    assert api.call("GET", "/registrations", headers={"Accept": accept}).status == 200


@pytest.mark.parametrize("accept", ["application/json", f"{MEDIA_TYPE};charset=utf-8", f"{MEDIA_TYPE}; q=1", "text/html", "bogus",
                                    "application/*"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_accept_that_does_not(api, method, accept):
    answer = api.call(method, "/registrations/7777777", headers={"Accept": accept})
    assert (answer.status, answer.titles) == (406, ["Not acceptable"])
    assert answer.errors == [("406", f"All requests must use the '{MEDIA_TYPE}' Accept without media type parameters. "
                                     f"This request specified '{accept}'.", None)]


@pytest.mark.parametrize("type", [MEDIA_TYPE, f"{MEDIA_TYPE}; charset=utf-8", f'{MEDIA_TYPE};ext="x"'])
def test_a_content_type_with_any_parameters_fits(api, type):
    assert api.call("POST", "/registrations", api.resource(api.required()), {"Content-Type": type}).status == 201


@pytest.mark.parametrize("type, printed", [("application/json", "application/json"), ("text/plain; charset=utf-8", "text/plain"),
                                           (None, ""), ("bogus", "bogus"), ("application/x-www-form-urlencoded",) * 2])
@pytest.mark.parametrize("method, path", [("POST", "/registrations"), ("PATCH", "/registrations/1"), ("PUT", "/registrations/1"),
                                          ("PATCH", "/registrations/1/relationships/pop")])
def test_another_content_type_does_not(api, method, path, type, printed):
    answer = api.call(method, path, {"data": {}}, {"Content-Type": type})
    assert (answer.status, answer.titles) == (415, ["Unsupported media type"])
    assert answer.errors == [("415", f"All requests that create or update must use the '{MEDIA_TYPE}' Content-Type. "
                                     f"This request specified '{printed}'.", None)]


def first_event(world, id):
    """Headers and value of the first event of a registration."""
    def event():
        done = subprocess.run(["kcat", "-b", world.stack.kafka.bootstrap, "-C", "-t", "rollcall.events", "-o", "beginning", "-e", "-q",
                               "-f", "%k\t%h\t%s\n", "-X", "fetch.wait.max.ms=10"], capture_output=True, text=True, timeout=20, check=False)
        rows = [line.split("\t", 2) for line in done.stdout.splitlines()]
        return [(headers, json.loads(value)) for key, headers, value in rows if key == id]

    return wait_for(event, 20, "the event on Kafka")[0]


def test_a_traceparent_goes_with_the_event_and_the_user_is_its_actor(world, api):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = api.call("POST", "/registrations", api.resource(api.required(name="traced")), {"traceparent": trace})
    assert answer.status == 201
    headers, value = first_event(world, answer.data["id"])
    assert f"traceparent={trace}" in headers.split(",")
    assert value["actor"].startswith("user")


def test_what_is_no_traceparent_goes_nowhere(world, api):
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for trace in ("00-abc", good.upper(), good + "-more", good.replace("-", "_"), "\xff" * 55, "y" * 4000):
        answer = api.call("POST", "/registrations", api.resource(api.required()), {"traceparent": trace})
        assert answer.status == 201
        headers, _ = first_event(world, answer.data["id"])
        assert "traceparent" not in headers, trace
