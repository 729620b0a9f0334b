"""Commands to the registrant: an addition to the contract, answered 202 with the status in the house style."""
import pytest

COUNTERS = {"refresh": "refresh_seq", "flush": "flush_seq", "audit": "audit_seq"}
COMMANDS = sorted(COUNTERS)


def counter(world, id, command):
    return int(world.redis.hget(world.key(id), COUNTERS[command]) or 0)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_raises_its_counter_and_the_revision(api, world, command):
    id = api.create()
    before = int(world.redis.hget(world.key(id), "revision"))
    answer = api.call("POST", f"/registrations/{id}/{command}")
    assert answer.status == 202
    assert (answer.data["type"], answer.data["id"]) == ("registration-statuses", id)
    assert answer.attributes["revision"] == int(world.redis.hget(world.key(id), "revision")) > before
    assert answer.attributes["in-sync"] is False
    assert {c: counter(world, id, c) for c in COMMANDS} == {c: int(c == command) for c in COMMANDS}
    assert answer.header("content-type").startswith("application/vnd.api+json")


@pytest.mark.parametrize("command", COMMANDS)
def test_another_ones_and_unknown_registrations_are_not_found(api, command):
    answer = api.call("POST", f"/registrations/999999999/{command}")
    assert (answer.status, answer.json["errors"][0]["code"]) == (404, "404")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_methods_have_no_route(api, method):
    id = api.create()
    assert api.call(method, f"/registrations/{id}/audit").status == 404


def test_a_document_is_refused_and_nothing_is_done(api, world):
    id = api.create()
    answer = api.call("POST", f"/registrations/{id}/flush", {"data": {"type": "registrations", "id": id}})
    assert answer.status == 400
    assert "takes no document" in answer.json["errors"][0]["detail"]
    assert counter(world, id, "flush") == 0


def test_an_empty_object_is_taken(api, world):
    id = api.create()
    assert api.call("POST", f"/registrations/{id}/refresh", {}).status == 202
    assert counter(world, id, "refresh") == 1


def test_a_condition_that_fails_keeps_the_command_back(api, world):
    id = api.create()
    tag = api.get(f"/registrations/{id}").header("etag")
    refused = api.call("POST", f"/registrations/{id}/flush", headers={"If-Match": 'W/"00"'})
    assert refused.status == 412 and counter(world, id, "flush") == 0
    assert api.call("POST", f"/registrations/{id}/flush", headers={"If-Match": tag}).status == 202
    assert counter(world, id, "flush") == 1


def test_the_configuration_reads_as_before(api):
    id = api.create()
    before = api.get(f"/registrations/{id}").json
    for command in COMMANDS:
        assert api.call("POST", f"/registrations/{id}/{command}").status == 202
    assert api.get(f"/registrations/{id}").json == before
