"""The whole of Rollcall as processes that can be killed, frozen, cut off and started again, each by its name: "redis-1" ("redis-2" is
its replica), "kafka-1" …, "gateway-1" …, "registrant-1" …, "registrar-1" …; whoever drives it is "driver".

With a wire each process stands in a network namespace of its own; without one all are on loopback. It refuses to judge what it
sees, and to heal what nobody asked it to heal.
"""
import os
import pathlib
import signal
import struct
import subprocess
import sys

import redis

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy/local"), str(ROOT / "tests/peers"), str(pathlib.Path(__file__).parent)]
from faults import CRASHES, fault_of  # noqa: E402
from registrar_process import RegistrarProcess  # noqa: E402
from stack import HERE, Broker, Redis, Stack, wait_for  # noqa: E402
from wire import Wire  # noqa: E402

PARTITIONS = "12"
READY_S = 60
SERVICE = "10.77.0.200"  # where Redis is on a wire, whichever server that is


class Site:
    """directory: where everything is written. build: of the services. kafka: "apache" (brokers: 1 or 3) or "embedded". wire: each
    process in a network namespace of its own; not with the embedded broker, which knows loopback only. spare: registrants that
    are not started. disk_mb: Redis gets a disk of its own of that size, which a mount namespace of the caller's is needed for.
    clocks: gateways, registrants and Redis have wall clocks that can be stepped. seed: of the registrars and the wire."""

    def __init__(self, directory, build, kafka="embedded", brokers=1, gateways=2, registrants=3, registrars=3,
                 redis_replica=False, seed=0, gateway_env=None, registrant_env=None, wire=False, spare=0, disk_mb=0,
                 clocks=False):
        assert not (wire and kafka == "embedded"), "the embedded broker listens on loopback only"
        self.directory = pathlib.Path(directory)
        self.build = pathlib.Path(build)
        self.kafka_kind, self.broker_count = kafka, brokers
        self.gateway_env = {"ROLLCALL_PARTITIONS_ANY": PARTITIONS, **(gateway_env or {})}
        self.registrant_env = {"ROLLCALL_PARTITIONS_ANY": PARTITIONS, **(registrant_env or {})}
        self.stack = Stack(self.directory, build)
        self.processes = {}
        self.down = set()  # names of processes that somebody told to end
        self.crashes = []  # of those that were told to end, and crashed
        self.spare = set()
        counts = {"redis": 2 if redis_replica else 1, "kafka": brokers, "gateway": gateways, "registrar": registrars,
                  "registrant": registrants + spare}
        self.wire = Wire(build, ["driver", *(f"{role}-{i}" for role, n in counts.items() for i in range(1, n + 1))],
                         seed).start() if wire else None
        self.disk = self._mount(disk_mb) if disk_mb else None
        self._add_redis(counts["redis"])
        self._add_kafka()
        self.registrars = [self._add(RegistrarProcess(self.directory, name, machine.host, argv_prefix=machine.prefix, seed=seed))
                           for name, machine in self._machines("registrar", registrars)]
        for name, machine in self._machines("gateway", gateways):
            self._add(self.stack.new_gateway(name, env=self.gateway_env, machine=machine))
        for name, machine in self._machines("registrant", registrants + spare):
            self._add(self.stack.new_registrant(name, env=self.registrant_env, machine=machine))
        self.spare = set(self.names("registrant")[registrants:])
        self.clocks = {}
        if clocks:
            self._add_clocks()

    # ---- parts

    def _machine(self, name):
        return self.wire.machine(name) if self.wire else HERE

    def _machines(self, role, count):
        return [(name, self._machine(name)) for name in (f"{role}-{i}" for i in range(1, count + 1))]

    def _add(self, process):
        self.processes[process.name] = process
        return process

    def _mount(self, megabytes):
        disk = self.directory / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", disk], check=True)
        return disk

    def _add_redis(self, count):
        for name, machine in self._machines("redis", count):
            server = self._add(Redis(self.directory, self.process("redis-1").port if self.wire and self.processes else None,
                                     name, machine, self.disk))
            if self.disk:  # it is shared and small: what a long run appends to a file is written anew in time
                server.options += ["--auto-aof-rewrite-min-size", "8mb"]
            if self.wire:
                server.options += ["--bind", "0.0.0.0", "--protected-mode", "no"]
                server.url = f"redis://{SERVICE}:{server.port}"
        self.stack.redis = self.process("redis-1")
        if self.wire:
            self.wire.claim("redis-1", SERVICE)
        if count > 1:
            self.follow("redis-2", "redis-1")

    def _add_kafka(self):
        if self.kafka_kind == "embedded":
            self.stack.kafka = self._add(Broker(self.directory, self.stack.build))
            self.processes["kafka-1"] = self.processes.pop(self.stack.kafka.name)
            return
        from kafka import KafkaCluster  # only here: it is no module of every machine
        self.stack.kafka = KafkaCluster(self.directory, [m for _, m in self._machines("kafka", self.broker_count)])
        for broker in self.stack.kafka.brokers:
            self._add(broker)

    def _add_clocks(self):
        for name in [n for role in ("redis", "gateway", "registrant") for n in self.names(role)]:
            clock = self.directory / f"{name}.clock"
            clock.write_bytes(struct.pack("q", 0))
            self.clocks[name] = clock
            self.process(name).more_env = {"LD_PRELOAD": str(self.build / "tests/faults/libstepped_clock.so"),
                                           "STEPPED_CLOCK": str(clock)}

    def step_clock(self, name, seconds):
        """Its wall clock is that far from the true one from now on."""
        with open(self.clocks[name], "r+b") as clock:
            clock.write(struct.pack("q", int(seconds)))

    # ---- Redis and its replica

    def follow(self, replica, master):
        """From its next start on that Redis is a replica of the other one."""
        self.stand_alone(replica)
        other = self.process(master)
        self.process(replica).options += ["--replicaof", other.host, str(other.port)]

    def stand_alone(self, name):
        """From its next start on that Redis is nobody's replica."""
        options = self.process(name).options
        if "--replicaof" in options:
            at = options.index("--replicaof")
            del options[at:at + 3]

    @property
    def master(self):
        return self.stack.redis.name

    def promote(self):
        """The replica takes the place of the master, which is dead: it is found where that one was. Gives its name."""
        former = self.stack.redis
        replica = next(self.process(n) for n in self.names("redis") if n != former.name)
        client = self.redis_client(replica.name)
        client.replicaof("NO", "ONE")
        if self.wire:
            self.wire.claim(replica.name, SERVICE)
        else:
            client.config_set("port", former.port)
            former.port, replica.port = replica.port, former.port
        self.stand_alone(replica.name)
        self.stack.redis = replica
        self.follow(former.name, replica.name)
        return replica.name

    # ---- life

    def start(self):
        for name in self.names("redis"):
            self.process(name).start()
        self.stack.kafka.start()
        for name in self.names("registrar"):
            self.process(name).start()
        for name in self.names("gateway") + self.names("registrant"):
            if name not in self.spare:
                self.process(name).start(ready=False)
        self.wait_ready()
        return self

    def stop(self):
        """Everything, in the order in which nothing is lost; those of Rollcall's own that died of a mistake are returned."""
        for name in self.processes:
            self.thaw(name)
            self.down.add(name)
        for name in [n for role in ("registrant", "gateway", "registrar", "kafka", "redis") for n in self.names(role)]:
            if name.startswith("kafka"):
                self.process(name).kill()  # a quorum that is stopped one by one waits for itself
            else:
                self.process(name).stop()
        if self.wire:
            self.wire.stop()
        if self.disk and os.path.ismount(self.disk):
            subprocess.run(["umount", self.disk], check=True)
        return [*self.crashes, *(fault for fault in map(fault_of, self.processes.values()) if fault)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # ---- by name

    def process(self, name):
        return self.processes[name]

    def names(self, role):
        """Of all processes of that role: redis, kafka, gateway, registrant, registrar."""
        return [name for name in self.processes if name.rpartition("-")[0] == role]

    def running(self, role):
        return [name for name in self.names(role) if self.process(name).running()]

    def kill(self, name):
        self.down.add(name)
        self.process(name).kill()

    def end(self, name, seconds=15):
        """SIGTERM, and waits for its end; the exit status."""
        self.down.add(name)
        status = self.process(name).stop(seconds)
        if status in CRASHES:
            self.crashes.append(f"{name} was told to end and did so by signal {-status}")
        return status

    def begin(self, name, ready=False):
        """Starts what does not run. ready: waits until it can work, which under another fault may take that one's time."""
        process = self.process(name)
        if not process.running():
            if name.rpartition("-")[0] in ("gateway", "registrant"):
                process.start(ready)
            else:
                process.start()
        self.down.discard(name)
        return process

    def restart(self, name, ready=False):
        self.end(name)
        return self.begin(name, ready)

    def freeze(self, name):
        self.process(name).signal(signal.SIGSTOP)

    def thaw(self, name):
        self.process(name).signal(signal.SIGCONT)

    def deaths(self):
        """Of those that nobody told to end, or that did not end as they were told."""
        return [*self.crashes, *self._ends()]

    def _ends(self):
        return [f"{name} ended with {p.child.returncode}" for name, p in self.processes.items()
                if p.child is not None and name not in self.down and not p.running()]

    # ---- addresses

    def admin(self, name):
        """URL of health and metrics, of a gateway or registrant."""
        return self.process(name).url

    @property
    def kafka_bootstrap(self):
        return self.stack.kafka.bootstrap

    @property
    def senders(self):
        """{source of REGISTERs: registrant}: its address on a wire, address and port (of UDP) on loopback."""
        return {r.host if self.wire else f"{r.host}:{r.sip_port}": r.name for r in self.stack.registrants}

    def redis_client(self, name=None):
        """Of the master where no name is given."""
        server = self.process(name or self.master)
        return redis.Redis(server.host, server.port, decode_responses=True, socket_timeout=5, socket_connect_timeout=5)

    def ready(self, name):
        return self.process(name).http_ok("/readyz")

    def wait_ready(self, seconds=READY_S):
        """Until every gateway and registrant that runs can work."""
        for name in self.running("gateway") + self.running("registrant"):
            wait_for(lambda: self.ready(name), seconds, f"{name} to be ready", every=0.1)
