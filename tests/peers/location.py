"""The location service of the scriptable registrar: RFC 3261 10.3 steps 6 to 8, with outbound (RFC 5626), GRUU (RFC 5627),
Path (RFC 3327), Service-Route (RFC 3608), P-Associated-URI (RFC 7315) and bulk contacts (RFC 6140) where they are on.
"""

import dataclasses
import re
import secrets
import time

from reply import Reply
from sip_message import aor_of

TOO_BRIEF_BELOW_S = 3600  # 423 is for less than an hour only (RFC 3261 10.3 step 7)


def is_bulk(uri):
    return re.search(r";bnc(?=;|$)", uri) is not None


@dataclasses.dataclass
class Binding:
    uri: str
    params: dict
    call_id: str
    cseq: int
    expires_at: float  # monotonic
    source: tuple
    transport: str
    path: list

    @property
    def expires_in(self):
        return self.expires_at - time.monotonic()

    def text(self, uri=None, extra=None):
        params = {**self.params, **(extra or {})}
        params.pop("expires", None)
        written = "".join(";%s=%s" % (k, v) if v else ";" + k for k, v in params.items())
        return "<%s>%s;expires=%d" % (uri or self.uri, written, round(self.expires_in))


class Location:
    """min_expires: below it 423. max_expires: clamps. grant: a function of (request, asked) for anything else.
    service_route, associated: values of these headers in a 2xx.
    supports: option tags that a request may require; with "outbound", "gruu" and "gin" come their answers.
    first_hop_outbound: False answers 439 to who wants outbound. flow_timer: the header, in seconds. alter: a function of
    (binding, text of the Contact) that gives what stands in the answer, or None. require: tags of Require in a 2xx."""

    def __init__(self, min_expires=0, max_expires=3600, default_expires=3600, grant=None, service_route=(),
                 associated=(), supports=("path",), first_hop_outbound=True, flow_timer=None, alter=None, require=()):
        self.min_expires, self.max_expires, self.default_expires = min_expires, max_expires, default_expires
        self.grant, self.alter = grant, alter
        self.service_route, self.associated, self.require = list(service_route), list(associated), list(require)
        self.supports, self.first_hop_outbound, self.flow_timer = set(supports), first_hop_outbound, flow_timer
        self.held = {}  # aor: {key: Binding}

    def live(self, aor):
        now = time.monotonic()
        return [b for b in self.held.get(aor_of(aor), {}).values() if b.expires_at > now]

    def add(self, aor, uri, expires=3600, **params):
        """A binding that somebody else made."""
        self.held.setdefault(aor_of(aor), {})[uri] = Binding(
            uri, params, "foreign-" + secrets.token_hex(4), 1, time.monotonic() + expires, ("192.0.2.99", 5060), "udp", [])

    def drop(self, aor=None):
        if aor:
            self.held.pop(aor_of(aor), None)
        else:
            self.held.clear()

    # ---- one REGISTER

    def register(self, request):
        return self._refuse_options(request) or self._refuse_bulk(request) or self._bind(request)

    def _refuse_options(self, request):
        required = request.message.tags("require")
        unknown = [tag for tag in required if tag not in self.supports]
        if unknown:
            return Reply(420, [("Unsupported", ", ".join(unknown))])
        if self._wants_outbound(request) and "outbound" in self.supports and not self.first_hop_outbound:
            return Reply(439)
        return None

    def _refuse_bulk(self, request):
        """RFC 6140 5.1: bnc asks for the option tag, and has no user part."""
        for contact in request.contacts:
            if is_bulk(contact.uri):
                if "gin" not in request.message.tags("require") or "@" in contact.uri:
                    return Reply(400, reason="Bad Bulk Contact")
        return None

    @staticmethod
    def _wants_outbound(request):
        return "outbound" in request.message.tags("supported") and any(
            "reg-id" in c.params and "+sip.instance" in c.params for c in request.contacts)

    def _key(self, request, contact):
        if self._wants_outbound(request) and "outbound" in self.supports and "reg-id" in contact.params:
            return contact.params["+sip.instance"], contact.params["reg-id"]
        return contact.uri

    def _out_of_order(self, request, bound):
        if bound.call_id == request.call_id and request.cseq <= bound.cseq:
            return Reply(500, reason="CSeq Out Of Order")
        return None

    def _bind(self, request):
        held = self.held.setdefault(request.aor, {})
        now = time.monotonic()
        for key in [key for key, b in held.items() if b.expires_at <= now]:
            del held[key]
        if any(c.uri == "*" for c in request.contacts):
            return self._remove_all(request, held)
        granted = {}
        for contact in request.contacts:
            key = self._key(request, contact)
            asked = contact.expires if contact.expires is not None else self.default_expires
            if 0 < asked < min(self.min_expires, TOO_BRIEF_BELOW_S):
                return Reply(423, {"Min-Expires": str(self.min_expires)})
            refusal = self._out_of_order(request, held[key]) if key in held else None
            if refusal:
                return refusal
            granted[key] = self.grant(request, asked) if self.grant else min(asked, self.max_expires)
        for contact in request.contacts:
            key = self._key(request, contact)
            if granted[key] == 0:
                held.pop(key, None)
            else:
                held[key] = Binding(contact.uri, contact.params, request.call_id, request.cseq, now + granted[key],
                                    request.source, request.transport, request.message.list("path"))
        return self._accept(request, held)

    def _remove_all(self, request, held):
        if len(request.contacts) != 1 or request.expires != 0:
            return Reply(400, reason="Bad Contact")
        for bound in held.values():
            refusal = self._out_of_order(request, bound)
            if refusal:
                return refusal
        held.clear()
        return self._accept(request, held)

    # ---- the 2xx

    def _gruu(self, request, binding):
        if "gruu" not in self.supports or "gruu" not in request.message.tags("supported"):
            return {}
        instance = binding.params.get("+sip.instance", "").strip('"<>')
        if not instance:
            return {}
        host = request.aor.partition("@")[2]
        if is_bulk(binding.uri):  # RFC 6140 7.1.1: temporary ones are the PBX's to make
            return {"pub-gruu": '"sip:%s;bnc;gr=%s"' % (host, instance)}
        return {"pub-gruu": '"%s;gr=%s"' % (request.aor, instance),
                "temp-gruu": '"sip:tgruu.%s@%s;gr"' % (secrets.token_hex(6), host)}

    def _contact(self, request, binding):
        text = binding.text(extra=self._gruu(request, binding))
        return self.alter(binding, text) if self.alter else text

    def _accept(self, request, held):
        shown = [self._contact(request, binding) for binding in held.values()]
        headers = [("Contact", text) for text in shown if text is not None]
        headers += [("Service-Route", route) for route in self.service_route]
        headers += [("Path", path) for path in request.message.list("path")]
        headers += [("P-Associated-URI", uri) for uri in self.associated]
        required = list(self.require)
        if self._wants_outbound(request) and "outbound" in self.supports:
            required.append("outbound")  # RFC 5626 6
            if self.flow_timer is not None:
                headers.append(("Flow-Timer", str(self.flow_timer)))
        if required:
            headers.append(("Require", ", ".join(dict.fromkeys(required))))
        return Reply(200, headers)
