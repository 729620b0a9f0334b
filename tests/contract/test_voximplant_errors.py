"""Contract voximplant 6: every error that can apply, with its code and a text that names the parameter; and the catalogue of
applications, rules and users, which the codes of lookups need.
"""
import random
import signal

import pytest

from stack import wait_for
from voximplant_client import FORMS, METHODS, Vox, add_accounts, add_key, curl, new_vox

CATALOGUE = [
    {"id": 12, "name": "pbx.acct.voximplant.com", "rules": [{"id": 5, "name": "in"}, {"id": 6, "name": "out"}],
     "users": [{"id": 9, "name": "alice"}, {"id": 10, "name": "bob"}]},
    {"id": 13, "name": "other.acct.voximplant.com", "rules": [{"id": 7, "name": "in"}], "users": [{"id": 11, "name": "carol"}]},
    {"id": 14, "name": "empty.acct.voximplant.com"},
]


def PRINCIPALS(document):
    add_accounts(document)
    for number, name, settings in ((1, "catalogued", {"applications": CATALOGUE}), (2, "few", {"max_registrations": 2}),
                                   (3, "poor", {"balance": 0.5, "subscription_price": "1.00"}),
                                   (4, "rich", {"balance": 1, "subscription_price": "1.00"})):
        document["accounts"].append({"name": name, "number": number, "voximplant": settings})
        add_key(document, name, name)


@pytest.fixture
def vox(world):
    return new_vox(world)


@pytest.fixture
def listed(world):
    """The account with a catalogue."""
    return Vox(world.gateway.port, 1, "catalogued")


def bound(row):
    return {k: v for k, v in row.items() if k.startswith(("application_", "rule_", "user_"))}


# ---- 102, 103

@pytest.mark.parametrize("path", ["", "/", "/?cmd=", "/?count=1"])
def test_102_no_method(vox, path):
    code, text = vox.send("GET", path).error
    assert code == 102 and "cmd" in text


@pytest.mark.parametrize("name", ["GetAccountInfo", "getSipRegistrations", "GetSipRegistrations/1", "GetSipRegistration"])
def test_103_an_unknown_method(vox, name):
    code, text = vox.send("GET", f"/{name}").error
    assert code == 103 and name in text
    assert vox.send("GET", f"/?cmd={name}").code == 103


@pytest.mark.parametrize("form", FORMS)
def test_103_in_every_form_of_request(vox, form):
    assert vox.call("NoSuchMethod", form).code == 103


# ---- 134

@pytest.mark.parametrize("method, fields, named", [
    ("CreateSipRegistration", {}, "sip_username"),
    ("CreateSipRegistration", {"sip_username": "", "proxy": "x"}, "sip_username"),
    ("CreateSipRegistration", {"sip_username": "x"}, "proxy"),
    ("CreateSipRegistration", {"sip_username": "x", "proxy": ""}, "proxy"),
    ("UpdateSipRegistration", {"proxy": "x"}, "sip_registration_id"),
    ("UpdateSipRegistration", {"sip_registration_id": ""}, "sip_registration_id"),
    ("BindSipRegistration", {"application_id": 1}, "sip_registration_id"),
    ("BindSipRegistration", {"bind": "true", "application_id": 1, "user_id": 1}, "sip_registration_id"),
    ("BindSipRegistration", {"bind": "false"}, "user_id"),
    ("BindSipRegistration", {"bind": "false", "application_id": 1}, "user_id"),
    ("DeleteSipRegistration", {}, "sip_registration_id"),
], ids=str)
def test_134_a_required_parameter_is_missing(vox, method, fields, named):
    code, text = vox.call(method, **fields).error
    assert code == 134 and f"'{named}'" in text


@pytest.mark.parametrize("fields", [{"rule_name": "in"}, {"user_id": 9}, {"user_name": "alice"}, {"rule_id": 5, "user_id": 9}], ids=str)
@pytest.mark.parametrize("method", ["CreateSipRegistration", "UpdateSipRegistration", "BindSipRegistration"])
def test_134_the_application_must_be_given_with_rule_name_and_user(vox, method, fields):
    id = vox.create()
    code, text = vox.call(method, sip_registration_id=id, sip_username="x", proxy="x.example.net", **fields).error
    assert code == 134 and "'application_id' or 'application_name'" in text
    assert bound(vox.read(id)) == {}


