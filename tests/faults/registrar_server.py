#!/usr/bin/python3
"""A registrar for the fault suite, as a program of its own: registrar_server.py --help. It does the work of RFC 3261 10.3 for
thousands of addresses of record in one thread, writes every REGISTER into a journal before it answers, and keeps its bindings
over kill -9 by reading that journal again.

It refuses to know anything of Rollcall: the checker judges by what stands in the journal, so nothing else may enter it.

Digest: the password of a user is `secret-` and the user's name, so whoever changes credentials changes the name, and the
journal shows by which of them a binding was made.
"""
import argparse
import heapq
import json
import os
import pathlib
import random
import re
import secrets
import selectors
import signal
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peers"))
from digest_check import Digest, parse_credentials  # noqa: E402
from sip_message import Address, Message, aor_of, build_response, cut_message  # noqa: E402

TRANSACTION_S = 32  # a repeated request gets the same answer for so long (RFC 3261 17.2.2)
LIES = ("short", "long", "empty", "foreign")
FOREIGN = "<sip:somebody@192.0.2.99:5060>;expires=600"


def password_of(user):
    return "secret-" + user


def bare(uri):
    return re.sub(r"^<|>$", "", uri)


class Bindings:
    """Of all addresses of record: {aor: {uri: [until (monotonic), Call-ID, CSeq]}}."""

    def __init__(self):
        self.held = {}

    def load(self, journal):
        """What was bound when the journal ended; a line that was cut off by a kill was not answered either."""
        for line in journal.read_text(errors="replace").splitlines() if journal.exists() else ():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry["what"] == "register" and entry["status"] == 200:
                self.held[entry["aor"]] = {b["uri"]: [b["until"], b["call_id"], b["cseq"]] for b in entry["bound"]}
            elif entry["what"] == "mode" and entry["mode"][0] == "lose":
                self.held.clear()

    def live(self, aor, now):
        held = self.held.get(aor, {})
        for uri in [uri for uri, b in held.items() if b[0] <= now]:
            del held[uri]
        return held

    def register(self, aor, contacts, call_id, cseq, now):
        """Status and reason; contacts: [(uri, granted)]."""
        held = self.live(aor, now)
        if any(uri in held and held[uri][1] == call_id and cseq <= held[uri][2] for uri, _ in contacts):
            return 500, "CSeq Out Of Order"
        for uri, granted in contacts:
            if granted:
                held[uri] = [now + granted, call_id, cseq]
            else:
                held.pop(uri, None)
        self.held[aor] = held
        return 200, "OK"

    def shown(self, aor, now):
        return [{"uri": uri, "until": b[0], "call_id": b[1], "cseq": b[2]} for uri, b in self.live(aor, now).items()]

    def all(self, now):
        return {aor: shown for aor in list(self.held) if (shown := self.shown(aor, now))}


class Mode:
    """What it was told to be: `normal`, `die` (silence), `answer CODE SHARE`, `slow SECONDS`, `lie KIND`."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.words = ["normal"]

    def status(self):
        """The status that answers in place of the registrar's own, 0 for silence, None for its own."""
        if self.words[0] == "die":
            return 0
        if self.words[0] == "answer" and self.random.random() < float(self.words[2]):
            return int(self.words[1])
        return None

    @property
    def delay(self):
        return float(self.words[1]) if self.words[0] == "slow" else 0.0

    @property
    def lie(self):
        return self.words[1] if self.words[0] == "lie" else None

    def contacts(self, bound, now):
        """Contact headers of a 2xx."""
        if self.lie == "empty":
            return []
        if self.lie == "foreign":
            return [("Contact", FOREIGN)]
        factor = {"short": 0.25, "long": 4}.get(self.lie, 1)
        return [("Contact", f"<{b['uri']}>;expires={max(1, round((b['until'] - now) * factor))}") for b in bound]


