"""Contract ribbon 5: the table and its entry, each parameter with its default, its bounds and both sides of them; ids."""
import pytest
from ribbon_client import CONTACT, ENTRY, connect, entry_path, path

SLOTS = range(1, 9)
ORDER = ["AorType", "AOR", "AorTtl", "FailedRegistrationRetryTimer"] + [f"{p}{n}" for n in SLOTS
                                                                       for p in ("TTL", "Q", "URI")]
DEFAULTS = {"AorType": "1", "AorTtl": "3600", "FailedRegistrationRetryTimer": "120",
            **{f"TTL{n}": "64" for n in SLOTS}, **{f"Q{n}": "100" for n in SLOTS}, **{f"URI{n}": "" for n in SLOTS}}
INT_MAX = 2**31 - 1


@pytest.fixture
def ribbon(world):
    client = connect(world)
    client.make(path(CONTACT, 3), Description="c")
    return client


def refused(answer, code=20038, id="3:1"):
    assert answer.error == (500, code, f"{ENTRY}|{id}"), answer.text


# ---- 5.1 the table

@pytest.mark.parametrize("length,error", [(1, None), (64, None), (65, 20038), (0, 20039)])
def test_5_1_description_bounds(world, length, error):
    client = connect(world)
    answer = client.put(path(CONTACT, 1), Description="d" * length)
    if error:
        assert answer.error == (500, error, f"{CONTACT}|1")
    else:
        assert answer.item["Description"] == "d" * length


def test_5_1_description_is_required_on_create_only(ribbon):
    assert ribbon.put(path(CONTACT, 1)).error == (500, 20045, "")
    assert ribbon.post(path(CONTACT, 3)).item["Description"] == "c"
    assert ribbon.post(path(CONTACT, 3), Description="").error == (500, 20039, f"{CONTACT}|3")


@pytest.mark.parametrize("sequence", ["1,2,3", "", "nonsense"])
def test_5_1_sequence_is_accepted_and_ignored(ribbon, sequence):
    item = ribbon.make(path(CONTACT, 1), Description="d", Sequence=sequence)
    assert item.order == ["Description"]
    assert ribbon.post(path(CONTACT, 1), Sequence=sequence).item.order == ["Description"]


@pytest.mark.parametrize("text", ["a\nb", "a\tb\x01", "\x7f", b"\xff\xfe"])
def test_5_1_control_characters_and_bad_utf_8_are_refused(ribbon, text):
    answer = ribbon.put(path(CONTACT, 1), Description=text)
    assert answer.error == (500, 20038, f"{CONTACT}|1")


# ---- 5.2 the 28 parameters

def test_5_2_defaults(ribbon):
    item = ribbon.make(entry_path(3, 1), AOR="sip:4001")
    assert item.order == ORDER and len(ORDER) == 28
    assert item.values == {**DEFAULTS, "AOR": "sip:4001"}


def test_5_2_every_parameter_is_kept(ribbon):
    given = {"AorType": "3", "AOR": "sip:a@example.com:5062", "AorTtl": "7200", "FailedRegistrationRetryTimer": "30",
             **{f"TTL{n}": str(100 + n) for n in SLOTS}, **{f"Q{n}": str(10 * n) for n in SLOTS},
             **{f"URI{n}": f"user{n}" for n in SLOTS}}
    assert ribbon.make(entry_path(3, 1), **given).values == given
    assert ribbon.get(entry_path(3, 1)).item.values == given


NUMBERS = [("AorTtl", 1, INT_MAX), ("FailedRegistrationRetryTimer", 30, 86400),
           *((f"TTL{n}", 0, INT_MAX) for n in SLOTS), *((f"Q{n}", 0, 100) for n in SLOTS)]


@pytest.mark.parametrize("name,low,high", NUMBERS, ids=[n[0] for n in NUMBERS])
def test_5_2_bounds_of_numbers(ribbon, name, low, high):
    ribbon.make(entry_path(3, 1), AOR="sip:4001")
    for good in (low, high):
        assert ribbon.post(entry_path(3, 1), **{name: good}).item[name] == str(good)
    for bad in (low - 1, high + 1, 2**63, 2**64, "", "x", "1.5", "0x10", "1e2", " 50", "+50"):
        refused(ribbon.post(entry_path(3, 1), **{name: bad}))
        refused(ribbon.put(entry_path(3, 2), AOR="sip:1", **{name: bad}), id="3:2")
    assert ribbon.get(entry_path(3, 1)).item[name] == str(high)


@pytest.mark.parametrize("value,good", [("0", True), ("1", True), ("2", True), ("3", True), ("4", False), ("-1", False),
                                        ("", False), ("01", False), ("e_HostLocal", False)])
