"""What ./quickstart tells: one registration from curl to registrar, and with --check its change, disabling and deletion, and
another one that is made in one dialect and seen in the next.

It acts on a Stack that runs, over the same REST API, registrar and topic as anybody would, and believes nothing that it has
not seen there.
"""
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from stack import wait_for

MEDIA_TYPE = "application/vnd.api+json"


class Failure(Exception):
    """What went wrong, as one sentence for the person who typed the command."""


def say(text=""):
    print(text, flush=True)


def call(url, method="GET", body=None, token=None, media_type=MEDIA_TYPE, headers=None):
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body is not None else None)
    request.add_header("Accept", media_type)
    if body is not None:
        request.add_header("Content-Type", media_type)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
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


def log_in_kazoo(stack):
    _, answer = call(stack.gateways[0].url + "/v2/api_auth", "PUT", {"data": {"api_key": stack.api_key}},
                     media_type="application/json")
    return answer["auth_token"]


def voximplant(stack, method, **fields):
    query = urllib.parse.urlencode({"account_id": stack.account_number, "api_key": stack.api_key, **fields})
    _, answer = call(f"{stack.gateways[0].url}/platform_api/{method}?{query}", media_type="application/json")
    if "error" in answer:
        raise Failure(f"{method} was answered {answer['error']}.")
    return answer


def bindings_in_kazoo(stack, token):
    """Ids of the registrations with a live binding."""
    _, answer = call(stack.gateways[0].url + "/v2/account/registrations", media_type="application/json",
                     headers={"X-Auth-Token": token})
    return [entry["authorizing_id"] for entry in answer["data"]]


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


def check_another_dialect(stack, kamailio):
    """A registration made through Voximplant's API is listed by Kazoo's while it is bound, and gone from it when deleted."""
    token = log_in_kazoo(stack)
    made = voximplant(stack, "CreateSipRegistration", sip_username="carol", proxy=kamailio.address, password=stack.sip_password)
    registration_id = str(made["sip_registration_id"])
    wait_for(lambda: registration_id in bindings_in_kazoo(stack, token), 30, "Kazoo's list to hold what Voximplant's API made")
    say(f"\nMade through Voximplant's API, id {registration_id}: Kazoo's list of live bindings has it.")
    voximplant(stack, "DeleteSipRegistration", sip_registration_id=registration_id)
    wait_for(lambda: registration_id not in bindings_in_kazoo(stack, token), 20, "Kazoo's list to be without it")
    say("Deleted there: Kazoo's list has it no more.")