def test_a_rule_by_its_id_needs_no_application(vox):
    assert bound(vox.read(vox.create(rule_id=5))) == {"rule_id": 5}


# ---- 101

@pytest.mark.parametrize("method", [m for m in METHODS if m != "CreateSipRegistration"])
@pytest.mark.parametrize("value", ["x", "-1", "0", "1.5", "99999999999999999999", "0x10", "1;2"])
def test_101_an_id_that_is_no_positive_integer(vox, method, value):
    code, text = vox.call(method, sip_registration_id=value).error
    assert code == 101 and "'sip_registration_id'" in text


@pytest.mark.parametrize("name", ["application_id", "rule_id", "user_id"])
@pytest.mark.parametrize("method", METHODS)
def test_101_ids_of_targets(vox, method, name):
    id = vox.create()
    code, text = vox.call(method, sip_registration_id=id, sip_username="x", proxy="x.example.net", **{name: "x"}).json.get(
        "error", {"code": None, "msg": ""}).values()
    assert (code == 101 and f"'{name}'" in text) if method != "DeleteSipRegistration" else code is None


@pytest.mark.parametrize("method, name", [("CreateSipRegistration", "is_persistent"), ("BindSipRegistration", "bind")] + [
    ("GetSipRegistrations", n) for n in ("deactivated", "successful", "is_persistent", "is_bound_to_application", "in_progress")])
def test_101_flags(vox, method, name):
    id = vox.create()
    code, text = vox.call(method, sip_registration_id=id, sip_username="x", proxy="x.example.net", **{name: "yes"}).error
    assert code == 101 and f"'{name}'" in text


@pytest.mark.parametrize("fields, named", [
    ({"count": "x"}, "count"), ({"count": "-1"}, "count"), ({"offset": "-1"}, "offset"), ({"offset": "1e3"}, "offset"),
    ({"status_code": "x"}, "status_code"), ({"status_code": "200:"}, "status_code"), ({"status_code": "200;x"}, "status_code"),
    ({"application_id": "1;x"}, "application_id"), ({"rule_id": "1,2"}, "rule_id"), ({"user_id": "1;any"}, "user_id")], ids=str)
def test_101_filters(vox, fields, named):
    code, text = vox.call("GetSipRegistrations", **fields).error
    assert code == 101 and f"'{named}'" in text


BAD_TEXT = ["a\r\nb", "a\nb", "a\x01b", "x" * 1025]


@pytest.mark.parametrize("name, code, values", [
    ("sip_username", 273, BAD_TEXT + ["  "]),
    ("proxy", 274, BAD_TEXT + ["a b", "sip:user@host.example", "http://x", "host:0", "host:99999", "host;lr", "host;transport=sctp",
                               "  ", "sips:host;transport=udp", "-x.example", "256.1.1.1", "sip:host?subject=x", "[::1", ";"]),
    ("auth_user", 101, BAD_TEXT),
    ("outbound_proxy", 101, BAD_TEXT + ["a b", "http://x", "host:0", "sip:host?subject=x", "<sip:host", "-x.example"]),
    ("password", 101, ["x" * 1025]),
    ("application_name", 101, BAD_TEXT[:-1] + ["x" * 256]),
    ("rule_name", 101, BAD_TEXT[:-1] + ["x" * 256]),
    ("user_name", 101, BAD_TEXT[:-1] + ["x" * 256]),
])
@pytest.mark.parametrize("method", ["CreateSipRegistration", "UpdateSipRegistration"])
def test_273_274_101_values_that_cannot_be(vox, method, name, code, values):
    id = vox.create()
    before = vox.read(id)
    for value in values:
        fields = {"sip_registration_id": id, "sip_username": "x", "proxy": "x.example.net", "application_id": 1, name: value}
        if name == "application_name":
            del fields["application_id"]
        found, text = vox.call(method, **fields).error
        assert found == code and f"'{name}'" in text, (value, text)
    assert vox.list() == [before]


