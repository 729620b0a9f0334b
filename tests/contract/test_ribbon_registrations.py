"""Contract ribbon 6: entries × server rows as registrations, each row of 6.2 to 6.5, and in step as either changes."""
import json
import re

import pytest
from ribbon_client import CONTACT, CREDENTIALS, ENTRY, MASK, SERVERS, connect, credential_path, entry_path, path, server_path
from stack import wait_for


@pytest.fixture
def ribbon(world):
    client = connect(world)
    client.make(path(CONTACT, 3), Description="contacts")
    client.make(path(SERVERS, 2), Description="servers")
    client.make(path(CREDENTIALS, 4), Description="credentials")
    client.specs = lambda: specs(world, client)
    return client


def specs(world, client):
    """All registrations of the account by name, as Redis holds them."""
    found = {}
    for key in world.redis.scan_iter(f"rc:*:acct:{client.account}:ids"):
        shard = key.split(":")[1]
        for id in world.redis.zrange(key, 0, -1):
            spec = json.loads(world.redis.hget(f"rc:{shard}:reg:{id}", "spec"))
            found[spec["name"]] = spec
    return found


def server(client, row=1, **fields):
    return client.make(server_path(2, row), **{"Host": "192.0.2.1", "ContactRegistrantTableID": "3", **fields})


def only(client):
    [spec] = client.specs().values()
    return spec


def derive(client, entry=None, row=None):
    """The one registration of one entry at one server row."""
    server(client, **(row or {}))
    client.make(entry_path(3, 1), **{"AOR": "sip:4001", **(entry or {})})
    return only(client)


# ---- 6.1 the graph

def test_6_1_an_entry_alone_is_dormant(ribbon):
    ribbon.make(entry_path(3, 1), AOR="sip:4001")
    assert ribbon.specs() == {}
    assert ribbon.get(entry_path(3, 1), "?filter=runtime").item.values == {"rt_Registrations": "0"}


def test_6_1_every_entry_at_every_server_row_that_names_its_table(ribbon):
    ribbon.make(path(CONTACT, 5), Description="other")
    ribbon.make(path(SERVERS, 9), Description="other")
    for e in (1, 2):
        ribbon.make(entry_path(3, e), AOR=f"sip:u{e}")
    ribbon.make(entry_path(5, 1), AOR="sip:other")
    server(ribbon, 1)
    server(ribbon, 2, ContactRegistrantTableID="0")
    ribbon.make(server_path(9, 7), Host="192.0.2.9", ContactRegistrantTableID="3")
    assert sorted(ribbon.specs()) == ["ribbon:3:1@2:1", "ribbon:3:1@9:7", "ribbon:3:2@2:1", "ribbon:3:2@9:7"]


def test_6_1_order_of_creation_does_not_matter(ribbon):
    ribbon.make(entry_path(3, 1), AOR="sip:4001")
    server(ribbon)
    assert list(ribbon.specs()) == ["ribbon:3:1@2:1"]


# ---- 6.2 AorType

@pytest.mark.parametrize("kind,aor,row,wanted", [
    (1, "sip:4001", {}, ("4001", "sip:4001@{local}", "sip")),
    (1, "4001", {}, ("4001", "sip:4001@{local}", "sip")),
    (1, "sips:4001", {}, ("4001", "sips:4001@{local}", "sips")),
    (1, "Main Office", {}, ("Main Office", "sip:Main%20Office@{local}", "sip")),
    (1, "sip:a%20b", {}, ("a b", "sip:a%20b@{local}", "sip")),
    (1, "sip:4001@ignored", {}, ("4001", "sip:4001@{local}", "sip")),
    (2, "sip:4001", {}, ("4001", None, "sip")),
    (2, "sip:4001", {"DomainName": "example.com"}, ("4001", None, "sip")),
    (3, "sip:4001@example.com", {}, ("4001", "sip:4001@example.com", "sip")),
    (3, "sip:4001@example.com:5070", {}, ("4001", "sip:4001@example.com:5070", "sip")),
    (3, "sip:4001@Example.com", {"DomainName": "example.com"}, ("4001", None, "sip")),
    (3, "4001@example.com", {}, ("4001", "sip:4001@example.com", "sip"))])
