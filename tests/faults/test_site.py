"""What a site knows of its processes: one that crashes when it is told to end is not forgotten with its next start."""
import signal
import subprocess

from fault_site import Site

ENDS = {"well": "trap 'exit 0' TERM", "ill": "trap 'kill -ABRT $$' TERM"}


class Shell:
    def __init__(self, name):
        self.name, self.child = name, None

    def start(self):
        self.child = subprocess.Popen(["sh", "-c", f"ulimit -c 0; {ENDS[self.name]}; echo; while :; do sleep 0.01; done"],
                                      stdout=subprocess.PIPE)
        self.child.stdout.readline()

    def stop(self, seconds):
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(seconds)

    def running(self):
        return self.child is not None and self.child.poll() is None


def test_a_crash_at_the_end_is_known_after_the_next_start():
    site = Site.__new__(Site)
    site.down, site.crashes, site.processes = set(), [], {name: Shell(name) for name in ENDS}
    for name in ENDS:
        site.begin(name)
        site.restart(name)
    assert site.deaths() == [f"ill was told to end and did so by signal {signal.SIGABRT:d}"]
    site.end("well")
    site.end("ill")
    assert len(site.deaths()) == 2
