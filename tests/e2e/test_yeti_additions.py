"""What the Yeti dialect writes many at once of is held at a real registrar, and its filters see what is reported."""
import hashlib
import json

from stack import wait_for

LINES = "application/x-ndjson"
ATOMIC = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'
COUNT = 25


def call(world, method, path, body=None, content_type=None):
    headers = {"Accept": "*/*", **({"Content-Type": content_type} if content_type else {})}
    answer = world.api.call(method, path, body.encode() if body else None, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer


def line(world, user, **attributes):
    wire = {k.replace("_", "-"): v for k, v in world.at_kamailio(user, name=user, **attributes).items()}
    return json.dumps({"type": "registrations", "attributes": wire})


def listed(world, query):
    """Ids by name."""
    answer = call(world, "GET", f"/registrations?page[size]=1000&{query}")
    return {d["attributes"]["name"]: d["id"] for d in answer.json()["data"]}


def summary(answer):
    return json.loads(answer.text.splitlines()[-1])["summary"]


def test_an_import_is_registered_and_operations_change_and_remove_it(world, user):
    """create → binding → state in the filters → change → delete → binding gone, many at once each time."""
    users = [f"{user}-{i}" for i in range(COUNT)]
    body = "\n".join(line(world, u) for u in users)
    assert summary(call(world, "POST", "/registrations/import", body, LINES))["created"] == COUNT
    wait_for(lambda: all(world.kamailio_contacts(u) for u in users), 30, "all bindings")
    registered = f"filter[state_eq]=registered&filter[name_start]={user}-"
    wait_for(lambda: set(listed(world, registered)) == set(users), 20, "all to be reported")
    assert set(listed(world, f"filter[state_in]=registered,retrying&filter[name_start]={user}-")) == set(users)
    assert not listed(world, f"filter[state_not_eq]=registered&filter[name_start]={user}-")

    ids = listed(world, registered)
    off, gone, moved = users[:8], users[8:16], users[16]
    operations = [{"op": "update", "data": {"type": "registrations", "id": ids[u], "attributes": {"enabled": False}}} for u in off]
    operations += [{"op": "remove", "ref": {"type": "registrations", "id": ids[u]}} for u in gone]
    operations += [{"op": "update", "data": {"type": "registrations", "id": ids[moved], "attributes": {"contact": f"sip:{moved}@127.0.0.1:5099"}}}]
    call(world, "POST", "/operations", json.dumps({"atomic:operations": operations}), ATOMIC)
    wait_for(lambda: not any(world.kamailio_contacts(u) for u in off + gone), 20, "their bindings to go")
    wait_for(lambda: world.kamailio_contacts(moved) == [f"sip:{moved}@127.0.0.1:5099"], 20, "the new contact alone")
    wait_for(lambda: set(listed(world, f"filter[state_eq]=disabled&filter[name_start]={user}-")) == set(off), 20, "the disabled ones in the index")
    assert set(listed(world, registered)) == set(users[16:])

    exported = call(world, "GET", f"/registrations/export?filter[name_start]={user}-").text
    assert {json.loads(row)["attributes"]["name"] for row in exported.splitlines()} == set(off + users[16:])
    assert summary(call(world, "POST", "/registrations/import", exported, LINES))["unchanged"] == COUNT - len(gone)


def ha1(user, password):
    return {"MD5": hashlib.md5(f"{user}:127.0.0.1:{password}".encode()).hexdigest()}


def test_what_only_sip_says_goes_to_the_registrar(world, user):
    """A third party's From, two contacts with q, an HA1 in place of a password, a registrar apart from the domain; then the commands."""
    attributes = {k: v for k, v in world.at_registrar(user, domain="127.0.0.1").items() if not k.startswith("auth_")}
    credential = {"realm": "127.0.0.1", "user": user, "ha1": ha1(user, world.registrar_password)}
    contacts = [{"uri": f"sip:{user}@127.0.0.1:5090", "q": "0.5"}, {"uri": f"<sip:{user}@127.0.0.1:5091;x=1>", "q": 0.3}]
    id = world.api.create(**attributes, sip={"from": "sip:desk@127.0.0.1", "credentials": [credential], "contacts": contacts,
                                             "registrar": f"sip:127.0.0.1:{world.registrar.port}"})
    world.api.wait_state(id, "registered")
    last = world.sent(user)[-1]
    assert last.auth_result == "ok" and last.ruri == "sip:127.0.0.1"
    assert last.header("from").startswith("<sip:desk@127.0.0.1>;tag=") and last.header("to") == f"<sip:{user}@127.0.0.1>"
    assert [(c.uri, c.params.get("q")) for c in last.contacts] == [
        (f"sip:{user}@127.0.0.1:5090", "0.5"), (f"sip:{user}@127.0.0.1:5091;x=1", "0.3")]

    for name, count in (("refresh", 1), ("audit", 1), ("flush", 2)):
        before = len(world.sent(user))
        assert world.api.call("POST", f"/registrations/{id}/{name}").status_code == 202
        wait_for(lambda: world.api.status(id)["in-sync"] and world.api.status(id)["state"] == "registered", 20, f"{name} to be done")
        assert len(world.sent(user)) - before == count, name
    assert world.api.status(id)["audited-at"]

    world.api.update(id, sip={"credentials": [{**credential, "ha1": ha1(user, "wrong")}]})
    world.api.wait_state(id, "rejected")
    world.api.update(id, sip={"credentials": [credential]})
    world.api.wait_state(id, "registered")
