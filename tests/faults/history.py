"""What is known of a run, and how it stands on disk: the only thing that the checker looks at.

A run's directory holds JSON lines, each flushed when it is written, so that a run that breaks off can still be judged:

    operations.jsonl   what the writer asked for, when, and what became of it
    faults.jsonl       the windows of the faults, and what each of them excuses
    registrar-*.journal  every REGISTER that a registrar saw, and what was bound after it (registrar_server.py)
    final.json         how it ended: listings, statuses, bindings, events, and who died by itself

All times are seconds of CLOCK_MONOTONIC, which is one for all processes of a machine, in every namespace. History refuses to
judge; that is checker.py's.
"""
import dataclasses
import json
import pathlib
import threading
import time

ACKED, REFUSED, UNKNOWN = "acked", "refused", "unknown"


@dataclasses.dataclass
class Operation:
    """One request of the writer. user: whose registration, which is the user part of its address of record. desired: what the
    operation makes of it (Wanted's members as a dictionary), None for a deletion or a command. seen: what a read showed."""
    user: str
    kind: str  # create, change, move, disable, enable, delete, refresh, read
    sent_at: float
    ended_at: float
    outcome: str  # acked, refused; unknown: it may have been done, or may yet be
    gateway: str
    id: int = None
    status: int = None  # of HTTP, None: no answer
    desired: dict = None
    again: bool = False  # repeats the operation before it, whose outcome was unknown
    keyed: bool = False  # with an Idempotency-Key: however often it comes, it is done once
    seen: dict = None
    cause: str = None

    @property
    def writes(self):
        return self.kind not in ("refresh", "read")


@dataclasses.dataclass
class Register:
    """One REGISTER as a registrar saw it. bound: what was bound after it. Retransmissions are not in the journal."""
    registrar: str
    t: float
    aor: str
    call_id: str
    cseq: int
    status: int  # 0: silence
    contacts: list  # [{"uri", "expires": granted}]
    bound: list  # [{"uri", "until", "call_id", "cseq"}]
    source: str
    mode: list
    user: str = None  # of the credentials
    transport: str = "udp"
    delay: float = 0.0
    ruri: str = ""

    @property
    def binds(self):
        return [c["uri"] for c in self.contacts if c["expires"]]

    @property
    def removes(self):
        return [c["uri"] for c in self.contacts if not c["expires"]]


@dataclasses.dataclass
class Window:
    """A fault from its beginning to its end; end None: it was never healed. excuses: [[what, subject]], see README.md."""
    fault: str
    begin: float
    end: float
    excuses: list = dataclasses.field(default_factory=list)
    detail: str = ""

    def overlaps(self, begin, end):
        return self.begin <= end and (self.end is None or self.end >= begin)


@dataclasses.dataclass
class Final:
    """listing: {id: attributes}, from the list of one gateway. status: {id: attributes}. bindings: {registrar: {aor: [...]}}.
    events: [{"id", "ce_id", "what", "value"}] in the order of each id. senders: {source address or host: registrant}. deaths:
    processes that ended without being told to. quiet: what was seen in a time when nothing was asked for: {"begin", "end",
    "changes", "status", "events": [records in it]}. healed: when the last fault ended and the writer stopped."""
    at: float
    healed: float
    listing: dict
    status: dict
    bindings: dict
    events: list
    senders: dict = dataclasses.field(default_factory=dict)
    registrars: dict = dataclasses.field(default_factory=dict)  # name: host:port
    deaths: list = dataclasses.field(default_factory=list)
    quiet: dict = dataclasses.field(default_factory=dict)
    bindings_before: dict = dataclasses.field(default_factory=dict)  # just before the listing was read
    wall_offset: float = 0.0  # wall clock less monotonic clock


@dataclasses.dataclass
class History:
    operations: list = dataclasses.field(default_factory=list)
    registers: list = dataclasses.field(default_factory=list)  # by time
    losses: list = dataclasses.field(default_factory=list)  # (time, registrar): it forgot all bindings
    windows: list = dataclasses.field(default_factory=list)
    final: Final = None


class Recorder:
    """Writes a run down, from any thread."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._operations = open(self.directory / "operations.jsonl", "a", encoding="utf-8")
        self._faults = open(self.directory / "faults.jsonl", "a", encoding="utf-8")

    def _line(self, file, entry):
        with self._lock:
            file.write(json.dumps(entry) + "\n")
            file.flush()

    def operation(self, operation):
        self._line(self._operations, dataclasses.asdict(operation))

    def begin(self, number, fault, excuses, detail="", at=None):
        self._line(self._faults, {"number": number, "fault": fault, "excuses": excuses, "detail": detail,
                                  "begin": at or time.monotonic()})

    def end(self, number, excuses=None):
        """excuses: those that only the end told, in place of the first ones."""
        self._line(self._faults, {"number": number, "end": time.monotonic(),
                                  **({"excuses": excuses} if excuses is not None else {})})

    def final(self, final):
        (self.directory / "final.json").write_text(json.dumps(dataclasses.asdict(final), indent=1))


# ---- reading


def _lines(path):
    for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue  # cut off by a kill


def read_windows(path):
    found = {}
    for entry in _lines(path):
        if "begin" in entry:
            found[entry["number"]] = Window(entry["fault"], entry["begin"], None, entry["excuses"], entry["detail"])
        elif entry["number"] in found:
            window = found[entry["number"]]
            window.end, window.excuses = entry["end"], entry.get("excuses", window.excuses)
    return list(found.values())


def read_journal(path):
    """(REGISTERs, times at which every binding was lost)."""
    registrar, fields = path.stem, {f.name for f in dataclasses.fields(Register)}
    registers, losses = [], []
    for entry in _lines(path):
        if entry["what"] == "register":
            registers.append(Register(registrar, **{k: v for k, v in entry.items() if k in fields}))
        elif entry["what"] == "mode" and entry["mode"][0] == "lose":
            losses.append((entry["t"], registrar))
    return registers, losses


def load(directory, journals=None):
    """A run that was written there. journals: where the registrars' are, if elsewhere."""
    directory = pathlib.Path(directory)
    history = History([Operation(**entry) for entry in _lines(directory / "operations.jsonl")])
    for path in sorted(pathlib.Path(journals or directory).glob("registrar-*.journal")):
        registers, losses = read_journal(path)
        history.registers += registers
        history.losses += losses
    history.registers.sort(key=lambda r: r.t)
    history.windows = read_windows(directory / "faults.jsonl")
    if (directory / "final.json").exists():
        history.final = Final(**json.loads((directory / "final.json").read_text()))
    return history
