"""Rollcall and what it stands on, as processes on this machine: each on a free port, each stopped by its process id.

The quick start and the end-to-end tests share it. It refuses to guess: a part that does not come up raises StartError with
one sentence and the end of its log.
"""
import ctypes
import hashlib
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import time
import typing
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A Debian user has no sbin on the path, and Kamailio is there.
os.environ["PATH"] = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"

# How much longer than on an idle machine a wait may take: tests run on busy ones, too. What comes true ends a wait at once.
PATIENCE = float(os.environ.get("ROLLCALL_TEST_PATIENCE", "1"))

_libcrypt = ctypes.CDLL("libcrypt.so.1")
_libcrypt.crypt.restype = ctypes.c_char_p


class StartError(Exception):
    """A part did not start; the text is one sentence for a person, then the end of its log."""


class Machine(typing.NamedTuple):
    """Where a process runs: its address there, and what its command line begins with (as nsenter's into a network namespace)."""
    host: str = "127.0.0.1"
    prefix: tuple = ()


HERE = Machine()


def free_port():
    """A port that is free now on loopback, for TCP and UDP both."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise StartError("no free port on 127.0.0.1")


def port_is_free(port):
    """Whether TCP and UDP of that port can be bound on loopback."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as s:
            if kind == socket.SOCK_STREAM:  # connections that linger are no listener; in UDP it would share the port
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def crypted(text, setting=None):
    """crypt(3) of a text, by the library that the gateway checks it with: with a salt of its own by SHA-512, or as that setting (of
    which a hash is one) says."""
    setting = setting or f"$6$rounds=5000${secrets.token_hex(8)}$"
    made = _libcrypt.crypt(text.encode(), setting.encode())
    if not made or made.startswith(b"*"):
        raise StartError(f"crypt(3) knows no {setting.split('$')[1:2]} here")
    return made.decode()


