"""Requests about what another account has, made from the OpenAPI description: every operation, every place in it that names an
object, once with the name of one that another account has and once with that of one that nobody has."""
import random
import re

from openapi_requests import Maker, Request, quote

# Members of bodies and queries that name something, and what of References they name.
MEMBERS = {"id": "id", "sip_registration_id": "id", "name": "name", "username": "username", "sip_username": "username",
           "user_name": "bound", "account_id": "number", "account_name": "account", "ContactRegistrantTableID": "contacts",
           "RemoteAuthorizationTableID": "credentials", "Username": "login", "AOR": "aor", "User": "username"}
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class References:
    """Names of objects: those of an account, or those of nobody."""

    def __init__(self, **names):
        self.__dict__.update(names)

    def get(self, what):
        return getattr(self, what)


def typed(value, example):
    """The value in the type that the example has."""
    return int(value) if isinstance(example, int) and not isinstance(example, bool) and str(value).isdigit() else str(value)


class Asker:
    """What Maker asks for where a schema cannot know: here, the references."""
    is_plain = True

    def __init__(self, sign, references, places):
        self.sign, self.references, self.places = sign, references, places

    def path_value(self, rng, name, operation):
        del rng
        if name == "id":
            kind = operation.path.removeprefix("/api/rest/admin/").partition("/")[0]
            return self.references.id if kind == "registrations" else self.places.get(kind)
        if name in ("table", "row"):
            kind = operation.path.split("/")[2]
            contacts, servers, credentials = self.references.contacts, self.references.servers, self.references.credentials
            table = {"sipcontactregistrant": contacts, "sipservertable": servers, "sipremoteauthtable": credentials}[kind]
            return table if name == "table" else 1
        return {"account_id": self.references.hex, "sip_username": self.references.username}.get(name)

    def example(self, operation, value):
        if isinstance(value, list):
            return [self.example(operation, v) for v in value]
        if not isinstance(value, dict):
            return value
        login = operation.path.endswith("_auth") or operation.path.endswith("/auth") or operation.path.endswith("/login")
        return {k: self.member(operation, k, v, login) for k, v in value.items()}

    def member(self, operation, name, value, login):
        plain = name.partition("[")[2].rstrip("]") or name
        if login and plain in ("username", "Username"):
            return self.references.login
        if name == "href":
            return re.sub(r"registrations/\d+", f"registrations/{self.references.id}", str(value))
        if plain in MEMBERS and not isinstance(value, (dict, list)):
            return typed(self.references.get(MEMBERS[plain]), value)
        for suffix in ("_eq", "_in", "_cont", "_start"):
            if name.endswith(suffix) and name.removesuffix(suffix) in MEMBERS:
                return typed(self.references.get(MEMBERS[name.removesuffix(suffix)]), value)
        return self.example(operation, value)


def requests_of(operation, sign, references, places):
    """(what it is, request) of every form that the operation's body may have, and with all other verbs."""
    asker = Asker(sign, references, places)
    medias = list(operation.media) or [None]
    if operation.media and not operation.body.get("required"):
        medias.append(None)
    for media in medias:
        request = Maker(random.Random(operation.key), operation, asker).plain(media)
        if operation.method == "POST" and operation.path.endswith("/registrations"):
            request.set("Idempotency-Key", references.key)
        yield f"{operation.key} {media or ''}", request


def verbs_of(path, operations, sign, references, places):
    """The path with every verb, those too that nobody describes, and without a body."""
    asker = Asker(sign, references, places)
    maker = Maker(random.Random(path), operations[0], asker)
    target = maker.begin(maker.good_path).path
    for verb in VERBS:
        for headers in ([], [("X-Auth-Account-ID", references.hex), ("X-HTTP-Method-Override", "DELETE"), ("If-Match", "*"),
                             ("Idempotency-Key", references.key)]):
            request = Request(verb, target)
            asker.sign(random.Random(path), request, True)
            request.headers += headers
            yield f"{verb} {path} without a body, {len(headers)} headers", request


def query_of(path, sign, pairs):
    """The path with each of the query's parameters, in turn."""
    for name, value in pairs:
        request = Request("GET", path)
        request.query.append((quote(name), quote(value)))
        sign(None, request, True)
        yield f"GET {path}?{name}=", request


VARYING = re.compile(r'"(request_id|auth_token|jwt|revision|timestamp|node|csrfp_token)": ?"[^"]*"')


def shape(answer, references):
    """The answer without what differs between any two of the same kind: names that were asked for, numbers, digests, times.
    references: those asked for so far."""
    text = answer.body.decode(errors="replace")
    names = {str(v) for r in references for v in vars(r).values() if not str(v).isdigit()}
    names = sorted(names | {quote(n) for n in names}, key=len, reverse=True)

    def plain(t):
        for name in names:
            t = t.replace(name, "*")
        t = VARYING.sub("", t)
        t = re.sub(r"\b[0-9a-f-]{16,}\b", "H", t)
        return re.sub(r"\d+", "N", t)

    headers = sorted((n, plain(v)) for n, v in answer.headers if n not in ("x-request-id", "x-runtime", "set-cookie", "content-length"))
    return answer.status, headers, plain(text)
