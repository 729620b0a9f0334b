"""Secrets stand in clear nowhere but where they are used. Every world of these tests is looked through when it ends (world.py);
here it is seen that the look finds what is there."""
import hashlib
import json
import uuid

import confluent_kafka
import pytest
import redis
import requests

from kazoo_session import KazooSession
from ribbon_client import CREDENTIALS, Ribbon, credential_path, path
from secret_scan import Scan, answers_kept
from voximplant_client import FORMS, Vox, add_key

WORLD = {"kamailio": False, "gateway_env": {"ROLLCALL_LOG_LEVEL": "debug"}, "registrant_env": {"ROLLCALL_LOG_LEVEL": "debug"}}


def PRINCIPALS(document):
    add_key(document, "key-1", "default")


def planted():
    """A scan of its own, whose secret is nobody else's: what is planted does not fail the world."""
    scan, secret = Scan(), f"planted-{uuid.uuid4()}"
    scan.knows("planted secret", secret)
    return scan, secret


def raw(world):
    return redis.Redis(port=world.stack.redis.port, decode_responses=True)


def test_a_secret_in_redis_and_its_append_only_file_is_found(world):
    scan, secret = planted()
    assert scan.redis(raw(world)) == [] and scan.tree(world.stack.directory) == []
    world.redis.hset("rc:{s0}:acct:planted:obj:x", "1", json.dumps({"password": secret}))
    assert scan.redis(raw(world)) == ["Redis rc:{s0}:acct:planted:obj:x holds the planted secret"]
    world.redis.delete("rc:{s0}:acct:planted:obj:x")
    assert scan.redis(raw(world)) == []
    assert any(find.startswith(str(world.stack.redis.append_only)) for find in scan.tree(world.stack.directory))


def test_a_secret_in_kafka_is_found(world, user):
    scan, secret = planted()
    world.bind(user, 600)
    assert scan.kafka(world.stack.kafka.bootstrap) == []
    producer = confluent_kafka.Producer({"bootstrap.servers": world.stack.kafka.bootstrap})
    producer.produce("rollcall.events", key=b"1", value=b"{}", headers={"x": secret.encode()})
    assert producer.flush(10) == 0
    assert scan.kafka(world.stack.kafka.bootstrap) == ["Kafka's topic rollcall.events holds the planted secret"]


def test_a_secret_in_a_log_in_an_answer_and_on_a_command_line_is_found(world, user):
    with answers_kept() as answers:
        world.api.create(**world.at_registrar(user, name="told", enabled=False))
        text = requests.get(world.gateway.url + "/metrics", timeout=5).text
    scan = Scan()
    scan.knows("name", "\"name\":\"told\"")
    assert scan.answers(answers), "an answer is looked through"
    scan.knows("line", text.splitlines()[0])
    scan.knows("sentence", "the first one seals, all open")
    scan.knows("program", str(world.gateway.build / "services/gateway/rollcall-gateway"))
    assert f"{world.gateway.log} holds the sentence" in scan.tree(world.stack.directory)
    assert scan.command_line("gateway", world.gateway.pid) == ["the command line of gateway holds the program"]


def test_all_kinds_of_secrets_in_use_are_looked_for(world, user):
    """Made by every way that brings one in; what the world looks for at its end knows them."""
    scan = world.secrets()
    s = world.stack
    for secret in (s.password, s.api_key, s.token_secret, s.snapshot_token, s.sip_password, world.registrar_password,
                   s.key_ring_file.read_text().split()[1]):
        assert scan.names_in(b"x" + secret.encode() + b"x")
    world.bind(user, 600)
    assert any("HA1" in name for name in world.secrets().names_in(
        hashlib.md5(f"{user}:127.0.0.1:{world.registrar_password}".encode()).hexdigest().encode()))


# ---- what is refused: a message of an error is made of what was sent

def yeti_refused(world, secret):
    good = world.at_registrar("refused", auth_password=secret)
    document = {"data": {"type": "registrations", "attributes": {k.replace("_", "-"): v for k, v in good.items()}}}
    attributes = document["data"]["attributes"]

    def with_members(**members):
        return json.dumps({"data": {"type": "registrations", "attributes": {**attributes, **{k.replace("_", "-"): v for k, v in members.items()}}}})

    whole = json.dumps(document)
    spoiled = [whole[:-1], whole + "x", whole.replace(secret, secret + "\\x"), whole.replace('"auth-password"', "auth-password"), f'"{secret}"', secret,
               with_members(auth_password=[secret]), with_members(auth_password={"is": secret}), with_members(auth_password=secret + "\r\n"),
               with_members(auth_password=secret * 1000), with_members(auth_passwords=secret), with_members(contact="none"),
               with_members(sip={"credentials": [{"realm": "r", "user": "u", "password": [secret]}]}),
               with_members(sip={"credentials": [{"realm": "r", "user": "u", "ha1": {"MD5": secret}}]}), with_members(sip={"credentials": secret})]
    for text in spoiled:
        yield world.api.call("POST", "/registrations", text.encode())
    lines = "\n".join([*spoiled, "", json.dumps({"name": "x", "auth-password": secret})]).encode()
    answer = world.api.call("POST", "/registrations/import", lines, headers={"Content-Type": "application/x-ndjson", "Accept": "*/*"})
    assert answer.status_code == 200 and secret not in answer.text, "a line that is refused is told by its number"
    yield world.api.call("GET", f"/registrations?filter[auth_password_eq]={secret}")
    yield requests.post(world.gateway.url + "/api/rest/admin/auth", json={"auth": {"username": world.stack.username, "password": secret}}, timeout=10)
    yield requests.get(world.gateway.url + "/api/rest/admin/registrations", headers={"Authorization": f"Bearer {secret}"}, timeout=10)