def wait_for(condition, seconds, what, every=0.02):
    """Polls until condition() is true and returns its value; raises TimeoutError naming what was waited for, after so many seconds
    on an idle machine."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(every)


def comes_true(condition, seconds, every=0.02):
    """Whether condition() becomes true within that time, on whatever machine: for what is not to happen."""
    end = time.monotonic() + seconds
    while not (true := condition()) and time.monotonic() < end:
        time.sleep(every)
    return bool(true)


def can_connect(port, host="127.0.0.1"):
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False


class Process:
    """One child with its log in a file. more_env: further variables of its environment, for its next start."""

    def __init__(self, name, directory, machine=HERE):
        self.name = name
        self.machine, self.host = machine, machine.host
        self.more_env = {}
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = self.directory / f"{name}.log"
        self.child = None

    def spawn(self, argv, env=None):
        whole = {k: v for k, v in os.environ.items() if not k.startswith("ROLLCALL_")}
        whole.update(env or {})
        whole.update(self.more_env)
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen([str(a) for a in (*self.machine.prefix, *argv)], stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, env=whole, cwd=self.directory, start_new_session=True)
        return self

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child is not None and self.child.poll() is None

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def up(self, condition, seconds=20):
        """Waits until condition(); a child that ended or a wait that ran out raises StartError."""
        seconds *= PATIENCE
        end = time.monotonic() + seconds
        while not condition():
            if not self.running() or time.monotonic() > end:
                cause = "ended" if not self.running() else f"was not ready after {seconds:g} s"
                tail = "\n".join(self.log_text().splitlines()[-12:])
                self.stop()
                raise StartError(f"{self.name} {cause}; its log ({self.log}) ends with:\n{tail}")
            time.sleep(0.02)
        return self

    def signal(self, number):
        if self.running():
            os.kill(self.pid, number)
            if number == signal.SIGSTOP:  # until it has a processor to take the signal on, its threads go on
                os.waitpid(self.pid, os.WUNTRACED)

    def kill(self):
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        if self.child:
            self.child.wait()

    def stop(self, seconds=15):
        """SIGTERM, then SIGKILL when it does not end in time. Returns the exit status."""
        if self.child is None:
            return None
        self.signal(signal.SIGTERM)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.child.returncode


class Redis(Process):
    """options: further arguments of its command line, for its next start. data: the folder of its append-only files."""

    def __init__(self, directory, port=None, name="redis", machine=HERE, data=None):
        super().__init__(name, directory, machine)
        self.port = port or free_port()
        self.url = f"redis://{self.host}:{self.port}"
        self.data = pathlib.Path(data or self.directory)
        self.options = []

    @property
    def append_only(self):
        return self.data / f"{self.name}-aof"

    def start(self):
        self.spawn(["redis-server", "--port", self.port, "--bind", self.host, "--save", "", "--appendonly", "yes",
                    "--appendfsync", "always", "--hash-max-listpack-value", "8192",
                    "--appenddirname", self.append_only.name, "--dir", self.data,
                    "--daemonize", "no", *self.options])
        return self.up(self.answers)

    def answers(self):
        try:
            with socket.create_connection((self.host, self.port), timeout=0.5) as s:
                s.sendall(b"PING\r\n")
                return s.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class Broker(Process):
    """The embedded stand-in for Kafka."""

    def __init__(self, directory, build, port=None):
        super().__init__("broker", directory)
        self.build = pathlib.Path(build)
        self.port = port or free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        # What clients need on this broker only: it has no long poll, so an empty fetch must come back soon.
        self.extra = "fetch.wait.max.ms=10"

    def start(self):
        self.spawn([self.build / "services/broker/rollcall-broker"],
                   {"ROLLCALL_BROKER_LISTEN": str(self.port)})
        return self.up(lambda: can_connect(self.port))


class Kamailio(Process):
    """A real registrar that challenges with digest. tls: paths of certificate and key, and of the CA of clients' certificates
    where they are asked for; then it listens for TLS, too. host: ::1 for IPv6."""

    def __init__(self, directory, password, port=None, algorithm="MD5", max_expires=3600, nonce_expire=300,
                 name="kamailio", host="127.0.0.1", tls=None):
        super().__init__(name, directory)
        self.port = port or free_port()
        self.control = free_port()
        self.password = password
        self.defines = [f'PASSWORD="{password}"', f'ALGORITHM="{algorithm}"', f"MAX_EXPIRES={max_expires}",
                        f"NONCE_EXPIRE={nonce_expire}", f'CTL="tcp:127.0.0.1:{self.control}"']
        if tls:
            self.defines += [f'{name}="{path}"' for name, path in zip(("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA"), tls)]
        self.host = f"[{host}]" if ":" in host else host
        self.address = f"{self.host}:{self.port}"
        self.tls_port = free_port() if tls else None

    def start(self):
        argv = ["kamailio", "-f", ROOT / "deploy/kamailio/registrar.cfg", "-DD", "-E", "-e", "-m", "64", "-M", "8",
                "-w", self.directory, "-Y", self.directory, "-P", self.directory / f"{self.name}.pid",
                "-l", f"udp:{self.address}", "-l", f"tcp:{self.address}"]
        if self.tls_port:
            argv += ["-l", f"tls:{self.host}:{self.tls_port}"]
        for define in self.defines:
            argv += ["-A", define]
        self.spawn(argv)
        return self.up(lambda: can_connect(self.port, self.host.strip("[]")) and can_connect(self.control))

    def stop(self, seconds=15):
        # Its children share its process group, which is its own session.
        status = super().stop(seconds)
        if self.child:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return status

    def kamcmd(self, *words):
        done = subprocess.run(["kamcmd", "-s", f"tcp:127.0.0.1:{self.control}", *words], capture_output=True, text=True,
                              timeout=10, check=False)
        return done.stdout

    def bindings(self, aor):
        """The contacts that Kamailio holds for user@domain: a list of dicts of ul.lookup's fields."""
        found, current = [], None
        for line in self.kamcmd("ul.lookup", "location", aor).splitlines():
            key, _, value = line.strip().partition(": ")
            if key == "Address":
                current = {"Address": value}
                found.append(current)
            elif current is not None and value:
                current[key] = value
        return found


class Gateway(Process):
    def __init__(self, directory, build, stack, name="gateway", port=None, env=None, machine=HERE):
        super().__init__(name, directory, machine)
        self.build = pathlib.Path(build)
        self.port = port or free_port()
        self.snapshot_port = free_port()
        self.url = f"http://{self.host}:{self.port}"
        self.env = {
            "ROLLCALL_NODE": name,
            "ROLLCALL_HTTP_LISTEN": f"{self.host}:{self.port}",
            "ROLLCALL_SNAPSHOT_LISTEN": f"{self.host}:{self.snapshot_port}",
            "ROLLCALL_TOKEN_SECRET": stack.token_secret,
            "ROLLCALL_PRINCIPALS_FILE": str(stack.principals_file),
            "ROLLCALL_REDIS_URL": stack.redis.url,
            **stack.common_env(),
            **(env or {}),
        }

    def start(self, ready=True):
        self.spawn([self.build / "services/gateway/rollcall-gateway"], self.env)
        return self.up(lambda: self.http_ok("/readyz" if ready else "/healthz"))

    def http_ok(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=2) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False


