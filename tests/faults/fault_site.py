"""The whole of Rollcall as processes that can be killed, frozen, cut off and started again, each by its name: "redis-1" ("redis-2" is
its replica), "kafka-1" …, "gateway-1" …, "registrant-1" …, "registrar-1" …; whoever drives it is "driver".

With a wire each process stands in a network namespace of its own; without one all are on loopback. It refuses to judge what it
sees, and to heal what nobody asked it to heal.
"""
import pathlib
import signal
import sys

import redis

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy/local"), str(ROOT / "tests/peers"), str(pathlib.Path(__file__).parent)]
from faults import fault_of  # noqa: E402
from registrar_process import RegistrarProcess  # noqa: E402
from stack import HERE, Broker, Redis, Stack, wait_for  # noqa: E402

PARTITIONS = "12"
READY_S = 60


class Site:
    """directory: where everything is written. build: of the services. kafka: "apache" (brokers: 1 or 3) or "embedded". wire: a
    Wire that is started, or None; the embedded broker knows loopback only and takes none. seed: of the registrars."""

    def __init__(self, directory, build, kafka="embedded", brokers=1, gateways=2, registrants=3, registrars=3,
                 redis_replica=False, seed=0, gateway_env=None, registrant_env=None, wire=None):
        assert not (wire and kafka == "embedded"), "the embedded broker listens on loopback only"
        self.directory = pathlib.Path(directory)
        self.wire = wire
        self.kafka_kind, self.broker_count = kafka, brokers
        self.gateway_env = {"ROLLCALL_PARTITIONS_ANY": PARTITIONS, **(gateway_env or {})}
        self.registrant_env = {"ROLLCALL_PARTITIONS_ANY": PARTITIONS, **(registrant_env or {})}
        self.stack = Stack(self.directory, build)
        self.processes = {}
        self.down = set()  # names of processes that somebody told to end
        self._add_redis(redis_replica)
        self._add_kafka()
        self.registrars = [self._add(RegistrarProcess(self.directory, name, machine.host, argv_prefix=machine.prefix, seed=seed))
                           for name, machine in self._machines("registrar", registrars)]
        for name, machine in self._machines("gateway", gateways):
            self._add(self.stack.new_gateway(name, env=self.gateway_env, machine=machine))
        self.new_registrants(registrants)

    # ---- parts

    def _machine(self, name):
        return self.wire.machine(name) if self.wire else HERE

    def _machines(self, role, count, first=1):
        return [(name, self._machine(name)) for name in (f"{role}-{i}" for i in range(first, first + count))]

    def _add(self, process):
        self.processes[process.name] = process
        return process

    def _add_redis(self, with_replica):
        for name, machine in self._machines("redis", 2 if with_replica else 1):
            server = self._add(Redis(self.directory, name=name, machine=machine))
            server.options = ["--bind", "0.0.0.0", "--protected-mode", "no"] if self.wire else []
        self.stack.redis = self.process("redis-1")
        if with_replica:
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

    def new_registrants(self, count):
        """As many more; they are not started."""
        first = len(self.stack.registrants) + 1
        return [self._add(self.stack.new_registrant(name, env=self.registrant_env, machine=machine))
                for name, machine in self._machines("registrant", count, first)]

    def follow(self, replica, master):
        """From its next start on that Redis is a replica of the other one."""
        other = self.process(master)
        self.process(replica).options += ["--replicaof", other.host, str(other.port)]

    # ---- life

    def start(self):
        for name in self.names("redis"):
            self.process(name).start()
        self.stack.kafka.start()
        for name in self.names("registrar"):
            self.process(name).start()
        for name in self.names("gateway") + self.names("registrant"):
            self.process(name).start(ready=False)
        self.wait_ready()
        return self

    def stop(self):
        """Everything, in the order in which nothing is lost; those of Rollcall's own that died of a mistake are returned."""
        for name, process in self.processes.items():
            self.thaw(name)
            self.down.add(name)
        for name in [n for role in ("registrant", "gateway", "registrar", "kafka", "redis") for n in self.names(role)]:
            if name.startswith("kafka"):
                self.process(name).kill()  # a quorum that is stopped one by one waits for itself
            else:
                self.process(name).stop()
        return [fault for fault in map(fault_of, self.processes.values()) if fault]

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
        return self.process(name).stop(seconds)

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
        """Of those that nobody told to end."""
        return [f"{name} ended with {p.child.returncode}" for name, p in self.processes.items()
                if p.child is not None and name not in self.down and not p.running()]

    # ---- addresses

    def admin(self, name):
        """URL of health and metrics, of a gateway or registrant."""
        return self.process(name).url

    @property
    def gateway_urls(self):
        return [self.admin(name) for name in self.names("gateway")]

    @property
    def kafka_bootstrap(self):
        return self.stack.kafka.bootstrap

    @property
    def senders(self):
        """{source of REGISTERs: registrant}: its address on a wire, address and port (of UDP) on loopback."""
        return {r.host if self.wire else f"{r.host}:{r.sip_port}": r.name for r in self.stack.registrants}

    def redis_client(self, name="redis-1"):
        server = self.process(name)
        return redis.Redis(server.host, server.port, decode_responses=True, socket_timeout=5, socket_connect_timeout=5)

    def ready(self, name):
        return self.process(name).http_ok("/readyz")

    def wait_ready(self, seconds=READY_S):
        """Until every gateway and registrant that runs can work."""
        for name in self.running("gateway") + self.running("registrant"):
            wait_for(lambda: self.ready(name), seconds, f"{name} to be ready", every=0.1)
