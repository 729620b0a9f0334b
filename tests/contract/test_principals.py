"""Accounts, users, keys and roles: the command that makes them, the gateway that reads them again, roles and limits
as the Yeti dialect shows them (docs/PRINCIPALS.md)."""
import base64
import hashlib
import json
import os
import pathlib
import pty
import select
import signal
import subprocess
import threading
import time

import pytest
from conftest import BUILD, Api, make_token
from stack import crypted, wait_for

COMMAND = pathlib.Path(BUILD) / "services/gateway/principals/rollcall-principals"
FAILED_LOGINS = 6
RATE = 20
GATEWAY = {"ROLLCALL_FAILED_LOGINS": str(FAILED_LOGINS), "ROLLCALL_REQUEST_RATE": str(RATE), "ROLLCALL_TRUST_FORWARDED": "true"}
SECRET = "0123456789abcdef0123456789abcdef"
ROLES = ["owner", "admin", "developer", "supervisor", "accountant", "support"]


def PRINCIPALS(document):
    hashed = document["users"][0]["password"]
    for i, role in enumerate(ROLES):
        document["users"].append({"id": 1000 + i, "username": f"the-{role}", "account": f"of-{role}", "password": hashed, "roles": [role]})


# ---- the command

class File:
    def __init__(self, directory):
        self.directory, self.path = directory, directory / "principals.json"

    def run(self, subcommand, *options, stdin="", env=None):
        return subprocess.run([COMMAND, subcommand, str(self.path), *options], input=stdin, capture_output=True, text=True,
                              timeout=30, cwd=self.directory, env={**os.environ, **(env or {})})

    def good(self, *arguments, **more):
        done = self.run(*arguments, **more)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    def refused(self, *arguments, status=1, **more):
        before = self.path.read_bytes() if self.path.exists() else None
        done = self.run(*arguments, **more)
        assert done.returncode == status and done.stdout == ""
        assert (self.path.read_bytes() if self.path.exists() else None) == before
        assert not list(self.directory.glob("principals.json.*")), "a temporary file is left"
        return done.stderr

    @property
    def json(self):
        return json.loads(self.path.read_text())


@pytest.fixture
def file(tmp_path):
    f = File(tmp_path)
    f.good("account", "--name", "acme", "--number", "42", "--realm", "acme.example")
    return f


def test_an_account_makes_the_file_for_its_owner_alone(file):
    assert file.path.stat().st_mode & 0o7777 == 0o600
    file.good("account", "--name", "shop", "--parent", "acme", "--title", "The Shop", "--phone-number", "+4930",
              "--hex-id", "00112233445566778899aabbccddeeff", "--system")
    assert file.json["accounts"] == [
        {"name": "acme", "number": 42, "realm": "acme.example"},
        {"name": "shop", "title": "The Shop", "hex_id": "00112233445566778899aabbccddeeff", "phone_number": "+4930",
         "parent": "acme", "system": True}]
    assert file.good("check") == "ok: 2 accounts, 0 users, 0 keys\n"


def test_a_file_that_is_there_keeps_its_mode_and_what_the_command_does_not_know(file):
    document = file.json
    document["accounts"][0]["voximplant"] = {"subscription_price": 1.50}
    file.path.write_text(json.dumps(document))
    file.path.chmod(0o640)
    file.good("account", "--name", "shop")
    assert file.path.stat().st_mode & 0o7777 == 0o640
    assert '"voximplant":{"subscription_price":1.5}' in file.path.read_text()


def test_a_link_to_the_file_stays_one(file):
    link = file.directory / "link.json"
    link.symlink_to(file.path)
    subprocess.run([COMMAND, "account", link, "--name", "shop"], check=True, capture_output=True)
    assert link.is_symlink() and len(file.json["accounts"]) == 2


def test_a_users_hashes_are_of_the_password_and_of_kazoos_digests(file):
    assert file.good("user", "--account", "acme", "--username", "ann", stdin="sécret pass\n") == "added the user ann with the id 1\n"
    user = file.json["users"][0]
    pair = "ann:sécret pass".encode()
    for member, text in [("password", "sécret pass"), ("credentials_md5", hashlib.md5(pair).hexdigest()),
                         ("credentials_sha", hashlib.sha1(pair).hexdigest())]:
        assert user[member].startswith(("$y$", "$6$"))
        assert crypted(text, user[member]) == user[member]
    assert len({user["password"], user["credentials_md5"], user["credentials_sha"]}) == 3
    assert {k: user[k] for k in user if k in ("id", "username", "account", "roles")} == {"id": 1, "username": "ann", "account": "acme"}


