"""What clients write and what registrars answer never makes a header, a line or a parameter of its own in a REGISTER: hostile
texts go through every field of every dialect, and every datagram that arrives is taken apart."""
import contextlib
import itertools
import pathlib
import re
import socket
import sys
import threading
import time

import pytest
import requests
from ribbon_client import CONTACT, CREDENTIALS, SERVERS, Ribbon, credential_path, entry_path, path, server_path
from stack import wait_for
from voximplant_client import Vox, add_key

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "contract"))
from openapi_document import Document  # noqa: E402

WORLD = {"kamailio": False, "gateway_env": {"ROLLCALL_LOG_LEVEL": "debug"},
         "registrant_env": {"ROLLCALL_LOG_LEVEL": "debug", "ROLLCALL_REGISTRAR_RATE": "0", "ROLLCALL_AOR_RATE": "0"}}
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


# ---- every text that a client may write

# Of each dialect: a text's name in the served description -> how hostile texts ({t}) stand in it. {d} is the recorder's address. What is
# not listed here or below fails the first test.
YETI = {
    "name": ["{t}", "a{t}b"], "username": ["{t}", "a{t}b"], "display-username": ["{t}", "a{t}b"], "auth-user": ["{t}", "a{t}b"],
    "auth-password": ["{t}", "a{t}b"], "contact": ["{t}", "sip:a{t}@127.0.0.1", "sip:a@127.0.0.1{t}", "<sip:a@127.0.0.1>;x={t}", "<sip:a@127.0.0.1>{t}"],
    "domain": ["{t}", "{d}{t}", "a{t}b"], "route-set[]": ["{t}", "<sip:{d};lr>{t}", "<sip:{d};lr;x={t}>", "{t}<sip:{d};lr>", '"{t}" <sip:{d};lr>'],
    "sip-interface-name": ["{t}", "a{t}"], "sip.aor": ["{t}", "sip:a{t}@{d}", "sip:a@{d}{t}", "sip:a@{d};x={t}"],
    "sip.from": ["{t}", "sip:f{t}@h", '"{t}" <sip:f@h>', "<sip:f@h>{t}", "{t} <sip:f@h>"],
    "sip.registrar": ["{t}", "sip:{d}{t}", "sip:{d};x={t}", "sip:a{t}@{d}"],
    "sip.contacts[].uri": ["{t}", "sip:a{t}@127.0.0.1", "<sip:a@127.0.0.1>;+sip.instance={t}", '<sip:a@h>;+sip.instance="<urn:uuid:{t}>"', '"{t}" <sip:a@h>'],
    "sip.contacts[].q": ["{t}", "0.5{t}"], "sip.credentials[].realm": ["{t}", "a{t}"], "sip.credentials[].user": ["{t}", "a{t}b"],
    "sip.credentials[].password": ["{t}", "a{t}b"], "sip.credentials[].ha1.MD5": ["{t}", "a" * 32 + "{t}"],
    "sip.credentials[].ha1.SHA-256": ["{t}", "a" * 64 + "{t}"], "sip.credentials[].ha1.SHA-512-256": ["{t}", "a" * 64 + "{t}"]}
VOX = {"sip_username": ["a{t}", "{t}"], "password": ["a{t}", "{t}"], "auth_user": ["a{t}", "{t}"], "proxy": ["{d}{t}", "sip:{d};x={t}", "{t}"],
       "outbound_proxy": ["{d}{t}", "{t}"], "application_name": ["{t}"], "rule_name": ["{t}"], "user_name": ["{t}"]}
ENTRY = {"AOR": ["sip:a{t}@{d}", "sip:a{t}", "a{t}", "{t}"], **{f"URI{i}": ["a{t}", "sip:a{t}@h", "sip:a@h{t}", "{t}"] for i in range(1, 9)}}
SERVER = {"Host": ["127.0.0.1{t}", "{t}"], "DomainName": ["h{t}", "{t}"], **{name: ["{t}"] for name in (
    "KeepAliveFrequency", "LocalUserName", "Monitor", "PeerUserName", "RecoverFrequency", "ReuseTimeout", "ReuseTransport", "ServiceName",
    "TransportSocket")}}
