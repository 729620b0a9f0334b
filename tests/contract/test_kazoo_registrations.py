"""Contract kazoo 5, 7 and 8: entries of live bindings, counts, what a flush does; and the seed document's requests."""
import threading
import time

import pytest

from kazoo_client import (CHILD, CHILD_KEY, GREGORIAN, MASTER_KEY, PARENT, STRANGER_KEY, Kazoo, add_principals, bind, create_bound,
                          forget_all, log_in, now_ms, yeti_user)
from stack import wait_for

PRINCIPALS = add_principals
COLLECTION = f"/accounts/{PARENT}/registrations"
SEED_FIELDS = {"account_name": str, "account_realm": str, "authorizing_id": str, "authorizing_type": str, "call_id": str, "contact": str,
               "contact_ip": str, "contact_port": int, "event_timestamp": int, "expires": int, "from_host": str, "from_user": str,
               "network_ip": str, "network_port": str, "original_contact": str, "owner_id": str, "proxy_ip": str, "proxy_port": int,
               "realm": str, "suppress_unregister_notify": bool, "to_host": str, "to_user": str, "user_agent": str, "username": str}


@pytest.fixture(scope="module")
def kazoo(world):
    return log_in(world)


@pytest.fixture(autouse=True)
def empty(world):
    """Every test begins with accounts that have nothing."""
    for account in ("parent", "child"):
        forget_all(world, account)


def flushes(world, id):
    return int(world.redis.hget(world.key(id), "flush_seq") or 0)


def entry_of(kazoo):
    entries = kazoo.get(COLLECTION).data
    assert len(entries) == 1
    return entries[0]


# ---- the seed document

def test_seed_fetch_account_registrations(world, kazoo):
    """The seed's GET /v2/accounts/{ACCOUNT_ID}/registrations: its envelope, and every field of its entry."""
    create_bound(world, "parent", username="u1")
    answer = kazoo.get(COLLECTION)
    assert {"auth_token", "data", "request_id", "revision", "status"} <= set(answer.json)
    assert isinstance(answer.json["revision"], str) and answer.json["status"] == "success"
    assert answer.json["auth_token"] == kazoo.token
    entry = answer.data[0]
    assert {k: type(entry.get(k)) for k in SEED_FIELDS} == SEED_FIELDS


def test_seed_fetch_account_registration_count(world, kazoo):
    """The seed's GET …/registrations/count."""
    for i in range(4):
        create_bound(world, "parent", username=f"u{i}")
    answer = kazoo.get(COLLECTION + "/count")
    assert answer.data == {"count": 4}
    assert {"auth_token", "request_id", "revision", "status"} <= set(answer.json)


def test_seed_flush_account(world, kazoo):
    """The seed's DELETE …/registrations: 200 with "ok", never 204."""
    answer = kazoo.delete(COLLECTION)
    assert answer.status == 200 and answer.data == "ok"
    assert {"auth_token", "request_id", "revision", "status"} <= set(answer.json)


def test_seed_flush_device(world, kazoo):
    """The seed's DELETE …/registrations/{USERNAME}."""
    create_bound(world, "parent", username="u1")
    answer = kazoo.delete(COLLECTION + "/u1")
    assert answer.status == 200 and answer.data == "ok"
    assert {"auth_token", "request_id", "revision", "status"} <= set(answer.json)


# ---- section 5: the entry

def test_an_account_without_bindings_has_an_empty_list(world, kazoo):
    """Section 5: [], still 200; a registration that is not bound is none."""
    yeti_user(world, "parent").create(username="idle")
    assert kazoo.get(COLLECTION).data == [] and kazoo.get(COLLECTION + "/count").data == {"count": 0}


def test_the_values_of_an_entry(world, kazoo):
    """Section 5, row by row."""
    id = yeti_user(world, "parent").create(username="u1", domain="sip.carrier.example:5070", auth_user="auth-u1",
                                           contact="<sip:u1@192.0.2.17:40112;transport=udp>")
    status = bind(world, "parent", id)
    last = status["bound"]["last_sent_ms"] // 1000 + GREGORIAN
    assert entry_of(kazoo) == {
        "account_name": "Parent Ltd", "account_realm": "parent.example.com", "authorizing_id": id, "authorizing_type": "device",
        "owner_id": PARENT, "call_id": "792957271@10.26.0.158", "contact": "sip:u1@192.0.2.17:40112;transport=udp",
        "original_contact": "<sip:u1@192.0.2.17:40112;transport=udp>", "contact_ip": "192.0.2.17", "contact_port": 40112,
        "event_timestamp": last, "last_registration": last,
        "initial_registration": status["since_ms"] // 1000 + GREGORIAN, "expires": 257, "first_registration": False,
        "to_user": "u1", "to_host": "sip.carrier.example", "from_user": "u1", "from_host": "sip.carrier.example",
        "network_ip": "192.0.2.17", "network_port": "40112", "proxy_ip": "192.0.2.80", "proxy_port": 5060, "proxy_protocol": "udp",
        "registrar_node": "registrant-a", "realm": "sip.carrier.example", "register_overwrite_notify": False,
        "suppress_unregister_notify": True, "user_agent": "Rollcall", "username": "u1"}