@pytest.mark.parametrize("name, code", [("sip_username", 273), ("proxy", 274), ("auth_user", 101), ("outbound_proxy", 101),
                                        ("user_name", 101)])
def test_texts_that_are_not_utf_8(vox, name, code):
    body = f"sip_username=x&proxy=x.example.net&application_id=1&{name}=a%FF%80b".encode()
    answer = vox.send("POST", "/CreateSipRegistration", {"Content-Type": "application/x-www-form-urlencoded"}, body)
    assert answer.code == code and f"'{name}'" in answer.error[1]


def test_whatever_is_sent_is_answered_in_one_envelope(vox):
    """Parameters of every method with random bytes for values: no other status, no other form, and the gateway goes on."""
    chance = random.Random(11)
    names = ["sip_registration_id", "sip_username", "proxy", "auth_user", "outbound_proxy", "password", "is_persistent", "bind",
             "application_id", "application_name", "rule_id", "rule_name", "user_id", "user_name", "userName", "count", "offset",
             "status_code", "in_progress", "successful", "deactivated", "is_bound_to_application", "cmd", "account_id"]
    values = ["", "1", "0", "-1", "true", "any", "1;2", "x", "a.example", "sip:a", ";", "200:", "%00", "%FF", "%", "a%0d%0ab", "9" * 30, "é", "%22", "<>"]
    for _ in range(1500):
        pairs = [f"{chance.choice(names)}={chance.choice(values)}" for _ in range(chance.randrange(8))]
        answer = vox.send("POST", f"/{chance.choice(METHODS)}", {"Content-Type": "application/x-www-form-urlencoded"},
                          "&".join(pairs).encode())
        assert answer.status == 200
        if "error" in answer.json:
            assert answer.code in {100, 101, 134, 273, 274, 275, 458}
    for row in vox.list(count=1000):
        assert row["sip_username"]


# ---- 458

@pytest.mark.parametrize("kind", ["application", "rule", "user"])
@pytest.mark.parametrize("method", [m for m in METHODS if m != "DeleteSipRegistration"])
def test_458_only_one_of_id_and_name(vox, method, kind):
    id = vox.create()
    fields = {"application_id": 12, f"{kind}_id": 5, f"{kind}_name": "x"}
    code, text = vox.call(method, sip_registration_id=id, sip_username="x", proxy="x.example.net", **fields).error
    assert code == 458 and f"'{kind}_id'" in text and f"'{kind}_name'" in text


# ---- 275

@pytest.mark.parametrize("method, fields", [("UpdateSipRegistration", {"proxy": "x.example.net"}), ("BindSipRegistration", {"application_id": 1}),
                                            ("BindSipRegistration", {"bind": "false"}),
                                            ("BindSipRegistration", {"application_id": 1, "user_id": 1}), ("DeleteSipRegistration", {})],
                         ids=str)
def test_275_an_unknown_registration(vox, method, fields):
    code, text = vox.call(method, sip_registration_id=987654321, **fields).error
    assert code == 275 and "987654321" in text


# ---- 272, 127

def test_272_too_many_registrations(world):
    few = Vox(world.gateway.port, 2, "few")
    ids = [few.create(), few.create()]
    code, text = few.call("CreateSipRegistration", sip_username="x", proxy="x.example.net").error
    assert code == 272 and "2" in text
    few.delete(ids[0])
    assert few.create() > ids[1]


def test_127_the_balance_does_not_cover_the_price(world):
    assert Vox(world.gateway.port, 3, "poor").call("CreateSipRegistration", sip_username="x", proxy="x.example.net").code == 127
    assert Vox(world.gateway.port, 4, "rich").create()


# ---- 116, 107, 147, 156, 117, 393: with a catalogue

