"""Contract ribbon 3.1, 7 and 11, switched: clean XML, the transport's status, CSRF enforced, other defaults, ids and sizes, an
absent object's number."""
import xml.etree.ElementTree as ElementTree

import pytest
from ribbon_client import (CONTACT, CREDENTIALS, ENTRY, SERVERS, Ribbon, connect, credential_path, entry_path, path,
                           server_path)

GATEWAY = {"ROLLCALL_RIBBON_XML": "clean", "ROLLCALL_RIBBON_STATUS_200": "false", "ROLLCALL_RIBBON_CSRF": "true",
           "ROLLCALL_RIBBON_DELETE_ABSENT": "404",
           "ROLLCALL_RIBBON_AOR_TTL": "60", "ROLLCALL_RIBBON_TTL": "0", "ROLLCALL_RIBBON_TABLE_IDS": "20",
           "ROLLCALL_RIBBON_ENTRY_IDS": "30", "ROLLCALL_RIBBON_TABLES": "3", "ROLLCALL_RIBBON_ENTRIES": "2",
           "ROLLCALL_FAILED_LOGINS": "2", "ROLLCALL_REQUEST_RATE": "1000", "ROLLCALL_TRUST_FORWARDED": "true"}
SWITCHED = {"layout": "clean", "status_follows": True}


@pytest.fixture
def ribbon(world):
    client = connect(world, **SWITCHED)
    client.send_csrf = True
    return client


def test_3_1_clean_answers_are_xml_as_they_are(ribbon):
    for answer in (ribbon.get(path(CONTACT)), ribbon.get("/zzz")):
        assert answer.text.startswith("<?xml version=\"1.0\"?>\n<root>\n")
        ElementTree.fromstring(answer.text)


@pytest.mark.parametrize("call,status", [
    (lambda r: r.get(path(CONTACT)), 200), (lambda r: r.get("/zzzz"), 404), (lambda r: r.get(path(CONTACT), "?details=True"), 400),
    (lambda r: r.call("GET", path(CONTACT), headers={"Cookie": None}), 401), (lambda r: r.put(path(CONTACT, 1)), 500)],
    ids=["200", "404", "400", "401", "500"])
def test_11_the_transports_status_follows_the_http_code(ribbon, call, status):
    """7 and 11: a real 404, as some firmware gives; 200 with everything is the default."""
    assert call(ribbon).status == status


@pytest.mark.parametrize("header", [None, "", "wrong"])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_2_2_csrf_enforced(ribbon, method, header):
    assert ribbon.call(method, path(CONTACT, 1), headers={"X-CSRF-Token": header}).error == (401, 20032, "")


def test_2_2_csrf_with_the_token_of_the_session(ribbon):
    assert ribbon.get(path(CONTACT)).http_code == 200


def test_2_2_over_tls_cookies_are_secure_and_addresses_https(world, ribbon):
    """Told by a proxy on this machine, as the gateway's own TLS tells it."""
    https = {"X-Forwarded-Proto": "https"}
    body = {"Username": f"user{ribbon.number}", "Password": world.stack.password}
    answer = ribbon.call("POST", "/login", body, headers=https)
    assert answer.cookie("PHPSESSID").endswith("; path=/; secure; HttpOnly")
    assert answer.cookie("csrfp_token").endswith("; path=/; secure")
    assert ribbon.call("GET", path(CONTACT), headers=https).list.get("href").startswith("https://")


def test_11_default_ttls(ribbon):
    ribbon.make(path(CONTACT, 1), Description="c")
    item = ribbon.make(entry_path(1, 1), AOR="sip:1")
    assert item["AorTtl"] == "60" and {item[f"TTL{n}"] for n in range(1, 9)} == {"0"}


@pytest.mark.parametrize("target,error", [
    (path(CONTACT, 20), 200), (path(CONTACT, 21), 20031), (path(SERVERS, 21), 20031), (path(CREDENTIALS, 21), 20031)])
def test_11_ids_of_tables(ribbon, target, error):
    answer = ribbon.put(target, Description="c")
    assert (answer.app or answer.http_code) == error


@pytest.mark.parametrize("entry,error", [(30, 200), (31, 20031)])
def test_11_ids_of_entries(ribbon, entry, error):
    ribbon.make(path(CONTACT, 1), Description="c")
    answer = ribbon.put(entry_path(1, entry), AOR="sip:1")
    assert (answer.app or answer.http_code) == error


def test_7_14025_too_many_tables(ribbon):
    for kind in (CONTACT, SERVERS, CREDENTIALS):
        for i in (1, 2, 3):
            ribbon.make(path(kind, i), Description="c")
        assert ribbon.put(path(kind, 4), Description="c").error == (500, 14025, f"{kind}|3")


def test_7_14025_too_many_rows(ribbon):
    ribbon.make(path(CONTACT, 1), Description="c")
    ribbon.make(path(SERVERS, 1), Description="s")
    ribbon.make(path(CREDENTIALS, 1), Description="a")
    for make, name in ((lambda i: ribbon.put(entry_path(1, i), AOR="sip:1"), ENTRY),
                       (lambda i: ribbon.put(server_path(1, i), Host="h"), "sipserver"),
                       (lambda i: ribbon.put(credential_path(1, i), User="u", EncryptedPassword="p"),
                        "sipremoteauthentry")):
        assert make(1).http_code == make(2).http_code == 200
        assert make(3).error == (500, 14025, f"{name}|2")
        assert make(2).app == 20013, "that it is there is told first"


@pytest.mark.parametrize("target", [path(CONTACT, 9), entry_path(9, 9), path(SERVERS, 9), server_path(9, 9),
                                    path(CREDENTIALS, 9), credential_path(9, 9), entry_path(65535, 9)])
def test_11_deleting_what_is_absent_is_404(ribbon, target):
    parts = target.split("/")
    id = ":".join(parts[2::2])
    assert ribbon.delete(target).error == (404, 20012, f"{id}|{parts[-2]}")


def test_failed_logins_are_throttled_by_name(world):
    number = next(world.users)
    for _ in range(2):
        assert Ribbon(world.gateway.port, **SWITCHED).login(f"user{number}", "wrong").app == 3007
    answer = Ribbon(world.gateway.port, **SWITCHED).login(f"user{number}", world.stack.password)
    assert answer.error == (429, 20000, "Too many failed logins; come again later.")
