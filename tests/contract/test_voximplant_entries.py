"""Contract voximplant 4.1, 4.2 and 3.1: types and forms of what is answered, and the constants of an account."""
import datetime
import json
import re
import time

import pytest

from voximplant_client import ENTRY, Vox, add_accounts, add_key, check_entry, new_vox, report

CONSTANTS = {"currency": "EUR", "balance": 12.5, "frozen": True, "subscription_price": "1.00",
             "next_subscription_renewal": "2026-02-01", "purchase_date": "2026-01-01 09:30:00"}
ODD = {"currency": 7, "balance": "much", "frozen": "no", "subscription_price": 2.50, "next_subscription_renewal": "soon",
       "purchase_date": "2026-01-01", "max_registrations": "many", "applications": {}}


def PRINCIPALS(document):
    add_accounts(document)
    document["accounts"] += [{"name": "constants", "number": 1, "voximplant": CONSTANTS}, {"name": "odd", "number": 2, "voximplant": ODD}]
    add_key(document, "constants", "constants")
    add_key(document, "odd", "odd")


@pytest.fixture
def vox(world):
    return new_vox(world)


@pytest.fixture(scope="module")
def full(world):
    """The row with every member that a successful one can have, and one that failed."""
    vox = new_vox(world)
    good = vox.create(sip_username="alice", proxy="sip.example.net", auth_user="alice", outbound_proxy="edge.example.net:5060",
                      password="x", application_name="pbx.acct.voximplant.com", rule_name="in", user_name="alice")
    bad = vox.create(application_id=12, rule_id=5, user_id=9)
    report(world, good)
    report(world, bad, "rejected", cause={"code": 403, "reason": "Forbidden", "by": "remote"})
    return vox.read(good), vox.read(bad)


# ---- 4.1: the table

@pytest.mark.parametrize("member", ENTRY)
def test_4_1_members_and_their_types(full, member):
    kind, always = ENTRY[member]
    rows = [row for row in full if member in row]
    assert rows and (len(rows) == 2 or not always)
    assert all(type(row[member]) is kind for row in rows)


def test_4_1_the_row_of_the_sample(full):
    """Contract 3.5's example, with what a registration of here has."""
    row = dict(full[0])
    for name in ("sip_registration_id", "last_updated", "next_subscription_renewal", "purchase_date"):
        row.pop(name)
    assert row == {"sip_username": "alice", "proxy": "sip.example.net", "auth_user": "alice", "outbound_proxy": "edge.example.net:5060",
                   "successful": True, "status_code": 200, "deactivated": False, "subscription_price": "0.00", "is_persistent": True,
                   "application_name": "pbx.acct.voximplant.com", "rule_name": "in", "user_name": "alice"}


def test_4_1_there_is_neither_in_progress_nor_a_password(full):
    assert all(not {"in_progress", "password", "auth_username", "username"} & set(row) for row in full)


def test_4_1_a_failure_has_its_code_and_message(full):
    assert (full[1]["successful"], full[1]["status_code"], full[1]["error_message"]) == (False, 403, "Forbidden")
    assert "error_message" not in full[0]


@pytest.mark.parametrize("cause, code, message", [
    ({"code": 503, "reason": "Service Unavailable", "warning": '399 h "x"', "by": "remote"}, 503, 'Service Unavailable (399 h "x")'),
    ({"code": 480, "by": "remote"}, 480, "SIP status 480"),
    ({"reason": "the name cannot be resolved", "by": "local"}, None, "the name cannot be resolved"),
    (None, None, "The registration failed"),
])
def test_4_1_messages_of_failures(vox, world, cause, code, message):
    id = vox.create()
    report(world, id, "retrying", **({"cause": cause} if cause else {}))
    row = vox.read(id)
    assert (row["successful"], row.get("status_code"), row["error_message"]) == (False, code, message)


@pytest.mark.parametrize("state", ["pending", "registering", "unregistering", "disabled", None])
def test_4_1_successful_is_absent_while_there_is_no_result(vox, world, state):
    id = vox.create()
    if state:
        report(world, id, state)
    assert not {"successful", "status_code", "error_message"} & set(vox.read(id))


@pytest.mark.parametrize("state, value", [("registered", True), ("retrying", False), ("rejected", False), ("given_up", False)])
def test_4_1_successful_by_state(vox, world, state, value):
    id = vox.create()
    report(world, id, state)
    assert vox.read(id)["successful"] is value


def test_4_1_last_updated_is_unix_seconds_of_configuration_or_report(vox, world):
    id = vox.create()
    began = vox.read(id)["last_updated"]
    assert abs(began - time.time()) < 5
    since = (began + 100) * 1000 + 999
    report(world, id, since_ms=since)
    assert vox.read(id)["last_updated"] == since // 1000
    report(world, id, since_ms=since - 1000000000)
    assert vox.read(id)["last_updated"] == began


