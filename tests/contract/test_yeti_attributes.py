"""Attributes of a registration: defaults, casts, validation (contract 2)."""
import pytest
from conftest import Api

ORDER = ["auth-password", "auth-user", "contact", "display-username", "domain", "enabled", "expire", "force-expire",
         "max-attempts", "name", "route-set", "retry-delay", "sip-interface-name", "username", "sip-schema-id"]
BLANK = "can't be blank"


def invalid(name, message):
    return ("100", f"{name} - {message}", f"/data/attributes/{name}")


def test_attributes_stand_in_the_contracts_order(api):
    assert list(api.read(api.create())) == ORDER


def test_a_create_with_the_required_ones_only_gets_the_defaults(api):
    answer = api.post(api.required())
    assert answer.status == 201
    a = answer.attributes
    assert (a["enabled"], a["force-expire"], a["retry-delay"], a["route-set"], a["sip-schema-id"]) == \
        (True, False, 5, [], 1)
    for name in ("auth-password", "auth-user", "display-username", "expire", "max-attempts", "sip-interface-name"):
        assert a[name] is None, name
    linkage = api.get(f"/registrations/{answer.data['id']}/relationships/transport-protocol")
    assert linkage.data == {"type": "transport-protocols", "id": "1"}


def test_every_attribute_is_kept_as_it_was_written(api):
    given = {"auth-user": "au", "contact": '"Bob" <sip:bob@192.0.2.1:5070;transport=tcp>;x=1',
             "display-username": "Bob \"B\" ü", "domain": "example.com:5070", "enabled": False, "expire": 600,
             "force-expire": True, "max-attempts": 7, "name": "all of it",
             "route-set": ["<sip:p1.example.com;lr>", "<sip:p2.example.com:5080;transport=tcp;lr>"],
             "retry-delay": 30, "sip-interface-name": "outside", "username": "+4930123", "sip-schema-id": 2}
    id = api.create(**{k.replace("-", "_"): v for k, v in given.items()})
    held = api.read(id)
    assert {k: held[k] for k in given} == given
    assert api.patch(id, {}).attributes == held


def test_an_empty_create_gives_the_contracts_four_errors(api):
    answer = api.post()
    assert answer.status == 422
    assert answer.errors == [invalid("name", BLANK), invalid("domain", BLANK), invalid("username", BLANK),
                             invalid("contact", "is invalid")]
    assert answer.titles == [BLANK, BLANK, BLANK, "is invalid"]


def test_errors_stand_in_the_order_of_the_validators(api):
    answer = api.post({"retry-delay": None, "sip-schema-id": None, "max-attempts": "abc"},
                      {"transport-protocol": {"data": None}})
    assert [e[1] for e in answer.errors] == [
        "transport-protocol - must exist", "transport-protocol - can't be blank", "name - can't be blank",
        "domain - can't be blank", "username - can't be blank", "retry-delay - can't be blank",
        "retry-delay - is not a number", "sip-schema-id - can't be blank",
        "sip-schema-id - is not included in the list", "contact - is invalid", "max-attempts - is not a number"]
    answer = api.post(api.required(**{"retry-delay": 0, "sip-schema-id": 3, "contact": "x", "max-attempts": 0}))
    assert [e[1] for e in answer.errors] == [
        "contact - is invalid", "retry-delay - must be greater than 0", "max-attempts - must be greater than 0",
        "sip-schema-id - is not included in the list"]


@pytest.mark.parametrize("name", ["name", "domain", "username"])
@pytest.mark.parametrize("value", [None, "", "  ", "\t", " \r\n", "\v\f"])
def test_required_texts_may_not_be_blank(api, name, value):
    id = api.create()
    answer = api.patch(id, {name: value})
    assert (answer.status, answer.errors) == (422, [invalid(name, BLANK)])


@pytest.mark.parametrize("contact", ["sip:alice@192.0.2.1", "<sip:u@h>", '"Bob" <sip:u@h>;x=1', "sip:h", "sip:user@domain",
                                     "<sip:u@[2001:db8::1]:5060;transport=tcp>", "<sip:u@{local}>",
                                     '"x <sip:" <sip:u@h>'])
def test_a_contact_that_parses_is_taken(api, contact):
    assert api.read(api.create(contact=contact))["contact"] == contact


