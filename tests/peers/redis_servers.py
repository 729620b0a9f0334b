"""Redis servers that stand in for one another: a master with replicas under Sentinel, and a cluster.

Every server is a real redis-server on a free port of loopback, ended by its process id. `url` is what ROLLCALL_REDIS_URL
takes. What belongs to a fail-over is set to be quick: a server that is silent for half a second counts as down.
"""
import pathlib
import socket

import redis

from stack import Process, free_port, wait_for

SILENT_MS = 500


def cluster_port():
    """A free port whose cluster bus (ten thousand above it) is free as well."""
    while True:
        port = free_port()
        if port + 10000 > 65535:
            port -= 30000
        with socket.socket() as plain, socket.socket() as bus:
            try:
                plain.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + 10000))
                return port
            except OSError:
                continue


class Server(Process):
    """One redis-server. settings: of its configuration, by name; tls: Pairs of certificates.Certificates, (the server's, the
    authority's, a client's): it then speaks TLS alone and asks for a client's certificate."""

    def __init__(self, directory, name="redis", port=None, settings=None, tls=None):
        super().__init__(name, directory)
        self.port = port or free_port()
        self.tls = tls
        self.url = f"{'rediss' if tls else 'redis'}://127.0.0.1:{self.port}"
        self.settings = {"bind": "127.0.0.1", "save": '""', "appendonly": "yes", "appendfsync": "always",
                         "appenddirname": f"{name}-aof", "repl-diskless-sync-delay": 0, "dbfilename": f"{name}.rdb", "dir": self.directory,
                         "hash-max-listpack-value": 8192, "port": self.port, **(settings or {})}
        if tls:
            pair, authority, _ = tls
            self.settings |= {"port": 0, "tls-port": self.port, "tls-cert-file": pair.certificate,
                              "tls-key-file": pair.key, "tls-ca-cert-file": authority.certificate,
                              "tls-replication": "yes"}

    def start(self):
        path = self.directory / f"{self.name}.conf"
        if not path.exists():  # Sentinel and a replica write what they learn into it
            path.write_text("".join(f"{name.split('#')[0]} {value}\n" for name, value in self.settings.items()))
        self.spawn(["redis-server", path])
        return self.up(self.answers)

    def answers(self):
        """It has loaded its data."""
        try:
            return self.client().ping()
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def client(self, **options):
        if self.tls:
            _, authority, pair = self.tls
            options |= {"ssl": True, "ssl_certfile": str(pair.certificate), "ssl_keyfile": str(pair.key),
                        "ssl_ca_certs": str(authority.certificate)}
        return redis.Redis(host="127.0.0.1", port=self.port, decode_responses=True, socket_timeout=2, **options)


class Sentinel(Server):
    def __init__(self, directory, name, master_port, quorum, settings=None):
        super().__init__(directory, name)
        self.settings = {"port": self.port, "bind": "127.0.0.1", "dir": self.directory,
                         "sentinel#monitor": f"monitor main 127.0.0.1 {master_port} {quorum}",
                         "sentinel#down": f"down-after-milliseconds main {SILENT_MS}",
                         "sentinel#timeout": "failover-timeout main 1000", **(settings or {})}

    def start(self):
        path = self.directory / f"{self.name}.conf"
        if not path.exists():
            path.write_text("".join(f"{name.split('#')[0]} {value}\n" for name, value in self.settings.items()))
        self.spawn(["redis-server", path, "--sentinel"])
        return self.up(self.answers)


