"""Makes requests of an operation of the OpenAPI description: plain ones, ones that keep to its schemas, and ones that do not.

Everything follows from a random source that the caller seeds, so a request can be made again.
"""
import copy
import json
import re
import urllib.parse

WORDS = ["alice", "office", "a", "0", "12", "sip:alice@192.0.2.1", "example.com", "sip.example.net:5060", "x y", "ünïcode €", "日本語",
         "a;b", "a,b", "a=b&c=d", "100%", "q'\"<>&", "true", "null", "-", "*", "any"]
ODD_TEXTS = ["", " ", "\t", "\x00", "a\x00b", "\r\n", "a\r\nX: y", "\x1b[31m", "\x7f", "\u0085", "\u2028", "\ufeff", "\uffff", "\ud800",
             "\U0001f4a5" * 300, "a" * 255, "a" * 256, "a" * 1024, "a" * 1025, "a" * 20000, "../../etc", "%00", "%", "%zz", "%2F", "{local}",
             "{username}", "sip:", "sip:@", "sips:a@b:99999", "<sip:a@b>;x", "[::1]", "::", "192.0.2.300", "1e5", "+5", "0x10", "-0", "١٢",
             "NaN", "true", "9" * 30, "$(id)", "' or 1=1", "';!--\"<b>=&{()}", "]]>", "&#0;", "\u202e", "e\u0301", "ﬁ", "ı", "ẞ"]
ODD_VALUES = [None, True, False, 0, -1, 1, 1.5, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 63 - 1, 2 ** 63, 2 ** 64, -2 ** 63, -2 ** 63 - 1,
              1e300, 10 ** 40, [], {}, [None], [[]], {"": ""}, {"a": {"b": {"c": []}}}, ["a", 1, None, {}]]
ODD_TARGETS = ["0", "-1", "00", "1.5", "1e3", "+1", "%20", "%00", "%0a", "%0d%0aX:%20y", "%2F", "%2e%2e", "..", "%", "%zz", "%ff", "%c3%28",
               "%f0%9f%92%a5", "9" * 18, "9223372036854775807", "9223372036854775808", "18446744073709551616", "9" * 200, "a" * 3000, ";x=1",
               "*", "null", "1.json", "1%00", "count", "{id}", "~", "'", "%22", "%3C", "@", ":"]
ODD_HEADERS = [("Accept", "text/html"), ("Accept", "*/*;q=0"), ("Accept", ""), ("Accept", "," * 500), ("Accept", "application/vnd.api+json;x=\""),
               ("Content-Type", ""), ("Content-Type", "text/plain"), ("Content-Type", ";"), ("Content-Type", "multipart/form-data"),
               ("Content-Type", "application/json; charset=\xff"), ("X-Request-ID", "a b<>\"\\\xe9" * 20), ("X-Request-ID", "r" * 4000),
               ("If-Match", '"'), ("If-Match", "*"), ("If-Match", 'W/"0", "1", ' * 30), ("If-None-Match", "*"), ("If-None-Match", '"x'),
               ("Idempotency-Key", ""), ("Idempotency-Key", "k" * 300), ("Idempotency-Key", "\xe9\t"), ("traceparent", "00-" + "0" * 49 + "-00"),
               ("traceparent", "\xff"), ("Cookie", "PHPSESSID=;;=;\xff=x"), ("Origin", "null"), ("X-Pretty-Print", "TRUE"), ("Range", "bytes=0-0"),
               ("Accept-Encoding", "gzip"), ("X-HTTP-Method-Override", "DELETE"), ("X-Forwarded-For", "1.2.3.4, \xff"), ("Connection", "TE"),
               ("X-Long", "v" * 9000), ("X-Longer", "v" * 70000), ("Expect", "100-continue"), ("X-Auth-Account-ID", "f" * 32)]


class Request:
    def __init__(self, method, path):
        self.method, self.path = method, path
        self.query = []  # (name, value), both percent-encoded
        self.headers = []
        self.body = None
        self.chunked = False

    @property
    def target(self):
        pairs = [n if v is None else f"{n}={v}" for n, v in self.query]
        return self.path + ("?" + "&".join(pairs) if pairs else "")

    def set(self, name, value):
        self.headers = [(n, v) for n, v in self.headers if n.lower() != name.lower()] + [(name, value)]


def quote(text):
    return urllib.parse.quote(str(text).encode("utf-8", "surrogatepass"), safe="")


# ---- values of schemas

