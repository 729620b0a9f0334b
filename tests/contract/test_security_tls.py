"""The TLS of the gateway as an attacker would try it: old versions and weak ciphers, renegotiation, what is no handshake, and a
certificate that is swapped again and again while requests are under way."""
import http.client
import signal
import socket
import ssl
import subprocess
import threading
import warnings

import pytest
from stack import wait_for
from test_tls import common_name, context, tls_world, write_pair


@pytest.fixture(scope="module")
def world():
    with tls_world("pair-0") as w:
        yield w


def client(*arguments, text=b"Q\n"):
    """What OpenSSL's client says of a handshake with these options."""
    done = subprocess.run(["openssl", "s_client", *arguments], input=text, capture_output=True, timeout=20, check=False)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_versions_are_refused(world, version):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old = context()
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = getattr(ssl.TLSVersion, version)
        with socket.create_connection(("127.0.0.1", world.tls_port), 10) as plain, pytest.raises((ssl.SSLError, ConnectionError)):
            old.wrap_socket(plain)


@pytest.mark.parametrize("ciphers", ["NULL", "aNULL", "EXPORT", "RC4", "3DES", "DES", "MD5", "PSK", "SRP"])
def test_weak_ciphers_are_refused(world, ciphers):
    _, said = client("-connect", f"127.0.0.1:{world.tls_port}", "-tls1_2", "-cipher", f"{ciphers}:@SECLEVEL=0")
    assert "Cipher is ECDHE" not in said and "Cipher is AES" not in said and ("(NONE)" in said or "no cipher match" in said.lower()), said[-600:]


def test_a_client_cannot_renegotiate(world):
    """RFC 5746, and the handshakes that a client could make the server pay for again and again: none after the first."""
    _, said = client("-connect", f"127.0.0.1:{world.tls_port}", "-tls1_2", text=b"R\n")
    assert "RENEGOTIATING" in said and "no renegotiation" in said.lower(), said[-800:]
    assert "Secure Renegotiation IS supported" in said


def test_nothing_is_compressed_and_no_early_data_is_taken(world):
    for version in ("-tls1_2", "-tls1_3"):
        _, said = client("-connect", f"127.0.0.1:{world.tls_port}", version)
        assert "Compression: NONE" in said
        assert "Max Early Data: 0" in said or "Early data was not sent" in said or version == "-tls1_2"


STARTS = [b"\x16\x03\x01\xff\xff\x01\xff\xff\xff" + b"\x00" * 5000, b"\x80\x2e\x01\x00\x02" + b"\x00" * 40, b"\x15\x03\x01\x00\x02\x02\x28",
          b"\x17\x03\x03\x40\x00" + b"\x00" * 16384, b"\x16\x03\x03\x00\x00" * 1000, b"SSH-2.0-x\r\n", b"\x00" * 100000]


@pytest.mark.parametrize("start", STARTS, ids=range(len(STARTS)))
def test_what_is_no_handshake_ends_and_others_are_served(world, start):
    with socket.create_connection(("127.0.0.1", world.tls_port), 20) as s:
        try:
            s.sendall(start)
            s.shutdown(socket.SHUT_WR)
            got = b""
            while piece := s.recv(4096):
                got += piece
        except (ConnectionResetError, BrokenPipeError, OSError):
            got = b""
    assert b"HTTP" not in got
    assert common_name(world.tls_port).startswith("pair-")


def test_certificates_are_swapped_under_load_and_no_request_fails(world):
    stop, failures, done = threading.Event(), [], [0]
    token = world.token(3)

    def ask():
        kept = None
        while not stop.is_set():
            try:
                kept = kept if kept and done[0] % 3 else http.client.HTTPSConnection("127.0.0.1", world.tls_port, timeout=20, context=context())
                kept.request("GET", "/api/rest/admin/registrations", headers={"Authorization": token})
                answer = kept.getresponse()
                answer.read()
                if answer.status != 200:
                    failures.append(answer.status)
                done[0] += 1
            except (OSError, http.client.HTTPException) as e:
                failures.append(repr(e))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        for i in range(1, 5):
            before = done[0]
            write_pair(world.stack.directory, f"pair-{i}")
            world.gateway.signal(signal.SIGHUP)
            wait_for(lambda i=i, before=before: common_name(world.tls_port) == f"pair-{i}" and done[0] > before + 3, 20, "the next certificate")
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not failures and done[0] > 30, failures[:5]
