"""Contract voximplant 3 and 5: what each method does, and the rules of bindings, without a catalogue of applications."""
import json
import threading

import pytest

from voximplant_client import Vox, add_accounts, curl, new_vox

PRINCIPALS = add_accounts
BINDING = ("application_id", "application_name", "rule_id", "rule_name", "user_id", "user_name")


@pytest.fixture
def vox(world):
    return new_vox(world)


def spec(world, id):
    return json.loads(world.redis.hget(world.key(id), "spec"))


def bound(row):
    return {name: row[name] for name in BINDING if name in row}


# ---- the seed

def test_seed_update_sip_registration(vox):
    """The request of the documentation's page: parameters in the query, the id and nothing else required."""
    id = vox.create()
    answer = vox.call("UpdateSipRegistration", curl, sip_registration_id=id, sip_username="alice", proxy="sip.example.net",
                      auth_user="alice2", outbound_proxy="edge.example.net:5060", password="secret", application_id=12,
                      rule_id=5, user_id=9)
    assert answer.body == b'{"result":1}'
    row = vox.read(id)
    assert {k: row[k] for k in ("sip_username", "proxy", "auth_user", "outbound_proxy")} == {
        "sip_username": "alice", "proxy": "sip.example.net", "auth_user": "alice2", "outbound_proxy": "edge.example.net:5060"}
    assert bound(row) == {"application_id": 12, "rule_id": 5, "user_id": 9}
    assert vox.call("UpdateSipRegistration", curl, sip_registration_id=id).body == b'{"result":1}'


# ---- 3.1 Create

def test_3_1_create_answers_with_the_id_and_account_info(vox):
    answer = vox.call("CreateSipRegistration", sip_username="JohnGalt", proxy="localhost")
    assert list(answer.json) == ["result", "sip_registration_id", "account_info"]
    assert answer.json["result"] == 1 and type(answer.json["sip_registration_id"]) is int
    assert answer.json["account_info"] == {"account_id": vox.number, "balance": 0, "currency": "USD", "frozen": False}


def test_3_1_defaults(vox):
    row = vox.read(vox.create(sip_username="JohnGalt", proxy="localhost"))
    assert row["is_persistent"] is True and row["deactivated"] is False
    assert bound(row) == {} and "auth_user" not in row and "outbound_proxy" not in row


def test_3_1_what_becomes_what_in_the_model(vox, world):
    id = vox.create(sip_username="alice", proxy="sip.example.net:5070", auth_user="al", outbound_proxy="edge.example.net",
                    password="secret")
    s = spec(world, id)
    assert (s["username"], s["domain"], s["scheme"], s["transport"]) == ("alice", "sip.example.net:5070", "sip", "udp")
    assert s["route_set"] == ["<sip:edge.example.net;lr>"]
    assert [c["user"] for c in s["credentials"]] == ["al"] and s["credentials"][0]["secret"].startswith("sealed:")
    assert s["contacts"][0]["uri"] == "sip:alice@{local}"
    assert s.get("default_expires", 3600) == 3600 and s["enabled"] is True
    assert s["name"].startswith("alice@sip.example.net:5070/vox-") and "labels" not in s


def test_3_1_the_password_is_never_returned(vox, world):
    id = vox.create(password="very-secret")
    assert b"very-secret" not in vox.call("GetSipRegistrations").body
    assert "very-secret" not in str(world.redis.hgetall(world.key(id)))


def test_3_1_the_digest_user_is_the_user_name_unless_another_is_given(vox):
    id = vox.create(sip_username="alice", password="x")
    assert vox.read(id)["auth_user"] == "alice"
    vox.update(id, sip_username="bob")
    assert vox.read(id)["auth_user"] == "bob"
    vox.update(id, auth_user="carol")
    vox.update(id, sip_username="dave")
    assert vox.read(id)["auth_user"] == "carol"


def test_3_1_the_contact_goes_with_the_user_name(vox, world):
    id = vox.create(sip_username="al ice")
    assert spec(world, id)["contacts"][0]["uri"] == "sip:al%20ice@{local}"
    vox.update(id, sip_username="bob")
    assert spec(world, id)["contacts"][0]["uri"] == "sip:bob@{local}"


@pytest.mark.parametrize("names", [("id", "id", "id"), ("name", "name", "name"), ("id", "name", "id"), ("name", "id", "name")])
def test_3_1_each_target_by_id_or_by_name(vox, names):
    values = {"id": ("12", "5", "9"), "name": ("pbx.acct.voximplant.com", "in", "alice")}
    fields = {f"{kind}_{how}": values[how][i] for i, (kind, how) in enumerate(zip(("application", "rule", "user"), names))}
    want = {k: int(v) if k.endswith("_id") else v for k, v in fields.items()}
    assert bound(vox.read(vox.create(**fields))) == want


