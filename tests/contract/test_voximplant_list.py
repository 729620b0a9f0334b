"""Contract voximplant 3.5, 4.3, 4.4 and 4.6: GetSipRegistrations with every filter, its lists and its pages."""
import pytest

from voximplant_client import add_accounts, dotnet, go, json_object, new_vox, node, python, report

PRINCIPALS = add_accounts


@pytest.fixture
def vox(world):
    return new_vox(world)


@pytest.fixture(scope="module")
def four(world):
    """Registrations of one account that differ in everything; tests only read them. a, b, c, d by name."""
    vox = new_vox(world)
    yeti = world.api(vox.user)
    ids = {
        "a": vox.create(sip_username="alice", proxy="a.example.net", application_id=12, rule_id=5, user_id=9),
        "b": vox.create(sip_username="bob", proxy="b.example.net:5070", application_id=13, rule_id=6, user_id=10, is_persistent="false"),
        "c": vox.create(sip_username="Alice", proxy="sip:c.example.net;transport=tcp", application_name="pbx", rule_name="in",
                        user_name="carol"),
        "d": vox.create(sip_username="alice", proxy="A.example.net"),
    }
    assert yeti.patch(ids["d"], {"enabled": False}).status == 200
    report(world, ids["a"])
    report(world, ids["b"], "rejected", cause={"code": 403, "reason": "Forbidden", "by": "remote"})
    report(world, ids["c"], "retrying", cause={"code": 503, "reason": "Service Unavailable", "by": "remote"})
    report(world, ids["d"], "disabled", next_at_ms=0)
    return vox, ids


def names(four, **filters):
    vox, ids = four
    found = vox.ids(**filters)
    return "".join(sorted(name for name, id in ids.items() if id in found))


FILTERS = [
    ({}, "abcd"),
    ({"sip_username": "alice"}, "ad"), ({"sip_username": "Alice"}, "c"), ({"sip_username": "ali"}, ""),
    ({"deactivated": "true"}, "d"), ({"deactivated": "false"}, "abc"),
    ({"successful": "true"}, "a"), ({"successful": "false"}, "bc"),
    ({"is_persistent": "true"}, "acd"), ({"is_persistent": "false"}, "b"),
    ({"is_bound_to_application": "true"}, "abc"), ({"is_bound_to_application": "false"}, "d"),
    ({"application_id": "12"}, "a"), ({"application_id": "12;13"}, "ab"), ({"application_id": "12; 13;99"}, "ab"),
    ({"application_name": "pbx"}, "c"), ({"application_name": "x;pbx"}, "c"), ({"application_name": "x"}, ""),
    ({"rule_id": "5"}, "a"), ({"rule_id": "5;6"}, "ab"), ({"rule_name": "in"}, "c"), ({"rule_name": "in;out"}, "c"),
    ({"user_id": "9"}, "a"), ({"user_id": "9;10"}, "ab"), ({"user_id": "11"}, ""),
    ({"user_name": "carol"}, "c"), ({"user_name": "carol;dave"}, "c"), ({"userName": "carol"}, "c"), ({"userName": "dave"}, ""),
    ({"proxy": "a.example.net"}, "ad"), ({"proxy": "b.example.net:5070"}, "b"), ({"proxy": "b.example.net"}, ""),
    ({"proxy": "a.example.net;b.example.net:5070"}, "abd"), ({"proxy": "c.example.net"}, "c"),
    ({"proxy": "sip:c.example.net"}, "c"), ({"proxy": "no proxy"}, ""), ({"proxy": "no proxy;c.example.net"}, "c"),
    ({"status_code": "200"}, "a"), ({"status_code": "403"}, "b"), ({"status_code": "200;403"}, "ab"),
    ({"status_code": "400:499"}, "b"), ({"status_code": "200;400:499"}, "ab"), ({"status_code": "200:503"}, "abc"),
    ({"status_code": "404"}, ""), ({"status_code": "503:200"}, ""),
    ({"in_progress": "false"}, "abcd"), ({"in_progress": "true"}, ""),
    # several together
    ({"sip_username": "alice", "successful": "true"}, "a"), ({"sip_username": "alice", "proxy": "a.example.net"}, "ad"),
    ({"user_id": "9", "application_id": "13"}, ""), ({"user_id": "9", "application_id": "12", "rule_id": "5"}, "a"),
    ({"sip_username": "bob", "proxy": "b.example.net:5070", "user_id": "10", "status_code": "403", "is_persistent": "false"}, "b"),
    # no filter
    ({"application_id": "any"}, "abcd"), ({"application_id": "all"}, "abcd"), ({"application_id": "ANY", "application_name": "pbx"}, "c"),
    ({"rule_id": "any", "user_id": "any"}, "abcd"), ({"rule_name": "all", "user_name": "any"}, "abcd"), ({"proxy": "any"}, "abcd"),
    ({"status_code": "any"}, "abcd"), ({"userName": "all"}, "abcd"),
    ({k: "" for k in ("sip_registration_id", "sip_username", "deactivated", "successful", "is_persistent", "application_id",
                      "application_name", "is_bound_to_application", "rule_id", "rule_name", "user_id", "user_name", "proxy",
                      "in_progress", "status_code", "count", "offset")}, "abcd"),
    ({"application_id": "12", "application_name": ""}, "a"), ({"application_id": ";12;;"}, "a"),
]


