"""What is done to a site: each class is one fault. begin(site, rng) chooses its victim and does it; end(site) heals it, and leaves
what it stopped running. `excuses` says what the fault excuses (README.md), `victims` names what it touches: two faults that
share one are not put together. str() tells what was done to whom.

A fault refuses to wait until the system is well again: that is the checker's business.
"""
import time

import confluent_kafka.admin

ALL = "all"
LEASE_S = 6  # ROLLCALL_KAFKA_SESSION_TIMEOUT of a site


class Fault:
    """seconds: least and most that it lasts for. needs: what a site must have (see usable)."""
    seconds = (4, 8)
    needs = ()

    def __init__(self):
        self.excuses, self.victims, self.detail = [], set(), ""

    def __str__(self):
        return f"{type(self).__name__} {self.detail}".strip()

    def choose(self, rng, names):
        """One of them, which is the victim then."""
        name = rng.choice(sorted(names))
        self.victims, self.detail = {name}, name
        return name

    @classmethod
    def usable(cls, site):
        has = {"wire": site.wire, "brokers": site.broker_count > 1, "one broker": site.broker_count == 1,
               "apache": site.kafka_kind == "apache", "replica": len(site.names("redis")) > 1, "disk": site.disk,
               "no disk": not site.disk, "clocks": site.clocks}
        return all(has[need] for need in cls.needs)


# ---- processes

class Kill(Fault):
    """kill -9; started again at the end."""
    role = None

    def begin(self, site, rng):
        self.name = self.choose(rng, site.running(self.role))
        self.excuses = [[self.role, self.name]]
        site.kill(self.name)

    def end(self, site):
        site.begin(self.name)


class KillGateway(Kill):
    role = "gateway"


class KillRegistrant(Kill):
    role = "registrant"
    seconds = (1, 12)  # back before the session is over, or after another has taken over


class KillRegistrar(Kill):
    role = "registrar"


class KillAllRegistrants(Fault):
    def begin(self, site, rng):
        self.victims = set(site.running("registrant"))
        self.excuses = [["registrants", ALL]]
        for name in sorted(self.victims):
            site.kill(name)

    def end(self, site):
        for name in sorted(self.victims):
            site.begin(name)


class Freeze(Fault):
    """SIGSTOP for longer than any lease, then SIGCONT."""
    role = None
    seconds = (LEASE_S + 3, LEASE_S + 9)

    def begin(self, site, rng):
        self.name = self.choose(rng, site.running(self.role))
        self.excuses = [[self.role, self.name]]
        site.freeze(self.name)

    def end(self, site):
        site.thaw(self.name)


class FreezeGateway(Freeze):
    role = "gateway"


class FreezeRegistrant(Freeze):
    role = "registrant"


class FreezeRegistrar(Freeze):
    role = "registrar"


class FreezeRedis(Freeze):
    def begin(self, site, rng):
        self.name = self.choose(rng, [site.master])
        self.excuses = [["redis", ALL]]
        site.freeze(self.name)


class FreezeBroker(Freeze):
    needs = ("apache",)

    def begin(self, site, rng):
        self.name = self.choose(rng, site.running("kafka"))
        self.excuses = [["kafka", ALL]]
        site.freeze(self.name)


class Restart(Fault):
    """One after the other, as an upgrade does: told to stop, started again, and the next when it works."""
    role = None
    seconds = (0, 1)

    def begin(self, site, rng):
        self.victims = set(site.running(self.role))
        self.excuses = [[self.role, name] for name in sorted(self.victims)]

    def end(self, site):
        for name in sorted(self.victims):  # none gets ready while another fault has what it needs: only the end of that one helps
            site.restart(name, ready=site.down.isdisjoint(site.names("redis") + site.names("kafka")))


class RollGateways(Restart):
    role = "gateway"


class RollRegistrants(Restart):
    role = "registrant"


class Scale(Fault):
    """All registrants but one stop, then they are back."""
    seconds = (6, 10)

    def begin(self, site, rng):
        names = sorted(site.running("registrant"))
        self.gone = sorted(rng.sample(names, len(names) - 1))
        self.victims, self.detail = set(names), f"{len(names)} to 1"
        self.excuses = [["registrant", name] for name in self.gone]
        for name in self.gone:
            site.end(name)

    def end(self, site):
        for name in self.gone:
            site.begin(name)


# ---- Redis

class RedisFault(Fault):
    def victim(self, site):
        self.victims, self.detail = set(site.names("redis")), site.master
        self.excuses = [["redis", ALL]]
        return site.master


class KillRedis(RedisFault):
    def begin(self, site, rng):
        self.name = self.victim(site)
        site.kill(self.name)

    def end(self, site):
        site.begin(self.name)


class RestartRedis(KillRedis):
    seconds = (0, 2)

    def begin(self, site, rng):
        self.name = self.victim(site)
        site.end(self.name)


