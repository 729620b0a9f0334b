"""Every operation of every dialect, as the served description lists them, asked about another account's objects: the answer is the
one about an object that nobody has, in its status, headers and body; nothing of the other account is told and nothing of it
changes. A route that is added is covered by being described; one that names objects by a parameter not known here fails."""
import json
import re
import urllib.request

import pytest
from isolation_matrix import MEMBERS, References, query_of, requests_of, shape, verbs_of
from openapi_connection import Connection
from openapi_document import Document
from test_isolation import ACCOUNTS, GATEWAY, HEX, NUMBERS, PRINCIPALS, USERS, Person, api_key, fill, kept  # noqa: F401 - of the gateway

__all__ = ["GATEWAY", "PRINCIPALS"]
SECRETS = ("victim-display", "victim-auth", "Clear-Of-The-Victim", "victim-credentials", "victim-contacts", "victim-servers", "victim-bound-x")
PATH_PARAMETERS = {"id", "relationship", "table", "row", "account_id", "sip_username", "anything"}


@pytest.fixture(scope="module")
def document(world):
    with urllib.request.urlopen(world.gateway.url + "/openapi.json", timeout=10) as answer:
        return Document(json.load(answer))


@pytest.fixture(scope="module")
def people(world):
    return {name: Person(world, name) for name in USERS}


@pytest.fixture(scope="module")
def victim(people):
    made, api = fill(people["victim"]), people["victim"].yeti
    for id in made.values():
        answer = api.call("POST", "/registrations", api.resource(api.required()), headers={"Idempotency-Key": key_of(id)})
        assert answer.status == 201, answer.body
    return made


@pytest.fixture(scope="module")
def places(people, victim):
    """A pop and a node: those belong to the deployment, and whoever has the role may change them."""
    del victim
    api = people["victim"].yeti
    for kind, id, attributes in (("pops", "611", {"name": "p"}), ("nodes", 612, {"name": "n", "rpc-endpoint": "127.0.0.1:612"})):
        data = {"type": kind, "id": id, "attributes": attributes}
        if kind == "nodes":
            data["relationships"] = {"pop": {"data": {"type": "pops", "id": "611"}}}
        answer = api.call("POST", f"/{kind}", {"data": data})
        assert answer.status == 201, answer.body
    return {"pops": 611, "nodes": 612, "transport-protocols": 1}


def key_of(id):
    return f"key-of-the-victim-{id}"


def of_victim(id, attributes):
    return References(id=id, name=attributes["name"], username=attributes["username"], bound="victim-bound", login="victim-user",
                      number=NUMBERS["victim"], account="victim", hex=HEX["victim"], contacts=3, servers=2, credentials=4,
                      aor=f"sip:{attributes['username']}", key=key_of(id))


def of_nobody(id):
    """But an account that is there and has nothing: of one that is not, Kazoo's API says so (docs/dialects/kazoo.md)."""
    return References(id=int(id) + 900000, name=f"nothing-{id}", username=f"nobody-{id}", bound="nobody-bound", login="nobody-user",
                      number=99, account="nobody", hex=HEX["empty"], contacts=13, servers=12, credentials=14, aor=f"sip:nobody-{id}",
                      key=f"key-of-nobody-{id}")


def signer(person, world):
    """Signs a request of any dialect as that person."""
    kazoo = person.kazoo.token

    def sign(rng, request, good):
        del rng, good
        if request.path.startswith("/platform_api"):
            request.set("Authorization", "Bearer " + person.vox.token())
        elif request.path.startswith("/v"):
            if not request.path.endswith(("user_auth", "api_auth")):
                request.set("X-Auth-Token", kazoo)
        elif request.path.startswith("/rest"):
            if not request.path.endswith(("login", "logout")):
                request.set("Cookie", f"PHPSESSID={person.ribbon.session}; csrfp_token={person.ribbon.csrf}")
        else:
            request.set("Authorization", world.token(USERS[person.name]))

    return sign


OF_NO_ACCOUNT = re.compile(r"/(healthz|readyz|metrics|openapi.json|api/rest/admin/(pops|nodes|transport-protocols)(/.*)?)")


def described(document, shared=False):
    """shared: what belongs to the whole deployment, too."""
    return [o for o in document.all if shared or not OF_NO_ACCOUNT.fullmatch(o.path)]


def paths_of(document, shared):
    found = {}
    for operation in described(document, shared):
        found.setdefault(operation.path, []).append(operation)
    return found


def test_every_parameter_of_a_path_is_one_that_the_matrix_knows(document):
    """Or a route would name objects in a way that the matrix does not try."""
    names = {p["name"] for o in described(document, True) for p in o.parameters_in("path")}
    assert names == PATH_PARAMETERS
    assert len(described(document)) > 70


