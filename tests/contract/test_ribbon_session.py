"""Contract ribbon 1 and 2: transport, URL conventions, what must be tolerated, login, session, logout."""
import json
import re
import socket
import time

import pytest
from ribbon_client import CONTACT, ENTRY, HOST, Ribbon, connect, entry_path, path
from stack import wait_for

GATEWAY = {"ROLLCALL_RIBBON_SESSION_IDLE": "2"}


def PRINCIPALS(document):
    document["users"].append({**document["users"][0], "id": 901, "username": "reader", "account": "reading",
                              "roles": ["support"]})
    document["users"].append({**document["users"][0], "id": 902, "username": "writer", "account": "reading",
                              "roles": ["developer"]})
    document["users"].append({**document["users"][0], "id": 903, "username": "leaver", "account": "leaving"})


@pytest.fixture
def ribbon(world):
    return connect(world)


@pytest.fixture
def stranger(world):
    return Ribbon(world.gateway.port)


# ---- 1: conventions and what must be tolerated

@pytest.mark.parametrize("prefix", ["//rest", "///rest", "/rest/", "/rest//"])
def test_1_doubled_slashes(ribbon, prefix):
    assert ribbon.call("GET", path(CONTACT), prefix=prefix).links == []


def test_1_doubled_slashes_of_every_method(ribbon):
    for method, body in (("PUT", {"Description": "c"}), ("POST", {"Description": "d"}), ("GET", None), ("DELETE", None)):
        assert ribbon.call(method, path(CONTACT, 1), body, prefix="//rest").http_code == 200, method
    assert ribbon.call("POST", "/logout", "", prefix="//rest").done


@pytest.mark.parametrize("method,suffix", [("GET", "/?details=true"), ("GET", "/")])
def test_1_trailing_slash_before_the_query(ribbon, method, suffix):
    assert ribbon.call(method, path(CONTACT) + suffix).http_code == 200


@pytest.mark.parametrize("target,error", [(path(CONTACT), (400, 20046, "refresh")), ("/adconfig", (404, 20012, "|adconfig"))])
def test_1_trailing_slash_before_an_action(ribbon, target, error):
    assert ribbon.call("POST", target + "/?action=refresh", "").error == error


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/x-www-form-urlencoded",
                                    "application/vnd.ribbon.elements+xml", "text/html;q=0", "?"])
def test_1_any_accept_is_never_406(ribbon, accept):
    assert ribbon.call("GET", path(CONTACT), headers={"Accept": accept}).http_code == 200


@pytest.mark.parametrize("kind", [None, "application/x-www-form-urlencoded; charset=utf-8", "text/plain",
                                  "application/json"])
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_1_form_bodies_whatever_their_content_type(ribbon, method, kind):
    if method == "POST":
        ribbon.make(path(CONTACT, 7), Description="before")
    answer = ribbon.call(method, path(CONTACT, 7), {"Description": "a b"}, headers={"Content-Type": kind})
    assert answer.item["Description"] == "a b"


def test_1_login_with_a_charset(world, stranger):
    body = f"Username=user5&Password={world.stack.password}"
    kind = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert stranger.call("POST", "/login", body, headers=kind).done


@pytest.mark.parametrize("raw,value", [
    ("Description=two words", "two words"),
    (r"Description=back\slash", r"back\slash"),
    ("Description=100% sure", "100% sure"),
    ("Description=a%2", "a%2"),
    ("Description=a%zz", "a%zz"),
    ("Description=a%00b c", "a%00b c"),
    ("Description=a+b", "a b"),
    ("Description=sip:+1", "sip:+1"),
    ("Description=a=b", "a=b"),
    ("&&Description=x&", "x"),
    ("Description=first&Description=last", "last"),
])
def test_1_raw_bodies_are_taken_as_they_are_meant(ribbon, raw, value):
    assert ribbon.call("PUT", path(CONTACT, 1), raw).item["Description"] == value


def test_1_a_raw_telephone_number_keeps_its_plus(ribbon):
    ribbon.make(path(CONTACT, 1), Description="c")
    answer = ribbon.call("PUT", entry_path(1, 1), "AorType=3&AOR=sip:+17324609000@example.com&URI1=sip:+1@h")
    assert answer.item["AOR"] == "sip:+17324609000@example.com"
    assert answer.item["URI1"] == "sip:+1@h"


@pytest.mark.parametrize("pairs,error", [(256, None), (257, 20038)])
def test_1_more_pairs_than_anybody_needs_are_refused(ribbon, pairs, error):
    body = "&".join(["x=y"] * (pairs - 1) + ["Description=d"])
    assert ribbon.call("PUT", path(CONTACT, 1), body).app == error


