"""The scanner finds a planted secret in each place and each form, and nothing where there is none."""
import http.server
import threading
import urllib.request

import pytest
import requests

from secret_scan import Scan, answers_kept, forms, ha1s

SECRET = "Ko/rrekt+Pferd\"17"


class FakeRedis:
    """As much of a client as the scanner asks of one."""

    def __init__(self, values):
        self.values = values

    def scan_iter(self, count=None):
        return iter(self.values)

    def type(self, key):
        return {str: "string", dict: "hash", set: "set", list: "list", tuple: "zset"}[type(self.values[key])]

    def get(self, key):
        return self.values[key]

    hgetall = smembers = get

    def lrange(self, key, first, last):
        return self.values[key]

    zrange = lrange


@pytest.fixture
def scan():
    s = Scan()
    s.knows_password("test's password", SECRET, ["ann"], ["example.com"])
    return s


def test_every_form_of_a_secret_is_found(scan):
    for form in forms(SECRET):
        assert scan.names_in(b"before " + form + b" behind") == ["test's password"]
    for algorithm, ha1 in ha1s("ann", "example.com", SECRET).items():
        assert scan.names_in(f'"ha1":"{ha1}"'.encode()) == [f"{algorithm} HA1 of test's password"]
    assert not scan.names_in(b"a text that holds none, and ann, and example.com")


def test_a_key_is_found_as_digits_and_as_bytes():
    key = "00112233445566778899aabbccddeeff" * 2
    scan = Scan()
    scan.knows("key", key)
    for planted in (key.encode(), key.upper().encode(), bytes.fromhex(key)):
        assert scan.names_in(b"x" + planted) == ["key"]


def test_a_secret_within_a_longer_base64_text_is_found(scan):
    import base64
    for lead in range(3):
        assert scan.names_in(base64.b64encode(b"u" * lead + SECRET.encode() + b"tail"))


@pytest.mark.parametrize("value", [SECRET, {"spec": SECRET}, {SECRET: "spec"}, {SECRET, "x"}, ["x", SECRET], ("x", SECRET)])
def test_redis_is_looked_through_whatever_the_type(scan, value):
    assert scan.redis(FakeRedis({"rc:{s1}:reg:7": value})) == ["Redis rc:{s1}:reg:7 holds the test's password"]
    assert scan.redis(FakeRedis({"rc:{s1}:reg:7": "sealed:k1:AAAA"})) == []


def test_files_are_looked_through_to_the_last_byte(scan, tmp_path):
    (tmp_path / "aof").mkdir()
    (tmp_path / "aof/1.incr.aof").write_bytes(b"*" * ((1 << 22) - 5) + SECRET.encode())  # across two reads
    (tmp_path / "keys").write_text(SECRET)
    found = scan.tree(tmp_path, but=[tmp_path / "keys"])
    assert found == [f"{tmp_path}/aof/1.incr.aof holds the test's password"]


class Tells(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = SECRET.encode() if self.path == "/secret" else b"nothing"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/head":
            self.send_header("X-Debug", SECRET)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.mark.parametrize("get", [lambda url: requests.get(url, timeout=5).content,
                                 lambda url: b"".join(requests.get(url, timeout=5, stream=True).iter_content(3)),
                                 lambda url: urllib.request.urlopen(url, timeout=5).read()])
def test_answers_are_looked_through_whoever_reads_them(scan, get):
    with http.server.HTTPServer(("127.0.0.1", 0), Tells) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            with answers_kept() as kept:
                get(url + "/secret")
                get(url + "/nothing")
                get(url + "/head")
            found = scan.answers(kept)
            assert found == ["an HTTP answer, number 0 holds the test's password", "an HTTP answer, number 2 holds the test's password"]
        finally:
            server.shutdown()
            thread.join()


def test_a_word_that_stands_in_any_text_is_refused():
    with pytest.raises(AssertionError):
        forms("secret")
