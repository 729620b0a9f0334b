"""Whether Kafka answers at all, as somebody sees it who is no part of Rollcall: on a machine that is busy with other things brokers stand
still for seconds, groups come apart, and nothing of that was done by a fault of the schedule. It is written down as one.

It refuses to look at anything but how long its own requests take.
"""
import threading
import time

import confluent_kafka

STILL_S = 3.0  # half of the session that a site's registrants have
EVERY_S = 0.5
NUMBERS = 1_000_000  # of its windows, apart from those of the schedule


class Outside:
    """brokers: addresses. recorder: of the run. ask: waits for an answer of a broker; for tests."""

    def __init__(self, brokers, recorder, ask=None):
        self.recorder, self.ask = recorder, ask or self._ask
        self._stop, self._lock, self._windows = threading.Event(), threading.Lock(), 0
        self._threads = [threading.Thread(target=self._watch, args=(broker,), daemon=True) for broker in brokers]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(STILL_S)

    def _watch(self, broker):
        while not self._stop.wait(EVERY_S):
            began = time.monotonic()
            self.ask(broker)
            if time.monotonic() - began > STILL_S:
                self._note(broker, began)

    def _note(self, broker, began):
        with self._lock:
            self._windows += 1
            number = NUMBERS + self._windows
        self.recorder.begin(number, "StoodStill", [["kafka", "all"]], f"broker {broker}", began)
        self.recorder.end(number)

    @staticmethod
    def _ask(broker):
        """A broker that refuses is one that a fault stopped: that is known already."""
        client = confluent_kafka.Consumer({"bootstrap.servers": broker, "group.id": "outside", "log_level": 0,
                                           "reconnect.backoff.max.ms": 200})
        try:
            client.list_topics(timeout=20)
        except confluent_kafka.KafkaException:
            pass
        finally:
            client.close()
