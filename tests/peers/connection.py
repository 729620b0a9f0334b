"""One stream connection that a registrant opened to the scriptable registrar: TCP or TLS, cut into messages, counted, and
closed in whatever way a test wants.

All use of the socket but waiting is under one lock, because an SSL object is not for two threads at once; it is closed
by its own thread, because what another thread waits on is not let go by close().
"""

import os
import select
import socket
import ssl
import struct
import threading
import time

from sip_message import cut_message

HANDSHAKE_S = 10
CLOSED = {"fin", "rst", "notify"}


class Connection:
    """pong: answers pings with CRLF (RFC 5626 3.5.1); None: as its registrar does. ended: None while it is open, then
    "theirs", "ours" or what went wrong. tls: of a TLS connection {"version", "cipher", "server_name", "client"}, where
    client is the subject's common name."""

    def __init__(self, listener, raw, source, transport):
        self.listener, self.source, self.transport = listener, source, transport
        self.number = None  # of the registrar's connections, from 0
        self.opened_at, self.closed_at, self.ended = time.monotonic(), None, None
        self.requests = self.pings = self.bytes_in = 0
        self.pong = None
        self.tls = {}
        self._socket = raw
        self._lock = threading.RLock()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self._close_how = None
        self._over = threading.Event()
        self.thread = None
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def is_open(self):
        return self.closed_at is None

    # ---- for tests

    def send(self, data, segment=None, gap=0.0):
        """Sends bytes, in segments of so many bytes with `gap` seconds between them."""
        step = segment or max(len(data), 1)
        for at in range(0, len(data), step):
            if at and gap:
                time.sleep(gap)
            self._write(data[at:at + step])

    def close(self, how="fin"):
        """fin: the stream ends, of TLS without a word. rst: it is reset. notify: TLS says so before (RFC 8446 6.1)."""
        assert how in CLOSED
        self._close_how = how
        if threading.current_thread() is self.thread:
            self._finish()
            return
        os.eventfd_write(self._wake, 1)
        self._over.wait(5)

    # ---- its thread

    def serve(self):
        self.thread = threading.current_thread()
        try:
            if self.transport == "tls":
                self._handshake()
            self._socket.setblocking(False)
            self._read_until_end()
        except (OSError, ValueError) as error:  # of TLS, too; of a message that cannot be cut
            self.ended = self.ended or "%s: %s" % (type(error).__name__, error)
        finally:
            self._finish()

    def _handshake(self):
        self._socket.settimeout(HANDSHAKE_S)
        self._socket = self.listener.tls.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        self._socket.do_handshake()
        subject = dict(pair for part in (self._socket.getpeercert() or {}).get("subject", ()) for pair in part)
        self.tls = {"version": self._socket.version(), "cipher": self._socket.cipher()[0],
                    "server_name": getattr(self._socket, "server_name_sent", None), "client": subject.get("commonName")}
        self.listener.registrar.changed()

    def _read_until_end(self):
        pending = b""
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        waiting.register(self._wake, select.POLLIN)
        while not self._close_how:
            waiting.poll()
            if self._close_how:
                return
            data, ended = self._read()
            self.bytes_in += len(data)
            pending = self._take(pending + data)
            if ended:
                self.ended = "theirs"
                return

    def _read(self):
        data = b""
        with self._lock:
            while True:
                try:
                    part = self._socket.recv(65536)
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    return data, False
                if not part:
                    return data, True
                data += part

    def _take(self, pending):
        while True:
            if pending.startswith(b"\r\n\r\n"):
                self.pings += 1
                pending = pending[4:]
                if self.listener.registrar.on_ping("crlf", self):
                    self._write(b"\r\n")
            elif pending.startswith(b"\r\n") and len(pending) > 2 and pending != b"\r\n\r":
                pending = pending[2:]
            elif pending in (b"\r", b"\r\n", b"\r\n\r"):
                return pending
            else:
                message, pending = cut_message(pending)
                if message is None:
                    return pending
                self.requests += 1
                self.listener.registrar.on_message(message, self)
                if self._close_how:
                    return b""

    def _write(self, data):
        until = time.monotonic() + 10
        with self._lock:
            while data:
                try:
                    data = data[self._socket.send(data):]
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    if time.monotonic() > until:
                        raise TimeoutError("the other end takes nothing") from None
                    select.select([], [self._socket], [], 0.05)

    def _finish(self):
        with self._lock:
            if self.closed_at is not None:
                return
            if self._close_how:
                self.ended = "ours"
                self._close_so()
            self._socket.close()
            self.closed_at = time.monotonic()
        self._over.set()
        self.listener.registrar.changed()

    def _close_so(self):
        try:
            if self._close_how == "notify":
                try:
                    self._socket.unwrap()
                except (ssl.SSLError, ValueError):
                    pass  # it wants to read their close_notify, for which nobody waits
            if self._close_how == "rst":
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                socket.socket.shutdown(self._socket, socket.SHUT_WR)
        except OSError:
            pass  # they were quicker
