"""Settings that change what the dialect shows: a trusted proxy, passwords in clear (contract 2, 6.3)."""
import http.client

import pytest

from conftest import USERS

GATEWAY = {"ROLLCALL_TRUST_FORWARDED": "true", "ROLLCALL_YETI_PASSWORDS": "clear", "ROLLCALL_TOKEN_LIFETIME": "0"}


def login(world, api, **headers):
    return api.call("POST", "/auth", {"auth": {"username": "elsewhere", "password": world.stack.password}},
                    {"Content-Type": "application/json", "Authorization": None, **headers})


@pytest.mark.parametrize("forwarded, status", [
    ("192.0.2.7", 201), ("198.51.100.1, 192.0.2.7", 201), ("192.0.2.7, 127.0.0.1", 201), ("192.0.2.7, 198.51.100.1", 401),
    ("198.51.100.1", 401), ("", 401), ("nonsense", 401)])
def test_the_client_is_the_last_address_that_is_not_the_proxys(world, api, forwarded, status):
    assert login(world, api, **{"X-Forwarded-For": forwarded}).status == status


@pytest.mark.parametrize("fields, status", [
    (["192.0.2.7", "198.51.100.1"], 401), (["198.51.100.1", "192.0.2.7"], 200), (["192.0.2.7", "127.0.0.1"], 200)])
def test_a_proxy_may_put_its_clients_address_into_a_field_of_its_own(world, fields, status):
    connection = http.client.HTTPConnection("127.0.0.1", world.gateway.port, timeout=20)
    connection.putrequest("GET", "/api/rest/admin/registrations")
    connection.putheader("Authorization", world.token(USERS))
    for address in fields:
        connection.putheader("X-Forwarded-For", address)
    connection.endheaders()
    assert connection.getresponse().status == status


def test_links_have_the_scheme_that_the_client_used(api):
    id = api.create()
    answer = api.call("GET", f"/registrations/{id}", headers={"X-Forwarded-Proto": "https"})
    assert answer.data["links"]["self"] == f"https://example.org/api/rest/admin/registrations/{id}"


def test_a_lifetime_of_0_gives_tokens_that_do_not_expire(world, api):
    import base64
    import json
    answer = login(world, api, **{"X-Forwarded-For": "192.0.2.7"})
    part = answer.json["jwt"].split(".")[1]
    assert "exp" not in json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_passwords_read_in_clear(api):
    id = api.create(auth_user="u", auth_password='s3cret "ü"')
    assert api.read(id)["auth-password"] == 's3cret "ü"'
    assert api.get("/registrations").data[0]["attributes"]["auth-password"] == 's3cret "ü"'
    assert api.patch(id, {"username": "bob"}).attributes["auth-password"] == 's3cret "ü"'


def test_the_mask_is_a_password_like_any_other_then(api):
    assert api.read(api.create(auth_password="********"))["auth-password"] == "********"


def test_an_empty_password_is_one(api):
    assert api.read(api.create(auth_password=""))["auth-password"] == ""


def test_a_password_is_clear_nowhere_else(world, api):
    id = api.create(auth_user="u", auth_password="find-me-nowhere")
    for key in world.redis.scan_iter("*"):
        kind = world.redis.type(key)
        held = world.redis.hgetall(key) if kind == "hash" else world.redis.xrange(key) if kind == "stream" else ""
        assert "find-me-nowhere" not in str(held), key
    assert "find-me-nowhere" not in world.gateway.log_text()
    assert api.call("DELETE", f"/registrations/{id}").status == 204


def test_secrets_of_the_attribute_sip_are_masked_and_what_is_read_can_be_written(api, world):
    """Beside a password in clear the mask stands for it; an HA1 has no clear text."""
    id = api.create(auth_user="u", auth_password="p")
    query = "?fields[registrations]=auth-user,auth-password,sip"
    shown = api.get(f"/registrations/{id}{query}").attributes
    assert (shown["auth-password"], shown["sip"]["credentials"][0]["password"]) == ("p", "********")
    revision = world.redis.hget(world.key(id), "revision")
    assert api.patch(id, shown).status == 200
    assert world.redis.hget(world.key(id), "revision") == revision
    assert api.patch(id, {**shown, "auth-password": "new"}, query=query).attributes["auth-password"] == "new"
    held = [{"realm": "r", "user": "u", "ha1": {"MD5": "0" * 32}}]
    shown = api.patch(id, {"sip": {"credentials": held}}, query=query).attributes
    assert shown["auth-password"] == "********"
    revision = world.redis.hget(world.key(id), "revision")
    assert api.patch(id, shown).status == 200
    assert world.redis.hget(world.key(id), "revision") == revision