def test_a_user_gets_the_next_id_or_the_one_that_is_asked_for(file):
    file.good("user", "--account", "acme", "--username", "a", "--id", "7", "--role", "support", "--role", "developer",
              "--allow-ip", "192.0.2.0/24", stdin="x")
    file.good("user", "--account", "acme", "--username", "b", stdin="x")
    assert [(u["id"], u.get("roles"), u.get("allowed_ips")) for u in file.json["users"]] == [
        (7, ["support", "developer"], ["192.0.2.0/24"]), (8, None, None)]


def test_a_terminal_is_asked_twice_and_shows_nothing(file):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(COMMAND, [str(COMMAND), "user", str(file.path), "--account", "acme", "--username", "ann"])
    seen = b""

    def read_until(mark):
        nonlocal seen
        while mark not in seen:
            assert select.select([fd], [], [], 20)[0], seen
            seen += os.read(fd, 1024)
    read_until(b"Password: ")
    os.write(fd, b"hidden\n")
    read_until(b"Again: ")
    os.write(fd, b"hidden\n")
    read_until(b"added the user ann")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(fd)
    assert b"hidden" not in seen
    hashed = file.json["users"][0]["password"]
    assert crypted("hidden", hashed) == hashed


def test_an_api_key_is_printed_once_and_kept_as_its_digest(file):
    key = file.good("api-key", "--account", "acme", "--id", "k1", "--role", "admin").strip()
    assert len(key) == 64 and set(key) <= set("0123456789abcdef")
    assert file.json["keys"] == [{"id": "k1", "account": "acme", "roles": ["admin"],
                                  "api_key_sha256": hashlib.sha256(key.encode()).hexdigest()}]
    assert file.good("api-key", "--account", "acme").strip() != key


def test_a_key_pair_is_what_voximplants_clients_take(file):
    file.good("key", "--account", "acme", "--role", "owner", "--email", "a@b.example", "--credentials", "out.json")
    out = file.directory / "out.json"
    given, kept = json.loads(out.read_text()), file.json["keys"][0]
    assert out.stat().st_mode & 0o7777 == 0o600
    assert list(given) == ["account_email", "account_id", "key_id", "private_key"]
    assert given["account_id"] == 42 and given["account_email"] == "a@b.example" and given["key_id"] == kept["id"]
    assert given["private_key"].startswith("-----BEGIN PRIVATE KEY-----\n")  # PKCS#8: contract voximplant 2
    public = subprocess.run(["openssl", "pkey", "-pubout"], input=given["private_key"], capture_output=True, text=True, check=True)
    assert public.stdout == kept["public_key"]
    text = subprocess.run(["openssl", "pkey", "-text", "-noout"], input=given["private_key"], capture_output=True, text=True)
    assert "2048 bit" in text.stdout
    assert "File exists" in file.refused("key", "--account", "acme", "--credentials", "out.json")
    assert json.loads(out.read_text()) == given


def test_a_refused_key_leaves_no_credentials(file):
    file.good("api-key", "--account", "acme", "--id", "k1")
    assert "keys[1].id stands twice" in file.refused("key", "--account", "acme", "--id", "k1", "--credentials", "out.json")
    assert not (file.directory / "out.json").exists()


def test_a_token_is_the_one_the_gateway_would_give(file):
    file.good("user", "--account", "acme", "--username", "ann", stdin="x")
    (file.directory / "secret").write_text(SECRET + "\n")
    for env in ({"ROLLCALL_TOKEN_SECRET": SECRET}, {"ROLLCALL_TOKEN_SECRET_FILE": str(file.directory / "secret"),
                                                    "ROLLCALL_NODE": "another setting of the gateway"}):
        token = file.good("token", "--username", "ann", "--lifetime", "0", env=env).strip()
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        assert claims == {"sub": 1, "aud": ["admin"]}
    assert "ROLLCALL_TOKEN_SECRET" in file.refused("token", "--username", "ann")
    assert "32 bytes" in file.refused("token", "--username", "ann", env={"ROLLCALL_TOKEN_SECRET": "short"})
    assert "no user bob" in file.refused("token", "--username", "bob", env={"ROLLCALL_TOKEN_SECRET": SECRET})