def test_6_2_aor(ribbon, kind, aor, row, wanted):
    spec = derive(ribbon, {"AorType": kind, "AOR": aor}, row)
    assert (spec["username"], spec.get("aor"), spec["scheme"]) == wanted
    assert spec["domain"] == row.get("DomainName", "192.0.2.1")


def test_6_2_type_0_is_stored_and_not_registered(ribbon):
    server(ribbon)
    assert ribbon.make(entry_path(3, 1), AOR="sip:4001", AorType="0")["AorType"] == "0"
    assert ribbon.specs() == {}
    ribbon.post(entry_path(3, 1), AorType="1")
    assert len(ribbon.specs()) == 1
    ribbon.post(entry_path(3, 1), AorType="0")
    assert ribbon.specs() == {}
    assert ribbon.get(entry_path(3, 1)).item["AorType"] == "0"
    ribbon.post(entry_path(3, 1), AorType="2")
    assert len(ribbon.specs()) == 1


# ---- 6.3 contacts, expiry, q

def test_6_3_no_uri_is_the_user_of_the_aor(ribbon):
    assert derive(ribbon)["contacts"] == [{"uri": "sip:4001@{local}"}]


@pytest.mark.parametrize("uri,contact", [
    ("4001", "sip:4001@{local}"), ("sip:4001", "sip:4001@{local}"), ("sip:4001@192.0.2.77:5080", "sip:4001@{local}"),
    ("<sip:4001@h>", "sip:4001@{local}"), ("a,b;c?d", "<sip:a,b;c?d@{local}>"), ("a b", "sip:a%20b@{local}"), ("sip:a%20b@h", "sip:a%20b@{local}")])
def test_6_3_contact_user_and_host(ribbon, uri, contact):
    assert derive(ribbon, {"URI1": uri, "TTL1": "0"})["contacts"] == [{"uri": contact, "q": "1.0"}]


@pytest.mark.parametrize("q,text", [(100, "1.0"), (50, "0.5"), (5, "0.05"), (33, "0.33"), (0, "0.0"), (90, "0.9")])
def test_6_3_q(ribbon, q, text):
    assert derive(ribbon, {"URI1": "a", "Q1": q})["contacts"][0]["q"] == text


@pytest.mark.parametrize("ttl,expires", [({"TTL1": "0"}, None), ({}, 64), ({"TTL1": "300"}, 300)])
def test_6_3_ttl_and_aor_ttl(ribbon, ttl, expires):
    spec = derive(ribbon, {"URI1": "a", "AorTtl": "900", **ttl})
    assert spec["contacts"][0].get("expires") == expires and spec["expires"] == 900


def test_6_3_eight_contacts_in_one_registration(ribbon):
    fields = {f"{p}{n}": v for n in range(1, 9) for p, v in (("URI", f"u{n}"), ("Q", 10 * n), ("TTL", 100 * n))}
    contacts = derive(ribbon, fields)["contacts"]
    assert [(c["uri"], c["q"], c["expires"]) for c in contacts] == [
        (f"sip:u{n}@{{local}}", f"0.{n}", 100 * n) for n in range(1, 9)]


def test_6_3_unused_slots_and_a_contact_twice(ribbon):
    contacts = derive(ribbon, {"URI2": "a", "URI5": "b", "URI7": "sip:a@h", "Q7": "1"})["contacts"]
    assert [(c["uri"], c["q"]) for c in contacts] == [("sip:a@{local}", "1.0"), ("sip:b@{local}", "1.0")]


def test_6_3_after_a_failure_a_fixed_delay(ribbon):
    spec = derive(ribbon, {"FailedRegistrationRetryTimer": "45"})
    assert (spec["retry_delay_s"], spec["retry_shape"]) == (45, "fixed")


# ---- 6.4 where to

@pytest.mark.parametrize("row,domain,registrar,transport", [
    ({}, "192.0.2.1", "sip:192.0.2.1:5060", "udp"),
    ({"Port": "5070", "Protocol": "2"}, "192.0.2.1", "sip:192.0.2.1:5070", "tcp"),
    ({"Protocol": "4"}, "192.0.2.1", "sip:192.0.2.1:5060", "tls"),
    ({"DomainName": "example.com"}, "example.com", "sip:192.0.2.1:5060", "udp"),
    ({"Host": "2001:db8::1", "HostIpVersion": "1"}, "[2001:db8::1]", "sip:[2001:db8::1]:5060", "udp"),
    ({"Host": "sbc.example.com"}, "sbc.example.com", "sip:sbc.example.com:5060", "udp"),
    ({"ServerLookup": "1", "DomainName": "example.com"}, "example.com", "sip:example.com;transport=udp", "udp"),
    ({"ServerLookup": "1", "DomainName": "example.com", "Protocol": "2"}, "example.com", None, "tcp"),
    ({"ServerLookup": "1", "DomainName": "example.com", "Protocol": "4"}, "example.com", None, "tls")])