def test_4_1_bound_members_are_there_only_when_bound(vox):
    assert not {n for n in vox.read(vox.create()) if n.startswith(("user_", "application_", "rule_"))}


# ---- 4.2: a decoder for each row

def decode_node(text):
    """No coercion: `result` must be an array; dates stay as they are."""
    return json.loads(text)["result"]


def decode_go(text):
    """Integral numbers, texts and flags of exactly their type, dates that parse; an empty date is an error."""
    for row in json.loads(text)["result"]:
        check_entry(row)
        datetime.datetime.strptime(row["purchase_date"], "%Y-%m-%d %H:%M:%S")
        datetime.datetime.strptime(row["next_subscription_renewal"], "%Y-%m-%d")
    assert not re.search(rb'"(last_updated|[a-z_]+_id|status_code)":[^,}]*[.eE"]', text)


def decode_python(text):
    """strptime on both dates; a null stops the conversion of what follows."""
    for row in json.loads(text)["result"]:
        time.strptime(row["next_subscription_renewal"], "%Y-%m-%d")
        time.strptime(row["purchase_date"], "%Y-%m-%d %H:%M:%S")


def decode_dotnet(text):
    """Members that may not be null."""
    assert b"null" not in text
    for row in json.loads(text)["result"]:
        assert {"next_subscription_renewal", "purchase_date", "deactivated", "is_persistent", "sip_registration_id"} <= set(row)


def decode_java(text):
    """The same two patterns; unknown members are ignored."""
    decode_python(text)


def decode_php(text):
    """Re-formats what is typed as a date."""
    for row in json.loads(text)["result"]:
        datetime.datetime.fromisoformat(row["next_subscription_renewal"] + " 00:00:00")


@pytest.mark.parametrize("decode", [decode_node, decode_go, decode_python, decode_dotnet, decode_java, decode_php])
def test_4_2_every_decoder_takes_every_row(vox, world, decode):
    ids = [vox.create(), vox.create(password="x", application_id=1, user_id=2), vox.create(is_persistent="false"),
           vox.create(outbound_proxy="sip:x@e.example.net", rule_id=3)]
    report(world, ids[1])
    report(world, ids[3], "retrying")
    text = vox.call("GetSipRegistrations").body
    decode(text)
    assert len(json.loads(text)["result"]) == 4


# ---- the subscription

def test_3_5_subscription_fields_follow_from_the_creation(vox, world):
    id = vox.create()
    created = int(world.redis.hget(world.key(id), "created_at"))
    row = vox.read(id)
    assert row["purchase_date"] == time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(created // 1000))
    assert row["subscription_price"] == "0.00"


def month_after(created, now):
    """The first day after today that is a whole number of months after the creation."""
    import calendar
    for months in range(1, 1000):
        month = created.month - 1 + months
        year, month = created.year + month // 12, month % 12 + 1
        day = datetime.date(year, month, min(created.day, calendar.monthrange(year, month)[1]))
        if day > now:
            return day
    raise AssertionError


@pytest.mark.parametrize("created", ["2026-11-21", "2024-02-29", "2025-01-31", "2025-12-31", "2020-01-01", "2026-10-30", "2024-03-30"])
def test_3_5_the_renewal_is_monthly(vox, world, created):
    id = vox.create()
    day = datetime.date.fromisoformat(created)
    stamp = int(datetime.datetime(day.year, day.month, day.day, 12, tzinfo=datetime.timezone.utc).timestamp() * 1000)
    world.redis.hset(world.key(id), "created_at", stamp)
    today = datetime.datetime.now(datetime.timezone.utc).date()
    assert vox.read(id)["next_subscription_renewal"] == month_after(day, today).isoformat()
    assert vox.read(id)["purchase_date"] == f"{created} 12:00:00"


def test_3_5_subscription_fields_can_be_configured(world):
    vox = Vox(world.gateway.port, 1, "constants")
    answer = vox.call("CreateSipRegistration", sip_username="x", proxy="sip.example.net")
    assert answer.json["account_info"] == {"account_id": 1, "balance": 12.5, "currency": "EUR", "frozen": True}
    row = vox.read(answer.json["sip_registration_id"])
    assert {k: v for k, v in row.items() if k in CONSTANTS} == {
        k: v for k, v in CONSTANTS.items() if k not in ("currency", "balance", "frozen")}


def test_constants_of_another_form_are_as_good_as_none(world):
    vox = Vox(world.gateway.port, 2, "odd")
    answer = vox.call("CreateSipRegistration", sip_username="x", proxy="sip.example.net", application_id=5)
    assert answer.json["account_info"] == {"account_id": 2, "balance": 0, "currency": "USD", "frozen": False}
    row = vox.read(answer.json["sip_registration_id"])
    assert row["subscription_price"] == "2.5" and row["purchase_date"].startswith("20")
