"""What clients write and what registrars answer never makes a header, a line or a parameter of its own in a REGISTER: hostile
texts go through every field of every dialect, and every datagram that arrives is taken apart."""
import contextlib
import itertools
import re
import socket
import threading
import time

import pytest
from ribbon_client import CONTACT, CREDENTIALS, SERVERS, Ribbon, credential_path, entry_path, path, server_path
from stack import wait_for
from voximplant_client import Vox, add_key

WORLD = {"kamailio": False}
EVIL = "X-Evil"
HEADERS = {"via", "max-forwards", "from", "to", "call-id", "cseq", "contact", "expires", "content-length", "user-agent", "allow",
           "supported", "route", "authorization", "proxy-authorization", "require"}
# An authorization parameter: a token, or a quoted string in which quotes and backslashes are escaped.
PARAMETER = r'[a-z-]+=(?:[^",\s]+|"(?:[^"\\]|\\.)*")'

LINES = [f"{before}{EVIL}: yes{after}" for before, after in itertools.product(
    ("\r\n", "\n", "\r", "\r\n\r\n", "%0d%0a", "%0D%0A%0d%0a", "\x0b", "\x00\r\n", "\u2028", "\u0085", "\\r\\n"), ("", "\r\n"))]
QUOTES = ['"', '\\', 'a"', 'a\\', '"\\"', f'", {EVIL}="1', f'\\", {EVIL}="1', ">", f">\r\n{EVIL}: 1", f">;tag=1,<sip:{EVIL}@h",
          f"a@{EVIL}", "a;x=y", "a?x=y", "a b", "%", "%4", "%zz", "%00", "a%22", "{local}", "{username}", "\ufeffa", "ä"]
TEXTS = LINES + QUOTES


def PRINCIPALS(document):
    add_key(document, "key-1", "default")


class Recorder:
    """Takes every datagram, challenges the first REGISTER of a Call-ID, accepts the next."""

    def __init__(self, challenge):
        self.challenge, self.seen, self.challenged = challenge, [], set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.1)
        self.port = self.socket.getsockname()[1]
        self.stopping = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping:
            with contextlib.suppress(TimeoutError):
                data, source = self.socket.recvfrom(65535)
                self.seen.append(data)
                self.socket.sendto(self.answer(data), source)

    def answer(self, data):
        head = data.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
        fields = {line.partition(b":")[0].strip().lower(): line.partition(b":")[2].strip() for line in head}
        first = b"authorization" not in fields
        lines = [b"SIP/2.0 401 Unauthorized" if first else b"SIP/2.0 200 OK"]
        lines += [name + b": " + fields[name] for name in (b"via", b"from", b"call-id", b"cseq")]
        lines.append(b"To: " + fields[b"to"] + b";tag=r")
        lines.append(b"WWW-Authenticate: " + self.challenge if first else
                     b"Contact: " + fields[b"contact"] + (b"" if b"expires=" in fields[b"contact"] else b";expires=600"))
        return b"\r\n".join([*lines, b"Content-Length: 0", b"", b""])

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.socket.close()


@pytest.fixture(scope="module")
def recorder():
    r = Recorder(b'Digest realm="r\\"e\\\\alm, X-Evil=\\"1", nonce="n\\"o,n", opaque="o\\"\\\\", qop="auth", algorithm=MD5')
    yield r
    r.stop()


def check(message):
    head, _, body = message.partition(b"\r\n\r\n")
    assert body == b"" and b"\x00" not in head, message
    text = head.decode()
    assert not re.search(r"(?<!\r)\n|\r(?!\n)", text), message
    first, *lines = text.split("\r\n")
    assert re.fullmatch(r"REGISTER sips?:[^ ]+ SIP/2\.0", first), message
    for line in lines:
        assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", line), message
        name, colon, value = line.partition(":")
        assert colon and name.lower() in HEADERS, (line, message)
        if name.lower() in ("from", "to"):
            assert re.fullmatch(r'\s*("(?:[^"\\]|\\.)*"\s*|[^"<>]*)<sips?:[^<>"\s]+>(;tag=[^;\s]+)?', value), message
        if name.lower() == "authorization":
            assert re.fullmatch(rf"\s*Digest {PARAMETER}(?:,\s*{PARAMETER})*", value), message
            names = re.findall(r'([A-Za-z-]+)=(?:[^",\s]+|"(?:[^"\\]|\\.)*")', value)
            assert len(set(names)) == len(names) and not {n.lower() for n in names} & {EVIL.lower()}, message


