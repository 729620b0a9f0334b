"""What tests of the Voximplant dialect ask with: keys and tokens, the forms of request that the clients of that API use,
and a reader of the answers that is as strict as the strictest of them.
"""
import base64
import functools
import http.client
import itertools
import json
import re
import time
import urllib.parse

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

METHODS = ["CreateSipRegistration", "UpdateSipRegistration", "BindSipRegistration", "DeleteSipRegistration",
           "GetSipRegistrations"]
FIRST_NUMBER = 1000  # account_id of account<N> is this plus N


@functools.lru_cache(maxsize=None)
def private_key(which):
    """A key pair; as many as there are names."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(which="keys"):
    return private_key(which).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                            serialization.NoEncryption()).decode()


def public_pem(which="keys"):
    return private_key(which).public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def add_key(document, id, account, **members):
    document.setdefault("keys", []).append({"id": id, "account": account, "public_key": public_pem(), **members})


def add_accounts(document, **settings):
    """Gives account2 to account399 numbers and keys; settings: their member "voximplant"."""
    for i in range(2, 400):
        document.setdefault("accounts", []).append(
            {"name": f"account{i}", "number": FIRST_NUMBER + i, **({"voximplant": settings} if settings else {})})
        add_key(document, f"key{i}", f"account{i}")


def make_token(issuer, kid, key="keys", header=None, **claims):
    now = int(time.time())
    whole = {"iss": issuer, "iat": now, "exp": now + 64, **claims}
    return jwt.encode({k: v for k, v in whole.items() if v is not None}, private_key(key), algorithm="RS256",
                      headers={"kid": kid, **(header or {})})


def encode(part):
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=")


def sign(header, claims, key="keys"):
    """A token by hand, of whatever claims."""
    signed = encode(header) + b"." + encode(claims)
    return (signed + b"." + encode(private_key(key).sign(signed, padding.PKCS1v15(), hashes.SHA256()))).decode()


class Answer:
    def __init__(self, answer):
        self.status = answer.status
        self.content_type = answer.getheader("content-type")
        self.headers = {k.lower(): v for k, v in answer.getheaders()}
        self.body = answer.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """(code, msg), after a look at the envelope: contract 6."""
        assert self.status == 200 and self.content_type == "application/json"
        assert set(self.json) == {"error", "errors"}, self.body
        error = self.json["error"]
        assert list(error) == ["code", "msg"] and type(error["code"]) is int and error["msg"].endswith(".")
        assert self.json["errors"] == [error]
        return error["code"], error["msg"]

    @property
    def code(self):
        return self.error[0]

    @property
    def result(self):
        assert self.status == 200 and self.content_type == "application/json", (self.status, self.body)
        assert "error" not in self.json, self.body
        return self.json["result"]


# ---- the forms of request, contract 1

def multipart(fields, boundary="-" * 26 + "123456789012345678901234", part_type=None, quoted=True):
    lines = []
    for name, value in fields.items():
        lines.append(f"--{boundary}\r\n")
        if part_type:
            lines.append(f"Content-Type: {part_type}\r\n")
        lines.append(f'Content-Disposition: form-data; name="{name}"\r\n\r\n' if quoted else
                     f"Content-Disposition: form-data; name={name}\r\n\r\n")
        lines.append(f"{value}\r\n")
    lines.append(f"--{boundary}--\r\n")
    return "".join(lines).encode()


def encoded(fields):
    return urllib.parse.urlencode(fields)


def node(method, fields):
    """Row 1: multipart, chunked, the method in `cmd`."""
    boundary = "-" * 26 + "123456789012345678901234"
    return "POST", "", {"Content-Type": f"multipart/form-data; boundary={boundary}", "Transfer-Encoding": "chunked"}, \
        multipart({"cmd": method, **fields}, boundary)


def python(method, fields):
    """Row 2: urlencoded, the method in `cmd`."""
    return "POST", "", {"Content-Type": "application/x-www-form-urlencoded"}, \
        encoded({"cmd": method, **fields}).encode()


def php(method, fields):
    """Row 3: multipart, the method in the path."""
    boundary = "-" * 13 + "5f0c3a9d2b7e1"
    return "POST", f"/{method}", {"Content-Type": f"multipart/form-data; boundary={boundary}"}, \
        multipart(fields, boundary)


def java(method, fields):
    """Row 4: multipart with part headers, account_id in every body."""
    return "POST", f"/{method}", {"Content-Type": "multipart/form-data; boundary=xyz; charset=ISO-8859-1"}, \
        multipart({"account_id": "1", **fields}, "xyz", "text/plain; charset=ISO-8859-1")


def go(method, fields):
    """Row 5: multipart with empty fields."""
    empty = {k: "" for k in ("rule_id", "rule_name", "user_id", "user_name") if k not in fields}
    return "POST", f"/{method}", {"Content-Type": "multipart/form-data; boundary=go"}, \
        multipart({**fields, **empty}, "go")


def dotnet(method, fields):
    """Row 6: multipart, part types, names without quotes, a quoted boundary, the method in path and `cmd`, 1 and 0."""
    flags = {k: {"true": "1", "false": "0"}.get(v, v) for k, v in fields.items()}
    return "POST", f"/{method}", {"Content-Type": 'multipart/form-data; boundary="d-0-t"'}, \
        multipart({"cmd": method, **flags}, "d-0-t", "text/plain; charset=utf-8", quoted=False)


def curl(method, fields):
    """Row 7: parameters in the query of a POST with an empty JSON object."""
    return "POST", f"/{method}?{encoded(fields)}", {"Content-Type": "application/json"}, b"{}"


def get(method, fields):
    """Row 8: GET, a trailing slash."""
    return "GET", f"/{method}/?{encoded(fields)}", {}, None


def post_query(method, fields):
    """Row 8: the same by POST, without a body."""
    return "POST", f"/{method}/?{encoded(fields)}", {"Content-Length": "0"}, None


def json_object(method, fields):
    """An addition: parameters as a JSON object, in its own types."""
    typed = {k: int(v) if v.isdigit() else {"true": True, "false": False}.get(v, v) for k, v in fields.items()}
    return "POST", f"/{method}", {"Content-Type": "application/json; charset=utf-8"}, json.dumps(typed).encode()


FORMS = [node, python, php, java, go, dotnet, curl, get, post_query, json_object]


class Vox:
    """One key of one account."""

    _users = itertools.count(1)

    def __init__(self, port, number, kid):
        self.port, self.number, self.kid = port, number, kid
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def token(self, **claims):
        return make_token(claims.pop("iss", self.number), claims.pop("kid", self.kid), **claims)

    def send(self, verb, path, headers=None, body=None, token=None):
        """token: None for a good one, "" for none."""
        whole = dict(headers or {})
        if token != "":
            whole.setdefault("Authorization", f"Bearer {token or self.token()}")
        chunked = whole.pop("Transfer-Encoding", None) == "chunked"
        self.connection.putrequest(verb, "/platform_api" + path)
        for name, value in whole.items():
            self.connection.putheader(name, value)
        if chunked:
            self.connection.putheader("Transfer-Encoding", "chunked")
            self.connection.endheaders([body[i:i + 70] for i in range(0, len(body), 70)], encode_chunked=True)
        else:
            if body is not None:
                self.connection.putheader("Content-Length", str(len(body)))
            self.connection.endheaders(body)
        return Answer(self.connection.getresponse())

    def call(self, method, _form=python, _token=None, **fields):
        verb, path, headers, body = _form(method, {k: str(v) for k, v in fields.items()})
        return self.send(verb, path, headers, body, _token)

    def new_user(self):
        return f"u{next(self._users)}"

    def create(self, _form=python, **fields):
        """A registration's id."""
        fields = {"sip_username": self.new_user(), "proxy": "sip.example.net", **fields}
        answer = self.call("CreateSipRegistration", _form, **fields)
        assert answer.result == 1
        return answer.json["sip_registration_id"]

    def update(self, id, **fields):
        answer = self.call("UpdateSipRegistration", sip_registration_id=id, **fields)
        assert answer.json == {"result": 1}

    def bind(self, id=None, **fields):
        given = {"sip_registration_id": id} if id else {}
        answer = self.call("BindSipRegistration", **given, **fields)
        assert answer.json == {"result": 1}, answer.body

    def delete(self, id):
        assert self.call("DeleteSipRegistration", sip_registration_id=id).json == {"result": 1}

    def list(self, **filters):
        """Rows of one answer, each read strictly."""
        answer = self.call("GetSipRegistrations", **filters)
        rows = answer.result
        assert answer.json["count"] == len(rows)
        for row in rows:
            check_entry(row)
        return rows

    def ids(self, **filters):
        return [row["sip_registration_id"] for row in self.list(**filters)]

    def read(self, id):
        rows = self.list(sip_registration_id=id)
        assert len(rows) == 1
        return rows[0]


