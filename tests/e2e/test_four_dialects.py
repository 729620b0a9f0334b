"""One registration through four dialects at a real registrar: made in one, bound, listed and flushed in another, seen and changed in
a third, shown and deleted in the fourth, and gone in all."""
import pytest
import requests
from ribbon_client import CONTACT, ENTRY, Ribbon, entry_path, path
from stack import wait_for
from voximplant_client import Vox, add_key

VIRTUAL = 65535


def PRINCIPALS(document):
    add_key(document, "key-1", "default")


class Kazoo:
    def __init__(self, world):
        self.url = world.gateway.url + "/v2"
        answer = requests.put(self.url + "/api_auth", json={"data": {"api_key": world.stack.api_key}}, timeout=10)
        assert answer.status_code == 201, answer.text
        self.headers = {"X-Auth-Token": answer.json()["auth_token"]}

    def call(self, method, rest=""):
        answer = requests.request(method, f"{self.url}/account/registrations{rest}", headers=self.headers, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def entries(self, id):
        return [e for e in self.call("GET") if e["authorizing_id"] == str(id)]

    def count(self):
        return self.call("GET", "/count")["count"]


@pytest.fixture
def dialects(world):
    ribbon = Ribbon(world.gateway.port)
    assert ribbon.login(world.stack.username, world.stack.password).done
    return Vox(world.gateway.port, 1, "key-1"), Kazoo(world), world.api, ribbon


def binding(world, user):
    [held] = world.kamailio.bindings(f"{user}@127.0.0.1") or [None]
    return held


@pytest.mark.parametrize("deleter", ["voximplant", "yeti", "ribbon"])
def test_one_registration_seen_from_everywhere(world, dialects, user, deleter):
    voximplant, kazoo, yeti, ribbon = dialects
    before = kazoo.count()

    id = voximplant.create(sip_username=user, proxy=world.kamailio.address, password=world.stack.sip_password)
    first = wait_for(lambda: binding(world, user), 20, "the binding")

    [entry] = wait_for(lambda: kazoo.entries(id), 20, "the entry of the live binding")
    assert kazoo.count() == before + 1
    assert (entry["username"], entry["call_id"], entry["contact"]) == (user, first["Call-ID"], first["Address"])

    assert kazoo.call("DELETE", f"/{user}") == "ok"
    wait_for(lambda: (binding(world, user) or first)["CSeq"] != first["CSeq"], 20, "another REGISTER of the flush")
    assert yeti.wait_state(str(id), "registered")["code"] == 200
    wait_for(lambda: yeti.status(str(id))["in-sync"], 20, "the report after the flush")
    assert voximplant.read(id)["successful"] is True

    contact = f"sip:{user}-new@127.0.0.1:5091"
    yeti.update(str(id), contact=contact)
    wait_for(lambda: world.kamailio_contacts(user) == [contact], 20, "the new contact alone")
    assert f"{VIRTUAL}:{id}" in [link for link, _ in ribbon.get(path(CONTACT, VIRTUAL, ENTRY)).links]
    item = ribbon.get(entry_path(VIRTUAL, id)).item
    assert (item["URI1"], item["AOR"]) == (contact, f"sip:{user}@{world.kamailio.address}")
    wait_for(lambda: ribbon.get(entry_path(VIRTUAL, id), "?filter=runtime").item["rt_State"] == "registered", 20, "rt_State registered")
    wait_for(lambda: [e["contact"] for e in kazoo.entries(id)] == [contact], 20, "the new contact in the list of bindings")

    if deleter == "voximplant":
        voximplant.delete(id)
    elif deleter == "yeti":
        yeti.delete(str(id))
    else:
        assert ribbon.delete(entry_path(VIRTUAL, id)).done
    assert voximplant.ids(sip_registration_id=id) == []
    assert yeti.call("GET", f"/registrations/{id}").status_code == 404
    assert ribbon.get(entry_path(VIRTUAL, id)).app == 20012
    wait_for(lambda: not binding(world, user), 20, "the binding to go")
    wait_for(lambda: not kazoo.entries(id) and kazoo.count() == before, 20, "the entry of the binding to go")
    wait_for(lambda: not world.keys_of(id) and world.grave_of(id), 20, "the keys to go")