CREDENTIAL = {"User": ["a{t}", "{t}"], "Realm": ["a{t}", "{t}"], "EncryptedPassword": ["a{t}", "{t}"], "MatchRegex": ["{t}", ".*{t}"]}
TABLE = {"Description": ["{t}"], "Sequence": ["{t}", "1{t}"]}
# Texts that name objects, log somebody in or select: they are tried by tests/contract (test_openapi_generated.py, test_security_*.py).
ELSEWHERE = re.compile(r"(.*\.)?(id|lid|type|href)|auth_token|data\.attributes\.rpc-endpoint|(auth[.[])?(username|password)\]?|Username|Password|"
                       r"data\.(account_name|account_realm|credentials|phone_number|realm|api_key)")
SELECTS = {"application_id", "rule_id", "status_code", "userName", "user_id"}  # of Voximplant's list


def texts_of(node, path=""):
    kinds = node.get("type") if isinstance(node.get("type"), list) else [node.get("type")]
    if "string" in kinds and "enum" not in node and "const" not in node:
        yield path
    for name, child in node.get("properties", {}).items():
        yield from texts_of(child, f"{path}.{name}".lstrip("."))
    if isinstance(node.get("items"), dict):
        yield from texts_of(node["items"], path + "[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield from texts_of(node["additionalProperties"], path + ".*")
    for member in ("allOf", "oneOf", "anyOf"):
        for part in node.get(member, []):
            yield from texts_of(part, path)


def listed(path, text):
    if path.startswith("/api/rest/admin"):
        return re.sub(r"^(atomic:operations\[\]\.)?(data\.)?attributes\.", "", text) in YETI
    kind = next((k for k in (ENTRY, SERVER, CREDENTIAL, TABLE) if text in k), {}) if path.startswith("/rest") else VOX
    return text in kind or text in SELECTS


def test_every_text_that_the_description_knows_is_tried(world):
    document = Document(requests.get(world.gateway.url + "/openapi.json", timeout=10).json())
    texts = {(o.path, text) for o in document.all for media in o.media.values() for text in texts_of(media["schema"])}
    assert len(texts) > 150
    assert not [(path, text) for path, text in sorted(texts) if not ELSEWHERE.fullmatch(text) and not listed(path, text)]


def values(fields, port):
    for name, forms in fields.items():
        for form, text in itertools.product(forms, TEXTS):
            yield name, form.replace("{t}", text).replace("{d}", f"127.0.0.1:{port}")


def put(attributes, path, value):
    """Writes it where the path says: a.b, a[].b."""
    name, _, rest = path.partition(".")
    if name.endswith("[]"):
        holder = attributes.setdefault(name[:-2], [{} if rest else None])
        if rest:
            put(holder[0], rest, value)
        else:
            holder[0] = value
    elif rest:
        put(attributes.setdefault(name, {}), rest, value)
    else:
        attributes[name] = value


def has_no_header_of_theirs(headers):
    assert EVIL.lower() not in {name.lower() for name, _ in headers}, headers
    assert not any(re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value) for _, value in headers), headers


def yeti(world, port):
    for path, value in values(YETI, port):
        given = {"name": f"y{time.monotonic_ns()}", "domain": f"127.0.0.1:{port}", "username": f"y{time.monotonic_ns()}",
                 "contact": "sip:a@127.0.0.1:5070", "auth-user": "u", "auth-password": "p"}
        if path.startswith("sip.credentials"):
            given = {k: v for k, v in given.items() if not k.startswith("auth-")}
        put(given, path, value)
        if path.endswith("contacts[].q"):
            given["sip"]["contacts"][0]["uri"] = given.pop("contact")
        elif path.startswith("sip.contacts"):
            given.pop("contact")
        elif path.startswith("sip.credentials"):
            given["sip"]["credentials"][0] = {"realm": "r", **given["sip"]["credentials"][0]}
        answer = world.api.call("POST", "/registrations", {"data": {"type": "registrations", "attributes": given}})
        has_no_header_of_theirs(answer.headers.items())
        assert answer.status_code in (201, 422, 400), (path, value, answer.text)
        yield answer.status_code == 201