@pytest.mark.parametrize("proxy, domain, scheme, transport", [
    ("sip.example.net", "sip.example.net", "sip", "udp"),
    ("192.0.2.1:5062", "192.0.2.1:5062", "sip", "udp"),
    ("localhost", "localhost", "sip", "udp"),
    ("[2001:db8::1]:5062", "[2001:db8::1]:5062", "sip", "udp"),
    ("2001:db8::1", "2001:db8::1", "sip", "udp"),
    ("sip:sip.example.net", "sip.example.net", "sip", "udp"),
    ("sip.example.net:5061;transport=tls", "sip.example.net:5061", "sip", "tls"),
    ("sip:sip.example.net;transport=TCP", "sip.example.net", "sip", "tcp"),
    ("sips:sip.example.net", "sip.example.net", "sips", "tls"),
    ("sips:sip.example.net;transport=tcp", "sip.example.net", "sips", "tls"),
])
def test_3_1_forms_of_proxy(vox, world, proxy, domain, scheme, transport):
    id = vox.create(proxy=proxy)
    s = spec(world, id)
    assert vox.read(id)["proxy"] == proxy
    assert (s["domain"], s["scheme"], s["transport"]) == (domain, scheme, transport)
    vox.update(id, proxy=proxy)
    assert spec(world, id) == s
    vox.update(id, proxy="plain.example.net")
    s = spec(world, id)
    assert (s["domain"], s["scheme"], s["transport"]) == ("plain.example.net", "sip", "udp")
    assert vox.read(id)["proxy"] == "plain.example.net"


@pytest.mark.parametrize("outbound, route", [
    ("edge.example.net", "<sip:edge.example.net;lr>"), ("192.0.2.1:5062", "<sip:192.0.2.1:5062;lr>"),
    ("[2001:db8::1]", "<sip:[2001:db8::1];lr>"), ("2001:db8::1", "<sip:[2001:db8::1];lr>"),
    ("edge.example.net;transport=tcp", "<sip:edge.example.net;transport=tcp;lr>"),
    ("sip:edge.example.net", "<sip:edge.example.net;lr>"), ("<sip:edge.example.net;lr>", "<sip:edge.example.net;lr>"),
    ("sip:user@edge.example.net;lr", "<sip:user@edge.example.net;lr>"), ("sips:edge.example.net:5061", "<sips:edge.example.net:5061;lr>"),
])
def test_3_1_forms_of_outbound_proxy(vox, world, outbound, route):
    id = vox.create(outbound_proxy=outbound)
    assert spec(world, id)["route_set"] == [route]
    assert vox.read(id)["outbound_proxy"] == outbound


# ---- 3.2 Update

def test_3_2_only_what_is_supplied_changes(vox):
    id = vox.create(sip_username="alice", proxy="a.example.net", auth_user="x", outbound_proxy="b.example.net", password="p",
                    application_id=12, rule_id=5, user_id=9)
    before = vox.read(id)
    for name, value in {"sip_username": "bob", "proxy": "c.example.net", "auth_user": "y", "outbound_proxy": "d.example.net"}.items():
        vox.update(id, **{name: value})
        before[name] = value
        after = vox.read(id)
        assert after.pop("last_updated") >= before["last_updated"]
        assert after == {k: v for k, v in before.items() if k != "last_updated"}


def test_3_2_a_new_password_is_sealed_and_the_same_one_changes_nothing(vox, world):
    id = vox.create(password="one")
    sealed, revision = spec(world, id)["credentials"], world.redis.hget(world.key(id), "revision")
    vox.update(id, password="one")
    assert (spec(world, id)["credentials"], world.redis.hget(world.key(id), "revision")) == (sealed, revision)
    vox.update(id, password="two")
    assert spec(world, id)["credentials"] != sealed


def test_3_2_is_persistent_cannot_be_updated(vox):
    id = vox.create()
    vox.update(id, is_persistent="false")
    assert vox.read(id)["is_persistent"] is True


def test_3_2_empty_means_absent_but_clears_what_has_no_other_way(vox):
    id = vox.create(sip_username="alice", proxy="a.example.net", auth_user="x", outbound_proxy="b.example.net", password="p",
                    application_id=12, user_id=9)
    before = vox.read(id)
    vox.update(id, sip_username="", proxy="", password="", application_id="", user_id="")
    assert {**vox.read(id), "last_updated": 0} == {**before, "last_updated": 0}
    vox.update(id, auth_user="", outbound_proxy="")
    after = vox.read(id)
    assert "outbound_proxy" not in after and after["auth_user"] == "alice"


