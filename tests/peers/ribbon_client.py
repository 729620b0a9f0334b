"""A client of the Ribbon SBC Edge dialect, as careful as the strictest and as literal as the sloppiest of those in use: it
takes every answer apart by text and by parser, and refuses what any of them could not read."""
import http.client
import re
import urllib.parse
import xml.etree.ElementTree as ElementTree

HOST = "sbc.example.org"
MASK = "********"
CONTACT, ENTRY = "sipcontactregistrant", "sipregistrantentry"
SERVERS, SERVER = "sipservertable", "sipserver"
CREDENTIALS, CREDENTIAL = "sipremoteauthtable", "sipremoteauthentry"


class Item:
    """An element of a resource: id, href, and its parameters as a dict."""

    def __init__(self, element):
        self.name, self.id, self.href = element.tag, element.get("id"), element.get("href")
        self.attributes = list(element.attrib)
        self.order = [child.tag for child in element]
        self.values = {child.tag: child.text or "" for child in element}
        assert all(not child.attrib and not len(child) for child in element), "parameters are plain elements"

    def __getitem__(self, name):
        return self.values[name]


class Answer:
    """`layout` is what the gateway was told to send: legacy or clean; with `status_follows` its HTTP status is the http_code."""

    def __init__(self, answer, layout, status_follows=False):
        self.status = answer.status
        self.headers = [(k.lower(), v) for k, v in answer.getheaders()]
        self.body = answer.read()
        self.text = self.body.decode()
        self._check_layout(layout)
        self.root = ElementTree.fromstring(self.text.strip())
        assert self.root.tag == "root" and self.root[0].tag == "status"
        self.http_code = int(re.search("<http_code>([0-9]+)</http_code>", self.text).group(1))
        assert self.status == (self.http_code if status_follows else 200), self.text
        entries = self.root.findall(".//app_status_entry")
        assert len(entries) <= 1
        self.app = self.params = self.app_href = None
        if entries:
            self._read_error(entries[0])
        else:
            assert self.http_code == 200 and not self.root.findall(".//app_status")

    def _check_layout(self, layout):
        assert self.text.startswith("\n<?xml" if layout == "legacy" else "<?xml version=\"1.0\"?>\n<root>\n")
        assert self.text.endswith("\n</root>\n")
        assert re.search(r"</status>\s+(?=<)", self.text)

    def _read_error(self, entry):
        assert self.http_code != 200 and not entry.text and len(entry) == 0
        assert set(entry.attrib) == {"code", "params"}
        assert [e.tag for e in self.root] == ["status"], "nothing but the status on failure"
        self.app, self.params = int(entry.get("code")), entry.get("params")
        self.app_href = self.root.find("./status/app_status").get("href")
        assert self.app != 0

    def cookie(self, name):
        for key, value in self.headers:
            if key == "set-cookie" and value.startswith(name + "="):
                return value
        return None

    @property
    def error(self):
        """(http_code, app code, params) as tests compare it."""
        return self.http_code, self.app, self.params

    @property
    def item(self):
        assert self.http_code == 200, self.text
        assert len(self.root) == 2, self.text
        return Item(self.root[1])

    @property
    def list(self):
        assert self.http_code == 200, self.text
        assert len(self.root) == 2 and self.root[1].tag.endswith("_list"), self.text
        return self.root[1]

    @property
    def links(self):
        assert all(e.tag == self.list.tag[:-5] + "_pk" and not len(e) for e in self.list)
        return [(e.get("id"), e.get("href")) for e in self.list]

    @property
    def items(self):
        assert all(e.tag == self.list.tag[:-5] for e in self.list)
        return [Item(e) for e in self.list]

    @property
    def done(self):
        """Whether it is the bare status of success."""
        return self.http_code == 200 and len(self.root) == 1


class Ribbon:
    def __init__(self, port, layout="legacy", status_follows=False):
        self.port, self.layout, self.status_follows = port, layout, status_follows
        self.session = self.csrf = None
        self.send_csrf = False
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def call(self, method, path, body=None, headers=None, prefix="/rest"):
        """body: a dict is encoded as a form, text and bytes go as they are. headers: None leaves one out."""
        given = {"Host": HOST}
        if self.session:
            given["Cookie"] = f"PHPSESSID={self.session}; csrfp_token={self.csrf}"
            if self.send_csrf:
                given["X-CSRF-Token"] = self.csrf
        if body is not None:
            given["Content-Type"] = "application/x-www-form-urlencoded"
            if isinstance(body, dict):
                body = urllib.parse.urlencode(body)
            body = body.encode() if isinstance(body, str) else body
        given.update(headers or {})
        self.connection.putrequest(method, prefix + path, skip_host=True, skip_accept_encoding=True)
        for name, value in given.items():
            if value is not None:
                self.connection.putheader(name, value)
        if body is not None or method in ("PUT", "POST"):
            self.connection.putheader("Content-Length", str(len(body or b"")))
        self.connection.endheaders(body)
        return Answer(self.connection.getresponse(), self.layout, self.status_follows)

    def login(self, username, password):
        answer = self.call("POST", "/login", {"Username": username, "Password": password})
        if answer.http_code == 200:
            self.session = answer.cookie("PHPSESSID").partition("=")[2].partition(";")[0]
            self.csrf = answer.cookie("csrfp_token").partition("=")[2].partition(";")[0]
        return answer

    def get(self, path, query=""):
        return self.call("GET", path + query)

    def put(self, path, **fields):
        return self.call("PUT", path, fields)

    def post(self, path, **fields):
        return self.call("POST", path, fields)

    def delete(self, path):
        return self.call("DELETE", path)

    def make(self, path, **fields):
        """Creates it, and gives what was answered."""
        answer = self.put(path, **fields)
        assert answer.http_code == 200, answer.text
        return answer.item


def connect(world, number=None, **options):
    """A client of the contract suite's world that has logged in as a user whose account is empty, or as the one of that
    number. `yeti` is the same user of that dialect."""
    number = number or next(world.users)
    client = Ribbon(world.gateway.port, **options)
    answer = client.login(f"user{number}", world.stack.password)
    assert answer.done, answer.text
    client.number, client.account, client.yeti = number, f"account{number}", world.api(number)
    return client


def path(*parts):
    return "/" + "/".join(str(p) for p in parts)


def entry_path(table, entry):
    return path(CONTACT, table, ENTRY, entry)


def server_path(table, row):
    return path(SERVERS, table, SERVER, row)


def credential_path(table, row):
    return path(CREDENTIALS, table, CREDENTIAL, row)