def vox(world, port):
    client = Vox(world.gateway.port, 1, "key-1")
    for name, value in values(VOX, port):
        fields = {"sip_username": f"v{time.monotonic_ns()}", "proxy": f"127.0.0.1:{port}", "password": "p", "application_id": "1"}
        if name == "application_name":
            fields.pop("application_id")
        answer = client.call("CreateSipRegistration", **{**fields, name: value})
        has_no_header_of_theirs(answer.headers.items() if isinstance(answer.headers, dict) else answer.headers)
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

    def taken(answer):
        has_no_header_of_theirs(answer.headers)
        return answer.http_code == 200

    for kind in (CONTACT, SERVERS, CREDENTIALS):
        for name, value in values(TABLE, port):
            yield taken(client.post(path(kind, {CONTACT: 3, SERVERS: 2, CREDENTIALS: 4}[kind]), **{name: value}))
    for name, value in values(CREDENTIAL, port):
        yield taken(client.post(credential_path(4, 1), **{"User": "a", "EncryptedPassword": "p", "FromURIUserMatch": "1", "MatchRegex": ".", name: value}))
    for name, value in values(SERVER, port):
        yield (was_taken := taken(client.post(server_path(2, 1), **{name: value})))
        if was_taken:
            client.post(server_path(2, 1), Host="127.0.0.1", DomainName="")
    for name, value in values({k: v for k, v in ENTRY.items() if k in ("AOR", "URI1", "URI8")}, port):
        for kind in ("0", "1", "2") if value.startswith("sip:a") and "@" in value and name == "AOR" else ("1",):
            n = 2 + next(rows) % 60  # what was there has been sent, or goes: few rows, since a table is derived as a whole
            given = {"AOR": f"sip:c{n}", "URI1": "c", "AorType": kind, name: value}
            if name == "URI8":
                given |= {f"URI{i}": "c" for i in range(2, 8)}
            client.delete(entry_path(3, n))
            yield taken(client.put(entry_path(3, n), **given))


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


LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z (error|warning|info|debug) rollcall-(gateway|registrant) \w+ [^\x00-\x1f\x7f-\x9f]*")
ODD_HEADERS = {"X-Request-ID": ["a%0d%0aX-Evil: 1", "\x1b[31m", "a\tb", "\xc2\x85", "<b>", '"', "\\r\\n"], "traceparent": ["00-" + "a" * 32 + "-" + "b" * 16 + "-01\tX"],
               "Idempotency-Key": ["k%0d%0aX-Evil: 1", "\xff\xfe"], "Origin": ["http://h%0d%0aX-Evil: 1"], "X-Auth-Token": ["%0d%0aX-Evil: 1", "\xff"],
               "User-Agent": ["\x1b]0;x\x07", "a%0aX-Evil: 1"], "Referer": ["%0aX-Evil: 1"], "X-Forwarded-For": ["1.2.3.4%0aX-Evil", "\x1b[2J"]}


def test_header_fields_of_requests_make_none_of_an_answer(world):
    for name, texts in ODD_HEADERS.items():
        for text, target in itertools.product(texts, ("/api/rest/admin/registrations", "/v2/account/registrations", "/rest/login", "/platform_api")):
            for method in ("GET", "POST", "OPTIONS"):
                with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=10) as s:
                    s.sendall(f"{method} {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{name}: {text}\r\nContent-Length: 0\r\n\r\n".encode("latin-1"))
                    seen = b""
                    while piece := s.recv(65536):
                        seen += piece
                head = seen.partition(b"\r\n\r\n")[0]
                assert b"\nx-evil" not in head.lower() and not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", head), seen
                assert seen.count(b"HTTP/1.1 ") == 1


def test_no_text_of_a_client_makes_a_line_of_a_log_or_a_header_of_a_record(world):
    """After all that was sent above: lines are lines, and what a terminal would obey is not in them."""
    for part in (world.gateway, world.registrant):
        lines = part.log_text().split("\n")
        assert len(lines) > 5 and lines[-1] == ""
        assert not [line for line in lines[:-1] if not LOG_LINE.fullmatch(line)][:3]
    known = {"ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "content-type", "traceparent", "ce_partitionkey", "ce_datacontenttype"}
    for topic in ("rollcall.events", "rollcall.changes.any", "rollcall.status.any"):
        records = world.records(topic)
        assert len(records) > 40
        for key, headers, value in records:
            assert key.isdecimal() and set(headers) <= known, headers
            assert not any(re.search(r"[\x00-\x1f\x7f]", text) for text in headers.values()), headers
            assert isinstance(value, dict)
