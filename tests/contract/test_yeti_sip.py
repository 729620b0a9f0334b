"""The attribute `sip` of registrations, an addition: the rest of the model's SIP side in a YETI's house style."""
import json

import pytest
from test_yeti_import import counts, export, report, send

MASK = "********"
MD5, SHA256, SHA512 = "0123456789abcdef" * 2, "00112233445566778899aabbccddeeff" * 2, "a" * 64
FLOW = '<sip:a@{local}>;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>";reg-id=1'
WHOLE = {"aor": "sip:+15551230000@voice.example.net", "from": '"Front desk" <sip:desk@example.com>',
         "registrar": "sip:edge.example.net:5070;transport=tcp",
         "contacts": [{"uri": "sip:a@{local}", "q": "0.5", "expires": 600},
                      {"uri": "<sip:b@192.0.2.7>;x=1", "q": None, "expires": None}],
         "credentials": [{"realm": None, "user": "a", "password": "one"},
                         {"realm": "example.com", "user": "b", "ha1": {"MD5": MD5, "SHA-256": SHA256}}],
         "retry-shape": "growing"}
SHOWN = {**WHOLE, "credentials": [{"realm": None, "user": "a", "password": MASK},
                                  {"realm": "example.com", "user": "b", "ha1": {"MD5": MASK, "SHA-256": MASK}}]}
NOTHING = {"aor": None, "from": None, "registrar": None, "contacts": [{"uri": "sip:a@h", "q": None, "expires": None}],
           "credentials": [], "retry-shape": "fixed"}


def sip_of(api, id):
    return api.get(f"/registrations/{id}?fields[registrations]=sip").attributes["sip"]


def write(api, id, sip, **attributes):
    return api.patch(id, {"sip": sip, **{k.replace("_", "-"): v for k, v in attributes.items()}})


def spec(world, id):
    return json.loads(world.redis.hget(world.key(id), "spec"))


def revision(world, id):
    return int(world.redis.hget(world.key(id), "revision"))


def errors(answer):
    assert answer.status == 422, answer.body
    return [(pointer, detail.split(" - ")[1]) for _code, detail, pointer in answer.errors]


@pytest.fixture
def made(api):
    answer = api.post(api.required(sip=WHOLE, contact="sip:a@{local}"))
    assert answer.status == 201, answer.body
    return answer.data["id"]


def test_what_was_written_reads_back_with_its_secrets_masked(api, world, made):
    assert sip_of(api, made) == SHOWN
    held = spec(world, made)
    assert held["aor"] == WHOLE["aor"] and held["from"] == WHOLE["from"] and held["registrar"] == WHOLE["registrar"]
    assert held["retry_shape"] == "growing" and len(held["contacts"]) == len(held["credentials"]) == 2
    assert held["contacts"][0] == {"uri": "sip:a@{local}", "q": "0.5", "expires": 600}
    assert held["credentials"][0]["secret"].startswith("sealed:")
    assert {text.split(":")[0] for text in held["credentials"][1]["ha1"].values()} == {"sealed"}


def test_no_secret_stands_in_clear_in_redis(world, made):
    read = {"hash": world.redis.hgetall, "stream": world.redis.xrange, "string": world.redis.get}
    texts = [str(read[kind](key)) for key in world.redis.scan_iter("*")
             if (kind := world.redis.type(key)) in read]
    assert any('"ha1":' in text for text in texts)
    assert not [text for text in texts if MD5 in text or SHA256 in text]


def test_a_plain_read_is_as_it_was_without_the_attribute(api, made):
    assert "sip" not in api.get(f"/registrations/{made}").attributes
    assert all("sip" not in d["attributes"] for d in api.get("/registrations").data)
    assert "sip" not in export(api)[0]["attributes"]
    assert list(api.get("/registrations?fields[registrations]=name,sip").data[0]["attributes"]) == ["name", "sip"]


def test_a_registration_of_plain_attributes_shows_its_defaults(api):
    assert sip_of(api, api.create(contact="sip:a@h")) == NOTHING


def test_the_mask_written_back_changes_nothing(api, world, made):
    before = revision(world, made)
    assert write(api, made, sip_of(api, made)).status == 200
    assert revision(world, made) == before


def test_the_same_secrets_in_clear_change_nothing(api, world, made):
    before = revision(world, made)
    assert write(api, made, WHOLE).status == 200
    assert revision(world, made) == before