def test_what_the_report_does_not_say_is_left_out_or_undefined(world, kazoo):
    """Section 5: the published sample's literal text; null values vanish."""
    create_bound(world, "parent", {"target": "", "local": "", "node": ""}, username="u1")
    entry = entry_of(kazoo)
    assert (entry["network_ip"], entry["network_port"], entry["proxy_ip"]) == ("undefined",) * 3
    assert not {"proxy_port", "proxy_protocol", "registrar_node"} & set(entry)


@pytest.mark.parametrize("contact, ip, port", [
    ("sip:u@192.0.2.1", "192.0.2.1", 5060), ('"sip:" <sips:u@192.0.2.1>', "192.0.2.1", 5061),
    ("<sip:u@192.0.2.1;transport=TLS>", "192.0.2.1", 5061), ("<sip:u@[2001:db8::1]:5080>", "2001:db8::1", 5080),
    ('"Me" <sip:u@h.example:5070>', "h.example", 5070), ("<sip:192.0.2.1:5070;bnc>", "192.0.2.1", 5070),
    ('<sip:u@192.0.2.1>;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>";reg-id=1', "192.0.2.1", 5060)])
def test_the_contact_tells_address_and_port(world, kazoo, contact, ip, port):
    """Section 5: contact_ip, contact_port with its defaults."""
    create_bound(world, "parent", username="u", contact=contact)
    entry = entry_of(kazoo)
    assert (entry["contact_ip"], entry["contact_port"], entry["original_contact"]) == (ip, port, contact)
    assert "<" not in entry["contact"] and ">" not in entry["contact"]


def test_ipv6_addresses_are_told_apart_from_their_ports(world, kazoo):
    create_bound(world, "parent", {"target": "tls:[2001:db8::80]:5061", "local": "tls:[2001:db8::1]:40000"}, username="u")
    entry = entry_of(kazoo)
    assert [entry[k] for k in ("proxy_ip", "proxy_port", "proxy_protocol", "network_ip", "network_port")] == [
        "2001:db8::80", 5061, "tls", "2001:db8::1", "40000"]


def test_without_a_realm_of_its_own_the_accounts_is_the_domain(world):
    """Section 5: account_realm; the stranger's is given, the child's too: only one account gives none."""
    id = create_bound(world, "stranger", username="u1", domain="d.example:5070")
    entry = log_in(world, STRANGER_KEY).get("/account/registrations").data[0]
    assert entry["account_realm"] == "stranger.example.com" and entry["realm"] == "d.example"
    forget_all(world, "stranger")
    assert id


def test_a_binding_that_ran_out_is_no_entry(world, kazoo):
    """Section 5: the entry disappears when event_timestamp + expires has passed."""
    id = create_bound(world, "parent", username="u1")
    assert len(kazoo.get(COLLECTION).data) == 1
    bind(world, "parent", id, expires_at_ms=now_ms() - 1)
    assert kazoo.get(COLLECTION).data == [] and kazoo.get(COLLECTION + "/count").data == {"count": 0}


def test_a_deleted_registration_is_no_entry(world, kazoo):
    id = create_bound(world, "parent", username="u1")
    yeti_user(world, "parent").call("DELETE", f"/registrations/{id}")
    assert kazoo.get(COLLECTION).data == [] and kazoo.get(COLLECTION + "/count").data == {"count": 0}


def test_an_account_lists_its_own_and_not_its_descendants(world, kazoo):
    """Section 5: an entry matches by its account."""
    create_bound(world, "parent", username="p")
    create_bound(world, "child", username="c")
    names = lambda path: [e["username"] for e in kazoo.get(path).data]  # noqa: E731
    assert names(COLLECTION) == ["p"] and names(f"/accounts/{CHILD}/registrations") == ["c"]
    assert names("/account/registrations") == ["p"]


def test_the_system_lists_and_counts_all(world):
    """Section 1: /v2/registrations over all accounts of the principals file."""
    create_bound(world, "parent", username="p")
    create_bound(world, "child", username="c")
    master = log_in(world, MASTER_KEY)
    entries = master.get("/registrations").data
    assert sorted((e["username"], e["account_name"]) for e in entries) == [("c", "Child Ltd"), ("p", "Parent Ltd")]
    assert master.get("/registrations/count").data == {"count": 2}
    assert master.get("/account/registrations").data == []


def test_the_whole_list_comes_without_paging_and_streamed(world, kazoo):
    """Section 7: page_size and start_key have no effect; more than one chunk."""
    for i in range(100):
        create_bound(world, "parent", username=f"u{i}")
    answer = kazoo.get(COLLECTION + "?page_size=10&start_key=x&paginate=true")
    assert answer.headers.get("transfer-encoding") == "chunked", len(answer.body)
    assert sorted(e["username"] for e in answer.data) == sorted(f"u{i}" for i in range(100))
    assert not {"page_size", "start_key", "next_start_key"} & set(answer.json)
    again = kazoo.get(COLLECTION, headers={"X-Pretty-Print": "true"})
    assert again.json["data"] == answer.json["data"] and again.json["revision"] == answer.json["revision"]


