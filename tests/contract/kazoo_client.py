"""What tests of the Kazoo dialect ask with: accounts and their credentials, the forms of request that its SDKs send, and a
reader of the envelope that is as strict as the strictest of them."""
import base64
import hashlib
import http.client
import json
import re
import secrets
import time

from conftest import make_token
from stack import crypted

MASTER, PARENT, CHILD, STRANGER, PLAIN = (f"{i:032x}" for i in range(0xa1, 0xa6))
MASTER_KEY, PARENT_KEY, CHILD_KEY, STRANGER_KEY, READER_KEY = (f"{i:064x}" for i in range(0xb1, 0xb6))
UNKNOWN = "f" * 32
COUNT = iter(range(1, 1 << 30))
GREGORIAN = 62167219200
OMIT = object()


def hashed(text):
    return crypted(text, f"$6$rounds=1000${secrets.token_hex(8)}$")


def credentials(user, password, digest="md5"):
    return hashlib.new(digest, f"{user}:{password}".encode()).hexdigest()


def user(id, name, account, **members):
    return {"id": id, "username": name, "account": account, "password": hashed("unused"),
            "credentials_md5": hashed(credentials(name, f"{name}-pw")),
            "credentials_sha": hashed(credentials(name, f"{name}-pw", "sha1")), **members}


def add_principals(document):
    """A tree of accounts: the system's; parent over child; a stranger; one that gives no realm."""
    document.setdefault("accounts", []).extend([
        {"name": "master", "hex_id": MASTER, "system": True, "title": "Master", "realm": "master.example.com"},
        {"name": "parent", "hex_id": PARENT, "title": "Parent Ltd", "realm": "parent.example.com", "phone_number": "+15551234"},
        {"name": "child", "hex_id": CHILD, "parent": "parent", "title": "Child Ltd", "realm": "child.example.com"},
        {"name": "stranger", "hex_id": STRANGER, "realm": "stranger.example.com"},
        {"name": "plain", "hex_id": PLAIN}])
    document["users"] += [
        user(9001, "alice", "parent"), user(9002, "bob", "parent"), user(9003, "carol", "child"),
        user(9004, "reader", "parent", roles=["support"]), user(9005, "away", "parent", allowed_ips=["192.0.2.0/24"]),
        {"id": 9006, "username": "keyless", "account": "stranger", "password": hashed("x")}]
    for name, account, key, roles in [("master-key", "master", MASTER_KEY, None), ("parent-key", "parent", PARENT_KEY, None),
                                      ("child-key", "child", CHILD_KEY, None), ("stranger-key", "stranger", STRANGER_KEY, None),
                                      ("reader-key", "parent", READER_KEY, ["support"])]:
        document.setdefault("keys", []).append({
            "id": name, "account": account, "api_key_sha256": hashlib.sha256(key.encode()).hexdigest(),
            **({"roles": roles} if roles else {})})


class Answer:
    def __init__(self, answer):
        self.status = answer.status
        self.headers = {k.lower(): v for k, v in answer.getheaders()}
        self.body = answer.read()

    @property
    def json(self):
        """The envelope, after a look at what all have (contract 4)."""
        assert self.headers["content-type"] == "application/json", self.headers
        e = json.loads(self.body)
        assert e["status"] == ("success" if self.status < 400 else "error"), e
        assert all(v is not None for v in e.values()), "undefined values are dropped, never sent as null"
        assert e["request_id"] == self.headers["x-request-id"]
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}", e["node"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", e["timestamp"])
        known = {"data", "status", "request_id", "node", "timestamp", "auth_token", "version", "tokens", "revision"}
        assert set(e) <= known | ({"error", "message"} if self.status >= 400 else set()), e
        if self.status >= 400:
            assert e["error"] == str(self.status) and isinstance(e["message"], str)
            assert self.headers["access-control-allow-origin"] == "*", "CORS on every error reply"
        return e

    @property
    def data(self):
        assert self.status < 300, self.body
        return self.json["data"]

    @property
    def error(self):
        """(status, message, data)"""
        return self.status, self.json["message"], self.json["data"]


