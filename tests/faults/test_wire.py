"""The wire does to packets what it is told: else the fault suite would break nothing and pass."""
import socket
import subprocess
import time

import pytest

import wire
from stack import wait_for

ECHO_PORT = 9
ECHO = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", {ECHO_PORT}))
while True:
    s.sendto(*s.recvfrom(2000))
"""
SERVICE = "10.77.0.200"


@pytest.fixture(scope="module")
def net(own_network, build):
    with wire.Wire(build, ["driver", "a", "b"], seed=7) as w:
        yield w


@pytest.fixture(scope="module")
def echo(net):
    """Machine `a` sends every datagram back."""
    child = subprocess.Popen([*net.machine("a").prefix, "/usr/bin/python3", "-c", ECHO])
    probe = Echo(net.machine("a").host)
    wait_for(lambda: probe.ask(1), 10, "the echo")
    yield probe
    child.kill()
    child.wait()


@pytest.fixture(autouse=True)
def calm_again(net):
    yield
    net.calm()


class Echo:
    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def ask(self, count, silence=0.3, address=None):
        """Numbers of the datagrams that came back, in their order, after `silence` seconds without one."""
        for number in range(count):
            self.socket.sendto(b"%d" % number, (address or self.address, ECHO_PORT))
        self.socket.settimeout(silence)
        back = []
        try:
            while True:
                back.append(int(self.socket.recv(100)))
        except TimeoutError:
            return back


def test_a_wire_that_nobody_disturbs_carries_everything_in_order(echo):
    assert echo.ask(50) == list(range(50))


def test_what_is_cut_carries_nothing_until_it_is_healed(net, echo):
    net.cut("driver", "a")
    assert not echo.ask(5)
    net.heal("driver", "a")
    assert len(echo.ask(5)) == 5


def test_a_cut_in_one_direction_is_none_in_the_other(net, echo):
    before = net.counts()["carried"]
    net.cut_one_way("a", "driver")
    assert not echo.ask(5)
    assert net.counts()["carried"] == before + 5


def test_others_do_not_notice_a_cut(net, echo):
    net.cut("driver", "b")
    net.cut("a", "b")
    assert len(echo.ask(5)) == 5


def test_loss_takes_its_share(net, echo):
    net.link("driver", "a", loss=300)
    assert 220 < len(echo.ask(400)) < 340


def test_what_comes_twice_comes_twice(net, echo):
    net.link("driver", "a", twice=1000)
    assert sorted(echo.ask(10)) == sorted(2 * list(range(10)))


def test_what_is_late_is_overtaken(net, echo):
    net.link("driver", "a", late=200, late_by=0.05)
    back = echo.ask(100)
    assert sorted(back) == list(range(100)) and back != sorted(back)


def test_a_delay_delays_and_keeps_the_order(net, echo):
    net.between("driver", "a", delay=0.05, jitter=0.02)
    began = time.monotonic()
    assert echo.ask(20, silence=0.4) == list(range(20))
    assert time.monotonic() - began >= 0.1 + 0.4


def test_an_address_that_is_claimed_moves(net, echo):
    net.claim("a", SERVICE)
    assert echo.ask(3, address=SERVICE) == [0, 1, 2]
    net.claim("b", SERVICE)
    assert not echo.ask(3, address=SERVICE)


def test_where_a_device_is_up_already_there_is_no_second_wire(net, build):
    done = subprocess.run([wire.program(build), "driver", "a"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=10, check=False)
    assert done.returncode == 1 and "own network" in done.stderr
