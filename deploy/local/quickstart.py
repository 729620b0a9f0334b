"""./quickstart: starts Rollcall and what it stands on, shows one registration from curl to registrar, keeps running.

What is running is described in build/quickstart/env, as shell assignments.
"""
import argparse
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from stack import ROOT, StartError, Stack, free_port, port_is_free, wait_for  # noqa: E402
from story import Failure, check_another_dialect, check_the_rest, log_in, log_in_kazoo, say, show  # noqa: E402

HOME = pathlib.Path(os.environ.get("ROLLCALL_QUICKSTART_HOME", ROOT / "build/quickstart")).absolute()
BUILD = ROOT / "build/release"
PID_FILE = HOME / "pid"  # its process id, then those of the parts that it has started
ENV_FILE = HOME / "env"
QUESTIONS = [  # of the registrations, in Yeti's, Voximplant's, Kazoo's and Ribbon's words
    'curl -H "Authorization: Bearer $YETI_TOKEN" $GATEWAY_URL/api/rest/admin/registrations',
    'curl "$GATEWAY_URL/platform_api/GetSipRegistrations?account_id=$VOXIMPLANT_ACCOUNT&api_key=$API_KEY"',
    'curl -H "X-Auth-Token: $KAZOO_TOKEN" $GATEWAY_URL/v2/account/registrations',
    'curl -c COOKIES -d "Username=$YETI_USER&Password=$YETI_PASSWORD" $GATEWAY_URL/rest/login',
    'curl -b COOKIES "$GATEWAY_URL/rest/sipcontactregistrant/65535/sipregistrantentry?details=true"',
]
PORTS = {"gateway": "the REST API", "https": "the same over TLS", "redis": "Redis", "kafka": "the embedded broker",
         "registrar": "Kamailio"}


def arguments():
    p = argparse.ArgumentParser(
        prog="./quickstart", description=__doc__, formatter_class=argparse.RawTextHelpFormatter,
        epilog="ROLLCALL_QUICKSTART_HOME names another folder than build/quickstart, for a second one beside the first.")
    p.add_argument("--check", action="store_true", help="do the same and stop; exit status 0 only if all of it was seen")
    p.add_argument("--detach", action="store_true", help="leave it running in the background")
    p.add_argument("--stop", action="store_true", help="stop what runs in the background or elsewhere")
    for name, what in PORTS.items():
        p.add_argument(f"--{name}-port", type=int, metavar="PORT", help=f"port of {what} (default: one that is free)")
    return p.parse_args()


# ---- one at a time

def end_leftovers(pids):
    """Ends parts that outlived their quick start. A process id alone proves nothing: it may be somebody else's by now."""
    for pid in pids:
        try:
            if os.getsid(pid) == pid and os.readlink(f"/proc/{pid}/cwd") == str(HOME):
                os.killpg(pid, signal.SIGKILL)
        except OSError:
            continue


def running_pid():
    """Process id of the quick start that runs, or None; what is left of one that was killed is removed and said so."""
    try:
        pid, *parts = [int(word) for word in PID_FILE.read_text().split()]
    except (FileNotFoundError, ValueError):
        return None
    try:
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        command = b""
    if b"quickstart.py" in command:
        return pid
    say(f"The last quick start (pid {pid}) is gone without having cleaned up; what it left is removed.")
    end_leftovers(parts)
    PID_FILE.unlink(missing_ok=True)
    ENV_FILE.unlink(missing_ok=True)
    return None


def refuse_a_second():
    pid = running_pid()
    if pid is not None:
        raise Failure(f"A quick start is already running (pid {pid}); `./quickstart --stop` ends it, "
                      f"and {shown(ENV_FILE)} says where it is.")


def shown(path):
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def stop_running():
    pid = running_pid()
    if pid is None:
        say("Nothing is running.")
        return 0
    os.kill(pid, signal.SIGTERM)
    try:
        wait_for(lambda: not PID_FILE.exists(), 60, "the quick start to end", every=0.1)
    except TimeoutError:
        raise Failure(f"Process {pid} did not end within 60 s; see {HOME}/*.log.") from None
    say("Stopped.")
    return 0


# ---- building it

def build():
    """Brings the binaries up to date; raises Failure with the last words of what failed."""
    say("Building …")
    BUILD.parent.mkdir(exist_ok=True)
    log = BUILD.parent / "build.log"
    commands = [["ninja", "-C", BUILD]]
    if not (BUILD / "build.ninja").exists():
        commands.insert(0, ["meson", "setup", BUILD, "--buildtype=release", "-Dwerror=false", "-Dtests=false"])
    with open(log, "wb") as out:
        for command in commands:
            if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False).returncode:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
                raise Failure(f"The build failed; {shown(log)} ends with:\n{tail}")


# ---- running it

def check_ports(options):
    asked = {}
    for name in PORTS:
        port = getattr(options, f"{name}_port")
        if port is None:
            continue
        if not 1 <= port <= 65535:
            raise Failure(f"--{name}-port takes a number from 1 to 65535, not {port}.")
        if port in asked:
            raise Failure(f"--{name}-port and --{asked[port]}-port cannot both be {port}.")
        if not port_is_free(port):
            raise Failure(f"--{name}-port {port} is taken by another process; choose another or leave it out.")
        asked[port] = name


def note(part):
    """Remembers a part that was started, for whoever finds this quick start killed."""
    with open(PID_FILE, "a", encoding="ascii") as f:
        f.write(f" {part.pid}")
    return part


