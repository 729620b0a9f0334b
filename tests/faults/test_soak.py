"""Faults by a seeded schedule while the writer writes, judged by the checker: a short one each time, whose seed is fixed; with
tests/run faults --long as long as is asked for, on three brokers.
"""
import os

import checker
from soak import soak

LONG = os.environ.get("ROLLCALL_FAULTS_LONG") == "1"
SEED = int(os.environ.get("ROLLCALL_FAULTS_SEED", "12"))
MINUTES = float(os.environ.get("ROLLCALL_FAULTS_MINUTES", "15" if LONG else "0.7"))
# The directed cases have the rest.
SHORT = ("KillRegistrant", "FreezeRegistrant", "KillGateway", "FreezeGateway", "KillRedis", "RollRegistrants", "RegistrarDies",
         "RegistrarRefuses", "Split", "StopBroker")


def test_no_promise_is_broken_under_faults(run_directory, build, site_options):
    if LONG:
        brokers = 3 if site_options["kafka"] == "apache" else 1
        size = {"users": 1000, "rate": 30, "quiet_s": 30, "brokers": brokers}
    else:
        size = {"users": 150, "rate": 16, "quiet_s": 8, "kinds": SHORT}
    run, history, violations, begun = soak(run_directory, build, SEED, MINUTES * 60, redis_replica=True, clocks=True,
                                           **size, **site_options)
    print(f"seed {SEED}: {begun}; {run.summary(history)}")
    assert not violations, f"seed {SEED}, everything is in {run_directory}\n{checker.summary(violations)}"
    assert history.windows and history.registers