def merged(a, b):
    whole = {**a, **b}
    for member, kind in (("properties", dict), ("required", list), ("never", list)):
        if member in a and member in b:
            whole[member] = {**a[member], **b[member]} if kind is dict else a[member] + b[member]
    return whole


def flat(rng, schema):
    """The schema with its alternatives chosen and its parts put together."""
    if schema is True:
        return {}
    for member in ("oneOf", "anyOf"):
        if member in schema:
            rest = {k: v for k, v in schema.items() if k != member}
            return flat(rng, merged(rest, flat(rng, rng.choice(schema[member]))))
    if "allOf" in schema:
        whole = {k: v for k, v in schema.items() if k != "allOf"}
        for part in schema["allOf"]:
            whole = merged(whole, flat(rng, part))
        return flat(rng, whole)
    if "not" in schema:  # of what our description says with it: members that do not stand together
        return flat(rng, {**{k: v for k, v in schema.items() if k != "not"}, "never": [schema["not"]["required"]]})
    return schema


def of_pattern(rng, pattern):
    """A text that the (simple) regular expression matches."""
    parts = []
    for op, value in re._parser.parse(pattern):
        parts.append(of_node(rng, str(op), value))
    return "".join(parts)


def of_node(rng, op, value):
    if op == "LITERAL":
        return chr(value)
    if op in ("AT",):
        return ""
    if op == "ANY":
        return "x"
    if op == "IN":
        choice = rng.choice(value)
        return chr(rng.randint(*choice[1])) if str(choice[0]) == "RANGE" else chr(choice[1])
    if op == "MAX_REPEAT":
        low, high, inner = value
        count = rng.choice([low, min(int(high), low + rng.randint(0, 5))])
        return "".join(of_node(rng, str(o), v) for _ in range(count) for o, v in inner)
    if op == "SUBPATTERN":
        return "".join(of_node(rng, str(o), v) for o, v in value[3])
    if op == "BRANCH":
        return "".join(of_node(rng, str(o), v) for o, v in rng.choice(value[1]))
    raise ValueError(f"the pattern's {op} is not known here")


def text_of(rng, schema):
    if "pattern" in schema:
        return of_pattern(rng, schema["pattern"])
    low, high = schema.get("minLength", 0), schema.get("maxLength", 300)
    word = rng.choice(WORDS)
    if rng.random() < 0.15:
        word = "b" * rng.choice([low, min(low + 1, high), max(high - 1, low), high])
    return (word + "c" * low)[:high] if not low <= len(word) <= high else word


def number_of(rng, schema):
    low, high = schema.get("minimum", -2 ** 31), schema.get("maximum", 2 ** 31 - 1)
    return rng.choice([low, min(low + 1, high), max(high - 1, low), high, rng.randint(low, high), rng.randint(low, min(high, low + 20))])


def value_of(rng, schema, depth=0):
    """A value that fits the schema."""
    schema = flat(rng, schema)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if "default" in schema and rng.random() < 0.1:
        return schema["default"]
    if "examples" in schema and rng.random() < 0.6:
        return rng.choice(schema["examples"])
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = rng.choice(kind) if isinstance(kind, list) else kind
    if kind == "object":
        wanted = set(schema.get("required", []))
        made = {name: value_of(rng, s, depth + 1) for name, s in schema.get("properties", {}).items()
                if name in wanted or rng.random() < 0.4}
        for pair in schema.get("never", []):
            if all(name in made for name in pair):
                del made[rng.choice(pair)]
        return made
    if kind == "array":
        low = schema.get("minItems", 0)
        return [value_of(rng, schema.get("items", {}), depth + 1) for _ in range(rng.randint(low, min(schema.get("maxItems", 3), low + 3)))]
    if kind == "integer":
        return number_of(rng, schema)
    return {"boolean": rng.random() < 0.5, "null": None, "number": rng.uniform(-1e6, 1e6)}.get(kind, text_of(rng, schema))


# ---- values that do not fit

def odd(rng):
    return rng.choice(ODD_TEXTS) if rng.random() < 0.6 else copy.deepcopy(rng.choice(ODD_VALUES))


def places(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, path + (key,))


