"""One registration through four dialects at a real registrar: made in one, bound, listed and flushed in another, seen and changed in
a third, shown and deleted in the fourth, and gone in all."""
import pytest
from kazoo_session import KazooSession
from ribbon_client import CONTACT, CREDENTIALS, ENTRY, SERVERS, Ribbon, credential_path, entry_path, path, server_path
from stack import wait_for
from voximplant_client import Vox, add_key

VIRTUAL = 65535


def PRINCIPALS(document):
    add_key(document, "key-1", "default")


@pytest.fixture
def dialects(world):
    ribbon = Ribbon(world.gateway.port)
    assert ribbon.login(world.stack.username, world.stack.password).done
    return Vox(world.gateway.port, 1, "key-1"), KazooSession(world.gateway.url, world.stack, by_api_key=True), world.api, ribbon


def binding(world, user):
    [held] = world.kamailio.bindings(f"{user}@127.0.0.1") or [None]
    return held


@pytest.mark.parametrize("deleter", ["voximplant", "yeti", "ribbon"])
def test_one_registration_seen_from_everywhere(world, dialects, user, deleter):
    voximplant, kazoo, yeti, ribbon = dialects
    before = kazoo.count()

    id = voximplant.create(sip_username=user, proxy=world.kamailio.address, password=world.stack.sip_password)
    first = wait_for(lambda: binding(world, user), 20, "the binding")

    [entry] = wait_for(lambda: kazoo.entries(authorizing_id=str(id)), 20, "the entry of the live binding")
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
    wait_for(lambda: [e["contact"] for e in kazoo.entries(authorizing_id=str(id))] == [contact], 20, "the new contact in the list of bindings")

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
    wait_for(lambda: not kazoo.entries(authorizing_id=str(id)) and kazoo.count() == before, 20, "the entry of the binding to go")
    wait_for(lambda: not world.keys_of(id) and world.grave_of(id), 20, "the keys to go")


@pytest.mark.parametrize("mover", ["yeti", "voximplant"])
def test_another_domain_moves_what_a_ribbon_registers(world, dialects, user, mover):
    """Its server row names host and port apart from the domain; neither of the others can, and what they say is what is done."""
    voximplant, _, yeti, ribbon = dialects
    for kind in (CONTACT, SERVERS, CREDENTIALS):
        ribbon.make(path(kind, 7), Description="moves")
    ribbon.make(credential_path(7, 1), User=user, EncryptedPassword=world.stack.sip_password)
    ribbon.make(server_path(7, 1), Host="127.0.0.1", Port=world.kamailio.port, ContactRegistrantTableID=7, RemoteAuthorizationTableID=7)
    ribbon.make(entry_path(7, 1), AorType="2", AOR=f"sip:{user}", URI1=user)
    wait_for(lambda: world.kamailio_contacts(user), 20, "the binding at the host of the server row")
    id = ribbon.get(entry_path(7, 1), "?filter=runtime").item["rt_Registration"]

    elsewhere = f"127.0.0.1:{world.registrar.port}"
    if mover == "yeti":
        yeti.update(id, domain=elsewhere, auth_password=world.registrar_password)
    else:
        voximplant.update(id, proxy=elsewhere, password=world.registrar_password)
    wait_for(lambda: world.bound(user), 20, "the binding at the other registrar")
    wait_for(lambda: not world.kamailio_contacts(user), 20, "the binding at the first to go")
    wait_for(lambda: ribbon.get(entry_path(7, 1), "?filter=runtime").item["rt_Target"] == f"udp:{elsewhere}", 20, "the new target")

    ribbon.delete(path(SERVERS, 7))
    wait_for(lambda: not world.bound(user), 20, "the binding to go with its server row")
    for kind in (CONTACT, CREDENTIALS):
        ribbon.delete(path(kind, 7))
