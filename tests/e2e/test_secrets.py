"""Secrets stand in clear nowhere but where they are used. Every world of these tests is looked through when it ends (world.py);
here it is seen that the look finds what is there."""
import hashlib
import json
import uuid

import confluent_kafka
import redis
import requests

from secret_scan import Scan, answers_kept

WORLD = {"kamailio": False}


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
