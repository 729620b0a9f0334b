"""What the journal of the benchmarks' registrar (tests/bench/registrar_journal.h) says of a take-over or a restart: what lapsed,
what was sent before it was due. Pure: it knows nothing of what the system under test counts of itself.

A refresh is due from 90 % of the lifetime less its margin on (15 % of it, at least 60 s, at most half). What comes before that
was sent because of the take-over, whatever the cause. What repeats a CSeq is a retransmission and is counted as that.
"""
import collections
import struct

RECORD = struct.Struct("=QQQIIII")
CHALLENGED, BOUND, REMOVED, FETCHED = range(4)
UNREPORTED_S = 0.1  # what was bound in so short a time before a death may not have been reported: nobody can know of it
SLACK_S = 0.5  # between the sending of a request, from which a lifetime counts, and its arrival at a registrar that is busy

Register = collections.namedtuple("Register", "at aor call_id cseq granted kind port")


def read(path):
    """The journal as Registers, by address of record and then by time in seconds of the monotonic clock."""
    with open(path, "rb") as journal:
        rows = [Register(us / 1e6, *rest) for us, *rest in RECORD.iter_unpack(journal.read())]
    return sorted(rows, key=lambda r: (r.aor, r.at, r.cseq))


def due_after(granted):
    return 0.9 * (granted - min(max(0.15 * granted, 60), granted / 2)) - SLACK_S


class Verdict:
    def __init__(self):
        self.registrations = self.registers = self.challenged = self.retransmitted = 0
        self.early = self.lapsed = self.removed = self.cseq_not_rising = self.other_call_ids = 0
        self.early_reported = 0  # of the early: what was bound long enough before the death
        self.late_s = 0.0  # the longest that a binding was refreshed after 100 % of the time at which it was to be
        self.left_s = float("inf")  # the shortest that a binding still had when it was refreshed
        self.first_early = None

    def figures(self):
        kept = {k: v for k, v in vars(self).items() if k != "first_early"}
        return {**kept, "late_s": round(self.late_s, 1), "left_s": round(self.left_s, 1)}


def judge_one(rows, since, until, verdict):
    """rows: those of one address of record, by time. What is sent from `since` to `until` is judged."""
    bound = before = None
    verdict.registrations += 1
    for row in rows:
        judged = since <= row.at <= until
        if before and (row.call_id, row.cseq) == (before.call_id, before.cseq):
            verdict.retransmitted += judged
            continue
        if judged:
            verdict.registers += 1
            verdict.challenged += row.kind == CHALLENGED
            verdict.removed += row.kind == REMOVED
            answers_challenge = before and before.kind == CHALLENGED
            if bound and not answers_challenge:
                age = row.at - bound.at
                if age < due_after(bound.granted):
                    verdict.early += 1
                    verdict.early_reported += bound.at < since - UNREPORTED_S
                    verdict.first_early = verdict.first_early or (bound, row)
                verdict.late_s = max(verdict.late_s, age - (due_after(bound.granted) + SLACK_S) / 0.9)
                verdict.left_s = min(verdict.left_s, bound.granted - age)
            if before and row.call_id != before.call_id:
                verdict.other_call_ids += 1
            elif before and row.cseq <= before.cseq:
                verdict.cseq_not_rising += 1
        if bound and row.kind == BOUND and judged and row.at - bound.at > bound.granted:
            verdict.lapsed += 1
        if row.kind == BOUND:
            bound = row
        before = row
    if bound and until - bound.at > bound.granted:
        verdict.lapsed += 1


def judge(rows, since, until):
    """rows: as read() gives them. A Verdict on what was sent from `since` to `until`, seconds of the monotonic clock."""
    verdict, first = Verdict(), 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or rows[i].aor != rows[first].aor:
            judge_one(rows[first:i], since, until, verdict)
            first = i
    return verdict
