"""Looking at a process, and saying what was seen: one JSON object a line."""
import json
import os
import pathlib

TICKS = os.sysconf("SC_CLK_TCK")


def report(**figures):
    print(json.dumps(figures), flush=True)


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise KeyError("VmRSS")


def percentiles(samples, *wanted):
    ordered = sorted(samples)
    return [ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))] for p in wanted]
