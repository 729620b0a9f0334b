"""./quickstart: starts Rollcall and what it stands on, shows one registration from curl to registrar, keeps running.

What is running is described in build/quickstart/env, as shell assignments.
"""
import argparse
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from stack import ROOT, StartError, Stack, port_is_free, wait_for  # noqa: E402

HOME = ROOT / "build/quickstart"
PID_FILE = HOME / "pid"
ENV_FILE = HOME / "env"
MEDIA_TYPE = "application/vnd.api+json"


class Failure(Exception):
    """What went wrong, as one sentence for the person who typed the command."""


def say(text=""):
    print(text, flush=True)


def arguments():
    p = argparse.ArgumentParser(prog="./quickstart", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--check", action="store_true", help="do the same and stop; exit status 0 only if all of it was seen")
    p.add_argument("--detach", action="store_true", help="leave it running in the background")
    p.add_argument("--stop", action="store_true", help="stop what runs in the background or elsewhere")
    for name, what in (("gateway", "the REST API"), ("redis", "Redis"), ("kafka", "the embedded broker"),
                       ("registrar", "Kamailio")):
        p.add_argument(f"--{name}-port", type=int, metavar="PORT", help=f"port of {what} (default: one that is free)")
    return p.parse_args()


# ---- one at a time

def running_pid():
    """Process id of the quick start that runs, or None; a stale pid file is removed and said so."""
    try:
        pid = int(PID_FILE.read_text())
    except (FileNotFoundError, ValueError):
        return None
    try:
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        command = b""
    if b"quickstart.py" in command:
        return pid
    say(f"The last quick start (pid {pid}) is gone without having cleaned up; its pid file is removed.")
    PID_FILE.unlink(missing_ok=True)
    ENV_FILE.unlink(missing_ok=True)
    return None


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


# ---- the story

def call(url, method="GET", body=None, token=None):
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body is not None else None)
    request.add_header("Accept", MEDIA_TYPE)
    if body is not None:
        request.add_header("Content-Type", MEDIA_TYPE)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as e:
        raise Failure(f"{method} {url} was answered {e.code}: {e.read().decode(errors='replace')[:500]}") from None


def log_in(stack):
    _, answer = call(stack.gateways[0].url + "/api/rest/admin/auth", "POST",
                     {"auth": {"username": stack.username, "password": stack.password}})
    return answer["jwt"]


def events(stack, registration_id):
    """The events of a registration, read back from Kafka by kcat: a list of (type, value)."""
    done = subprocess.run(["kcat", "-b", stack.kafka.bootstrap, "-C", "-t", "rollcall.events", "-o", "beginning", "-e",
                           "-q", "-f", "%k\t%h\t%s\n", "-X", "fetch.wait.max.ms=10"],
                          capture_output=True, text=True, timeout=30, check=False)
    found = []
    for line in done.stdout.splitlines():
        key, headers, value = line.split("\t", 2)
        if key == registration_id:
            types = [h.split("=", 1)[1] for h in headers.split(",") if h.startswith("ce_type=")]
            found.append((types[0] if types else "?", json.loads(value)))
    return found


def registration(stack, kamailio, name, contact_user):
    return {"data": {"type": "registrations", "attributes": {
        "name": name, "domain": kamailio.address, "username": "alice", "auth-user": "alice",
        "auth-password": stack.sip_password, "contact": f"sip:{contact_user}@127.0.0.1:5090", "expire": 60}}}


def status_of(api, token, registration_id):
    _, answer = call(f"{api}/registrations/{registration_id}/status", token=token)
    return answer["data"]["attributes"]


