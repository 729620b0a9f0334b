"""A registration made over REST is held at a real registrar, changed, removed, and everybody is told."""
import requests

from stack import wait_for


def test_a_created_registration_is_bound_at_the_registrar_and_reported(world, user):
    rid = world.api.create(**world.at_kamailio(user))
    wait_for(lambda: world.kamailio_contacts(user), 20, "the binding")
    assert world.kamailio_contacts(user) == [f"sip:{user}@127.0.0.1:5090"]
    status = world.api.wait_state(rid, "registered")
    assert status["code"] == 200
    assert status["granted-expires"] == 60
    assert status["target"] == f"udp:{world.kamailio.address}"
    assert status["node"] == "registrant-1"
    assert status["in-sync"] is True
    assert any(f"sip:{user}@127.0.0.1:5090" in c for c in status["contacts"])


def test_a_changed_contact_replaces_the_old_binding(world, user):
    rid = world.api.create(**world.at_kamailio(user))
    world.api.wait_state(rid, "registered")
    world.api.update(rid, contact=f"sip:{user}-new@127.0.0.1:5091")
    wait_for(lambda: world.kamailio_contacts(user) == [f"sip:{user}-new@127.0.0.1:5091"], 20, "the new contact alone")


def test_disabling_removes_the_binding_and_enabling_brings_it_back(world, user):
    rid = world.api.create(**world.at_kamailio(user))
    world.api.wait_state(rid, "registered")
    world.api.update(rid, enabled=False)
    wait_for(lambda: not world.kamailio_contacts(user), 20, "the binding to go")
    world.api.wait_state(rid, "disabled")
    assert world.keys_of(rid)
    world.api.update(rid, enabled=True)
    wait_for(lambda: world.kamailio_contacts(user), 20, "the binding to be back")
    world.api.wait_state(rid, "registered")


def test_a_deletion_is_proved_and_leaves_only_a_grave(world, user):
    rid = world.api.create(**world.at_kamailio(user))
    world.api.wait_state(rid, "registered")
    world.api.delete(rid)
    assert world.api.call("GET", f"/registrations/{rid}").status_code == 404
    wait_for(lambda: not world.kamailio_contacts(user), 20, "the binding to go")
    wait_for(lambda: not world.keys_of(rid) and world.grave_of(rid), 20, "the keys to go and the grave to be there")
    left = [k for k in world.redis.scan_iter("rc:*") if rid in k.split(":")]
    assert left == []
    assert all(world.redis.zscore(k, rid) is None for k in world.redis.scan_iter("rc:*:due"))


def test_events_tell_the_whole_story_in_order(world, user):
    rid = world.api.create(**world.at_kamailio(user))
    world.api.wait_state(rid, "registered")
    world.api.update(rid, contact=f"sip:{user}-new@127.0.0.1:5091")
    wait_for(lambda: "rebound" in world.story(rid), 20, "the rebinding in the events", every=0.3)
    world.api.update(rid, enabled=False)
    world.api.wait_state(rid, "disabled")
    world.api.delete(rid)
    wait_for(lambda: "removed" in world.story(rid), 20, "the removal in the events", every=0.3)
    story = [e for e in world.story(rid) if e not in ("unregistering", "pending")]
    assert story == ["created", "registered", "updated", "rebound", "updated", "disabled", "deleted", "removed"]


def test_events_carry_cloudevents_headers_the_trace_and_no_secret(world, user):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = {"data": {"type": "registrations", "attributes": {
        k.replace("_", "-"): v for k, v in world.at_kamailio(user).items()}}}
    answer = world.api.call("POST", "/registrations", body, headers={"traceparent": trace})
    rid = answer.json()["data"]["id"]
    world.api.wait_state(rid, "registered")
    wait_for(lambda: "registered" in world.story(rid), 20, "the transition's event", every=0.3)
    events = world.records("rollcall.events", rid)
    for key, headers, value in events:
        assert key == rid == headers["ce_subject"]
        assert headers["ce_specversion"] == "1.0"
        assert headers["ce_id"] and headers["ce_source"] and headers["ce_time"]
        text = str(value)
        assert world.stack.sip_password not in text and "sealed:" not in text
        assert "call_id" not in text and "nonce" not in text
    assert len({h["ce_id"] for _, h, _ in events}) == len(events)
    assert events[0][1]["traceparent"] == trace
    changes = world.records("rollcall.changes.any", rid)
    assert changes[0][1]["traceparent"] == trace