class Registrant(Process):
    def __init__(self, directory, build, stack, name="registrant", env=None, machine=HERE):
        super().__init__(name, directory, machine)
        self.build = pathlib.Path(build)
        self.sip_port = free_port()
        self.admin_port = free_port()
        self.url = f"http://{self.host}:{self.admin_port}"
        self.env = {
            "ROLLCALL_NODE": name,
            "ROLLCALL_SIP_LISTEN": f"{self.host}:{self.sip_port}",
            "ROLLCALL_ADMIN_LISTEN": f"{self.host}:{self.admin_port}",
            "ROLLCALL_SNAPSHOT_URLS": ",".join(f"http://{g.host}:{g.snapshot_port}" for g in stack.gateways),
            **stack.common_env(),
            **(env or {}),
        }

    def start(self, ready=True):
        self.spawn([self.build / "services/registrant/rollcall-registrant"], self.env)
        return self.up(lambda: self.http_ok("/readyz" if ready else "/healthz"), 40)

    http_ok = Gateway.http_ok


class Stack:
    """Secrets, files and addresses that the parts share, and the parts that were started."""

    def __init__(self, directory, build, username="admin", account="default"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.build = pathlib.Path(build)
        self.token_secret = secrets.token_hex(32)
        self.snapshot_token = secrets.token_hex(16)
        self.username, self.account, self.account_number = username, account, 1
        self.password = secrets.token_urlsafe(12)
        self.sip_password = secrets.token_urlsafe(12)
        self.api_key = secrets.token_hex(32)
        self.key_ring_file = self._secret_file("keys", f"k1 {secrets.token_hex(32)}\n")
        self.principals_file = self._secret_file("principals.json", json.dumps({
            # A number, a realm and Kazoo's credentials: what the dialects other than Yeti know an account and a user by.
            "accounts": [{"name": account, "number": self.account_number, "realm": f"{account}.localhost"}],
            "users": [{"id": 1, "username": username, "account": account, **self._hashes()}],
            "keys": [{"id": "local", "account": account,
                      "api_key_sha256": hashlib.sha256(self.api_key.encode()).hexdigest()}]}, indent=1))
        self.redis = None
        self.kafka = None
        self.gateways = []
        self.registrants = []
        self.parts = []

    def _hashes(self):
        pair = f"{self.username}:{self.password}".encode()
        return {"password": crypted(self.password), "credentials_md5": crypted(hashlib.md5(pair).hexdigest()),
                "credentials_sha": crypted(hashlib.sha1(pair).hexdigest())}

    def _secret_file(self, name, text):
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def common_env(self):
        return {
            "ROLLCALL_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            **({"ROLLCALL_KAFKA_EXTRA": self.kafka.extra} if self.kafka.extra else {}),
            "ROLLCALL_KAFKA_SESSION_TIMEOUT": "6000",
            "ROLLCALL_SNAPSHOT_TOKEN": self.snapshot_token,
            "ROLLCALL_KEY_RING_FILE": str(self.key_ring_file),
        }

    def add(self, part):
        self.parts.append(part)
        return part

    def start_redis(self, port=None):
        self.redis = self.add(Redis(self.directory, port))
        return self.redis.start()

    def start_broker(self, port=None):
        self.kafka = self.add(Broker(self.directory, self.build, port))
        return self.kafka.start()

    def start_kamailio(self, port=None, **options):
        return self.add(Kamailio(self.directory, self.sip_password, port, **options)).start()

    def new_gateway(self, name="gateway", port=None, env=None, machine=HERE):
        gateway = self.add(Gateway(self.directory, self.build, self, name, port, env, machine))
        self.gateways.append(gateway)
        return gateway

    def new_registrant(self, name="registrant", env=None, machine=HERE):
        registrant = self.add(Registrant(self.directory, self.build, self, name, env, machine))
        self.registrants.append(registrant)
        return registrant

    def stop(self):
        """In the order in which nothing is lost: registrants, gateways, then what they stand on."""
        for part in reversed(self.parts):
            part.stop()
        self.parts.clear()
