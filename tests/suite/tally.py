"""How much passed, failed and was skipped, and how a part runs its tests. Every part of tests/run counts here."""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPORTS = ROOT / "build/reports"
# What a sanitizer finds ends its process, and so fails the test.
# Little is kept of what was freed: tests look at how much memory a process takes.
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:quarantine_size_mb=32",
              "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def skip(self, what, cause):
        print(f"SKIPPED {what}: {cause}", flush=True)
        self.skipped += 1


def say(text):
    print(text, flush=True)


class BuildFailed(Exception):
    """Carries the compiler's words."""


def build(directory, *options, targets=(), environment=None):
    """Sets the build up where it is not, and brings it (or the targets) up to date."""
    whole = {**os.environ, **(environment or {})}
    if not (directory / "build.ninja").exists():
        setup = subprocess.run(["meson", "setup", directory, *options], cwd=ROOT, capture_output=True, text=True,
                               check=False, env=whole)
        if setup.returncode:
            raise BuildFailed(f"{setup.stdout}{setup.stderr}\nThe build in {directory} could not be set up.")
    done = subprocess.run(["ninja", "-C", directory, *targets], capture_output=True, text=True, check=False, env=whole)
    if done.returncode:
        raise BuildFailed(f"{done.stdout[-8000:]}\nThe build in {directory} failed.")


def run_single(tally, name, argv):
    """A check that passes or fails as a whole."""
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    ok = done.returncode == 0
    tally.add(ok, not ok)
    say(f"{'ok    ' if ok else 'FAILED'} {name}")
    if not ok:
        say(done.stdout[-6000:] + done.stderr[-6000:])


def run_executable(test, directory):
    """Runs one of cmocka's executables; returns cmocka's own count of cases passed and failed, the seconds, the output."""
    environment = {**os.environ, **test["env"], **SANITIZERS}
    began = time.monotonic()
    try:
        done = subprocess.run(test["cmd"], cwd=test["workdir"] or directory, env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=test["timeout"] * 4, check=False, errors="replace")
        code, output = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired as e:
        code, output = -1, f"no end after {e.timeout} s"
    passed = sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", output))
    failed = sum(int(n) for n in re.findall(r"\[  FAILED  \] (\d+) test", output))
    if code and not failed:
        failed = 1
    if not code and not passed:
        passed = 1
    return passed, failed, time.monotonic() - began, output


def run_meson_suite(tally, directory, suite, label):
    """Each executable of a suite. Those that mostly wait (suite `waiting`) run six at a time, the others two."""
    listed = subprocess.run(["meson", "introspect", "--tests", directory], capture_output=True, text=True, check=True)
    tests = [t for t in json.loads(listed.stdout) if any(s.endswith(suite) for s in t["suite"])]
    waiting = [t for t in tests if any(s.endswith("waiting") for s in t["suite"])]
    for lanes, group in (2, [t for t in tests if t not in waiting]), (6, waiting):
        with concurrent.futures.ThreadPoolExecutor(lanes) as pool:
            for test, result in zip(group, pool.map(lambda t: run_executable(t, directory), group)):
                passed, failed, seconds, output = result
                tally.add(passed, failed)
                say(f"{'FAILED' if failed else 'ok    '} {label} {test['name']}: {passed} passed"
                    f"{f', {failed} failed' if failed else ''} ({seconds:.1f} s)")
                if failed:
                    say(output[-8000:])


def run_pytest(tally, name, tests, environment, selection, lanes=0, prefix=()):
    """Files and folders; `lanes` files at a time, in as many processes; 0: one after the other in this order. prefix: a command that
    runs another, as unshare does."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    report = REPORTS / f"{name}.xml"
    report.unlink(missing_ok=True)
    argv = [*prefix, "/usr/bin/python3", "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
    if lanes:
        argv += ["-n", str(lanes), "--dist", "loadfile"]
    if selection:
        argv += ["-k", selection]
    done = subprocess.run(argv, cwd=ROOT, env={**os.environ, **environment}, check=False)
    if not report.exists():
        tally.add(0, 1)
        say(f"FAILED {name}: pytest ended with {done.returncode} and no report")
        return
    passed = failed = skipped = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        bad = int(suite.get("failures")) + int(suite.get("errors"))
        skip = int(suite.get("skipped"))
        passed += int(suite.get("tests")) - bad - skip
        failed += bad
        skipped += skip
    if done.returncode not in (0, 1, 5) and not failed:
        failed = 1
    tally.add(passed, failed, skipped)