def yeti(world, port):
    fields = ("username", "display-username", "auth-user", "auth-password", "contact", "domain", "proxy", "name")
    for field, text in itertools.product(fields, TEXTS):
        attributes = {"name": f"y{time.monotonic_ns()}", "domain": f"127.0.0.1:{port}", "username": f"y{time.monotonic_ns()}",
                      "contact": "sip:a@127.0.0.1:5070", "auth-user": "u", "auth-password": "p"}
        for value in {text, {"contact": f"sip:a{text}@127.0.0.1", "domain": f"127.0.0.1:{port}{text}",
                             "proxy": f"sip:127.0.0.1:{port}{text}"}.get(field, f"a{text}b")}:
            given = {**attributes, field: value}
            yield world.api.call("POST", "/registrations", {"data": {"type": "registrations", "attributes": given}}).status_code == 201


def vox(world, port):
    client = Vox(world.gateway.port, 1, "key-1")
    for field, text in itertools.product(("sip_username", "password", "auth_user", "proxy", "outbound_proxy"), TEXTS):
        fields = {"sip_username": f"v{time.monotonic_ns()}", "proxy": f"127.0.0.1:{port}", "password": "p"}
        prefix = f"127.0.0.1:{port}" if "proxy" in field else "a"
        answer = client.call("CreateSipRegistration", **{**fields, field: prefix + text})
        assert answer.status == 200
        yield answer.json.get("result") == 1


def ribbon(world, port):
    client = Ribbon(world.gateway.port)
    assert client.login(world.stack.username, world.stack.password).done
    client.make(path(CONTACT, 3), Description="d")
    client.make(path(SERVERS, 2), Description="d")
    client.make(path(CREDENTIALS, 4), Description="d")
    client.make(server_path(2, 1), Host="127.0.0.1", Port=port, ContactRegistrantTableID=3, RemoteAuthorizationTableID=4)
    client.make(credential_path(4, 1), User="a", EncryptedPassword="p", FromURIUserMatch="1", MatchRegex=".")
    rows = itertools.count(1)
    client.make(entry_path(3, next(rows)), AOR="sip:first")
    for text in TEXTS:
        for fields in ({"User": f"a{text}"}, {"Realm": f"a{text}"}, {"EncryptedPassword": f"a{text}"}):
            yield client.post(credential_path(4, 1), **{"User": "a", "EncryptedPassword": "p", "FromURIUserMatch": "1",
                                                        "MatchRegex": ".", **fields}).http_code == 200
        for fields in ({"Host": f"127.0.0.1{text}"}, {"DomainName": f"h{text}"}):
            yield client.post(server_path(2, 1), **fields).http_code == 200
            client.post(server_path(2, 1), Host="127.0.0.1", DomainName="")
    for text in TEXTS:
        for aor in (f"sip:a{text}@127.0.0.1:{port}", f"sip:a{text}", f"a{text}", text):
            for kind in ("0", "1", "2"):
                yield client.put(entry_path(3, next(rows)), AOR=aor, AorType=kind, URI1="c").http_code == 200
        for uri in (f"a{text}", f"sip:a{text}@h", f"sip:a@h{text}", text):
            n = next(rows)
            yield client.put(entry_path(3, n), AOR=f"sip:c{n}", URI1=uri, Q1="50").http_code == 200


@pytest.mark.parametrize("dialect", [yeti, vox, ribbon])
def test_texts_of_clients_stay_within_their_field(world, recorder, dialect):
    taken = [*dialect(world, recorder.port)]
    assert any(taken) and not all(taken)
    last = f"last-of-{dialect.__name__}"
    world.api.create(name=last, domain=f"127.0.0.1:{recorder.port}", username=last, contact="sip:a@127.0.0.1:5070", auth_user="a",
                     auth_password="p")
    wait_for(lambda: any(last.encode() in m and b"\r\nAuthorization: " in m for m in recorder.seen), 60, "the last registration")
    assert len(recorder.seen) > 40
    for message in recorder.seen:
        check(message)
