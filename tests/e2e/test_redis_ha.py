"""Redis that fails over, moves its slots, loses what it held, refuses, or is reached over TLS by a user of few rights: real
servers, real sentinels, a real cluster. What a gateway acknowledged is there afterwards, and no id was given twice.

Kafka has no part in it but to keep what was published: the embedded broker does that as well as another.
"""
import itertools
import signal
import threading
import time

import pytest
import requests

from certificates import Certificates
from conftest import BUILD, KAFKA, ROOT
from redis_servers import Cluster, Server, Watched
from stack import Stack, wait_for
from world import Api

pytestmark = pytest.mark.skipif(KAFKA != "embedded", reason="the same on any Kafka")

WAITING = {"ROLLCALL_REDIS_WAIT": "1"}
_prefixes = itertools.count(1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """What every test's gateway shares: secrets and a broker."""
    s = Stack(tmp_path_factory.mktemp("redis-ha"), BUILD)
    s.start_broker()
    yield s
    s.stop()


@pytest.fixture
def gateway_on(stack):
    """Starts a gateway on that Redis; it ends with the test."""
    started = []

    def start(servers, ready=True, **env):
        number = next(_prefixes)
        stack.redis = servers
        gateway = stack.new_gateway(f"gateway-{number}", env={"ROLLCALL_TOPIC_PREFIX": f"ha{number}", **env})
        started.append(gateway)
        gateway.start(ready)
        return gateway
    yield start
    for gateway in started:
        assert gateway.stop() == 0, gateway.log_text()[-3000:]


@pytest.fixture
def servers_of(tmp_path):
    """Starts servers of a kind in a directory of their own; they end with the test."""
    started = []

    def start(kind, *args, **options):
        started.append(kind(tmp_path, *args, **options))
        return started[-1].start()
    yield start
    for servers in started:
        servers.kill()


def api_of(stack, gateway):
    return Api(gateway.url, stack.username, stack.password)


def body_of(name):
    return {"data": {"type": "registrations", "attributes": {
        "name": name, "domain": "example.com", "username": "alice", "contact": "sip:alice@192.0.2.1", "enabled": False}}}


class Writer:
    """Creates registrations without a pause, some threads at a time, and remembers what was acknowledged. Anything else than
    201 and 503 is a fault."""

    def __init__(self, stack, gateway, threads=3):
        self.acknowledged, self.refused, self.faults = {}, 0, []  # id -> name
        self.last = time.monotonic()
        self.longest_gap = 0
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._write, args=(api_of(stack, gateway), f"w{i}")) for i in range(threads)]

    def _write(self, api, prefix):
        for number in itertools.count():
            if self.ended.is_set():
                return
            name = f"{prefix}-{number}"
            try:
                answer = api.call("POST", "/registrations", body_of(name), timeout=20)
            except requests.RequestException as e:
                self.faults.append(repr(e))
                return
            with self.lock:
                self._note(name, answer)
            if answer.status_code == 503:
                time.sleep(0.02)

    def _note(self, name, answer):
        now = time.monotonic()
        if answer.status_code == 201:
            self.longest_gap = max(self.longest_gap, now - self.last)
            self.last = now
            id = answer.json()["data"]["id"]
            if id in self.acknowledged:
                self.faults.append(f"id {id} was given to {self.acknowledged[id]} and to {name}")
            self.acknowledged[id] = name
        elif answer.status_code == 503:
            self.refused += 1
        else:
            self.faults.append(f"{answer.status_code} {answer.text}")

    def count(self):
        with self.lock:
            return len(self.acknowledged)

    def gets_on(self, more=30, seconds=30):
        """Waits until so many more were acknowledged."""
        target = self.count() + more
        wait_for(lambda: self.count() >= target or self.faults, seconds, f"{more} more writes")
        assert not self.faults, self.faults[:3]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.gets_on()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()


def listed(api):
    """id -> name of everything that the account has."""
    found = {}
    for page in itertools.count(1):
        answer = api.call("GET", f"/registrations?page[size]=500&page[number]={page}")
        assert answer.status_code == 200, answer.text
        rows = answer.json()["data"]
        found.update({row["id"]: row["attributes"]["name"] for row in rows})
        if len(rows) < 500:
            return found


def check_nothing_is_lost(stack, gateway, writer):
    assert not writer.faults, writer.faults[:3]
    found = listed(api_of(stack, gateway))
    lost = {id: name for id, name in writer.acknowledged.items() if found.get(id) != name}
    assert not lost, f"{len(lost)} of {len(writer.acknowledged)} acknowledged writes are lost: {dict(list(lost.items())[:5])}"
    assert len(set(found.values())) == len(found)


