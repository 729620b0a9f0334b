"""The ring of keys of a world, as its operator turns it (docs/KEYS.md)."""
import secrets
import signal

import requests

from secret_scan import redis_texts
from stack import wait_for


class KeyRing:
    def __init__(self, world):
        self.world, self.file = world, world.stack.key_ring_file
        name, digits = self.file.read_text().split()
        self.digits = {name: digits}
        self.names = [name]  # as the file has them

    def new(self):
        """The id of another key."""
        name = f"k{len(self.digits) + 1}"
        self.digits[name] = secrets.token_hex(32)
        self.world.other_secrets[f"sealing key {name}"] = self.digits[name]
        return name

    def write(self, *names):
        self.names = list(names)
        self.file.write_text("".join(f"{name} {self.digits[name]}\n" for name in names))

    def turn(self, *names, of=None):
        """Writes the ring's file and has it read again by those parts; returns once all have said so."""
        self.write(*names)
        parts = of or [*self.world.stack.gateways, *self.world.stack.registrants]
        said = {part: part.log_text().count("key ring: ") for part in parts}
        for part in parts:
            part.signal(signal.SIGHUP)
        wait_for(lambda: all(part.log_text().count("key ring: ") > said[part] for part in parts), 30, "the ring read again")

    def settle(self):
        """One key is in the ring of all, and everything is sealed with it, whatever was there before. Returns its id."""
        first, *more = self.names
        if more or self.file.read_text() != f"{first} {self.digits[first]}\n":
            rest = [name for name in self.digits if name != first]
            self.turn(first, *rest, of=self.world.stack.registrants)
            self.turn(first, *rest, of=self.world.stack.gateways)
            self.wait_sealed(first)
            self.turn(first)
        return first

    def count(self, key):
        """How many values of Redis hold something sealed with that key."""
        return sum(f"sealed:{key}:" in text for _, text in redis_texts(self.world.redis))

    def wait_sealed(self, key, gateways=None):
        """Every secret is proved to be sealed with that key, as each gateway's operator sees it."""
        gateways = gateways or self.world.stack.gateways
        wait_for(lambda: all(left(g) == 0 and f"is sealed with {key}:" in g.log_text() for g in gateways), 90,
                 f"everything sealed with {key}", every=0.1)


def left(gateway):
    """Accounts without that proof."""
    text = requests.get(gateway.url + "/metrics", timeout=30).text
    return int(next(line for line in text.splitlines() if line.startswith("rollcall_accounts_to_seal_anew ")).split()[1])