def test_a_twin_created_right_after_a_deletion_stays_bound(world, user):
    rid = world.api.create(**world.at_kamailio(user))
    world.api.wait_state(rid, "registered")
    world.api.delete(rid)
    twin = world.api.create(**world.at_kamailio(user))
    wait_for(lambda: not world.keys_of(rid), 40, "the deleted one to be gone")
    world.api.wait_state(twin, "registered")
    wait_for(lambda: world.kamailio_contacts(user), 20, "the twin's binding")
    world.api.update(twin, name=f"{user}-settled")
    wait_for(lambda: world.api.status(twin)["in-sync"], 20, "the twin to be settled")
    assert world.kamailio_contacts(user) == [f"sip:{user}@127.0.0.1:5090"]


def test_a_change_of_name_sends_nothing(world, user):
    rid = world.api.create(**world.at_registrar(user))
    world.api.wait_state(rid, "registered")
    before = len(world.sent(user))
    world.api.update(rid, name=f"{user}-renamed")
    wait_for(lambda: world.api.status(rid)["in-sync"], 20, "the revision to be applied")
    assert len(world.sent(user)) == before


def test_no_password_is_in_clear_in_redis_kafka_or_logs(world, user):
    secret = f"very-secret-{user}"
    rid = world.api.create(**world.at_registrar(user, auth_password=secret))
    wait_for(lambda: world.keys_of(rid), 10, "the record")
    world.wait_sent(user, 1)
    for key in world.keys_of(rid):
        assert secret not in str(world.redis.hgetall(key))
    assert secret not in str(world.records("rollcall.changes.any", rid))
    assert secret not in str(world.records("rollcall.events", rid))
    for part in world.stack.parts:
        assert secret not in part.log_text()
    for file in world.stack.directory.rglob("*.aof"):
        assert secret.encode() not in file.read_bytes()


def test_a_registrar_is_seen_in_metrics_and_by_its_name(world, user):
    rid = world.api.create(**world.at_registrar(user))
    world.api.wait_state(rid, "registered")
    admin = world.registrant.url

    def seen():
        found = requests.get(admin + "/registrars", params={"name": "udp:127.0.0.1"}, timeout=5).json()["registrars"]
        return [r for r in found if r["states"].get("registered") and r["answers"].get("200")]
    registrar = wait_for(seen, 10, "the registrar to be shown")[0]
    assert registrar["learned"]["granted_s"] > 0 and registrar["requests"] >= 1 and registrar["bound"] >= 1
    assert requests.get(admin + "/registrars", params={"name": "nobody"}, timeout=5).json() == {"registrars": []}
    assert "rest" in requests.get(admin + "/registrars", timeout=5).json()
    name = registrar["name"]
    assert world.metric(world.registrant, "rollcall_registrant_registrar_answers_total", registrar=name, code="200") >= 1
    assert world.metric(world.registrant, "rollcall_registrant_registrar_registrations", registrar=name, state="registered") >= 1
    assert world.metric(world.registrant, "rollcall_registrant_registrar_bound", registrar="other") >= 0
    assert world.metric(world.registrant, "rollcall_registrant_answer_seconds_count") >= 1
    assert world.metric(world.registrant, "rollcall_registrant_takeover_seconds_count") >= 1
    assert world.metric(world.registrant, "rollcall_registrant_messages_total", direction="sent") >= 1


def test_metrics_and_health_answer_on_both_services(world):
    for part in (world.gateway, world.registrant):
        assert requests.get(part.url + "/healthz", timeout=5).status_code == 200
        assert requests.get(part.url + "/readyz", timeout=5).status_code == 200
        assert "# TYPE rollcall_" in requests.get(part.url + "/metrics", timeout=5).text
    document = requests.get(world.gateway.url + "/openapi.json", timeout=5).json()
    assert document["openapi"].startswith("3.1")
    assert "/api/rest/admin/registrations" in document["paths"]
