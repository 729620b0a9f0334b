"""A real Apache Kafka (KRaft; one node, or a cluster of several) from the jars that Maven brings."""
import base64
import pathlib
import shutil
import signal
import subprocess
import sys
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "deploy/local"))
from stack import HERE, Process, StartError, can_connect, free_port  # noqa: E402

JARS = ROOT / "build/kafka-jars"

SETTINGS = """\
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=2
"""

LOGGING = """\
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c %m%n
"""


def unavailable():
    """Why no real Kafka can be had here, or None."""
    for tool in ("java", "mvn"):
        if not shutil.which(tool):
            return f"{tool} is not installed"
    if any(JARS.glob("kafka_2.13-*.jar")):
        return None
    half = JARS.with_name("kafka-jars.new")  # so that what was interrupted is not taken for the whole
    shutil.rmtree(half, ignore_errors=True)
    shutil.rmtree(JARS, ignore_errors=True)
    try:
        done = subprocess.run(["mvn", "-q", "-B", "-f", str(ROOT / "tests/peers/kafka/pom.xml"),
                               "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={half}"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        return "Maven did not bring Apache Kafka within ten minutes"
    if done.returncode:
        return "Maven could not bring Apache Kafka: " + (done.stdout.strip().splitlines() or ["no reason given"])[0]
    half.rename(JARS)
    return None


def new_cluster_id():
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


class Kafka(Process):
    """Keeps its data over stop and start, as a broker that is restarted does. settings: further lines of its properties, of which
    the last of a name counts; format_arguments: of the formatting of its storage (as users of SCRAM)."""

    def __init__(self, directory, port=None, settings="", format_arguments=(), name="kafka", number=1, machine=HERE, heap="512m"):
        super().__init__(name, directory, machine)
        self.number, self.heap = number, heap
        self.port = port or free_port()
        self.controller = free_port()
        self.bootstrap = f"{self.host}:{self.port}"
        self.extra = ""
        self.voters, self.cluster_id = self.voter, new_cluster_id()
        self.more_settings, self.format_arguments = settings, list(format_arguments)
        self.settings = self.directory / f"{name}.properties"
        self.logging = self.directory / "log4j.properties"
        self.formatted = False

    @property
    def voter(self):
        return f"{self.number}@{self.host}:{self.controller}"

    def _java(self, main, *arguments):
        return ["java", f"-Xmx{self.heap}", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                f"-Dlog4j.configuration=file:{self.logging}", "-cp", f"{JARS}/*", main, *arguments]

    def _format(self):
        self.settings.write_text(SETTINGS.format(
            number=self.number, voters=self.voters, host=self.host, port=self.port, controller=self.controller,
            data=self.directory / f"{self.name}-data") + self.more_settings)
        self.logging.write_text(LOGGING)
        done = subprocess.run(self._java("kafka.tools.StorageTool", "format", f"--cluster-id={self.cluster_id}", "-c",
                                         str(self.settings), *self.format_arguments),
                              capture_output=True, text=True, timeout=240, check=False)
        if done.returncode:
            raise StartError(f"Kafka's storage could not be formatted: {done.stdout}{done.stderr}")
        self.formatted = True

    def launch(self):
        """Without waiting until it serves."""
        if not self.formatted:
            self._format()
        self.spawn(self._java("kafka.Kafka", str(self.settings)))
        return self

    def serves(self):
        return can_connect(self.port, self.host)

    def start(self):
        return self.launch().up(self.serves, 180)  # a busy machine


CLUSTER_SETTINGS = """\
default.replication.factor={copies}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={copies}
transaction.state.log.replication.factor={copies}
replica.lag.time.max.ms=5000
broker.session.timeout.ms=6000
"""


class KafkaCluster:
    """Several brokers, each of them a controller, too: what is acknowledged is held by more than half of them. Each is a process
    of its own, which may be killed and started again; one by itself serves only while more than half run."""

    extra = ""

    def __init__(self, directory, machines, heap="256m"):
        copies = len(machines)
        settings = CLUSTER_SETTINGS.format(copies=copies, in_sync=copies // 2 + 1)
        self.brokers = [Kafka(directory, settings=settings, name=f"kafka-{i}", number=i, machine=machine, heap=heap)
                        for i, machine in enumerate(machines, 1)]
        voters, cluster_id = ",".join(b.voter for b in self.brokers), new_cluster_id()
        for broker in self.brokers:
            broker.voters, broker.cluster_id = voters, cluster_id
        self.bootstrap = ",".join(b.bootstrap for b in self.brokers)

    def start(self):
        """Those that do not run; waits until each serves."""
        for broker in [b for b in self.brokers if not b.running()]:
            broker.launch()
        for broker in self.brokers:
            broker.up(broker.serves, 90)
        return self

    def running(self):
        return any(broker.running() for broker in self.brokers)

    def stop(self):
        """All at once: the last ones of a quorum that is gone would wait for it."""
        for broker in self.brokers:
            broker.signal(signal.SIGTERM)
        for broker in self.brokers:
            broker.stop(20)
