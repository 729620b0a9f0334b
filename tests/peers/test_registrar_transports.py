"""The scriptable registrar's sockets: TLS, IPv6, several addresses, pings, connections closed in every way, answers in
pieces, late, twice and in another order.
"""

import socket
import ssl
import threading
import time

import pytest

import stun
from certificates import Certificates
from registrar import Registrar
from registrar_client import AOR, Client, anything


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def trusting(authority, pair=None):
    context = ssl.create_default_context(cafile=authority.certificate)
    if pair:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


# ---- TLS

def test_registers_over_tls_and_tells_version_and_name(made):
    with Registrar(tls=made.server("example.com").context()) as r:
        client = Client(r, "tls", tls=trusting(made.ca), name="example.com")
        assert client.register()[0] == 200
        assert r.bindings(AOR)[0].transport == "tls"
        [connection] = r.connections
        assert connection.tls["version"] == "TLSv1.3" and connection.tls["server_name"] == "example.com"
        assert r.journal[0].connection is connection and connection.requests == 1


@pytest.mark.parametrize("kind, cause", [
    ("expired", "expired"), ("not_yet_valid", "not yet valid"), ("of_stranger", "issuer|self-signed"),
    ("self_signed", "self-signed"), ("other_name", "mismatch|doesn't match"), ("other_subject", "mismatch|doesn't match")])
def test_bad_certificates_are_bad(made, kind, cause):
    pair = {"other_name": lambda name: made.server("other.example.net"),
            "other_subject": lambda name: made.server(common_name="other.example.net")}.get(kind) or getattr(made, kind)
    with Registrar(tls=pair("example.com").context()) as r:
        with pytest.raises(ssl.SSLCertVerificationError, match=cause):
            Client(r, "tls", tls=trusting(made.ca), name="example.com")
        r.wait(lambda: r.connections and r.connections[0].ended, 5)
        assert r.journal == []


def test_good_certificates_are_good(made):
    for pair, name in ((made.server(ips=["127.0.0.1"]), "127.0.0.1"), (made.behind_intermediate("example.com"), "example.com")):
        with Registrar(tls=pair.context()) as r:
            assert Client(r, "tls", tls=trusting(made.ca), name=name).register()[0] == 200


def test_a_sip_uri_is_in_the_certificate(made):
    from cryptography import x509
    names = made.server(uris=["sip:example.com"]).held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["sip:example.com"]


def test_client_certificates_are_required_and_named(made):
    with Registrar(tls=made.server("example.com").context(clients=made.ca)) as r:
        client = Client(r, "tls", tls=trusting(made.ca, made.client("node-1")), name="example.com")
        assert client.register()[0] == 200 and r.connections[0].tls["client"] == "node-1"
        for wrong in (None, made.client(issuer=made.stranger)):
            with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
                Client(r, "tls", tls=trusting(made.ca, wrong), name="example.com").register()
        r.wait(lambda: len(r.connections) == 3 and all(c.ended for c in r.connections[1:]), 5)
        assert all("SSL" in c.ended for c in r.connections[1:])


