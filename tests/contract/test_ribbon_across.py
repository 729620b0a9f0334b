"""One registration seen from everywhere: what another dialect does to what entries made, and what it made itself."""
import socket
import threading

import pytest
from ribbon_client import CONTACT, ENTRY, SERVERS, connect, entry_path, path, server_path
from stack import wait_for

VIRTUAL = 65535


@pytest.fixture
def ribbon(world):
    client = connect(world)
    client.make(path(CONTACT, 3), Description="contacts")
    client.make(path(SERVERS, 2), Description="servers")
    client.make(server_path(2, 1), Host="192.0.2.1", ContactRegistrantTableID="3")
    return client


def registrations(client, query=""):
    return {r["attributes"]["name"]: r["id"] for r in client.yeti.get("/registrations" + query).json["data"]}


def change(client, id, **attributes):
    answer = client.yeti.patch(id, {k.replace("_", "-"): v for k, v in attributes.items()})
    assert answer.status == 200, answer.body


def entry(client, e=1, **fields):
    client.make(entry_path(3, e), **{"AOR": "sip:4001", "URI1": "4001", **fields})
    return registrations(client)[f"ribbon:3:{e}@2:1"]


def show(client, e=1):
    return client.get(entry_path(3, e)).item.values


# ---- changes of what an entry made

def test_what_an_entry_made_is_listed_elsewhere_at_once(ribbon):
    id = entry(ribbon, AorTtl="120")
    attributes = ribbon.yeti.read(id)
    assert attributes["username"] == "4001" and attributes["expire"] == 120 and attributes["domain"] == "192.0.2.1"


@pytest.mark.parametrize("attributes,fields", [
    ({"expire": 777}, {"AorTtl": "777"}),
    ({"retry_delay": 5}, {"FailedRegistrationRetryTimer": "5"}),
    ({"contact": "sip:bob@192.0.2.7:5070"}, {"URI1": "sip:bob@192.0.2.7:5070"}),
    ({"contact": "sip:bob@{local}"}, {"URI1": "sip:bob@{local}"})])
def test_a_change_elsewhere_is_seen_here(ribbon, attributes, fields):
    id = entry(ribbon)
    before = show(ribbon)
    change(ribbon, id, **attributes)
    assert show(ribbon) == {**before, **fields}
    [item] = ribbon.get(path(CONTACT, 3, ENTRY), "?details=true").items
    assert item.values == show(ribbon)


def test_a_change_of_the_user_elsewhere_is_seen_here(ribbon):
    id = entry(ribbon, AorType="2")
    change(ribbon, id, username="4099")
    assert show(ribbon)["AOR"] == "sip:4099" and show(ribbon)["AorType"] == "2"


@pytest.mark.parametrize("attributes", [{"expire": 777}, {"contact": "<sip:bob@192.0.2.7:5070;transport=tcp>;x=y"},
                                        {"retry_delay": 5}])
def test_a_post_of_a_subset_loses_nothing_of_it(ribbon, attributes):
    id = entry(ribbon)
    change(ribbon, id, **attributes)
    before = show(ribbon)
    ribbon.post(entry_path(3, 1), Q2="50")
    assert show(ribbon) == {**before, "Q2": "50"}
    kept = ribbon.yeti.read(id)
    for name, value in attributes.items():
        assert kept[name.replace("_", "-")] == value


def test_a_post_of_all_that_was_read_loses_nothing_of_it(ribbon):
    id = entry(ribbon)
    change(ribbon, id, contact="<sip:bob@192.0.2.7:5070;transport=tcp>;x=y", retry_delay=5)
    before = show(ribbon)
    assert ribbon.post(entry_path(3, 1), **before).item.values == before
    assert ribbon.yeti.read(id)["contact"] == "<sip:bob@192.0.2.7:5070;transport=tcp>;x=y"


def test_a_new_ttl_of_a_contact_that_was_written_elsewhere_keeps_the_contact(ribbon):
    id = entry(ribbon)
    change(ribbon, id, contact="sip:bob@192.0.2.7:5070")
    ribbon.post(entry_path(3, 1), TTL1="90")
    assert ribbon.yeti.read(id)["contact"] == "sip:bob@192.0.2.7:5070"
    assert show(ribbon)["TTL1"] == "90"
    ribbon.post(entry_path(3, 1), URI1="alice")
    assert ribbon.yeti.read(id)["contact"] == "sip:alice@{local}"