def test_clients_that_leave_in_the_middle_leave_the_rest_alone(world, kazoo):
    for i in range(80):
        create_bound(world, "parent", username=f"u{i}")

    def leave():
        k = Kazoo(world, kazoo.token)
        k.connection.request("GET", "/v2" + COLLECTION, headers={"X-Auth-Token": kazoo.token})
        k.connection.close()
    threads = [threading.Thread(target=leave) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert kazoo.get(COLLECTION + "/count").data == {"count": 80}


# ---- section 8: flush

def test_a_flush_of_the_account_reaches_every_registration_and_no_other_account(world, kazoo):
    """Section 8: DELETE collection. Accepted as a job, done soon after; bound or not."""
    mine = [create_bound(world, "parent", username=f"u{i}") for i in range(3)] + [yeti_user(world, "parent").create(username="idle")]
    other = create_bound(world, "child", username="u0")
    before = {id: int(world.redis.hget(world.key(id), "revision")) for id in mine}
    assert kazoo.delete(COLLECTION).data == "ok"
    wait_for(lambda: all(flushes(world, id) == 1 for id in mine), 10, "the flush of each")
    assert all(int(world.redis.hget(world.key(id), "revision")) > before[id] for id in mine)
    assert flushes(world, other) == 0
    wait_for(lambda: not list(world.redis.scan_iter("rc:*:jobs")), 10, "the end of the job")


def test_a_flush_of_more_than_a_slice_reaches_all(world, kazoo):
    ids = [yeti_user(world, "parent").create(username=f"u{i}") for i in range(210)]
    assert kazoo.delete(COLLECTION).data == "ok"
    wait_for(lambda: all(flushes(world, id) == 1 for id in ids), 20, "the flush of each")
    wait_for(lambda: not list(world.redis.scan_iter("rc:*:job:*")), 10, "the end of the job")
    assert all(flushes(world, id) == 1 for id in ids)


def test_a_flush_is_done_once_although_one_cannot_be_read(world, kazoo):
    """Not again and again for all others, because of one whose specification Redis has damaged."""
    ids = [yeti_user(world, "parent").create(username=f"u{i}") for i in range(3)]
    spec = world.redis.hget(world.key(ids[1]), "spec")
    world.redis.hset(world.key(ids[1]), "spec", "nonsense")
    assert kazoo.delete(COLLECTION).data == "ok"
    wait_for(lambda: all(flushes(world, id) for id in ids), 10, "the flush of each")
    wait_for(lambda: not list(world.redis.scan_iter("rc:*:job:*")), 10, "the end of the job")
    world.redis.hset(world.key(ids[1]), "spec", spec)
    assert [flushes(world, id) for id in ids] == [1, 1, 1]


def test_a_flush_of_a_user_name_reaches_all_who_have_it(world, kazoo):
    """Section 8: DELETE username; at two domains it is flushed at both."""
    two = [create_bound(world, "parent", username="u1", domain=f"d{i}.example") for i in range(2)]
    other = create_bound(world, "parent", username="u2")
    elsewhere = create_bound(world, "child", username="u1")
    assert kazoo.delete(COLLECTION + "/u1").data == "ok"
    assert [flushes(world, id) for id in two] == [1, 1]
    assert flushes(world, other) == flushes(world, elsewhere) == 0


def test_a_user_name_is_known_in_any_case(world, kazoo):
    """Section 6: lower-cased; one spelled as asked is preferred."""
    id = create_bound(world, "parent", username="Alice")
    assert kazoo.delete(COLLECTION + "/aLICE").data == "ok"
    assert flushes(world, id) == 1
    exact = create_bound(world, "parent", username="alice", domain="other.example")
    assert kazoo.delete(COLLECTION + "/alice").data == "ok"
    assert (flushes(world, id), flushes(world, exact)) == (1, 1)


def test_a_known_user_name_need_not_be_registered(world, kazoo):
    """Section 6: flushing a known but unregistered username is 200."""
    id = yeti_user(world, "parent").create(username="idle")
    assert kazoo.delete(COLLECTION + "/idle").data == "ok"
    assert flushes(world, id) == 1


def test_a_user_name_is_decoded(world, kazoo):
    id = create_bound(world, "parent", username="+49 30/1")
    assert kazoo.delete(COLLECTION + "/%2B49%2030%2F1").data == "ok"
    assert flushes(world, id) == 1


def test_a_user_name_of_another_account_is_unknown(world, kazoo):
    """Section 6: unknown SIP username."""
    create_bound(world, "child", username="c")
    assert kazoo.delete(COLLECTION + "/c").error == (404, "bad identifier", ["c"])
    assert log_in(world, CHILD_KEY).delete("/account/registrations/c").data == "ok"


def test_a_flush_does_not_wait(world, kazoo):
    """Section 8: fire and forget."""
    create_bound(world, "parent", username="u1")
    before = time.monotonic()
    assert kazoo.delete(COLLECTION).data == "ok" and time.monotonic() - before < 2
