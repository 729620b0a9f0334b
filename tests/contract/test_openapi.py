"""/openapi.json describes what is served: the same paths and methods, references that lead somewhere, schemas that fit."""
import json
import re
import sys
import urllib.request

import jsonschema
import pytest
from conftest import PREFIX, ROOT
from openapi_document import Document

sys.path.append(str(ROOT / "services/gateway"))
import openapi_embed  # noqa: E402

METHODS = {"GET": ["get"], "POST": ["post"], "CHANGE": ["put", "patch"], "DELETE": ["delete"]}


@pytest.fixture(scope="module")
def document(world):
    with urllib.request.urlopen(world.gateway.url + "/openapi.json", timeout=10) as answer:
        assert answer.headers["content-type"] == "application/json"
        return json.load(answer)


@pytest.fixture(scope="module")
def read(document):
    return Document(document)


def described(document, prefix=""):
    return {(method, path) for path, item in document["paths"].items() for method in item
            if method in ("get", "put", "post", "patch", "delete") and path.startswith(prefix)}


def source(path):
    return (ROOT / "services/gateway" / path).read_text()


def test_it_names_every_route_of_yeti_and_no_other(document):
    routes = re.findall(r'^\s+\{(\w+), "([^"]+)", TYPE_', source("yeti/routes.c"), re.M)
    assert len(routes) > 20
    served = set()
    for methods, pattern in routes:
        path = PREFIX + "/" + pattern.replace(":id", "{id}").replace(":rel", "{relationship}")
        served |= {(method, path) for method in METHODS[methods]}
    assert described(document, PREFIX) == served


def test_it_names_every_route_of_voximplant_and_no_other(document):
    methods = re.findall(r'^\s+\{"(\w+)", ', source("voximplant/methods.c"), re.M)
    assert len(methods) == 5
    assert described(document, "/platform_api") == {
        (m, path) for m in ("get", "post") for path in ["/platform_api"] + [f"/platform_api/{name}" for name in methods]}


def test_it_names_every_route_of_kazoo_and_no_other(document):
    """POST stands for any verb, so it stands where DELETE does."""
    rows = re.findall(r'\{"([^"]+)",\s+ACCESS_(\w+),(.*?)"[A-Z, ]+"\}', source("kazoo/routes.c"), re.S)
    assert len(rows) == 9
    served = set()
    for pattern, access, verbs in rows:
        path = pattern.replace("{U}", "{sip_username}")
        of = ["/v2/accounts/{account_id}/", "/v2/account/"] if access == "ACCOUNT" else ["/v2/"]
        methods = [m.lower() for m in re.findall(r"HTTP_(GET|PUT|DELETE)", verbs)]
        methods += ["post"] if "delete" in methods and access == "ACCOUNT" else []
        served |= {(m, prefix + path) for m in methods for prefix in of}
    assert described(document, "/v2") == served


def test_it_names_every_route_of_ribbon_and_no_other(document):
    rows = re.findall(r'\.name = "(\w+)",\s*\.(parent|child) = "(\w+)"', source("ribbon/fields.c"))
    assert len(rows) == 6
    served = {("post", "/rest/login"), ("post", "/rest/logout")}
    for name, kind, other in rows:
        path = f"/rest/{other}/{{table}}/{name}" if kind == "parent" else f"/rest/{name}"
        id = "row" if kind == "parent" else "table"
        served |= {("get", path)} | {(m, f"{path}/{{{id}}}") for m in ("get", "put", "post", "delete")}
    assert described(document, "/rest") == served


@pytest.mark.parametrize("table,schema", [
    ("contact_table_fields", "ContactTable"), ("listed_table_fields", "ServerTable"), ("listed_table_fields", "CredentialTable"),
    ("entry_fields", "Entry"), ("server_fields", "Server"), ("auth_fields", "Credential")])
def test_it_has_the_fields_of_ribbon_with_their_bounds(document, table, schema):
    text = re.search(rf"{table}\[\] = \{{(.*?)\}};", source("ribbon/fields.c"), re.S).group(1)
    text = text.replace("DESCRIPTION", 'TEXT("Description", 64)', 1) if table.endswith("table_fields") else text
    text = re.sub(r"\bSEQUENCE\b(?!\])", 'IDS("Sequence")', text)
    text = re.sub(r"SLOT\((\d)\)", r'NUMBER("TTL\1", "64", 0, NUMBER_MAX) NUMBER("Q\1", "100", 0, 100) TEXT("URI\1", 512)', text)
    properties = document["components"]["schemas"][f"Ribbon{schema}Fields"]["properties"]
    assert list(properties) == re.findall(r'(?:\.name = |TEXT\(|NUMBER\(|ENUM\(|IDS\()"(\w+)"', text)
    for name, default, low, high in re.findall(r'NUMBER\("(\w+)", "(\d+)", (\d+), (\w+)\)', text):
        bounds = properties[name]
        high = 2147483647 if high == "NUMBER_MAX" else int(high)
        assert (bounds["default"], bounds["minimum"], bounds["maximum"]) == (int(default), int(low), high), name
    for name, default, choices in re.findall(r'ENUM\("(\w+)", "(\d+)", "([\d,]+)"\)', text):
        assert (properties[name]["default"], properties[name]["enum"]) == (int(default), [int(c) for c in choices.split(",")]), name
    for name, length in re.findall(r'TEXT\("(\w+)", (\d+)\)', text):
        assert properties[name]["maxLength"] == int(length), name


