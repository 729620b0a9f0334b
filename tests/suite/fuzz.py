"""Every libFuzzer target of tests/fuzz for some seconds, from its committed corpus and from what earlier runs found
(build/fuzz-corpus). A finding stays in build/fuzz-findings, to be put into the corpus once it is mended."""
import concurrent.futures
import json
import re
import subprocess

from suite.tally import ROOT, build, say

BUILD = ROOT / "build/fuzz"
LANES = 2


def targets():
    """Paths below the build."""
    listed = subprocess.run(["meson", "introspect", "--targets", BUILD], capture_output=True, text=True, check=True).stdout
    return sorted(f"tests/fuzz/{t['name']}" for t in json.loads(listed) if t["name"].endswith("_fuzz"))


def number(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def run_target(path, seconds):
    """(name, return code, row of the table, what it said)."""
    name = path.rsplit("/", 1)[1].removesuffix("_fuzz")
    corpus, findings = ROOT / "build/fuzz-corpus" / name, ROOT / "build/fuzz-findings"
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    committed = ROOT / "tests/fuzz/corpus" / name
    done = subprocess.run(["nice", "-n", "10", BUILD / path, f"-max_total_time={seconds}", "-timeout=150", "-rss_limit_mb=3000",
                           "-max_len=8192", "-print_final_stats=1", f"-artifact_prefix={findings}/{name}-", corpus, committed],
                          cwd=ROOT, capture_output=True, text=True, check=False, errors="replace")
    said = done.stdout + done.stderr
    row = (name, number(r"stat::number_of_executed_units: (\d+)", said), len(list(committed.iterdir())),
           number(r"corp: (\d+)/", said), number(r"cov: (\d+)", said), "a finding" if done.returncode else "")
    return name, done.returncode, row, said


def run(tally, seconds):
    say("Building the fuzz targets with clang …")
    build(BUILD, "-Dfuzz=true", "-Dwerror=false", "-Dfault_points=true", environment={"CC": "clang"},
          targets=["services/broker/rollcall-broker"])
    paths = targets()
    build(BUILD, targets=paths)
    say(f"{len(paths)} targets, {seconds} s each, {LANES} at a time")
    say(f"{'target':<14} {'runs':>10} {'committed':>10} {'corpus':>8} {'edges':>7}")
    with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
        for name, code, row, said in pool.map(lambda p: run_target(p, seconds), paths):
            tally.add(not code, bool(code))
            say("{:<14} {:>10} {:>10} {:>8} {:>7} {}".format(*row))
            if code:
                say(f"FAILED fuzz {name}\n{said[-4000:]}")
