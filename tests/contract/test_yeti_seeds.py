"""Two recorded answers of a Yeti, to be repeated to the byte: one PUT, one GET."""
import json
import re

import pytest
from conftest import HOST

ORDER = ["x-frame-options", "x-xss-protection", "x-content-type-options", "x-permitted-cross-domain-policies",
         "referrer-policy", "content-type", "vary", "etag", "cache-control", "x-request-id", "x-runtime",
         "content-length"]
FIXED = {
    "x-frame-options": "SAMEORIGIN",
    "x-xss-protection": "0",
    "x-content-type-options": "nosniff",
    "x-permitted-cross-domain-policies": "none",
    "referrer-policy": "strict-origin-when-cross-origin",
    "content-type": "application/vnd.api+json",
    "vary": "Accept",
    "cache-control": "max-age=0, private, must-revalidate",
}


def document(id, name):
    self = f"http://example.org/api/rest/admin/registrations/{id}"
    return {"data": {
        "id": str(id), "type": "registrations", "links": {"self": self},
        "attributes": {
            "auth-password": None, "auth-user": None, "contact": "sip:user@domain", "display-username": None,
            "domain": "localhost", "enabled": True, "expire": None, "force-expire": False, "max-attempts": None,
            "name": name, "route-set": ["sip:user@proxy-domain1", "sip:user@proxy-domain2"], "retry-delay": 5,
            "sip-interface-name": None, "username": "user name", "sip-schema-id": 1},
        "relationships": {r: {"links": {"self": f"{self}/relationships/{r}", "related": f"{self}/{r}"}}
                          for r in ("transport-protocol", "pop", "node")}}}


def created(world, api, id, name):
    world.redis.set("rc:{g}:seq", id - 1)
    answer = api.post({"name": name, "domain": "localhost", "username": "user name", "contact": "sip:user@domain",
                       "route-set": ["sip:user@proxy-domain1", "sip:user@proxy-domain2"]})
    assert answer.status == 201, answer.body
    assert answer.data["id"] == str(id)


def check_headers(answer, etag, length):
    assert [name for name, _ in answer.headers] == ORDER
    assert {name: value for name, value in answer.headers if name in FIXED} == FIXED
    assert answer.header("etag") == f'W/"{etag}"'
    assert answer.header("content-length") == str(length)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
                        answer.header("x-request-id"))
    assert re.fullmatch(r"\d+\.\d{6}", answer.header("x-runtime"))


def test_put_of_a_name_gives_the_recorded_answer(world, api):
    created(world, api, 9, "before")
    answer = api.call("PUT", "/registrations/9",
                      b'{"data":{"type":"registrations","id":9,"attributes":{"name":"test_name"}}}')
    assert answer.status == 200
    assert answer.body == json.dumps(document(9, "test_name"), separators=(",", ":")).encode()
    check_headers(answer, "becec11f8d12d14d569b9ffd90be410c", 1022)


def test_get_of_one_gives_the_recorded_answer(world, api):
    created(world, api, 7, "Equipment Registration 3")
    answer = api.call("GET", "/registrations/7?timezone=%28GMT%2B00%3A00%29+UTC",
                      headers={"Content-Type": "application/vnd.api+json", "Cookie": ""})
    assert answer.status == 200
    assert answer.body == json.dumps(document(7, "Equipment Registration 3"), separators=(",", ":")).encode()
    check_headers(answer, "eb2069399176283826660fd0013c3623", 1037)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_put_is_patch(world, api, method):
    id = api.create(name="n", expire=90)
    answer = api.patch(id, {"username": "bob"}, method=method)
    assert answer.status == 200
    assert answer.attributes["username"] == "bob"
    assert answer.attributes["expire"] == 90
    assert answer.data["links"]["self"].startswith(f"http://{HOST}/")
