"""What the scriptable registrar remembers of what it received: requests as tests look at them, and keep-alives."""

import dataclasses
import time

from digest_check import parse_credentials
from sip_message import Address, Message, aor_of


@dataclasses.dataclass
class Contact:
    uri: str
    expires: int  # asked for: its own, else the request's, else None
    params: dict
    text: str


@dataclasses.dataclass
class Answer:
    status: int
    reason: str
    headers: list
    time: float


@dataclasses.dataclass
class Request:
    """One line of the journal. `answer` is None for what was dropped or not yet answered."""
    time: float  # monotonic; of a datagram when it came, however late it was read
    wall: float
    method: str
    ruri: str
    from_: str
    to: str
    aor: str
    call_id: str
    cseq: int
    contacts: list
    expires: int  # the header, or None
    credentials: list  # (of a proxy, parameters)
    auth_result: str  # "ok", "wrong", "stale", "malformed", or None
    source: tuple
    transport: str
    repeated: bool  # a retransmission of a request in the journal
    message: Message
    way: object  # what it came by: Connection or Datagram
    answer: Answer = None

    def header(self, name):
        return self.message.get(name.lower())

    @property
    def auth(self):
        """The first credentials, or None."""
        return self.credentials[0][1] if self.credentials else None

    @property
    def listener(self):
        return self.way.listener

    @property
    def connection(self):
        """The Connection, or None for a datagram."""
        return self.way if self.transport != "udp" else None


@dataclasses.dataclass
class Ping:
    """A keep-alive: "crlf" or "stun"."""
    time: float
    kind: str
    way: object
    answered: bool


def read_contacts(message, expires):
    contacts = []
    for text in message.list("contact"):
        address = Address(text) if text != "*" else None
        own = address.params.get("expires") if address else None
        contacts.append(Contact(address.uri if address else "*", int(own) if own and own.isdigit() else expires,
                                address.params if address else {}, text))
    return contacts


def read_request(message, way):
    cseq = int(message.get("cseq", "x").split()[0])
    expires = message.get("expires")
    expires = int(expires) if expires and expires.isdigit() else None
    credentials = [(name.startswith("proxy"), parse_credentials(value))
                   for name in ("authorization", "proxy-authorization") for value in message.all(name)]
    age = getattr(way, "age", 0.0)
    return Request(time=time.monotonic() - age, wall=time.time() - age, method=message.method, ruri=message.ruri,
                   from_=message.get("from", ""), to=message.get("to", ""), aor=aor_of(Address(message.get("to", "")).uri),
                   call_id=message.get("call-id", ""), cseq=cseq, contacts=read_contacts(message, expires),
                   expires=expires, credentials=credentials, auth_result=None, source=way.source,
                   transport=way.transport, repeated=False, message=message, way=way)
