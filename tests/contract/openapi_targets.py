"""What the schemas of the OpenAPI description do not know: for each dialect the credentials, objects that exist, and the values of
an example that must name them."""
import base64
import copy
import itertools
import json
import time
import urllib.parse

import conftest
import kazoo_client
import ribbon_client
import voximplant_client

GARBAGE = ["", "x", "null", "a.b.c", "e30.e30.", "\xff\xfe", "0" * 3000, "Bearer", "../..", "undefined"]

ODD_TEXT = "\u00fc \U0001f4a5 \"<&>\\ \x01\x7f\ufffe ]]> " + "x" * 300
# What registrants may have said of registrations.
REPORTS = [
    {"granted_s": 60, "contacts": ["<sip:a@h>;expires=60"], "service_route": [ODD_TEXT], "path": [], "associated": [ODD_TEXT] * 5,
     "target": "udp:192.0.2.1:5060", "local": "tcp:[2001:db8::1]:5060", "rtt_us": 812, "node": "registrant-a", "attempt": 0},
    {"state": "retrying", "attempt": 2, "cause": {"code": 503, "reason": ODD_TEXT, "warning": ODD_TEXT, "retry_after_s": 30, "by": "remote"}},
    {"state": "rejected", "cause": {"code": 403, "reason": "", "by": "remote"}}, {"state": "given_up", "cause": {"code": 408, "by": "local"}},
    {"state": "registering"}, {"state": "unregistering"}, {"state": "unregistered", "revision": 7},
    {"expires_at_ms": 1795255260120, "target": ODD_TEXT, "local": "", "node": ODD_TEXT},  # ran out
]


def add_principals(document):
    voximplant_client.add_accounts(document)
    kazoo_client.add_principals(document)
    document["users"].append({**document["users"][0], "id": 9100, "username": "onlooker", "account": "account2", "roles": ["support"]})


class Target:
    """One client of one dialect, with an account of its own."""
    prefix = None
    filters = ["x"]

    def __init__(self, world, user=None):
        self.world = world
        self.user = user or next(world.users)
        self.chosen = {}
        self.is_plain = False  # the request at hand is to do what it says

    def mix(self):
        """Registrations of this account that the dialects make, each in its own way."""
        yeti = self.world.api(self.user)
        ids = [yeti.create() for _ in REPORTS]
        for id, members in zip(ids, REPORTS):
            voximplant_client.report(self.world, id, **members)
        yeti.create(display_username='"ü€" <x>', auth_user="a b", auth_password="p", expire=None, route_set=["<sip:e.example.net;lr>"] * 3,
                    contact='"A" <sip:a%20b@[2001:db8::1]:5070;transport=tcp>;q=0.5', sip_schema_id=2, username="ü@x", domain="[2001:db8::2]:5061")
        yeti.create(enabled=False, max_attempts=1, sip_interface_name="eth0", expire=-1, force_expire=True)
        voximplant_client.Vox(self.world.gateway.port, voximplant_client.FIRST_NUMBER + self.user, f"key{self.user}").create(
            proxy="sips:h.example.net", is_persistent="false", application_name="ünï", user_name="u", rule_name="r", password="p")
        ribbon = Ribbon(self.world, self.user)
        ribbon.enter()
        ribbon.make()

    def enter(self):
        """Gets what it signs with."""

    def prepare(self, operation):
        """Makes what requests of the operation are about, where it is not there (any more)."""

    def path_value(self, rng, name, operation):
        del rng, name, operation

    def example(self, operation, value):
        del operation
        return value

    def sign(self, rng, request, good):
        """Adds credentials to a request; good: full ones, else others of any kind."""

    def filter_name(self, rng):
        return rng.choice(self.filters)

    def refusal(self, answer):
        """Why a plain request did not do what it says, beyond its status; None: it did."""
        del answer

    def fault(self, answer):
        """What the answer says of a fault of the server's own."""
        return f"status {answer.status}" if answer.status >= 500 else None


class Own(Target):
    prefix = "/"