def test_members_replace_null_resets_and_others_stay(api, made):
    assert write(api, made, {"aor": None, "retry-shape": None}).status == 200
    assert sip_of(api, made) == {**SHOWN, "aor": None, "retry-shape": "fixed"}
    assert write(api, made, {"contacts": None, "registrar": None, "from": None}).status == 200
    assert sip_of(api, made) == {**NOTHING, "credentials": SHOWN["credentials"],
                                 "contacts": [{"uri": "sip:a@{local}", "q": None, "expires": None}]}
    assert write(api, made, {"credentials": None}).status == 200
    assert sip_of(api, made)["credentials"] == []
    assert api.get(f"/registrations/{made}").attributes["auth-password"] is None
    assert write(api, made, {}).status == 200


def test_the_first_contact_is_the_attribute_contact(api):
    id = api.post({k: v for k, v in api.required(sip={"contacts": [{"uri": FLOW}]}).items() if k != "contact"}).data["id"]
    assert api.get(f"/registrations/{id}").attributes["contact"] == FLOW
    assert api.patch(id, {"contact": "sip:c@h"}).status == 200
    assert sip_of(api, id)["contacts"] == [{"uri": "sip:c@h", "q": None, "expires": None}]
    assert write(api, id, {"contacts": [{"uri": "sip:d@h"}]}, contact="sip:d@h").status == 200
    assert errors(write(api, id, {"contacts": [{"uri": "sip:e@h"}]}, contact="sip:f@h")) == [
        ("/data/attributes/sip/contacts/0/uri", "is another than the attribute contact")]


def test_a_contact_of_sips_is_the_models_to_judge(api):
    id = api.create()
    assert write(api, id, {"contacts": [{"uri": "sips:a@h"}]}).status == 200
    assert api.patch(id, {"name": api.required()["name"]}).status == 200


def test_the_first_credential_is_that_of_the_attributes(api):
    id = api.create(auth_user="u", auth_password="p")
    assert sip_of(api, id)["credentials"] == [{"realm": None, "user": "u", "password": MASK}]
    assert write(api, id, {"credentials": [{"user": "v", "password": MASK}]}).status == 200
    shown = api.get(f"/registrations/{id}").attributes
    assert (shown["auth-user"], shown["auth-password"]) == ("v", MASK)
    assert write(api, id, {"credentials": [{"user": "v", "password": "q"}]}, auth_user="v", auth_password="q").status == 200
    assert write(api, id, {"credentials": [{"user": "v", "password": "n"}]}, auth_user="v", auth_password=MASK).status == 200
    assert errors(write(api, id, {"credentials": [{"user": "v", "password": "q"}]}, auth_user="w", auth_password="o")) == [
        ("/data/attributes/sip/credentials/0/user", "is another than the attribute auth-user"),
        ("/data/attributes/sip/credentials/0/password", "is another than the attribute auth-password")]


def test_a_user_that_is_none_stays_none(api, world):
    id = api.create()
    assert write(api, id, {"credentials": [{"realm": "r", "password": "p"}]}).status == 200
    assert sip_of(api, id)["credentials"] == [{"realm": "r", "user": None, "password": MASK}]
    before = revision(world, id)
    shown = api.get(f"/registrations/{id}").attributes
    assert (shown["auth-user"], shown["auth-password"]) == (None, MASK)
    assert api.patch(id, shown).status == 200
    assert revision(world, id) == before


def test_an_ha1_stays_until_a_password_replaces_it(api, world):
    id = api.create(username="alice")
    held = [{"realm": "r", "user": "alice", "ha1": {"MD5": MD5.upper(), "SHA-512-256": SHA512}}]
    assert write(api, id, {"credentials": held}).status == 200
    before = revision(world, id)
    shown = api.get(f"/registrations/{id}").attributes
    assert shown["auth-password"] == MASK
    assert api.patch(id, shown).status == 200
    assert write(api, id, {"credentials": [{**held[0], "ha1": {"MD5": MD5, "SHA-512-256": MASK}}]}).status == 200
    assert revision(world, id) == before
    sealed = spec(world, id)["credentials"][0]["ha1"]
    assert write(api, id, {"credentials": [{**held[0], "ha1": {"MD5": "f" * 32, "SHA-512-256": MASK}}]}).status == 200
    now = spec(world, id)["credentials"][0]["ha1"]
    assert now["SHA-512-256"] == sealed["SHA-512-256"] and now["MD5"] != sealed["MD5"]
    refused = [("/data/attributes/auth-user", "cannot change while an HA1 of it is set")]
    assert errors(api.patch(id, {"auth-user": "bob"})) == refused
    assert api.patch(id, {"username": "bob"}).status == 200  # the digest user is alice still
    assert write(api, id, {"credentials": [{"realm": "r", "ha1": {"MD5": MD5}}]}).status == 200
    assert errors(api.patch(id, {"username": "carol"})) == refused
    assert api.patch(id, {"username": "carol", "auth-user": "bob"}).status == 200
    assert api.patch(id, {"auth-user": "alice", "auth-password": "p"}).status == 200
    assert spec(world, id)["credentials"][0].keys() == {"realm", "user", "secret"}