@pytest.mark.parametrize("arguments, cause", [
    (["account", "--name", "acme"], "accounts[1].name"),
    (["account", "--name", "b", "--number", "42"], "accounts[1].number"),
    (["account", "--name", "b", "--number", "x"], "--number takes a number"),
    (["account", "--name", "b", "--realm", "ACME.example"], "accounts[1].realm"),
    (["account", "--name", "b", "--parent", "nobody"], "accounts[1].parent names no account"),
    (["account", "--name", "b", "--parent", "b"], "circle"),
    (["user", "--account", "amce", "--username", "ann"], "no account amce"),
    (["user", "--account", "acme", "--username", "ann", "--role", "boss"], "users[0].roles[0]"),
    (["user", "--account", "acme", "--username", "ann", "--allow-ip", "here"], "users[0].allowed_ips[0]"),
    (["user", "--account", "acme", "--username", "ann", "--id", "0"], "users[0].id"),
    (["api-key", "--account", "acme", "--id", "k" * 65], "keys[0].id"),
])
def test_what_does_not_fit_changes_nothing(file, arguments, cause):
    assert cause in file.refused(*arguments, stdin="x\n")


def test_an_empty_password_is_none(file):
    assert "password" in file.refused("user", "--account", "acme", "--username", "ann", stdin="\n")
    assert "password" in file.refused("user", "--account", "acme", "--username", "ann", stdin="")


@pytest.mark.parametrize("arguments, cause", [
    (["account"], "needs --name"), (["account", "--name"], "takes a value"), (["account", "--nam", "x"], "does not take --nam"),
    (["account", "--name", "a", "--name", "b"], "stands twice"), (["check", "another"], "does not take another"),
    (["user", "--account", "acme"], "needs --username"), (["key", "--account", "acme"], "needs --credentials"),
    (["frobnicate"], "the first argument is"),
])
def test_a_mistake_on_the_command_line_is_status_2(file, arguments, cause):
    assert cause in file.refused(*arguments, status=2)


def test_help_names_every_subcommand(file):
    text = file.good("--help")
    for word in ["account", "user", "key", "api-key", "token", "check", "--credentials", "--lifetime", "Exit status"]:
        assert word in text


@pytest.mark.parametrize("text, cause", [
    ('{\n"users": [\n}', "line 3: "),
    ('{"users": [{"id": 1, "username": "a", "password": "$6$x", "account": "b", "role": ["support"]}]}', "users[0].role is not"),
])
def test_a_bad_file_is_named_with_its_place_and_not_changed(file, text, cause):
    file.path.write_text(text)
    for arguments in (["check"], ["account", "--name", "x"]):
        error = file.refused(*arguments)
        assert cause in error and str(file.path) in error


