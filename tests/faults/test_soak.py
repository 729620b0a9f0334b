"""Faults by a seeded schedule while the writer writes, judged by the checker: a short one each time, whose seed is fixed; with
tests/run faults --long as long as is asked for, on three brokers.
"""
import os

import checker
from soak import soak

LONG = os.environ.get("ROLLCALL_FAULTS_LONG") == "1"
SEED = int(os.environ.get("ROLLCALL_FAULTS_SEED", "5"))
MINUTES = float(os.environ.get("ROLLCALL_FAULTS_MINUTES", "15" if LONG else "1"))


def test_no_promise_is_broken_under_faults(run_directory, build, site_options):
    if LONG and site_options["kafka"] == "apache":
        site_options = {**site_options, "brokers": 3}
    run, history, violations, begun = soak(run_directory, build, SEED, MINUTES * 60, users=1000 if LONG else 200,
                                           rate=30 if LONG else 16, quiet_s=30 if LONG else 8, redis_replica=True, clocks=True,
                                           **site_options)
    print(f"seed {SEED}: {begun}; {run.summary(history)}")
    assert not violations, f"seed {SEED}, everything is in {run_directory}\n{checker.summary(violations)}"
    assert history.windows and history.registers
