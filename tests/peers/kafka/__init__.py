"""A real Apache Kafka (KRaft, one node) on loopback, from the jars that Maven brings."""
import base64
import pathlib
import shutil
import subprocess
import sys
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "deploy/local"))
from stack import Process, StartError, can_connect, free_port  # noqa: E402

JARS = ROOT / "build/kafka-jars"

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={directory}/data
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


class Kafka(Process):
    """Keeps its data over stop and start, as a broker that is restarted does."""

    def __init__(self, directory, port=None):
        super().__init__("kafka", directory)
        self.port = port or free_port()
        self.controller = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.extra = ""
        self.settings = self.directory / "kafka.properties"
        self.logging = self.directory / "log4j.properties"
        self.formatted = False

    def _java(self, main, *arguments):
        return ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", f"-Dlog4j.configuration=file:{self.logging}", "-cp",
                f"{JARS}/*", main, *arguments]

    def _format(self):
        self.settings.write_text(SETTINGS.format(port=self.port, controller=self.controller, directory=self.directory))
        self.logging.write_text(LOGGING)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        done = subprocess.run(self._java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self.settings)),
                              capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise StartError(f"Kafka's storage could not be formatted: {done.stdout}{done.stderr}")
        self.formatted = True

    def start(self):
        if not self.formatted:
            self._format()
        self.spawn(self._java("kafka.Kafka", str(self.settings)))
        return self.up(lambda: can_connect(self.port), 60)
