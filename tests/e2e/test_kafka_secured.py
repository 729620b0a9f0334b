"""Gateways and registrants on an Apache Kafka that lets in nobody without TLS and a name: by SCRAM-SHA-512 over TLS, and by a
client's certificate. Each service may do no more than what proto/topics.md lists under its name. Secrets come in as files and are
told nowhere."""
import re
import subprocess

import pytest
import requests
from certificates import Certificates
from conftest import KAFKA, make_world
from stack import free_port, wait_for

pytestmark = pytest.mark.skipif(KAFKA != "apache", reason="the embedded broker has no TLS, no SASL and no ACLs")

PASSWORD = "a;b=c {d} \\e"  # nothing in it separates settings
GATEWAY, REGISTRANT = "rollcall-gateway", "rollcall-registrant"

SETTINGS = """
listeners=SCRAM://127.0.0.1:{scram},MUTUAL://127.0.0.1:{mutual},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SCRAM://127.0.0.1:{scram},MUTUAL://127.0.0.1:{mutual}
listener.security.protocol.map=SCRAM:SASL_SSL,MUTUAL:SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=MUTUAL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.mutual.ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^.*CN=([^,]+).*$/$1/,DEFAULT
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:broker
"""

# What docs/HIGH-AVAILABILITY.md and SECURITY.md tell operators to allow: (service, resource, operations).
ALLOWED = [
    (GATEWAY, ["--topic=rollcall.", "--resource-pattern-type=prefixed"], ["Create", "Describe", "Read", "Write"]),
    (GATEWAY, ["--group=rollcall-gateway"], ["Read"]),
    (REGISTRANT, ["--topic=rollcall.changes.", "--resource-pattern-type=prefixed"], ["Read"]),
    (REGISTRANT, ["--topic=rollcall.status.", "--resource-pattern-type=prefixed"], ["Create", "Write"]),
    (REGISTRANT, ["--group=rollcall-registrant.", "--resource-pattern-type=prefixed"], ["Read"]),
]


class Secured:
    """The broker, and what its clients are given."""

    def __init__(self, stack):
        from kafka import Kafka  # only where there is one
        self.directory = stack.directory
        self.made = Certificates(stack.directory)
        broker = self.made.server(ips=["127.0.0.1"], common_name="broker", usage=None)
        keystore = self.file("keystore.pem", broker.key.read_text() + broker.certificate.read_text())
        self.scram, self.mutual, port = free_port(), free_port(), free_port()
        users = [f"--add-scram=SCRAM-SHA-512=[name={user},iterations=4096,password=\"{PASSWORD}\"]" for user in (GATEWAY, REGISTRANT)]
        self.kafka = Kafka(stack.directory, self.scram, format_arguments=users)
        self.kafka.more_settings = SETTINGS.format(scram=self.scram, mutual=self.mutual, controller=self.kafka.controller,
                                                   keystore=keystore, authority=self.made.ca.certificate)
        self.admin = self.made.client("broker")
        self.port = port

    def file(self, name, text):
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def tls(self, authority=None):
        return f"ssl.ca.location={(authority or self.made.ca).certificate}"

    def by_password(self, user, password=PASSWORD, authority=None):
        """Environment of a service that comes in by SCRAM."""
        return {"ROLLCALL_KAFKA_BOOTSTRAP": f"127.0.0.1:{self.scram}",
                "ROLLCALL_KAFKA_EXTRA": f"security.protocol=SASL_SSL;sasl.mechanism=SCRAM-SHA-512;sasl.username={user};"
                                        + self.tls(authority),
                "ROLLCALL_KAFKA_PASSWORD_FILE": str(self.file(f"password-{user}-{len(password)}", password + "\n"))}

    def by_certificate(self, user, issuer=None):
        """Of one that shows a certificate; all of its settings stand in a file."""
        pair = self.made.client(user, issuer=issuer)
        text = f"security.protocol=SSL;\n{self.tls()};\nssl.certificate.location={pair.certificate};\nssl.key.location={pair.key};\n"
        return {"ROLLCALL_KAFKA_BOOTSTRAP": f"127.0.0.1:{self.mutual}",
                "ROLLCALL_KAFKA_EXTRA_FILE": str(self.file(f"extra-{pair.certificate.stem}", text))}

    def by_certificate_of_admin(self):
        """Settings of a librdkafka client that may read everything."""
        return {"bootstrap.servers": f"127.0.0.1:{self.mutual}", "security.protocol": "SSL", "ssl.ca.location": str(self.made.ca.certificate),
                "ssl.certificate.location": str(self.admin.certificate), "ssl.key.location": str(self.admin.key)}

    def allow(self, client):
        for user, resource, operations in ALLOWED:
            words = [f"--operation={o}" for o in operations]
            done = subprocess.run(self.kafka._java("kafka.admin.AclCommand", f"--bootstrap-server=127.0.0.1:{self.mutual}",
                                                   f"--command-config={client}", "--add", f"--allow-principal=User:{user}", *resource,
                                                   *words), capture_output=True, text=True, timeout=240, check=False)
            assert done.returncode == 0, done.stdout + done.stderr

    def start(self):
        self.kafka.start()
        keystore = self.file("admin.pem", self.admin.key.read_text() + self.admin.certificate.read_text())
        self.allow(self.file("admin.properties", "security.protocol=SSL\nssl.keystore.type=PEM\nssl.truststore.type=PEM\n"
                             f"ssl.keystore.location={keystore}\nssl.truststore.location={self.made.ca.certificate}\n"))