def test_6_4_target(ribbon, row, domain, registrar, transport):
    spec = derive(ribbon, row=row)
    assert (spec["domain"], spec.get("registrar"), spec["transport"]) == (domain, registrar, transport)


@pytest.mark.parametrize("field,value,quirks", [
    ("AuthorizationOnRefresh", "0", {"challenge_first": True, "non_stale": "retry"}),
    ("AuthorizationOnRefresh", "1", {"non_stale": "retry"}),
    ("RetryNonStaleNonce", "0", {"non_stale": "stop"}),
    ("StaggerRegistration", "1", {"non_stale": "retry", "stagger": True}),
    ("ClearRemoteRegistrationOnStartup", "1", {"non_stale": "retry", "clear_first": True})])
def test_6_4_quirks(ribbon, field, value, quirks):
    assert derive(ribbon, row={field: value})["quirks"] == quirks


def test_6_4_contact_uri_randomizer(ribbon):
    spec = derive(ribbon, {"URI1": "a", "URI2": "b"}, {"ContactURIRandomizer": "1"})
    found = [re.fullmatch(r"sip:(SBC[0-9a-f]{4})([ab])@\{local\}", c["uri"]).groups() for c in spec["contacts"]]
    assert [user for _, user in found] == ["a", "b"] and found[0][0] == found[1][0]
    ribbon.post(entry_path(3, 1), AorTtl="60")
    assert only(ribbon)["contacts"] == spec["contacts"], "it is stable"
    assert ribbon.get(entry_path(3, 1)).item["URI1"] == "a"
    ribbon.post(server_path(2, 1), ContactURIRandomizer="0")
    assert [c["uri"] for c in only(ribbon)["contacts"]] == ["sip:a@{local}", "sip:b@{local}"]
    ribbon.post(server_path(2, 1), ContactURIRandomizer="1")
    assert only(ribbon)["contacts"] == spec["contacts"]
    ribbon.post(entry_path(3, 1), URI1="", URI2="")
    assert re.fullmatch(r"sip:SBC[0-9a-f]{4}4001@\{local\}", only(ribbon)["contacts"][0]["uri"])


# ---- 6.5 credentials

def users(spec):
    return [(c.get("realm"), c["user"]) for c in spec.get("credentials", [])]


def credential(client, row, user, **fields):
    client.make(credential_path(4, row), User=user, EncryptedPassword="secret", **fields)


def test_6_5_rows_whose_user_is_the_aors(ribbon):
    credential(ribbon, 1, "4002")
    credential(ribbon, 2, "4001", Realm="example.com")
    credential(ribbon, 3, "4001")
    assert users(derive(ribbon, row={"RemoteAuthorizationTableID": "4"})) == [("example.com", "4001"), (None, "4001")]


def test_6_5_rows_whose_expression_matches(ribbon):
    credential(ribbon, 1, "trunk", FromURIUserMatch="1", MatchRegex="^40[0-9]+$")
    credential(ribbon, 2, "other", FromURIUserMatch="1", MatchRegex="^50")
    assert users(derive(ribbon, row={"RemoteAuthorizationTableID": "4"})) == [(None, "trunk")]


def test_6_5_an_expression_that_costs_too_much_matches_nothing(ribbon):
    credential(ribbon, 1, "evil", FromURIUserMatch="1", MatchRegex="^(a+)+$")
    credential(ribbon, 2, "good", FromURIUserMatch="1", MatchRegex="^a")
    entry = {"AOR": "sip:" + "a" * 60 + "b"}
    assert users(derive(ribbon, entry, {"RemoteAuthorizationTableID": "4"})) == [(None, "good")]


def test_6_5_of_many_expressions_the_first_hundred_are_tried(ribbon):
    for row in range(1, 102):
        credential(ribbon, row, f"u{row}", Realm="r", FromURIUserMatch="1", MatchRegex="^4001$" if row in (100, 101) else "^x")
    credential(ribbon, 102, "4001")
    found = users(derive(ribbon, row={"RemoteAuthorizationTableID": "4"}))
    assert found == [("r", "u100"), (None, "4001")]