def test_5_2_aor_type_is_an_enum(ribbon, value, good):
    answer = ribbon.put(entry_path(3, 1), AOR="sip:a@example.com", AorType=value)
    if good:
        assert answer.item["AorType"] == value
    else:
        refused(answer)


def test_5_2_aor_absent_is_20045_and_empty_is_20039(ribbon):
    assert ribbon.put(entry_path(3, 1), AorTtl="60").error == (500, 20045, "")
    refused(ribbon.put(entry_path(3, 1), AOR=""), 20039)
    ribbon.make(entry_path(3, 1), AOR="sip:1")
    refused(ribbon.post(entry_path(3, 1), AOR=""), 20039)


@pytest.mark.parametrize("kind,aor", [
    (1, "sip:4001"), (1, "4001"), (1, "192.0.2.1"), (1, "sips:4001"), (1, "sip:+4930123"), (1, "Main Office"),
    (2, "sip:4001"), (2, "4001"), (1, "sip:4001@example.com"), (3, "sip:a@example.com"), (3, "sip:a@example.com:5070"),
    (3, "a@example.com"), (3, "sip:a@[2001:db8::1]"), (3, "SIP:a@192.0.2.1"), (0, "sip:4001"), (1, "sip:a%20b")])
def test_5_2_forms_of_an_aor(ribbon, kind, aor):
    assert ribbon.make(entry_path(3, 1), AOR=aor, AorType=kind)["AOR"] == aor


@pytest.mark.parametrize("kind,aor", [
    (3, "sip:4001"), (3, "4001"), (1, "tel:4001"), (1, "sip:"), (1, "sip:a b"), (3, "sip:@example.com"), (3, "sip:a@"),
    (3, "sip:a@b c"), (1, "http://x"), (1, "<sip:a>"), (3, "sip:a@b@c"), (1, "a\rb"), (3, "sip:a@example.com;x=y"),
    (1, "sip:a%00"), (1, "sip:a%0d")])
def test_5_2_what_is_no_aor(ribbon, kind, aor):
    refused(ribbon.put(entry_path(3, 1), AOR=aor, AorType=kind))


@pytest.mark.parametrize("field", ["AOR", "URI1"])
def test_5_2_what_its_escapes_make_too_long_for_sip(ribbon, field):
    fits = {"AOR": "sip:4001", field: "ü" * 150}
    assert ribbon.make(entry_path(3, 1), **fits)[field] == "ü" * 150
    refused(ribbon.post(entry_path(3, 1), **{field: "ü" * 200}))


def test_5_2_aor_type_3_needs_a_host_also_when_only_the_type_changes(ribbon):
    ribbon.make(entry_path(3, 1), AOR="sip:4001")
    refused(ribbon.post(entry_path(3, 1), AorType="3"))
    assert ribbon.post(entry_path(3, 1), AorType="3", AOR="sip:4001@h").item["AorType"] == "3"


@pytest.mark.parametrize("name", ["AOR", *(f"URI{n}" for n in SLOTS)])
def test_5_2_longest_texts(ribbon, name):
    given = {"AOR": "sip:4001", name: "u" * 512}
    assert ribbon.make(entry_path(3, 1), **given)[name] == "u" * 512
    refused(ribbon.post(entry_path(3, 1), **{name: "u" * 513}))


@pytest.mark.parametrize("uri,good", [
    ("4001", True), ("sip:4001", True), ("sip:4001@192.0.2.1", True), ("sips:4001@h:5061", True),
    ("sip:4001@h;transport=tcp", True), ("<sip:4001@h>", True), ("4001@h", True), ("", True), ("a b", True),
    ("sip:a b@h", False), ("http:x", False), ("sip:@h", False), ("sip:a@@h", False), ("a\nb", False), ("<x", False)])
def test_5_2_forms_of_a_uri(ribbon, uri, good):
    answer = ribbon.put(entry_path(3, 1), AOR="sip:4001", URI1=uri)
    if good:
        assert answer.item["URI1"] == uri
    else:
        refused(answer)


def test_5_2_an_absent_required_parameter_with_a_default_gets_it(ribbon):
    assert ribbon.make(entry_path(3, 1), AOR="sip:1")["FailedRegistrationRetryTimer"] == "120"


def test_5_2_unknown_parameters_are_ignored(ribbon):
    item = ribbon.make(entry_path(3, 1), AOR="sip:1", Uri1="x", Sequence="1", Zzz="y", URI9="z")
    assert item.order == ORDER and item["URI1"] == ""


