"""SIP messages as text: enough of RFC 3261 section 7 and 25 to read any REGISTER, to answer it, and to send requests of
one's own.

Refuses to correct: what cannot be read raises ValueError.
"""

import re

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
           "k": "supported", "s": "subject", "c": "content-type"}


def split_list(value):
    """Elements of a comma-separated header value; commas in quotes and <> do not count."""
    elements, start, quoted, angle, i = [], 0, False, False, 0
    while i < len(value):
        c = value[i]
        if quoted and c == "\\":
            i += 1
        elif c == '"':
            quoted = not quoted
        elif not quoted and c == "<":
            angle = True
        elif not quoted and c == ">":
            angle = False
        elif not quoted and not angle and c == ",":
            elements.append(value[start:i].strip())
            start = i + 1
        i += 1
    elements.append(value[start:].strip())
    return [e for e in elements if e]


def parse_params(text):
    """";a=b;c" as a dictionary with lower-case names; a flag has the value ""."""
    params = {}
    for name, value in re.findall(r';\s*([^\s=;]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^;]*))?', text):
        params[name.lower()] = value.strip()
    return params


class Address:
    """name-addr or addr-spec: display, uri, params (of the header)."""

    def __init__(self, text):
        self.text = text
        match = re.match(r'^\s*((?:"(?:[^"\\]|\\.)*"|[^<"])*?)\s*<([^>]*)>(.*)$', text, re.S)
        if match:
            self.display, self.uri, rest = match.group(1).strip('" '), match.group(2), match.group(3)
        else:
            self.display = ""
            self.uri, semicolon, rest = text.strip().partition(";")
            rest = semicolon + rest
        self.params = parse_params(rest)
        if ":" not in self.uri:
            raise ValueError("no URI in " + repr(text))

    @property
    def tag(self):
        return self.params.get("tag")


def aor_of(uri):
    """A URI as an address of record: no parameters, no port, host in lower case (RFC 3261 10.3 step 5)."""
    match = re.match(r"^(sips?):(?:([^@;?]*)@)?(\[[^\]]*\]|[^:;?]*)", uri, re.I)
    if not match:
        raise ValueError("no SIP URI: " + uri)
    user = match.group(2).split(":")[0] + "@" if match.group(2) is not None else ""
    return match.group(1).lower() + ":" + user + match.group(3).lower()


class Headers:
    """What requests and responses have in common: header lines and a body."""

    def __init__(self, data):
        text = data.decode("utf-8", "surrogateescape")
        head, _, self.body = text.partition("\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
        self.text = text
        self.start_line = lines[0]
        self.headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError("no header: " + repr(line[:80]))
            name = name.strip().lower()
            self.headers.append((COMPACT.get(name, name), value.strip()))

    def all(self, name):
        return [value for key, value in self.headers if key == name]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def list(self, name):
        return [element for value in self.all(name) for element in split_list(value)]

    def tags(self, name):
        """Option tags and the like: the elements of a list, in lower case."""
        return [element.lower() for element in self.list(name)]

    @property
    def branch(self):
        return self.get("via", "").partition("branch=")[2].split(";")[0].split(",")[0].strip()


class Message(Headers):
    """One request as it was received."""

    def __init__(self, data):
        super().__init__(data)
        parts = self.start_line.split(" ")
        if len(parts) != 3 or parts[2] != "SIP/2.0":
            raise ValueError("no SIP request: " + repr(self.start_line[:80]))
        self.method, self.ruri = parts[0], parts[1]


class Response(Headers):
    """One response as it was received."""

    def __init__(self, data):
        super().__init__(data)
        match = re.match(r"SIP/2\.0 ([1-6][0-9]{2}) (.*)$", self.start_line, re.S)
        if not match:
            raise ValueError("no SIP response: " + repr(self.start_line[:80]))
        self.status, self.reason = int(match.group(1)), match.group(2)


def build_response(request, status, reason, headers, to_tag, received=None, body=""):
    """The response's bytes. headers: [(name, value)]. received: (ip, port) for the top Via (RFC 3581)."""
    lines = ["SIP/2.0 %d %s" % (status, reason)]
    for i, via in enumerate(request.all("via")):
        if i == 0 and received:
            via = re.sub(r";rport(?=;|,|$)", ";rport=%d;received=%s" % (received[1], received[0]), via, count=1)
        lines.append("Via: " + via)
    to = request.get("to", "")
    if to_tag and status > 100 and "tag=" not in to:
        to += ";tag=" + to_tag
    lines.append("From: " + request.get("from", ""))
    lines.append("To: " + to)
    lines.append("Call-ID: " + request.get("call-id", ""))
    lines.append("CSeq: " + request.get("cseq", ""))
    lines += ["%s: %s" % header for header in headers]
    body = body.encode("utf-8", "surrogateescape")
    lines.append("Content-Length: %d" % len(body))
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body


def build_request(method, ruri, via, branch, to=None, headers=(), body=""):
    """A request outside of any dialog, as its bytes. via: "UDP 127.0.0.1:5060"."""
    lines = ["%s %s SIP/2.0" % (method, ruri), "Via: SIP/2.0/%s;rport;branch=%s" % (via, branch),
             "From: <sip:registrar@example.com>;tag=%s" % branch[-6:], "To: " + (to or "<%s>" % ruri),
             "Call-ID: %s" % branch, "CSeq: 1 %s" % method, "Max-Forwards: 70"]
    lines += ["%s: %s" % header for header in headers]
    body = body.encode("utf-8", "surrogateescape")
    lines.append("Content-Length: %d" % len(body))
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body


def cut_message(pending):
    """(message, rest) of what a stream brought: the first whole message, or None where it is not whole yet."""
    head, blank, rest = pending.partition(b"\r\n\r\n")
    if not blank:
        return None, pending
    length = next((int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n")
                   if line.partition(b":")[0].strip() in (b"content-length", b"l")), 0)
    if len(rest) < length:
        return None, pending
    return head + blank + rest[:length], rest[length:]


REASONS = {100: "Trying", 200: "OK", 300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily",
           305: "Use Proxy", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 407: "Proxy Authentication Required", 408: "Request Timeout",
           420: "Bad Extension", 421: "Extension Required", 423: "Interval Too Brief",
           439: "First Hop Lacks Outbound Support", 480: "Temporarily Unavailable", 484: "Address Incomplete",
           485: "Ambiguous", 486: "Busy Here", 494: "Security Agreement Required",
           500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
           504: "Server Time-out", 600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere"}
