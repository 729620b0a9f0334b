"""The Yeti dialect as the writer uses it: one request, one outcome, with nothing repeated behind its back.

It tells apart what others throw together: a request that was never sent (refused) from one that was sent and whose answer did
not come (unknown).
"""
import http.client
import json
import socket
import threading
import urllib.parse

MEDIA_TYPE = "application/vnd.api+json"
PREFIX = "/api/rest/admin"


class Answer:
    """status None: none came; sent: whether the request may have arrived."""

    def __init__(self, status, document=None, sent=True, cause=None):
        self.status, self.document, self.sent, self.cause = status, document, sent, cause

    @property
    def text(self):
        return json.dumps(self.document) if self.document else str(self.cause)


class Login:
    """A token that all threads share, made anew when one was refused."""

    def __init__(self, username, password):
        self.body = {"auth": {"username": username, "password": password}}
        self.token = None
        self._lock = threading.Lock()

    def renew(self, connection, old):
        with self._lock:
            if self.token == old:
                answer = connection.exchange("POST", PREFIX + "/auth", self.body, {})
                if answer.status == 201:
                    self.token = answer.document["jwt"]
        return self.token


class Connection:
    """To one gateway, kept alive; for one thread."""

    def __init__(self, name, url, login, seconds=5):
        self.name, self.login, self.seconds = name, login, seconds
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self._http = None

    def call(self, method, path, body=None, headers=None):
        """An Answer; logs in first where that is needed."""
        for _ in range(2):
            token = self.login.token or self.login.renew(self, None)
            if token is None:
                return Answer(None, sent=False, cause="no token")
            answer = self.exchange(method, PREFIX + path, body, {"Authorization": "Bearer " + token, **(headers or {})})
            if answer.status != 401:
                return answer
            self.login.renew(self, token)
        return answer

    def exchange(self, method, path, body, headers):
        fresh = self._http is None
        if not fresh and self._is_over():
            self.close()
            fresh = True
        try:
            if fresh:
                self._http = http.client.HTTPConnection(self.host, self.port, timeout=self.seconds)
                self._http.connect()
                self._http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            self.close()
            return Answer(None, sent=False, cause=repr(error))
        try:
            payload = json.dumps(body).encode() if body is not None else None
            kind = {"Content-Type": MEDIA_TYPE} if payload else {}
            self._http.request(method, path, payload, {"Accept": MEDIA_TYPE, **kind, **headers})
            response = self._http.getresponse()
            text = response.read()
            return Answer(response.status, json.loads(text) if text else None)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return Answer(None, cause=repr(error))

    def _is_over(self):
        """Whether the gateway closed it while nothing was asked."""
        sock = self._http.sock
        if sock is None:
            return True
        try:
            sock.setblocking(False)
            try:
                return sock.recv(1, socket.MSG_PEEK) == b""
            except BlockingIOError:
                return False
        except OSError:
            return True
        finally:
            sock.settimeout(self.seconds)

    def close(self):
        if self._http:
            self._http.close()
        self._http = None


def listing(connection, size=1000):
    """({id: attributes}, {id: status attributes}) of all registrations, page by page; raises OSError where one fails."""
    found, statuses, number = {}, {}, 1
    while True:
        answer = connection.call("GET", f"/registrations?page[size]={size}&page[number]={number}&include=status,pop")
        if answer.status != 200:
            raise OSError(f"page {number} of the list: {answer.status} {answer.text[:200]}")
        data = answer.document["data"]
        for entry in data:
            pop = entry["relationships"].get("pop", {}).get("data")
            found[entry["id"]] = {**entry["attributes"], "pop": pop and pop["id"]}
        for entry in answer.document.get("included", ()):
            if entry["type"] == "registration-statuses":
                statuses[entry["id"]] = entry["attributes"]
        if len(data) < size:
            return found, statuses
        number += 1