def test_3_2_supplying_targets_re_binds(vox):
    id = vox.create(application_id=12, rule_id=5, user_id=9)
    vox.update(id, application_id=12, rule_id=6)
    assert bound(vox.read(id)) == {"application_id": 12, "rule_id": 6, "user_id": 9}
    vox.update(id, application_id=13)
    assert bound(vox.read(id)) == {"application_id": 13}


# ---- 3.3 Bind

def test_3_3_bind_is_true_by_default(vox):
    id = vox.create()
    vox.bind(id, application_id=12, rule_id=5)
    assert bound(vox.read(id)) == {"application_id": 12, "rule_id": 5}


def test_3_3_bind_changes_nothing_but_the_binding(vox):
    id = vox.create(sip_username="alice")
    vox.bind(id, application_id=12, sip_username="bob", proxy="x.example.net", password="p", outbound_proxy="")
    row = vox.read(id)
    assert (row["sip_username"], row["proxy"]) == ("alice", "sip.example.net") and "auth_user" not in row


def test_3_3_bind_without_a_target_changes_nothing(vox):
    id = vox.create(application_id=12)
    vox.bind(id)
    assert bound(vox.read(id)) == {"application_id": 12}


@pytest.mark.parametrize("asked, left", [
    ({}, {}),
    ({"application_id": 12}, {}),
    ({"application_id": 12, "rule_id": 5}, {"application_id": 12, "user_id": 9}),
    ({"application_id": 12, "user_id": 9}, {"application_id": 12, "rule_id": 5}),
    ({"user_id": 9}, {"application_id": 12, "rule_id": 5}),
    ({"rule_id": 5, "user_id": 9}, {"application_id": 12}),
    ({"user_id": 8}, {"application_id": 12, "rule_id": 5, "user_id": 9}),
    ({"application_id": 13}, {"application_id": 12, "rule_id": 5, "user_id": 9}),
], ids=str)
def test_3_3_bind_false_takes_away_what_is_named(vox, asked, left):
    id = vox.create(application_id=12, rule_id=5, user_id=9)
    vox.bind(id, bind="false", **asked)
    assert bound(vox.read(id)) == left


def test_3_3_bind_false_without_an_id_takes_the_user_off_every_registration(vox):
    """The second example of the documentation: a user and nothing else."""
    one = vox.create(application_id=12, user_id=9)
    other = vox.create(application_id=12, user_id=10)
    vox.bind(user_id=9, bind="false")
    assert bound(vox.read(one)) == {"application_id": 12}
    assert bound(vox.read(other)) == {"application_id": 12, "user_id": 10}
    vox.bind(user_id=9, bind="false")


def test_3_3_the_same_by_name_over_all_applications_or_in_one(vox):
    ids = [vox.create(application_id=a, user_name="alice") for a in (12, 13, 14)]
    vox.bind(application_id=12, user_name="alice", bind="false")
    assert [bound(vox.read(i)).get("user_name") for i in ids] == [None, "alice", "alice"]
    vox.bind(user_name="alice", bind="false")
    assert [bound(vox.read(i)).get("user_name") for i in ids] == [None] * 3


# ---- 3.4 Delete

def test_3_4_delete(vox):
    id = vox.create()
    vox.delete(id)
    assert vox.ids() == []
    assert vox.call("DeleteSipRegistration", sip_registration_id=id).code == 275


# ---- 5

@pytest.mark.parametrize("how", ["create", "update", "bind"])
def test_5_a_user_holds_at_most_one_registration(vox, how):
    user = {"application_id": 12, "user_id": 9}
    old = vox.create(**user, rule_id=5)
    if how == "create":
        new = vox.create(**user)
    else:
        new = vox.create()
        getattr(vox, how)(new, **user)
    assert bound(vox.read(new)) == user
    assert bound(vox.read(old)) == {"application_id": 12, "rule_id": 5}
    assert vox.ids(user_id=9) == [new]


def test_5_binding_to_the_same_registration_again_is_no_change(vox, world):
    id = vox.create(application_id=12, user_id=9)
    revision = world.redis.hget(world.key(id), "revision")
    vox.bind(id, application_id=12, user_id=9)
    assert world.redis.hget(world.key(id), "revision") == revision


def test_5_users_of_one_name_in_two_applications_are_two(vox):
    ids = [vox.create(application_id=a, user_name="alice") for a in (12, 13)]
    assert [bound(vox.read(i)) for i in ids] == [{"application_id": a, "user_name": "alice"} for a in (12, 13)]