class Server:
    def __init__(self, options):
        self.options = options
        self.journal_path = pathlib.Path(options.journal)
        self.bindings, self.mode = Bindings(), Mode(options.seed)
        self.bindings.load(self.journal_path)
        self.journal = open(self.journal_path, "a", encoding="utf-8")
        self.digest = Digest(password_of, realm="faults")
        self.pruned = time.monotonic()
        self.answered = {}  # transaction: (time, bytes)
        self.later = []  # heap of (time, number, send, bytes)
        self.number = 0
        self.pending = {}  # stream: bytes of a message that is not whole
        self.selector = selectors.DefaultSelector()

    def note(self, **entry):
        self.journal.write(json.dumps(entry) + "\n")
        self.journal.flush()

    # ---- sockets

    def open(self):
        host, port = self.options.host, self.options.port
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        udp.bind((host, port))
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind(udp.getsockname())
        tcp.listen(128)
        path = pathlib.Path(self.options.control)
        path.unlink(missing_ok=True)
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        control.bind(str(path))
        control.listen(8)
        for s, serve in (udp, self.on_datagrams), (tcp, self.on_connection), (control, self.on_control):
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ, serve)
        self.note(what="start", t=time.monotonic(), wall=time.time(), address="%s:%d" % udp.getsockname())

    def serve(self):
        while True:
            wait = max(0.0, self.later[0][0] - time.monotonic()) if self.later else 1.0
            for key, _ in self.selector.select(wait):
                key.data(key.fileobj)
            now = time.monotonic()
            while self.later and self.later[0][0] <= now:
                _, _, send, data = heapq.heappop(self.later)
                send(data)
            self.prune(now)

    def prune(self, now):
        if now - self.pruned < 5:
            return
        self.pruned = now
        self.answered = {k: v for k, v in self.answered.items() if now - v[0] < TRANSACTION_S}
        self.digest.nonces = {k: v for k, v in self.digest.nonces.items() if now - v[0] < self.digest.nonce_lifetime}

    def on_datagrams(self, udp):
        for _ in range(64):
            try:
                data, source = udp.recvfrom(65536)
            except OSError:
                return
            self.on_message(data, source, "udp", lambda out, to=source: self.quietly(udp.sendto, out, to))

    def on_connection(self, listener):
        stream, _ = listener.accept()
        stream.setblocking(False)
        self.pending[stream] = b""
        self.selector.register(stream, selectors.EVENT_READ, self.on_stream)

    def on_stream(self, stream):
        try:
            data, source = stream.recv(65536), stream.getpeername()
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(stream)
            del self.pending[stream]
            stream.close()
            return
        pending = self.pending[stream] + data
        while True:
            if pending.startswith(b"\r\n\r\n"):
                pending = pending[4:]
                self.quietly(stream.send, b"\r\n")
                continue
            message, pending = cut_message(pending)
            if message is None:
                break
            self.on_message(message, source, "tcp", lambda out: self.quietly(stream.send, out))
        self.pending[stream] = pending

    @staticmethod
    def quietly(send, *arguments):
        try:
            send(*arguments)
        except OSError:
            pass  # the other end is gone, which is what this is about

    # ---- one REGISTER

    def on_message(self, data, source, transport, send):
        try:
            request = Message(data)
        except ValueError:
            return
        if request.method != "REGISTER":
            return
        key = (request.branch, request.get("cseq"), source)
        if key in self.answered:
            send(self.answered[key][1])
            return
        now = time.monotonic()
        status, answer = self.answer(request, source, transport, now)
        if answer:  # who was dead when it came knows nothing of it when it is repeated
            self.answered[key] = (now, answer)
        if answer and self.mode.delay:
            self.number += 1
            heapq.heappush(self.later, (now + self.mode.delay, self.number, send, answer))
        elif answer:
            send(answer)

    def answer(self, request, source, transport, now):
        """Status and bytes (None: silence) of a REGISTER, which is in the journal then."""
        aor = aor_of(Address(request.get("to", "")).uri)
        call_id, cseq = request.get("call-id", ""), int(request.get("cseq", "0").split()[0])
        contacts = self.contacts_of(request)
        status, reason, headers, user = self.mode.status(), "Told So", [], None
        if status is None:
            status, reason, headers, user = self.decide(request, aor, contacts, call_id, cseq, now)
        bound = self.bindings.shown(aor, now)
        if status == 200:
            headers = self.mode.contacts(bound, now)
        elif status == 503:
            headers = [("Retry-After", "2")]
        self.note(what="register", t=now, aor=aor, ruri=request.ruri, call_id=call_id, cseq=cseq, user=user, status=status,
                  contacts=[{"uri": uri, "expires": granted} for uri, granted in contacts], bound=bound,
                  source="%s:%d" % source[:2], transport=transport, mode=self.mode.words, delay=self.mode.delay)
        return status, build_response(request, status, reason, headers, secrets.token_hex(4), source) if status else None

    def contacts_of(self, request):
        """[(uri, seconds granted)]."""
        header = request.get("expires")
        found = []
        for text in request.list("contact"):
            address = Address(text)
            own = address.params.get("expires") or header or str(self.options.max_expires)
            found.append((bare(address.uri), min(int(own), self.options.max_expires)))
        return found

    def decide(self, request, aor, contacts, call_id, cseq, now):
        value = request.get("authorization")
        params = parse_credentials(value) if value else None
        result = self.digest.check(params, request.method, request.ruri) if params else None
        user = params and params.get("username")
        if result != "ok":
            headers = [("WWW-Authenticate", text) for text in self.digest.challenges(result == "stale")]
            return (403 if result == "malformed" else 401), "Unauthorized", headers, user
        status, reason = self.bindings.register(aor, contacts, call_id, cseq, now)
        return status, reason, [], user

    # ---- what it is told

    def on_control(self, listener):
        """One line of words is one command; the answer is one line of JSON."""
        stream, _ = listener.accept()
        with stream:
            stream.settimeout(2)
            try:
                words = stream.makefile("r").readline().split()
                stream.sendall((json.dumps(self.command(words)) + "\n").encode())
            except (OSError, ValueError) as error:
                self.note(what="error", t=time.monotonic(), text=str(error))

    def command(self, words):
        now = time.monotonic()
        if words == ["bindings"]:
            return self.bindings.all(now)
        if words[0] not in ("normal", "die", "answer", "slow", "lie", "lose") or words[0] == "lie" and words[1] not in LIES:
            raise ValueError(f"no command {words}")
        self.note(what="mode", t=now, mode=words)
        if words[0] == "lose":
            self.bindings.held.clear()
        else:
            self.mode.words = words
        return "ok"


def main():
    parser = argparse.ArgumentParser(description="A registrar that keeps a journal and can be told to misbehave.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", required=True)
    parser.add_argument("--control", required=True)
    parser.add_argument("--max-expires", type=int, default=3600)
    parser.add_argument("--seed", type=int, default=0)
    server = Server(parser.parse_args())
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server.open()
    server.serve()


if __name__ == "__main__":
    main()
