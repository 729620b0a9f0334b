"""What every container is run with, read from the files that compose and the image's builder read: no root, no capability, no new
privilege, a read-only root, no secret in an image or an environment. Kafka's root alone is writable: its image writes there."""
import re
import subprocess

import pytest

from compose_file import FORMS, ROOT, secrets, services

WRITABLE_ROOT = re.compile(r"kafka(-\d+)?")
OWN_USER = {"apache/kafka": "its image runs as appuser"}  # images that name a user of their own, as no other here does
SECRET_NAME = re.compile(r"PASSWORD|TOKEN|SECRET|KEY|CREDENTIAL|JAAS", re.I)
ALL = [(form, name) for form in FORMS for name in services(form)]


@pytest.fixture(params=ALL, ids=[f"{form}-{name}" for form, name in ALL])
def service(request):
    form, name = request.param
    return name, services(form)[name]


def test_it_has_no_privilege(service):
    name, s = service
    assert s["cap_drop"] == ["ALL"] and "no-new-privileges:true" in s["security_opt"]
    for member in ("privileged", "cap_add", "devices", "pid", "ipc", "network_mode", "userns_mode", "group_add", "sysctls"):
        assert member not in s, (name, member)
    user = str(s.get("user", ""))
    if not user:
        assert s["image"].partition(":")[0] in OWN_USER, name
    else:
        assert user.split(":")[0] not in ("0", "root"), name


def test_its_root_is_read_only(service):
    name, s = service
    if not WRITABLE_ROOT.fullmatch(name):
        assert s.get("read_only") is True and any(t.startswith("/tmp") for t in s["tmpfs"]), name


def test_it_mounts_nothing_of_the_machine(service):
    """But files of this tree, to be read only."""
    name, s = service
    for volume in s.get("volumes", []):
        source, target, *rest = volume.split(":") if isinstance(volume, str) else (volume["source"], volume["target"])
        assert re.fullmatch(r"[a-z0-9-]+", source) or (source.startswith("./deploy/") and rest == ["ro"]), (name, volume)
        assert "docker.sock" not in target


def test_it_publishes_to_this_machine_alone(service):
    for port in service[1].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", str(port)), port


def test_no_secret_is_in_its_environment_or_command(service):
    name, s = service
    environment = s.get("environment", {})
    pairs = environment.items() if isinstance(environment, dict) else (e.split("=", 1) for e in environment)
    for variable, value in pairs:
        assert not SECRET_NAME.search(variable) or (variable.endswith("_FILE") and str(value).startswith("/run/secrets/")), (name, variable)
    assert not re.search(r"requirepass |--pass|--token", str(s.get("command", "")) + str(s.get("entrypoint", ""))), name


def test_its_image_is_of_a_version(service):
    name, s = service
    assert "build" in s or re.fullmatch(r"[\w./-]+:\d[\w.-]*", s["image"]), (name, s.get("image"))


@pytest.mark.parametrize("form", FORMS)
def test_secrets_are_files_that_git_and_the_builder_leave_out(form):
    known = secrets(form)
    for name, s in services(form).items():
        for secret in s.get("secrets", []):
            assert secret in known, (name, secret)
    assert all(set(s) == {"file"} and s["file"].startswith("./secrets/") for s in known.values())
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*", "all is left out that is not named"
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert not [a for a in allowed if "deploy/compose/secrets".startswith(a.rstrip("/")) or a.startswith((".env", ".git"))]
    ignored = subprocess.run(["git", "-C", str(ROOT), "check-ignore", "deploy/compose/secrets/key-ring", ".env"], capture_output=True, text=True, check=False)
    if ignored.returncode != 128:  # where the tree is a repository
        assert len(ignored.stdout.split()) == 2


def stages():
    found = {}
    for line in re.sub(r"\\\n", " ", (ROOT / "deploy/Dockerfile").read_text()).splitlines():
        if m := re.match(r"FROM (\S+) AS (\S+)", line):
            current = found.setdefault(m[2], {"from": m[1], "lines": []})
        elif line and not line.startswith("#"):
            current["lines"].append(line)
    return found


def test_images_run_as_a_user_and_hold_no_secret():
    made = stages()
    for target in ("rollcall", "registrar"):
        users = [line.split()[1] for line in made[target]["lines"] if line.startswith("USER")]
        assert users and users[-1].split(":")[0] not in ("0", "root") and users[-1][0].isdigit(), target
        last = max(i for i, line in enumerate(made[target]["lines"]) if line.startswith("USER"))
        assert not [line for line in made[target]["lines"][last:] if line.startswith(("RUN", "COPY", "ADD"))]
    for name, stage in made.items():
        for line in stage["lines"]:
            assert not line.startswith("ADD"), line
            assert not (line.startswith(("ENV", "ARG")) and SECRET_NAME.search(line)), line
            assert not re.search(r"curl .*\| *(ba)?sh|--allow-unauthenticated|\[trusted=yes\]|chmod [0-7]*7 ", line), line
        assert stage["from"] in made or re.fullmatch(r"debian:bookworm-slim(@sha256:\w+)?", stage["from"]), name


def test_the_services_that_need_no_more_than_their_image_run_as_one_user():
    for form, name in ALL:
        s = services(form)[name]
        if "build" in s:
            assert s["user"] == "10001:10001", (form, name)
