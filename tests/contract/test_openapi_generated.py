"""Requests made from the OpenAPI description, good and bad: no 5xx, no answer that the description does not declare, and every
plain request does what it says.

What is sent follows from ROLLCALL_OPENAPI_SEED (1); ROLLCALL_OPENAPI_REQUESTS (40) are sent to each operation, or, with
ROLLCALL_OPENAPI_SECONDS, rounds of as many for so long, each of the next seed. A failure says what was sent as a line for curl.
"""
import collections
import http.client
import json
import os
import random
import time
import urllib.request

import pytest
from openapi_connection import Connection, curl
from openapi_document import Document, Operation
from openapi_requests import Maker, Request
from openapi_targets import TARGETS, add_principals, target_of

GATEWAY = {"ROLLCALL_FAILED_LOGINS": "0"}
PRINCIPALS = add_principals
SEED = int(os.environ.get("ROLLCALL_OPENAPI_SEED", "1"))
REQUESTS = int(os.environ.get("ROLLCALL_OPENAPI_REQUESTS", "40"))
SECONDS = float(os.environ.get("ROLLCALL_OPENAPI_SECONDS", "0"))
SHOWN = 10  # failures of one test

# What a plain request of these is answered, since there is nothing that it could do.
PLAIN_STATUS = {
    **{f"{m} /v1/{{anything}}": 410 for m in ("GET", "PUT", "POST", "DELETE")},
    "DELETE /v2/registrations/{sip_username}": 404,
    "DELETE /api/rest/admin/nodes/{id}/relationships/{relationship}": 422,
}


@pytest.fixture(scope="module")
def document(world):
    with urllib.request.urlopen(world.gateway.url + "/openapi.json", timeout=10) as answer:
        return Document(json.load(answer))


def operations_of(document, target):
    return [o for o in document.all if target_of(o.path) is target]


class Run:
    """Requests over one connection, and what was wrong with their answers."""

    def __init__(self, world, document):
        self.world, self.document = world, document
        self.connection = Connection(world.gateway.port)
        self.failures = []
        self.answered = collections.Counter()

    def fail(self, label, request, problem):
        self.failures.append(f"{label}: {problem}\n    {curl(request, self.world.gateway.port)}")

    def ask(self, label, target, operation, request):
        """The answer, or None where it was wrong."""
        try:
            answer = self.connection.send(request)
        except (OSError, http.client.HTTPException) as e:
            self.connection.close()
            self.fail(label, request, f"no answer: {type(e).__name__} {e}")
            return None
        self.answered[answer.status] += 1
        problem = self.document.complaint(operation, answer) or target.fault(answer)
        if problem:
            self.fail(label, request, problem)
        return None if problem else answer

    def plain(self, target, operation):
        media = list(operation.media) or [None]
        if operation.media and not operation.body.get("required"):
            media.append(None)
        for m in media:
            rng = random.Random(f"plain {operation.key} {m}")
            target.prepare(operation)
            label = f"plain {operation.key} {m or ''}"
            request = Maker(rng, operation, target).plain(m)
            if m is None and operation.method == "POST" and operation.path.startswith("/v2/"):
                request.query.append(("verb", "DELETE"))
            answer = self.ask(label, target, operation, request)
            if answer is None:
                continue
            wanted = PLAIN_STATUS.get(operation.key)
            refused = answer.status != wanted if wanted else answer.status >= 300 or target.refusal(answer)
            if refused:
                self.fail(label, request, f"refused with {answer.status}: {answer.body[:500]!r}")
            elif "304" in operation.responses:
                request.set("If-None-Match", answer.header("etag"))
                again = self.ask(label, target, operation, request)
                if again and again.status != 304:
                    self.fail(label, request, f"{again.status} and not 304")

    def made(self, target, operation, seed):
        target.prepare(operation)
        for i in range(REQUESTS):
            rng = random.Random(f"{seed} {operation.key} {i}")
            maker = Maker(rng, operation, target)
            request = maker.valid() if i % 3 == 0 else maker.invalid()
            if operation.method == "GET" and i % 7 == 6 and by_name(type(target)) != "kazoo":
                request.method = "HEAD"
            self.ask(f"seed {seed}, {operation.key}, request {i}", target, operation, request)

    def finish(self):
        self.connection.close()
        tally = " ".join(f"{status}:{count}" for status, count in sorted(self.answered.items()))
        print(f"{sum(self.answered.values())} answers ({tally}), {self.connection.opened} connections")
        shown = "\n".join(self.failures[:SHOWN])
        assert not self.failures, f"{len(self.failures)} of {sum(self.answered.values())} answers are wrong:\n{shown}"


def by_name(target):
    return target.__name__.lower()


@pytest.mark.parametrize("target", TARGETS, ids=by_name)
def test_every_plain_request_does_what_it_says(world, document, target):
    run = Run(world, document)
    one = target(world)
    for operation in operations_of(document, target):
        run.plain(one, operation)
    run.finish()


# Forms of the answer at a path that no operation has.
NOWHERE = {
    "yeti": {"404": "Errors", "401": "Unauthorized"},
    "voximplant": {s: {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/VoxError"}}}} for s in ("200", "405")},
    "kazoo": {"404": "KazooNotFound", "401": "KazooUnauthorized", "410": "KazooGone", "400": "KazooMalformed"},
    "ribbon": {"200": {"content": {"text/xml": {"schema": {"$ref": "#/components/schemas/RibbonError"}}}}},
    "own": {s: {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}} for s in ("404", "405")},
}
ODD_PATHS = ["/", "//", "/x", "/%2e", ";x", "/../x", "/%00", "/a/b/c/d/e/f/g", "/%ff", "/" + "a" * 5000, "/%F0%9F%92%A5", "/x?a=%", "/x/?x=1&x"]


@pytest.mark.parametrize("target", TARGETS, ids=by_name)
def test_a_path_that_nobody_describes_is_refused_in_the_form_of_the_dialect(world, document, target):
    run, one = Run(world, document), target(world)
    refused = document.plain({"$ref": "#/components/responses/Refused"})
    forms = {s: document.plain(f if isinstance(f, dict) else {"$ref": f"#/components/responses/{f}"}) for s, f in NOWHERE[by_name(target)].items()}
    operation = Operation("get", target.prefix, {"responses": {"4XX": refused, **forms}}, [])
    one.prepare(operation)
    prefix = target.prefix.rstrip("/")
    for i, path in enumerate([f"{prefix}/nowhere{odd}" for odd in ODD_PATHS] + [prefix + odd for odd in ODD_PATHS if odd[0] == "/"]):
        for method in ("GET", "POST", "DELETE"):
            request = Request(method, path)
            rng = random.Random(f"{i} {method}")
            one.sign(rng, request, rng.random() < 0.7)
            run.ask(f"{method} {path}", one, operation, request)
    run.finish()


@pytest.mark.parametrize("target", TARGETS, ids=by_name)
def test_every_answer_is_declared(world, document, target):
    run, one = Run(world, document), target(world)
    end = time.monotonic() + SECONDS / len(TARGETS)
    seed = SEED
    while seed == SEED or time.monotonic() < end:
        for operation in operations_of(document, target):
            run.made(one, operation, seed)
        seed += 1
        if len(run.failures) > 10 * SHOWN:
            break
    run.finish()
    assert world.gateway.running()