def test_6_5_rows_after_one_of_any_realm_have_no_turn(ribbon):
    credential(ribbon, 1, "4001", Realm="r1")
    credential(ribbon, 2, "4001")
    credential(ribbon, 3, "4001", Realm="r3")
    assert users(derive(ribbon, row={"RemoteAuthorizationTableID": "4"})) == [("r1", "4001"), (None, "4001")]
    ribbon.post(path(CREDENTIALS, 4), Sequence="3,2")
    assert users(only(ribbon)) == [("r3", "4001"), (None, "4001")]
    ribbon.post(credential_path(4, 2), Realm="r2")
    assert [r for r, _ in users(only(ribbon))] == ["r3", "r2", "r1"]


def test_6_5_the_sequence_comes_first(ribbon):
    for row in (1, 2, 3, 4):
        credential(ribbon, row, "4001", Realm=f"r{row}")
    ribbon.post(path(CREDENTIALS, 4), Sequence="3,99,1,3")
    assert [r for r, _ in users(derive(ribbon, row={"RemoteAuthorizationTableID": "4"}))] == ["r3", "r1", "r2", "r4"]
    ribbon.post(path(CREDENTIALS, 4), Sequence="4")
    assert [r for r, _ in users(only(ribbon))] == ["r4", "r1", "r2", "r3"]


def test_6_5_eight_at_most(ribbon):
    for row in range(1, 11):
        credential(ribbon, row, "4001", Realm=f"r{row}")
    assert len(users(derive(ribbon, row={"RemoteAuthorizationTableID": "4"}))) == 8


def test_6_5_passwords_reach_registrations_sealed_and_follow(ribbon):
    credential(ribbon, 1, "4001")
    sealed = derive(ribbon, row={"RemoteAuthorizationTableID": "4"})["credentials"][0]["secret"]
    assert sealed.startswith("sealed:")
    ribbon.post(credential_path(4, 1), EncryptedPassword=MASK)
    assert only(ribbon)["credentials"][0]["secret"] == sealed
    ribbon.post(credential_path(4, 1), EncryptedPassword="new")
    assert only(ribbon)["credentials"][0]["secret"] != sealed
    ribbon.delete(credential_path(4, 1))
    assert users(only(ribbon)) == []
    credential(ribbon, 1, "4001")
    ribbon.post(server_path(2, 1), RemoteAuthorizationTableID="0")
    assert users(only(ribbon)) == []


# ---- in step

def test_a_change_changes_and_does_not_remake(ribbon):
    before = derive(ribbon)
    ribbon.post(entry_path(3, 1), AorTtl="60")
    ribbon.post(server_path(2, 1), Port="5099")
    after = only(ribbon)
    assert after["id"] == before["id"] and after["expires"] == 60 and after["registrar"] == "sip:192.0.2.1:5099"


def test_a_write_that_changes_nothing_makes_no_revision(world, ribbon):
    derive(ribbon)
    key = world.key(only(ribbon)["id"])
    wait_for(lambda: not world.redis.keys("rc:*:jobs"), 10, "the jobs to be done")
    before = world.redis.hget(key, "revision")
    ribbon.post(entry_path(3, 1), AorTtl="3600")
    ribbon.post(server_path(2, 1), Weight="5")
    wait_for(lambda: not world.redis.keys("rc:*:jobs"), 10, "the jobs to be done")
    assert world.redis.hget(key, "revision") == before


def test_deleting_an_entry_a_row_a_server_table(ribbon):
    for e in (1, 2):
        ribbon.make(entry_path(3, e), AOR=f"sip:u{e}")
    server(ribbon, 1)
    server(ribbon, 2)
    assert len(ribbon.specs()) == 4
    ribbon.delete(entry_path(3, 1))
    assert sorted(ribbon.specs()) == ["ribbon:3:2@2:1", "ribbon:3:2@2:2"]
    ribbon.delete(server_path(2, 1))
    assert sorted(ribbon.specs()) == ["ribbon:3:2@2:2"]
    ribbon.delete(path(SERVERS, 2))
    assert ribbon.specs() == {}
    assert ribbon.get(entry_path(3, 2)).item["AOR"] == "sip:u2", "the entry is dormant, not gone"
    ribbon.make(path(SERVERS, 2), Description="again")
    server(ribbon, 2)
    assert sorted(ribbon.specs()) == ["ribbon:3:2@2:2"]


