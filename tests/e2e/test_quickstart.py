"""./quickstart as a newcomer types it. Only on the embedded broker: it brings its own."""
import os
import pathlib
import shlex
import signal
import socket
import subprocess

import pytest

from stack import ROOT, wait_for

HOME = ROOT / "build/quickstart-test"  # beside whatever quick start a person has running

pytestmark = pytest.mark.skipif(os.environ.get("ROLLCALL_TEST_KAFKA") == "apache",
                                reason="the quick start has its own broker, the embedded one")


def run(*arguments, seconds=300):
    return subprocess.run([ROOT / "quickstart", *arguments], env={**os.environ, "ROLLCALL_QUICKSTART_HOME": str(HOME)},
                          capture_output=True, text=True, timeout=seconds, check=False)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_check_sees_all_of_it_and_leaves_nothing_running():
    done = run("--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All of it was seen." in done.stdout
    assert not (HOME / "pid").exists() and not (HOME / "env").exists()


@pytest.fixture
def detached():
    done = run("--detach")
    assert done.returncode == 0, done.stdout + done.stderr
    yield done
    run("--stop")


def test_detached_it_keeps_an_env_file_and_refuses_a_second_start(detached):
    env = dict(shlex.split(line)[0].split("=", 1) for line in (HOME / "env").read_text().splitlines())
    assert {"GATEWAY_URL", "YETI_TOKEN", "YETI_USER", "YETI_PASSWORD", "KAFKA_BOOTSTRAP", "REDIS_URL", "REGISTRAR"} <= set(env)
    listed = subprocess.run(["curl", "-sf", "-H", f"Authorization: Bearer {env['YETI_TOKEN']}",
                             f"{env['GATEWAY_URL']}/api/rest/admin/registrations"], capture_output=True, text=True, check=False)
    assert listed.returncode == 0 and '"total-count":1' in listed.stdout
    sealed = subprocess.run(["curl", "-sf", "--cacert", env["GATEWAY_CERTIFICATE"], f"https://{env['GATEWAY_TLS']}/platform_api/"
                             f"GetSipRegistrations?account_id={env['VOXIMPLANT_ACCOUNT']}&api_key={env['API_KEY']}"],
                            capture_output=True, text=True, check=False)
    assert sealed.returncode == 0 and '"total_count":1' in sealed.stdout
    second = run("--check")
    assert second.returncode == 1 and "already running" in second.stderr
    assert run("--stop").returncode == 0
    assert not (HOME / "pid").exists() and not (HOME / "env").exists()
    assert "Nothing is running" in run("--stop").stdout


def test_what_a_killed_quick_start_left_is_ended_and_said(detached):
    pid, *parts = [int(word) for word in (HOME / "pid").read_text().split()]
    assert len(parts) == 5 and all(alive(part) for part in parts)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid), 5, "the process to be gone")
    done = run("--stop")
    assert "gone" in done.stdout and "Nothing is running" in done.stdout
    assert not (HOME / "pid").exists() and not (HOME / "env").exists()
    wait_for(lambda: not any(alive(part) for part in parts), 5, "its parts to be gone")


def test_a_port_that_is_taken_is_named():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        done = run("--check", "--gateway-port", str(port))
    assert done.returncode == 1
    assert f"--gateway-port {port} is taken" in done.stderr


def test_two_parts_cannot_have_one_port():
    done = run("--check", "--gateway-port", "18080", "--redis-port", "18080")
    assert done.returncode == 1
    assert "--redis-port and --gateway-port cannot both be 18080" in done.stderr
