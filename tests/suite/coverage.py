"""Which lines the tests run: a build for gcov, the suites on it, a table by folder. The folders that are judged must have nine lines in
ten run. What is not compiled into the services (tests, generated code) is not counted."""
import collections
import json
import subprocess

from suite.tally import REPORTS, ROOT, say

BUILD = ROOT / "build/coverage"
LEAST_PERCENT = 90
JUDGED = ["common", "services/registrant/core", "services/gateway/dialect", "services/gateway/yeti", "services/gateway/voximplant",
          "services/gateway/kazoo", "services/gateway/ribbon"]


def forget():
    """What earlier runs counted."""
    for path in BUILD.rglob("*.gcda"):
        path.unlink()


def lines_of_files():
    """Path -> (lines, lines that were run)."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    report = REPORTS / "coverage.json"
    subprocess.run(["gcovr", "-r", ROOT, "--object-directory", BUILD, "-j", "2", "--filter", "common/", "--filter", "services/",
                    "--exclude-unreachable-branches", "--json-summary", report, BUILD], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    return {f["filename"]: (f["line_total"], f["line_covered"]) for f in json.loads(report.read_text())["files"]}


def percent(pair):
    return 100 * pair[1] / pair[0] if pair[0] else 100


def judge(tally):
    files = lines_of_files()
    folders = collections.defaultdict(lambda: [0, 0])
    for path, (total, covered) in files.items():
        folder = path.rsplit("/", 1)[0]
        for name in {folder, *(j for j in JUDGED if path.startswith(j + "/"))}:
            folders[name][0] += total
            folders[name][1] += covered
    say(f"{'folder':<34} {'lines':>7} {'run':>7} {'':>7}")
    for name in sorted(folders):
        low = name in JUDGED and percent(folders[name]) < LEAST_PERCENT
        say(f"{name:<34} {folders[name][0]:>7} {folders[name][1]:>7} {percent(folders[name]):>6.1f} %"
            f"{' judged' if name in JUDGED else ''}{', TOO LOW' if low else ''}")
        if name in JUDGED:
            tally.add(not low, low)
    say("Files with the most lines that were not run:")
    for path, pair in sorted(files.items(), key=lambda f: f[1][1] - f[1][0])[:25]:
        say(f"  {path:<50} {pair[0] - pair[1]:>4} of {pair[0]} ({percent(pair):.0f} %)")
