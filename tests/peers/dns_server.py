"""A DNS server on loopback that does what a test tells it: records with their TTLs, changed at will, failures, silence,
delay, and answers too long for a datagram. It counts what it is asked.

    with DnsServer() as dns:
        dns.set("example.com", "NAPTR", (10, 50, "s", "SIP+D2T", "", "_sip._tcp.example.com"), ttl=5)
        dns.set("_sip._tcp.example.com", "SRV", (1, 0, 5060, "a.example.com"))
        dns.set("a.example.com", "A", "127.0.0.1")
        dns.write_resolv_conf(tmp_path / "resolv.conf")

Refuses recursion: what it was not told of does not exist.
"""

import socket
import struct
import threading
import time

from dnslib import AAAA, CNAME, DNSRecord, EDNS0, NAPTR, QTYPE, RCODE, RR, SOA, SRV, A

TTL = 60
DATAGRAM_BYTES = 512  # where the asker does not say more (RFC 1035 2.3.4, RFC 6891 6.2.3)


def _naptr(order, preference, flags, service, regexp, replacement):
    return NAPTR(order, preference, flags.encode(), service.encode(), regexp.encode(), replacement)


MAKERS = {"A": lambda v: A(v), "AAAA": lambda v: AAAA(v), "SRV": lambda v: SRV(*v), "NAPTR": lambda v: _naptr(*v),
          "CNAME": lambda v: CNAME(v)}


def opts(query):
    """OPT records: the asker speaks EDNS."""
    return [rr for rr in query.ar if rr.rtype == QTYPE.OPT]


class DnsServer:
    """delay: seconds before every answer. fault: None, "servfail", "refused", "silence", "truncated" (over UDP, without
    records) or "garbage", of all names; fail() sets it of one."""

    def __init__(self, host="127.0.0.1", port=0):
        self.host, self.port = host, port
        self.delay, self.fault = 0.0, None
        self.asked = []  # (time, name, type, "udp" or "tcp")
        self._records = {}  # (name, type): [(value, ttl)]
        self._faults = {}  # (name, type or None): fault
        self._names = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = []

    # ---- life

    def start(self):
        for attempt in range(20):
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._udp.bind((self.host, self.port))
            port = self._udp.getsockname()[1]
            self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self._tcp.bind((self.host, port))
            except OSError:
                self._udp.close()
                self._tcp.close()
                if self.port or attempt == 19:
                    raise
                continue
            self.port = port
            break
        self._tcp.listen(16)
        for s in (self._udp, self._tcp):
            s.settimeout(0.1)
        self._spawn(self._serve_udp)
        self._spawn(self._serve_tcp)
        return self

    def stop(self):
        self._stopping.set()
        for thread in list(self._threads):
            thread.join(2)
        self._udp.close()
        self._tcp.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _spawn(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    # ---- what tests use

    def set(self, name, kind, *values, ttl=TTL):
        """Replaces the records of that name and type; without values there are none of the type, though the name exists."""
        with self._lock:
            self._records[name.lower(), kind] = [(value, ttl) for value in values]
            self._names.add(name.lower())

    def remove(self, name):
        """The name does not exist any more."""
        with self._lock:
            self._records = {k: v for k, v in self._records.items() if k[0] != name.lower()}
            self._names.discard(name.lower())

    def fail(self, name, fault, kind=None):
        """fault: as of all names, or None to end it."""
        with self._lock:
            self._faults[name.lower(), kind] = fault

    def count(self, name=None, kind=None):
        """How often it was asked."""
        with self._lock:
            return sum((name is None or n == name.lower()) and (kind is None or k == kind) for _, n, k, _ in self.asked)

    def write_resolv_conf(self, path):
        """For ROLLCALL_RESOLV_CONF."""
        path.write_text("nameserver %s\nport %d\noptions timeout:1 attempts:1\n" % (self.host, self.port))
        return path

    # ---- serving

    def _serve_udp(self):
        while not self._stopping.is_set():
            try:
                data, source = self._udp.recvfrom(4096)
            except TimeoutError:
                continue
            except OSError:
                return
            self._answer(data, "udp", lambda answer, to=source: self._udp.sendto(answer, to))

    def _serve_tcp(self):
        while not self._stopping.is_set():
            try:
                connection, _ = self._tcp.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self._spawn(self._serve_connection, connection)

    def _serve_connection(self, connection):
        connection.settimeout(2)
        with connection:
            try:
                stream = connection.makefile("rb")
                while (head := stream.read(2)) and len(head) == 2:
                    data = stream.read(struct.unpack(">H", head)[0])
                    self._answer(data, "tcp", lambda answer: connection.sendall(struct.pack(">H", len(answer)) + answer))
            except OSError:
                pass  # it went

    def _answer(self, data, transport, send):
        try:
            query = DNSRecord.parse(data)
        except Exception:  # dnslib has a class of error for each field
            return
        name, kind = str(query.q.qname).rstrip(".").lower(), QTYPE[query.q.qtype]
        with self._lock:
            self.asked.append((time.monotonic(), name, kind, transport))
            fault = self._faults.get((name, kind)) or self._faults.get((name, None)) or self.fault
            reply = None if fault == "silence" else self._reply(query, name, kind, fault, transport)
        if reply is None:
            return
        if self.delay:
            self._spawn(self._send_later, send, reply)
        else:
            self._send(send, reply)

    def _send_later(self, send, reply):
        if not self._stopping.wait(self.delay):
            self._send(send, reply)

    @staticmethod
    def _send(send, reply):
        try:
            send(reply)
        except OSError:
            pass  # the asker went

    def _reply(self, query, name, kind, fault, transport):
        reply = self._empty(query)
        if fault == "garbage":
            return query.pack()[:2] + b"\x81\x80\xff\xff\xff\xff\xff\xff\xff\xff\xc0\x0c\xff"
        if fault in ("servfail", "refused"):
            reply.header.rcode = RCODE.SERVFAIL if fault == "servfail" else RCODE.REFUSED
            return reply.pack()
        if fault == "truncated" and transport == "udp":
            reply.header.tc = 1
            return reply.pack()
        found = self._find(name, kind)
        for owner, of_kind, value, ttl in found:
            reply.add_answer(RR(owner, getattr(QTYPE, of_kind), ttl=ttl, rdata=MAKERS[of_kind](value)))
        if not found:
            if name not in self._names:
                reply.header.rcode = RCODE.NXDOMAIN
            reply.add_auth(RR(name.partition(".")[2] or ".", QTYPE.SOA, ttl=1, rdata=SOA(times=(1, 1, 1, 1, 1))))
        packed = reply.pack()
        if transport == "tcp" or len(packed) <= max([DATAGRAM_BYTES, *(rr.edns_len for rr in opts(query))]):
            return packed
        cut = self._empty(query)
        cut.header.tc = 1
        return cut.pack()

    @staticmethod
    def _empty(query):
        reply = query.reply(ra=0)
        if opts(query):
            reply.add_ar(EDNS0(udp_len=4096))
        return reply

    def _find(self, name, kind):
        """[(owner, type, value, ttl)], aliases followed."""
        found = []
        for _ in range(8):
            alias = self._records.get((name, "CNAME")) if kind != "CNAME" else None
            if not alias:
                break
            found.append((name, "CNAME", *alias[0]))
            name = alias[0][0].rstrip(".").lower()
        return found + [(name, kind, *record) for record in self._records.get((name, kind), ())]
