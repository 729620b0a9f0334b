"""A registrar of the fault suite, held from outside: started, killed, frozen, and told to misbehave.

What it saw is in its journal (history.py reads it); what it is, in registrar_server.py.
"""
import json
import os
import pathlib
import signal
import socket
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy/local"))
from stack import Process, free_port  # noqa: E402

SERVER = pathlib.Path(__file__).with_name("registrar_server.py")


class RegistrarProcess(Process):
    """argv_prefix: what puts it into its network namespace. Its bindings outlive it, but for `lose`."""

    def __init__(self, directory, name, host="127.0.0.1", port=None, argv_prefix=(), max_expires=3600, seed=0):
        super().__init__(name, directory)
        self.host, self.port = host, port or free_port()
        self.address = f"{self.host}:{self.port}"
        self.journal = self.directory / f"{name}.journal"
        self.control_path = self.directory / f"{name}.control"
        self.argv_prefix, self.max_expires, self.seed = list(argv_prefix), max_expires, seed

    def start(self):
        self.control_path.unlink(missing_ok=True)
        self.spawn([*self.argv_prefix, "/usr/bin/python3", SERVER, "--host", self.host, "--port", self.port,
                    "--journal", self.journal, "--control", self.control_path, "--max-expires", self.max_expires,
                    "--seed", self.seed])
        return self.up(self.control_path.exists)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        if self.running():
            os.kill(self.pid, signal.SIGCONT)

    # ---- control

    def command(self, *words):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.settimeout(30)
            control.connect(str(self.control_path))
            control.sendall((" ".join(map(str, words)) + "\n").encode())
            return json.loads(control.makefile("r").readline())

    def die(self):
        """It hears everything and says nothing."""
        return self.command("die")

    def answer(self, code, share=1.0):
        """That share of REGISTERs is answered by that status, the others as ever."""
        return self.command("answer", code, share)

    def slow(self, seconds):
        """Every answer comes so late."""
        return self.command("slow", seconds)

    def lie(self, kind):
        """A 2xx tells a lifetime that is `short` or `long` of the true one, no Contact (`empty`), or a `foreign` one only."""
        return self.command("lie", kind)

    def lose(self):
        """It forgets every binding, now."""
        return self.command("lose")

    def normal(self):
        return self.command("normal")

    def bindings(self):
        """{aor: [{"uri", "until" (monotonic), "call_id", "cseq"}]}, live ones only."""
        return self.command("bindings")
