"""Failed logins are counted once for all dialects: by what cannot be chosen anew for each try, and so that nobody is shut out
by what a stranger may say. Clients stand behind a proxy here, so each may have an address of its own."""
import itertools

import pytest
from kazoo_client import Kazoo, add_principals, basic, credentials, PARENT
from ribbon_client import Ribbon
from voximplant_client import Vox, add_accounts

LIMIT = 4
GATEWAY = {"ROLLCALL_FAILED_LOGINS": str(LIMIT), "ROLLCALL_TRUST_FORWARDED": "true", "ROLLCALL_REQUEST_RATE": "0"}


def PRINCIPALS(document):
    add_principals(document)
    add_accounts(document)


_hosts = itertools.count(1)


def address():
    """The header of a client that was never seen."""
    n = next(_hosts)
    return {"X-Forwarded-For": f"203.0.{n // 250}.{n % 250 + 1}"}


def yeti_login(world, name, password, headers):
    return world.api(1).call("POST", "/auth", {"auth": {"username": name, "password": password}}, headers).status


def ribbon_login(world, name, password, headers):
    body = f"Username={name}&Password={password}"
    return Ribbon(world.gateway.port).call("POST", "/login", body, headers).http_code


def user_auth(world, account, digest, headers, member="account_name"):
    return Kazoo(world).call("PUT", "/user_auth", {"credentials": digest, member: account}, headers=headers).status


def test_spellings_of_an_account_are_one_name(world):
    """Contract kazoo 2.1: an account is found by its title in any case, its realm, its telephone number or its id."""
    wrong = credentials("alice", "wrong")
    tries = [("Parent Ltd", "account_name"), ("pARENT lTD", "account_name"), ("PARENT LTD", "account_name"),
             ("parent.example.com", "account_realm"), ("PARENT.example.com", "realm"), ("+15551234", "phone_number")]
    seen = [user_auth(world, name, wrong, address(), member) for name, member in tries]
    assert seen == [401] * LIMIT + [429] * (len(tries) - LIMIT)
    headers = {"Authorization": basic(PARENT, "alice", "wrong"), **address()}
    assert Kazoo(world).get(f"/accounts/{PARENT}/registrations", headers=headers).status == 429
    assert user_auth(world, "Child Ltd", wrong, address()) == 401, "another account is another name"


@pytest.mark.parametrize("login", [yeti_login, ribbon_login])
def test_an_address_given_as_a_name_shuts_nobody_out(world, login):
    """Contract voximplant 2, kazoo 2.1: what has no name is counted by its address alone, and the address by what came from it."""
    victim = address()
    for _ in range(LIMIT):
        login(world, victim["X-Forwarded-For"], "wrong", address())
    vox = Vox(world.gateway.port, 1007, "key7")
    answer = vox.send("GET", "/GetSipRegistrations", victim)
    assert "result" in answer.json, answer.body
    answer = Kazoo(world).call("PUT", "/api_auth", {"api_key": "0" * 64}, headers=victim)
    assert answer.status != 429, answer.body


def test_failures_in_one_dialect_count_in_the_others(world):
    """A name and an address are the same whatever is asked with them."""
    for login in (yeti_login, ribbon_login) * (LIMIT // 2):
        assert login(world, "user9", "wrong", address()) in (401, 500)
    assert yeti_login(world, "user9", world.stack.password, address()) == 429
    assert ribbon_login(world, "user9", world.stack.password, address()) == 429
    host = address()
    for i, login in enumerate((yeti_login, ribbon_login) * (LIMIT // 2)):
        login(world, f"nobody-{i}", "wrong", host)
    assert yeti_login(world, "user10", world.stack.password, host) == 429
    assert Vox(world.gateway.port, 1007, "key7").send("GET", "/GetSipRegistrations", host).code == 340
    assert Kazoo(world).call("PUT", "/api_auth", {"api_key": "0" * 64}, headers=host).status == 429
    assert yeti_login(world, "user10", world.stack.password, address()) == 201


@pytest.mark.parametrize("forged", ["127.0.0.1", "::1", "{}, 127.0.0.1", "{} , ::1", "198.51.100.9, {}", "", ","])
def test_what_a_client_says_of_itself_is_no_way_around(world, forged):
    """The last address that is not this machine's counts: the proxy's word, not what came to it."""
    host = f"192.0.2.{next(_hosts)}" if "{}" in forged else ""
    headers = {"X-Forwarded-For": forged.format(host)}
    seen = [yeti_login(world, f"forged-{forged}-{i}", "wrong", headers) for i in range(LIMIT + 1)]
    assert seen[-1] == 429


# ---- what one may send before anybody knows who it is

def many(before, after):
    return before + b",".join([b"0"] * 10001) + after


def test_what_is_read_for_nobody_yet_has_a_bound(world):
    """A value costs forty bytes, be it one byte in the text: bodies of all dialects hold so many and no more."""
    headers = {"Content-Type": "application/json"}
    yeti = world.api(1).call("POST", "/auth", many(b'{"auth":[', b"]}"), headers)
    assert yeti.errors[0][0] == "400" and "more than 10000 values" in yeti.errors[0][1]
    kazoo = Kazoo(world).call("PUT", "/user_auth", body=many(b'{"data":{"x":[', b"]}}"), headers=headers)
    assert kazoo.status == 400 and "more than 10000 values" in kazoo.body.decode()
    vox = Vox(world.gateway.port, 1007, "key7").send("POST", "/GetSipRegistrations", headers, many(b'{"x":[', b"]}"))
    assert vox.code == 101 and "more than 10000 values" in vox.error[1]
