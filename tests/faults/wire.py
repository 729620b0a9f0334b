"""The network between the machines of a site, and what goes wrong on it: the handle of `wire` (wire.c), which runs as a child.

A fate is what happens to packets in one direction: cut, or loss, late and twice in per mille; delay, jitter and late_by in
seconds; rate in bytes a second. It refuses to run where it would touch the machine's own network: unavailable() says so.
"""
import fcntl
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy/local"))
from stack import Machine  # noqa: E402

SECONDS = ("delay", "jitter", "late_by")
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def flags_of(control, device):
    request = bytearray(struct.pack("16sh14x", device.encode(), 0))
    fcntl.ioctl(control, SIOCGIFFLAGS, request)
    return struct.unpack("16sh14x", request)[1]


def in_own_network():
    """Whether this process was started in a network namespace of its own (unshare --net): there nothing is up but loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        return not any(flags_of(s, name) & IFF_UP for _, name in socket.if_nameindex() if name != "lo")


def unavailable(build):
    """Why there can be no wire here, or None."""
    if not in_own_network():
        return "the tests were not started in a network namespace of their own (tests/run does, where it may)"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun cannot be opened"
    if not program(build).exists():
        return f"{program(build)} is not built"
    return None


def program(build):
    return pathlib.Path(build) / "tests/faults/wire"


def loopback_up():
    """A new network namespace has its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags_of(s, "lo") | IFF_UP))


class Wire:
    """names: of the machines; the first one is where this process is."""

    def __init__(self, build, names, seed=0):
        self.argv = [str(program(build)), "--seed", str(seed), *names]
        self.names = list(names)
        self.machines = {}
        self.child = None

    def start(self):
        self.child = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        for line in self.child.stdout:
            words = line.split()
            if words[0] == "ready":
                break
            _, name, address, handle = words
            prefix = ("nsenter", f"--net=/proc/{handle}", "--") if self.machines else ()
            self.machines[name] = Machine(address, prefix)
        if len(self.machines) != len(self.names):
            raise RuntimeError(f"the wire ended with {self.child.wait(5)}")
        return self

    def stop(self):
        if self.child:
            self.child.stdin.close()
            self.child.wait(10)
            self.child.stdout.close()
            self.child = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def machine(self, name):
        return self.machines[name]

    # ---- what goes wrong

    def _say(self, line):
        self.child.stdin.write(line + "\n")
        answer = self.child.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            raise RuntimeError(f"{line}: {answer or 'the wire is gone'}")
        return answer

    def link(self, sender, receiver, **fate):
        """All that holds from now on in that direction; nothing given: whole again."""
        words = [f"{k}={int(v * 1_000_000) if k in SECONDS else int(v)}" for k, v in fate.items()]
        self._say(" ".join(["link", sender, receiver, *words]))

    def between(self, a, b, **fate):
        """The same in both directions. a, b: a name, or several."""
        for one in [a] if isinstance(a, str) else a:
            for other in [b] if isinstance(b, str) else b:
                if one != other:
                    self.link(one, other, **fate)
                    self.link(other, one, **fate)

    def cut(self, a, b):
        self.between(a, b, cut=1)

    def cut_one_way(self, sender, receiver):
        self.link(sender, receiver, cut=1)

    def heal(self, a, b):
        self.between(a, b)

    def others(self, name):
        """All machines but that one and where this process is."""
        return [n for n in self.names[1:] if n != name]

    def calm(self):
        """Everything is whole again."""
        for i, a in enumerate(self.names):
            self.heal(a, self.names[i + 1:])

    def claim(self, name, address):
        """That further address belongs to that machine from now on, whoever had it."""
        self._say(f"claim {name} {address}")

    def counts(self):
        return json.loads(self._say("counts"))
