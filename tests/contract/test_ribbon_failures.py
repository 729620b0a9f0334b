"""What the dialect says when something behind it is away or too many ask, and that it lets go of everything in the end."""
import signal
import socket
import urllib.parse

import pytest
from ribbon_client import CONTACT, CREDENTIALS, ENTRY, SERVERS, Ribbon, connect, entry_path, path, server_path
from stack import wait_for

GATEWAY = {"ROLLCALL_REQUEST_RATE": "20", "ROLLCALL_FAILED_LOGINS": "0"}
AWAY = (503, 20000, "Redis is away.")


@pytest.fixture
def ribbon(world):
    client = connect(world)
    client.make(path(CONTACT, 3), Description="c")
    return client


def test_too_many_requests_of_a_user_are_429_with_20000(world, ribbon):
    answers = (ribbon.get(path(CONTACT)) for _ in range(1000))
    refused = next(a for a in answers if a.http_code != 200)
    assert refused.error == (429, 20000, "Too many requests; come again later.")
    assert connect(world).get(path(CONTACT)).http_code == 200, "another user is not held up"


def test_7_redis_away_is_503_with_a_text_and_nothing_is_lost(world, ribbon):
    ribbon.make(entry_path(3, 1), AOR="sip:1")
    redis = world.stack.redis
    redis.kill()
    for target in (path(CONTACT), path(CONTACT, 3, ENTRY), entry_path(3, 1), path(CONTACT, 65535, ENTRY)):
        assert ribbon.get(target).error == AWAY
    assert ribbon.put(entry_path(3, 2), AOR="sip:2").error[:2] == (503, 20000)
    login = Ribbon(world.gateway.port).login("user9", world.stack.password)
    assert login.error[:2] == (503, 20000) and login.cookie("PHPSESSID") is None
    redis.start()
    wait_for(lambda: ribbon.post(entry_path(3, 1), AorTtl="60").http_code == 200, 20, "writes to be taken again", every=0.2)
    assert ribbon.get(entry_path(3, 1)).item["AOR"] == "sip:1", "and the session is the same"


def test_a_body_that_is_too_long_is_refused_below_the_dialect(ribbon):
    ribbon.connection.request("PUT", "/rest" + path(CONTACT, 4), b"Description=" + b"d" * (1 << 20),
                              {"Cookie": f"PHPSESSID={ribbon.session}"})
    assert ribbon.connection.getresponse().status == 413


def send(port, method, target, cookie, body=""):
    s = socket.create_connection(("127.0.0.1", port))
    s.sendall(f"{method} /rest{target} HTTP/1.1\r\nHost: h\r\nCookie: PHPSESSID={cookie}\r\nContent-Length: {len(body)}\r\n\r\n"
              f"{body}".encode())
    return s


def test_a_gateway_stops_cleanly_with_requests_in_flight(world, ribbon):
    """With no time to drain: reads and queued writes wait for Redis, logins for the check of their passwords."""
    ribbon.make(path(SERVERS, 2), Description="s")
    ribbon.make(server_path(2, 1), Host="192.0.2.1", ContactRegistrantTableID="3")
    gateway = world.stack.new_gateway("stopping", env={"ROLLCALL_DRAIN": "0"}).start()
    held = [send(gateway.port, "PUT", entry_path(3, n), ribbon.session, f"AOR=u{n}") for n in range(20)]
    held += [send(gateway.port, "GET", path(CONTACT, 65535, ENTRY), ribbon.session)]
    world.stack.redis.signal(signal.SIGSTOP)
    try:
        for method, target, body in [("GET", path(CONTACT), ""), ("GET", path(CONTACT, 3, ENTRY), ""),
                                     ("GET", path(CONTACT, 65535, ENTRY), ""), ("PUT", path(CONTACT, 9), "Description=d"),
                                     ("DELETE", path(CONTACT, 3), ""), ("POST", "/logout", ""),
                                     ("POST", "/login", "Username=user2&Password=" + urllib.parse.quote(world.stack.password))]:
            held.append(send(gateway.port, method, target, ribbon.session, body))
        assert gateway.stop() == 0
        for s in held:
            s.close()
    finally:
        world.stack.redis.signal(signal.SIGCONT)


def test_damaged_objects_are_left_out_and_unregister_nobody(world, ribbon):
    ribbon.make(path(SERVERS, 2), Description="s")
    ribbon.make(server_path(2, 1), Host="192.0.2.1", ContactRegistrantTableID="3")
    ribbon.make(entry_path(3, 1), AOR="sip:1")
    ribbon.make(entry_path(3, 2), AOR="sip:2")
    [entries] = world.redis.keys(f"rc:*:acct:{ribbon.account}:obj:ribbon-{ENTRY}-3")
    world.redis.hset(entries, "1", "{")
    assert [i for i, _ in ribbon.get(path(CONTACT, 3, ENTRY)).links] == ["3:2"]
    wait_for(lambda: ribbon.post(server_path(2, 1), Port="5099").http_code == 200, 5, "the row to be changed")
    assert ribbon.yeti.get("/registrations").json["meta"]["total-count"] == 2
    [table] = world.redis.keys(f"rc:*:acct:{ribbon.account}:obj:ribbon-{CONTACT}")
    world.redis.hset(table, "3", "[]")
    assert ribbon.get(path(CONTACT, 3)).error == (500, 20030, "")


def test_a_key_that_left_the_ring_takes_no_credentials_away(world, ribbon):
    ribbon.make(path(SERVERS, 2), Description="s")
    ribbon.make(path(CREDENTIALS, 4), Description="a")
    ribbon.make("/sipremoteauthtable/4/sipremoteauthentry/1", User="1", EncryptedPassword="p")
    ribbon.make(server_path(2, 1), Host="192.0.2.1", ContactRegistrantTableID="3", RemoteAuthorizationTableID="4")
    ribbon.make(entry_path(3, 1), AOR="sip:1")
    [rows] = world.redis.keys(f"rc:*:acct:{ribbon.account}:obj:ribbon-sipremoteauthentry-4")
    world.redis.hset(rows, "1", world.redis.hget(rows, "1").replace("sealed:k1:", "sealed:k9:"))
    assert ribbon.post(entry_path(3, 1), AorTtl="77").http_code == 200
    [registration] = ribbon.yeti.get("/registrations").json["data"]
    assert registration["attributes"]["expire"] == 77 and registration["attributes"]["auth-user"] == "1"
    wait_for(lambda: "k9" in world.gateway.log_text(), 5, "a word of it in the log")