@pytest.mark.parametrize("sip, path, message", [
    (None, "", "is invalid"), ([], "", "is invalid"), ("x", "", "is invalid"),
    ({"aors": None}, "", "has a member that is none of its own"),
    ({"aor": 5}, "/aor", "is no text"),
    ({"aor": "sip:a@h\r\nX: y"}, "/aor", "holds control characters"),
    ({"aor": "nonsense"}, "/aor", None), ({"aor": "<sip:a@h>"}, "/aor", None), ({"aor": ""}, "/aor", None),
    ({"from": "nonsense"}, "/from", None), ({"registrar": "http://h"}, "/registrar", None),
    ({"retry-shape": "steep"}, "/retry-shape", "is not included in the list"),
    ({"contacts": []}, "/contacts", "is no list of 1 to 8 contacts"),
    ({"contacts": [{"uri": f"sip:{i}@h"} for i in range(9)]}, "/contacts", "is no list of 1 to 8 contacts"),
    ({"contacts": ["sip:a@h"]}, "/contacts/0", "is no object"),
    ({"contacts": [{"uri": "sip:a@h"}, {"q": "1"}]}, "/contacts/1/uri", "can't be blank"),
    ({"contacts": [{"uri": "sip:a@h", "expire": 5}]}, "/contacts/0", "has a member that is none of its own"),
    ({"contacts": [{"uri": "sip:a@h", "expires": 0}]}, "/contacts/0/expires", "is no number from 1 to 4294967295"),
    ({"contacts": [{"uri": "sip:a@h", "expires": 1.5}]}, "/contacts/0/expires", "is no number from 1 to 4294967295"),
    ({"contacts": [{"uri": "sip:a@h"}, {"uri": "sip:b@h", "q": 2}]}, "/contacts/1",
     "q is no number from 0 to 1 with three decimals at most"),
    ({"contacts": [{"uri": "sip:a@h"}, {"uri": "nonsense"}]}, "/contacts/1", None),
    ({"contacts": [{"uri": FLOW}, {"uri": "sip:b@h"}]}, "/contacts", "one with reg-id is the only one"),
    ({"contacts": [{"uri": FLOW}], "from": "sip:other@h"}, "/contacts/0",
     "reg-id is not for a registration by a third party"),
    ({"contacts": [{"uri": "<sip:{local};bnc=1>"}]}, "/contacts/0", "bnc has no value"),
    ({"contacts": [{"uri": "<sip:a@{local};bnc>"}]}, "/contacts/0", "one with bnc has no user part and no parameter user"),
    ({"credentials": {}}, "/credentials", "is no list of up to 8 credentials"),
    ({"credentials": [{}] * 9}, "/credentials", "is no list of up to 8 credentials"),
    ({"credentials": [5]}, "/credentials/0", "is no object"),
    ({"credentials": [{"realm": "r"}]}, "/credentials/0", "has neither user nor password nor HA1"),
    ({"credentials": [{"user": "u", "password": "p"}, {"user": ["u"]}]}, "/credentials/1/user", "is no text"),
    ({"credentials": [{"user": "u", "pass": "p"}]}, "/credentials/0", "has a member that is none of its own"),
    ({"credentials": [{"user": "u", "password": MASK}]}, "/credentials/0/password",
     "stands for a password of this realm, and none is set"),
    ({"credentials": [{"realm": "r", "user": "u", "ha1": {"MD5": MASK}}]}, "/credentials/0/ha1/MD5",
     "stands for an HA1 of this realm and user, and none is set"),
    ({"credentials": [{"realm": "r", "user": "u", "ha1": {"SHA-1": MD5}}]}, "/credentials/0/ha1",
     "has a member that is none of its own"),
    ({"credentials": [{"realm": "r", "user": "u", "ha1": {"SHA-256": MD5}}]}, "/credentials/0/ha1/SHA-256",
     "is not 64 hexadecimal digits"),
    ({"credentials": [{"realm": "r", "user": "u", "ha1": {"MD5": "sealed:1:" + "A" * 23}}]}, "/credentials/0/ha1/MD5",
     "is not 32 hexadecimal digits"),
    ({"credentials": [{"user": "u", "ha1": {"MD5": MD5}}]}, "/credentials/0", "an HA1 needs the realm that it was made for"),
    ({"credentials": [{"user": "u", "password": "p"}, {"realm": "r", "password": "p", "ha1": {"MD5": MD5}}]},
     "/credentials/1", "either a password or its HA1 is given"),
])
def test_what_is_wrong_is_said_where_it_stands(api, sip, path, message):
    id = api.create()
    found = errors(write(api, id, sip))
    assert [pointer for pointer, _ in found] == ["/data/attributes/sip" + path]
    assert message in (None, found[0][1])
    assert MD5 not in json.dumps(found)