# ---- Sentinel


def test_no_acknowledged_write_is_lost_when_the_master_dies_and_when_it_only_stands_still(stack, servers_of, gateway_on):
    watched = servers_of(Watched, replicas=3)
    gateway = gateway_on(watched, **WAITING)
    with Writer(stack, gateway) as writer:
        watched.master().kill()
        writer.gets_on()
        killed_gap = writer.longest_gap

        frozen = watched.master()
        frozen.signal(signal.SIGSTOP)
        writer.gets_on()
        frozen.signal(signal.SIGCONT)  # still believes that it is the master
        wait_for(lambda: not any(c["cmd"] == "evalsha" for c in frozen.client().client_list()), 2, "the gateway to leave it")
        assert watched.master() is not frozen
        writer.gets_on()
    check_nothing_is_lost(stack, gateway, writer)
    print(f"{len(writer.acknowledged)} acknowledged, {writer.refused} refused, no write for {killed_gap:.1f} s after the death, "
          f"at most {writer.longest_gap:.1f} s at all")


def test_what_a_fail_over_lost_comes_back_from_kafka(stack, servers_of, gateway_on):
    watched = servers_of(Watched)
    gateway = gateway_on(watched)
    api = api_of(stack, gateway)
    for replica in watched.servers[1:]:
        replica.signal(signal.SIGSTOP)
    watched.servers[0].client().execute_command("CLIENT KILL TYPE replica")  # what is sent would be read later
    names = {api.call("POST", "/registrations", body_of(f"lost-{i}")).json()["data"]["id"]: f"lost-{i}" for i in range(20)}
    master = watched.servers[0].client()
    wait_for(lambda: published(master) >= 20, 10, "all to be published")
    watched.servers[0].kill()
    for replica in watched.servers[1:]:
        replica.signal(signal.SIGCONT)
    wait_for(lambda: api.call("POST", "/registrations", body_of("next")).status_code == 201, 30, "writes to be taken again")
    found = listed(api)
    assert found.items() >= names.items()
    assert "20 written back" in gateway.log_text()


def published(client):
    """How many changes the broker has: their next report is awaited for longer than its acknowledgement was."""
    soon = time.time() * 1000 + 2000
    return sum(client.zcount(key, soon, "+inf") for key in client.scan_iter("rc:*:due"))


# ---- Cluster


def test_a_cluster_moves_slots_and_fails_over_under_writes(stack, servers_of, gateway_on):
    cluster = servers_of(Cluster, 3, replicas=1)
    gateway = gateway_on(cluster, **WAITING)
    with Writer(stack, gateway) as writer:
        for slot in [cluster.slot_of("{g}"), cluster.account_slot(stack.account)]:
            source = cluster.owner_of(slot)
            target = next(m for m in cluster.masters if m is not source)
            before = writer.refused
            cluster.move(slot, target)
            writer.gets_on()
            assert cluster.owner_of(slot) is target
            cluster.move(slot, source)
            writer.gets_on()
            assert writer.refused == before  # held back, not refused
        moved = writer.longest_gap

        cluster.owner_of(cluster.slot_of("{g}")).kill()
        writer.gets_on()
    check_nothing_is_lost(stack, gateway, writer)
    print(f"{len(writer.acknowledged)} acknowledged, {writer.refused} refused, longest gap {moved:.2f} s while slots were moved, "
          f"{writer.longest_gap:.1f} s over the fail-over")


# ---- one server


def test_an_emptied_redis_is_noticed_though_no_connection_was_lost(stack, servers_of, gateway_on):
    server = servers_of(Server)
    gateway = gateway_on(server)
    api = api_of(stack, gateway)
    names = {api.call("POST", "/registrations", body_of(f"kept-{i}")).json()["data"]["id"]: f"kept-{i}" for i in range(20)}
    wait_for(lambda: published(server.client()) >= 20, 10, "all to be published")
    server.client().flushall()
    assert api.call("POST", "/registrations", body_of("at once")).status_code == 503
    wait_for(lambda: listed(api).items() >= names.items(), 10, "everything to be back")
    wait_for(lambda: api.call("POST", "/registrations", body_of("next")).status_code == 201, 10, "writes to be taken again")
    new = listed(api).keys() - names.keys()
    assert len(new) == 1 and int(new.pop()) > max(map(int, names))