class Yeti(Target):
    prefix = conftest.PREFIX
    names = itertools.count(1)
    ids = itertools.count(5000)
    filters = ["id", "name_eq", "name_in", "domain_cont", "enabled_eq", "state_eq", "pop_id_eq", "node_id_in", "expire_gt", "max_attempts_lteq",
               "transport_protocol_id_eq", "name_cont_any", "rpc_endpoint_start", "name"]

    def __init__(self, world):
        super().__init__(world)
        self.api = world.api(self.user)
        self.pools = {}

    def prepare(self, operation):
        del operation
        if not self.pools:
            self.mix()
        pop, spare, node, spare_node = (next(self.ids) for _ in range(4))
        for id in (pop, spare):
            self.made("/pops", {"type": "pops", "id": str(id), "attributes": {"name": f"pop {id}"}})
        for id in (node, spare_node):
            self.made("/nodes", {"type": "nodes", "id": id, "attributes": {"name": f"node {id}", "rpc-endpoint": f"127.0.0.1:{id}"},
                                 "relationships": {"pop": {"data": {"type": "pops", "id": str(pop)}}}})
        link = {"node": {"data": {"type": "nodes", "id": node}}}
        held = self.api.get("/registrations?page[size]=20&fields[registrations]=name").json["data"]
        registrations = [r["id"] for r in held[:4]] + [self.api.create(link), self.api.create()]
        self.pools = {"registrations": registrations, "pops": [pop], "nodes": [node], "transport-protocols": ["1", "2", "3", "5"],
                      "spare": {"pops": spare, "nodes": spare_node}}

    def made(self, path, data):
        answer = self.api.call("POST", path, {"data": data})
        assert answer.status == 201, answer.body

    def path_value(self, rng, name, operation):
        if name != "id":
            return None
        kind = operation.path.removeprefix(self.prefix + "/").partition("/")[0]
        spare = self.pools["spare"].get(kind) if operation.method == "DELETE" and operation.path.endswith("{id}") else None
        self.chosen["id"] = str(spare or rng.choice(self.pools[kind][-2:]))
        return self.chosen["id"]

    def example(self, operation, value):
        value = copy.deepcopy(value)
        if operation.path.endswith("/auth"):
            return self.logged_in(value)
        for line in value if isinstance(value, list) else [value]:
            if isinstance(line, dict):
                self.fit(operation, line.get("data", line))
                for step in line.get("atomic:operations", []) if isinstance(line.get("atomic:operations"), list) else []:
                    self.fit_step(step)
        return value

    def logged_in(self, value):
        holder = value.get("auth", value) if isinstance(value, dict) else None
        for form in ([holder] if isinstance(holder, dict) else []):
            for name, known in (("username", f"user{self.user}"), ("password", self.world.stack.password)):
                for key in (name, f"auth[{name}]"):
                    if key in form:
                        form[key] = known
        return value

    def fit(self, operation, data):
        if not isinstance(data, dict):
            return
        kind = operation.path.removeprefix(self.prefix + "/").partition("/")[0]
        if operation.path.endswith("relationships/{relationship}"):
            data.update({"type": "pops", "id": str(self.pools["pops"][0])})
            return
        if "id" in data:
            data["id"] = self.chosen["id"] if "{id}" in operation.path else str(next(self.ids))
        if kind == "pops" or kind == "nodes":
            data["type"] = kind
        attributes = data.get("attributes")
        if isinstance(attributes, dict) and "name" in attributes:
            attributes["name"] = f"name {next(self.names)}"
        if isinstance(attributes, dict) and "rpc-endpoint" in attributes:
            attributes["rpc-endpoint"] = f"192.0.2.7:{next(self.ids)}"
        for name, link in (data.get("relationships") or {}).items() if isinstance(data.get("relationships"), dict) else []:
            known = {"pop": ("pops", self.pools["pops"][0]), "node": ("nodes", self.pools["nodes"][0])}.get(name)
            if known and isinstance(link, dict) and isinstance(link.get("data"), dict):
                link["data"] = {"type": known[0], "id": str(known[1])}

    def fit_step(self, step):
        if not isinstance(step, dict):
            return
        for member in ("ref", "data"):
            at = step.get(member)
            if isinstance(at, dict) and "id" in at:
                at["id"] = self.pools["registrations"][-1]
            if isinstance(at, dict) and isinstance(at.get("attributes"), dict) and "name" in at["attributes"]:
                at["attributes"]["name"] = f"name {next(self.names)}"

    def sign(self, rng, request, good):
        token = self.world.token(self.user)
        if not good:
            token = rng.choice([self.world.token(9100), self.world.token(self.user, exp=int(time.time()) - 60), self.world.token(987654),
                                self.world.token(self.user, aud=["x"]), token[:-3] + "abc", rng.choice(GARBAGE)])
        if not good and rng.random() < 0.2:
            request.headers = [h for h in request.headers if h[0].lower() != "authorization"]
            return
        request.set("Authorization", rng.choice(["", "Bearer "]) + token)


