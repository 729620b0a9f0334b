"""The SIP side's settings on a registrant that has neither Kafka nor gateways: what is wrong is said by its setting's name
at the start; on SIGHUP what was read before stays, and that is logged.
"""
import os
import pathlib
import resource
import signal
import subprocess

import pytest
import requests

from conftest import BUILD
from stack import Process, free_port, wait_for

BINARY = pathlib.Path(BUILD) / "services/registrant/rollcall-registrant"
GOOD_RULES = "*.carrier.example rate=20 in_flight=10 hard\n"


@pytest.fixture
def settings(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("k 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n")
    return {"ROLLCALL_KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}", "ROLLCALL_SNAPSHOT_TOKEN": "t",
            "ROLLCALL_KEY_RING_FILE": str(keys), "ROLLCALL_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
            "ROLLCALL_SIP_LISTEN": "127.0.0.1:0", "ROLLCALL_DRAIN": "0"}


@pytest.mark.parametrize("name, value, cause", [
    ("ROLLCALL_SIP_LISTEN", "192.0.2.77:5060", "192.0.2.77"),
    ("ROLLCALL_SIP_LISTEN", "127.0.0.1:0,127.0.0.2:0", "family"),
    ("ROLLCALL_SIP_INTERFACES", "carrier", "name=host"),
    ("ROLLCALL_SIP_INTERFACES", "a=127.0.0.1:0,a=127.0.0.2:0", "a"),
    ("ROLLCALL_SIP_TLS_CA_FILE", "/nonexistent.pem", "/nonexistent.pem"),
    ("ROLLCALL_SIP_TLS_CERTIFICATE_FILE", "/dev/null", "/dev/null"),
    ("ROLLCALL_SIP_TLS_MIN_VERSION", "1.1", "1.2"),
    ("ROLLCALL_SIP_NAT", "stun", "contact"),
    ("ROLLCALL_SIP_ALLOW", "10.0.0.0/33", "10.0.0.0/33"),
    ("ROLLCALL_SIP_DENY", "carrier.example", "carrier.example"),
    ("ROLLCALL_REGISTRARS_FILE", "/nonexistent", "/nonexistent"),
    ("ROLLCALL_SIP_TRANSACTION_TIMEOUT", "0", "1"),
])
def test_what_is_wrong_is_named_at_the_start(settings, name, value, cause):
    settings[name] = value
    ended = subprocess.run([BINARY], env=settings, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode != 0
    said = ended.stderr.strip().splitlines()[-1]
    assert name in said or ("ROLLCALL_SIP_TLS" in name and "ROLLCALL_SIP_TLS" in said), said
    assert cause in said


def test_a_bad_line_of_the_rules_is_named_with_its_number(settings, tmp_path):
    rules = tmp_path / "rules"
    rules.write_text(GOOD_RULES + "x.example rate=fast\n")
    settings["ROLLCALL_REGISTRARS_FILE"] = str(rules)
    ended = subprocess.run([BINARY], env=settings, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode != 0 and "ROLLCALL_REGISTRARS_FILE" in ended.stderr and "line 2" in ended.stderr


def test_every_setting_of_sip_may_be_given(settings, tmp_path):
    rules = tmp_path / "rules"
    rules.write_text(GOOD_RULES)
    settings.update({
        "ROLLCALL_SIP_LISTEN": "127.0.0.1,[::1]", "ROLLCALL_SIP_INTERFACES": "a=127.0.0.2,b=127.0.0.3:0", "ROLLCALL_SIP_THREADS": "2",
        "ROLLCALL_SIP_TLS_MIN_VERSION": "1.3", "ROLLCALL_SIP_NAT": "contact", "ROLLCALL_SIP_TRANSACTION_TIMEOUT": "8",
        "ROLLCALL_REGISTRARS_FILE": str(rules), "ROLLCALL_REGISTRAR_HARD": "true", "ROLLCALL_AOR_RATE": "0",
        "ROLLCALL_MOVE_OVER": "60"})
    with running(settings, tmp_path):
        pass


class running:
    """A registrant with these settings, up."""

    def __init__(self, settings, directory):
        self.process = Process("registrant", directory).spawn([BINARY], settings)
        self.url = "http://" + settings["ROLLCALL_ADMIN_LISTEN"]

    def __enter__(self):
        self.process.up(self.is_there)
        return self.process

    def is_there(self):
        try:
            return requests.get(self.url + "/healthz", timeout=1).status_code == 200
        except requests.ConnectionError:
            return False

    def __exit__(self, *_):
        assert self.process.stop() == 0


def test_it_has_as_many_descriptors_as_the_system_allows(settings, tmp_path):
    """A connection to each of many registrars takes more than the soft limit's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        with running(settings, tmp_path) as registrant:
            assert resource.prlimit(registrant.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_bad_file_leaves_what_was_read_before(settings, tmp_path):
    rules, trust = tmp_path / "rules", tmp_path / "trust.pem"
    rules.write_text(GOOD_RULES)
    trust.write_bytes(pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_bytes())
    settings.update({"ROLLCALL_REGISTRARS_FILE": str(rules), "ROLLCALL_SIP_TLS_CA_FILE": str(trust)})
    with running(settings, tmp_path) as registrant:
        def hang_up(said, times):
            os.kill(registrant.pid, signal.SIGHUP)
            wait_for(lambda: registrant.log_text().count(said) == times, 10, "the reload")

        well, ill = "has read its files again", "goes on with what it read before"
        hang_up(well, 1)
        assert "before" not in registrant.log_text()
        rules.write_text("x.example rate=fast\n")
        hang_up(ill, 1)
        assert f"{rules}: line 1" in registrant.log_text()
        rules.unlink()
        trust.write_text("no certificate")
        hang_up(ill, 3)
        said = registrant.log_text()
        assert f"{rules}: No such file" in said and str(trust) in said
        rules.write_text(GOOD_RULES)
        trust.write_bytes(pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_bytes())
        hang_up(well, 2)
        assert registrant.running()
    assert registrant.log_text().count("before") == 3
