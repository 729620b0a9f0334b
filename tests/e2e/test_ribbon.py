"""A table of contacts, made as a client of an SBC Edge makes it: Kamailio holds the bindings, their status is seen here, what
changes here changes there, and nothing is left in the end."""
import re
import time

import pytest
from ribbon_client import (CONTACT, CREDENTIALS, ENTRY, SERVERS, Ribbon, credential_path, entry_path, path, server_path)
from stack import wait_for

TABLE, SERVER_TABLE, CREDENTIAL_TABLE = 3, 2, 4


@pytest.fixture
def ribbon(world):
    client = Ribbon(world.gateway.port)
    assert client.login(world.stack.username, world.stack.password).done
    for kind, id in ((CONTACT, TABLE), (SERVERS, SERVER_TABLE), (CREDENTIALS, CREDENTIAL_TABLE)):
        client.make(path(kind, id), Description="end to end")
    yield client
    client.delete(path(SERVERS, SERVER_TABLE))
    client.delete(path(CONTACT, TABLE))
    client.delete(path(CREDENTIALS, CREDENTIAL_TABLE))


def credentials(world, client, *users, password=None):
    for row, user in enumerate(users, 1):
        client.make(credential_path(CREDENTIAL_TABLE, row), User=user,
                    EncryptedPassword=password or world.stack.sip_password)


def server(world, client, row=1, **fields):
    client.make(server_path(SERVER_TABLE, row), **{
        "Host": "127.0.0.1", "Port": world.kamailio.port, "ContactRegistrantTableID": TABLE,
        "RemoteAuthorizationTableID": CREDENTIAL_TABLE, **fields})


def runtime(client, entry):
    return client.get(entry_path(TABLE, entry), "?filter=runtime").item.values


def wait_state(client, entry, state="registered", seconds=20):
    wait_for(lambda: runtime(client, entry).get("rt_State") == state, seconds, f"rt_State {state}", every=0.1)
    return runtime(client, entry)


def bindings(world, user):
    """By the contact's user: (q, seconds left)."""
    found = {}
    for b in world.kamailio.bindings(f"{user}@127.0.0.1"):
        found[re.match(r"sip:([^@]*)@", b["Address"]).group(1)] = (b.get("Q"), int(b["Expires"].split()[0]))
    return found


def test_life_of_an_entry(world, ribbon, user):
    credentials(world, ribbon, user)
    server(world, ribbon)
    began = time.monotonic()
    ribbon.make(entry_path(TABLE, 1), AOR=f"sip:{user}", AorTtl="600", URI1="one", TTL1="300", Q1="50", URI2="sip:two@ignored",
                TTL2="0", Q2="100", URI3="three", TTL3="120", Q3="5")
    seen = wait_state(ribbon, 1)
    held = bindings(world, user)
    assert {name: float(q) for name, (q, _) in held.items()} == {"one": 0.5, "two": 1.0, "three": 0.05}
    for name, lifetime in (("one", 300), ("two", 600), ("three", 120)):
        assert lifetime - (time.monotonic() - began) - 2 <= held[name][1] <= lifetime
    assert seen["rt_StatusCode"] == "200" and seen["rt_Node"] == "registrant-1" and seen["rt_Server"] == "2:1"
    assert seen["rt_Target"] == f"udp:{world.kamailio.address}"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", seen["rt_ExpiresAt"])

    ribbon.post(entry_path(TABLE, 1), URI3="", TTL1="200")
    wait_for(lambda: set(bindings(world, user)) == {"one", "two"} and bindings(world, user)["one"][1] <= 200, 20,
             "the changed bindings", every=0.1)
    ribbon.delete(entry_path(TABLE, 1))
    wait_for(lambda: not bindings(world, user), 20, "the bindings to go", every=0.1)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_aor_types(world, ribbon, user, kind):
    credentials(world, ribbon, user)
    server(world, ribbon)
    ribbon.make(entry_path(TABLE, 1), AorType=kind, AOR=f"sip:{user}" + ("@127.0.0.1" if kind == 3 else ""))
    wait_state(ribbon, 1)
    assert set(bindings(world, user)) == {user}
    ribbon.delete(entry_path(TABLE, 1))
    wait_for(lambda: not bindings(world, user), 20, "the binding to go", every=0.1)