def test_a_change_of_the_server_does_not_undo_a_change_elsewhere(ribbon):
    id = entry(ribbon)
    change(ribbon, id, expire=777, contact="sip:bob@192.0.2.7:5070", display_username="Bob")
    ribbon.post(server_path(2, 1), Protocol="2")
    kept = ribbon.yeti.read(id)
    assert (kept["expire"], kept["contact"], kept["display-username"]) == (777, "sip:bob@192.0.2.7:5070", "Bob")
    assert show(ribbon)["AorTtl"] == "777"


def test_a_rename_elsewhere_is_no_loss(ribbon):
    id = entry(ribbon)
    change(ribbon, id, name="renamed")
    ribbon.post(entry_path(3, 1), AorTtl="90")
    assert registrations(ribbon) == {"renamed": id}
    assert ribbon.yeti.read(id)["expire"] == 90


def test_disabling_elsewhere_stays(ribbon):
    id = entry(ribbon)
    change(ribbon, id, enabled=False)
    ribbon.post(entry_path(3, 1), AorTtl="90")
    assert ribbon.yeti.read(id)["enabled"] is False


def test_of_several_server_rows_the_first_is_shown(ribbon):
    ribbon.make(server_path(2, 2), Host="192.0.2.2", ContactRegistrantTableID="3")
    entry(ribbon)
    ids = registrations(ribbon)
    change(ribbon, ids["ribbon:3:1@2:2"], expire=222)
    assert show(ribbon)["AorTtl"] == "3600"
    change(ribbon, ids["ribbon:3:1@2:1"], expire=111)
    assert show(ribbon)["AorTtl"] == "111"
    [item] = ribbon.get(path(CONTACT, 3, ENTRY), "?details=true").items
    assert item["AorTtl"] == "111"


# ---- deletions of what an entry made

def test_an_entry_all_of_whose_registrations_were_deleted_elsewhere_is_gone(world, ribbon):
    id = entry(ribbon)
    entry(ribbon, 2, AOR="sip:4002")
    assert ribbon.yeti.call("DELETE", f"/registrations/{id}").status == 204
    assert [i for i, _ in ribbon.get(path(CONTACT, 3, ENTRY)).links] == ["3:2"]
    assert [i.id for i in ribbon.get(path(CONTACT, 3, ENTRY), "?details=true").items] == ["3:2"]
    assert ribbon.get(entry_path(3, 1)).error == (404, 20012, f"3:1|{ENTRY}")
    [key] = world.redis.keys(f"rc:*:acct:{ribbon.account}:obj:ribbon-{ENTRY}-3")
    assert not world.redis.hexists(key, "1")
    assert ribbon.post(entry_path(3, 1), AorTtl="60").app == 20012
    assert ribbon.delete(entry_path(3, 1)).app == 20012


def test_a_gone_entry_can_be_created_again(ribbon):
    id = entry(ribbon)
    ribbon.yeti.call("DELETE", f"/registrations/{id}")
    again = entry(ribbon, AOR="sip:4009")
    assert again != id and show(ribbon)["AOR"] == "sip:4009"
    assert list(registrations(ribbon)) == ["ribbon:3:1@2:1"]


def test_a_gone_entry_does_not_come_back_with_its_server(ribbon):
    id = entry(ribbon)
    ribbon.yeti.call("DELETE", f"/registrations/{id}")
    ribbon.post(server_path(2, 1), Port="5099")
    assert registrations(ribbon) == {} and ribbon.get(path(CONTACT, 3, ENTRY)).links == []


def test_one_of_two_deleted_elsewhere_stays_deleted(ribbon):
    ribbon.make(server_path(2, 2), Host="192.0.2.2", ContactRegistrantTableID="3")
    entry(ribbon)
    ribbon.yeti.call("DELETE", f"/registrations/{registrations(ribbon)['ribbon:3:1@2:1']}")
    ribbon.post(entry_path(3, 1), AorTtl="90")
    assert list(registrations(ribbon)) == ["ribbon:3:1@2:2"]
    assert show(ribbon)["AorTtl"] == "90"


