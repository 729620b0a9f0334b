"""Builds and runs the whole test suite, or the parts named on the command line, and adds up what passed.

Parts, in order: layers, format, unit, scenario, sanitizers (unit and scenario again under AddressSanitizer and UBSan),
conformance (the registrant's SIP against a scriptable registrar, and that registrar itself),
contract (where npm is present, also with the published client of the Voximplant API), e2e (on the embedded broker),
e2e-kafka (the same on a real Apache Kafka, where Java and Maven are present).
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/tests"
BUILD_SANITIZED = ROOT / "build/sanitized"
REPORTS = ROOT / "build/reports"
# End-to-end tests mostly wait: for refreshes, sessions and time-outs. Each file has a world of its own.
E2E_LANES = 2
CONFORMANCE_LANES = 3  # its files mostly wait


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


def build(directory, *options):
    """Sets the build up where it is not, and brings it up to date."""
    if not (directory / "build.ninja").exists():
        setup = subprocess.run(["meson", "setup", directory, *options], cwd=ROOT, capture_output=True, text=True,
                               check=False)
        if setup.returncode:
            raise BuildFailed(f"{setup.stdout}{setup.stderr}\nThe build in {directory} could not be set up.")
    done = subprocess.run(["ninja", "-C", directory], capture_output=True, text=True, check=False)
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
    environment = {**os.environ, **test["env"], "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
                   "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
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
    """Each executable of a suite. Those that mostly wait (suite `waiting`) run three at a time, the others one by one."""
    listed = subprocess.run(["meson", "introspect", "--tests", directory], capture_output=True, text=True, check=True)
    tests = [t for t in json.loads(listed.stdout) if any(s.endswith(suite) for s in t["suite"])]
    waiting = [t for t in tests if any(s.endswith("waiting") for s in t["suite"])]
    for lanes, group in (1, [t for t in tests if t not in waiting]), (3, waiting):
        with concurrent.futures.ThreadPoolExecutor(lanes) as pool:
            for test, result in zip(group, pool.map(lambda t: run_executable(t, directory), group)):
                passed, failed, seconds, output = result
                tally.add(passed, failed)
                say(f"{'FAILED' if failed else 'ok    '} {label} {test['name']}: {passed} passed"
                    f"{f', {failed} failed' if failed else ''} ({seconds:.1f} s)")
                if failed:
                    say(output[-8000:])


def run_pytest(tally, name, folders, environment, selection, lanes=0):
    """`lanes` files at a time, in as many processes; 0: one after the other in this order."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    report = REPORTS / f"{name}.xml"
    report.unlink(missing_ok=True)
    argv = ["/usr/bin/python3", "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", f"--junitxml={report}",
            *folders]
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


def part_layers(tally, _):
    run_single(tally, "layers: every folder includes only what its place allows", ["tests/layers", str(BUILD)])


def part_format(tally, _):
    files = sorted(p for top in ("common", "services", "tests") for p in (ROOT / top).rglob("*.[ch]"))
    run_single(tally, "format: clang-format leaves every file as it is", ["clang-format", "--dry-run", "--Werror", *files])


def part_unit(tally, _):
    run_meson_suite(tally, BUILD, "unit", "unit")


def part_scenario(tally, _):
    run_meson_suite(tally, BUILD, "scenario", "scenario")


def part_sanitizers(tally, _):
    # Warnings are errors in the other build; what the sanitizers put in makes gcc warn of what cannot be.
    build(BUILD_SANITIZED, "-Dwerror=false", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dfault_points=true")
    run_meson_suite(tally, BUILD_SANITIZED, "unit", "sanitized unit")
    run_meson_suite(tally, BUILD_SANITIZED, "scenario", "sanitized scenario")


def part_conformance(tally, options):
    run_pytest(tally, "conformance", ["tests/peers", "tests/conformance"], {"ROLLCALL_TEST_BUILD": str(BUILD)}, options.k,
               CONFORMANCE_LANES)


def part_contract(tally, options):
    run_pytest(tally, "contract", ["tests/contract"], {"ROLLCALL_TEST_BUILD": str(BUILD)}, options.k)


def part_e2e(tally, options):
    run_pytest(tally, "e2e", ["tests/e2e"], {"ROLLCALL_TEST_BUILD": str(BUILD), "ROLLCALL_TEST_KAFKA": "embedded"},
               options.k, E2E_LANES)


def part_e2e_kafka(tally, options):
    sys.path.insert(0, str(ROOT / "tests/peers"))
    import kafka  # only here: it asks for Java and Maven
    cause = kafka.unavailable()
    if cause:
        tally.skip("e2e-kafka, the end-to-end suite on a real Apache Kafka", cause)
        return
    run_pytest(tally, "e2e-kafka", ["tests/e2e"], {"ROLLCALL_TEST_BUILD": str(BUILD), "ROLLCALL_TEST_KAFKA": "apache"},
               options.k, E2E_LANES)


PARTS = {
    "layers": part_layers,
    "format": part_format,
    "unit": part_unit,
    "scenario": part_scenario,
    "sanitizers": part_sanitizers,
    "conformance": part_conformance,
    "contract": part_contract,
    "e2e": part_e2e,
    "e2e-kafka": part_e2e_kafka,
}


def run_parts(tally, options):
    """A build that fails is one failure; what does not need it still runs."""
    say("Building …")
    try:
        build(BUILD, "-Dfault_points=true")
    except BuildFailed as e:
        tally.add(0, 1)
        say(f"FAILED build\n{e}")
        return
    for name, part in PARTS.items():
        if options.parts and name not in options.parts:
            continue
        say(f"== {name}")
        began = time.monotonic()
        try:
            part(tally, options)
        except (BuildFailed, OSError, subprocess.SubprocessError) as e:
            tally.add(0, 1)
            say(f"FAILED {name}\n{e}")
        say(f"   {name} took {time.monotonic() - began:.0f} s")


def main():
    parser = argparse.ArgumentParser(prog="tests/run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of: {', '.join(PARTS)} (default: all)")
    parser.add_argument("-k", metavar="EXPRESSION",
                        help="only the conformance, contract and e2e tests that pytest's -k selects")
    options = parser.parse_args()
    unknown = [p for p in options.parts if p not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    tally = Tally()
    run_parts(tally, options)
    say(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