def test_1_expect_100_continue(ribbon):
    answer = ribbon.call("PUT", path(CONTACT, 1), {"Description": "c"}, headers={"Expect": "100-continue"})
    assert answer.item["Description"] == "c"


def test_1_who_waits_for_100_continue_gets_it(world, ribbon):
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=10) as s:
        s.sendall(f"PUT /rest/{CONTACT}/1 HTTP/1.1\r\nHost: h\r\nCookie: PHPSESSID={ribbon.session}\r\nExpect: 100-continue\r\n"
                  "Content-Length: 13\r\n\r\n".encode())
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"Description=c")
        assert b"<Description>c</Description>" in s.recv(10000)


@pytest.mark.parametrize("form", ["PHPSESSID={}; path=/; secure; HttpOnly", "csrfp_token=x; path=/, PHPSESSID={}; path=/",
                                  "PHPSESSID={}; path=/; HttpOnly, csrfp_token=y; path=/", "PHPSESSID={}"])
def test_1_a_set_cookie_echoed_back_whole(ribbon, form):
    answer = ribbon.call("GET", path(CONTACT), headers={"Cookie": form.format(ribbon.session)})
    assert answer.http_code == 200, answer.text


def test_1_delete_with_an_empty_body_and_a_form_content_type(ribbon):
    ribbon.make(path(CONTACT, 1), Description="c")
    assert ribbon.call("DELETE", path(CONTACT, 1), "").done


def test_1_values_of_the_query_are_case_sensitive(ribbon):
    assert ribbon.get(path(CONTACT), "?details=True").error == (400, 20035, "")


def test_1_names_in_the_body_are_case_sensitive(ribbon):
    assert ribbon.put(path(CONTACT, 1), description="c").error == (500, 20045, "")


def test_1_a_change_is_live_at_once(ribbon):
    ribbon.make(path(CONTACT, 1), Description="c")
    assert ribbon.get(path(CONTACT, 1)).item["Description"] == "c"


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS"])
def test_1_other_methods(ribbon, method):
    assert ribbon.call(method, path(CONTACT)).error == (400, 20034, "")


@pytest.mark.parametrize("target", [path(CONTACT), path(CONTACT, 65535, ENTRY), path(CONTACT, 9)])
def test_1_head_is_answered_like_get_without_a_body(ribbon, target):
    ribbon.connection.request("HEAD", "/rest" + target, headers={"Cookie": f"PHPSESSID={ribbon.session}"})
    answer = ribbon.connection.getresponse()
    assert answer.status == 200 and answer.read() == b""
    assert ribbon.get(path(CONTACT)).http_code == 200, "the connection is fit for the next request"


# ---- 2.1 login

def test_2_1_accepted(world, stranger):
    answer = stranger.login("user3", world.stack.password)
    assert answer.done
    assert stranger.get(path(CONTACT)).http_code == 200


@pytest.mark.parametrize("name,password", [("user3", "wrong"), ("nobody", "wrong"), ("user3", "")])
def test_2_1_refused_is_500_with_3007_and_the_user(stranger, name, password):
    answer = stranger.login(name, password)
    assert answer.error == (500, 3007, name)
    assert answer.cookie("PHPSESSID") is None


def test_2_1_an_empty_name_is_an_unknown_user(stranger):
    assert stranger.login("", "x").error == (500, 3010, "")


def test_2_1_a_user_who_may_not_come_from_here(world, stranger):
    assert stranger.login("elsewhere", world.stack.password).error == (500, 3033, "elsewhere")


@pytest.mark.parametrize("body", ["", "Username=user3", "Password=x", "username=user3&password=x"])
def test_2_1_missing_parameters(stranger, body):
    assert stranger.call("POST", "/login", body).error == (500, 20045, "")


@pytest.mark.parametrize("name,password,error", [
    ("n" * 256, "x", 3007), ("n" * 257, "x", 20038), ("user3", "p" * 128, 3007), ("user3", "p" * 129, 20038)])
def test_2_1_limits_of_name_and_password(stranger, name, password, error):
    assert stranger.login(name, password).app == error


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_2_1_other_methods_of_login(stranger, method):
    assert stranger.call(method, "/login").error == (400, 20034, "")


def test_2_1_a_bar_in_a_name_does_not_make_two_parameters(stranger):
    assert stranger.login("a|b", "x").params == "a/b"


# ---- 2.2 cookies and the session

def test_2_2_both_cookies(world, stranger):
    answer = stranger.login("user3", world.stack.password)
    assert re.fullmatch(r"PHPSESSID=[0-9a-f]{41}; path=/; HttpOnly", answer.cookie("PHPSESSID"))
    assert re.fullmatch(r"csrfp_token=[0-9a-f]{40}; path=/", answer.cookie("csrfp_token"))