def test_a_row_that_left_and_came_back_makes_its_registrations_again(ribbon):
    entry(ribbon)
    for _ in range(3):
        ribbon.post(server_path(2, 1), ContactRegistrantTableID="0")
        assert registrations(ribbon) == {}
        ribbon.post(server_path(2, 1), ContactRegistrantTableID="3")
        assert list(registrations(ribbon)) == ["ribbon:3:1@2:1"]


def test_an_entry_is_there_all_the_while_its_row_comes_and_goes(world, ribbon):
    entry(ribbon)
    reader = connect(world, ribbon.number)
    stop, missing = threading.Event(), []

    def read():
        while not stop.is_set():
            answers = reader.get(entry_path(3, 1)), reader.get(path(CONTACT, 3, ENTRY))
            if answers[0].http_code != 200 or len(answers[1].links) != 1:
                missing.append(answers[0].text + answers[1].text)

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(60):
        ribbon.post(server_path(2, 1), ContactRegistrantTableID="0")
        ribbon.post(server_path(2, 1), ContactRegistrantTableID="3")
    stop.set()
    thread.join()
    assert not missing, missing[0]


def test_what_was_deleted_elsewhere_does_not_come_back_from_what_somebody_had_read_before(world, ribbon):
    writer = connect(world, ribbon.number)
    stop = threading.Event()
    before = {f"ribbon:3:{e}@2:1" for e in range(1, 61)}  # are looked at first
    for e in range(1, 61):
        ribbon.make(entry_path(3, e), AOR=f"sip:{e}", URI1=str(e))

    def write():
        while not stop.is_set():
            writer.post(server_path(2, 1), Port="5099")
            writer.post(server_path(2, 1), Port="5060")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for e in range(61, 121):
            ribbon.make(entry_path(3, e), AOR=f"sip:{e}", URI1=str(e))
            name = f"ribbon:3:{e}@2:1"
            wait_for(lambda name=name: name in registrations(ribbon, "?page[size]=1000"), 10, f"{name} to be made", every=0)
            id = registrations(ribbon, "?page[size]=1000")[name]
            assert ribbon.yeti.call("DELETE", f"/registrations/{id}").status == 204
    finally:
        stop.set()
        thread.join()
    wait_for(lambda: not world.redis.keys("rc:*:jobs"), 30, "the jobs to be done")
    assert set(registrations(ribbon, "?page[size]=1000")) == before


# ---- what other dialects made: the virtual table

@pytest.fixture
def foreign(ribbon):
    return ribbon.yeti.create(username="alice", domain="example.com", contact="sip:alice@192.0.2.9", expire=900,
                              retry_delay=7)


def test_virtual_table_is_not_listed_and_can_be_read(ribbon, foreign):
    assert [i for i, _ in ribbon.get(path(CONTACT)).links] == ["3"]
    item = ribbon.get(path(CONTACT, VIRTUAL)).item
    assert item.id == str(VIRTUAL) and item.order == ["Description"]


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_virtual_table_is_not_written(ribbon, method):
    assert ribbon.call(method, path(CONTACT, VIRTUAL), {"Description": "d"}).error == (400, 20034, "")


def test_virtual_entries_are_registrations_of_others(ribbon, foreign):
    entry(ribbon)
    answer = ribbon.get(path(CONTACT, VIRTUAL, ENTRY))
    assert [i for i, _ in answer.links] == [f"{VIRTUAL}:{foreign}"]
    item = ribbon.get(entry_path(VIRTUAL, foreign)).item
    assert item.id == f"{VIRTUAL}:{foreign}" and len(item.order) == 28
    assert (item["AorType"], item["AOR"], item["AorTtl"], item["FailedRegistrationRetryTimer"], item["URI1"]) == (
        "3", "sip:alice@example.com", "900", "7", "sip:alice@192.0.2.9")
    [listed] = ribbon.get(path(CONTACT, VIRTUAL, ENTRY), "?details=true").items
    assert listed.values == item.values
    assert ribbon.get(entry_path(VIRTUAL, foreign), "?filter=runtime").item["rt_State"] == "pending"


def test_virtual_table_does_not_show_what_entries_made(ribbon):
    id = entry(ribbon)
    for method in ("GET", "POST", "DELETE"):
        answer = ribbon.call(method, entry_path(VIRTUAL, id), {"AorTtl": "60"})
        assert answer.app == 20012 and answer.params == f"{VIRTUAL}:{id}|{ENTRY}"