LOOKUPS = [
    ({"application_id": 99}, 116, "application_id"), ({"application_name": "x"}, 107, "application_name"),
    ({"application_id": 12, "rule_id": 99}, 147, "rule_id"), ({"application_id": 12, "rule_id": 7}, 147, "rule_id"),
    ({"rule_id": 99}, 147, "rule_id"), ({"application_id": 12, "rule_name": "x"}, 156, "rule_name"),
    ({"application_id": 14, "rule_name": "in"}, 156, "rule_name"),
    ({"application_id": 12, "user_id": 99}, 117, "user_id"), ({"application_id": 12, "user_name": "x"}, 117, "user_name"),
    ({"application_id": 12, "user_id": 11}, 393, "application"), ({"application_name": "empty.acct.voximplant.com", "user_name": "alice"}, 393, "application"),
]


@pytest.mark.parametrize("fields, code, named", LOOKUPS, ids=str)
@pytest.mark.parametrize("method", ["CreateSipRegistration", "UpdateSipRegistration", "BindSipRegistration"])
def test_lookups_in_the_catalogue(listed, method, fields, code, named):
    id = listed.create()
    found, text = listed.call(method, sip_registration_id=id, sip_username="x", proxy="x.example.net", **fields).error
    assert found == code and named in text
    assert bound(listed.read(id)) == {}
    listed.delete(id)


def test_117_also_when_unbinding(listed):
    assert listed.call("BindSipRegistration", user_id=99, bind="false").code == 117


@pytest.mark.parametrize("fields, want", [
    ({"application_id": 12}, {"application_id": 12, "application_name": "pbx.acct.voximplant.com"}),
    ({"application_name": "pbx.acct.voximplant.com", "user_name": "alice"},
     {"application_id": 12, "application_name": "pbx.acct.voximplant.com", "user_id": 9, "user_name": "alice"}),
    ({"rule_id": 7}, {"application_id": 13, "application_name": "other.acct.voximplant.com", "rule_id": 7, "rule_name": "in"}),
], ids=str)
def test_with_a_catalogue_ids_and_names_are_both_shown(listed, fields, want):
    id = listed.create(**fields)
    assert bound(listed.read(id)) == want
    listed.delete(id)


def test_with_a_catalogue_a_user_is_one_by_id_and_by_name(listed):
    one = listed.create(application_id=12, user_id=10)
    other = listed.create(application_id=12, user_name="bob")
    assert "user_id" not in listed.read(one) and listed.read(other)["user_id"] == 10
    assert listed.ids(user_id=10) == listed.ids(user_name="bob") == [other]
    assert listed.ids(application_name="pbx.acct.voximplant.com") == [one, other]
    listed.bind(user_name="bob", bind="false")
    assert listed.ids(user_id=10) == []


def test_names_follow_the_catalogue(world, listed):
    id = listed.create(application_id=13)
    file = world.stack.principals_file
    text = file.read_text()
    try:
        file.write_text(text.replace("other.acct", "renamed.acct"))
        world.gateway.signal(signal.SIGHUP)
        wait_for(lambda: listed.read(id)["application_name"] == "renamed.acct.voximplant.com", 10, "the new name")
        assert listed.ids(application_name="renamed.acct.voximplant.com") == [id]
    finally:
        file.write_text(text)
        world.gateway.signal(signal.SIGHUP)
        listed.delete(id)


def test_an_unknown_catalogue_entry_in_a_filter_matches_nothing(listed):
    assert listed.ids(application_id=99) == listed.ids(user_name="nobody") == []


# ---- 4, 2: the last test of the file takes Redis away

def test_4_redis_is_away(vox, world):
    id = vox.create()
    world.stack.redis.stop()
    try:
        def away():
            return vox.call("GetSipRegistrations").json.get("error", {}).get("code") == 4
        wait_for(away, 10, "code 4")
        for method in METHODS:
            code, text = vox.call(method, curl, sip_registration_id=id, sip_username="x", proxy="x.example.net", application_id=1, user_id=1).error
            assert code == 4 and "Redis" in text
    finally:
        world.stack.redis.start()
    wait_for(lambda: "error" not in vox.call("UpdateSipRegistration", sip_registration_id=id, password="x").json, 20, "writes to go on",
             every=0.1)
    assert vox.ids() == [id]
