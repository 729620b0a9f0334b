"""Accounts and roles across all four dialects: whoever asks, and by whatever route, what another account has is neither told
nor changed, and whoever may only read changes nothing. What is kept and logged holds no secret."""
import hashlib
import itertools
import json

import pytest
import voximplant_client
from kazoo_client import Kazoo
from ribbon_client import CONTACT, CREDENTIALS, ENTRY, Ribbon, SERVERS, credential_path, entry_path, path, server_path
from voximplant_client import Vox

GATEWAY = {"ROLLCALL_FAILED_LOGINS": "0"}
HEX = {name: "e" * 31 + str(i) for i, name in enumerate(("victim", "thief", "below", "other", "sibling", "empty"), 1)}
USERS = {"victim": 801, "reader": 802, "thief": 803, "below": 804, "other": 805, "sibling": 806}
ACCOUNTS = {name: name for name in HEX} | {"reader": "victim"}
NUMBERS = {"victim": 71, "thief": 72, "below": 73, "other": 74, "sibling": 75, "empty": 76}
SECRET = "Clear-Of-The-Victim-%d"


def api_key(name):
    return f"api-key-of-{name}"


def PRINCIPALS(document):
    document["accounts"] = [{"name": name, "number": NUMBERS[name], "hex_id": HEX[name]} for name in ("victim", "thief", "other", "empty")]
    document["accounts"] += [{"name": name, "number": NUMBERS[name], "hex_id": HEX[name], "parent": "victim"}
                             for name in ("below", "sibling")]
    for name, id in USERS.items():
        roles = {"roles": ["support", "supervisor"]} if name == "reader" else {}
        account = ACCOUNTS[name]
        document["users"].append({**document["users"][0], "id": id, "username": f"{name}-user", "account": account, **roles})
        voximplant_client.add_key(document, f"{name}-key", account, **roles)
        document["keys"].append({"id": f"{name}-api", "account": account, **roles,
                                 "api_key_sha256": hashlib.sha256(api_key(name).encode()).hexdigest()})


class Person:
    """One principal, in every dialect."""

    def __init__(self, world, name):
        self.name, account = name, ACCOUNTS[name]
        self.yeti = world.api(USERS[name])
        self.vox = Vox(world.gateway.port, NUMBERS[account], f"{name}-key")
        self.kazoo = Kazoo(world).login_key(api_key(name))
        self.ribbon = Ribbon(world.gateway.port)
        assert self.ribbon.login(f"{name}-user", world.stack.password).done


def fill(person):
    """Something of every kind, with ids alone known to others."""
    made = {"yeti": person.yeti.create(username="victim-yeti", display_username="victim-display",
                                       auth_user="victim-auth", auth_password=SECRET % 1)}
    made["vox"] = person.vox.create(sip_username="victim-vox", password=SECRET % 2, user_name="victim-bound", application_id=9)
    r = person.ribbon
    r.make(path(CREDENTIALS, 4), Description="victim-credentials")
    r.make(credential_path(4, 1), Realm="*", User="victim-entry", EncryptedPassword=SECRET % 3)
    r.make(path(CONTACT, 3), Description="victim-contacts")
    r.make(path(SERVERS, 2), Description="victim-servers")
    r.make(server_path(2, 1), Host="192.0.2.1", ContactRegistrantTableID="3", RemoteAuthorizationTableID="4")
    r.make(entry_path(3, 1), AOR="sip:victim-entry", URI1="victim-entry")
    made["ribbon"] = next(x["id"] for x in person.yeti.get("/registrations").json["data"]
                          if x["attributes"]["name"].startswith("ribbon:"))
    return made


@pytest.fixture(scope="module")
def people(world):
    return {name: Person(world, name) for name in USERS}


@pytest.fixture(scope="module")
def victim(people):
    return fill(people["victim"])


def value(world, key):
    kind = world.redis.type(key)
    return {"hash": world.redis.hgetall, "set": world.redis.smembers, "string": world.redis.get,
            "zset": lambda k: world.redis.zrange(k, 0, -1, withscores=True), "stream": world.redis.xrange,
            "list": lambda k: world.redis.lrange(k, 0, -1)}.get(kind, lambda k: None)(key)


def kept(world):
    """All that Redis holds of accounts: registrations, indexes, objects of dialects; but not what the gateway notes for itself
    of an account that it sees for the first time, and of how often it published a change."""
    own = (":obj:indexes", ":obj:sealed", ":obj-version", ":jobs")
    keys = [k for k in world.redis.scan_iter("*", count=1000) if (":reg:" in k or ":acct:" in k) and not k.endswith(own)]
    assert any(":acct:victim:" in k for k in keys)
    values = {k: value(world, k) for k in keys}
    for held in values.values():
        if isinstance(held, dict):
            held.pop("pause", None)
    return values