def show(stack, kamailio):
    """Creates a registration and watches it until the registrar holds it and everybody says so."""
    api = stack.gateways[0].url + "/api/rest/admin"
    token = log_in(stack)
    body = registration(stack, kamailio, "first", "alice")
    shown = json.loads(json.dumps(body))
    shown["data"]["attributes"]["auth-password"] = "…"
    say(f"\n$ curl -X POST {api}/registrations -H 'Authorization: Bearer …' -d '{json.dumps(shown, ensure_ascii=False)}'")
    status, answer = call(f"{api}/registrations", "POST", body, token)
    registration_id = answer["data"]["id"]
    say(f"  {status} Created, id {registration_id}")

    aor = f"alice@{kamailio.address.rpartition(':')[0]}"
    binding = wait_for(lambda: kamailio.bindings(aor), 30, f"Kamailio to hold a binding of {aor}")[0]
    say(f"\n$ kamcmd -s tcp:127.0.0.1:{kamailio.control} ul.lookup location {aor}")
    for key in ("Address", "Expires", "Call-ID", "CSeq", "User-Agent"):
        say(f"  {key}: {binding.get(key, '')}")

    wait_for(lambda: status_of(api, token, registration_id)["state"] == "registered", 20,
             "the API to say `registered`")
    say(f"\n$ curl {api}/registrations/{registration_id}/status")
    state = status_of(api, token, registration_id)
    for key in ("state", "since", "expires-at", "next-action-at", "target", "node"):
        say(f"  {key}: {state.get(key)}")

    say(f"\n$ kcat -b {stack.kafka.bootstrap} -C -t rollcall.events -o beginning")
    wanted = ["rollcall.registration.created", "rollcall.registration.registered"]
    seen = wait_for(lambda: (lambda e: e if [t for t, _ in e][-1:] == wanted[-1:] else None)(
        events(stack, registration_id)), 20, "both events on Kafka", every=0.2)
    for kind, value in seen:
        say(f"  {kind}: {json.dumps({k: value[k] for k in ('id', 'account', 'revision') if k in value})}")
    return registration_id, token