def test_2_2_the_session_id_begins_with_its_shard(world, ribbon):
    keys = [k for k in world.redis.scan_iter("rc:*") if ribbon.session in k]
    assert len(keys) == 1
    assert keys[0].startswith("rc:{s%d}:" % int(ribbon.session[0], 16))


@pytest.mark.parametrize("cookie", [None, "PHPSESSID=", "PHPSESSID=zz", "PHPSESSID=" + "0" * 41, "PHPSESSID=" + "0" * 40,
                                    "phpsessid=" + "0" * 41, "PHPSESSID=../../x", "PHPSESSID={s0}" + "0" * 37])
def test_2_2_no_valid_session(stranger, cookie):
    answer = stranger.call("GET", path(CONTACT), headers={"Cookie": cookie})
    assert answer.error == (401, 20032, "")


@pytest.mark.parametrize("target", ["", "/", "/zzzz", "/zzzz/1", path(CONTACT, 1), path(CONTACT, 0)])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_2_2_without_a_session_nothing_else_is_told(stranger, method, target):
    assert stranger.call(method, target).error == (401, 20032, "")


def test_2_2_csrf_is_not_enforced_by_default(ribbon):
    for header in (None, "wrong", ribbon.csrf):
        assert ribbon.call("GET", path(CONTACT), headers={"X-CSRF-Token": header}).http_code == 200


def test_2_2_idle_expiry_counts_from_the_last_request(ribbon):
    begin = time.monotonic()
    wait_for(lambda: ribbon.get(path(CONTACT)).http_code == 200 and time.monotonic() - begin > 2.5, 5, "a used session",
             every=0.2)
    idle = time.monotonic()
    wait_for(lambda: time.monotonic() - idle > 2.2, 5, "the idle time to be over")
    assert ribbon.get(path(CONTACT)).error == (401, 20032, "")


def test_2_2_a_session_of_a_user_who_is_gone_or_has_a_new_password_ends(world):
    leaver = Ribbon(world.gateway.port)
    assert leaver.login("leaver", world.stack.password).done
    file = world.stack.principals_file
    document = json.loads(file.read_text())
    [user] = [u for u in document["users"] if u["username"] == "leaver"]
    user["password"] = user["credentials_md5"]  # a hash of something else
    file.write_text(json.dumps(document))
    world.gateway.signal(1)
    wait_for(lambda: leaver.get(path(CONTACT)).http_code == 401, 5, "the session to end")


# ---- 2.3 logout

def test_2_3_logout_ends_the_session(ribbon):
    assert ribbon.call("POST", "/logout", "").done
    assert ribbon.get(path(CONTACT)).error == (401, 20032, "")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_2_3_other_methods_of_logout(ribbon, method):
    assert ribbon.call(method, "/logout").error == (400, 20034, "")


def test_2_3_logout_without_a_session(stranger):
    assert stranger.call("POST", "/logout", "").error == (401, 20032, "")


# ---- who may what

def test_roles_a_reader_reads_and_does_not_write(world):
    reader, writer = Ribbon(world.gateway.port), Ribbon(world.gateway.port)
    assert reader.login("reader", world.stack.password).done and writer.login("writer", world.stack.password).done
    writer.make(path(CONTACT, 1), Description="c")
    writer.make(entry_path(1, 1), AOR="sip:1")
    assert reader.get(entry_path(1, 1)).item["AOR"] == "sip:1"
    for method in ("PUT", "POST", "DELETE"):
        for target in (path(CONTACT, 1), entry_path(1, 1), entry_path(65535, 1)):
            assert reader.call(method, target, {"AOR": "sip:2", "Description": "d"}).error == (500, 3033, "reader")


def test_accounts_see_their_own_objects_only(world, ribbon):
    other = connect(world)
    ribbon.make(path(CONTACT, 1), Description="mine")
    ribbon.make(entry_path(1, 1), AOR="sip:1")
    assert other.get(path(CONTACT)).links == []
    assert other.get(entry_path(1, 1)).app == 20012
    other.make(path(CONTACT, 1), Description="theirs")
    assert ribbon.get(path(CONTACT, 1)).item["Description"] == "mine"
    assert [i for i, _ in ribbon.get(path(CONTACT, 1, ENTRY)).links] == ["1:1"]
    assert [i for i, _ in other.get(path(CONTACT, 1, ENTRY)).links] == []


def test_hrefs_hold_the_host_that_was_asked(ribbon):
    assert ribbon.get(path(CONTACT)).list.get("href") == f"http://{HOST}/rest/{CONTACT}"
    odd = ribbon.call("GET", path(CONTACT), headers={"Host": "[2001:db8::1]:8443"})
    assert odd.list.get("href") == f"http://[2001:db8::1]:8443/rest/{CONTACT}"
