"""The parts that every test of a world finds running. What a test that failed left stopped, standing still or set to fail is made as
it was before the next test begins, and said as a warning: one failure takes no other test with it."""
import copy
import pathlib
import signal
import warnings

from faults import fault_of
from stack import wait_for

KEPT = ("more_env", "options")  # what a test may change about a part's next start
READY_S = 60


def stands_still(part):
    """Whether it was stopped by a signal (proc(5), the state after the name)."""
    try:
        stat = pathlib.Path(f"/proc/{part.pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "T"


def name_of(part):
    return getattr(part, "name", type(part).__name__)


def settings_of(part):
    return {name: copy.copy(getattr(part, name)) for name in KEPT if hasattr(part, name)}


def is_ready(part):
    return not hasattr(part, "http_ok") or part.http_ok("/readyz")


class Members:
    """Those of the stack that run now. redis: where it is none of the stack's parts (a cluster)."""

    def __init__(self, stack, redis=None):
        self.stack = stack
        self.parts = [*([redis] if redis else []), *(p for p in stack.parts if p.running())]  # each after what it stands on
        self.settings = {part: settings_of(part) for part in self.parts}
        self.gateways, self.registrants = list(stack.gateways), list(stack.registrants)
        self.deaths = []  # what a new start would make forget

    def mend(self, failed, ask=True):
        """Before a test. failed: the last one did, so that whatever it changed was left in the middle. ask: whether all are ready
        even where nothing was mended."""
        if failed:
            self._as_they_were()
        said = [f"{name_of(part)} {what}" for part in self.parts for what in [self._run(part, failed)] if what]
        for part in self.parts:
            if (ask or failed or said) and not is_ready(part):
                said += self._ready(part)
        if said:
            warnings.warn("mended before a test: " + ", ".join(said), stacklevel=2)

    def _as_they_were(self):
        for part in [p for p in self.stack.parts if p not in self.parts and p.running()]:
            part.stop()
        self.stack.gateways[:] = self.gateways
        self.stack.registrants[:] = self.registrants

    def _run(self, part, failed):
        """Returns what was done to it."""
        if not part.running():
            return self._start(part, "did not run: started again")
        if not hasattr(part, "pid"):
            return None
        if stands_still(part):
            part.signal(signal.SIGCONT)
            return "stood still: goes on"
        if failed and settings_of(part) != self.settings[part]:
            part.kill()
            return self._start(part, "was set otherwise: started again")
        return None

    def _start(self, part, what):
        fault = fault_of(part) if hasattr(part, "child") else None
        if fault:
            self.deaths.append(fault)
        for name, value in self.settings[part].items():
            setattr(part, name, copy.copy(value))
        part.start()
        return what

    def _ready(self, part):
        try:
            wait_for(lambda: is_ready(part), READY_S, f"{name_of(part)} to be ready")
            return []
        except TimeoutError:
            part.kill()
            return [f"{name_of(part)} {self._start(part, f'was not ready after {READY_S} s: started again')}"]
