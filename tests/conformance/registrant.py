"""The harness as tests use it: one SIP thread in a process of its own, registrations that are wanted of it, and the reports
that it makes.
"""

import copy
import itertools
import json
import pathlib
import re
import subprocess
import threading
import time

LOGGED = re.compile(r"\d{4}-\d\d-\d\dT\S+ \w+ rollcall ")  # what is no report of a sanitizer
POLICY = {"transaction_timeout_s": 2, "registrar_rate": 0, "aor_rate": 0, "move_over_s": 1}


class Registration:
    """One that is wanted. `spec` is as in proto/schemas/spec.json; a secret may be in clear."""

    def __init__(self, registrant, spec):
        self.registrant, self.spec, self.revision = registrant, spec, 1

    @property
    def id(self):
        return self.spec["id"]

    @property
    def user(self):
        return self.spec["username"]

    @property
    def aor(self):
        return "sip:%s@%s" % (self.user, self.spec["domain"].partition(":")[0])

    # ---- what is wanted

    def send(self, desired="keep", **more):
        self.registrant.send({"desired": desired, "revision": self.revision, "spec": self.spec, **more})

    def change(self, **members):
        self.revision += 1
        self.spec = {**self.spec, **members}
        self.send()

    def command(self, name):
        """refresh, flush or audit."""
        self.change(**{name + "_seq": self.spec.get(name + "_seq", 0) + 1})

    def remove(self):
        self.revision += 1
        self.send("remove")

    def forget(self):
        """Without a word to the registrar."""
        self.revision += 1
        self.registrant.send({"desired": "moved", "revision": self.revision, "id": self.id})

    # ---- what is reported

    @property
    def reports(self):
        with self.registrant.changed:
            return list(self.registrant.reports.get(self.id, ()))

    @property
    def report(self):
        """The last one."""
        return self.reports[-1]

    def wait(self, state=None, seconds=8.0, since=0, **members):
        """The first report, from number `since` on, of that state (None: any) and with these members."""
        def fits(report):
            return state in (None, report["state"]) and all(report.get(k) == v for k, v in members.items())

        return self.registrant.wait(lambda: next((r for r in self.reports[since:] if fits(r)), None), seconds,
                                    lambda: "%s %s" % (state or "any state", members or ""), self)

    def wait_cause(self, code, seconds=8.0, since=0):
        """The first report whose cause has that code."""
        return self.registrant.wait(
            lambda: next((r for r in self.reports[since:] if r.get("cause", {}).get("code") == code), None), seconds,
            lambda: "a cause with code %d" % code, self)

    def registered(self, seconds=8.0, since=0):
        return self.wait("registered", seconds, since)