def test_it_has_the_error_codes_of_voximplant_and_ribbon(document):
    schemas = document["components"]["schemas"]
    codes = [int(n) for n in re.findall(r"CODE_\w+ = (\d+)", source("voximplant/codes.h"))]
    assert schemas["VoxFault"]["properties"]["code"]["enum"] == [c for c in codes if c]
    apps = {int(n) for n in re.findall(r"APP_\w+ = (\d+)", source("ribbon/codes.h"))}
    entry = schemas["RibbonError"]["properties"]["status"]["properties"]["app_status"]["properties"]["app_status_entry"]
    assert set(entry["properties"]["code"]["enum"]) == apps


def test_every_operation_is_whole(document, read):
    tags = {tag["name"] for tag in document["tags"]}
    schemes = set(document["components"]["securitySchemes"])
    seen = 0
    for o in read.all:
        seen += 1
        assert o.node["summary"] and set(o.node["tags"]) <= tags and len(o.node["tags"]) == 1, o.key
        assert all(set(choice) <= schemes for choice in o.node["security"]), o.key
        named = [p["name"] for p in o.parameters_in("path")]
        assert sorted(named) == sorted(re.findall(r"\{(\w+)\}", o.path)) and all(p["required"] for p in o.parameters_in("path")), o.key
        pairs = [(p["in"], p["name"]) for p in o.parameters]
        assert len(pairs) == len(set(pairs)), o.key
        assert "4XX" in o.responses and all(r["description"] for r in o.responses.values()), o.key
    assert seen > 100


def test_schemas_are_schemas(document, read):
    for name, schema in document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(read.plain(schema) if name else None)


def test_examples_fit_their_schemas(read):
    """A form's values are texts, so those of numbers may be written as such."""
    seen = 0
    for o in read.all:
        shown = [(p["schema"], p["example"]) for p in o.parameters if "example" in p]
        shown += [(m["schema"], m["example"]) for m in o.media.values() if "example" in m]
        for schema, example in shown:
            seen += 1
            for value in example if isinstance(example, list) else [example]:
                assert read.misfit(schema, value) is None, (o.key, example, read.misfit(schema, value))
        assert all("example" in m for m in o.media.values()), f"{o.key} has a body without an example"
    assert seen > 60


def test_property_examples_fit_their_properties(read):
    def walk(node):
        if isinstance(node, dict):
            for value in node.get("examples", []) if isinstance(node.get("examples"), list) else []:
                assert read.misfit(node, value) is None, (node, value)
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
            walk(child)
    walk(read.plain(read.raw["components"]["schemas"]))


PART = {"paths": {"/a": {"get": {"responses": {"200": {}}}}}, "components": {"schemas": {"A": {}}}, "tags": [{"name": "t"}]}


@pytest.mark.parametrize("other,cause", [
    ({"paths": {"/a": {}}}, "path /a stands twice"), ({"components": {"schemas": {"A": {}}}}, "schemas A stands twice"),
    ({"tags": [{"name": "t"}]}, "a tag stands twice"), ({"info": {}}, "a part may not have info"),
    ({"components": {"shapes": {}}}, "components may not have shapes")])
def test_parts_that_do_not_go_together_are_not_joined(other, cause):
    with pytest.raises(openapi_embed.JoinError, match=cause):
        openapi_embed.join([PART, other])


def test_what_a_part_says_once_is_said_by_each_of_its_operations():
    other = {"security": [{"s": []}], "x-responses": {"4XX": {"a": 1}, "200": {"a": 2}},
             "paths": {"/b": {"get": {"responses": {"200": {"own": 1}}}, "put": {"security": [], "responses": {"4XX": None}}}}}
    whole = openapi_embed.join([PART, other])
    assert whole["paths"]["/a"] == PART["paths"]["/a"]
    assert whole["paths"]["/b"] == {"get": {"responses": {"4XX": {"a": 1}, "200": {"own": 1}}, "security": [{"s": []}]},
                                    "put": {"responses": {"200": {"a": 2}}, "security": []}}
    assert "security" not in whole and "x-responses" not in whole


def test_every_reference_leads_somewhere(document):
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))
    assert references
    for reference in references:
        at = document
        for step in reference.split("/"):
            at = at[step]