def test_5_many_at_once_leave_the_user_on_exactly_one(vox, world):
    ids = [vox.create() for _ in range(6)]
    failed = []

    def bind(id):
        mine = Vox(world.gateway.port, vox.number, vox.kid)
        for _ in range(5):
            answer = mine.call("BindSipRegistration", sip_registration_id=id, application_id=12, user_id=9)
            if answer.json != {"result": 1}:
                failed.append(answer.body)

    threads = [threading.Thread(target=bind, args=(id,)) for id in ids]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failed == []
    assert len([i for i in ids if vox.read(i).get("user_id") == 9]) == 1 == len(vox.ids(user_id=9))


def test_5_a_registration_that_is_not_persistent_registers_only_while_a_user_is_bound(vox, world):
    id = vox.create(is_persistent="false")
    assert spec(world, id)["enabled"] is False
    vox.bind(id, application_id=12)
    assert spec(world, id)["enabled"] is False
    vox.bind(id, application_id=12, user_id=9)
    assert spec(world, id)["enabled"] is True
    vox.create(application_id=12, user_id=9)  # takes the user over
    assert spec(world, id)["enabled"] is False
    assert vox.read(id)["is_persistent"] is False and vox.read(id)["deactivated"] is False


def test_5_is_persistent_is_not_enforced_with_a_user(vox):
    for flag in ("true", "false"):
        assert vox.create(is_persistent=flag, application_id=12, user_id=9)


# ---- one registration seen from everywhere

@pytest.fixture
def yeti(vox, world):
    return world.api(vox.user)


def test_what_yeti_made_is_listed_changed_bound_and_deleted(vox, yeti, world):
    tcp = {"transport-protocol": {"data": {"type": "transport-protocols", "id": "2"}}}
    id = int(yeti.create(tcp, username="alice", domain="sip.example.net:5070", auth_user="al", auth_password="x",
                         route_set=["<sip:edge.example.net:5062;lr>", "<sip:inner.example.net;lr>"]))
    row = vox.read(id)
    assert (row["sip_username"], row["proxy"], row["auth_user"]) == ("alice", "sip.example.net:5070", "al")
    assert (row["outbound_proxy"], row["is_persistent"], row["deactivated"]) == ("edge.example.net:5062", True, False)
    vox.update(id, sip_username="bob", proxy="b.example.net", outbound_proxy="other.example.net")
    vox.bind(id, application_id=12, user_id=9)
    attributes = yeti.read(id)
    assert (attributes["username"], attributes["domain"]) == ("bob", "b.example.net")
    assert attributes["route-set"] == ["<sip:other.example.net;lr>", "<sip:inner.example.net;lr>"]
    assert spec(world, id)["transport"] == "tcp"
    assert vox.ids(user_id=9) == [id]
    vox.delete(id)
    assert yeti.get(f"/registrations/{id}").status == 404


def test_what_was_made_here_is_changed_through_yeti_and_seen_here(vox, yeti):
    id = vox.create(sip_username="alice", proxy="sips:a.example.net", outbound_proxy="sip:b.example.net", application_id=12, user_id=9)
    answer = yeti.patch(id, {"username": "bob", "domain": "c.example.net", "route-set": ["<sip:d.example.net;lr>"]})
    assert answer.status == 200, answer.body
    row = vox.read(id)
    assert (row["sip_username"], row["proxy"], row["outbound_proxy"]) == ("bob", "c.example.net", "d.example.net")
    assert bound(row) == {"application_id": 12, "user_id": 9} and vox.ids(user_id=9) == [id]


def test_disabled_through_yeti_is_deactivated_and_stays_so(vox, yeti):
    id = vox.create()
    assert yeti.patch(id, {"enabled": False}).status == 200
    assert vox.read(id)["deactivated"] is True
    vox.update(id, password="x")
    vox.bind(id, application_id=12, user_id=9)
    assert vox.read(id)["deactivated"] is True and yeti.read(id)["enabled"] is False
    assert yeti.patch(id, {"enabled": True}).status == 200
    assert vox.read(id)["deactivated"] is False


def test_a_digest_user_that_is_given_here_is_seen_there(vox, yeti):
    id = int(yeti.create(username="alice", auth_password="x"))
    assert yeti.read(id)["auth-user"] is None and vox.read(id)["auth_user"] == "alice"
    vox.update(id, auth_user="al", outbound_proxy="edge.example.net")
    assert yeti.read(id)["auth-user"] == "al"


def test_names_do_not_collide_with_those_of_other_dialects(vox, yeti):
    id = vox.create(sip_username="alice", proxy="sip.example.net")
    name = yeti.read(id)["name"]
    assert yeti.create(name="alice@sip.example.net") and vox.create(sip_username="alice", proxy="sip.example.net") > id
    assert yeti.post(yeti.required(name=name)).status == 422


def test_a_deleted_id_is_never_given_again(vox):
    first = vox.create()
    vox.delete(first)
    assert vox.create() > first