class Voximplant(Target):
    prefix = "/platform_api"

    def __init__(self, world):
        super().__init__(world)
        self.vox = voximplant_client.Vox(world.gateway.port, voximplant_client.FIRST_NUMBER + self.user, f"key{self.user}")
        self.ids = []

    def enter(self):
        self.token = self.vox.token(exp=int(time.time()) + 600)

    def prepare(self, operation):
        del operation
        if not self.ids:
            self.mix()
        self.ids = self.vox.ids()[:3] + [self.vox.create(application_id=12, user_id=9), self.vox.create()]
        self.enter()

    def example(self, operation, value):
        if isinstance(value, dict) and "sip_registration_id" in value:
            return {**value, "sip_registration_id": self.ids[-1]}
        return value

    def sign(self, rng, request, good):
        token = self.token
        if not good:
            now = int(time.time())
            make = voximplant_client.make_token
            token = rng.choice([
                lambda: rng.choice(GARBAGE), lambda: make(self.vox.number, "nobody"), lambda: make(1, self.vox.kid),
                lambda: self.vox.token(exp=now - 60, iat=now - 100), lambda: self.vox.token(exp=now + 9999),
                lambda: self.vox.token(iat=now + 500, exp=now + 600), lambda: make(self.vox.number, self.vox.kid, "others"),
                lambda: self.vox.token(iss=None), lambda: self.token[:-4] + "AAAA"])()
        if good or rng.random() < 0.8:
            request.set("Authorization", "Bearer " + token)
        else:
            request.query += [("account_id", str(self.vox.number)), ("api_key", "x")]
            request.headers = [h for h in request.headers if h[0].lower() != "authorization"]

    def code(self, answer):
        if answer.status != 200 or answer.is_head:
            return None
        error = json.loads(answer.body).get("error")
        return error and error["code"]

    def refusal(self, answer):
        return f"error {answer.body!r}" if self.code(answer) else None

    def fault(self, answer):
        return super().fault(answer) or (f"error {answer.body!r}" if self.code(answer) in (2, 4) else None)