def test_a_redis_that_refuses_is_one_that_is_away_and_the_log_says_why(stack, servers_of, gateway_on, tmp_path):
    server = servers_of(Server)
    gateway = gateway_on(server)
    api = api_of(stack, gateway)
    id = api.call("POST", "/registrations", body_of("held")).json()["data"]["id"]
    client = server.client()

    def is_refused(name, log):
        answer = api.call("POST", "/registrations", body_of(name))
        assert answer.status_code == 503 and "Retry-After" in answer.headers, answer.text
        assert api.call("GET", f"/registrations/{id}").status_code == 200
        wait_for(lambda: log in gateway.log_text(), 5, f"the log to say {log}")

    def is_taken(name):
        wait_for(lambda: api.call("POST", "/registrations", body_of(name)).status_code == 201, 10, "writes to be taken again")

    (tmp_path / "redis.rdb").mkdir()  # no dump can be written in its place
    client.config_set("save", "3600 1")
    client.bgsave()
    wait_for(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", 5, "the disk to be full")
    is_refused("full disk", "MISCONF")
    client.config_set("save", "")
    is_taken("disk with room")

    client.config_set("maxmemory", 1)
    is_refused("full memory", "OOM")
    client.config_set("maxmemory", 0)
    is_taken("memory with room")

    client.acl_setuser("default", enabled=True, nopass=True, categories=["+@all", "-@write"], keys=["*"])
    is_refused("rights", "The user executing the script can't run")
    client.execute_command("ACL SETUSER default +@all")
    is_taken("rights given")


def test_tls_is_spoken_and_a_server_that_is_another_is_not(stack, servers_of, gateway_on, tmp_path):
    made = Certificates(tmp_path)
    mine = made.server("gateway", usage="client")
    server = servers_of(Server, tls=(made.server(ips=["127.0.0.1"]), made.ca, mine))
    env = {"ROLLCALL_REDIS_TLS_CA_FILE": str(made.ca.certificate), "ROLLCALL_REDIS_TLS_CERTIFICATE_FILE": str(mine.certificate),
           "ROLLCALL_REDIS_TLS_KEY_FILE": str(mine.key)}
    gateway = gateway_on(server, **env)
    with Writer(stack, gateway) as writer:
        pass
    check_nothing_is_lost(stack, gateway, writer)

    def is_refused(log, **other):
        refused = gateway_on(server, ready=False, **{**env, **other})
        wait_for(lambda: f"Redis is away: {log}" in refused.log_text(), 10, f"the log to say: {log}")
        assert not refused.http_ok("/readyz")

    is_refused("cannot connect to Redis: self-signed certificate", ROLLCALL_REDIS_TLS_CA_FILE=str(made.stranger.certificate))
    is_refused("cannot connect to Redis: hostname mismatch", ROLLCALL_REDIS_URL=f"rediss://localhost:{server.port}")
    is_refused("lost the connection to Redis", ROLLCALL_REDIS_TLS_CERTIFICATE_FILE="", ROLLCALL_REDIS_TLS_KEY_FILE="")


def test_a_user_of_few_rights_is_enough(stack, servers_of, gateway_on, tmp_path):
    rules = (ROOT / "deploy/redis/rollcall.acl").read_text().replace("user rollcall on", "user rollcall on >p%20w")
    file = tmp_path / "users.acl"
    file.write_text(rules + "user tester on nopass ~* &* +@all\n")
    server = servers_of(Server, settings={"aclfile": file})
    url = f"redis://rollcall:p%2520w@127.0.0.1:{server.port}/1"
    gateway = gateway_on(server, ROLLCALL_REDIS_URL=url)
    api = api_of(stack, gateway)
    id = api.call("POST", "/registrations", body_of("mine")).json()["data"]["id"]
    assert api.call("PUT", f"/registrations/{id}", {"data": {"type": "registrations", "id": id, "attributes": {
        "username": "bob"}}}).status_code == 200
    assert listed(api) == {id: "mine"}
    assert api.call("DELETE", f"/registrations/{id}").status_code == 204
    client = server.client(username="tester", password="any")
    denied = client.execute_command("ACL LOG")
    assert not denied, denied
    for command in (["FLUSHALL"], ["KEYS", "*"], ["CONFIG", "GET", "*"], ["GET", "theirs"], ["DEBUG", "SLEEP", "0"]):
        assert "NOPERM" in client.execute_command("ACL DRYRUN", "rollcall", *command) or \
            "permission" in client.execute_command("ACL DRYRUN", "rollcall", *command)
