"""The listener with TLS: the same API over it, links with its scheme, its pair swapped on SIGHUP, bad pairs refused."""
import contextlib
import http.client
import signal
import socket
import ssl
import subprocess

import pytest

from conftest import HOST, MEDIA_TYPE, PREFIX, World
from stack import free_port, wait_for


def write_pair(directory, name, certificate="cert.pem", key="key.pem"):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-keyout", directory / key, "-out", directory / certificate],
                   check=True, capture_output=True)


def tls_env(world, port):
    return {"ROLLCALL_HTTPS_LISTEN": f"127.0.0.1:{port}",
            "ROLLCALL_TLS_CERTIFICATE_FILE": str(world.stack.directory / "cert.pem"),
            "ROLLCALL_TLS_KEY_FILE": str(world.stack.directory / "key.pem")}


@contextlib.contextmanager
def tls_world(name):
    """A gateway that serves TLS, too, with a certificate of that name."""
    w = World({})
    try:
        w.tls_port = free_port()
        w.env = tls_env(w, w.tls_port)
        write_pair(w.stack.directory, name)
        w.start()
        yield w
    finally:
        w.stop()


@pytest.fixture(scope="module")
def world():
    with tls_world("first") as w:
        yield w


def context(**limits):
    c = ssl.create_default_context()
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    for name, value in limits.items():
        setattr(c, name, value)
    return c


def common_name(port):
    with socket.create_connection(("127.0.0.1", port), 10) as plain, context().wrap_socket(plain) as tls:
        der = tls.getpeercert(binary_form=True)
    text = subprocess.run(["openssl", "x509", "-inform", "der", "-noout", "-subject", "-nameopt", "multiline"], input=der,
                          check=True, capture_output=True).stdout.decode()
    return text.split("=")[-1].strip()


@pytest.fixture
def tls_api(world):
    api = world.api()
    api.connection = http.client.HTTPSConnection("127.0.0.1", world.tls_port, timeout=20, context=context())
    yield api
    api.connection.close()


def test_the_api_is_served_over_tls_on_one_connection(world, tls_api):
    id = tls_api.create(username="over-tls")
    sock = tls_api.connection.sock
    assert tls_api.read(id)["username"] == "over-tls"
    assert tls_api.patch(id, {"username": "again"}).attributes["username"] == "again"
    assert tls_api.call("DELETE", f"/registrations/{id}").status == 204
    assert tls_api.connection.sock is sock
    assert sock.version() in ("TLSv1.2", "TLSv1.3")


def test_links_say_https_without_a_proxys_word(world, tls_api):
    id = tls_api.create()
    assert tls_api.get(f"/registrations/{id}").data["links"]["self"] == f"https://{HOST}{PREFIX}/registrations/{id}"


def test_the_plain_listener_serves_beside_it(world, api):
    id = api.create()
    assert api.get(f"/registrations/{id}").data["links"]["self"] == f"http://{HOST}{PREFIX}/registrations/{id}"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_both_present_versions_are_spoken(world, version):
    with socket.create_connection(("127.0.0.1", world.tls_port), 10) as plain:
        with context(minimum_version=version, maximum_version=version).wrap_socket(plain) as tls:
            assert tls.version() == f"TLSv1.{3 if version == ssl.TLSVersion.TLSv1_3 else 2}"


def test_a_plain_request_at_the_tls_port_gets_no_answer(world):
    with socket.create_connection(("127.0.0.1", world.tls_port), 10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        try:
            while piece := plain.recv(4096):
                got += piece
        except ConnectionResetError:
            pass
        assert b"HTTP" not in got


def test_the_connection_ends_with_close_notify(world):
    with socket.create_connection(("127.0.0.1", world.tls_port), 10) as plain:
        with context().wrap_socket(plain, suppress_ragged_eofs=False) as tls:
            tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            got = b""
            while piece := tls.recv(4096):  # a missing close_notify raises
                got += piece
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_hangup_serves_a_new_pair_to_new_connections(world, tls_api):
    tls_api.create()
    before = tls_api.connection.sock
    write_pair(world.stack.directory, "second")
    world.gateway.signal(signal.SIGHUP)
    wait_for(lambda: common_name(world.tls_port) == "second", 10, "the new certificate")
    tls_api.create()
    assert tls_api.connection.sock is before


def test_a_bad_pair_is_refused_on_a_hangup_and_the_old_one_stays(world):
    name = common_name(world.tls_port)
    kept = (world.stack.directory / "key.pem").read_bytes()
    write_pair(world.stack.directory, "third", certificate="other.pem")  # its key only
    world.gateway.signal(signal.SIGHUP)
    wait_for(lambda: "TLS pair not read again" in world.gateway.log_text(), 10, "the refusal")
    assert "key values mismatch" in world.gateway.log_text()
    assert common_name(world.tls_port) == name
    (world.stack.directory / "key.pem").write_bytes(kept)


@pytest.mark.parametrize("change, cause", [
    ({"ROLLCALL_TLS_KEY_FILE": ""}, "ROLLCALL_HTTPS_LISTEN needs ROLLCALL_TLS_CERTIFICATE_FILE and ROLLCALL_TLS_KEY_FILE"),
    ({"ROLLCALL_TLS_CERTIFICATE_FILE": "/nowhere/cert.pem"}, "No such file or directory"),
    ({"ROLLCALL_TLS_CERTIFICATE_FILE": "/etc/hostname"}, "certificate file /etc/hostname"),
    ({"ROLLCALL_TLS_KEY_FILE": "/etc/hostname"}, "key file /etc/hostname"),
], ids=["missing", "unreadable", "no certificate", "no key"])
def test_a_bad_pair_at_the_start_is_named_and_ends_the_gateway(world, request, change, cause):
    name = "refused-" + request.node.callspec.id.replace(" ", "-")
    gateway = world.stack.new_gateway(name, env={**tls_env(world, free_port()), **change})
    gateway.spawn([gateway.build / "services/gateway/rollcall-gateway"], gateway.env)
    assert gateway.child.wait(10) == 1
    line = [line for line in gateway.log_text().splitlines() if "cannot start" in line]
    assert len(line) == 1 and cause in line[0]


def test_the_api_may_be_served_over_tls_alone(world):
    port = free_port()
    gateway = world.stack.new_gateway("tls-only", env={**tls_env(world, port), "ROLLCALL_HTTP_LISTEN": ""})
    gateway.spawn([gateway.build / "services/gateway/rollcall-gateway"], gateway.env)

    def healthy():
        try:
            c = http.client.HTTPSConnection("127.0.0.1", port, timeout=2, context=context())
            c.request("GET", "/healthz", headers={"Accept": MEDIA_TYPE})
            return c.getresponse().status == 200
        except OSError:
            return False

    gateway.up(healthy)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", gateway.port), 2)
    assert f"serving on https://127.0.0.1:{port}," in gateway.log_text()
    gateway.stop()
