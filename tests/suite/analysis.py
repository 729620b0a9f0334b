"""cppcheck and clang-tidy over the tree, with the configuration at tests/analysis and .clang-tidy.

cppcheck takes half a minute and keeps what it knows in build/cppcheck. clang-tidy takes minutes: a file is looked at again only
when it, a header that it includes, or the configuration has changed (build/clang-tidy).
"""
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess

from suite.tally import ROOT, say

FOLDERS = ["common", "services", "tests"]
CPPCHECK = ["cppcheck", "-j", "2", "--enable=warning,performance,portability,style", "--inline-suppr", "--std=c11", "--quiet",
            "--library=posix,gnu,openssl,bsd", "--include=/usr/include/x86_64-linux-gnu/sys/queue.h", "-D__GNUC__=12",
            "-D_GNU_SOURCE", "-I", ".", "--suppressions-list=tests/analysis/cppcheck.txt", "--suppress=unmatchedSuppression",
            "--template={file}:{line}: {severity} {id}: {message}", "--error-exitcode=1"]


def count(tally, name, findings):
    tally.add(not findings, bool(findings))
    say(f"{'FAILED' if findings else 'ok    '} {name}")
    if findings:
        say("\n".join(findings))


def cppcheck(tally):
    kept = ROOT / "build/cppcheck"
    kept.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([*CPPCHECK, f"--cppcheck-build-dir={kept}", *FOLDERS], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line]
    count(tally, "cppcheck finds nothing", lines or (["cppcheck failed"] if done.returncode else []))


# ---- clang-tidy


def dependencies(build):
    """Object file -> what it was made of, as ninja knows it."""
    listed = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True).stdout
    found, current = {}, None
    for line in listed.splitlines():
        if line.startswith(" "):
            found[current].append(line.strip())
        elif ":" in line:
            current = line.split(":")[0]
            found[current] = []
    return found


class Digests:
    """Of files of the tree, each read once; the system's headers change with its packages only."""

    def __init__(self, build):
        self.build, self.known = build, {}

    def of(self, path):
        whole = os.path.realpath(os.path.join(self.build, path))
        if not whole.startswith(str(ROOT)):
            return b""
        if whole not in self.known:
            with open(whole, "rb") as f:
                self.known[whole] = hashlib.sha256(f.read()).digest()
        return self.known[whole]


def jobs(build):
    """(source, key of everything that clang-tidy's judgement depends on) of each C file of the tree."""
    digests = Digests(build)
    made_of = dependencies(build)
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout
    rules = b"".join((ROOT / path).read_bytes() for path in (".clang-tidy", "tests/.clang-tidy"))
    seen = set()
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = os.path.relpath(os.path.realpath(os.path.join(entry["directory"], entry["file"])), ROOT)
        if source.startswith("build/") or source in seen:
            continue
        seen.add(source)
        key = hashlib.sha256(version + rules + re.sub(r"\S*\.o(\.d)?", "", entry["command"]).encode())
        for path in sorted(made_of.get(entry["output"], [source])):
            key.update(digests.of(path))
        yield source, key.hexdigest()


def look_at(build, source):
    # gcc's options that clang does not know are of no interest here.
    done = subprocess.run(["clang-tidy", "--quiet", "-p", build, "--extra-arg=-Wno-unknown-warning-option", source], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    found = re.findall(r"^(\S+:\d+):\d+: (?:error|warning): (.*)$", text, re.MULTILINE)
    if done.returncode and not found:
        return [f"{source}: clang-tidy failed: {done.stderr[-500:]}"]
    return [f"{os.path.relpath(os.path.realpath(os.path.join(build, where)), ROOT)}: {what}" for where, what in found]


def clang_tidy(tally, build):
    kept = ROOT / "build/clang-tidy"
    kept.mkdir(parents=True, exist_ok=True)
    pending = [(source, key) for source, key in jobs(build) if not (kept / key).exists()]
    findings = set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for (_, key), found in zip(pending, pool.map(lambda job: look_at(build, job[0]), pending)):
            findings.update(found)
            if not found:
                (kept / key).touch()
    count(tally, f"clang-tidy finds nothing ({len(pending)} files looked at)", sorted(findings))