class Registrant:
    """settings: of the harness (settings.c); policy: what differs from POLICY."""

    _ids = itertools.count(1)

    def __init__(self, build, policy=None, **settings):
        self.settings = {"listen": "127.0.0.1", "node": "conformance", "user_agent": "Rollcall", **settings,
                         "policy": {**POLICY, **(policy or {})}}
        self.program = str(pathlib.Path(build) / "tests/conformance/conformance_harness")
        self.changed = threading.Condition(threading.RLock())
        self.reports, self.errors, self.stats_lines = {}, [], []
        self.address = None
        self.ended = self.stopped = self.closed = False
        self._registrations = []

    # ---- life

    def start(self):
        self.child = subprocess.Popen([self.program, json.dumps(self.settings)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
        self._threads = [threading.Thread(target=self._read, daemon=True),
                         threading.Thread(target=self._drain, daemon=True)]
        self.stderr = ""
        for thread in self._threads:
            thread.start()
        self.wait(lambda: self.address or self.ended, 10, lambda: "its start")
        if not self.address:
            raise RuntimeError("the harness did not start: %s %s" % (self.errors, self.stderr))
        return self

    def stop(self):
        """It has to end by itself and well."""
        if self.child.poll() is None:
            self.child.stdin.close()
        try:
            code = self.child.wait(20)
        finally:
            self.child.kill()
        for thread in self._threads:
            thread.join(5)
        self.child.stdout.close()
        self.child.stderr.close()
        said = [line for line in self.stderr.splitlines() if not LOGGED.match(line)]
        assert code == 0 and not said, "the harness ended with %s: %s" % (code, self.stderr[-4000:])
        assert not self.errors, self.errors

    def _read(self):
        for line in self.child.stdout:
            [(key, value)] = json.loads(line).items()
            with self.changed:
                if key == "report":
                    self.reports.setdefault(value["id"], []).append(value)
                elif key == "ready":
                    self.address = value
                elif key == "error":
                    self.errors.append(value)
                elif key == "stats":
                    self.stats_lines.append(value)
                elif key == "stopped":
                    self.stopped = True
                elif key == "closed":
                    self.closed = True
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def _drain(self):
        self.stderr = self.child.stderr.read()

    # ---- use

    @property
    def port(self):
        return int(self.address.rpartition(":")[2])

    def send(self, line):
        self.child.stdin.write(json.dumps(line) + "\n")

    def wait(self, predicate, seconds, what, registration=None):
        until = time.monotonic() + seconds
        with self.changed:
            while True:
                value = predicate()
                if value:
                    return value
                assert not self.ended or self.address is None, "the harness ended: %s" % self.stderr[-4000:]
                left = until - time.monotonic()
                if left <= 0:
                    last = [brief(r) for r in registration.reports[-4:]] if registration else ""
                    raise AssertionError("no %s within %g s; %s %s" % (what(), seconds, last, self.errors[-2:]))
                self.changed.wait(min(left, 0.5))

    def stats(self):
        """A copy is made once a turn of the thread, so what just happened may not be counted yet."""
        before = len(self.stats_lines)
        self.send({"stats": True})
        return self.wait(lambda: self.stats_lines[before:], 5, lambda: "statistics")[0]

    def wait_stats(self, predicate, seconds=5.0):
        until = time.monotonic() + seconds
        while True:
            stats = self.stats()
            if predicate(stats):
                return stats
            assert time.monotonic() < until, stats

    def see_lost(self, close):
        """Calls close(), which ends the only connection there is, and waits until the registrant has seen it. Those of tests
        before this one may still be on their way out."""
        before = self.wait_stats(lambda s: s["connections"] == 1)["lost"]
        close()
        self.wait_stats(lambda s: s["lost"] > before)

    # ---- registrations

    def spec(self, registrar, /, **members):
        """Of a new registration at that registrar, whose password is `secret`."""
        number = next(self._ids)
        user = members.pop("user", "u%d" % number)
        spec = {"id": number, "account": "1", "name": user, "enabled": True, "scheme": "sip", "domain": "example.com",
                "username": user, "credentials": [{"user": user, "secret": "secret"}],
                "contacts": [{"uri": "sip:%s@{local}" % user}], "expires": 600, "transport": "udp",
                "retry_delay_s": 1, "retry_shape": "fixed"}
        if registrar is not None:
            spec["registrar"] = "sip:" + registrar.address
        spec.update(members)
        return {k: v for k, v in spec.items() if v is not None}

    def prepare(self, registrar, /, kept=False, **members):
        """A registration that is not wanted yet. kept: forget_all leaves it."""
        registration = Registration(self, self.spec(registrar, **members))
        if not kept:
            self._registrations.append(registration)
        return registration

    def want(self, registrar, /, last=None, **members):
        """A new one; last: a status, taken over from another owner."""
        registration = self.prepare(registrar, **members)
        registration.send(**({"last": last, "snapshot": True} if last else {}))
        return registration

    def take_over(self, other, **members):
        """One that another Registrant had, from its last report."""
        registration = Registration(self, {**copy.deepcopy(other.spec), **members})
        registration.revision = other.revision
        self._registrations.append(registration)
        registration.send(last=other.report, snapshot=True)
        return registration

    def forget_all(self):
        for registration in self._registrations:
            registration.forget()
        self._registrations = []


def brief(report):
    return {k: report[k] for k in ("state", "cause", "attempt", "next_in_ms", "granted_s", "revision") if k in report}
