"""The reported state: an addition to the contract, so a plain read must not show it."""
import json
import time

import pytest

NAMES = ["state", "yeti-state", "since", "code", "reason", "warning", "retry-after", "initiator", "attempt", "granted-expires", "expires-at",
         "next-action-at", "contacts", "service-route", "path", "associated-uris", "foreign-contacts", "audited-at",
         "pub-gruu", "temp-gruu", "outbound", "flow-timer", "target", "local-address", "received-address",
         "round-trip-time-us", "node", "applied-revision", "revision", "in-sync", "last-report"]
SELF = "http://example.org/api/rest/admin/registrations"


def now_ms():
    return int(time.time() * 1000)


def report(world, id, **members):
    """Puts a report where the gateway keeps it."""
    revision = int(world.redis.hget(world.key(id), "revision"))
    value = {"v": 1, "id": int(id), "epoch": 1, "seq": 1, "revision": revision, "state": "registered",
             "since_ms": 1795255260120, "expires_at_ms": now_ms() + 60000, "next_at_ms": now_ms() + 30000, **members}
    world.redis.hset(world.key(id), "status", json.dumps({k: v for k, v in value.items() if v is not None}))
    return revision


def test_without_a_report_the_state_is_pending(api, world):
    id = api.create()
    answer = api.get(f"/registrations/{id}/status")
    assert answer.status == 200
    assert list(answer.json) == ["data"] and list(answer.data) == ["id", "type", "links", "attributes"]
    assert (answer.data["id"], answer.data["type"]) == (id, "registration-statuses")
    assert answer.data["links"] == {"self": f"{SELF}/{id}/status"}
    assert list(answer.attributes) == NAMES
    a = dict(answer.attributes)
    assert (a.pop("state"), a.pop("yeti-state")) == ("pending", "RegisterPending")
    assert (a.pop("in-sync"), a.pop("revision")) == (False, int(world.redis.hget(world.key(id), "revision")))
    assert set(a.values()) == {None}


def test_a_report_is_shown(api, world):
    id = api.create()
    expires, following = now_ms() + 60000, now_ms() + 30000
    revision = report(world, id, granted_s=60, expires_at_ms=expires, next_at_ms=following, contacts=["<sip:a@h>;expires=60"],
                      service_route=["<sip:s>"], path=["<sip:p;lr>"], associated=["<sip:+49@h>"], target="udp:192.0.2.1:5060",
                      local="udp:192.0.2.17:5060", rtt_us=812, node="registrant-a", attempt=0, foreign=1,
                      audited_at_ms=1795255260120, received="203.0.113.7:40000", pub_gruu="sip:a@h;gr=x", temp_gruu="sip:t@h;gr",
                      outbound=True, flow_timer_s=120)
    a = api.get(f"/registrations/{id}/status").attributes
    assert list(a) == NAMES
    stamp = lambda ms: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03}Z"  # noqa: E731
    assert a == {
        "state": "registered", "yeti-state": "RegisterActive", "since": "2026-11-21T10:01:00.120Z", "code": None, "reason": None, "warning": None,
        "retry-after": None, "initiator": None, "attempt": 0, "granted-expires": 60, "expires-at": stamp(expires),
        "next-action-at": stamp(following), "contacts": ["<sip:a@h>;expires=60"], "service-route": ["<sip:s>"],
        "path": ["<sip:p;lr>"], "associated-uris": ["<sip:+49@h>"],
        "foreign-contacts": 1, "audited-at": "2026-11-21T10:01:00.120Z", "pub-gruu": "sip:a@h;gr=x", "temp-gruu": "sip:t@h;gr",
        "outbound": True, "flow-timer": 120, "received-address": "203.0.113.7:40000", "target": "udp:192.0.2.1:5060",
        "local-address": "udp:192.0.2.17:5060", "round-trip-time-us": 812, "node": "registrant-a",
        "applied-revision": revision, "revision": revision, "in-sync": True, "last-report": None}


def test_a_failure_is_shown_with_its_cause(api, world):
    id = api.create()
    report(world, id, state="retrying", expires_at_ms=None, attempt=2, cause={
        "code": 503, "reason": "Service Unavailable", "warning": '399 h "x"', "retry_after_s": 30, "by": "remote"})
    a = api.get(f"/registrations/{id}/status").attributes
    assert [a[n] for n in ("state", "code", "reason", "warning", "retry-after", "initiator", "attempt", "expires-at")] == [
        "retrying", 503, "Service Unavailable", '399 h "x"', 30, "remote", 2, None]