# name -> (type, always there): contract 4.1
ENTRY = {
    "sip_registration_id": (int, True), "sip_username": (str, True), "proxy": (str, True), "last_updated": (int, True),
    "auth_user": (str, False), "outbound_proxy": (str, False), "successful": (bool, False), "status_code": (int, False),
    "error_message": (str, False), "deactivated": (bool, True), "next_subscription_renewal": (str, True),
    "purchase_date": (str, True), "subscription_price": (str, True), "is_persistent": (bool, True), "user_id": (int, False),
    "application_id": (int, False), "rule_id": (int, False), "user_name": (str, False), "application_name": (str, False),
    "rule_name": (str, False),
}


def check_entry(row):
    """As the strictest decoders do: exact types, nothing null, no empty text, no unknown member, dates by their form."""
    assert set(row) <= set(ENTRY), row
    for name, (kind, always) in ENTRY.items():
        assert name in row or not always, f"{name} is missing in {row}"
        assert name not in row or type(row[name]) is kind, f"{name} is {row[name]!r}"
        assert row.get(name) != ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["next_subscription_renewal"])
    assert time.strptime(row["next_subscription_renewal"], "%Y-%m-%d")
    assert time.strptime(row["purchase_date"], "%Y-%m-%d %H:%M:%S") and len(row["purchase_date"]) == 19


def report(world, id, state="registered", **members):
    """Puts a report where the gateway keeps it, as a registrant's would be."""
    now = int(time.time() * 1000)
    value = {"v": 1, "id": int(id), "epoch": 1, "seq": 1, "revision": int(world.redis.hget(world.key(id), "revision")),
             "state": state, "since_ms": now - 1000, "next_at_ms": now + 30000, **members}
    if state == "registered":
        value.setdefault("expires_at_ms", now + 60000)
        value.setdefault("cause", {"code": 200, "reason": "OK", "by": "remote"})
    world.redis.hset(world.key(id), mapping={"status": json.dumps(value), "state": state})


def new_vox(world):
    user = next(world.users)
    vox = Vox(world.gateway.port, FIRST_NUMBER + user, f"key{user}")
    vox.user = user
    return vox
