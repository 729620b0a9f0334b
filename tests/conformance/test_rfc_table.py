"""docs/RFC.md promises a test for each rule: those that it names are there, and no rule is without."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r"\| (\d+) \| ")
KINDS = re.compile(r"(scenarios?|unit \w+|e2e|conformance) ")
UNIT = re.compile(r"(?:cmocka_unit_test\w*|\bT)\(\s*(\w+)")


def rows():
    """The last cell of each rule's row, by the rule's number."""
    table = (ROOT / "docs/RFC.md").read_text().partition("\n## Departures")[0]
    lines = [line for line in table.splitlines() if ROW.match(line)]
    assert all(line.count(" | ") == 5 for line in lines), [line[:40] for line in lines if line.count(" | ") != 5]
    return {int(ROW.match(line)[1]): line.rpartition(" | ")[2].rstrip(" |") for line in lines}


def existing(kind):
    """The names of all tests of a kind; "unit binding" is one."""
    word, _, module = kind.partition(" ")
    if word.startswith("scenario"):
        return {path.stem for path in (ROOT / "tests/scenario").glob("*.scn")}
    if word == "unit":
        return set(UNIT.findall((ROOT / ("tests/unit/%s_test.c" % module)).read_text()))
    paths = list((ROOT / "tests" / word).glob("test_*.py"))
    return {path.name for path in paths} | {name for path in paths for name in re.findall(r"^def (\w+)", path.read_text(), re.M)}


def test_every_rule_has_a_row():
    assert list(rows()) == list(range(1, 66))


def test_every_test_that_is_named_exists():
    missing = []
    for number, cell in rows().items():
        for part in cell.split("; "):
            kind = KINDS.match(part)
            names = re.findall(r"`([\w.]+)`", part)
            assert (kind and names) or "does not apply" in cell or "those of the rules named" in cell, (number, part)
            missing += [(number, name) for name in names if kind and name not in existing(kind[1])]
    assert missing == []
