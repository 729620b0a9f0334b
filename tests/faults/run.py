"""One run from its beginning to its judgement: everything is created, the writer and the faults do their work, everything is
healed, what comes to rest is looked at, and the checker decides.

It refuses to repair: what does not come to rest within the bound is judged as it is.
"""
import json
import pathlib
import time
import uuid

import confluent_kafka

import checker
import history as past
from api_client import Connection, listing
from faults import fault_of
from outside import Outside
from writer import Writer

REST_S = 150  # bindings of 150 s lapse within, and what a dead registrar could not be told
REST_RULES = ("left_bound", "not_bound", "status_is_wrong", "acknowledged_write_lost", "removal_without_event")
POPS = ("1",)
CLOCK_S = 600  # a clock that is wrong is so by more


class Run:
    """site: started. users, rate, threads, seed: the writer's."""

    def __init__(self, site, seed=0, users=400, rate=24, threads=4):
        self.site, self.seed = site, seed
        self.directory = pathlib.Path(site.directory)
        self.recorder = past.Recorder(self.directory)
        stack = site.stack
        self.writer = Writer([(name, site.admin(name)) for name in site.names("gateway")],
                             {r.name: r.address for r in site.registrars}, self.recorder, stack.username, stack.password,
                             users=users, threads=threads, rate=rate, seed=seed, pops=POPS)
        self.faults, self.began = 0, time.monotonic()
        self.deaths = []

    # ---- the load

    def begin(self):
        """Creates everything, waits until it is bound, then lets the writer go."""
        line = self._line()
        for pop in POPS:
            body = {"data": {"type": "pops", "id": pop, "attributes": {"name": f"pop {pop}"}}}
            answer = line.call("POST", "/pops", body)
            assert answer.status == 201, answer.text
        self.outside = Outside(self.site.kafka_bootstrap.split(","), self.recorder).start()
        self.writer.populate()
        self._rest(60)
        self.writer.go()

    def inject(self, fault, rng):
        """Begins a fault; gives what ends it."""
        self.faults += 1
        number = self.faults
        began = time.monotonic()  # what it excuses is known once it has chosen its victim, and felt before
        fault.begin(self.site, rng)
        self.recorder.begin(number, type(fault).__name__, [list(e) for e in fault.excuses], str(fault), began)

        def end():
            fault.end(self.site)
            self.recorder.end(number, [list(e) for e in fault.excuses])
        return end

    # ---- the end

    def finish(self, quiet_s=12, rest_s=REST_S):
        """The writer ends, all comes to rest; gives the History, which is on disk then, too."""
        self.writer.finish()
        healed = time.monotonic()
        while True:
            rested = self._rest(rest_s - (time.monotonic() - healed))
            final = self._quiet(healed, quiet_s)
            if self._is_quiet(final) or time.monotonic() > healed + rest_s:
                break
        self.outside.stop()
        final.deaths = self._deaths()
        self.recorder.final(final)
        self.rested = rested - healed
        return past.load(self.directory)

    def _quiet(self, healed, seconds):
        """What goes on while nothing is asked for; groups that come together again may still hand over at first."""
        before, begin = self._ends(), time.monotonic()
        time.sleep(seconds)
        end, after = time.monotonic(), self._ends()
        final = self._look(healed)
        final.quiet = {"begin": begin, "end": end, **{kind: after[kind] - before[kind] for kind in after}}
        final.events = self._events()
        return final

    def _is_quiet(self, final):
        history = past.load(self.directory)
        history.final = final
        return not list(checker.rules()["not_quiet"](checker.Evidence(history)))

    def summary(self, history):
        """One line of figures."""
        acked = sum(o.writes and o.outcome == past.ACKED for o in history.operations)
        unknown = sum(o.outcome == past.UNKNOWN for o in history.operations)
        return (f"{len(history.windows)} faults, {acked} writes acknowledged, {unknown} requests without an outcome, "
                f"{len(history.registers)} REGISTERs seen, at rest after {self.rested:.0f} s")

    def _line(self):
        name = self.site.running("gateway")[0]
        return Connection(name, self.site.admin(name), self.writer.login, 30)

    def _rest(self, seconds):
        """Until nothing is to be done any more, as far as that can be seen; when that was."""
        until = time.monotonic() + seconds
        while True:
            history = past.load(self.directory)
            history.final = self._look(time.monotonic())
            history.final.events = self._events()
            evidence = checker.Evidence(history)
            open_ends = [found for name in REST_RULES for found in checker.rules()[name](evidence)]
            if not open_ends or time.monotonic() > until:
                return time.monotonic()
            time.sleep(1)

    def _look(self, healed):
        before = self._bindings()
        shown, statuses = listing(self._line())
        return past.Final(time.monotonic(), healed, shown, statuses, self._bindings(), [], self.site.senders,
                          {r.name: r.address for r in self.site.registrars}, bindings_before=before,
                          wall_offset=time.time() - time.monotonic())

    def _bindings(self):
        return {r.name: r.bindings() for r in self.site.registrars}

    def _deaths(self):
        found = [{"process": text.partition(" ")[0], "text": text} for text in [*self.deaths, *self.site.deaths()]]
        for name in self.site.names("gateway") + self.site.names("registrant"):
            fault = fault_of(self.site.process(name))
            if fault:
                found.append({"process": name, "text": fault})
        return found

    # ---- Kafka

    def _consumer(self):
        return confluent_kafka.Consumer({"bootstrap.servers": self.site.kafka_bootstrap, "group.id": uuid.uuid4().hex,
                                         "enable.auto.commit": False, "fetch.wait.max.ms": 10,
                                         "auto.offset.reset": "earliest", "enable.partition.eof": True})

    def _ends(self):
        """{kind: end offsets of its topics, added up}."""
        consumer = self._consumer()
        try:
            ends = {"changes": 0, "status": 0, "events": 0}
            for topic, metadata in consumer.list_topics(timeout=20).topics.items():
                kind = topic.split(".")[1] if topic.startswith("rollcall.") else None
                for partition in metadata.partitions if kind in ends else ():
                    at = confluent_kafka.TopicPartition(topic, partition)
                    ends[kind] += consumer.get_watermark_offsets(at, timeout=20, cached=False)[1]
            return ends
        finally:
            consumer.close()

    def _time_of(self, message):
        """Of its sending, on the monotonic clock; None where the clock of who sent it was wrong."""
        at = message.timestamp()[1] / 1000 + time.monotonic() - time.time()
        return at if self.began - CLOCK_S < at < time.monotonic() + CLOCK_S else None

    def _events(self):
        consumer, found = self._consumer(), []
        try:
            topic = consumer.list_topics("rollcall.events", timeout=20).topics["rollcall.events"]
            consumer.assign([confluent_kafka.TopicPartition("rollcall.events", p, confluent_kafka.OFFSET_BEGINNING)
                             for p in topic.partitions])
            left = set(topic.partitions)
            while left:
                message = consumer.poll(20)
                if message is None:
                    raise TimeoutError("no answer from rollcall.events")
                if message.error():
                    left.discard(message.partition())
                    continue
                headers = {k: v.decode() for k, v in message.headers() or []}
                found.append({"id": message.key().decode(), "at": self._time_of(message), "ce_id": headers["ce_id"],
                              "what": headers["ce_type"].rpartition(".")[2], "value": json.loads(message.value())})
            return found
        finally:
            consumer.close()