def test_versions_are_bounded(made):
    with Registrar(tls=made.server("example.com").context(least="1.2", most="1.2")) as r:
        assert Client(r, "tls", tls=trusting(made.ca), name="example.com").register()[0] == 200
        assert r.connections[0].tls["version"] == "TLSv1.2"
        context = trusting(made.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        with pytest.raises(ssl.SSLError):
            Client(r, "tls", tls=context, name="example.com")


# ---- addresses

@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_ipv6(transport):
    with Registrar(host="::1") as r:
        assert r.address == "[::1]:%d" % r.port
        status, text = Client(r, transport).register()
        assert status == 200 and ";received=::1" in text


def test_several_addresses_share_bindings_and_may_behave_apart():
    with Registrar() as r:
        other = r.listen("127.0.0.2")
        other.always = 503
        assert Client(r, at=("127.0.0.2", other.port)).register()[0] == 503
        other.always = None
        assert Client(r, at=("127.0.0.2", other.port)).register(cseq=2)[0] == 200
        assert Client(r, "tcp").register(cseq=3)[0] == 200
        assert [q.listener for q in r.journal] == [other, other, r.listeners[0]]
        other.silent = True
        mute = Client(r, at=("127.0.0.2", other.port))
        mute.send(cseq=4)
        r.wait(lambda: len(r.journal) == 4, 5)
        assert r.journal[3].answer is None


def test_a_closed_port_is_unreachable_until_it_is_opened():
    with Registrar() as r:
        client = Client(r)
        r.listeners[0].close("udp")
        client.send()
        with pytest.raises(ConnectionRefusedError):
            client.receive()
        r.listeners[0].close("tcp")
        with pytest.raises(ConnectionRefusedError):
            Client(r, "tcp")
        r.listeners[0].open("udp")
        r.listeners[0].open("tcp")
        assert Client(r).register()[0] == 200 and Client(r, "tcp").register(cseq=2)[0] == 200


# ---- keep-alive

def test_pings_are_seen_and_answered_or_not():
    with Registrar() as r:
        client = Client(r, "tcp")
        client.socket.sendall(b"\r\n\r\n")
        assert client.socket.recv(10) == b"\r\n"
        client.send()
        client.socket.sendall(b"\r\n")
        client.socket.sendall(b"\r\n")  # a ping in two segments
        assert client.receive()[0] == 200 and (client.pending or client.socket.recv(10)) == b"\r\n"
        r.connections[0].pong = False
        client.socket.sendall(b"\r\n\r\n")
        r.wait(lambda: r.connections[0].pings == 3, 5)
        assert [(p.kind, p.answered) for p in r.pings] == [("crlf", True), ("crlf", True), ("crlf", False)]


def test_stun_tells_where_it_came_from_or_what_it_is_told():
    request = bytes.fromhex("000100002112a442") + b"abcdefghijkl"
    with Registrar() as r:
        client = Client(r)
        client.socket.send(request)
        answer = client.socket.recv(100)
        assert answer[8:20] == b"abcdefghijkl" and stun.mapped_address(answer) == client.socket.getsockname()
        r.seen_as = ("192.0.2.7", 4321)
        client.socket.send(request)
        assert stun.mapped_address(client.socket.recv(100)) == ("192.0.2.7", 4321)
        r.stun = False
        client.socket.send(request)
        r.wait(lambda: len(r.pings) == 3, 5)
        assert not r.pings[2].answered


# ---- ends of connections

def test_connections_end_as_they_are_told(made):
    with Registrar(tls=made.server("example.com").context()) as r:
        strict = anything()
        strict.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        first, second, third = Client(r, "tcp"), Client(r, "tcp"), Client(r, "tls", tls=strict)
        fourth = Client(r, "tls", tls=strict)
        third.socket.suppress_ragged_eofs = fourth.socket.suppress_ragged_eofs = False
        for client, cseq in ((first, 1), (second, 2), (third, 3), (fourth, 4)):
            client.register(cseq=cseq)
        for request, how in zip(list(r.journal), ("fin", "rst", "notify", "fin")):
            request.connection.close(how)
        assert first.socket.recv(1) == b""
        with pytest.raises(ConnectionResetError):
            second.socket.recv(1)
        assert third.socket.recv(1) == b""  # a close_notify is an end; without one it is not
        with pytest.raises(ssl.SSLError, match="(?i)eof"):
            fourth.socket.recv(1)
        assert [c.ended for c in r.connections] == ["ours"] * 4 and r.open_connections() == []


def test_who_closes_is_noted():
    with Registrar() as r:
        client = Client(r, "tcp")
        client.register()
        client.socket.close()
        assert r.wait(lambda: r.connections[0].ended, 5) == "theirs"


def test_a_step_may_close_in_place_of_an_answer_or_after_it():
    with Registrar() as r:
        r.script(AOR, [{"close": "fin"}, {"status": None, "close": "rst"}])
        client = Client(r, "tcp")
        assert client.register()[0] == 200 and client.socket.recv(1) == b""
        client = Client(r, "tcp")
        client.send(cseq=2)
        with pytest.raises(ConnectionResetError):
            client.receive()


# ---- how answers go

def test_an_answer_goes_in_segments_and_slowly():
    with Registrar() as r:
        client = Client(r, "tcp")
        r.script(AOR, [{"segment": 20, "gap": 0.001}])
        client.send()
        parts = []
        while b"\r\n\r\n" not in b"".join(parts):
            parts.append(client.socket.recv(65536))
        assert len(parts) > 5


def test_held_answers_go_in_the_order_that_is_said_and_in_one_segment():
    with Registrar() as r:
        client = Client(r, "tcp")
        r.script(None, [{"hold": True}] * 5)
        for cseq in (1, 2, 3):
            client.send(cseq=cseq, call_id="c%d" % cseq)
        r.wait(lambda: len(r.held) == 3, 5)
        assert len(r.journal) == 3
        r.release(order=[2, 0, 1])
        assert ["CSeq: %d" % n in client.receive()[1] for n in (3, 1, 2)] == [True] * 3
        for cseq in (4, 5):
            client.send(cseq=cseq, call_id="c%d" % cseq)
        r.wait(lambda: len(r.held) == 2, 5)
        r.release(together=True)
        assert client.socket.recv(65536).count(b"SIP/2.0 200 OK") == 2


class Unconnected:
    """Takes datagrams from any port, and notes which."""

    def __init__(self, at):
        self.at, self.ports = at, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(5)

    def sendall(self, data):
        self.socket.sendto(data, self.at)

    def recv(self, size):
        data, source = self.socket.recvfrom(size)
        self.ports.append(source[1])
        return data


def test_provisional_copies_and_another_port():
    with Registrar() as r:
        client = Client(r)
        client.socket = Unconnected((r.host, r.port))
        r.script(AOR, [{"provisional": [100, 183], "copies": 2}, {"other_port": True}])
        client.send()
        assert [client.receive()[0] for _ in range(4)] == [100, 183, 200, 200]
        client.send(cseq=2)
        assert client.receive()[0] == 200
        assert [port == r.port for port in client.socket.ports] == [True] * 4 + [False]


def test_a_late_answer_is_late_and_an_edited_one_edited():
    with Registrar() as r:
        client = Client(r)
        r.script(AOR, [{"delay": 0.05}, {"edit": lambda data: [b"noise", data.replace(b"200 OK", b"299 Fine")]},
                       {"received": ("192.0.2.9", 1234)}])
        before = time.monotonic()
        client.register()
        assert time.monotonic() - before >= 0.05
        client.send(cseq=2)
        assert client.socket.recv(100) == b"noise" and client.receive()[0] == 299
        assert ";rport=1234;received=192.0.2.9" in client.register(cseq=3)[1]


def test_a_step_that_says_what_nobody_knows_is_refused():
    with Registrar() as r:
        client = Client(r, "tcp")
        r.script(AOR, [{"stauts": 200}])
        client.send()
        with pytest.raises((EOFError, OSError)):
            client.receive()
        assert r.wait(lambda: r.connections[0].ended, 5) == "ValueError: a step has no stauts"


# ---- requests of its own

@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_it_asks_and_reads_the_answer(transport):
    with Registrar() as r:
        client = Client(r, transport)
        client.register()
        to = r.connections[0] if transport == "tcp" else client.socket.getsockname()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(r.ask(to, "OPTIONS", "sip:x@127.0.0.1", {"X-A": "b"})))
        thread.start()
        text = client.socket.recv(65536).decode()
        assert text.startswith("OPTIONS sip:x@127.0.0.1 SIP/2.0\r\n") and "\r\nX-A: b\r\n" in text
        lines = text.split("\r\n")
        echoed = [line for line in lines if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
        client.socket.sendall("\r\n".join(["SIP/2.0 200 OK", *echoed, "Content-Length: 0", "", ""]).encode())
        thread.join(5)
        assert answers[0].status == 200 and answers[0].get("cseq") == "1 OPTIONS"
