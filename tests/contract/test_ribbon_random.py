"""Whatever is done in whatever order, by clients of two gateways at once, one of which dies: in the end there is one
registration for each entry at each server row that names its table, with what both say, and no other."""
import json
import random
import threading

import pytest
from ribbon_client import CONTACT, CREDENTIALS, SERVERS, Ribbon, connect, credential_path, entry_path, path, server_path
from stack import wait_for

TABLES, ENTRIES, ROWS = (1, 2), (1, 2, 3), (1, 2)
SEED = 2


def some_write(client, rng):
    table, entry, row = rng.choice(TABLES), rng.choice(ENTRIES), rng.choice(ROWS)
    references = {"ContactRegistrantTableID": rng.choice((0, *TABLES * 3)), "RemoteAuthorizationTableID": rng.choice((0, 1))}
    choices = [
        *[lambda: client.put(path(CONTACT, table), Description="c")] * 3,
        lambda: client.delete(path(CONTACT, table)),
        *[lambda: client.put(path(SERVERS, 1), Description="s")] * 3,
        lambda: client.delete(path(SERVERS, 1)),
        *[lambda: client.put(entry_path(table, entry), AOR=f"sip:u{rng.randrange(3)}")] * 6,
        *[lambda: client.post(entry_path(table, entry), AorTtl=rng.randrange(60, 90), AorType=rng.choice((0, 1, 1, 2, 2)))] * 4,
        lambda: client.delete(entry_path(table, entry)),
        *[lambda: client.put(server_path(1, row), Host="192.0.2.1", **references)] * 6,
        *[lambda: client.post(server_path(1, row), Port=rng.randrange(5060, 5063), **references)] * 4,
        lambda: client.delete(server_path(1, row)),
        lambda: client.put(credential_path(1, 1), User=f"u{rng.randrange(3)}", EncryptedPassword="p"),
        lambda: client.post(credential_path(1, 1), User=f"u{rng.randrange(3)}"),
        lambda: client.delete(credential_path(1, 1)),
    ]
    answer = rng.choice(choices)()
    assert answer.http_code == 200 or answer.app in (20012, 20013, 20040, 20045, 31010, 31011), answer.text


def wanted(client):
    """What there must be, from what a client can read."""
    found = {}
    for table in TABLES:
        entries = client.get(path(CONTACT, table, "sipregistrantentry"), "?details=true")
        rows = client.get(path(SERVERS, 1, "sipserver"), "?details=true")
        credentials = client.get(path(CREDENTIALS, 1, "sipremoteauthentry"), "?details=true")
        users = [c["User"] for c in credentials.items] if credentials.http_code == 200 else []
        for e in entries.items if entries.http_code == 200 else []:
            for s in rows.items if rows.http_code == 200 else []:
                if e["AorType"] == "0" or s["ContactRegistrantTableID"] != str(table):
                    continue
                user = e["AOR"][4:]
                has = s["RemoteAuthorizationTableID"] == "1" and user in users
                found[f"ribbon:{e.id}@{s.id}"] = (user, int(e["AorTtl"]), f"sip:192.0.2.1:{s['Port']}", [user] * has)
    return found


def held(world, client):
    found = {}
    for key in world.redis.scan_iter(f"rc:*:acct:{client.account}:ids"):
        for id in world.redis.zrange(key, 0, -1):
            spec = json.loads(world.redis.hget(f"rc:{key.split(':')[1]}:reg:{id}", "spec"))
            assert spec["name"] not in found
            found[spec["name"]] = (spec["username"], spec["expires"], spec["registrar"],
                                   [c["user"] for c in spec.get("credentials", [])])
    return found


def client_of(world, port, first):
    client = Ribbon(port)
    client.session, client.csrf, client.account = first.session, first.csrf, first.account
    return client


@pytest.mark.parametrize("dies", [False, True], ids=["two gateways", "one of two gateways dies"])
def test_registrations_follow_whatever_happens(world, dies):
    first = connect(world)
    for target in (path(CREDENTIALS, 1), path(SERVERS, 1), path(CONTACT, 1), path(CONTACT, 2)):
        first.make(target, Description="d")
    other = world.stack.new_gateway(f"other-{dies}").start()
    stop = threading.Event()
    done, failed = [], []

    def work(port, seed, mortal):
        client, rng = client_of(world, port, first), random.Random(seed)
        for _ in range(150):
            try:
                some_write(client, rng)
                done.append(seed)
            except AssertionError as e:
                failed.append(e)
                return
            except OSError:
                assert mortal
                return
            if stop.is_set() and mortal:
                return

    threads = [threading.Thread(target=work, args=(port, SEED + i, dies and port == other.port))
               for i, port in enumerate((world.gateway.port, world.gateway.port, other.port, other.port))]
    for t in threads:
        t.start()
    if dies:
        wait_for(lambda: len(done) > 200, 20, "half of the writes")
        other.kill()
        stop.set()
    for t in threads:
        t.join()
    if not dies:
        other.stop()
    assert not failed, failed[0]
    wait_for(lambda: not world.redis.keys("rc:*:jobs"), 30, "the jobs to be done", every=0.1)
    assert held(world, first) == wanted(first)
    for table in TABLES:  # and nothing that was made is lost afterwards
        first.put(path(CONTACT, table), Description="c")
        first.put(entry_path(table, 1), AOR="sip:u0", AorType="1")
        first.post(entry_path(table, 1), AOR="sip:u0", AorType="1")
    first.put(path(SERVERS, 1), Description="s")
    first.put(server_path(1, 1), Host="192.0.2.1")
    first.post(server_path(1, 1), ContactRegistrantTableID=TABLES[0])
    assert "ribbon:1:1@1:1" in held(world, first)
    assert held(world, first) == wanted(first)
