#!/usr/bin/python3
"""A SIP registrar for tests that does what it is told: UDP, TCP and TLS at one address or several, RFC 3261 section 10.3 by
default, scripted answers where a test needs what no real registrar can be made to do.

    with Registrar(digest=Digest({"alice": "secret"})) as r:
        r.script("sip:alice@example.com", [{"status": 503, "headers": {"Retry-After": "5"}}, "drop"])
        ... register at r.address ...
        r.wait(lambda: r.bindings("sip:alice@example.com"), 5)
        assert r.journal[-1].answer.status == 200

What a script's step may be is in reply.py, what the registrar does by itself in location.py. Standard library only. Refuses
to be a proxy.
"""

import os
import secrets
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from digest_check import Authentication, Digest  # noqa: E402
from journal import Answer, Ping, read_request  # noqa: E402
from listener import Listener  # noqa: E402
from location import Location  # noqa: E402
from reply import Delivery, Reply, reply_of  # noqa: E402
from sip_message import Message, Response, aor_of, build_request, build_response  # noqa: E402

TRANSACTION_S = 32  # how long a repeated request gets the same answer (RFC 3261 17.2.2)


class Registrar:
    """host, port: where to listen first (0: any free port). digest: a Digest, several of them, or None to believe everyone.
    proxy, wrong_status, together: as Authentication has them. next_nonce: Authentication-Info in a 2xx. tls: an
    ssl.SSLContext of a server (certificates.py makes them). pong, stun: whether keep-alives are answered. seen_as: (ip,
    port) that STUN tells. The rest is Location's."""

    def __init__(self, port=0, host="127.0.0.1", digest=None, proxy=False, wrong_status=401, together=True,
                 next_nonce=False, tls=None, transports=("udp", "tcp"), pong=True, stun=True, **location):
        digests = [digest] if isinstance(digest, Digest) else list(digest or ())
        self.authentication = Authentication(digests, proxy, wrong_status, together)
        self.location = Location(**location)
        self.next_nonce = next_nonce
        self.pong, self.stun, self.seen_as = pong, stun, None
        self.journal, self.connections, self.pings, self.responses, self.held = [], [], [], [], []
        self.listeners = []
        self._first = {"host": host, "port": port, "tls": tls, "transports": transports}
        self._scripts = {}  # aor or None: [answers, repeat the last]
        self._answered = {}  # transaction: (time from which a repeated request gets it, messages or None)
        self._pruned = time.monotonic()
        self._changed = threading.Condition(threading.RLock())
        self._threads = []
        self._stopping = threading.Event()

    # ---- life

    def start(self):
        first = self._first
        self.listen(first["host"], first["port"], tls=first["tls"], transports=first["transports"])
        return self

    def listen(self, host="127.0.0.1", port=0, tls=None, tls_port=0, transports=("udp", "tcp")):
        """One more address of the same registrar; gives its Listener."""
        listener = Listener(self, host, port, tls, tls_port, transports)
        self.listeners.append(listener)
        return listener

    def stop(self):
        self._stopping.set()
        for listener in self.listeners:
            listener.stop()
        for connection in self.connections:
            connection.close("fin")
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(2)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def host(self):
        return self.listeners[0].host

    @property
    def port(self):
        return self.listeners[0].port

    @property
    def tls_port(self):
        return self.listeners[0].tls_port

    @property
    def address(self):
        return self.listeners[0].address

    @property
    def tls_address(self):
        return self.listeners[0].tls_address

    @property
    def digest(self):
        """The first, or None."""
        return self.authentication.digests[0] if self.authentication.digests else None

    # ---- what tests use

    def script(self, aor, answers, repeat=False):
        """The next REGISTERs of that address of record (None: of any) get these answers, one each; then it is
        itself again, or with `repeat` the last one goes on."""
        with self._changed:
            self._scripts[aor and aor_of(aor)] = [list(answers), repeat]

    def bindings(self, aor):
        """Live bindings, by Contact."""
        with self._changed:
            return self.location.live(aor)

    def bind(self, aor, uri, expires=3600, **params):
        """A binding that somebody else made."""
        with self._changed:
            self.location.add(aor, uri, expires, **params)

    def forget(self, aor=None):
        """Loses the bindings of one address of record, or all, as a registrar does that restarts."""
        with self._changed:
            self.location.drop(aor)

    def requests(self, aor=None, method="REGISTER", repeated=False):
        """The journal's requests of that kind."""
        with self._changed:
            return [r for r in self.journal if r.method == method and (repeated or not r.repeated)
                    and (aor is None or r.aor == aor_of(aor))]

    def open_connections(self):
        with self._changed:
            return [c for c in self.connections if c.is_open]

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

    def release(self, order=None, together=False):
        """Sends what `hold` kept back. order: indices, oldest first where None. together: over a stream, what goes the same
        way goes in one segment."""
        with self._changed:
            kept, self.held = self.held, []
        kept = kept if order is None else [kept[i] for i in order]
        if not together:
            for delivery in kept:
                self._send(delivery)
            return
        for way in dict.fromkeys(delivery.way for delivery in kept):
            way.send(b"".join(m for delivery in kept if delivery.way is way for m in delivery.messages))

    def ask(self, to_address, method="OPTIONS", ruri="sip:registrant@127.0.0.1", headers=(), **more):
        """Sends a request of ours, to (host, port) by UDP or over a Connection, and gives the final Response. more: `to`,
        the header, and `body`."""
        branch = "z9hG4bK" + secrets.token_hex(8)
        datagram = isinstance(to_address, tuple)
        listener = self.listeners[0] if datagram else to_address.listener
        via = "%s %s" % ("UDP" if datagram else to_address.transport.upper(), listener.address)
        self.send(to_address, build_request(method, ruri, via, branch, headers=list(dict(headers).items()), **more))
        return self.wait(lambda: next((r for r in self.responses if r.branch == branch and r.status >= 200), None))

    def send(self, to, data):
        """Bytes, to (host, port) by UDP or over a Connection."""
        if isinstance(to, tuple):
            self.listeners[0].send_udp(data, to)
        else:
            to.send(data)

    # ---- what its sockets call

    def changed(self):
        with self._changed:
            self._changed.notify_all()

    def on_connection(self, connection):
        with self._changed:
            connection.number = len(self.connections)
            self.connections.append(connection)
            self._changed.notify_all()
        return connection

    def on_ping(self, kind, way):
        """Notes a keep-alive; whether it is to be answered."""
        wanted = self.pong if kind == "crlf" else self.stun
        if way.transport != "udp" and way.pong is not None:
            wanted = way.pong
        answered = wanted and not way.listener.silent
        with self._changed:
            self.pings.append(Ping(time.monotonic(), kind, way, answered))
            self._changed.notify_all()
        return answered

    def on_message(self, data, way):
        try:
            if data.startswith(b"SIP/2.0 "):
                with self._changed:
                    self.responses.append(Response(data))
                    self._changed.notify_all()
                return
            message = Message(data)
        except ValueError:
            return
        if message.method == "ACK":
            return
        try:
            request = read_request(message, way)
        except ValueError as error:
            way.send(build_response(message, 400, str(error)[:60], [], None, way.source))
            return
        self._handle(request)

    # ---- one request

    def _handle(self, request):
        key = (request.message.branch, request.method, request.cseq)
        with self._changed:
            now = time.monotonic()
            self._prune(now)
            known = self._answered.get(key)
            request.repeated = known is not None
            self.journal.append(request)
            if known:
                again, delivery = known[1] if now >= known[0] else None, None
            else:
                again, delivery = None, self._deliver(request)
                delay = delivery.reply.delay if delivery else 0
                kept_back = delivery is None or delivery.reply.hold
                self._answered[key] = (now + delay, None if kept_back else delivery.messages)
            if delivery and delivery.reply.hold:
                self.held.append(delivery)
            self._changed.notify_all()
        for message in again or ():
            self._quietly(request.way.send, message)
        if delivery:
            self._start(delivery)

    def _prune(self, now):
        if now - self._pruned > 1:
            self._pruned = now
            self._answered = {k: v for k, v in self._answered.items() if now - v[0] < TRANSACTION_S}

    def _start(self, delivery):
        self._quietly(delivery.send_before)
        reply = delivery.reply
        if reply.hold:
            return
        if reply.delay or reply.gap:
            thread = threading.Thread(target=self._send_later, args=(delivery,), daemon=True)
            self._threads = [t for t in self._threads if t.is_alive()] + [thread]
            thread.start()
        else:
            self._send(delivery)

    def _send_later(self, delivery):
        if not self._stopping.wait(delivery.reply.delay):
            self._send(delivery)

    def _send(self, delivery):
        self._quietly(delivery.send)

    @staticmethod
    def _quietly(send, *arguments):
        try:
            send(*arguments)
        except OSError:
            pass  # the other end is gone, as ends of tests are

    def _deliver(self, request):
        """The Delivery of its answer, or None."""
        if request.listener.silent:
            return None
        reply = reply_of(self._step(request), request, lambda: self._decide(request), self._challenge)
        if reply is None:
            return None
        if reply.status is None:
            return Delivery(reply, request.way, [], [])
        request.answer = Answer(reply.status, reply.reason, reply.headers, time.monotonic())
        via = reply.received or request.source
        data = build_response(request.message, reply.status, reply.reason, reply.headers, secrets.token_hex(4), via,
                              reply.body)
        sent = reply.edit(data) if reply.edit else data
        before = [build_response(request.message, status, Reply(status).reason, [], secrets.token_hex(4), via)
                  for status in reply.provisional]
        return Delivery(reply, request.way, sent if isinstance(sent, list) else [sent], before)

    def _step(self, request):
        if request.method != "REGISTER":
            return "normal"
        if request.listener.always is not None:
            return request.listener.always
        for key in (request.aor, None):
            script = self._scripts.get(key)
            if script and script[0]:
                answers, repeat = script
                return answers[0] if repeat and len(answers) == 1 else answers.pop(0)
        return "normal"

    def _challenge(self, status):
        return Reply(*self.authentication.challenge(status=status)) if self.authentication.digests else None

    # ---- the registrar's own mind (RFC 3261 10.3)

    def _decide(self, request):
        if request.method == "OPTIONS":
            return Reply(200, {"Allow": "REGISTER, OPTIONS"})
        if request.method != "REGISTER":
            return Reply(405, {"Allow": "REGISTER, OPTIONS"})
        if self.authentication.digests:
            request.auth_result, refusal = self.authentication.check(request.credentials, request.method, request.ruri,
                                                                     request.message.body)
            if refusal:
                return Reply(*refusal)
        reply = self.location.register(request)
        if self.next_nonce and self.digest and 200 <= reply.status < 300:
            reply.headers.append(("Authentication-Info", 'nextnonce="%s"' % self.digest.new_nonce()))
        return reply


if __name__ == "__main__":
    from registrar_command import main
    main()
