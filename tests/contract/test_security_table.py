"""SECURITY.md promises a test for each threat: those that it names are there. What it says of comparisons and of Kafka's rights is what
the code and the test with a real Kafka say."""
import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def table(first):
    """Rows of the table whose header's first cell is that."""
    lines = TEXT.split(f"\n| {first} |", 1)[1].split("\n")[2:]
    rows = []
    for line in lines:
        if not line.startswith("| "):
            return rows
        rows.append([cell.strip() for cell in line.strip("| ").split(" | ")])
    return rows


def exists(path, name):
    file = ROOT / path
    if not file.is_file():
        return False
    text = file.read_text(encoding="utf-8")
    if path.endswith(".scn"):
        return not name
    if path.endswith(".c"):
        return f"static void {name}(void **state)" in text
    return re.search(rf"^def {re.escape(name)}\(", text, re.M) is not None


def test_every_threat_has_a_measure_and_a_test_that_exists():
    rows, missing = table("asset"), []
    assert len(rows) > 30
    for row in rows:
        assert len(row) == 5 and all(row), row
        assert re.fullmatch(r"[1-7](, [1-7])*", row[1]), row
        named = re.findall(r"`([^`]+)`", row[4])
        assert named, row
        missing += [n for n in named if not exists(*(n.split("::") if "::" in n else (n, "")))]
    assert missing == []


def test_every_boundary_has_a_row():
    assert {b for row in table("asset") for b in row[1].split(", ")} == set("1234567")


def sources():
    return [p for folder in ("services/gateway", "common") for p in (ROOT / folder).rglob("*.c")]


def test_secrets_are_compared_in_constant_time():
    """The files that SECURITY.md names compare so; and nobody compares what is called a secret in another way."""
    listed = {re.search(r"`([^`]+)`", row[1])[1] for row in table("secret")}
    assert listed == {str(p.relative_to(ROOT)) for p in sources() if "CRYPTO_memcmp(" in p.read_text(encoding="utf-8")}
    plain = re.compile(r"\b(memcmp|strcmp|strncmp|str_eq|str_eq_cstr|str_ieq|str_ieq_cstr)\(([^;]*)")
    secret = re.compile(r"(?<![a-z_])(csrf|password|api_key|token_secret|snapshot_token|signature|digest)(?![a-z_]*(_of|_is))\b")
    of_none = re.compile(r'"[^"]*"')
    found = [f"{p.relative_to(ROOT)}: {m[0]}" for p in sources() if "/auth/" in str(p) or p.name in ("session.c", "login.c", "token.c", "snapshot.c", "check.c")
             for m in plain.finditer(p.read_text(encoding="utf-8")) if secret.search(of_none.sub("", m[2].split("\n")[0]))]
    assert found == []


def test_the_rights_at_kafka_are_those_that_a_real_kafka_was_given():
    tree = ast.parse((ROOT / "tests/e2e/test_kafka_secured.py").read_text(encoding="utf-8"))
    names = {t.id: n.value for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    pair = next(n.value for n in tree.body if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Tuple)).elts
    users = dict(zip(("GATEWAY", "REGISTRANT"), (ast.literal_eval(e) for e in pair)))
    given = set()
    for entry in names["ALLOWED"].elts:
        user, resource, operations = users[entry.elts[0].id], ast.literal_eval(entry.elts[1]), ast.literal_eval(entry.elts[2])
        kind, name = re.fullmatch(r"--(topic|group)=(.*)", resource[0]).groups()
        given.add((user, kind, name + ("*" if len(resource) > 1 else ""), tuple(sorted(operations))))
    told = {(row[0], *re.fullmatch(r"(topic|group) `([^`]+)`", row[1]).groups(), tuple(sorted(row[2].split(", ")))) for row in table("user")
            if row[0].startswith("rollcall-")}
    assert told == given