@pytest.mark.parametrize("filters, want", FILTERS, ids=[str(f)[:90] for f, _ in FILTERS])
def test_3_5_filters(four, filters, want):
    assert names(four, **filters) == want


def test_3_5_sip_registration_id_is_a_filter(four):
    vox, ids = four
    assert vox.ids(sip_registration_id=ids["b"]) == [ids["b"]]
    assert vox.ids(sip_registration_id=ids["b"], sip_username="bob") == [ids["b"]]
    assert vox.ids(sip_registration_id=ids["b"], sip_username="alice") == []
    assert vox.ids(sip_registration_id=ids["b"], user_id=9) == []
    assert vox.ids(sip_registration_id=987654321) == []


def test_3_5_in_progress_is_what_has_no_settled_result_yet(vox, world):
    waiting, under_way, behind, done, off = (vox.create() for _ in range(5))
    idle = vox.create(is_persistent="false")
    report(world, under_way, "registering")
    report(world, behind, revision=1)
    report(world, done)
    report(world, off, "unregistering")
    assert vox.ids(in_progress="true") == [waiting, under_way, behind, off]
    assert vox.ids(in_progress="false") == [done, idle]


def test_3_5_a_report_that_ran_out_is_neither_success_nor_failure(vox, world):
    id = vox.create()
    report(world, id, expires_at_ms=1000, next_at_ms=1000)
    row = vox.read(id)
    assert "successful" not in row and "status_code" not in row
    assert vox.ids(successful="true") == vox.ids(successful="false") == []


# ---- pages

@pytest.fixture(scope="module")
def many(world):
    vox = new_vox(world)
    return vox, [vox.create(sip_username=f"n{i % 2}") for i in range(25)]


@pytest.mark.parametrize("page, want", [
    ({}, slice(0, 20)), ({"count": 5}, slice(0, 5)), ({"offset": 20}, slice(20, 25)), ({"count": 5, "offset": 10}, slice(10, 15)),
    ({"count": 1000000}, slice(0, 25)), ({"offset": 25}, slice(25, 25)), ({"offset": 10 ** 12}, slice(25, 25)),
    ({"count": 0}, slice(0, 0)), ({"count": 3, "offset": 24}, slice(24, 25))], ids=str)
def test_3_5_pages_in_ascending_order_of_ids(many, page, want):
    vox, ids = many
    answer = vox.call("GetSipRegistrations", **page)
    assert [r["sip_registration_id"] for r in answer.result] == ids[want]
    assert list(answer.json) == ["result", "count", "total_count"]
    assert (answer.json["count"], answer.json["total_count"]) == (len(ids[want]), 25)


@pytest.mark.parametrize("filters", [{"sip_username": "n0"}, {"deactivated": "false", "sip_username": "n0"}], ids=str)
def test_3_5_pages_of_what_is_filtered(many, filters):
    vox, ids = many
    whole = ids[0::2]
    for offset in range(0, 14, 4):
        answer = vox.call("GetSipRegistrations", count=4, offset=offset, **filters)
        assert [r["sip_registration_id"] for r in answer.result] == whole[offset:offset + 4]
        assert answer.json["total_count"] == 13


def test_3_5_without_any_parameter(vox):
    """The documented example; by two clients it cannot be sent, which is why rules and users are not required."""
    assert vox.call("GetSipRegistrations").json == {"result": [], "count": 0, "total_count": 0}


# ---- 4.3

@pytest.mark.parametrize("word, value", [("true", True), ("false", False), ("True", True), ("False", False), ("TRUE", True),
                                         ("1", True), ("0", False)])
def test_4_3_every_form_of_a_flag(vox, word, value):
    assert vox.read(vox.create(is_persistent=word))["is_persistent"] is value


# ---- 4.6

def test_4_6_empty_fields_of_go_are_absent(four):
    vox, ids = four
    assert [r["sip_registration_id"] for r in vox.call("GetSipRegistrations", go).result] == sorted(ids.values())


def test_4_6_the_required_arguments_of_python_and_dotnet(four):
    vox, ids = four
    for form in (python, dotnet):
        answer = vox.call("GetSipRegistrations", form, rule_id="any", user_id="any")
        assert [r["sip_registration_id"] for r in answer.result] == sorted(ids.values())


def test_8_the_observed_request(vox):
    """Contract 8, with ids that exist here."""
    fields = {"application_id": "1;2", "rule_id": "any", "userName": "bob", "deactivated": "false", "status_code": "200;400:499",
              "count": "5", "offset": "0"}
    assert vox.call("GetSipRegistrations", node, **fields).json == {"result": [], "count": 0, "total_count": 0}


def test_lists_in_json(four):
    vox, ids = four
    answer = vox.call("GetSipRegistrations", json_object, application_id="12;13", successful="true")
    assert [r["sip_registration_id"] for r in answer.result] == [ids["a"]]


@pytest.mark.parametrize("name", ["proxy", "user_id", "user_name", "application_id", "application_name", "rule_id", "rule_name",
                                  "status_code", "userName"])
def test_3_5_a_list_is_bounded(vox, name):
    """Each registration is compared with every value: without a bound one request would hold up all others."""
    vox.create()
    assert vox.list(**{name: ";".join(["7"] * 1000)}) == []
    code, text = vox.call("GetSipRegistrations", **{name: ";".join(["7"] * 1001)}).error
    assert code == 101 and name in text and "1000" in text