@pytest.mark.parametrize("change", [{"expires_at_ms": 1795255260120}, {"expires_at_ms": None, "next_at_ms": 1795255260120}])
def test_a_report_that_ran_out_is_unknown_with_the_last_one_beside_it(api, world, change):
    id = api.create()
    report(world, id, **change, node="registrant-a")
    a = api.get(f"/registrations/{id}/status").attributes
    assert a["state"] == "unknown" and a["node"] is None and a["applied-revision"] is None
    assert list(a["last-report"]) == NAMES[:-3]
    assert (a["last-report"]["state"], a["last-report"]["node"]) == ("registered", "registrant-a")


@pytest.mark.parametrize("state", ["disabled", "given_up"])
def test_a_silent_state_is_believed_for_ever(api, world, state):
    id = api.create()
    report(world, id, state=state, expires_at_ms=None, next_at_ms=None)
    assert api.get(f"/registrations/{id}/status").attributes["state"] == state


def test_a_later_write_is_not_in_sync(api, world):
    id = api.create()
    revision = report(world, id)
    assert api.get(f"/registrations/{id}/status").attributes["in-sync"] is True
    api.patch(id, {"expire": 99})
    a = api.get(f"/registrations/{id}/status").attributes
    assert a["in-sync"] is False and a["applied-revision"] == revision < a["revision"]


def test_a_damaged_report_is_unknown(api, world):
    id = api.create()
    world.redis.hset(world.key(id), "status", '{"v":9')
    assert api.get(f"/registrations/{id}/status").attributes["state"] == "unknown"


def test_include_status_adds_a_relationship_and_the_resource(api, world):
    ids = [api.create(), api.create()]
    report(world, ids[1], node="registrant-b")
    answer = api.get(f"/registrations/{ids[1]}?include=status")
    assert list(answer.data["relationships"]) == ["transport-protocol", "pop", "node", "status"]
    assert answer.data["relationships"]["status"] == {
        "links": {"related": f"{SELF}/{ids[1]}/status"}, "data": {"type": "registration-statuses", "id": ids[1]}}
    assert answer.json["included"] == [api.get(f"/registrations/{ids[1]}/status").data]
    answer = api.get("/registrations?include=status,transport-protocol&sort=-id")
    assert [(i["type"], i["id"]) for i in answer.json["included"]] == [
        ("transport-protocols", "1"), ("registration-statuses", ids[1]), ("registration-statuses", ids[0])]
    assert [i["attributes"]["state"] for i in answer.json["included"][1:]] == ["registered", "pending"]


def test_fields_shape_the_status(api):
    id = api.create()
    assert list(api.get(f"/registrations/{id}/status?fields[registration-statuses]=state,node").attributes) == ["state", "node"]
    answer = api.get(f"/registrations/{id}?include=status&fields[registration-statuses]=state")
    assert answer.json["included"][0]["attributes"] == {"state": "pending"}
    assert api.get(f"/registrations/{id}/status?fields[registration-statuses]=bogus").status == 400


def test_a_plain_read_shows_nothing_of_it(api, world):
    id = api.create()
    before = api.get(f"/registrations/{id}")
    report(world, id)
    after = api.get(f"/registrations/{id}")
    assert after.body == before.body and after.header("etag") == before.header("etag")
    assert b"status" not in after.body


def test_writes_may_include_the_status(api):
    answer = api.call("POST", "/registrations?include=status", api.resource(api.required()))
    assert answer.json["included"][0]["attributes"]["state"] == "pending"


def test_tags_follow_what_is_asked_for(api, world):
    """Contract 7 with the additions: a tag is that of the very body, so one with the status changes with the status, and one of a
    filtered list with the list."""
    id = api.create(name="tagged")
    paths = {"plain": f"/registrations/{id}", "status": f"/registrations/{id}?include=status", "alone": f"/registrations/{id}/status",
             "list": "/registrations?filter[name_cont]=tag", "listed": "/registrations?filter[name_cont]=tag&include=status"}
    old = {name: api.get(path).header("etag") for name, path in paths.items()}
    assert len(set(old.values())) == len(paths)
    assert {api.get(path, If_None_Match=old[name]).status for name, path in paths.items()} == {304}
    report(world, id)
    assert {name: api.get(path, If_None_Match=old[name]).status for name, path in paths.items()} == {
        "plain": 304, "status": 200, "alone": 200, "list": 304, "listed": 200}
    body = api.resource({"expire": 5}, id=id)
    assert api.call("PATCH", paths["status"], body, {"If-Match": old["status"]}).status == 412
    assert api.call("PATCH", paths["status"], body, {"If-Match": api.get(paths["status"]).header("etag")}).status == 200
    api.create(name="tag too")
    assert api.get(paths["list"], If_None_Match=old["list"]).status == 200


@pytest.mark.parametrize("id, status", [("7777777", 404), ("abc", 400)])
def test_a_status_of_nobody(api, id, status):
    assert api.get(f"/registrations/{id}/status").status == status