def test_commands_at_the_same_time_lose_nothing(file):
    threads = [threading.Thread(target=file.good, args=("account", "--name", f"a{i}")) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {a["name"] for a in file.json["accounts"]} == {"acme"} | {f"a{i}" for i in range(12)}


# ---- the gateway reads the file again

def reload(world, text, log):
    """Puts the text in the file's place, has it read again, and waits for what the log says then."""
    before = world.gateway.log_text().count(log)
    world.stack.principals_file.write_text(text)
    world.gateway.signal(signal.SIGHUP)
    wait_for(lambda: world.gateway.log_text().count(log) > before, 10, log)


@pytest.fixture
def original(world):
    text = world.stack.principals_file.read_text()
    yield text
    reload(world, text, "principals read again")


def test_a_user_that_the_command_added_logs_in_after_a_hangup(world, original):
    f = File(world.stack.directory)
    f.path = world.stack.principals_file
    f.good("account", "--name", "new", "--number", "9")
    f.good("user", "--account", "new", "--username", "newcomer", stdin="their password")
    login = {"auth": {"username": "newcomer", "password": "their password"}}
    headers = {"Content-Type": "application/json", "Authorization": None, "Accept": None, "X-Forwarded-For": "192.0.2.200"}
    anybody = Api(world.gateway.port, "")
    assert anybody.call("POST", "/auth", login, headers).status == 401
    reload(world, f.path.read_text(), "principals read again")
    answer = anybody.call("POST", "/auth", login, headers)
    assert answer.status == 201
    assert Api(world.gateway.port, answer.json["jwt"]).get("/registrations").status == 200
    token = f.good("token", "--username", "newcomer", env={"ROLLCALL_TOKEN_SECRET": world.stack.token_secret}).strip()
    assert Api(world.gateway.port, token).get("/registrations").status == 200


def test_a_token_of_a_removed_user_stops_working_at_once(world, original):
    api = world.api()
    assert api.get("/registrations").status == 200
    document = json.loads(original)
    document["users"] = document["users"][:1]
    reload(world, json.dumps(document), "principals read again")
    assert api.get("/registrations").status == 401


def test_a_role_that_was_taken_away_is_gone_at_once(world, original):
    api = world.api()
    assert api.post(api.required()).status == 201
    document = json.loads(original)
    for user in document["users"]:
        user["roles"] = ["support"]
    reload(world, json.dumps(document), "principals read again")
    assert api.post(api.required()).status == 403
    assert api.get("/registrations").status == 200


@pytest.mark.parametrize("text, cause", [
    ("{", "line 1: "),
    ("", "the text is empty"),
    ("{\n\"users\": [\n{\"id\": 1,\n \"id\": 2}]}", "line 4: the key \"id\" stands twice"),
    ("{\"users\": [{\"id\": 1}]}", "users[0].username takes"),
    ('{"users": [\n{"id": 1, "username": "a", "password": "$6$x", "account": "a",\n"roles": [\n"owner", "king"]}]}',
     "line 4: users[0].roles[1] takes"),
    ('{"users": [\n{"id": 1, "rols[": 2}]}', "line 2: users[0].rols[ is not a member"),
    ("{\"usres\": []}", "usres is not a member that is known here"),
    ("{\"accounts\": [{\"name\": \"a\", \"parent\": \"a\"}]}", "accounts[0].parent leads into a circle"),
    ('{"accounts": [{"name": "a", "parent": "b"}]}', "accounts[0].parent names no account"),
    ('{"accounts": [{"name": "a", "number": 1}, {"name": "b", "number": 1}]}', "accounts[1].number is another account's too"),
    ('{"accounts": [{"name": "a", "voximplant": 5}]}', "accounts[0].voximplant takes an object"),
    ('{"keys": [{"id": "k", "account": "a", "public_key": "x"}]}', "keys[0].public_key takes a public key in PEM"),
    ('{"keys": [{"id": "k", "account": "a", "api_key_sha256": "zz"}]}', "keys[0].api_key_sha256 takes 64 hexadecimal digits"),
    ('{"keys": [{"id": "k", "account": "a", "roles": []}]}', "keys[0]."),
    ("[]", "the file takes an object"), ("\ufeff{}", "line 1: "),
])
def test_a_bad_file_is_refused_whole_in_one_line_and_the_old_one_stays(world, original, text, cause):
    api = world.api()
    assert api.get("/registrations").status == 200
    before = len(world.gateway.log_text().splitlines())
    reload(world, text, "principals not read again")
    lines = [line for line in world.gateway.log_text().splitlines()[before:] if "principals" in line]
    assert len(lines) == 1 and cause in lines[0]
    assert str(world.stack.principals_file) in lines[0]
    assert api.get("/registrations").status == 200


def test_no_request_is_dropped_while_the_file_is_read_again(world, original):
    stop, statuses = threading.Event(), []

    def ask(api):
        while not stop.is_set():
            statuses.append(api.get("/registrations").status)
            time.sleep(1 / RATE)
    asking = [threading.Thread(target=ask, args=(world.api(),)) for _ in range(4)]
    for t in asking:
        t.start()
    for _ in range(10):
        reload(world, original, "principals read again")
    stop.set()
    for t in asking:
        t.join()
    assert len(statuses) > 10 and set(statuses) == {200}


# ---- roles, as Yeti's routes show them

def user_of(world, role):
    return Api(world.gateway.port, make_token(world.stack.token_secret, {
        "sub": 1000 + ROLES.index(role), "aud": ["admin"], "exp": int(time.time()) + 600}))


FORBIDDEN = [("403", "The user's roles do not allow this.", None)]


@pytest.mark.parametrize("role", ROLES)
def test_everybody_reads_and_owner_admin_and_developer_write_registrations(world, role):
    api = user_of(world, role)
    for path in ("/registrations", "/pops", "/nodes", "/transport-protocols"):
        assert api.get(path).status == 200
    answer = api.post(api.required())
    if role in ("owner", "admin", "developer"):
        id = answer.data["id"]
        assert answer.status == 201 and api.patch(id, {"name": f"by-{role}"}).status == 200
        assert api.call("DELETE", f"/registrations/{id}").status == 204
        return
    assert answer.status == 403 and answer.errors == FORBIDDEN and answer.titles == ["Forbidden"]
    for method, path in [("PATCH", "/registrations/1"), ("PUT", "/registrations/1"), ("DELETE", "/registrations/1"),
                         ("PATCH", "/registrations/1/relationships/pop"), ("DELETE", "/registrations/1/relationships/pop")]:
        assert api.call(method, path, None if method == "DELETE" else {"data": None}).status == 403


@pytest.mark.parametrize("role", ROLES)
def test_owner_and_admin_write_the_deployment(world, role):
    api = user_of(world, role)
    id = 5000 + ROLES.index(role)
    answer = api.call("POST", "/pops", {"data": {"type": "pops", "id": str(id), "attributes": {"name": f"pop of {role}"}}})
    if role in ("owner", "admin"):
        assert answer.status == 201
        assert api.call("DELETE", f"/pops/{id}").status == 204
        return
    assert answer.status == 403 and answer.errors == FORBIDDEN
    for method, path in [("POST", "/nodes"), ("PATCH", "/pops/1"), ("DELETE", "/pops/1"), ("PUT", "/nodes/1"),
                         ("DELETE", "/nodes/1"), ("PATCH", "/nodes/1/relationships/pop")]:
        assert api.call(method, path, None if method == "DELETE" else {"data": None}).status == 403


# ---- limits

def test_requests_beyond_the_rate_are_429_and_others_are_not_touched(world):
    fast, slow = world.api(), world.api()
    answers = [fast.get("/registrations") for _ in range(4 * RATE)]
    statuses = [a.status for a in answers]
    assert statuses[:2 * RATE] == [200] * (2 * RATE) and set(statuses) == {200, 429}
    late = next(a for a in answers if a.status == 429)
    assert late.errors == [("429", "Too many requests of this user.", None)] and late.titles == ["Too Many Requests"]
    assert int(late.header("retry-after")) >= 1
    assert slow.get("/registrations").status == 200
    wait_for(lambda: fast.get("/registrations").status == 200, 10, "the bucket to fill")


def login(world, username, password, address):
    return Api(world.gateway.port, "").call("POST", "/auth", {"auth": {"username": username, "password": password}}, {
        "Content-Type": "application/json", "Authorization": None, "Accept": None, "X-Forwarded-For": address})


def test_failed_logins_of_a_name_are_429_from_everywhere(world):
    name, password = "user2", world.stack.password
    for i in range(FAILED_LOGINS):
        assert login(world, name, "wrong", f"198.51.100.{i}").status == 401
    answer = login(world, name, password, "198.51.100.99")
    assert answer.status == 429 and answer.errors == [("429", "Too many failed logins.", None)]
    assert 1 <= int(answer.header("retry-after")) <= 60 // FAILED_LOGINS + 1
    assert login(world, "user3", password, "198.51.100.99").status == 201


def test_failed_logins_from_an_address_are_429_for_every_name(world):
    for i in range(FAILED_LOGINS):
        assert login(world, f"stranger{i}", "wrong", "203.0.113.1").status == 401
    assert login(world, "user4", world.stack.password, "203.0.113.1").status == 429
    assert login(world, "user4", world.stack.password, "203.0.113.2").status == 201


def test_logins_that_succeed_cost_nothing(world):
    for _ in range(3 * FAILED_LOGINS):
        assert login(world, "user5", world.stack.password, "203.0.113.9").status == 201