@pytest.fixture(scope="module")
def world():
    w = make_world(kamailio=False)
    w.secured = None

    def start_kafka():
        w.secured = Secured(w.stack)
        w.stack.kafka = w.stack.add(w.secured.kafka)
        w.secured.start()
        w.gateway_env = w.secured.by_password(GATEWAY)
        w.registrant_env = w.secured.by_certificate(REGISTRANT)
        w.kafka_settings = w.secured.by_certificate_of_admin()

    w.start_kafka = start_kafka
    try:
        w.start()
        w.stack.new_gateway("gateway-2", env=w.secured.by_certificate(GATEWAY)).start()
        w.stack.new_registrant("registrant-2", env=w.secured.by_password(REGISTRANT)).start()
        yield w
    finally:
        w.stop()


def test_what_is_written_at_one_is_registered_by_the_others(world):
    """All four are at work: two gateways and two registrants, each pair by password and by certificate."""
    nodes = set()

    def both_have_some():
        rid = world.bind(f"k{len(world.registrar.requests())}", 600)
        nodes.add(world.api.status(rid)["node"])
        return len(nodes) == 2

    wait_for(both_have_some, 60, "registrations at both registrants")
    other = type(world.api)(world.stack.gateways[1].url, world.stack.username, world.stack.password)
    rid = other.create(**world.at_registrar("at-the-second"))
    other.wait_state(rid, "registered")


@pytest.mark.parametrize("how", ["wrong password", "unknown user", "certificate of a stranger", "broker of a stranger", "no TLS"])
def test_nobody_else_comes_in_and_the_log_says_why(world, how):
    secured = world.secured
    env = {"wrong password": lambda: secured.by_password(GATEWAY, "Wrong-Password"),
           "unknown user": lambda: secured.by_password("nobody", "Wrong-Password-2"),
           "certificate of a stranger": lambda: secured.by_certificate(GATEWAY, secured.made.stranger),
           "broker of a stranger": lambda: secured.by_password(GATEWAY, authority=secured.made.stranger),
           "no TLS": lambda: {"ROLLCALL_KAFKA_BOOTSTRAP": f"127.0.0.1:{secured.scram}"}}[how]()
    said = {"wrong password": "invalid credentials", "unknown user": "invalid credentials", "certificate of a stranger": "certificate",
            "broker of a stranger": "certificate verify failed", "no TLS": "security.protocol"}[how]
    gateway = world.stack.new_gateway(f"gateway-{how.replace(' ', '-')}", env=env).start(ready=False)
    try:
        wait_for(lambda: re.search(f"warning .* Kafka: .*{said}", gateway.log_text()), 30, f"{said!r} in the log")
        assert requests.get(gateway.url + "/readyz", timeout=5).json()["kafka"] != "up"
        assert "Wrong-Password" not in gateway.log_text()
    finally:
        gateway.stop()
        world.stack.gateways.remove(gateway)


def test_secrets_are_told_nowhere(world):
    for part in [*world.stack.gateways, *world.stack.registrants]:
        assert PASSWORD not in part.log_text() and "BEGIN PRIVATE" not in part.log_text()
        with open(f"/proc/{part.pid}/environ", encoding="utf-8") as environ:
            assert PASSWORD not in environ.read()
