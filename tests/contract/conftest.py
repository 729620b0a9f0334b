"""The contract suite: a real gateway on a real Redis and the embedded broker, asked over plain HTTP.

Every file gets a gateway of its own, every test an account of its own; pops and nodes belong to the whole deployment.
ROLLCALL_TEST_REDIS=cluster: on a Redis Cluster of three, which all files share and find empty.
A file may set GATEWAY = {...} (environment of the gateway) and PRINCIPALS (a function that adds to the document of the
principals file).
"""
import base64
import hashlib
import hmac
import http.client
import itertools
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

import pytest
import redis

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy/local"), str(ROOT / "tests/peers")]
from faults import stop_without_faults  # noqa: E402
from members import Members  # noqa: E402
from redis_servers import Cluster  # noqa: E402
from stack import Stack  # noqa: E402

BUILD = os.environ.get("ROLLCALL_TEST_BUILD", str(ROOT / "build/tests"))
MEDIA_TYPE = "application/vnd.api+json"
PREFIX = "/api/rest/admin"
HOST = "example.org"
USERS = 400
ON_CLUSTER = os.environ.get("ROLLCALL_TEST_REDIS") == "cluster"


def encode(part):
    return base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode()).rstrip(b"=")


def make_token(secret, claims, header=None, digest=hashlib.sha256):
    """A JWT by hand, so that a test may ask with one that is wrong."""
    signed = encode(header or {"alg": "HS256"}) + b"." + encode(claims)
    return (signed + b"." + encode(hmac.new(secret.encode(), signed, digest).digest())).decode()


class Answer:
    def __init__(self, answer):
        self.status = answer.status
        self.headers = [(name.lower(), value) for name, value in answer.getheaders()]
        self.body = answer.read()

    def header(self, name):
        return dict(self.headers).get(name)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        assert "data" in self.json, self.body
        return self.json["data"]

    @property
    def attributes(self):
        return self.data["attributes"]

    @property
    def errors(self):
        """(code, detail, pointer) of each error, after a look at the form that all share."""
        assert self.header("content-type") == MEDIA_TYPE
        found = []
        for e in self.json["errors"]:
            wanted = ["title", "detail", "code", "source", "status"] if "source" in e else \
                ["title", "detail", "code", "status"]
            assert list(e) == wanted
            assert all(isinstance(e[k], str) for k in wanted if k != "source")
            assert ("source" in e) == (e["status"] == "422")
            found.append((e["code"], e["detail"], e.get("source", {}).get("pointer")))
        assert str(self.status) == self.json["errors"][0]["status"]
        return found

    @property
    def titles(self):
        return [e["title"] for e in self.json["errors"]]


