"""/openapi.json describes what is served: the same paths and methods, references that lead somewhere, schemas that fit."""
import json
import re
import urllib.request

import jsonschema
import pytest
from conftest import PREFIX, ROOT

METHODS = {"GET": ["get"], "POST": ["post"], "CHANGE": ["put", "patch"], "DELETE": ["delete"]}


@pytest.fixture(scope="module")
def document(world):
    with urllib.request.urlopen(world.gateway.url + "/openapi.json", timeout=10) as answer:
        assert answer.headers["content-type"] == "application/json"
        return json.load(answer)


def described(document):
    return {(method, path) for path, item in document["paths"].items() for method in item
            if method in ("get", "put", "post", "patch", "delete")}


def test_it_names_every_route_of_the_dialect_and_no_other(document):
    table = (ROOT / "services/gateway/yeti/routes.c").read_text()
    routes = re.findall(r'^\s+\{(\w+), "([^"]+)", TYPE_', table, re.M)
    assert len(routes) > 20
    served = set()
    for methods, pattern in routes:
        path = PREFIX + "/" + pattern.replace(":id", "{id}").replace(":rel", "{relationship}")
        served |= {(method, path) for method in METHODS[methods]}
    assert {(m, p) for m, p in described(document) if p.startswith(PREFIX)} == served


def test_what_it_describes_is_there(document, world, api):
    """Of the Yeti dialect and the gateway itself: others say 404 of an account that is not there before anything else."""
    for method, path in sorted((m, p) for m, p in described(document) if p.startswith(PREFIX) or "{" not in p):
        answer = api.call(method.upper(), path.replace("{id}", "1").replace("{relationship}", "pop"),
                          headers={"Authorization": None}, prefix="")
        assert answer.status != 404, (method, path)


def test_every_reference_leads_somewhere(document):
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))
    assert references
    for reference in references:
        at = document
        for step in reference.split("/"):
            at = at[step]


def fits(document, name, value):
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def test_answers_fit_their_schemas(document, api, place):
    id = api.create(relationships={"node": {"data": {"type": "nodes", "id": place[1]}}})
    for path, name in [(f"/registrations/{id}?include=status,node.pop", "RegistrationDocument"), ("/registrations", "RegistrationList"),
                       (f"/registrations/{id}/status", "StatusDocument"), ("/registrations/7777777", "Errors"),
                       (f"/registrations/{id}/relationships/pop", "Linkage"), (f"/registrations/{id}/pop", "ObjectDocument"),
                       ("/nodes?include=pop", "ObjectList"), (f"/pops/{place[0]}", "ObjectDocument")]:
        fits(document, name, api.get(path).json)
    fits(document, "Errors", api.post().json)


def test_lines_and_operations_fit_their_schemas(document, api):
    """Imports, exports and atomic operations of the Yeti dialect, what is sent and what is answered."""
    lines, atomic = "application/x-ndjson", 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'
    id = api.create(name="held")
    for row in api.call("GET", "/registrations/export", headers={"Accept": lines}).body.splitlines():
        fits(document, "Line", json.loads(row))
    sent = [{"type": "registrations", "attributes": api.required()}, {"type": "registrations", "attributes": {"name": "bad"}}, {"type": "pops"}]
    fits(document, "Line", sent[0])
    body = "\n".join(json.dumps(x) for x in sent).encode()
    for query in ("", "?dry-run=true"):
        rows = api.call("POST", f"/registrations/import{query}", body, {"Content-Type": lines, "Accept": lines}).body.splitlines()
        assert len(rows) == 3
        for row in rows[:-1]:
            fits(document, "BadLine", json.loads(row))
        fits(document, "ImportSummary", json.loads(rows[-1]))
    operations = {"atomic:operations": [{"op": "add", "data": {"lid": "a", **sent[0], "attributes": api.required()}},
                                        {"op": "update", "ref": {"type": "registrations", "lid": "a", "relationship": "pop"}, "data": None},
                                        {"op": "remove", "ref": {"type": "registrations", "id": id}}]}
    fits(document, "Operations", operations)
    fits(document, "Results", api.call("POST", "/operations", operations, {"Content-Type": atomic}).json)
    refused = api.call("POST", "/operations", operations, {"Content-Type": atomic})
    assert refused.status == 404
    fits(document, "Errors", refused.json)
    answer = api.call("POST", "/registrations", api.resource(api.required()), {"Idempotency-Key": ""})
    assert answer.status == 400
    fits(document, "Errors", answer.json)
    answer = api.call("DELETE", "/registrations/" + api.create(), headers={"If-Match": '"0"'})
    assert answer.status == 412
    fits(document, "Errors", answer.json)