class Kazoo(Target):
    prefix = "/v2"

    def prepare(self, operation):
        del operation
        for account in ("parent", "child"):
            api = kazoo_client.yeti_user(self.world, account)
            if not api.get("/registrations?filter[username_eq]=alice").json["data"]:
                kazoo_client.create_bound(self.world, account, username="alice")

    def path_value(self, rng, name, operation):
        return rng.choice([kazoo_client.PARENT, kazoo_client.CHILD]) if name == "account_id" else "alice"

    def example(self, operation, value):
        known = {"api_key": kazoo_client.PARENT_KEY, "credentials": kazoo_client.credentials("alice", "alice-pw"), "account_name": "Parent Ltd",
                 "method": "md5"}
        data = value.get("data") if isinstance(value, dict) else None
        if not operation.path.endswith("_auth") or not isinstance(data, dict):
            return value
        return {**value, "data": {k: known.get(k, v) for k, v in data.items()}}

    def token(self, request, **claims):
        system = request.path.startswith("/v2/registrations")
        of = {"account_id": kazoo_client.MASTER, "key": "master-key"} if system else {}
        return kazoo_client.session(self.world, **{**of, **claims})

    def sign(self, rng, request, good):
        if request.path.startswith(("/v2/user_auth", "/v2/api_auth")) and good:
            return
        token = self.token(request)
        if not good:
            token = rng.choice([rng.choice(GARBAGE), self.token(request, exp=int(time.time()) - 60), self.token(request, key="reader-key"),
                                self.token(request, account_id=kazoo_client.STRANGER, key="stranger-key"), token[:-3] + "abc",
                                self.token(request, key="nobody"), self.token(request, aud="x")])
        how = rng.choice(["header", "header", "query", "bearer", "basic" if not good or request.path.startswith("/v2/account") else "header"])
        if not good and rng.random() < 0.2:
            return
        if how == "query":
            request.query.append(("auth_token", urllib.parse.quote(token)))
        elif how == "basic":
            pair = f"{kazoo_client.PARENT}:{kazoo_client.credentials('alice', 'alice-pw' if good else 'wrong')}"
            request.set("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
        else:
            request.set(*(("X-Auth-Token", token) if how == "header" else ("Authorization", f"Bearer {token}")))


class Ribbon(Target):
    prefix = "/rest"

    def __init__(self, world, user=None):
        super().__init__(world, user)
        self.client = ribbon_client.Ribbon(world.gateway.port)
        self.fresh = itertools.count(20)
        self.was = None  # the method of what was prepared before

    def enter(self):
        assert self.client.login(f"user{self.user}", self.world.stack.password).done

    def prepare(self, operation):
        if not self.was:
            self.mix()
        if not self.client.session or self.client.get("/sipservertable/1").http_code == 401:
            self.enter()
        if operation.method == "DELETE" or self.was in (None, "DELETE"):
            self.make()
        self.was = operation.method

    def make(self):
        """Two tables of each kind with two rows each, of which a server row refers to the first of the others."""
        c, p = self.client, ribbon_client.path
        for table in (1, 2):
            for kind, row, fields in [(ribbon_client.CONTACT, ribbon_client.ENTRY, {"AOR": "sip:4001", "URI1": "4001"}),
                                      (ribbon_client.CREDENTIALS, ribbon_client.CREDENTIAL, {"User": "4001", "EncryptedPassword": "secret"}),
                                      (ribbon_client.SERVERS, ribbon_client.SERVER, {"Host": "192.0.2.1"})]:
                c.put(p(kind, table), Description="d")
                for number in (1, 2):
                    c.put(p(kind, table, row, number), **fields)
        used = c.post(ribbon_client.server_path(1, 1), ContactRegistrantTableID=1, RemoteAuthorizationTableID=1)
        assert used.http_code == 200, used.text

    def path_value(self, rng, name, operation):
        if operation.method == "PUT" and operation.path.endswith("{" + name + "}"):
            return str(next(self.fresh) % 99 + 1)
        if operation.method == "DELETE" and name == "table" and operation.path.endswith("{table}"):
            return "2"
        return rng.choice(["1", "2"] if self.is_plain else ["1", "2", "1", "2", "65535"])  # the last: registrations of other dialects

    def example(self, operation, value):
        known = {"Username": f"user{self.user}", "Password": self.world.stack.password}
        return {k: known.get(k, v) for k, v in value.items()} if isinstance(value, dict) else value

    def sign(self, rng, request, good):
        if request.path.startswith("/rest/login"):
            return
        session = self.client.session
        if not good:
            session = rng.choice([*GARBAGE, session[:-1] + "0", session.upper(), "f" * len(session), session + "; path=/; secure"])
        if good or rng.random() < 0.8:
            request.set("Cookie", f"PHPSESSID={session}; csrfp_token={self.client.csrf}")
        else:
            request.headers = [h for h in request.headers if h[0].lower() != "cookie"]

    def refusal(self, answer):
        return None if b"<http_code>200</http_code>" in answer.body else f"error {answer.body!r}"

    def fault(self, answer):
        own = b"<http_code>503" in answer.body or b'code="20030"' in answer.body or b'code="20000"' in answer.body
        return super().fault(answer) or (f"error {answer.body!r}" if own else None)


TARGETS = [Yeti, Voximplant, Kazoo, Ribbon, Own]


def target_of(path):
    if path.startswith("/v1/"):
        return Kazoo
    return next(t for t in TARGETS if path == t.prefix or path.startswith(t.prefix.rstrip("/") + "/"))
