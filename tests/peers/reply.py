"""What the scriptable registrar sends back to one request, and how: at once or late, once or twice, whole or in pieces, in
order or not, from the right port or another.

A script's step is a status, "drop", "normal", a function of the request that gives a step, or a dictionary:
    status       without one the registrar decides itself, and the rest says how that is sent
    headers      a dictionary or pairs; of a status that is given
    reason, body
    delay        seconds before it is sent
    provisional  statuses that are sent before, at once: [100]
    copies       how often it is sent; gap: seconds between copies or segments
    segment      over a stream, so many bytes at a time
    hold         it waits for Registrar.release()
    other_port   over UDP, from another port
    received     (ip, port) that the Via says the request came from
    edit         a function of the bytes that gives the bytes to send, or a list of them
    close        "fin", "rst" or "notify": the connection is closed after it; with "status": None in its place
"""

import time

from sip_message import REASONS

KEYS = {"status", "headers", "reason", "body", "delay", "provisional", "copies", "gap", "segment", "hold", "other_port",
        "received", "edit", "close"}


class Reply:
    """status None: nothing is sent."""

    def __init__(self, status, headers=(), reason=None, body="", delay=0.0, provisional=(), copies=1, gap=0.0, segment=None,
                 hold=False, other_port=False, received=None, edit=None, close=None):
        self.status = status
        self.headers = list(headers.items() if isinstance(headers, dict) else headers)
        self.reason = reason if reason is not None else REASONS.get(status, "Answer")
        self.body = body
        self.delay, self.provisional, self.copies, self.gap = delay, provisional, copies, gap
        self.segment, self.hold, self.other_port = segment, hold, other_port
        self.received, self.edit, self.close = received, edit, close

    def take(self, step):
        """The rest of a step without a status."""
        for key in KEYS - {"status", "headers", "reason", "body"}:
            if key in step:
                setattr(self, key, step[key])
        self.headers += list(dict(step.get("headers", {})).items())
        return self


def reply_of(step, request, decide, challenge):
    """The Reply that a step means, or None for nothing. decide: a function that gives the registrar's own. challenge: of
    a status, that gives the Reply with its challenges, or None where it has none."""
    if callable(step):
        step = step(request)
    if step is None or step == "normal":
        return decide()
    if step == "drop":
        return None
    if isinstance(step, int):
        step = {"status": step}
    unknown = set(step) - KEYS
    if unknown:
        raise ValueError("a step has no %s" % ", ".join(sorted(unknown)))
    if "status" not in step:
        return decide().take(step)
    if step["status"] in (401, 407) and "headers" not in step:
        reply = challenge(step["status"])
        if reply:
            return reply.take(step)
    return Reply(**step)


class Delivery:
    """One answer on its way: bytes, by the way that the request came."""

    def __init__(self, reply, way, messages, before):
        self.reply, self.way, self.messages, self.before = reply, way, messages, before

    def send_before(self):
        for message in self.before:
            self._send(message)

    def send(self):
        for copy in range(max(self.reply.copies, 1)):
            if copy and self.reply.gap:
                time.sleep(self.reply.gap)
            for message in self.messages:
                self._send(message)
        if self.reply.close:
            self.way.close(self.reply.close)

    def _send(self, message):
        if self.reply.other_port:
            self.way.listener.send_udp(message, self.way.source, other_port=True)
        else:
            self.way.send(message, self.reply.segment, self.reply.gap)