def yeti_requests(made, id):
    """Every route that names a registration or finds some."""
    data = {"type": "registrations", "id": str(id), "attributes": {"display-username": "stolen"}}
    body = {"data": data}
    link = {"data": None}
    yield "GET", f"/registrations/{id}", None
    yield "GET", f"/registrations/{id}/status", None
    for rel in ("pop", "node", "transport-protocol"):
        yield "GET", f"/registrations/{id}/{rel}", None
        yield "GET", f"/registrations/{id}/relationships/{rel}", None
        for method in ("PATCH", "PUT", "DELETE"):
            yield method, f"/registrations/{id}/relationships/{rel}", link
    for method in ("PATCH", "PUT"):
        yield method, f"/registrations/{id}", body
    yield "DELETE", f"/registrations/{id}", None
    for query in ("filter[username_cont]=victim", f"filter[id_eq]={id}", "filter[display_username_cont]=victim",
                  "filter[name_cont]=", "page[size]=1000", "include=pop,node"):
        yield "GET", f"/registrations?{query}", None
    yield "GET", "/registrations/export", None


def atomic(person, *operations):
    kind = 'application/vnd.api+json; ext="https://jsonapi.org/ext/atomic"'
    return person.yeti.call("POST", "/operations", {"atomic:operations": list(operations)},
                            headers={"Content-Type": kind, "Accept": kind})


def imports(person, *lines):
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return person.yeti.call("POST", "/registrations/import", body,
                            headers={"Content-Type": "application/x-ndjson", "Accept": "*/*"})


def ask_yeti(person, made):
    for id in made.values():
        for method, target, body in yeti_requests(made, id):
            headers = {"Accept": "*/*"}
            yield f"yeti {method} {target}", person.yeti.call(method, target, body, headers=headers)
        reference = {"type": "registrations", "id": str(id)}
        yield "atomic update", atomic(person, {"op": "update", "data": {**reference, "attributes": {"username": "stolen"}}})
        yield "atomic remove", atomic(person, {"op": "remove", "ref": reference})
        yield "atomic href", atomic(person, {"op": "remove", "href": f"/api/rest/admin/registrations/{id}"})
        yield "atomic relink", atomic(person, {"op": "update", "ref": {**reference, "relationship": "pop"}, "data": None})
        yield "import of an id", imports(person, {"id": str(id), "attributes": {"username": "stolen"}},
                                         {"data": {**reference, "attributes": {"username": "stolen"}}})


def ask_vox(person, made):
    for id in made.values():
        yield "vox get", person.vox.call("GetSipRegistrations", sip_registration_id=id)
        yield "vox update", person.vox.call("UpdateSipRegistration", sip_registration_id=id, sip_username="stolen")
        yield "vox bind", person.vox.call("BindSipRegistration", sip_registration_id=id, user_name="stolen", application_id=9)
        yield "vox unbind", person.vox.call("BindSipRegistration", sip_registration_id=id, bind="false")
        yield "vox delete", person.vox.call("DeleteSipRegistration", sip_registration_id=id)
    for filters in ({}, {"sip_username": "victim-vox"}, {"user_name": "victim-bound"}, {"application_id": 9},
                    {"proxy": "sip.example.net"}):
        yield f"vox {filters}", person.vox.call("GetSipRegistrations", **filters)
    yield "vox unbind a user", person.vox.call("BindSipRegistration", bind="false", user_name="victim-bound", application_id=9)


def ask_kazoo(person, account):
    for rest, method in itertools.product(("", "/count", "/victim-yeti", "/victim-entry", "/victim-vox"), ("GET", "DELETE", "POST")):
        target = f"/accounts/{HEX[account]}/registrations{rest}"
        yield f"kazoo {method} {rest}", person.kazoo.call(method, target)
        yield f"kazoo tunnelled {rest}", person.kazoo.call("POST", target, body=json.dumps({"verb": "DELETE"}).encode(),
                                                           headers={"Content-Type": "application/json"})
        yield f"kazoo tunnelled by query {rest}", person.kazoo.call("POST", target + "?verb=delete")
    for rest in ("", "/count", "/victim-yeti"):
        yield "kazoo system", person.kazoo.get(f"/registrations{rest}")
        yield "kazoo system flush", person.kazoo.delete(f"/registrations{rest}")


def ribbon_paths():
    for table, child, id in ((CONTACT, ENTRY, 3), (SERVERS, "sipserver", 2), (CREDENTIALS, "sipremoteauthentry", 4)):
        yield path(table, id)
        yield path(table, id, child, 1)
    yield path(CONTACT, 65535)


def ask_ribbon_reads(person, made):
    for table in (CONTACT, SERVERS, CREDENTIALS):
        for query in ("", "?details=true"):
            yield f"ribbon {table}", person.ribbon.get(path(table), query)
    for target in ribbon_paths():
        yield f"ribbon GET {target}", person.ribbon.get(target)
    for id in made.values():
        yield "ribbon foreign", person.ribbon.get(entry_path(65535, id))
        yield "ribbon foreign runtime", person.ribbon.get(entry_path(65535, id), "?filter=runtime")
    yield "ribbon foreign list", person.ribbon.get(path(CONTACT, 65535, ENTRY), "?details=true")