@pytest.mark.parametrize("contact", ["sips:u@h", "SIP:u@h", "u@h", None, "", "sip:", "xsip:u", "sip:u@h:99999", "<sip:u@h",
                                     "*", "sip:u@h, sip:v@h", "sip:u@h\r\nX: y", "sip:u@h\u0000", "sip:u@{username}",
                                     "<sip:{username}@h>", "sip:u@h o", ["sip:u@h"], 5])
def test_a_contact_that_does_not_parse_is_invalid(api, contact):
    answer = api.post(api.required(contact=contact))
    assert (answer.status, answer.errors) == (422, [invalid("contact", "is invalid")])


def test_a_name_is_taken_once_in_an_account(api, world):
    api.create(name="one")
    other = api.create(name="two")
    answer = api.post(api.required(name="one"))
    assert (answer.status, answer.errors) == (422, [invalid("name", "has already been taken")])
    answer = api.patch(other, {"name": "one"})
    assert (answer.status, answer.errors) == (422, [invalid("name", "has already been taken")])
    assert api.patch(other, {"name": "two"}).status == 200
    assert api.post(api.required(name="ONE")).status == 201, "names are case-sensitive"
    assert world.api().post(api.required(name="one")).status == 201, "another account"


@pytest.mark.parametrize("name", ["retry-delay", "max-attempts"])
@pytest.mark.parametrize("value, message", [
    ("abc", "is not a number"), (True, "is not a number"), ("0x10", "is not a number"), ("12abc", "is not a number"),
    (1.5, "must be an integer"), ("8.0", "must be an integer"), (" 8 ", "must be an integer"), ("1e3", "must be an integer"),
    (0, "must be greater than 0"), (-3, "must be greater than 0"), ("-3", "must be greater than 0"),
    (32768, "must be less than or equal to 32767"), (10**30, "must be less than or equal to 32767"),
    ("9" * 80, "must be less than or equal to 32767")])
def test_counts_are_judged_as_they_were_written(api, name, value, message):
    answer = api.patch(api.create(), {name: value})
    assert (answer.status, answer.errors) == (422, [invalid(name, message)])


def test_a_float_without_a_fraction_is_no_integer(api):
    id = api.create()
    body = b'{"data":{"type":"registrations","id":"%s","attributes":{"retry-delay":7.0}}}' % id.encode()
    answer = api.call("PATCH", f"/registrations/{id}", body)
    assert answer.errors == [invalid("retry-delay", "must be an integer")]


@pytest.mark.parametrize("value", [None, "", [1], {"a": 1}])
def test_no_retry_delay_fails_twice(api, value):
    answer = api.patch(api.create(), {"retry-delay": value})
    assert answer.errors == [invalid("retry-delay", BLANK), invalid("retry-delay", "is not a number")]


@pytest.mark.parametrize("value, held", [("7", 7), (1, 1), (32767, 32767), ("+5", 5), (None, None), ("", None), ([1], None)])
def test_max_attempts_is_cast(api, value, held):
    assert api.read(api.create(max_attempts=value))["max-attempts"] == held


@pytest.mark.parametrize("value, held", [("2", 2), (True, 1), (2, 2), (1.9, 1), ("2x", 2)])
def test_sip_schema_id_is_cast(api, value, held):
    assert api.read(api.create(sip_schema_id=value))["sip-schema-id"] == held


@pytest.mark.parametrize("value", [0, 3, "abc", False, -1, 10**12])
def test_a_sip_schema_id_beyond_the_list_is_refused(api, value):
    answer = api.patch(api.create(), {"sip-schema-id": value})
    assert answer.errors == [invalid("sip-schema-id", "is not included in the list")]


@pytest.mark.parametrize("value, held", [(123, "123"), (45.5, "45.5"), (True, "t"), (False, "f"), ("", ""), (" x ", " x "),
                                         (None, None)])
@pytest.mark.parametrize("name", ["display-username", "auth-user", "sip-interface-name"])
def test_texts_are_cast_and_kept(api, name, value, held):
    id = api.create(**{name.replace("-", "_"): value})
    assert api.read(id)[name] == held
    assert api.patch(id, {"expire": 77}).attributes[name] == held, "another write leaves it"


def test_a_name_may_be_a_number(api):
    assert api.read(api.create(name=4711))["name"] == "4711"


@pytest.mark.parametrize("name", ["enabled", "force-expire"])
@pytest.mark.parametrize("value, held", [
    (False, False), (0, False), ("0", False), ("f", False), ("F", False), ("false", False), ("FALSE", False),
    ("off", False), ("OFF", False), (True, True), (1, True), ("banana", True), ("no", True), (2, True), ([], True)])