class Kazoo:
    """One client of one gateway."""

    def __init__(self, world, token=None):
        self.world, self.token = world, token
        self.connection = http.client.HTTPConnection("127.0.0.1", world.gateway.port, timeout=20)

    def call(self, method, path, data=OMIT, body=None, headers=None, token=True, version="/v2"):
        """data: of the envelope; body: bytes in its place. token False: none is sent."""
        given = {"X-Auth-Token": self.token} if token and self.token else {}
        if data is not OMIT:
            body = json.dumps({"data": data}).encode()
            given["Content-Type"] = "application/json"
        given.update(headers or {})
        self.connection.request(method, version + path, body=body, headers={k: v for k, v in given.items() if v is not None})
        return Answer(self.connection.getresponse())

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def delete(self, path, **options):
        return self.call("DELETE", path, **options)

    def login_key(self, key):
        answer = self.call("PUT", "/api_auth", {"api_key": key}, token=False)
        assert answer.status == 201, answer.body
        self.token = answer.json["auth_token"]
        return self

    def of(self, account, rest=""):
        return f"/accounts/{account}/registrations{rest}"


def log_in(world, key=PARENT_KEY):
    return Kazoo(world).login_key(key)


def session(world, **claims):
    """A session's token by hand, so that a test may ask with one that is wrong."""
    whole = {"aud": "kazoo", "jti": f"{next(COUNT):032x}", "account_id": PARENT, "method": "cb_api_auth", "key": "parent-key",
             "exp": int(time.time()) + 600, **claims}
    return make_token(world.stack.token_secret, {k: v for k, v in whole.items() if v is not None})


def basic(account, name, password):
    return "Basic " + base64.b64encode(f"{account}:{credentials(name, password)}".encode()).decode()


# ---- bindings

def yeti_user(world, account):
    """The Yeti API of a user of that account: what creates registrations."""
    ids = {"parent": 9001, "child": 9003, "stranger": 9006}
    return world.api(ids[account])


def now_ms():
    return int(time.time() * 1000)


def bind(world, account, id, **members):
    """Puts the report of a live binding where the gateway keeps it."""
    key = world.key(id)
    held = world.redis.hgetall(key)
    spec = json.loads(held["spec"])
    sent = {k: spec[k] for k in ("scheme", "domain", "username", "credentials", "contacts", "expires", "default_expires", "transport",
                                 "from", "aor") if k in spec}
    last, expires = now_ms() - 5000, now_ms() + 252000
    status = {"v": 1, "id": int(id), "account": account, "place": "any", "epoch": 1, "seq": 1, "revision": int(held["revision"]),
              "state": "registered", "since_ms": last - 60000, "granted_s": 257, "expires_at_ms": expires,
              "next_at_ms": now_ms() + 30000, "target": "udp:192.0.2.80:5060", "local": "udp:192.0.2.17:40112",
              "node": "registrant-a", "acted": {"refresh": 0, "flush": 0, "audit": 0},
              "bound": {"revision": int(held["revision"]), "sent": sent, "call_id": "792957271@10.26.0.158", "from_tag": "a",
                        "cseq": 1, "asked_s": 257, "granted_s": 257, "last_sent_ms": last, "expires_at_ms": expires}, **members}
    world.redis.hset(key, mapping={"status": json.dumps(status), "state": "registered"})
    shard = key.partition("reg:")[0]
    world.redis.zadd(f"{shard}acct:{account}:live", {id: status["expires_at_ms"]})
    return status


def create_bound(world, account, members=None, **attributes):
    """A registration with a live binding: its id."""
    id = yeti_user(world, account).create(**attributes)
    bind(world, account, id, **(members or {}))
    return id


def forget_all(world, account):
    """Deletes the account's registrations."""
    api = yeti_user(world, account)
    while True:
        found = api.get("/registrations?page[size]=1000").json["data"]
        if not found:
            return
        for r in found:
            assert api.call("DELETE", f"/registrations/{r['id']}").status == 204