def check_the_rest(stack, kamailio, registration_id, token):
    """What --check adds: a change, a disabling, a deletion, each seen at the registrar."""
    api = stack.gateways[0].url + "/api/rest/admin"
    aor = f"alice@{kamailio.address.rpartition(':')[0]}"

    def put(attributes):
        call(f"{api}/registrations/{registration_id}", "PUT",
             {"data": {"type": "registrations", "id": registration_id, "attributes": attributes}}, token)

    def addresses():
        return [b["Address"] for b in kamailio.bindings(aor)]

    def story():
        return [t.rpartition(".")[2] for t, _ in events(stack, registration_id)]

    def told(kind):
        """A step begins when the one before has been told: else the order of the two stories is anybody's."""
        wait_for(lambda: story()[-1:] == [kind], 20, f"`{kind}` on rollcall.events", every=0.1)

    put({"contact": "sip:bob@127.0.0.1:5090"})
    wait_for(lambda: addresses() == ["sip:bob@127.0.0.1:5090"], 20, "the changed contact at Kamailio")
    told("rebound")
    say("\nContact changed over REST: Kamailio holds sip:bob@127.0.0.1:5090 and nothing else.")
    put({"enabled": False})
    wait_for(lambda: not addresses(), 20, "the binding to go when disabled")
    told("disabled")
    say("Disabled: the binding is gone.")
    put({"enabled": True})
    wait_for(addresses, 20, "the binding to be back when enabled")
    told("registered")
    call(f"{api}/registrations/{registration_id}", "DELETE", token=token)
    wait_for(lambda: not addresses(), 20, "the binding to go when deleted")
    told("removed")
    say("Deleted: the binding is gone.")

    def keys(pattern):
        done = subprocess.run(["redis-cli", "-p", str(stack.redis.port), "--scan", "--pattern", pattern],
                              capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.split()

    def grave():
        return any(subprocess.run(["redis-cli", "-p", str(stack.redis.port), "zscore", key, registration_id],
                                  capture_output=True, text=True, timeout=10, check=True).stdout.strip()
                   for key in keys("rc:{s*}:gone"))

    wait_for(lambda: not keys(f"rc:*:reg:{registration_id}") and grave(), 20, "its keys to go and a grave to be there")
    say("Its keys in Redis are gone; its grave is there.")
    wanted = ["created", "registered", "updated", "rebound", "updated", "disabled", "updated", "registered", "deleted",
              "removed"]
    # `pending` and `unregistering` last a blink where the registrar answers at once; they may or may not be reported.
    if [t for t in story() if t not in ("pending", "unregistering")] != wanted:
        raise Failure(f"rollcall.events tells {story()}, not {wanted}.")
    say("rollcall.events tells the whole story in order: " + ", ".join(story()))


# ---- running it

def check_ports(options):
    for name in ("gateway", "redis", "kafka", "registrar"):
        port = getattr(options, f"{name}_port")
        if port is not None and not 1 <= port <= 65535:
            raise Failure(f"--{name}-port takes a number from 1 to 65535, not {port}.")
        if port is not None and not port_is_free(port):
            raise Failure(f"--{name}-port {port} is taken by another process; choose another or leave it out.")


def start(options):
    for name in ("redis", "redis-aof"):
        shutil.rmtree(HOME / name, ignore_errors=True)
    for log in HOME.glob("*.log"):
        if log.name != "quickstart.log":
            log.unlink()
    stack = Stack(HOME, ROOT / "build/release")
    try:
        say("Starting Redis, the embedded broker, Kamailio, a gateway and a registrant on 127.0.0.1 …")
        stack.start_redis(options.redis_port)
        stack.start_broker(options.kafka_port)
        kamailio = stack.start_kamailio(options.registrar_port)
        stack.new_gateway(port=options.gateway_port).start()
        stack.new_registrant().start()
    except BaseException:
        stack.stop()
        raise
    return stack, kamailio


def write_env(stack, kamailio):
    values = {
        "GATEWAY_URL": stack.gateways[0].url,
        "YETI_TOKEN": log_in(stack),
        "YETI_USER": stack.username,
        "YETI_PASSWORD": stack.password,
        "KAFKA_BOOTSTRAP": stack.kafka.bootstrap,
        "REDIS_URL": stack.redis.url,
        "REGISTRAR": kamailio.address,
        "REGISTRAR_PASSWORD": stack.sip_password,
        "REGISTRANT_URL": stack.registrants[0].url,
    }
    ENV_FILE.touch(mode=0o600)
    ENV_FILE.write_text("".join(f"{k}={shlex.quote(v)}\n" for k, v in values.items()))


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
    pid = running_pid()
    if pid is not None:
        raise Failure(f"A quick start is already running (pid {pid}); `./quickstart --stop` ends it, "
                      f"and build/quickstart/env says where it is.")
    check_ports(options)
    HOME.mkdir(parents=True, exist_ok=True)
    PID_FILE.write_text(str(os.getpid()))
    stack = None
    try:
        stack, kamailio = start(options)
        registration_id, token = show(stack, kamailio)
        if options.check:
            check_the_rest(stack, kamailio, registration_id, token)
            say("\nAll of it was seen.")
            return 0
        write_env(stack, kamailio)
        say(f"\nIt keeps running; {ENV_FILE.relative_to(ROOT)} holds the addresses and a token:")
        say("  . build/quickstart/env; curl -H \"Authorization: Bearer $YETI_TOKEN\" "
            "$GATEWAY_URL/api/rest/admin/registrations")
        say("  Ctrl-C or `./quickstart --stop` ends it.")
        stay(stack, kamailio)
        return 0
    finally:
        if stack:
            say("Stopping …")
            stack.stop()
        ENV_FILE.unlink(missing_ok=True)
        PID_FILE.unlink(missing_ok=True)


def detach(argv):
    """Runs the same command in the background and waits until it is up."""
    pid = running_pid()
    if pid is not None:
        raise Failure(f"A quick start is already running (pid {pid}); `./quickstart --stop` ends it.")
    HOME.mkdir(parents=True, exist_ok=True)
    log = HOME / "quickstart.log"
    with open(log, "wb") as out:
        child = subprocess.Popen([sys.executable, __file__, *[a for a in argv if a != "--detach"]], stdout=out,
                                 stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
    while child.poll() is None and not ENV_FILE.exists():
        time.sleep(0.1)
    print(log.read_text(), end="", flush=True)
    if child.poll() is not None:
        return child.returncode or 1
    say(f"\nRunning in the background (pid {child.pid}).")
    return 0


def main():
    sys.stdout.reconfigure(errors="replace")
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        if options.stop:
            return stop_running()
        if options.detach:
            return detach(sys.argv[1:])
        return run(options)
    except (Failure, StartError, TimeoutError) as e:
        print(f"quickstart: {e}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