class RedisLosesASecond(RedisFault):
    """Killed, and what it wrote in its last second is gone: as with appendfsync everysec."""
    seconds = (1, 3)
    lost_s = 1.0

    def begin(self, site, rng):
        self.name = self.victim(site)
        self.excuses += [["writes", ALL], ["events", ALL]]
        files = {path: path.stat().st_size for path in site.process(self.name).append_only.glob("*.incr.aof")}
        time.sleep(self.lost_s)
        site.kill(self.name)
        lost = 0
        for path in site.process(self.name).append_only.glob("*.incr.aof"):
            size = files.get(path, 0)  # it may have begun another one
            lost += path.stat().st_size - size
            with open(path, "r+b") as file:
                file.truncate(size)
        self.detail = f"{self.name}, {lost} bytes"

    def end(self, site):
        site.begin(self.name)


class ReplicaTakesOver(RedisFault):
    """The master is killed, its replica stands where it was; it comes back as the replica. Nobody waits for replicas here
    (ROLLCALL_REDIS_WAIT), so the last writes may be lost."""
    seconds = (1, 3)
    needs = ("replica",)

    def begin(self, site, rng):
        self.former = self.victim(site)
        self.excuses += [["writes", ALL], ["events", ALL]]
        site.kill(self.former)
        self.detail = f"{self.former} by {site.promote()}"

    def end(self, site):
        site.begin(self.former)