def spoiled(rng, value):
    """A copy of the value with something in it replaced, taken away or added."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice([1, 1, 2, 5])):
        path = rng.choice(list(places(value)))
        if not path:
            if rng.random() < 0.2:
                return odd(rng)
            if isinstance(value, dict):
                value[rng.choice(ODD_TEXTS + WORDS)] = odd(rng)
            continue
        holder = value
        for step in path[:-1]:
            holder = holder[step]
        if rng.random() < 0.25 and isinstance(holder, dict):
            del holder[path[-1]]
        else:
            holder[path[-1]] = odd(rng)
    return value


# ---- bodies

def as_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def form_of(value):
    pairs = value.items() if isinstance(value, dict) else [("value", value)]
    return "&".join(f"{quote(n)}={quote(as_text(v))}" for n, v in pairs).encode()


def multipart_of(value, boundary="-" * 13 + "5f0c3a9d2b7e1"):
    pairs = value.items() if isinstance(value, dict) else [("value", value)]
    parts = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{as_text(v)}\r\n' for n, v in pairs)
    return (parts + f"--{boundary}--\r\n").encode("utf-8", "surrogatepass")


def body_of(media, value):
    """(Content-Type, bytes)"""
    kind = media.partition(";")[0]
    if kind == "application/x-www-form-urlencoded":
        return media, form_of(value)
    if kind == "multipart/form-data":
        return "multipart/form-data; boundary=" + "-" * 13 + "5f0c3a9d2b7e1", multipart_of(value)
    if kind == "application/x-ndjson":
        return media, b"".join(json.dumps(line).encode() + b"\n" for line in (value if isinstance(value, list) else [value]))
    return media, json.dumps(value).encode()


def torn(rng, body):
    """Bytes that were a body."""
    at = rng.randrange(len(body) + 1)
    return rng.choice([
        lambda: body[:at], lambda: body[at:], lambda: body + body, lambda: b"\xef\xbb\xbf" + body, lambda: body[:at] + b"\xff\xfe" + body[at:],
        lambda: body[:at] + b"\x00" + body[at:], lambda: b"", lambda: b"[" * 2000, lambda: b'{"a":' * 500, lambda: b"NaN", lambda: body + b"}",
        lambda: b"%" + body + b"%", lambda: body.replace(b"=", b"", 1), lambda: body.replace(b"\r\n", b"\n"), lambda: body.replace(b'"', b"'"),
        lambda: body.replace(b"{", b'{"data":1,"data":{},', 1), lambda: bytes(rng.randrange(256) for _ in range(60)), lambda: b"&" * 5000,
        lambda: body + b" " * 70000, lambda: b'"' + b"a" * 300000 + b'"'])()


# ---- requests

class Maker:
    """`target` knows what the schemas do not: ids that exist, credentials, and how an example is made to fit them."""

    def __init__(self, rng, operation, target):
        self.rng, self.operation, self.target = rng, operation, target

    def chosen_media(self):
        return self.rng.choice(list(self.operation.media)) if self.operation.media else None

    def begin(self, path_value):
        return Request(self.operation.method, re.sub(r"\{(\w+)\}", lambda m: path_value(m.group(1)), self.operation.path))

    def good_path(self, name):
        parameter = next(p for p in self.operation.parameters_in("path") if p["name"] == name)
        known = self.target.path_value(self.rng, name, self.operation)
        return quote(known if known is not None else parameter.get("example") or value_of(self.rng, parameter["schema"]))

    def add_query(self, request, parameter, value):
        if not isinstance(value, dict):
            request.query.append((quote(parameter["name"]), quote(as_text(value))))
            return
        deep = parameter.get("style") == "deepObject"  # else form, explode: its members are the parameters
        for name, member in value.items():
            request.query.append((quote(f"{parameter['name']}[{name}]" if deep else name), quote(as_text(member))))

    def add_body(self, request, media, value):
        kind, request.body = body_of(media, value)
        request.set("Content-Type", kind)

    def plain(self, media=None):
        """The examples of the description, about objects that exist. media: of the body; None: it has none."""
        self.target.is_plain = True
        request = self.begin(self.good_path)
        for p in self.operation.parameters:
            if "example" not in p or (media and isinstance(p["example"], dict)) or p["in"] not in ("query", "header"):
                continue
            value = self.target.example(self.operation, p["example"])
            if p["in"] == "query":
                self.add_query(request, p, value)
            else:
                request.set(p["name"], value)
        if media:
            self.add_body(request, media, self.target.example(self.operation, self.operation.media[media]["example"]))
        self.target.sign(self.rng, request, True)
        return request

    def valid(self):
        request = self.begin(self.good_path)
        for p in self.operation.parameters_in("query"):
            if p.get("required") or self.rng.random() < 0.3:
                self.add_query(request, p, self.query_value(p["schema"]))
        for p in self.operation.parameters_in("header"):
            if self.rng.random() < 0.3:
                request.set(p["name"], as_text(value_of(self.rng, p["schema"])))
        media = self.chosen_media()
        if media and (self.operation.body.get("required") or self.rng.random() < 0.7):
            self.add_body(request, media, self.known(self.valid_body(media)))
        self.target.sign(self.rng, request, self.rng.random() < 0.9)
        return request

    def query_value(self, schema):
        """Of an object of any members, some that the target names."""
        if "additionalProperties" in schema and "properties" not in schema:
            return {self.target.filter_name(self.rng): value_of(self.rng, schema["additionalProperties"])}
        return self.known(value_of(self.rng, schema))

    def known(self, value):
        """Ids in it are often those of objects that exist."""
        return self.target.example(self.operation, value) if self.rng.random() < 0.6 else value

    def valid_body(self, media):
        schema = self.operation.media[media]["schema"]
        if self.rng.random() < 0.3 and "example" in self.operation.media[media]:
            return self.operation.media[media]["example"]
        if media == "application/x-ndjson":
            return [value_of(self.rng, schema) for _ in range(self.rng.randint(0, 4))]
        return value_of(self.rng, schema)

    def invalid(self):
        """A valid request with one to three things wrong with it."""
        request = self.valid()
        ways = [self.spoil_path, self.spoil_query, self.spoil_headers, self.spoil_body, self.spoil_body, self.spoil_body, self.other_media,
                self.spoil_credentials, self.other_accept, self.chunk]
        for _ in range(self.rng.choice([1, 1, 1, 2, 3])):
            self.rng.choice(ways)(request)
        return request

    def spoil_path(self, request):
        names = re.findall(r"\{(\w+)\}", self.operation.path)
        if not names:
            return
        spoil = self.rng.choice(names)
        request.path = self.begin(lambda n: self.rng.choice(ODD_TARGETS) if n == spoil else self.good_path(n)).path

    def spoil_query(self, request):
        names = [quote(p["name"]) for p in self.operation.parameters_in("query")] + [f"filter[{self.target.filter_name(self.rng)}]"]
        names += [n for n, _ in request.query] + ["x", "token", "auth_token", "details", "cmd", "verb", "sort[]", "page", "filter", "%00", "%", ""]
        for _ in range(self.rng.choice([1, 1, 2, 30])):
            value = self.rng.choice([quote(as_text(odd(self.rng))), self.rng.choice(ODD_TARGETS), None, ""])
            request.query.insert(self.rng.randint(0, len(request.query)), (self.rng.choice(names), value))
        if self.rng.random() < 0.1:
            request.query.append(("x", "y" * 20000))

    def spoil_headers(self, request):
        for _ in range(self.rng.choice([1, 1, 2, 60])):
            name, value = self.rng.choice(ODD_HEADERS)
            if name.startswith("Content-") or self.rng.random() < 0.5:
                request.set(name, value)
            else:
                request.headers.append((name, value))

    def spoil_body(self, request):
        media = self.chosen_media()
        if not media:
            request.body = self.rng.choice([b"", b"{}", b"x" * 100, b"\xff"])
            return
        if self.rng.random() < 0.7:
            self.add_body(request, media, self.known_ids(spoiled(self.rng, self.valid_body(media))))
        else:
            self.add_body(request, media, self.valid_body(media))
            request.body = torn(self.rng, request.body)
        if self.rng.random() < 0.01:
            request.body += b" " * 1100000

    def known_ids(self, value):
        return self.target.example(self.operation, value) if isinstance(value, dict) and self.rng.random() < 0.5 else value

    def other_media(self, request):
        media = self.rng.choice(["application/json", "application/vnd.api+json", "application/x-www-form-urlencoded", "multipart/form-data",
                                 "application/x-ndjson", "text/plain", "application/xml", "text/xml"])
        if request.body is not None and self.rng.random() < 0.5:
            request.set("Content-Type", media)
        else:
            self.add_body(request, media, odd(self.rng) if self.rng.random() < 0.5 else value_of(self.rng, {"type": "object", "properties": {
                "data": {"type": "object"}, "cmd": {"type": "string"}, "auth": {"type": "object"}}}))

    def other_accept(self, request):
        request.set("Accept", self.rng.choice(["text/html", "application/json", "application/xml", "application/x-ndjson", "image/*, text/plain;q=0.5",
                                               "application/vnd.api+json", "*/*", "x", '"', "application/vnd.api+json;ext=\"x\""]))

    def spoil_credentials(self, request):
        self.target.sign(self.rng, request, False)

    def chunk(self, request):
        request.chunked = request.body is not None