def test_5_2_post_of_a_subset_leaves_the_others(ribbon):
    made = ribbon.make(entry_path(3, 1), AOR="sip:1", URI1="a", Q1="50", TTL1="300", AorTtl="600")
    assert ribbon.post(entry_path(3, 1), Q1="60").item.values == {**made.values, "Q1": "60"}
    assert ribbon.post(entry_path(3, 1)).item.values == {**made.values, "Q1": "60"}


def test_5_2_post_of_the_full_set(ribbon):
    made = ribbon.make(entry_path(3, 1), AOR="sip:1", URI1="a")
    assert ribbon.post(entry_path(3, 1), **made.values).item.values == made.values


def test_5_2_a_text_can_be_emptied(ribbon):
    ribbon.make(entry_path(3, 1), AOR="sip:1", URI1="a")
    assert ribbon.post(entry_path(3, 1), URI1="").item["URI1"] == ""


def test_5_2_a_refused_write_changes_nothing(ribbon):
    made = ribbon.make(entry_path(3, 1), AOR="sip:1")
    refused(ribbon.post(entry_path(3, 1), AorTtl="60", Q1="101"))
    assert ribbon.get(entry_path(3, 1)).item.values == made.values


# ---- 5.3 ids

@pytest.mark.parametrize("id,error", [("0", 20036), ("00", 20036), ("x", 20036), ("1x", 20036), ("-1", 20036),
                                      ("1.0", 20036), ("%31", 20036), ("65535", 20031), ("65536", 20031),
                                      ("18446744073709551616", 20031), ("99999999999999999999999", 20031)])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_5_3_bad_ids(ribbon, method, id, error):
    body = {"AOR": "sip:1", "Description": "d"}
    assert ribbon.call(method, entry_path(3, id), body).error == (400, error, "")
    if id != "65535":
        assert ribbon.call(method, path(CONTACT, id), body).error == (400, error, "")
        assert ribbon.call(method, entry_path(id, 1), body).error == (400, error, "")


@pytest.mark.parametrize("id", [1, 65534])
def test_5_3_lowest_and_highest_ids(ribbon, id):
    assert ribbon.make(path(CONTACT, id), Description="d").id == str(id)
    assert ribbon.make(entry_path(id, id), AOR="sip:1").id == f"{id}:{id}"


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("target", [path(CONTACT), path(CONTACT, 3, ENTRY)])
def test_5_3_a_missing_id(ribbon, method, target):
    assert ribbon.call(method, target, {"Description": "d"}).error == (400, 20036, "")


def test_5_3_put_on_an_existing_id(ribbon):
    ribbon.make(entry_path(3, 1), AOR="sip:1")
    assert ribbon.put(entry_path(3, 1), AOR="sip:2").error == (500, 20013, f"3:1|{ENTRY}")
    assert ribbon.put(path(CONTACT, 3), Description="d").error == (500, 20013, f"3|{CONTACT}")
    assert ribbon.get(entry_path(3, 1)).item["AOR"] == "sip:1"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_5_3_absent_ids(ribbon, method):
    assert ribbon.call(method, entry_path(3, 9), {"AOR": "sip:1"}).error == (404, 20012, f"3:9|{ENTRY}")
    assert ribbon.call(method, path(CONTACT, 9), {"Description": "d"}).error == (404, 20012, f"9|{CONTACT}")


def test_4_an_absent_table(ribbon):
    assert ribbon.get(path(CONTACT, 9, ENTRY)).error == (404, 20012, f"9|{CONTACT}")
    assert ribbon.put(entry_path(9, 1), AOR="sip:1").error == (404, 20012, f"9|{CONTACT}")
    assert ribbon.get(entry_path(9, 1)).error == (404, 20012, f"9:1|{ENTRY}")


def test_4_delete_of_what_is_absent_is_500_by_default(ribbon):
    assert ribbon.delete(entry_path(3, 9)).error == (500, 20012, f"3:9|{ENTRY}")
    assert ribbon.delete(path(CONTACT, 9)).error == (500, 20012, f"9|{CONTACT}")


def test_4_delete_then_put_again(ribbon):
    ribbon.make(entry_path(3, 1), AOR="sip:1", URI1="a")
    assert ribbon.delete(entry_path(3, 1)).done
    assert ribbon.get(entry_path(3, 1)).app == 20012
    assert ribbon.make(entry_path(3, 1), AOR="sip:2").values == {**DEFAULTS, "AOR": "sip:2"}


def test_4_delete_of_a_table_takes_its_entries(ribbon):
    ribbon.make(entry_path(3, 1), AOR="sip:1")
    assert ribbon.delete(path(CONTACT, 3)).done
    assert ribbon.get(entry_path(3, 1)).app == 20012
    ribbon.make(path(CONTACT, 3), Description="again")
    assert ribbon.get(path(CONTACT, 3, ENTRY)).links == []
