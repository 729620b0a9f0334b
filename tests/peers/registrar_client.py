"""What sends REGISTERs to the scriptable registrar in its own tests: a client of a few lines, over UDP, TCP or TLS, that
shows every answer as it came.
"""

import socket
import ssl

from digest_check import parse_credentials, response_of
from sip_message import cut_message

AOR = "sip:alice@example.com"


class Client:
    """Sends REGISTERs over one socket and reads the answers. at: (host, port) where it is not the registrar's first. tls: an
    ssl.SSLContext of a client."""

    def __init__(self, registrar, transport="udp", at=None, tls=None, name=None):
        at = at or (registrar.host, registrar.port if transport != "tls" else registrar.tls_port)
        self.transport = transport
        family = socket.AF_INET6 if ":" in at[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
        self.socket.settimeout(5)
        self.socket.connect(at)
        if transport == "tls":
            self.socket = (tls or anything()).wrap_socket(self.socket, server_hostname=name)
        self.branch = 0
        self.pending = b""

    def send(self, cseq=1, contact="<sip:alice@127.0.0.1:5099>", call_id="c1", expires=60, extra=(), branch=None,
             body=""):
        self.branch += 1
        lines = ["REGISTER sip:example.com SIP/2.0",
                 "Via: SIP/2.0/%s 127.0.0.1:5099;rport;branch=z9hG4bK%s"
                 % (self.transport.upper(), branch or "%d-%d" % (id(self), self.branch)),
                 "From: <%s>;tag=1" % AOR, "To: <%s>" % AOR, "Call-ID: " + call_id, "CSeq: %d REGISTER" % cseq]
        lines += ["Contact: " + contact] if contact else []
        lines += ["Expires: %d" % expires] if expires is not None else []
        lines += list(extra) + ["Content-Length: %d" % len(body)]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def receive(self):
        """(status, text) of the next message."""
        if self.transport == "udp":
            text = self.socket.recv(65536).decode()
        else:
            while (found := cut_message(self.pending))[0] is None:
                self.pending += self._more()
            text, self.pending = found[0].decode(), found[1]
        return int(text.split()[1]), text

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("it was closed")
        return data

    def register(self, **arguments):
        self.send(**arguments)
        return self.receive()


def anything():
    """A client's context that believes every server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def challenge_of(text):
    return [parse_credentials(line.partition(":")[2]) for line in text.split("\r\n")
            if line.lower().startswith(("www-authenticate", "proxy-authenticate"))]


def authorization(challenge, password="secret", nc=1, uri="sip:example.com", qop="auth", body="", proxy=False,
                  **params_given):
    params = {"username": "alice", "realm": challenge["realm"], "nonce": challenge["nonce"], "uri": uri,
              "algorithm": challenge["algorithm"]}
    if qop:
        params.update(qop=qop, nc="%08x" % nc, cnonce="abc")
    params["response"] = response_of(params, "REGISTER", password, body)
    params.update(params_given)
    return [("Proxy-" if proxy else "") + "Authorization: Digest " + ", ".join('%s="%s"' % item for item in params.items())]
