"""The load of a run: threads that write over REST as orchestration tools do, each the only owner of its registrations, so that
the order of the writes of one registration is known. Every request and what became of it is recorded before the next is sent.

It refuses to look at anything but HTTP answers. A contact's user part holds a number that no other write of that registration
has, so that whatever is bound somewhere can be told to come from one write.
"""
import dataclasses
import random
import threading
import time
import uuid

from api_client import Connection, Login
from history import ACKED, REFUSED, UNKNOWN, Operation

LIFETIMES = (60, 90, 120, 150)
KINDS = {"contact": 30, "credentials": 10, "expire": 8, "move": 12, "place": 8, "switch": 16, "delete": 14, "refresh": 4,
         "same": 4, "read": 14}
CALM_SHARE = 0.5  # of all registrations: created and left alone
LOCAL_SHARE = 0.15  # with a Contact that is the registrant's own address
ABANDON = 0.15  # of the writes whose outcome is unknown are not sent again


@dataclasses.dataclass
class Wanted:
    """What a registration was last asked to be."""
    username: str
    registrar: str
    domain: str
    contact: str
    expire: int
    auth_user: str
    enabled: bool = True
    pop: str = None

    def document(self, number=None):
        attributes = {"name": self.username, "username": self.username, "domain": self.domain, "contact": self.contact,
                      "expire": self.expire, "auth-user": self.auth_user, "auth-password": "secret-" + self.auth_user,
                      "enabled": self.enabled, "retry-delay": 3}
        pop = {"data": {"type": "pops", "id": self.pop} if self.pop else None}
        data = {"type": "registrations", "attributes": attributes, "relationships": {"pop": pop}}
        return {"data": {**data, "id": number} if number else data}


class Owner:
    """One registration over all its lives: the user name and the AoR's user part stay, the id does not."""

    def __init__(self, user, calm):
        self.user, self.calm = user, calm
        self.id, self.wanted = None, None
        self.serial = 0
        self.unknown = None  # the request to send again: (kind, wanted, headers)


