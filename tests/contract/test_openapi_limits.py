"""What every dialect answers beyond the rate of requests, and while Redis is away, is declared too."""
import json
import random
import time
import urllib.request

import pytest
from openapi_connection import Connection
from openapi_document import Document
from openapi_requests import Request
from openapi_targets import Kazoo, Ribbon, Voximplant, Yeti, add_principals

GATEWAY = {"ROLLCALL_REQUEST_RATE": "5"}
PRINCIPALS = add_principals
READS = {
    "yeti": (Yeti, "/api/rest/admin/registrations"), "voximplant": (Voximplant, "/platform_api/GetSipRegistrations"),
    "kazoo": (Kazoo, "/v2/account/registrations"), "ribbon": (Ribbon, "/rest/sipcontactregistrant"),
}
BEYOND = {"yeti": b'"code":"429"', "voximplant": b'"code":340', "kazoo": b"too_many_requests", "ribbon": b"<http_code>429</http_code>"}
AWAY = {"yeti": b'"code":"503"', "voximplant": b'"code":4,', "kazoo": b"datastore_unreachable", "ribbon": b"<http_code>503</http_code>"}


@pytest.fixture(scope="module")
def document(world):
    with urllib.request.urlopen(world.gateway.url + "/openapi.json", timeout=10) as answer:
        return Document(json.load(answer))


@pytest.fixture(scope="module")
def clients(world):
    return {name: target(world) for name, (target, _) in READS.items()}


def is_answered(world, document, client, path, wanted):
    """Asks until the body holds what is wanted; each answer must be declared."""
    connection, operation = Connection(world.gateway.port), next(o for o in document.all if o.key == f"GET {path}")
    end = time.monotonic() + 15
    found = False
    while not found and time.monotonic() < end:
        request = Request("GET", path)
        client.sign(random.Random(2), request, True)
        answer = connection.send(request)
        assert document.complaint(operation, answer) is None
        found = wanted in answer.body
    connection.close()
    return found


@pytest.mark.parametrize("name", READS)
def test_what_is_answered_beyond_the_rate_is_declared(world, document, clients, name):
    clients[name].enter()
    assert is_answered(world, document, clients[name], READS[name][1], BEYOND[name])


def test_what_is_answered_while_redis_is_away_is_declared(world, document, clients):
    """The last of this file, since Redis does not come back."""
    for client in clients.values():
        client.enter()
    world.stack.redis.kill()
    for name, (_, path) in READS.items():
        assert is_answered(world, document, clients[name], path, AWAY[name]), name