def test_flags_are_cast(api, name, value, held):
    assert api.read(api.create(**{name.replace("-", "_"): value}))[name] is held


@pytest.mark.parametrize("name", ["enabled", "force-expire"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_flag_may_not_be_null(api, name, value):
    id = api.create()
    before = api.read(id)
    answer = api.patch(id, {name: value, "username": "other"})
    assert (answer.status, answer.errors) == (422, [invalid(name, "is not included in the list")])
    assert api.read(id) == before, "nothing is written"


@pytest.mark.parametrize("value, held", [
    ("abc", 0), ("12abc", 12), (3.7, 3), ("", None), (None, None), ([1], None), (-5, -5), (-1, -1), (0, 0), (600, 600),
    ("600", 600), (True, 1), (2147483647, 2147483647)])
def test_expire_is_cast_to_whatever_it_begins_with(api, value, held):
    id = api.create(expire=value)
    assert api.read(id)["expire"] == held
    assert api.patch(id, {"username": "x"}).attributes["expire"] == held


@pytest.mark.parametrize("value, message", [
    (99999999999, "must be less than or equal to 2147483647"), (10**30, "must be less than or equal to 2147483647"),
    ("99999999999", "must be less than or equal to 2147483647"),
    (-99999999999, "must be greater than or equal to -2147483648")])
def test_expire_is_an_integer_of_32_bits(api, value, message):
    answer = api.patch(api.create(), {"expire": value})
    assert (answer.status, answer.errors) == (422, [invalid("expire", message)])


@pytest.mark.parametrize("value, held", [
    (["sip:a", None, "sip:b"], ["sip:a", "sip:b"]), ([], []), ("", []), ("sip:a\r\n\r\n <sip:b;lr> \r\n", ["sip:a", "<sip:b;lr>"]),
    (["<sip:a,b@h;lr>"], ["<sip:a,b@h;lr>"]), ([None], [])])
def test_a_route_set_is_a_list_or_lines(api, value, held):
    assert api.read(api.create(route_set=value))["route-set"] == held


@pytest.mark.parametrize("value, message", [
    (None, BLANK), ({"a": "sip:a"}, "is invalid"), (5, "is invalid"), (True, "is invalid"), (["proxy"], "is invalid"),
    ([""], "is invalid"), ([1], "is invalid"), ([["sip:a"]], "is invalid"), (["sip:a\r\nVia: x"], "is invalid"),
    (["sip:a\u0000"], "is invalid"), ("sip:a\nsip:b", "is invalid"), (["sip:a"] * 9, "is too long (maximum is 8 items)")])
def test_a_route_set_that_cannot_be_used_is_refused(api, value, message):
    answer = api.patch(api.create(), {"route-set": value})
    assert (answer.status, answer.errors) == (422, [invalid("route-set", message)])


@pytest.mark.parametrize("name", ["auth-user", "auth-password", "display-username", "domain", "name", "sip-interface-name",
                                  "username"])
@pytest.mark.parametrize("text", ["a\u0000b", "a\rb", "a\nb", "a\u0001b", "a\u007fb"])
def test_control_characters_are_invalid(api, name, text):
    answer = api.patch(api.create(), {name: text})
    assert (answer.status, answer.errors) == (422, [invalid(name, "is invalid")])


@pytest.mark.parametrize("name", ["auth-user", "auth-password", "display-username", "domain", "name", "sip-interface-name",
                                  "username", "contact"])
def test_texts_are_bounded(api, name):
    text = "sip:" + "a" * 1021 if name == "contact" else "a" * 1025
    answer = api.patch(api.create(), {name: text})
    assert (answer.status, answer.errors) == (422, [invalid(name, "is too long (maximum is 1024 bytes)")])


@pytest.mark.parametrize("domain", ["example.com", "example.com:5070", "192.0.2.1", "[2001:db8::1]:5060", "2001:db8::1",
                                    "localhost"])
def test_a_domain_is_a_host_with_or_without_a_port(api, domain):
    assert api.read(api.create(domain=domain))["domain"] == domain


@pytest.mark.parametrize("domain", ["a b", "u@h", "h:99999", "h;x=1", "<h>"])
def test_another_domain_is_invalid(api, domain):
    answer = api.patch(api.create(), {"domain": domain})
    assert (answer.status, answer.errors) == (422, [invalid("domain", "is invalid")])


@pytest.mark.parametrize("name", ["auth_user", "authUser", "sip_schema_id", "proxy", "id", "status", "pop-id"])
def test_an_unknown_attribute_is_not_allowed_and_nothing_is_written(api, name):
    id = api.create()
    before = api.read(id)
    answer = api.patch(id, {"username": "other", name: "x", "bogus": 1})
    assert (answer.status, answer.errors) == (400, [("105", f"{name} is not allowed.", None)])
    assert api.read(id) == before


# ---- the password: masked unless a setting shows it

MASK = "********"


def test_a_password_reads_as_the_mask(api):
    answer = api.post(api.required(**{"auth-user": "u", "auth-password": "secret"}))
    assert answer.attributes["auth-password"] == MASK
    assert b"secret" not in answer.body
    assert api.read(answer.data["id"])["auth-password"] == MASK
    assert api.get("/registrations").data[0]["attributes"]["auth-password"] == MASK


def sealed(world, id):
    import json
    spec = json.loads(world.redis.hget(world.key(id), "spec"))
    return spec.get("credentials"), int(world.redis.hget(world.key(id), "revision"))


def test_writing_the_mask_back_leaves_the_password_unchanged(api, world):
    id = api.create(auth_user="u", auth_password="secret")
    before = sealed(world, id)
    assert before[0][0]["secret"].startswith("sealed:")
    answer = api.patch(id, {"auth-password": MASK})
    assert (answer.status, answer.attributes["auth-password"]) == (200, MASK)
    assert sealed(world, id) == before, "and makes no revision"
    assert api.patch(id, {"auth-password": MASK, "username": "bob"}).status == 200
    assert sealed(world, id)[0] == before[0]


def test_writing_the_same_password_makes_no_revision(api, world):
    id = api.create(auth_user="u", auth_password="secret")
    before = sealed(world, id)
    assert api.patch(id, {"auth-password": "secret"}).status == 200
    assert sealed(world, id) == before


def test_another_password_is_sealed_anew(api, world):
    id = api.create(auth_user="u", auth_password="secret")
    before = sealed(world, id)
    assert api.patch(id, {"auth-password": "other"}).status == 200
    after = sealed(world, id)
    assert after[0][0]["secret"] != before[0][0]["secret"] and after[1] > before[1]


def test_the_mask_is_no_password(api):
    answer = api.post(api.required(**{"auth-password": MASK}))
    assert (answer.status, answer.errors) == (422, [invalid("auth-password", "is invalid")])
    answer = api.patch(api.create(), {"auth-password": MASK})
    assert (answer.status, answer.errors) == (422, [invalid("auth-password", "is invalid")])


def test_null_removes_the_password(api, world):
    id = api.create(auth_user="u", auth_password="secret")
    assert api.patch(id, {"auth-password": None}).attributes["auth-password"] is None
    assert sealed(world, id)[0] == [{"user": "u"}]
    assert api.patch(id, {"auth-user": None}).status == 200
    assert sealed(world, id)[0] is None


def test_the_digest_user_is_the_username_where_auth_user_is_null(api, world):
    id = api.create(auth_password="secret", username="alice")
    assert sealed(world, id)[0][0]["user"] == "alice"
    assert api.read(id)["auth-user"] is None
    api.patch(id, {"username": "bob"})
    assert sealed(world, id)[0][0]["user"] == "bob"
    api.patch(id, {"auth-user": "carol"})
    assert sealed(world, id)[0][0]["user"] == "carol"
    assert api.read(id)["auth-user"] == "carol"


def test_a_write_that_changes_nothing_makes_no_revision(api, world):
    id = api.create(expire=0, display_username="", auth_user="u")
    before = world.redis.hgetall(world.key(id))
    assert api.patch(id, {}).status == 200
    assert api.patch(id, {k: v for k, v in api.read(id).items() if k != "auth-password"}).status == 200
    assert world.redis.hget(world.key(id), "revision") == before["revision"]


def test_what_is_sent_follows_the_model(api, world):
    import json
    id = api.create(expire=0, retry_delay=9, max_attempts=3, sip_schema_id=2, display_username="",
                    relationships={"transport-protocol": {"data": {"type": "transport-protocols", "id": "2"}}})
    spec = json.loads(world.redis.hget(world.key(id), "spec"))
    assert (spec["scheme"], spec["transport"], spec["retry_delay_s"], spec["retry_shape"], spec["max_attempts"]) == \
        ("sips", "tcp", 9, "fixed", 3)
    assert spec["default_expires"] == 1800 and "expires" not in spec and "display_username" not in spec
    assert Api.resource()["data"]["type"] == "registrations"