@pytest.mark.parametrize("fields,attributes", [
    ({"AorTtl": "60"}, {"expire": 60}),
    ({"FailedRegistrationRetryTimer": "30"}, {"retry-delay": 30}),
    ({"URI1": "bob", "TTL1": "0"}, {"contact": "sip:bob@{local}"}),
    ({"AOR": "sip:bob@example.com"}, {"username": "bob", "contact": "sip:alice@192.0.2.9"}),
    ({"TTL1": "90"}, {"contact": "sip:alice@192.0.2.9"})])
def test_virtual_entries_can_be_changed(ribbon, foreign, fields, attributes):
    before = ribbon.yeti.read(foreign)
    shown = ribbon.get(entry_path(VIRTUAL, foreign)).item.values
    item = ribbon.post(entry_path(VIRTUAL, foreign), **fields).item
    assert item.values.items() >= {k: v for k, v in fields.items() if k != "URI1"}.items()
    after = ribbon.yeti.read(foreign)
    assert after == {**before, **attributes}
    assert ribbon.post(entry_path(VIRTUAL, foreign), **item.values).item.values == item.values
    assert {k for k in shown if shown[k] != item[k]} <= set(fields)


@pytest.mark.parametrize("fields", [{"AOR": "sip:bob"}, {"AOR": "x:y"}, {"AorTtl": "0"}, {"URI1": "sip:@"}, {"Q1": "101"},
                                    {"FailedRegistrationRetryTimer": "29"}])
def test_virtual_entries_refuse_what_entries_refuse(ribbon, foreign, fields):
    assert ribbon.post(entry_path(VIRTUAL, foreign), **fields).error == (500, 20038, f"{ENTRY}|{VIRTUAL}:{foreign}")


def test_virtual_entries_can_be_deleted_and_not_made(ribbon, foreign):
    assert ribbon.put(entry_path(VIRTUAL, 5), AOR="sip:a@b").error == (400, 20034, "")
    assert ribbon.delete(entry_path(VIRTUAL, foreign)).done
    assert ribbon.yeti.get(f"/registrations/{foreign}").status == 404
    assert ribbon.get(entry_path(VIRTUAL, foreign)).app == 20012
    assert ribbon.get(path(CONTACT, VIRTUAL, ENTRY)).links == []


def test_virtual_table_streams_many(ribbon):
    for _ in range(250):
        ribbon.yeti.create()
    assert len(ribbon.get(path(CONTACT, VIRTUAL, ENTRY)).links) == 250
    items = ribbon.get(path(CONTACT, VIRTUAL, ENTRY), "?details=true").items
    assert len(items) == 250 and len({i.id for i in items}) == 250
    for _ in range(5):  # clients that leave in the middle of it
        s = socket.create_connection(("127.0.0.1", ribbon.port))
        s.sendall(f"GET /rest{path(CONTACT, VIRTUAL, ENTRY)}?details=true HTTP/1.1\r\nHost: h\r\n"
                  f"Cookie: PHPSESSID={ribbon.session}\r\n\r\n".encode())
        assert s.recv(100)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        s.close()
    assert len(ribbon.get(path(CONTACT, VIRTUAL, ENTRY)).links) == 250


def test_virtual_table_of_other_accounts_is_theirs(world, ribbon, foreign):
    other = connect(world)
    assert other.get(path(CONTACT, VIRTUAL, ENTRY)).links == []
    for method in ("GET", "POST", "DELETE"):
        assert other.call(method, entry_path(VIRTUAL, foreign), {"AorTtl": "60"}).app == 20012


def test_run_time_fields_of_several_server_rows(ribbon):
    ribbon.make(server_path(2, 2), Host="192.0.2.2", ContactRegistrantTableID="3")
    entry(ribbon)
    item = ribbon.get(entry_path(3, 1), "?filter=runtime").item
    assert item["rt_Registrations"] == "2"
    assert (item["rt_Server"], item["rt_Server1"], item["rt_Server2"]) == ("2:1", "2:1", "2:2")
    assert item["rt_State"] == item["rt_State1"] == item["rt_State2"] == "pending"
    ids = registrations(ribbon)
    assert item["rt_Registration2"] == ids["ribbon:3:1@2:2"]
    wait_for(lambda: ribbon.get(path(CONTACT, 3, ENTRY), "?filter=runtime").items[0].values == item.values, 5, "the list")