class Watched:
    """A master with replicas, and sentinels that watch it under the name `main`."""

    def __init__(self, directory, replicas=2, sentinels=3, settings=None):
        self.servers = [Server(directory, f"redis-{i}", settings=settings) for i in range(1 + replicas)]
        for replica in self.servers[1:]:
            replica.settings["replicaof"] = f"127.0.0.1 {self.servers[0].port}"
        self.sentinels = [Sentinel(directory, f"sentinel-{i}", self.servers[0].port, sentinels // 2 + 1)
                          for i in range(sentinels)]
        self.url = "redis-sentinel://" + ",".join(f"127.0.0.1:{s.port}" for s in self.sentinels) + "/main"

    def start(self):
        for server in self.servers + self.sentinels:
            server.start()
        wait_for(self.whole, 20, "every sentinel to know the others and the replicas")
        return self

    def whole(self):
        found = [s.client().sentinel_master("main") for s in self.sentinels]
        links = [s.client().info("replication").get("master_link_status") for s in self.servers[1:]]
        return set(links) <= {"up"} and all(m["num-slaves"] == len(self.servers) - 1 and
                                            m["num-other-sentinels"] == len(self.sentinels) - 1 for m in found)

    def master(self):
        """The server that most sentinels name."""
        ports = [int(s.client().execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", "main")[1])
                 for s in self.sentinels if s.running()]
        port = max(set(ports), key=ports.count)
        return next(s for s in self.servers if s.port == port)

    def client(self):
        return self.master().client()

    def kill(self):
        for server in self.sentinels + self.servers:
            server.kill()

    stop = kill


class Client(redis.RedisCluster):
    def keys(self, pattern="*", **_):  # of all servers, not of one
        return list(self.scan_iter(pattern))


class Cluster:
    """Masters that share the slots evenly, each with so many replicas."""

    def __init__(self, directory, masters=3, replicas=0, settings=None):
        self.directory = pathlib.Path(directory)
        self.settings = {"cluster-enabled": "yes", "cluster-node-timeout": 1000, **(settings or {})}
        self.masters = [self.new_server(f"master-{i}") for i in range(masters)]
        self.replicas = [self.new_server(f"replica-{i}") for i in range(masters * replicas)]
        self.url = "redis-cluster://" + ",".join(f"127.0.0.1:{s.port}" for s in self.masters)

    @property
    def servers(self):
        return self.masters + self.replicas

    def new_server(self, name):
        return Server(self.directory, name, cluster_port(),
                      {**self.settings, "cluster-config-file": f"{name}-nodes.conf"})

    def start(self):
        """Makes it; of one that was made before, starts the servers that do not run."""
        made = [(self.directory / f"{s.name}-nodes.conf").exists() for s in self.servers]
        for server in self.servers:
            if not server.running():
                server.start()
        if not all(made):
            self._form()
        wait_for(self.whole, 20, "the cluster to be whole")
        return self

    def _form(self):
        share = 16384 / len(self.masters)
        for i, server in enumerate(self.servers):
            server.client().execute_command("CLUSTER SET-CONFIG-EPOCH", i + 1)
        for i, server in enumerate(self.masters):
            server.client().execute_command("CLUSTER ADDSLOTSRANGE", round(share * i), round(share * (i + 1)) - 1)
        for server in self.servers[1:]:
            self.meet(server)
        for i, replica in enumerate(self.replicas):
            master = self.masters[i % len(self.masters)]
            wait_for(lambda r=replica, m=master: self.id_of(m) in self.nodes(r), 10, "a replica to know its master")
            replica.client().execute_command("CLUSTER REPLICATE", self.id_of(master))

    # As one server, for tests that do not care which kind of Redis there is.

    def running(self):
        return all(server.running() for server in self.servers)

    def signal(self, number):
        for server in self.servers:
            server.signal(number)

    def kill(self):
        for server in self.servers:
            server.kill()

    def flush(self):
        for server in self.masters:
            server.client().flushall()

    def meet(self, server):
        self.masters[0].client().execute_command("CLUSTER MEET", "127.0.0.1", server.port)

    def add(self, name):
        """One more master, without slots."""
        server = self.new_server(name)
        server.start()
        self.meet(server)
        self.masters.append(server)
        wait_for(self.whole, 20, "the cluster to know its new member")
        return server

    def whole(self):
        def sound(server):
            info = server.client().execute_command("CLUSTER INFO")
            return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == len(self.servers)
        return all(sound(s) for s in self.servers) and \
            all(r.client().info("replication").get("master_link_status") == "up" for r in self.replicas)

    @staticmethod
    def id_of(server):
        return server.client().execute_command("CLUSTER MYID")

    @staticmethod
    def nodes(server):
        """What a server knows of the cluster, by node id."""
        return {n["node_id"]: n for n in server.client().execute_command("CLUSTER NODES").values()}

    def slot_of(self, key):
        alive = next(server for server in self.servers if server.running())
        return alive.client().execute_command("CLUSTER KEYSLOT", key)

    def owner_of(self, slot):
        """The running server that holds a slot by its own account."""
        def holds(node):
            return "master" in node["flags"] and any(int(r[0]) <= slot <= int(r[-1]) for r in node["slots"])
        return next((s for s in self.servers if s.running() and holds(self.nodes(s)[self.id_of(s)])), None)

    def begin_move(self, slot, target, most=None):
        """Moves keys as redis-cli does it, ten at a time. most: no more than that; the slot is in two places until move."""
        source = self.owner_of(slot)
        target.client().execute_command("CLUSTER SETSLOT", slot, "IMPORTING", self.id_of(source))
        client = source.client()
        client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", self.id_of(target))
        while keys := client.execute_command("CLUSTER GETKEYSINSLOT", slot, 10 if most is None else min(10, most)):
            client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            most = None if most is None else most - len(keys)
            if most == 0:
                return

    def move(self, slot, target):
        """The rest of its keys, and the slot itself."""
        self.begin_move(slot, target)
        source = self.owner_of(slot)
        for server in (target, source):
            server.client().execute_command("CLUSTER SETSLOT", slot, "NODE", self.id_of(target))

    def account_slot(self, account):
        """Where that account's registrations are."""
        for server in self.servers:
            if server.running():
                for key in server.client().scan_iter(f"rc:*:acct:{account}:ids"):
                    return self.slot_of(key.split(":")[1])
        raise AssertionError(f"the account {account} has nothing")

    def client(self):
        alive = next(server for server in self.servers if server.running())
        return Client(host="127.0.0.1", port=alive.port, decode_responses=True)

    stop = kill

