"""Bodies, paths, queries and headers that no client should send: never a 5xx, and the gateway lives."""
import collections
import json
import random

SEED = 20261121
VALUES = [None, True, False, 0, -1, 1.5, 10**400, 10**30, "", "x", "\u0000", "\r\n", "ü" * 2000, [], {}, [[]], [None], {"a": {}},
          {"data": None}, {"data": {}}, {"data": []}, {"data": {"type": "pops", "id": "1"}}, {"data": {"type": "nodes", "id": 2}},
          "sip:u@h", ["sip:a"], "9" * 500, {"type": "registrations"}]
NAMES = ["auth-password", "auth-user", "contact", "display-username", "domain", "enabled", "expire", "force-expire", "max-attempts",
         "name", "route-set", "retry-delay", "sip-interface-name", "username", "sip-schema-id", "bogus", "", "pop", "id"]
RELATIONS = ["pop", "node", "transport-protocol", "status", "bogus"]


def shuffled(rng):
    """A body that is nearly right."""
    data = {"type": rng.choice(["registrations"] * 8 + VALUES), "id": rng.choice(["1"] * 5 + VALUES)}
    if rng.random() < 0.8:
        data["attributes"] = {n: rng.choice(VALUES) for n in rng.sample(NAMES[:15], rng.randrange(6))} \
            if rng.random() < 0.9 else rng.choice(VALUES)
        if rng.random() < 0.1 and isinstance(data["attributes"], dict):
            data["attributes"][rng.choice(NAMES)] = rng.choice(VALUES)
    if rng.random() < 0.5:
        data["relationships"] = {n: rng.choice(VALUES) for n in rng.sample(RELATIONS[:3], rng.randrange(3))} \
            if rng.random() < 0.9 else rng.choice(VALUES)
    if rng.random() < 0.3:
        data.pop(rng.choice(list(data)))
    return {"data": data if rng.random() < 0.95 else rng.choice(VALUES)}