class Api:
    """One user of one gateway."""

    def __init__(self, port, token):
        self.port, self.token = port, token
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def call(self, method, path, body=None, headers=None, prefix=PREFIX):
        """body: bytes as they are, else JSON. headers: None as a value leaves the header out."""
        given = {"Host": HOST, "Authorization": self.token, "Accept": MEDIA_TYPE}
        if body is not None:
            given["Content-Type"] = MEDIA_TYPE
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        given.update(headers or {})
        given = {k: v for k, v in given.items() if v is not None}
        self.connection.putrequest(method, prefix + path, skip_host=True, skip_accept_encoding=True)
        for name, value in given.items():
            self.connection.putheader(name, value)
        if body is not None:
            self.connection.putheader("Content-Length", str(len(body)))
        self.connection.endheaders(body)
        return Answer(self.connection.getresponse())

    def get(self, path, **headers):
        return self.call("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    @staticmethod
    def resource(attributes=None, relationships=None, **members):
        data = {"type": "registrations", **members}
        if attributes is not None:
            data["attributes"] = attributes
        if relationships is not None:
            data["relationships"] = relationships
        return {"data": data}

    def post(self, attributes=None, relationships=None, path="/registrations", **members):
        return self.call("POST", path, self.resource(attributes, relationships, **members))

    _names = itertools.count(1)

    def required(self, **attributes):
        """The attributes that a create must have, and more."""
        return {"name": f"r{next(self._names)}", "domain": "example.com", "username": "alice",
                "contact": "sip:alice@192.0.2.1", **attributes}

    def create(self, relationships=None, **attributes):
        """A registration; names are given with underscores. Returns its id."""
        answer = self.post(self.required(**{k.replace("_", "-"): v for k, v in attributes.items()}), relationships)
        assert answer.status == 201, answer.body
        return answer.data["id"]

    def patch(self, id, attributes=None, relationships=None, method="PATCH", query=""):
        return self.call(method, f"/registrations/{id}{query}",
                         self.resource(attributes, relationships, id=str(id)))

    def read(self, id):
        answer = self.get(f"/registrations/{id}")
        assert answer.status == 200, answer.body
        return answer.data["attributes"]


_clusters = []


def pytest_sessionfinish():
    for cluster in _clusters:
        cluster.kill()
        shutil.rmtree(cluster.directory, ignore_errors=True)


def the_cluster():
    """Whole and empty, whatever the file before did to it."""
    if not _clusters:
        _clusters.append(Cluster(tempfile.mkdtemp(prefix="rollcall-contract-cluster-")))
    [cluster] = _clusters
    cluster.start().flush()
    return cluster


class World:
    def __init__(self, env, principals=None):
        self.stack = Stack(pathlib.Path(tempfile.mkdtemp(prefix="rollcall-contract-")), BUILD)
        users = json.loads(self.stack.principals_file.read_text())["users"]
        for i in range(2, USERS):
            users.append({**users[0], "id": i, "username": f"user{i}", "account": f"account{i}"})
        users.append({**users[0], "id": USERS, "username": "elsewhere", "allowed_ips": ["192.0.2.0/24"]})
        document = {"users": users}
        if principals:
            principals(document)
        self.stack.principals_file.write_text(json.dumps(document))
        self.env = env
        self.users = itertools.count(2)
        self._members = None
        self.test_failed = False

    def start(self):
        if ON_CLUSTER:
            self.stack.redis = the_cluster()
        else:
            self.stack.start_redis()
        self.stack.start_broker()
        self.gateway = self.stack.new_gateway(env=self.env).start()
        self.redis = self.stack.redis.client() if ON_CLUSTER else \
            redis.Redis(port=self.stack.redis.port, decode_responses=True)

    def mend(self):
        """Before each test: all that ran before the first one runs; where one failed, it is ready, too."""
        if self._members is None:
            self._members = Members(self.stack, self.stack.redis if ON_CLUSTER else None)
        self._members.mend(self.test_failed, ask=False)
        self.test_failed = False

    def stop(self):
        try:
            stop_without_faults(self.stack)
        finally:
            shutil.rmtree(self.stack.directory, ignore_errors=True)
        deaths = self._members.deaths if self._members else []
        assert not deaths, "\n".join(deaths)

    def token(self, user=1, **claims):
        whole = {"sub": user, "aud": ["admin"], "exp": int(time.time()) + 600, **claims}
        return make_token(self.stack.token_secret, {k: v for k, v in whole.items() if v is not None})

    def api(self, user=None):
        return Api(self.gateway.port, self.token(user or next(self.users)))

    def key(self, id):
        """The key of a registration in Redis."""
        return next(iter(self.redis.scan_iter(f"rc:*:reg:{id}")))


@pytest.fixture(scope="module")
def world(request):
    w = World(getattr(request.module, "GATEWAY", {}), getattr(request.module, "PRINCIPALS", None))
    try:
        w.start()
        yield w
    finally:
        w.stop()


@pytest.fixture
def api(world):
    """A user whose account is empty."""
    return world.api()


_ids = itertools.count(100)


@pytest.fixture
def place(api):
    """A pop with a node, both new: their ids."""
    pop, node = next(_ids), next(_ids)
    answer = api.call("POST", "/pops", {"data": {"type": "pops", "id": str(pop), "attributes": {"name": f"pop {pop}"}}})
    assert answer.status == 201, answer.body
    answer = api.call("POST", "/nodes", {"data": {
        "type": "nodes", "id": node, "attributes": {"name": f"node {node}", "rpc-endpoint": f"127.0.0.1:{node}"},
        "relationships": {"pop": {"data": {"type": "pops", "id": str(pop)}}}}})
    assert answer.status == 201, answer.body
    return pop, node


@pytest.fixture(autouse=True)
def whole(request):
    """A test finds its world whole, whatever the one before it left behind."""
    if "world" in request.fixturenames:
        request.getfixturevalue("world").mend()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the end of the gateway's log when a test fails."""
    outcome = yield
    report = outcome.get_result()
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and world:
        world.test_failed = True
    if report.when == "call" and report.failed and world:
        tail = "\n".join(world.gateway.log_text().splitlines()[-25:])
        report.sections.append(("log of the gateway", tail))