def test_a_create_whose_contacts_are_wrong_says_it_once(api):
    without = {k: v for k, v in api.required().items() if k != "contact"}
    assert errors(api.post({**without, "sip": {"contacts": [{"q": "1"}]}})) == [
        ("/data/attributes/sip/contacts/0/uri", "can't be blank")]
    assert errors(api.post({**without, "sip": {"contacts": None}})) == [("/data/attributes/contact", "is invalid")]


def test_what_switches_extensions_on_is_taken(api):
    id = api.create()
    for uri in (FLOW, "<sip:{local};bnc>", '<sip:a@{local}>;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"'):
        assert write(api, id, {"contacts": [{"uri": uri}]}).status == 200
    assert write(api, id, {"contacts": [{"uri": "<sip:{local};bnc>"}], "from": "sip:other@h"}).status == 200


def test_operations_see_it_each_as_the_one_before_left_it(api, world):
    media = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'
    attributes = api.required(sip={"credentials": [{"realm": "r", "user": "u", "ha1": {"MD5": MD5}}]})
    operations = [{"op": "add", "data": {"type": "registrations", "lid": "x", "attributes": attributes}},
                  {"op": "update", "data": {"type": "registrations", "lid": "x", "attributes": {"sip": {"credentials": [
                      {"realm": "r", "user": "u", "ha1": {"MD5": MASK, "SHA-256": SHA256}}]}}}}]
    answer = api.call("POST", "/operations", {"atomic:operations": operations}, {"Content-Type": media, "Accept": media})
    assert answer.status == 200, answer.body
    id = answer.json["atomic:results"][0]["data"]["id"]
    assert spec(world, id)["credentials"][0]["ha1"].keys() == {"MD5", "SHA-256"}
    operations[1]["data"] = {"type": "registrations", "id": id, "attributes": {"sip": {"aor": 1}}}
    answer = api.call("POST", "/operations", {"atomic:operations": operations[1:]}, {"Content-Type": media, "Accept": media})
    assert answer.json["errors"][0]["source"]["pointer"] == "/atomic:operations/0/data/attributes/sip/aor"


def test_an_export_with_it_is_found_unchanged_and_makes_the_same_elsewhere(api, world, made):
    plain = api.create(auth_user="u", auth_password="p")
    names = ("name,domain,username,contact,display-username,enabled,expire,force-expire,max-attempts,route-set,retry-delay,"
             "sip-interface-name,sip-schema-id,auth-user,auth-password,transport-protocol,pop,node,sip")
    lines = export(api, f"?fields[registrations]={names}")
    assert [x["id"] for x in lines] == [made, plain]
    assert counts(send(api, lines)) == [2, 0, 0, 2, 0]
    lines[0]["attributes"]["sip"] = WHOLE  # with the secrets, which an export does not give
    del lines[0]["attributes"]["auth-password"]
    assert counts(send(api, lines)) == [2, 0, 0, 2, 0]
    lines[1]["attributes"] = {**lines[1]["attributes"], "auth-password": "p",
                              "sip": {**lines[1]["attributes"]["sip"], "credentials": [{"user": "u", "password": "p"}]}}
    other = world.api()
    assert counts(send(other, lines)) == [2, 2, 0, 0, 0]
    assert [x["attributes"] for x in export(other, f"?fields[registrations]={names}")] == \
        [x["attributes"] for x in export(api, f"?fields[registrations]={names}")]


def test_a_bad_line_of_an_import_says_where(api):
    bad, summary = report(send(api, [{"type": "registrations", "attributes": api.required(sip={"from": "x"})}]))
    assert summary["failed"] == 1 and bad[1]["errors"][0]["source"]["pointer"] == "/data/attributes/sip/from"


def test_it_is_no_key_to_sort_or_filter_by(api):
    assert api.get("/registrations?sort=sip").status == 400
    assert api.get("/registrations?filter[sip_eq]=x").status == 400


def test_a_condition_is_about_the_representation_that_was_asked_for(api, made):
    tag = api.get(f"/registrations/{made}?fields[registrations]=sip").header("etag")
    query, body = "?fields[registrations]=sip", api.resource({"sip": {"aor": "sip:x@h"}}, id=made)
    first = api.call("PATCH", f"/registrations/{made}{query}", body, {"If-Match": tag})
    assert first.status == 200 and first.attributes["sip"]["aor"] == "sip:x@h"
    assert api.call("PATCH", f"/registrations/{made}{query}", body, {"If-Match": tag}).status == 412
