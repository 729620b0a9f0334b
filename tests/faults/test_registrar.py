"""What the registrars of the fault suite do with a request that is repeated."""
import socket

import pytest
from registrar_process import RegistrarProcess

REGISTER = ("REGISTER sip:{0} SIP/2.0\r\nVia: SIP/2.0/UDP {1};branch=z9hG4bK1\r\nFrom: <sip:u@{0}>;tag=1\r\nTo: <sip:u@{0}>\r\n"
            "Call-ID: 1\r\nCSeq: 1 REGISTER\r\nContact: <sip:u@{1}>\r\nExpires: 60\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def registrar(tmp_path):
    process = RegistrarProcess(tmp_path, "registrar-1")
    process.start()
    yield process
    process.stop()


def test_a_request_that_came_while_it_was_dead_is_new_when_it_is_repeated(registrar):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((registrar.host, registrar.port))
        client.settimeout(0.3)
        request = REGISTER.format(f"{registrar.host}:{registrar.port}", "%s:%d" % client.getsockname()).encode()
        registrar.die()
        client.send(request)
        with pytest.raises(TimeoutError):
            client.recv(65536)
        registrar.normal()
        client.settimeout(10)
        client.send(request)
        first = client.recv(65536)
        assert first.startswith(b"SIP/2.0 401")
        client.send(request)
        assert client.recv(65536) == first  # of one transaction