def test_moving_a_row_to_another_table(ribbon):
    ribbon.make(path(CONTACT, 5), Description="other")
    ribbon.make(entry_path(3, 1), AOR="sip:a")
    ribbon.make(entry_path(5, 1), AOR="sip:b")
    server(ribbon)
    for table, name in ((5, "ribbon:5:1@2:1"), (3, "ribbon:3:1@2:1"), (5, "ribbon:5:1@2:1")):
        ribbon.post(server_path(2, 1), ContactRegistrantTableID=table)
        assert list(ribbon.specs()) == [name]


def test_a_large_table_is_brought_in_step_by_the_job(ribbon):
    for e in range(1, 151):
        ribbon.make(entry_path(3, e), AOR=f"sip:u{e}")
    server(ribbon)
    wait_for(lambda: len(ribbon.specs()) == 150, 20, "150 registrations")
    ribbon.post(server_path(2, 1), Port="5077")
    wait_for(lambda: all(s["registrar"] == "sip:192.0.2.1:5077" for s in ribbon.specs().values()), 20, "the new port")
    ribbon.delete(server_path(2, 1))
    wait_for(lambda: not ribbon.specs(), 20, "none left")


def test_a_deleted_table_leaves_nothing_though_its_row_went_a_moment_before(ribbon):
    for e in range(1, 61):
        ribbon.make(entry_path(3, e), AOR=f"sip:u{e}")
    server(ribbon)
    wait_for(lambda: len(ribbon.specs()) == 60, 20, "60 registrations")
    assert ribbon.delete(server_path(2, 1)).done and ribbon.delete(path(CONTACT, 3)).done
    wait_for(lambda: not ribbon.specs(), 20, "none left")


def test_a_taken_name_is_no_hindrance(ribbon):
    ribbon.yeti.create(name="ribbon:3:1@2:1")
    server(ribbon)
    ribbon.make(entry_path(3, 1), AOR="sip:4001")
    assert sorted(ribbon.specs()) == ["ribbon:3:1@2:1", "ribbon:3:1@2:1~2"]
    ribbon.post(entry_path(3, 1), AorTtl="77")
    assert ribbon.specs()["ribbon:3:1@2:1~2"]["expires"] == 77
    ribbon.delete(entry_path(3, 1))
    assert sorted(ribbon.specs()) == ["ribbon:3:1@2:1"]


def test_an_entry_that_redis_lost_takes_its_registration_again(world, ribbon):
    id = derive(ribbon)["id"]
    wait_for(lambda: not world.redis.keys("rc:*:jobs"), 10, "the jobs to be done")
    for kind in (f"{ENTRY}-3", "made-3"):
        world.redis.delete(*world.redis.keys(f"rc:*:acct:{ribbon.account}:obj:ribbon-{kind}"))
    assert ribbon.get(entry_path(3, 1)).app == 20012
    ribbon.make(entry_path(3, 1), AOR="sip:4001", AorTtl="99")
    assert only(ribbon)["id"] == id and only(ribbon)["expires"] == 99


def test_what_a_dead_gateway_left_is_done_by_the_job(world, ribbon):
    """The job alone, without what is done before the answer: the change is put into Redis as a gateway would have."""
    server(ribbon)
    ribbon.make(entry_path(3, 1), AOR="sip:4001")
    id = only(ribbon)["id"]
    [entries] = world.redis.keys(f"rc:*:acct:{ribbon.account}:obj:ribbon-{ENTRY}-3")
    text = json.loads(world.redis.hget(entries, "1"))
    world.redis.hset(entries, "1", json.dumps({**text, "AorTtl": "99"}))
    shard = entries.split(":")[1]
    job = world.redis.incr(f"rc:{shard}:job-seq")
    world.redis.hset(f"rc:{shard}:job:{job}", mapping={"account": ribbon.account, "kind": "ribbon.sync",
                                                       "args": '{"entry":"3:1"}', "cursor": "", "tries": "0"})
    world.redis.zadd(f"rc:{shard}:jobs", {job: 0})
    wait_for(lambda: only(ribbon)["expires"] == 99, 10, "the job")
    assert only(ribbon)["id"] == id