class Writer:
    """gateways: [(name, url)]. registrars: {name: host:port}. pops: ids of pops that registrants serve. rate: requests a second
    of all threads together."""

    def __init__(self, gateways, registrars, recorder, username, password, users=400, threads=4, rate=24, seed=0, pops=(),
                 seconds=5):
        self.gateways, self.registrars, self.recorder, self.pops = list(gateways), dict(registrars), recorder, list(pops)
        self.login = Login(username, password)
        self.pause, self.seconds = threads / rate, seconds
        self.owners = [Owner(f"u{i}", i < users * CALM_SHARE) for i in range(users)]
        self._threads = [threading.Thread(target=self._run, args=(n, threads, random.Random(f"{seed}-{n}")), daemon=True)
                         for n in range(threads)]
        self._stop, self._go = threading.Event(), threading.Event()
        self._populated = threading.Barrier(threads + 1)
        self.failure = None

    # ---- from outside

    def populate(self, seconds=120):
        """Creates everything once, and waits for that."""
        for thread in self._threads:
            thread.start()
        self._populated.wait(seconds)

    def go(self):
        """Begins to change what was created."""
        self._go.set()

    def finish(self, seconds=60):
        """Ends it; what is unknown and not abandoned is sent until it is answered."""
        self._stop.set()
        self._go.set()
        for thread in self._threads:
            thread.join(seconds)
        if self.failure:
            raise self.failure
        assert not any(t.is_alive() for t in self._threads), "the writer could not finish: a gateway answers nothing"

    # ---- one thread

    def _run(self, number, threads, rng):
        mine = self.owners[number::threads]
        lines = [Connection(name, url, self.login, self.seconds) for name, url in self.gateways]
        try:
            for owner in mine:
                self._until_known(owner, lines, rng, "create", self._new(owner, rng))
            self._populated.wait()
            self._go.wait()
            busy = [o for o in mine if not o.calm]
            while busy and not self._stop.wait(self.pause * rng.uniform(0.5, 1.5)):
                self._step(rng.choice(busy), lines, rng)
            for owner in [o for o in mine if o.unknown]:
                self._again(owner, lines, rng, for_good=True)
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error
            self._populated.abort()
        finally:
            for line in lines:
                line.close()

    def _until_known(self, owner, lines, rng, kind, wanted):
        self._send(owner, lines, rng, kind, wanted, self._key(rng))
        while owner.unknown or owner.id is None:
            time.sleep(0.2)
            if owner.unknown:
                self._again(owner, lines, rng, for_good=True)
            else:
                self._send(owner, lines, rng, kind, wanted, self._key(rng))

    def _step(self, owner, lines, rng):
        if owner.unknown:
            self._again(owner, lines, rng)
            return
        if owner.wanted is None:
            self._send(owner, lines, rng, "create", self._new(owner, rng), self._key(rng))
            return
        kind = rng.choices(list(KINDS), KINDS.values())[0]
        if kind == "read":
            self._read(owner, lines, rng)
        elif kind in ("delete", "refresh"):
            self._send(owner, lines, rng, kind, None)
        else:
            name, wanted = getattr(self, "_" + kind)(owner, rng)
            self._send(owner, lines, rng, name, wanted)

    def _again(self, owner, lines, rng, for_good=False):
        if not for_good and rng.random() < 0.02:
            owner.unknown = None  # its owner gave up: the next write of it comes without it being known
            return
        while owner.unknown:
            kind, wanted, headers = owner.unknown
            self._send(owner, lines, rng, kind, wanted, headers, again=True)
            if not for_good:
                return
            time.sleep(0.5 * bool(owner.unknown))

    # ---- what is wanted next

    def _new_contact(self, owner, rng):
        owner.serial += 1
        local = int(owner.user[1:]) % 100 < LOCAL_SHARE * 100
        return f"sip:{owner.user}-{owner.serial}@" + ("{local}" if local else "127.0.0.1:5090")

    def _new(self, owner, rng):
        registrar = rng.choice(sorted(self.registrars))
        contact = self._new_contact(owner, rng)
        return Wanted(owner.user, registrar, self.registrars[registrar], contact, rng.choice(LIFETIMES),
                      f"{owner.user}.{owner.serial}", pop=rng.choice([None, None, *self.pops]))

    @staticmethod
    def _key(rng):
        return {"Idempotency-Key": uuid.UUID(int=rng.getrandbits(128)).hex} if rng.random() < 0.5 else {}

    def _contact(self, owner, rng):
        return "change", dataclasses.replace(owner.wanted, contact=self._new_contact(owner, rng))

    def _credentials(self, owner, rng):
        owner.serial += 1
        return "change", dataclasses.replace(owner.wanted, auth_user=f"{owner.user}.{owner.serial}")

    def _expire(self, owner, rng):
        return "change", dataclasses.replace(owner.wanted, expire=rng.choice(LIFETIMES))

    def _move(self, owner, rng):
        registrar = rng.choice(sorted(self.registrars))
        return "move", dataclasses.replace(owner.wanted, registrar=registrar, domain=self.registrars[registrar],
                                           contact=self._new_contact(owner, rng))

    def _place(self, owner, rng):
        return "move", dataclasses.replace(owner.wanted, pop=rng.choice([None, *self.pops]))

    def _switch(self, owner, rng):
        wanted = dataclasses.replace(owner.wanted, enabled=not owner.wanted.enabled)
        return ("enable" if wanted.enabled else "disable"), wanted

    def _same(self, owner, rng):
        return "change", owner.wanted

    # ---- one request

    def _request(self, owner, kind, wanted, headers):
        if kind == "create":
            return "POST", "/registrations", wanted.document(), headers
        if kind == "delete":
            return "DELETE", f"/registrations/{owner.id}", None, {}
        if kind == "refresh":
            return "POST", f"/registrations/{owner.id}/refresh", None, {}
        return "PUT", f"/registrations/{owner.id}", wanted.document(owner.id), {}

    def _send(self, owner, lines, rng, kind, wanted, headers=None, again=False):
        line = rng.choice(lines)
        method, path, body, headers = self._request(owner, kind, wanted, headers or {})
        sent_at = time.monotonic()
        answer = line.call(method, path, body, headers)
        outcome = self._outcome(answer, kind, again)
        operation = Operation(owner.user, kind, sent_at, time.monotonic(), outcome, line.name, owner.id, answer.status,
                              dataclasses.asdict(wanted) if wanted else None, again, bool(headers),
                              cause=None if outcome == ACKED else answer.text[:300])
        if outcome == ACKED and kind == "create":
            operation.id = answer.document["data"]["id"]
        taken = outcome == REFUSED and kind == "create" and "already been taken" in answer.text
        holder = self._holder(owner, line, operation, wanted) if taken else None
        self.recorder.operation(operation)
        if holder:  # an older create came through late: what it made is changed into what is wanted
            owner.id, owner.unknown = holder, ("change", wanted, {})
        elif operation.writes:
            self._take(owner, operation, wanted, headers, rng)

    @staticmethod
    def _outcome(answer, kind, again):
        if answer.status is None:
            return UNKNOWN if answer.sent else REFUSED
        if answer.status == 503:
            return UNKNOWN
        if answer.status < 300 or kind == "delete" and again and answer.status == 404:
            return ACKED
        return REFUSED

    @staticmethod
    def _holder(owner, line, operation, wanted):
        """The name is taken, by a create of this owner whose answer did not come. If that was the same one it is done; else
        the id of what holds the name."""
        found = line.call("GET", f"/registrations?filter[name_eq]={owner.user}")
        data = found.document["data"] if found.status == 200 else []
        if not data:
            operation.outcome = UNKNOWN
            return None
        if data[0]["attributes"]["contact"] == wanted.contact:
            operation.id, operation.outcome = data[0]["id"], ACKED
            return None
        return data[0]["id"]

    @staticmethod
    def _take(owner, operation, wanted, headers, rng):
        """What the outcome means for the next request."""
        if operation.outcome == UNKNOWN:
            if operation.kind != "create":
                owner.wanted = wanted or owner.wanted
            abandoned = not operation.again and owner.id and rng.random() < ABANDON
            owner.unknown = None if abandoned else (operation.kind, wanted, headers)
        elif operation.outcome == ACKED:
            deleted = operation.kind == "delete"
            owner.unknown = None
            owner.id, owner.wanted = (None, None) if deleted else (operation.id, wanted)
        elif operation.status == 404:  # a deletion whose answer did not come was done
            owner.id = owner.wanted = owner.unknown = None

    def _read(self, owner, lines, rng):
        line = rng.choice(lines)
        sent_at = time.monotonic()
        answer = line.call("GET", f"/registrations/{owner.id}?include=pop")
        seen, outcome = None, UNKNOWN
        if answer.status == 200:
            data = answer.document["data"]
            pop = data["relationships"]["pop"].get("data")
            seen, outcome = {**data["attributes"], "pop": pop and pop["id"]}, ACKED
        elif answer.status == 404:
            seen, outcome = {}, ACKED
        self.recorder.operation(Operation(owner.user, "read", sent_at, time.monotonic(), outcome, line.name, owner.id,
                                          answer.status, seen=seen, cause=None if outcome == ACKED else answer.text[:300]))
