#!/usr/bin/env python3
"""A SIP registrar for tests that does what it is told: UDP and TCP on one port, RFC 3261 section 10.3 by
default, scripted answers where a test needs what no real registrar can be made to do.

    with Registrar(digest=Digest({"alice": "secret"})) as r:
        r.script("sip:alice@example.com", [{"status": 503, "headers": {"Retry-After": "5"}}, "drop"])
        ... register at r.address ...
        r.wait(lambda: r.bindings("sip:alice@example.com"), 5)
        assert r.journal[-1].answer.status == 200

Standard library only. Refuses to be a proxy.
"""

import argparse
import dataclasses
import json
import os
import secrets
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from digest_check import Digest, parse_credentials  # noqa: E402
from sip_message import Address, Message, REASONS, aor_of, build_response  # noqa: E402

TRANSACTION_S = 32  # how long a repeated request gets the same answer (RFC 3261 17.2.2)


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
    time: float  # monotonic
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
    auth: dict  # credentials, or None
    auth_result: str  # "ok", "wrong", "stale", "malformed", or None
    source: tuple
    transport: str
    repeated: bool  # a retransmission of a request in the journal
    message: Message
    answer: Answer = None

    def header(self, name):
        return self.message.get(name.lower())


@dataclasses.dataclass
class Binding:
    uri: str
    params: dict
    call_id: str
    cseq: int
    expires_at: float  # monotonic
    source: tuple
    transport: str
    path: list

    @property
    def expires_in(self):
        return self.expires_at - time.monotonic()


class Reply:
    """What is sent back: a status with headers, or nothing."""

    def __init__(self, status, headers=(), reason=None, delay=0.0):
        self.status = status
        self.headers = list(headers.items() if isinstance(headers, dict) else headers)
        self.reason = reason or REASONS.get(status, "Answer")
        self.delay = delay


