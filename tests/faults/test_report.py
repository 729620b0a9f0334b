"""What docs/FAULTS.md counts is as many, cases and scenarios that it names are there (paths: tests/documents), and each promise and each
row of the threat model has a row of its own."""
import pathlib
import re

import checker
import injections
import soak

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/FAULTS.md").read_text(encoding="utf-8")


def rows(text, first):
    """Cells of each row of the table whose header begins so."""
    for line in text.split(f"\n{first}", 1)[1].split("\n")[2:]:
        if not line.startswith("| "):
            return
        yield [cell.strip() for cell in line.strip("| ").split(" | ")]


def test_cases_and_scenarios_that_it_names_are_there():
    known = {path.stem for path in (ROOT / "tests/scenario").rglob("*.scn")}
    for path in (p for folder in ("unit", "contract", "e2e", "faults") for p in (ROOT / "tests" / folder).iterdir() if p.suffix in (".py", ".c")):
        known.update(re.findall(r"^(?:def test_|static void )(\w+)\(", path.read_text(encoding="utf-8"), re.M))
    named = re.findall(r"`((?!rollcall_)[a-z_]\w{11,})(…?)`", TEXT)
    assert len(named) > 15
    assert [name for name, cut in named if name not in known and not (cut and any(k.startswith(name) for k in known))] == []


def test_what_it_counts_is_as_many():
    fuzz_targets = [p.name for p in (ROOT / "tests/fuzz").glob("*_fuzz.c")]
    wanted = {"rules": (rf"Each of its {len(checker.rules())}\s+rules",), "kinds of faults": (rf"{len(injections.KINDS)} kinds of faults",),
              "targets": (rf"\| {len(fuzz_targets)} targets",)}
    assert [what for what, (pattern,) in wanted.items() if not re.search(pattern, TEXT)] == []


def test_each_soak_has_as_many_faults_as_its_seed():
    told = re.findall(r"(?m)^\| (\d+), ([\d.]+) minutes(, three brokers)?(, embedded broker)?[^|]*\| (\d+) \|", TEXT)
    assert told
    for seed, minutes, three, embedded, count in told:
        plan = soak.planned(int(seed), float(minutes) * 60, "embedded" if embedded else "apache", 3 if three else 1)
        assert sum(plan.values()) == int(count), seed


def test_each_row_of_the_threat_model_has_its_own():
    told = list(rows(TEXT, "| | row | tried |"))
    threats = list(rows((ROOT / "SECURITY.md").read_text(encoding="utf-8"), "| asset |"))
    assert [row[0] for row in told] == [str(i + 1) for i in range(len(threats))]
    assert all(len(row) == 4 and all(row) for row in told)
    for row, threat in zip(told, threats):
        assert threat[0].startswith(row[1].partition(":")[0]), row


def test_each_promise_says_what_is_promised_and_how_often_it_was_attacked():
    told = list(rows(TEXT, "| event | promised |"))
    assert len(told) >= 8 and all(len(row) == 4 and all(row) for row in told)
    assert all(re.search(r"\d", row[2]) for row in told)