def test_wrong_credentials_are_seen_and_right_ones_help(world, ribbon, user):
    credentials(world, ribbon, user, password="wrong")
    server(world, ribbon, RetryNonStaleNonce="0")
    ribbon.make(entry_path(TABLE, 1), AOR=f"sip:{user}")
    wait_for(lambda: runtime(ribbon, 1).get("rt_StatusCode") == "401", 20, "the refusal", every=0.1)
    assert runtime(ribbon, 1)["rt_State"] != "registered" and not bindings(world, user)
    ribbon.post(credential_path(CREDENTIAL_TABLE, 1), EncryptedPassword=world.stack.sip_password)
    wait_state(ribbon, 1)
    assert bindings(world, user)


def test_a_changed_server_row_moves_the_binding(world, ribbon, user):
    """From the scriptable registrar to Kamailio, whose passwords differ."""
    credentials(world, ribbon, user, password=world.registrar_password)
    server(world, ribbon, Port=world.registrar.port)
    ribbon.make(entry_path(TABLE, 1), AOR=f"sip:{user}", AorTtl="300")
    wait_state(ribbon, 1)
    ribbon.post(credential_path(CREDENTIAL_TABLE, 1), EncryptedPassword=world.stack.sip_password)
    ribbon.post(server_path(SERVER_TABLE, 1), Port=world.kamailio.port)
    wait_for(lambda: bindings(world, user), 30, "the binding at Kamailio", every=0.1)
    wait_for(lambda: runtime(ribbon, 1).get("rt_Target") == f"udp:{world.kamailio.address}" and
             runtime(ribbon, 1)["rt_State"] == "registered", 30, "the new target", every=0.1)


def test_all_entries_of_a_table_at_two_rows(world, ribbon, user):
    names = [f"{user}x{i}" for i in range(4)]
    ribbon.make(credential_path(CREDENTIAL_TABLE, 1), User="any", EncryptedPassword="unused")
    for i, name in enumerate(names, 1):
        ribbon.make(credential_path(CREDENTIAL_TABLE, 1 + i), User=name, EncryptedPassword=world.stack.sip_password)
        ribbon.make(entry_path(TABLE, i), AorType="2", AOR=name, AorTtl="120")
    server(world, ribbon)
    for name in names:
        wait_for(lambda name=name: set(bindings(world, name)) == {name}, 20, f"the binding of {name}", every=0.1)
    server(world, ribbon, 2, Protocol="2")
    wait_for(lambda: all(i["rt_Registrations"] == "2" for i in ribbon.get(path(CONTACT, TABLE, ENTRY), "?filter=runtime").items),
             20, "two registrations of each", every=0.1)
    for i in range(1, 5):
        wait_for(lambda i=i: [runtime(ribbon, i).get(f"rt_State{k}") for k in (1, 2)] == ["registered"] * 2, 20,
                 "both to be registered", every=0.1)
    assert ribbon.delete(path(SERVERS, SERVER_TABLE)).done
    for name in names:
        wait_for(lambda name=name: not bindings(world, name), 30, f"the binding of {name} to go", every=0.1)


def test_one_registration_seen_from_two_dialects(world, ribbon, user):
    credentials(world, ribbon, user)
    server(world, ribbon)
    ribbon.make(entry_path(TABLE, 1), AOR=f"sip:{user}", AorTtl="300", URI1=user, TTL1="0")
    id = wait_state(ribbon, 1)["rt_Registration"]
    assert world.api.wait_state(id, "registered")["node"] == "registrant-1"
    world.api.update(id, contact=f"sip:{user}-moved@127.0.0.1:5099")
    wait_for(lambda: set(bindings(world, user)) == {f"{user}-moved"}, 20, "the contact of the other dialect", every=0.1)
    assert ribbon.get(entry_path(TABLE, 1)).item["URI1"] == f"sip:{user}-moved@127.0.0.1:5099"
    world.api.delete(id)
    assert ribbon.get(entry_path(TABLE, 1)).error == (404, 20012, f"{TABLE}:1|{ENTRY}")
    wait_for(lambda: not bindings(world, user), 20, "the binding to go", every=0.1)

    other = world.api.create(**world.at_kamailio(user))
    wait_for(lambda: ribbon.get(entry_path(65535, other), "?filter=runtime").item["rt_State"] == "registered", 20,
             "its status here", every=0.1)
    assert ribbon.delete(entry_path(65535, other)).done
    wait_for(lambda: not bindings(world, user), 20, "the binding to go", every=0.1)
