"""Builds and runs the whole test suite, or the parts named on the command line, and adds up what passed.

Parts, in order:
  layers       every folder includes only what its place allows; documents name what there is
  format       clang-format leaves every file as it is
  analysis     cppcheck finds nothing; named on the command line, clang-tidy (some minutes) finds nothing either
  unit, scenario
  sanitizers   unit and scenario again under AddressSanitizer and UBSan
  conformance  the registrant's SIP against a scriptable registrar, and that registrar itself
  contract     every dialect row by row, on a gateway under AddressSanitizer and UBSan; where npm is present, also with the published
               client of the Voximplant API; some of it again on a Redis Cluster
  e2e          the whole system on the embedded broker, under AddressSanitizer and UBSan
  e2e-kafka    the same on a real Apache Kafka, where Java and Maven are present
  tsan         both services and their threads under ThreadSanitizer, in some end-to-end files
  faults       everything is broken while it works, and a checker judges (tests/faults/README.md); for longer with --long
"""
import argparse
import subprocess
import sys
import time

from suite import analysis, coverage, fuzz
from suite.tally import ROOT, SANITIZERS, BuildFailed, Tally, build, run_meson_suite, run_pytest, run_single, say

BUILD = ROOT / "build/tests"
BUILD_SANITIZED = ROOT / "build/sanitized"
BUILD_TSAN = ROOT / "build/tsan"
# End-to-end tests mostly wait: for refreshes, sessions and time-outs. Each file has a world of its own.
E2E_LANES = 3
CONTRACT_LANES = 2
CONFORMANCE_LANES = 3  # its files mostly wait
# What is waited for may take so much longer than on an idle machine (deploy/local/stack.py): other work runs beside the suite.
PATIENCE = {"ROLLCALL_TEST_PATIENCE": "3"}
# Files in which threads meet: SIP threads, event loops, the bus, librdkafka's; starts, stops, outages.
CLUSTER_FILES = ["tests/contract/test_one_model.py", "tests/contract/test_kazoo_registrations.py"]  # all dialects, and jobs
TSAN_FILES = ["tests/e2e/test_registrant.py", "tests/e2e/test_outages.py", "tests/e2e/test_four_dialects.py"]


def part_layers(tally, _):
    run_single(tally, "layers: every folder includes only what its place allows, and files stay readable", ["tests/layers", str(BUILD)])
    run_single(tally, "documents: they name what there is, and list all settings and metrics", ["tests/documents", str(BUILD)])


def part_format(tally, _):
    files = sorted(p for top in ("common", "services", "tests") for p in (ROOT / top).rglob("*.[ch]"))
    run_single(tally, "format: clang-format leaves every file as it is", ["clang-format", "--dry-run", "--Werror", *files])


def part_analysis(tally, options):
    analysis.cppcheck(tally)
    if "analysis" in options.parts:
        analysis.clang_tidy(tally, BUILD)


def part_unit(tally, _):
    run_meson_suite(tally, BUILD, "unit", "unit")


def part_scenario(tally, _):
    run_meson_suite(tally, BUILD, "scenario", "scenario")