class RedisDiskFull(RedisFault):
    """Nothing can be written to its disk: it refuses writes, or ends by itself."""
    needs = ("disk",)

    def begin(self, site, rng):
        self.name = self.victim(site)
        site.down.update(site.names("redis"))  # a replica stands on the same disk
        self.filler = site.disk / "filler"
        with open(self.filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass

    def end(self, site):
        self.filler.unlink()
        for name in site.names("redis"):
            site.begin(name)


# ---- Kafka

class StopBroker(Fault):
    """One of them; where there is one only, all of Kafka."""
    seconds = (4, 10)
    signal = "end"

    def begin(self, site, rng):
        self.name = self.choose(rng, site.running("kafka"))
        self.excuses = [["kafka", ALL]]
        getattr(site, self.signal)(self.name)

    def end(self, site):
        site.begin(self.name)

    @classmethod
    def usable(cls, site):
        return site.kafka_kind == "apache"  # the embedded one keeps nothing: AllBrokersForget


class KillBroker(StopBroker):
    signal = "kill"


class StopAllBrokers(Fault):
    seconds = (LEASE_S + 2, LEASE_S + 8)
    needs = ("apache", "brokers")

    def begin(self, site, rng):
        self.victims = set(site.names("kafka"))
        self.excuses = [["kafka", ALL]]
        site.down |= self.victims
        site.stack.kafka.stop()

    def end(self, site):
        site.stack.kafka.start()
        site.down -= self.victims


class KafkaForgets(Fault):
    """The embedded broker is killed and started again: every topic is gone with what was in it."""
    seconds = (1, LEASE_S + 4)

    @classmethod
    def usable(cls, site):
        return site.kafka_kind == "embedded"

    def begin(self, site, rng):
        self.victims = {"kafka-1"}
        self.excuses = [["kafka", ALL], ["past_events", ALL]]
        site.kill("kafka-1")

    def end(self, site):
        site.begin("kafka-1")


class DeleteTopics(Fault):
    """All of Rollcall's, while everything runs."""
    seconds = (1, 4)
    needs = ("apache",)

    def begin(self, site, rng):
        self.victims = set(site.names("kafka"))
        self.excuses = [["kafka", ALL], ["past_events", ALL]]
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": site.kafka_bootstrap})
        topics = [t for t in admin.list_topics(timeout=20).topics if t.startswith("rollcall.")]
        for future in admin.delete_topics(topics, operation_timeout=20).values():
            future.result(30)
        self.detail = f"{len(topics)} topics"

    def end(self, site):
        pass


# ---- the network

class Network(Fault):
    needs = ("wire",)
    fate = {}

    def disturb(self, site, pairs):
        """pairs: [(one, another)]. They are what is healed at the end."""
        self.pairs = pairs
        for a, b in pairs:
            site.wire.between(a, b, **self.fate)

    def end(self, site):
        for a, b in self.pairs:
            site.wire.heal(a, b)


class CutOff(Network):
    """One registrant is alone: it reaches neither Kafka nor gateways nor registrars."""
    seconds = (LEASE_S + 2, LEASE_S + 10)
    fate = {"cut": 1}

    def begin(self, site, rng):
        name = self.choose(rng, site.running("registrant"))
        self.excuses = [["registrant", name], ["zombie", name]]  # what it repeats arrives when the cut is over
        self.disturb(site, [(name, site.wire.others(name))])


class Split(Network):
    """A registrant reaches its registrars, and nothing else: it refreshes on beside the one that took over."""
    seconds = (LEASE_S + 4, LEASE_S + 14)
    fate = {"cut": 1}

    def begin(self, site, rng):
        name = self.choose(rng, site.running("registrant"))
        self.excuses = [["zombie", name]]
        self.disturb(site, [(name, site.names("kafka") + site.names("gateway"))])


class CutOneWay(Network):
    """A registrant hears Kafka and is not heard by it."""
    seconds = (LEASE_S + 4, LEASE_S + 14)

    def begin(self, site, rng):
        name = self.choose(rng, site.running("registrant"))
        self.excuses = [["zombie", name]]
        self.pairs = [(name, site.names("kafka"))]
        for broker in site.names("kafka"):
            site.wire.cut_one_way(name, broker)


class CutGatewayFromRedis(Network):
    fate = {"cut": 1}

    def begin(self, site, rng):
        name = self.choose(rng, site.running("gateway"))
        self.excuses = [["gateway", name]]
        self.disturb(site, [(name, site.names("redis"))])


class CutGatewayFromKafka(Network):
    """It takes writes and cannot publish them: the other one's sweep does."""
    seconds = (LEASE_S, LEASE_S + 8)
    fate = {"cut": 1}

    def begin(self, site, rng):
        name = self.choose(rng, site.running("gateway"))
        self.excuses = [["gateway", name], ["kafka", ALL]]
        self.disturb(site, [(name, site.names("kafka"))])


class CutRegistrarOff(Network):
    fate = {"cut": 1}

    def begin(self, site, rng):
        name = self.choose(rng, site.running("registrar"))
        self.excuses = [["registrar", name]]
        self.disturb(site, [(name, site.names("registrant"))])


class BadPaths(Network):
    """Between registrants and registrars packets are lost, come twice, or are overtaken."""
    seconds = (8, 16)
    fate = {"loss": 80, "twice": 50, "late": 100, "late_by": 0.08, "delay": 0.01, "jitter": 0.02}

    def begin(self, site, rng):
        self.victims, self.excuses = {"paths"}, [["path", ALL]]
        self.disturb(site, [(site.names("registrant"), site.names("registrar"))])


class BadNetwork(Network):
    """Among Rollcall's own machines, Redis and Kafka everything is slow, some is lost and overtaken."""
    seconds = (8, 16)
    fate = {"loss": 20, "late": 30, "late_by": 0.05, "delay": 0.01, "jitter": 0.01}

    def begin(self, site, rng):
        self.victims, self.excuses = {"network"}, [["kafka", ALL], ["redis", ALL]]
        inside = [n for role in ("redis", "kafka", "gateway", "registrant") for n in site.names(role)]
        self.disturb(site, [(inside, inside)])


# ---- clocks

class StepClock(Fault):
    """The wall clock of one process is an hour off, forward or back, and right again at the end."""
    needs = ("clocks",)
    role = None
    seconds = (5, 10)

    def begin(self, site, rng):
        self.name = self.choose(rng, self.candidates(site))
        seconds = rng.choice([-3600, 3600])
        self.detail = f"{self.name} by {seconds} s"
        self.excuses = [["clock", self.name]]
        site.step_clock(self.name, seconds)

    def candidates(self, site):
        return site.running(self.role)

    def end(self, site):
        site.step_clock(self.name, 0)


class StepRedisClock(StepClock):
    def candidates(self, site):
        return [site.master]


class StepGatewayClock(StepClock):
    role = "gateway"


class StepRegistrantClock(StepClock):
    role = "registrant"


# ---- registrars

class RegistrarFault(Fault):
    seconds = (5, 12)

    def begin(self, site, rng):
        name = self.choose(rng, site.running("registrar"))
        self.excuses = [["registrar", name]]
        self.registrar = site.process(name)
        self.act(rng)

    def end(self, site):
        self.registrar.normal()


class RegistrarDies(RegistrarFault):
    def act(self, rng):
        self.registrar.die()


class RegistrarIsSlow(RegistrarFault):
    def act(self, rng):
        self.registrar.slow(rng.choice([0.4, 1.5, 5]))


class RegistrarRefuses(RegistrarFault):
    def act(self, rng):
        self.registrar.answer(rng.choice([500, 503, 480, 408]), rng.choice([0.3, 0.7, 1]))


class RegistrarLies(RegistrarFault):
    def act(self, rng):
        self.registrar.lie(rng.choice(["short", "long", "empty", "foreign"]))


class RegistrarForgets(RegistrarFault):
    def act(self, rng):
        self.registrar.lose()


def _kinds(base):
    return {base} | {kind for direct in base.__subclasses__() for kind in _kinds(direct)}


# Those that others are made of are none themselves, but for two.
KINDS = sorted({kind for kind in _kinds(Fault) if not kind.__subclasses__()} | {KillRedis, StopBroker},
               key=lambda kind: kind.__name__)


def usable(site):
    """All faults that can be tried on that site."""
    return [kind for kind in KINDS if kind.usable(site)]
