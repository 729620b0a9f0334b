"""docker-compose.yml is two systems: one of each, and with deploy/compose/ha.env three of what may die. Nobody gets half of the second:
every setting in which they differ is in that file, and the profile alone starts nothing."""
import re
import subprocess

import pytest

from compose_file import COMPOSE_FILE, FORMS, HA_ENV, ROOT, VARIABLE, Unset, enabled, env_file, services, whole

OPERATORS = {"SECRETS_DIR", "GATEWAY_PUBLISH", "GATEWAY_2_PUBLISH"}  # theirs, in either form
COMPOSES = {"COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME"}
KINDS = ("redis", "kafka", "gateway", "registrant")


def of(form, kind):
    """The settings of each service of a kind."""
    found = {name: s["environment"] for name, s in services(form).items() if re.fullmatch(kind + r"(-\d)?", name)}
    assert found
    return found


def hosts(text):
    return set(re.findall(r"(?:^|[/,@])([a-z][a-z0-9-]*):\d+", text))


def test_one_of_each_is_what_comes_without_settings():
    assert sorted(enabled({}, set())) == sorted(KINDS)
    redis = services("one")["redis"]["command"]
    assert redis[:2] == ["redis-server", "/run/secrets/redis.conf"] and redis[redis.index("--appendfsync") + 1] == "always"
    kafka = services("one")["kafka"]["environment"]
    assert kafka["KAFKA_CONTROLLER_QUORUM_VOTERS"] == "1@localhost:9093"
    assert kafka["KAFKA_DEFAULT_REPLICATION_FACTOR"] == kafka["KAFKA_MIN_INSYNC_REPLICAS"] == "1"
    gateway = services("one")["gateway"]
    assert gateway["environment"]["ROLLCALL_REDIS_URL"] == "redis://redis:6379" and gateway["environment"]["ROLLCALL_REDIS_WAIT"] == "0"
    assert gateway["hostname"] == services("one")["registrant"]["hostname"] == "", "or those that are scaled share a name"


def test_three_of_each_are_what_ha_env_makes_of_it():
    started = services("three")
    assert {n for n in started if n != "registrar"} == {*KINDS, "redis-2", "redis-3", "sentinel", "sentinel-2", "sentinel-3", "kafka-2", "kafka-3",
                                                        "gateway-2", "registrant-2", "registrant-3"}
    for kind in ("redis", "sentinel", "kafka", "gateway", "registrant"):
        alike = [s for name, s in started.items() if re.fullmatch(kind + r"(-\d)?", name)]
        held = [s["volumes"][0] for s in alike if "volumes" in s]
        assert len(set(held)) == len(held), "each has its own data"
        names = [s["hostname"] for s in alike if "hostname" in s]
        assert len(set(names)) == len(names)
    for settings in of("three", "kafka").values():
        for name in ("KAFKA_DEFAULT_REPLICATION_FACTOR", "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR"):
            assert settings[name] == "3"
        assert settings["KAFKA_MIN_INSYNC_REPLICAS"] == settings["KAFKA_TRANSACTION_STATE_LOG_MIN_ISR"] == "2"
    ids = {f"{s['KAFKA_NODE_ID']}@{re.search('//(.*):', s['KAFKA_ADVERTISED_LISTENERS'])[1]}:9093" for s in of("three", "kafka").values()}
    assert all(set(s["KAFKA_CONTROLLER_QUORUM_VOTERS"].split(",")) == ids for s in of("three", "kafka").values())
    assert all(s["ROLLCALL_REDIS_WAIT"] == "1" for s in of("three", "gateway").values())
    assert all(s["ROLLCALL_KAFKA_REPLICATION"] == "3" for kind in ("gateway", "registrant") for s in of("three", kind).values())
    assert all("/run/rollcall/redis-node" in s["command"][0] for name, s in started.items() if name.startswith("redis"))


@pytest.mark.parametrize("form", FORMS)
def test_whom_a_setting_names_is_there(form):
    started = services(form)
    named = {}
    for kind, names in {"gateway": ("ROLLCALL_REDIS_URL", "ROLLCALL_KAFKA_BOOTSTRAP"),
                        "registrant": ("ROLLCALL_KAFKA_BOOTSTRAP", "ROLLCALL_SNAPSHOT_URLS")}.items():
        for settings in of(form, kind).values():
            for name in names:
                named.setdefault(name, set()).update(hosts(settings[name]))
    assert all(found and found <= set(started) for found in named.values()), named
    assert named["ROLLCALL_KAFKA_BOOTSTRAP"] == set(of(form, "kafka")) and named["ROLLCALL_SNAPSHOT_URLS"] == set(of(form, "gateway"))
    for name, s in started.items():
        assert set(s.get("depends_on", [])) <= set(started), name


def test_the_profile_without_its_settings_starts_nothing():
    """Compose refuses whoever depends on a service that is not switched on, and names it."""
    started = enabled({}, {"ha"})
    missing = {needed for s in started.values() for needed in s.get("depends_on", []) if needed not in started}
    assert missing == {"give-env-file-deploy-compose-ha.env"}


def test_secrets_that_are_nowhere_are_said_to_be():
    with pytest.raises(Unset, match="SECRETS_DIR: .*make-secrets"):
        whole(SECRETS_DIR="")


def test_every_setting_of_the_two_is_in_ha_env():
    used = {name for name, _, _ in VARIABLE.findall(COMPOSE_FILE.read_text().partition("\nx-")[2]) if name}
    assert used - OPERATORS == set(env_file(HA_ENV)) - COMPOSES


def test_a_shell_reads_ha_env_as_compose_does():
    """For a docker-compose that takes one --env-file only."""
    script = 'set -a; . "$0"; exec env -0'
    read = subprocess.run(["/bin/sh", "-c", script, str(HA_ENV)], env={}, stdout=subprocess.PIPE, text=True, check=True).stdout
    told = dict(line.split("=", 1) for line in read.split("\0") if line)
    assert {name: told.get(name) for name in env_file(HA_ENV)} == env_file(HA_ENV)


def test_scripts_that_are_mounted_can_be_run():
    for form in FORMS:
        for name, s in services(form).items():
            for source in (v.split(":")[0] for v in s.get("volumes", []) if v.startswith("./")):
                assert (ROOT / source).stat().st_mode & 0o111, (name, source)