def build_sanitized():
    # Warnings are errors in the other build; what the sanitizers put in makes gcc warn of what cannot be.
    build(BUILD_SANITIZED, "-Dwerror=false", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dfault_points=true")


def part_sanitizers(tally, _):
    build_sanitized()
    run_meson_suite(tally, BUILD_SANITIZED, "unit", "sanitized unit")
    run_meson_suite(tally, BUILD_SANITIZED, "scenario", "sanitized scenario")


def part_conformance(tally, options):
    run_pytest(tally, "conformance", ["tests/peers", "tests/conformance"], {"ROLLCALL_TEST_BUILD": str(options.build), **PATIENCE},
               options.k, CONFORMANCE_LANES)


def part_contract(tally, options):
    directory = options.build_sanitized()
    run_pytest(tally, "contract", ["tests/contract"], {"ROLLCALL_TEST_BUILD": str(directory), **SANITIZERS, **PATIENCE}, options.k,
               CONTRACT_LANES)
    run_pytest(tally, "contract-cluster", CLUSTER_FILES,
               {"ROLLCALL_TEST_BUILD": str(directory), "ROLLCALL_TEST_REDIS": "cluster", **SANITIZERS, **PATIENCE}, options.k, CONTRACT_LANES)


def part_e2e(tally, options):
    directory = options.build_sanitized()
    run_pytest(tally, "e2e", ["tests/e2e"],
               {"ROLLCALL_TEST_BUILD": str(directory), "ROLLCALL_TEST_KAFKA": "embedded", **SANITIZERS, **PATIENCE}, options.k, E2E_LANES)


def part_e2e_kafka(tally, options):
    sys.path.insert(0, str(ROOT / "tests/peers"))
    import kafka  # only here: it asks for Java and Maven
    cause = kafka.unavailable()
    if cause:
        tally.skip("e2e-kafka, the end-to-end suite on a real Apache Kafka", cause)
        return
    run_pytest(tally, "e2e-kafka", ["tests/e2e"], {"ROLLCALL_TEST_BUILD": str(BUILD), "ROLLCALL_TEST_KAFKA": "apache", **PATIENCE},
               options.k, E2E_LANES)


def part_faults(tally, options):
    """In a network and a mount namespace of its own where that may be had: its cases cut, delay and lose packets."""
    sys.path.insert(0, str(ROOT / "tests/peers"))
    import kafka  # only here: it asks for Java and Maven, and must do so while there is a network
    kafka.unavailable()
    own = ["unshare", "--net", "--mount"]
    if subprocess.run([*own, "true"], capture_output=True, check=False).returncode:
        say("no namespaces here: all processes are on loopback, and what needs a network to break is skipped")
        own = []
    asked = {"ROLLCALL_FAULTS_LONG": "1" if options.long else "0", "ROLLCALL_FAULTS_SEED": options.seed,
             "ROLLCALL_FAULTS_MINUTES": options.minutes}
    run_pytest(tally, "faults", ["tests/faults"],
               {"ROLLCALL_TEST_BUILD": str(BUILD), **{k: str(v) for k, v in asked.items() if v is not None}}, options.k,
               prefix=own)


def part_tsan(tally, options):
    build(BUILD_TSAN, "-Dwerror=false", "-Db_sanitize=thread", "-Db_lundef=false", "-Dfault_points=true", "-Dtests=false")
    run_pytest(tally, "tsan", TSAN_FILES,
               {"ROLLCALL_TEST_BUILD": str(BUILD_TSAN), "ROLLCALL_TEST_KAFKA": "embedded", **PATIENCE,
                "TSAN_OPTIONS": f"suppressions={ROOT}/tests/tsan/suppressions history_size=4 second_deadlock_stack=1"},
               options.k, E2E_LANES)


PARTS = {
    "layers": part_layers,
    "format": part_format,
    "analysis": part_analysis,
    "unit": part_unit,
    "scenario": part_scenario,
    "sanitizers": part_sanitizers,
    "conformance": part_conformance,
    "contract": part_contract,
    "e2e": part_e2e,
    "e2e-kafka": part_e2e_kafka,
    "tsan": part_tsan,
    "faults": part_faults,
}


def run_part(tally, name, part, options):
    """A build that fails is one failure; what does not need it still runs."""
    say(f"== {name}")
    began = time.monotonic()
    try:
        part(tally, options)
    except (BuildFailed, OSError, subprocess.SubprocessError) as e:
        tally.add(0, 1)
        say(f"FAILED {name}\n{e}")
    say(f"   {name} took {time.monotonic() - began:.0f} s")


def run_parts(tally, options):
    def sanitized():
        build_sanitized()
        return BUILD_SANITIZED

    options.build, options.build_sanitized = BUILD, sanitized
    say("Building …")
    try:
        build(BUILD, "-Dfault_points=true")
    except BuildFailed as e:
        tally.add(0, 1)
        say(f"FAILED build\n{e}")
        return
    for name, part in PARTS.items():
        if not options.parts or name in options.parts:
            run_part(tally, name, part, options)


def run_coverage(tally, options):
    """unit, scenario, conformance, contract and e2e on a build that counts lines."""
    say("Building for gcov …")
    build(coverage.BUILD, "-Db_coverage=true", "-Dwerror=false", "-Dfault_points=true")
    coverage.forget()
    options.build, options.build_sanitized = coverage.BUILD, lambda: coverage.BUILD
    run_meson_suite(tally, coverage.BUILD, "unit", "unit")
    run_meson_suite(tally, coverage.BUILD, "scenario", "scenario")
    for name in ["conformance", "contract", "e2e"]:
        run_part(tally, name, PARTS[name], options)
    coverage.judge(tally)


def main():
    parser = argparse.ArgumentParser(prog="tests/run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of: {', '.join(PARTS)} (default: all)")
    parser.add_argument("-k", metavar="EXPRESSION",
                        help="only those tests of conformance, contract, e2e, tsan and faults that pytest's -k selects")
    parser.add_argument("--fuzz", metavar="SECONDS", type=int, nargs="?", const=60,
                        help="instead: every fuzz target for so many seconds (60), built with clang")
    parser.add_argument("--long", action="store_true", help="faults: three brokers, and as long as --minutes says (15)")
    parser.add_argument("--seed", type=int, help="faults: of the schedule; the one of a failed run is in its message")
    parser.add_argument("--minutes", type=float, help="faults: how long they come and go")
    parser.add_argument("--coverage", action="store_true",
                        help="instead: which lines unit, scenario, conformance, contract and e2e run, by folder; fails below "
                             f"{coverage.LEAST_PERCENT} %% where it is judged")
    options = parser.parse_args()
    unknown = [p for p in options.parts if p not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    tally = Tally()
    if options.fuzz is not None:
        run_part(tally, "fuzz", lambda t, o: fuzz.run(t, o.fuzz), options)
    elif options.coverage:
        run_part(tally, "coverage", run_coverage, options)
    else:
        run_parts(tally, options)
    say(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