def voximplant_refused(world, secret):
    vox = Vox(world.gateway.port, 1, "key-1")
    for form in FORMS:
        for fields in ({"password": secret}, {"password": secret + "\n", "sip_username": "u", "proxy": "p"},
                       {"password": secret * 400, "sip_username": "u", "proxy": "p"}, {"password": secret, "sip_username": "u", "proxy": "no proxy"}):
            yield vox.call("CreateSipRegistration", form, **fields)
    yield vox.send("GET", f"/CreateSipRegistration?password={secret}", token="")
    yield vox.send("GET", f"/GetSipRegistrations?account_id=1&api_key={secret}", token="")
    yield vox.send("POST", "/CreateSipRegistration", {"Content-Type": "application/json"}, f'{{"password": "{secret}", }}'.encode())
    yield vox.send("POST", "/CreateSipRegistration", {"Content-Type": "application/json"}, f'{{"password": ["{secret}"]}}'.encode())


def kazoo_refused(world, secret):
    for data in ({"credentials": secret, "account_realm": "default.localhost"}, {"credentials": [secret], "account_realm": "default.localhost"},
                 {"credentials": secret}, {"credentials": secret, "account_name": "nobody"}):
        yield requests.put(f"{world.gateway.url}/v2/user_auth", json={"data": data}, timeout=10)
    for text in (f'{{"data": {{"credentials": "{secret}"', f'"{secret}"', secret):
        for path in ("user_auth", "api_auth"):
            yield requests.put(f"{world.gateway.url}/v2/{path}", data=text, headers={"Content-Type": "application/json"}, timeout=10)


def ribbon_refused(world, secret):
    ribbon = Ribbon(world.gateway.port)
    yield ribbon.login(world.stack.username, secret)
    assert ribbon.login(world.stack.username, world.stack.password).done
    ribbon.make(path(CREDENTIALS, 9), Description="refused")
    for fields in ({"EncryptedPassword": secret}, {"User": "u", "EncryptedPassword": secret + "\r\n"}, {"User": "u", "EncryptedPassword": secret * 100},
                   {"User": "u", "EncryptedPassword": secret, "MatchRegex": "("}, {"User": "u", "EncryptedPasswords": secret}):
        yield ribbon.put(credential_path(9, 1), **fields)
    yield ribbon.call("PUT", credential_path(9, 1), f"User=u&EncryptedPassword={secret}%zz&&=&EncryptedPassword={secret}")


def kazoo_gives_back(world, secret):
    """Keys and tokens that open nothing stand in the answer to who sent them, as in that API; and nowhere else."""
    session = KazooSession(world.gateway.url, world.stack)
    yield requests.put(f"{world.gateway.url}/v2/api_auth", json={"data": {"api_key": secret}}, timeout=10)
    yield requests.get(world.gateway.url + session.path, headers={"X-Auth-Token": secret}, timeout=10)
    yield requests.get(world.gateway.url + session.path + f"?auth_token={secret}", timeout=10)
    yield requests.get(world.gateway.url + session.path, auth=("default.localhost", secret), timeout=10)
    yield requests.get(world.gateway.url + session.path, headers={"Authorization": f"Bearer {secret}"}, timeout=10)


@pytest.mark.parametrize("refused", [yeti_refused, voximplant_refused, kazoo_refused, ribbon_refused, kazoo_gives_back])
def test_a_secret_in_a_request_that_is_refused_is_told_to_nobody(world, refused):
    """Neither to a log, nor in the answer, nor is it kept; and not a moment later, which the look at the world's end would find."""
    scan, secret = planted()
    if refused is not kazoo_gives_back:
        world.other_secrets[f"secret of {refused.__name__}"] = secret
    with answers_kept() as answers:
        count = sum(1 for _ in refused(world, secret))
    assert count > 4 and len(answers) >= count
    assert refused is kazoo_gives_back or scan.answers(answers) == []
    assert scan.redis(raw(world)) == [] and scan.kafka(world.stack.kafka.bootstrap) == []
    assert scan.tree(world.stack.directory) == []