class Registrar:
    """host, port: where to listen (0: any free port). digest: a Digest, or None to believe everyone.
    min_expires: below it 423. max_expires: clamps. grant: a function of (request, asked) for anything else.
    proxy: challenges are 407. wrong_status: answer to wrong credentials. out_of_order_status: to a CSeq that
    does not rise. service_route: values of that header in a 2xx. next_nonce: Authentication-Info in a 2xx."""

    def __init__(self, port=0, host="127.0.0.1", digest=None, min_expires=0, max_expires=3600,
                 default_expires=3600, grant=None, proxy=False, wrong_status=401, out_of_order_status=500,
                 service_route=(), next_nonce=False):
        self.host, self.port = host, port
        self.digest = digest
        self.min_expires, self.max_expires, self.default_expires = min_expires, max_expires, default_expires
        self.grant = grant
        self.proxy = proxy
        self.wrong_status, self.out_of_order_status = wrong_status, out_of_order_status
        self.service_route = list(service_route)
        self.next_nonce = next_nonce
        self.journal = []
        self._bindings = {}  # aor: {comparable uri: Binding}
        self._scripts = {}  # aor or None: [answers, repeat the last]
        self._answered = {}  # transaction: (time from which a repeated request gets it, bytes or None)
        self._changed = threading.Condition(threading.RLock())
        self._sockets, self._threads, self._stopping = [], [], False

    # ---- life

    def start(self):
        udp, listener = self._open()
        self._sockets = [udp, listener]
        for target, argument in ((self._serve_udp, udp), (self._serve_tcp, listener)):
            self._spawn(target, argument)
        return self

    def _open(self):
        for attempt in range(20):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            udp.bind((self.host, self.port))
            port = udp.getsockname()[1]
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((self.host, port))
            except OSError:
                udp.close()
                listener.close()
                if self.port or attempt == 19:
                    raise
                continue
            listener.listen(128)
            self.port = port
            return udp, listener
        raise OSError("no free port")

    def stop(self):
        self._stopping = True
        for s in list(self._sockets):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
        # A blocked recvfrom is not woken by close: one datagram is.
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(b"\r\n", (self.host, self.port))
        except OSError:
            pass
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(2)
        self._sockets, self._threads = [], []

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return "%s:%d" % (self.host, self.port)

    def _spawn(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    # ---- what tests use

    def script(self, aor, answers, repeat=False):
        """The next REGISTERs of that address of record (None: of any) get these answers, one each; then it is
        itself again, or with `repeat` the last one goes on. An answer is a status, {"status", "headers" (a
        dictionary or a list of pairs), "reason", "delay" (seconds)}, "drop", "normal", or a function of the
        Request that gives one of these."""
        with self._changed:
            self._scripts[aor and aor_of(aor)] = [list(answers), repeat]

    def bindings(self, aor):
        """Live bindings, by Contact."""
        with self._changed:
            now = time.monotonic()
            return [b for b in self._bindings.get(aor_of(aor), {}).values() if b.expires_at > now]

    def all_bindings(self):
        with self._changed:
            return {aor: live for aor in self._bindings if (live := self.bindings(aor))}

    def forget(self, aor=None):
        """Loses the bindings of one address of record, or all, as a registrar does that restarts."""
        with self._changed:
            if aor:
                self._bindings.pop(aor_of(aor), None)
            else:
                self._bindings.clear()

    def requests(self, aor=None, method="REGISTER", repeated=False):
        """The journal's requests of that kind."""
        with self._changed:
            return [r for r in self.journal if r.method == method and (repeated or not r.repeated)
                    and (aor is None or r.aor == aor_of(aor))]

    def wait(self, predicate, deadline=10.0):
        """Waits until predicate() is true and gives its value; after `deadline` seconds raises TimeoutError with
        the journal's end."""
        until = time.monotonic() + deadline
        with self._changed:
            while True:
                value = predicate()
                if value:
                    return value
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError("not within %g s; last requests: %s" % (deadline, self._tail()))
                self._changed.wait(min(left, 0.05))  # bindings also lapse without an event

    def _tail(self):
        return ["%s %s cseq=%s contacts=%s → %s" % (r.method, r.aor, r.cseq, [c.text for c in r.contacts],
                                                    r.answer and r.answer.status) for r in self.journal[-5:]]

    # ---- sockets

    def _serve_udp(self, udp):
        while not self._stopping:
            try:
                data, source = udp.recvfrom(65536)
            except OSError:
                return
            if data.strip():
                self._handle(data, source, "udp", lambda answer, to=source: udp.sendto(answer, to))

    def _serve_tcp(self, listener):
        while not self._stopping:
            try:
                connection, source = listener.accept()
            except OSError:
                return
            self._sockets.append(connection)
            self._spawn(self._serve_connection, connection, source)

    def _serve_connection(self, connection, source):
        pending = b""
        while not self._stopping:
            try:
                data = connection.recv(65536)
            except OSError:
                return
            if not data:
                connection.close()
                return
            pending += data
            while True:
                if pending.startswith(b"\r\n\r\n"):  # RFC 5626 3.5.1
                    connection.sendall(b"\r\n")
                pending = pending.lstrip(b"\r\n")
                head, blank, rest = pending.partition(b"\r\n\r\n")
                if not blank:
                    break
                length = next((int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n")
                               if line.partition(b":")[0].strip() in (b"content-length", b"l")), 0)
                if len(rest) < length:
                    break
                pending = rest[length:]
                self._handle(head + blank + rest[:length], source, "tcp", connection.sendall)

    # ---- one request

    def _handle(self, data, source, transport, send):
        try:
            message = Message(data)
        except ValueError:
            return
        if message.method == "ACK":
            return
        try:
            request = self._read(message, source, transport)
        except ValueError as error:
            self._send(send, build_response(message, 400, str(error)[:60], [], None, source))
            return
        key = (message.get("via", "").partition("branch=")[2].split(";")[0], message.method, request.cseq)
        with self._changed:
            now = time.monotonic()
            self._answered = {k: v for k, v in self._answered.items() if now - v[0] < TRANSACTION_S}
            known = self._answered.get(key)
            request.repeated = known is not None
            self.journal.append(request)
            if known:
                answer, delay = known[1] if now >= known[0] else None, 0
            else:
                answer, delay = self._answer(request)
                self._answered[key] = (now + delay, answer)
            self._changed.notify_all()
        if answer and delay:
            self._spawn(self._send_later, send, answer, delay)
        elif answer:
            self._send(send, answer)

    def _send_later(self, send, answer, delay):
        time.sleep(delay)
        self._send(send, answer)

    @staticmethod
    def _send(send, answer):
        try:
            send(answer)
        except OSError:
            pass  # the other end is gone, as ends of tests are

    def _read(self, message, source, transport):
        cseq = int(message.get("cseq", "x").split()[0])
        expires = message.get("expires")
        expires = int(expires) if expires and expires.isdigit() else None
        contacts = []
        for text in message.list("contact"):
            address = Address(text) if text != "*" else None
            own = address.params.get("expires") if address else None
            contacts.append(Contact(address.uri if address else "*", int(own) if own and own.isdigit() else expires,
                                    address.params if address else {}, text))
        credentials = message.get("proxy-authorization" if self.proxy else "authorization")
        return Request(time=time.monotonic(), wall=time.time(), method=message.method, ruri=message.ruri,
                       from_=message.get("from", ""), to=message.get("to", ""),
                       aor=aor_of(Address(message.get("to", "")).uri), call_id=message.get("call-id", ""),
                       cseq=cseq, contacts=contacts, expires=expires,
                       auth=parse_credentials(credentials) if credentials else None, auth_result=None,
                       source=source, transport=transport, repeated=False, message=message)

    def _answer(self, request):
        reply = self._scripted(request)
        if reply == "normal":
            reply = self._decide(request)
        if reply is None:
            return None, 0
        request.answer = Answer(reply.status, reply.reason, reply.headers, time.monotonic())
        return build_response(request.message, reply.status, reply.reason, reply.headers, secrets.token_hex(4),
                              request.source), reply.delay

    def _scripted(self, request):
        if request.method != "REGISTER":
            return "normal"
        for key in (request.aor, None):
            script = self._scripts.get(key)
            if script and script[0]:
                answers, repeat = script
                step = answers[0] if repeat and len(answers) == 1 else answers.pop(0)
                return self._reply_of(step, request)
        return "normal"

    def _reply_of(self, step, request):
        if callable(step):
            step = step(request)
        if step is None or step == "normal":
            return "normal"
        if step == "drop":
            return None
        if isinstance(step, int):
            step = {"status": step}
        if step["status"] in (401, 407) and "headers" not in step and self.digest:
            return self._challenge(step["status"] == 407, False)
        return Reply(step["status"], step.get("headers", ()), step.get("reason"), step.get("delay", 0.0))

    # ---- the registrar's own mind (RFC 3261 10.3)

    def _decide(self, request):
        if request.method == "OPTIONS":
            return Reply(200, {"Allow": "REGISTER, OPTIONS"})
        if request.method != "REGISTER":
            return Reply(405, {"Allow": "REGISTER, OPTIONS"})
        if self.digest:
            refusal = self._authenticate(request)
            if refusal:
                return refusal
        return self._register(request)

    def _challenge(self, proxy, stale):
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        return Reply(407 if proxy else 401, [(name, value) for value in self.digest.challenges(stale)])

    def _authenticate(self, request):
        if not request.auth:
            return self._challenge(self.proxy, False)
        result = self.digest.check(request.auth, request.method, request.ruri, request.message.body)
        request.auth_result = result
        if result == "ok":
            return None
        if result == "malformed":
            return Reply(400)
        if result == "stale" or self.wrong_status in (401, 407):
            return self._challenge(self.proxy, result == "stale")
        return Reply(self.wrong_status)

    def _register(self, request):
        held = self._bindings.setdefault(request.aor, {})
        now = time.monotonic()
        for uri in [uri for uri, b in held.items() if b.expires_at <= now]:
            del held[uri]
        if any(c.uri == "*" for c in request.contacts):
            if len(request.contacts) != 1 or request.expires != 0:
                return Reply(400, reason="Bad Contact")
            if any(b.call_id == request.call_id and request.cseq <= b.cseq for b in held.values()):
                return Reply(self.out_of_order_status, reason="CSeq Out Of Order")
            held.clear()
            return self._accept(request, held)
        granted = {}
        for contact in request.contacts:
            asked = contact.expires if contact.expires is not None else self.default_expires
            if 0 < asked < min(self.min_expires, 3600):
                return Reply(423, {"Min-Expires": str(self.min_expires)})
            bound = held.get(contact.uri)
            if bound and bound.call_id == request.call_id and request.cseq <= bound.cseq:
                return Reply(self.out_of_order_status, reason="CSeq Out Of Order")
            granted[contact.uri] = self.grant(request, asked) if self.grant else min(asked, self.max_expires)
        for contact in request.contacts:
            if granted[contact.uri] == 0:
                held.pop(contact.uri, None)
            else:
                held[contact.uri] = Binding(contact.uri, contact.params, request.call_id, request.cseq,
                                            now + granted[contact.uri], request.source, request.transport,
                                            request.message.list("path"))
        return self._accept(request, held)

    def _accept(self, request, held):
        now = time.monotonic()
        headers = []
        for binding in held.values():
            params = "".join(";%s=%s" % (k, v) if v else ";" + k for k, v in binding.params.items() if k != "expires")
            headers.append(("Contact", "<%s>%s;expires=%d" % (binding.uri, params, round(binding.expires_at - now))))
        headers += [("Service-Route", route) for route in self.service_route]
        headers += [("Path", path) for path in request.message.list("path")]
        if self.next_nonce and self.digest:
            headers.append(("Authentication-Info", 'nextnonce="%s"' % self.digest.new_nonce()))
        return Reply(200, headers)


def _line_of(request):
    return json.dumps({"method": request.method, "aor": request.aor, "call_id": request.call_id,
                       "cseq": request.cseq, "contacts": [c.text for c in request.contacts],
                       "expires": request.expires, "auth": request.auth_result, "transport": request.transport,
                       "source": "%s:%d" % request.source, "repeated": request.repeated,
                       "status": request.answer and request.answer.status})


def main():
    parser = argparse.ArgumentParser(description="A scriptable SIP registrar; prints its journal as JSON lines.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", action="append", default=[], metavar="NAME:PASSWORD",
                        help="challenge, and know this user; without any, everyone is believed")
    parser.add_argument("--realm", default="example.com")
    parser.add_argument("--algorithm", action="append", help="MD5, SHA-256, SHA-512-256, with -sess; in order")
    parser.add_argument("--qop", default="auth", help='"auth", "auth,auth-int" or ""')
    parser.add_argument("--nonce-lifetime", type=float, default=300.0)
    parser.add_argument("--min-expires", type=int, default=0)
    parser.add_argument("--max-expires", type=int, default=3600)
    options = parser.parse_args()
    digest = None
    if options.user:
        digest = Digest(dict(user.split(":", 1) for user in options.user), options.realm,
                        options.algorithm or ["MD5"], options.qop or None, options.nonce_lifetime)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with Registrar(options.port, options.host, digest, options.min_expires, options.max_expires) as registrar:
        print("listening", registrar.address, flush=True)
        printed = 0
        while not stopped.wait(0.05):
            for request in registrar.journal[printed:]:
                print(_line_of(request), flush=True)
                printed += 1


if __name__ == "__main__":
    main()
