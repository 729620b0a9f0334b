"""The sockets of one address of the scriptable registrar: UDP and TCP on one port, TLS on another, any of which can be
closed and opened again while it runs.
"""

import os
import select
import socket
import struct
import threading
import time

from connection import Connection
import stun

TRANSPORTS = ("udp", "tcp", "tls")
SO_TIMESTAMP = 29  # socket(7): the kernel says when a datagram came; Python has no name for it
OLDEST_S = 60  # beyond that one of the clocks was set meanwhile


def hostport(address):
    return ("[%s]:%d" if ":" in address[0] else "%s:%d") % (address[0], address[1])


def note_server_name(ssl_socket, name, _context):
    ssl_socket.server_name_sent = name


def age_of(ancillary):
    """How long a datagram waited to be read, for what is measured by its time must not depend on how busy the machine is."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMP:
            seconds, micros = struct.unpack("ll", data)
            age = time.time() - seconds - micros / 1e6
            return age if 0 < age < OLDEST_S else 0.0
    return 0.0


class Datagram:
    """Where a datagram came from and what answers it, as Connection is for streams."""

    transport = "udp"

    def __init__(self, listener, source, age=0.0):
        """age: for how many seconds it had been there when it was read."""
        self.listener, self.source, self.age = listener, source, age

    def send(self, data, segment=None, gap=0.0):
        """A datagram goes in one piece."""
        self.listener.send_udp(data, self.source)


class Listener:
    """tls: an ssl.SSLContext, or None for no TLS. always: a script's step that answers every REGISTER here, or None. silent:
    nothing is answered here, neither requests nor pings."""

    def __init__(self, registrar, host, port=0, tls=None, tls_port=0, transports=("udp", "tcp")):
        self.registrar, self.host, self.port, self.tls_port = registrar, host, port, tls_port
        self.tls = tls
        self.always, self.silent = None, False
        self._sockets = {}
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self._lock = threading.Lock()
        self._stopping = False
        self._other = None
        wanted = [t for t in transports if t != "tls"]
        if wanted:
            self._open_pair(wanted)
        if tls is not None:
            tls.sni_callback = note_server_name
            self._sockets["tls"] = self._new_stream(tls_port)
            self.tls_port = self._sockets["tls"].getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return hostport((self.host, self.port))

    @property
    def tls_address(self):
        return hostport((self.host, self.tls_port))

    # ---- for tests

    def close(self, transport):
        """Nothing listens any more: a datagram gets ICMP port unreachable, a connection is refused. Connections that are
        open stay so."""
        with self._lock:
            gone = self._sockets.pop(transport)
        self._awake()
        # Its thread may wait on it still, and would keep it open until it is awake.
        with self._lock:
            gone.close()

    def open(self, transport):
        """The same socket again."""
        port = self.tls_port if transport == "tls" else self.port
        new = self._new_udp(port) if transport == "udp" else self._new_stream(port)
        with self._lock:
            self._sockets[transport] = new
        self._awake()

    def send_udp(self, data, to, other_port=False):
        """other_port: from a socket that nobody has sent to."""
        with self._lock:
            if other_port and self._other is None:
                self._other = self._new_udp(0)
            udp = self._other if other_port else self._sockets.get("udp")
        if udp is not None:
            udp.sendto(data, to)

    def stop(self):
        self._stopping = True
        self._awake()
        self.thread.join(5)
        with self._lock:
            for s in [*self._sockets.values(), *([self._other] if self._other else [])]:
                s.close()
            self._sockets = {}
            self._other = None
        os.close(self._wake)

    # ---- sockets

    def _new_udp(self, port):
        udp = socket.socket(self._family, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        udp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)
        try:
            udp.bind((self.host, port))
        except OSError:
            udp.close()
            raise
        udp.setblocking(False)
        return udp

    def _new_stream(self, port):
        listener = socket.socket(self._family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.host, port))
        except OSError:
            listener.close()
            raise
        listener.listen(128)
        listener.setblocking(False)
        return listener

    def _open_pair(self, wanted):
        make = {"udp": self._new_udp, "tcp": self._new_stream}
        for attempt in range(20):
            opened, port = {}, self.port
            try:
                for transport in wanted:
                    opened[transport] = make[transport](port)
                    port = opened[transport].getsockname()[1]
            except OSError:
                for s in opened.values():
                    s.close()
                if self.port or attempt == 19:
                    raise
                continue
            self._sockets.update(opened)
            self.port = port
            return

    # ---- its thread

    def _awake(self):
        os.eventfd_write(self._wake, 1)
        if threading.current_thread() is not self.thread:
            until = time.monotonic() + 5
            while self._wake_pending() and time.monotonic() < until and self.thread.is_alive():
                time.sleep(0.0005)

    def _wake_pending(self):
        return bool(select.select([self._wake], [], [], 0)[0])

    def _serve(self):
        while not self._stopping:
            with self._lock:
                sockets = dict(self._sockets)
            waiting = select.poll()
            waiting.register(self._wake, select.POLLIN)
            for s in sockets.values():
                waiting.register(s, select.POLLIN)
            ready = {fd for fd, _ in waiting.poll()}
            for transport, s in sockets.items():
                if s.fileno() in ready:
                    (self._receive if transport == "udp" else self._accept)(transport, s)
            if self._wake in ready:
                os.eventfd_read(self._wake)

    def _receive(self, _, udp):
        for _ in range(256):
            try:
                data, ancillary, _, source = udp.recvmsg(65536, 64)
            except OSError:
                return
            self._on_datagram(data, Datagram(self, source[:2], age_of(ancillary)))

    def _on_datagram(self, data, datagram):
        if stun.is_binding_request(data):
            if self.registrar.on_ping("stun", datagram):
                datagram.send(stun.answer(data, self.registrar.seen_as or datagram.source))
        elif not data.strip():
            if self.registrar.on_ping("crlf", datagram) and data == b"\r\n\r\n":
                datagram.send(b"\r\n")
        else:
            self.registrar.on_message(data, datagram)

    def _accept(self, transport, listener):
        try:
            raw, source = listener.accept()
        except OSError:
            return
        raw.setblocking(True)
        connection = self.registrar.on_connection(Connection(self, raw, source[:2], transport))
        thread = threading.Thread(target=connection.serve, daemon=True)
        connection.thread = thread
        thread.start()