def tls_settings(port):
    """A gateway's listener for TLS, with a certificate of its own making: Voximplant's SDKs speak nothing else."""
    certificate, key = HOME / "certificate.pem", HOME / "certificate-key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "365",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate]
    made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if made.returncode:
        raise Failure(f"openssl made no certificate:\n{made.stderr}")
    return {"ROLLCALL_HTTPS_LISTEN": f"127.0.0.1:{port}", "ROLLCALL_TLS_CERTIFICATE_FILE": str(certificate),
            "ROLLCALL_TLS_KEY_FILE": str(key)}


def start(options):
    for name in ("redis", "redis-aof"):
        shutil.rmtree(HOME / name, ignore_errors=True)
    for name in ("cookies", "voximplant.json"):  # README's names for a session and a key, which ended with the last quick start
        (HOME / name).unlink(missing_ok=True)
    for log in HOME.glob("*.log"):
        if log.name != "quickstart.log":
            log.unlink()
    stack = Stack(HOME, BUILD)
    try:
        say("Starting Redis, the embedded broker, Kamailio, a gateway and a registrant on 127.0.0.1 …")
        note(stack.start_redis(options.redis_port))
        note(stack.start_broker(options.kafka_port))
        kamailio = note(stack.start_kamailio(options.registrar_port))
        tls = tls_settings(options.https_port or free_port())
        note(stack.new_gateway(port=options.gateway_port, env=tls).start())
        note(stack.new_registrant().start())
    except BaseException:
        stack.stop()
        raise
    return stack, kamailio


def write_env(stack, kamailio):
    gateway = stack.gateways[0]
    values = {
        "GATEWAY_URL": gateway.url,
        "GATEWAY_TLS": gateway.env["ROLLCALL_HTTPS_LISTEN"],
        "GATEWAY_CERTIFICATE": gateway.env["ROLLCALL_TLS_CERTIFICATE_FILE"],
        "YETI_TOKEN": log_in(stack),
        "YETI_USER": stack.username,
        "YETI_PASSWORD": stack.password,
        "VOXIMPLANT_ACCOUNT": str(stack.account_number),
        "API_KEY": stack.api_key,
        "KAZOO_TOKEN": log_in_kazoo(stack),
        "PRINCIPALS_FILE": str(stack.principals_file),
        "GATEWAY_PID": str(gateway.pid),
        "KAFKA_BOOTSTRAP": stack.kafka.bootstrap,
        "REDIS_URL": stack.redis.url,
        "REGISTRAR": kamailio.address,
        "REGISTRAR_PASSWORD": stack.sip_password,
        "REGISTRANT_URL": stack.registrants[0].url,
    }
    whole = ENV_FILE.with_suffix(".new")  # so that nobody reads half of it
    whole.touch(mode=0o600)
    whole.write_text("".join(f"{k}={shlex.quote(v)}\n" for k, v in values.items()))
    whole.replace(ENV_FILE)


def stay(stack, kamailio):
    """Until a signal; the token in env is renewed while it runs. A part that ends is said by name."""
    renew = time.monotonic() + 300
    while True:
        for part in stack.parts:
            if not part.running():
                raise Failure(f"{part.name} has ended; see {part.log}.")
        if time.monotonic() > renew:
            write_env(stack, kamailio)
            renew = time.monotonic() + 300
        time.sleep(0.2)


def run(options):
    refuse_a_second()
    check_ports(options)
    build()
    HOME.mkdir(parents=True, exist_ok=True)
    PID_FILE.write_text(str(os.getpid()))
    stack = None
    try:
        stack, kamailio = start(options)
        registration_id, token = show(stack, kamailio)
        if options.check:
            check_the_rest(stack, kamailio, registration_id, token)
            check_another_dialect(stack, kamailio)
            say("\nAll of it was seen.")
            return 0
        say(f"\nIt keeps running; {shown(ENV_FILE)} holds the addresses, tokens and a key. The same in the four dialects:")
        say(f"  . {shown(ENV_FILE)}")
        for line in QUESTIONS:
            say(f"  {line.replace('COOKIES', str(shown(HOME / 'cookies')))}")
        say("Ctrl-C or `./quickstart --stop` ends it.")
        write_env(stack, kamailio)  # after the last word: `--detach` waits for the file
        stay(stack, kamailio)
        return 0
    finally:
        if stack:
            say("Stopping …")
            stack.stop()
        ENV_FILE.unlink(missing_ok=True)
        PID_FILE.unlink(missing_ok=True)


def detach(argv):
    """Runs the same command in the background and shows what it says until it is up."""
    refuse_a_second()
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / "quickstart.log", "wb") as out, open(HOME / "quickstart.log", encoding="utf-8") as log:
        child = subprocess.Popen([sys.executable, __file__, *[a for a in argv if a != "--detach"]], stdout=out,
                                 stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
        while child.poll() is None and not ENV_FILE.exists():
            print(log.read(), end="", flush=True)
            time.sleep(0.1)
        print(log.read(), end="", flush=True)
    if child.poll() is not None:
        return child.returncode or 1
    say(f"\nRunning in the background (pid {child.pid}).")
    return 0


def main():
    options = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup's wish
            signal.signal(number, lambda *_: sys.exit(0))
    try:
        if options.stop:
            return stop_running()
        if options.detach:
            return detach(sys.argv[1:])
        return run(options)
    except (Failure, StartError, TimeoutError) as e:
        print(f"quickstart: {e}", file=sys.stderr, flush=True)
        return 1
    except OSError as e:
        print(f"quickstart: {e.strerror}: {e.filename}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