def test_every_component_is_used(document):
    used = set(re.findall(r'"\$ref": "#/components/([^"/]+/[^"/]+)', json.dumps(document)))
    used |= {f"securitySchemes/{name}" for item in document["paths"].values() for o in item.values() if isinstance(o, dict)
             for choice in o.get("security", []) for name in choice}
    assert used == {f"{kind}/{name}" for kind, members in document["components"].items() for name in members}


def fits(document, name, value):
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def test_answers_fit_their_schemas(document, api, place):
    id = api.create(relationships={"node": {"data": {"type": "nodes", "id": place[1]}}})
    for path, name in [(f"/registrations/{id}?include=status,node.pop", "RegistrationDocument"), ("/registrations", "RegistrationList"),
                       (f"/registrations/{id}/status", "StatusDocument"), ("/registrations/7777777", "Errors"),
                       (f"/registrations/{id}/relationships/pop", "Relationship"), (f"/registrations/{id}/pop", "ObjectDocument"),
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


# ---- the check itself, of which test_openapi_generated.py makes so much

class Given:
    """An answer that was never sent."""
    is_head = False

    def __init__(self, status=200, media="application/json", body=b"", **headers):
        self.status, self.body = status, body
        self.headers = {"content-type": media, **{k.replace("_", "-"): v for k, v in headers.items()}}

    def header(self, name):
        return self.headers.get(name.lower())


def complaint(read, key, answer):
    return read.complaint(next(o for o in read.all if o.key == key), answer)


VOX = "GET /platform_api/DeleteSipRegistration"
RIBBON = "GET /rest/sipcontactregistrant/{table}"
STATUS = "GET /api/rest/admin/registrations/{id}/status"
YETI = "application/vnd.api+json"
TABLE = '<root><status><http_code>200</http_code></status><sipcontactregistrant id="1" href="http://h/x"><Description>d</Description>' \
        '</sipcontactregistrant></root>'
SINCE = '{"data":{"id":"1","type":"registration-statuses","links":{"self":"http://h/1"},"attributes":{"since":"2026-11-21T10:01:00.120Z"}}}'


@pytest.mark.parametrize("key,answer", [
    (VOX, Given(body=b'{"result":1}')), (VOX, Given(media="application/json; charset=utf-8", body=b'{"result":1}')),
    (RIBBON, Given(media="text/xml; charset=utf-8", body=f'\n<?xml version="1.0"?>{TABLE}'.encode())),
    (STATUS, Given(media=YETI, body=SINCE.encode())), (STATUS, Given(401, "text/html")),
    ("GET /v2/token_auth", Given(431, body=b'{"errors":[{"title":"t","detail":"d","code":"431","status":"431"}]}'))])
def test_the_check_passes_what_is_declared(read, key, answer):
    assert complaint(read, key, answer) is None


@pytest.mark.parametrize("key,answer,cause", [
    (VOX, Given(500), "status 500 is not declared"), (VOX, Given(204), "status 204 is not declared"),
    (VOX, Given(media="text/html", body=b'{"result":1}'), "media type"), (VOX, Given(body=b'{"result":2}'), "1 was expected|'error' is a required"),
    (VOX, Given(body=b'{"result":1,"x":1}'), "x"), (VOX, Given(body=b'{"result":1'), "cannot be read"), (VOX, Given(body=b'"\xff"'), "no UTF-8"),
    (VOX, Given(404, body=b'{"errors":[{"title":"t","detail":"d","code":"404","status":"404"}]}'), "not one of"),
    (STATUS, Given(401, "text/html", b"x"), "a body where none is declared"),
    (STATUS, Given(media=YETI, body=SINCE.replace("T10", " 10").encode()), "date-time"),
    (STATUS, Given(media=YETI, body=SINCE.replace("http:", "ftp:").encode()), "uri"),
    (STATUS, Given(media=YETI, body=SINCE.replace('"since"', '"until"').encode()), "until"),
    ("GET /v2/account/registrations/count", Given(body=b"{}"), "x-request-id is missing"),
    ("GET /v2/account/registrations/count", Given(body=b"{}", x_request_id="ü"), "x-request-id"),
    *((RIBBON, Given(media="text/xml", body=TABLE.replace(a, b).encode()), cause) for a, b, cause in [
        ("root>", "wurzel>", "the root is wurzel"), ("<Description>d</Description>", "", "Description"), (">d<", "><", "too short"),
        (">d<", f">{'d' * 65}<", "too long"), ("</sip", "<More/></sip", "More"), (' id="1"', "", "'id' is a required"), ('id="1"', 'id="x"', "match"),
        ("200", "404", "200 was expected"), ("</root>", "<root/></root>", "root"), ("<http_code>", '<http_code a="b">', "was expected"),
        ("</status>", "</status><status/>", "status"), ("</root>", "", "cannot be read"), ("href", "src", "src|href")])])
def test_the_check_sees_what_is_not_declared(read, key, answer, cause):
    assert re.search(cause, complaint(read, key, answer) or "nothing was wrong")