def damaged(rng, body):
    body = bytearray(body)
    for _ in range(rng.choice([1, 1, 2])):
        at = rng.randrange(len(body))
        kind = rng.randrange(3)
        if kind == 0:
            body[at] = rng.randrange(256)
        elif kind == 1:
            del body[at:at + rng.randrange(1, 9)]
        else:
            body[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
        if not body:
            return b"x"
    return bytes(body)


def below_500(answer):
    assert answer.status < 500, (answer.status, answer.body)
    if answer.status >= 400 and answer.body:
        assert json.loads(answer.body)["errors"]


def encoded(body):
    return json.dumps(body).encode()


def test_malformed_documents_never_give_a_server_error(api):
    rng = random.Random(SEED)
    id = api.create()
    seen = collections.Counter()
    for _ in range(1500):
        body = shuffled(rng)
        path = rng.choice(["/registrations", f"/registrations/{id}", f"/registrations/{id}/relationships/pop",
                           f"/registrations/{id}/relationships/node", "/pops", "/nodes", "/pops/1"])
        if path.endswith(id) and isinstance(body["data"], dict) and rng.random() < 0.8:
            body["data"]["id"] = id
        method = "POST" if path in ("/registrations", "/pops", "/nodes") else rng.choice(["PUT", "PATCH"])
        answer = api.call(method, path, body)
        below_500(answer)
        seen[answer.status] += 1
    assert seen[400] > 100 and seen[422] > 20, "most are judged, not only refused as JSON"
    assert api.get(f"/registrations/{id}").status == 200


def test_damaged_bodies_never_give_a_server_error(api):
    rng = random.Random(SEED)
    id = api.create()
    good = encoded(api.resource(api.required(**{"name": "NAME", "route-set": ["sip:a"], "expire": 600}),
                                {"pop": {"data": None}, "transport-protocol": {"data": {"type": "transport-protocols", "id": "2"}}}))
    seen = collections.Counter()
    for i in range(1500):
        answer = api.call("POST", "/registrations", damaged(rng, good.replace(b"NAME", b"n%d" % i)))
        below_500(answer)
        seen[answer.status] += 1
    assert min(seen[400], seen[422], seen[201]) > 10
    assert api.get(f"/registrations/{id}").status == 200


def test_odd_attribute_values_are_judged_one_by_one(api):
    id = api.create()
    for name in NAMES:
        for value in VALUES:
            below_500(api.patch(id, {name: value}))
    for name in RELATIONS:
        for value in VALUES:
            below_500(api.patch(id, relationships={name: value}))


def test_odd_logins_never_give_a_server_error(api):
    rng = random.Random(SEED)
    headers = {"Authorization": None, "Content-Type": "application/json"}
    for value in VALUES:
        for body in (value, {"auth": value}, {"auth": {"username": value, "password": "x"}},
                     {"auth": {"username": "admin", "password": value}}, {"username": value}):
            below_500(api.call("POST", "/auth", encoded(body), headers))
    for _ in range(50):
        below_500(api.call("POST", "/auth", damaged(rng, b"auth[username]=a&auth[password]=b"),
                           {**headers, "Content-Type": "application/x-www-form-urlencoded"}))


def test_odd_queries_never_give_a_server_error(api):
    rng = random.Random(SEED)
    id = api.create()
    keys = ["fields", "fields[registrations]", "fields[]", "fields[registrations][]", "include", "include[]", "include[a]", "filter",
            "filter[id]", "filter[id][]", "filter[]", "filter[id][a]", "filter[a.b]", "filter[.]", "sort", "sort[]", "page", "page[]",
            "page[number]", "page[size]", "page[size][]", "page[", "page]", "[", "token", "filter[name_eq]", "filter[name_cont_any]"]
    values = ["", ",", "name", "-name", "-", "id", "1", "0", "-1", "9" * 40, "pop", "node.pop", ".", "a.b.c", "%22", "%22a%22%22,b", "%FF",
              "%C3%BC", "+", "&", "=", "%00", "%", "name,,id", "status"]
    for _ in range(1500):
        query = "&".join(f"{rng.choice(keys)}={rng.choice(values)}" for _ in range(rng.randrange(1, 4)))
        path = rng.choice(["/registrations", f"/registrations/{id}", f"/registrations/{id}/pop", "/pops", "/nodes",
                           "/transport-protocols", f"/registrations/{id}/status"])
        below_500(api.get(f"{path}?{query}"))


def test_odd_paths_never_give_a_server_error(api):
    rng = random.Random(SEED)
    parts = ["registrations", "relationships", "pop", "1", "..", ".", "", "%2F", "%2e", "%FF", "%C3", "status", "a" * 300, ".json", "pops",
             "auth", "%20", "0", "9" * 50, "-1"]
    for _ in range(600):
        path = "/" + "/".join(rng.choice(parts) for _ in range(rng.randrange(6)))
        below_500(api.call(rng.choice(["GET", "DELETE", "OPTIONS", "HEAD"]), path))


def test_odd_headers_never_give_a_server_error(api):
    for name in ("Authorization", "Accept", "Content-Type", "If-None-Match", "X-Request-Id", "X-Forwarded-For", "Host", "traceparent",
                 "X-Forwarded-Proto", "Cookie"):
        for value in ("", ",", ";", "\t", '"', "a" * 4000, "é".encode("latin-1"), "*/*;;;", "=", '"unclosed', "{}"):
            answer = api.call("POST", "/registrations", api.resource(api.required()), {name: value})
            below_500(answer)


ATOMIC = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'


def mostly(rng, *good):
    return rng.choice(good) if rng.random() < 0.9 else rng.choice(VALUES)


def odd_operation(rng, api, id):
    """One that is nearly right."""
    kind = rng.choice(["add", "update", "remove", "relink"])
    name = {"type": mostly(rng, "registrations"), rng.choice(["id", "id", "lid"]): mostly(rng, id, "a")}
    data = {**name, "attributes": {rng.choice(NAMES[:15]): rng.choice(VALUES)} if rng.random() < 0.3 else {"expire": rng.randrange(9)}}
    if kind == "add":
        data = {"type": mostly(rng, "registrations"), "attributes": api.required(), "lid": mostly(rng, "a", "b", "c", "d")}
    whole = {"op": mostly(rng, "update" if kind == "relink" else kind), "data": mostly(rng, data)}
    if kind == "relink":
        whole["data"] = mostly(rng, None, {"type": "pops", "id": "1"})
        name["relationship"] = mostly(rng, *RELATIONS)
    if kind != "add" or rng.random() < 0.1:
        href = mostly(rng, f"registrations/{id}", f"/api/rest/admin/registrations/{id}/relationships/pop", "//", "http://", "registrations")
        whole |= {"href": href} if rng.random() < 0.2 else {"ref": mostly(rng, name)}
    return whole


def test_malformed_operations_never_give_a_server_error(api):
    rng = random.Random(SEED)
    seen = collections.Counter()
    id = api.create()
    for _ in range(1000):
        operations = [odd_operation(rng, api, id) for _ in range(rng.randrange(1, 4))]
        body = encoded({"atomic:operations": operations if rng.random() < 0.95 else rng.choice(VALUES)})
        answer = api.call("POST", "/operations", damaged(rng, body) if rng.random() < 0.2 else body, {"Content-Type": ATOMIC})
        below_500(answer)
        seen[answer.status] += 1
        if answer.status == 200 and api.get(f"/registrations/{id}").status == 404:
            id = api.create()
    assert min(seen[400], seen[422], seen[404], seen[200]) > 5, seen
    assert api.get("/registrations").status == 200


def test_malformed_lines_never_stop_an_import(api):
    rng = random.Random(SEED)
    good = encoded({"type": "registrations", "attributes": api.required(**{"name": "NAME", "route-set": ["sip:a"], "expire": 600})})
    lines = []
    for i in range(2000):
        kind = rng.random()
        line = encoded(shuffled(rng)["data"]) if kind < 0.5 else damaged(rng, good.replace(b"NAME", b"n%d" % i)) if kind < 0.9 else rng.randbytes(50)
        lines.append(line)
    answer = api.call("POST", "/registrations/import", b"\n".join(lines), {"Content-Type": "application/x-ndjson", "Accept": "*/*"})
    assert answer.status == 200
    summary = json.loads(answer.body.splitlines()[-1])["summary"]
    assert summary["failed"] > 500 and summary["created"] > 20 and "stopped-at" not in summary
    assert summary["lines"] == sum(summary[n] for n in ("created", "updated", "unchanged", "failed"))
