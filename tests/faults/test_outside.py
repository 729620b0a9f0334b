"""What stands still while nothing was done to it is written down; what answers in time, or refuses, is not."""
import time

import history as past
import outside


def windows_of(directory, ask, monkeypatch):
    monkeypatch.setattr(outside, "STILL_S", 0.2)
    monkeypatch.setattr(outside, "EVERY_S", 0.01)
    watch = outside.Outside(["kafka-1"], past.Recorder(directory), ask).start()
    deadline = time.monotonic() + 5
    while not (directory / "faults.jsonl").read_text() and time.monotonic() < deadline and not ask.done:
        time.sleep(0.01)
    watch.stop()
    return past.read_windows(directory / "faults.jsonl")


class Broker:
    """Answers its third request after so many seconds, the others at once."""

    def __init__(self, seconds):
        self.seconds, self.asked, self.done = seconds, 0, False

    def __call__(self, _):
        self.asked += 1
        if self.asked == 3:
            time.sleep(self.seconds)
        self.done = self.asked > 5


def test_a_broker_that_stood_still_is_a_window(tmp_path, monkeypatch):
    found = windows_of(tmp_path, Broker(0.4), monkeypatch)
    assert [w.excuses for w in found] == [[["kafka", "all"]]] and 0.4 <= found[0].end - found[0].begin < 5


def test_one_that_answers_is_none(tmp_path, monkeypatch):
    assert not windows_of(tmp_path, Broker(0), monkeypatch)