def pairs(document, sign, references, places, shared=False):
    """What is asked, in one order for any references."""
    for operation in described(document, shared):
        yield from requests_of(operation, sign, references, places)
    for path, operations in paths_of(document, shared).items():
        yield from verbs_of(path, operations, sign, references, places)
    lists = {"/api/rest/admin/registrations": [(f"filter[{n}_{how}]", str(references.get(MEMBERS[n]))) for n in ("id", "name", "username")
                                               for how in ("eq", "in", "cont", "start")],
             "/platform_api/GetSipRegistrations": [(n, str(references.get(MEMBERS[n]))) for n in
                                                   ("sip_registration_id", "sip_username", "user_name", "account_id")],
             f"/rest/sipcontactregistrant/65535/sipregistrantentry/{references.id}": [("filter", "runtime"), ("details", "true"), ("action", "x")],
             "/v2/account/registrations": [("account_id", references.hex), ("auth_token", "x"), ("verb", "DELETE")]}
    for path, parameters in lists.items():
        yield from query_of(path, sign, parameters)


def difference(a, b):
    """The two answers from a little before where they part."""
    a, b = str(a), str(b)
    at = max(0, next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b))) - 80)
    return f"  theirs: …{a[at:at + 400]}\n  nobody's: …{b[at:at + 400]}"


@pytest.mark.parametrize("who, twin", [("thief", "other"), ("below", "sibling")])
def test_what_another_account_has_is_like_what_nobody_has(world, document, people, victim, places, who, twin):
    """Two accounts of the same kind ask in step, so that what each makes for itself looks alike, too."""
    before, wrong, asked = kept(world), [], 0
    sign, sign_twin, connection = signer(people[who], world), signer(people[twin], world), Connection(world.gateway.port)
    seen, unseen = ([References(account=name, hex=HEX[name]), References(hex=HEX["victim"])] for name in (who, twin))
    for id in list(victim.values())[:3 if who == "thief" else 1]:
        theirs, nobodys = of_victim(id, people["victim"].yeti.read(id)), of_nobody(id)
        seen.append(theirs)
        unseen.append(nobodys)
        for (what, foreign), (_, absent) in zip(pairs(document, sign, theirs, places), pairs(document, sign_twin, nobodys, places)):
            first, second = connection.send(foreign), connection.send(absent)
            asked += 1
            a, b = shape(first, seen), shape(second, unseen)
            text = str(first.headers) + first.body.decode(errors="replace")
            if a != b:
                wrong.append(f"{what} ({foreign.target}):\n" + difference(a, b))
            if any(secret in text for secret in SECRETS) or first.status >= 500:
                wrong.append(f"{what} tells: {first.status} {text}")
    connection.close()
    assert not wrong, f"{len(wrong)} of {asked}:\n" + "\n".join(wrong[:8])
    assert asked > 500
    print(f"{asked} pairs of requests by {who}")
    after = {k: v for k, v in kept(world).items() if k in before}
    assert after == before


def test_the_owner_is_told(document, world, people, victim, places):
    """The same requests, or the test above would show nothing: reads of the owner find what others do not."""
    id = victim["yeti"]
    sign, connection = signer(people["victim"], world), Connection(world.gateway.port)
    theirs, nobodys = of_victim(id, people["victim"].yeti.read(id)), of_nobody(id)
    differ = set()
    for (what, own), (_, absent) in zip(pairs(document, sign, theirs, places), pairs(document, sign, nobodys, places)):
        reads = own.method == "GET" and (not own.path.startswith("/platform_api") or own.path.endswith("GetSipRegistrations"))
        if reads and shape(connection.send(own), [theirs]) != shape(connection.send(absent), [nobodys]):
            differ.add(what.split()[1])
    connection.close()
    named = {o.path for o in described(document) if o.method == "GET" and {p["name"] for p in o.parameters_in("path")} &
             {"id", "table", "row", "account_id"} and not o.path.startswith("/v1")}
    assert named <= differ, named - differ


def test_a_role_that_reads_changes_nothing_by_any_operation(document, world, people, victim, places):
    """Of its own account, and of the deployment."""
    reader, connection = people["reader"], Connection(world.gateway.port)
    keys = [k for k in world.redis.scan_iter("*", count=1000) if "{g}" in k]
    before, shared = kept(world), {k: world.redis.dump(k) for k in keys if world.redis.type(k) in ("hash", "set")}
    assert ACCOUNTS["reader"] == "victim"
    for id in victim.values():
        theirs = of_victim(id, reader.yeti.read(id))
        for what, request in pairs(document, signer(reader, world), theirs, places, shared=True):
            answer = connection.send(request)
            assert answer.status < 500, what
            if request.method in ("PUT", "PATCH", "DELETE") and request.path.startswith(("/api/rest", "/v2/acc")):
                assert answer.status in (401, 403, 404, 405, 415), (what, answer.status, answer.body)
    connection.close()
    assert kept(world) == before
    assert {k: world.redis.dump(k) for k in shared} == shared
    assert api_key("reader") not in world.gateway.log_text()