def ask_ribbon_writes(person, made, puts):
    fields = {"Description": "stolen", "AOR": "sip:stolen", "Host": "192.0.2.66", "User": "stolen", "EncryptedPassword": "x"}
    for target in [*ribbon_paths(), *(entry_path(65535, id) for id in made.values())]:
        yield f"ribbon POST {target}", person.ribbon.post(target, **fields)
        yield f"ribbon POST delete {target}", person.ribbon.call("POST", target + "?action=delete", {})
        if puts:
            yield f"ribbon PUT {target}", person.ribbon.put(target, **fields)
        yield f"ribbon DELETE {target}", person.ribbon.delete(target)


def everything(person, made, account, puts):
    yield from ask_yeti(person, made)
    yield from ask_vox(person, made)
    yield from ask_kazoo(person, account)
    yield from ask_ribbon_reads(person, made)
    yield from ask_ribbon_writes(person, made, puts)


# What is answered where a request names what it asks for is no news.
def tells(answer, what):
    text = answer.body.decode(errors="replace")
    return "victim-display" in text or "192.0.2.1" in text or "Clear-Of" in text or any(
        f'"{name}"' in text and name not in what for name in ("victim-auth", "victim-bound"))


def test_its_owner_is_told(people, victim):
    """Or the tests below would show nothing."""
    for dialect, asked in (("yeti", ask_yeti), ("ribbon", ask_ribbon_reads), ("vox", ask_vox)):
        assert any(tells(answer, "") for _, answer in asked(people["reader"], victim)), dialect


@pytest.mark.parametrize("who", ["thief", "below"])
def test_another_account_sees_and_changes_nothing(world, people, victim, who):
    before = kept(world)
    for what, answer in everything(people[who], victim, "victim", puts=False):
        assert answer.status < 500, (what, answer.body)
        assert not what.startswith("kazoo") or answer.status in (403, 405), (what, answer.body)
        assert not tells(answer, what), (what, answer.body)
    after = kept(world)
    assert after == before


def test_who_may_only_read_changes_nothing(world, people, victim):
    before = kept(world)
    for what, answer in everything(people["reader"], victim, "victim", puts=True):
        assert answer.status < 500, (what, answer.body)
        assert not what.startswith(("kazoo DELETE", "kazoo tunnelled")) or answer.status in (403, 405), (what, answer.body)
    reader = people["reader"]
    assert reader.yeti.post(reader.yeti.required()).status == 403
    assert imports(reader, {"attributes": reader.yeti.required()}).status == 403
    assert atomic(reader, {"op": "add", "data": {"type": "registrations", "attributes": reader.yeti.required()}}).status == 403
    for kind in ("pops", "nodes"):
        for method, target in (("POST", f"/{kind}"), ("PATCH", f"/{kind}/1"), ("PUT", f"/{kind}/1"), ("DELETE", f"/{kind}/1"),
                               ("PATCH", "/nodes/1/relationships/pop"), ("DELETE", "/nodes/1/relationships/pop")):
            assert reader.yeti.call(method, target, {"data": None}).status == 403
    assert reader.vox.call("CreateSipRegistration", sip_username="x", proxy="sip.example.net").code == 100
    assert kept(world) == before


def test_a_parents_key_reaches_its_child_and_no_further(people):
    victim, thief = people["victim"], people["thief"]
    assert victim.kazoo.get(victim.kazoo.of(HEX["below"])).status == 200
    assert victim.kazoo.get(victim.kazoo.of(HEX["thief"])).status == 403
    assert thief.kazoo.get(thief.kazoo.of(HEX["below"])).status == 403
    for issuer, good in ((NUMBERS["below"], True), (NUMBERS["thief"], False)):
        answer = victim.vox.call("GetSipRegistrations", _token=victim.vox.token(iss=issuer))
        assert ("result" in answer.json) == good, answer.body


def test_no_secret_is_answered_kept_or_logged(world, people, victim):
    """What is clear nowhere: passwords of registrations, API keys, passwords of users."""
    secrets = [SECRET % i for i in (1, 2, 3)] + [api_key(name) for name in USERS] + [world.stack.password]
    seen = [("log", world.gateway.log_text())]
    seen += [(what, answer.body.decode(errors="replace")) for what, answer in
             itertools.chain(ask_yeti(people["reader"], victim), ask_vox(people["reader"], victim),
                             ask_ribbon_reads(people["victim"], victim))]
    seen += [(key, repr(value(world, key))) for key in world.redis.scan_iter("*", count=1000)]
    for where, text in seen:
        for secret in secrets:
            assert secret not in text, (where, secret)
