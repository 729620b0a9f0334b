"""What registrars answer, and what becomes of it, on the wire: the scriptable registrar says what Kamailio cannot be told to."""
import pytest

from stack import wait_for
from world import removes

WORLD = {"kamailio": False}


@pytest.fixture(scope="module", autouse=True)
def unanswered(world):
    """A registration at a registrar of its own that says nothing, asked for before the first test: to time out takes 32 s."""
    with world.new_registrar() as dumb:
        dumb.script("sip:silent@127.0.0.1", ["drop"], repeat=True)
        yield world.api.create(**world.at_registrar("silent", domain=f"127.0.0.1:{dumb.port}", retry_delay=60))


def test_a_challenge_is_answered_and_refreshes_are_preemptive(world, user):
    world.grant(user, 12)
    rid = world.api.create(**world.at_registrar(user))
    world.api.wait_state(rid, "registered")
    first, second = world.sent(user)[:2]
    assert first.auth is None and second.auth
    assert second.cseq == first.cseq + 1
    assert second.call_id == first.call_id
    third = world.wait_sent(user, 3, 15)[2]
    assert third.auth["nonce"] == second.auth["nonce"]
    assert int(third.auth["nc"], 16) == int(second.auth["nc"], 16) + 1
    assert third.call_id == first.call_id and third.cseq > second.cseq
    assert 0.4 * 12 < third.time - second.time < 12, "after half of what was granted, and not too late"


@pytest.mark.parametrize("algorithms, taken", [
    (["SHA-256"], "SHA-256"), (["SHA-512-256"], "SHA-512-256"), (["SHA-256", "MD5"], "SHA-256"), (["MD5", "SHA-256"], "MD5"),
    (["MD5-sess"], "MD5-sess")])
def test_the_topmost_supported_challenge_is_answered(world, user, algorithms, taken):
    with world.new_registrar(algorithms) as other:
        rid = world.api.create(**world.at_registrar(user, domain=f"127.0.0.1:{other.port}"))
        world.api.wait_state(rid, "registered")
        assert world.sent(user, other)[-1].auth["algorithm"] == taken
        assert world.sent(user, other)[-1].auth_result == "ok"


def test_wrong_credentials_are_rejected_and_not_asked_again(world, user):
    rid = world.api.create(**world.at_registrar(user, auth_password="wrong"))
    status = world.api.wait_state(rid, "rejected")
    assert status["code"] == 401
    count = len(world.sent(user))
    assert count == 2
    world.api.update(rid, auth_password=world.registrar_password)
    world.api.wait_state(rid, "registered")


def test_423_is_answered_with_the_minimum_at_once(world, user):
    world.script(user, [{"status": 423, "headers": {"Min-Expires": "120"}}])
    rid = world.api.create(**world.at_registrar(user, retry_delay=60))
    world.api.wait_state(rid, "registered")  # long before another try would be
    sent = world.sent(user)
    assert sent[0].expires == 60
    assert sent[1].expires == 120
    assert sent[1].time - sent[0].time < 60


def test_retry_after_of_a_503_lengthens_the_wait_and_is_reported(world, user):
    world.script(user, [{"status": 503, "reason": "Maintenance", "headers": {"Retry-After": "4"}}])
    rid = world.api.create(**world.at_registrar(user, retry_delay=1))
    status = world.api.wait_state(rid, "retrying")
    assert status["code"] == 503 and status["reason"] == "Maintenance"
    assert status["retry-after"] == 4 and status["initiator"] == "remote"
    world.api.wait_state(rid, "registered")
    sent = world.sent(user)
    assert sent[1].time - sent[0].time >= 4


def test_403_and_404_and_603_are_rejected(world, user):
    for code in (403, 404, 603):
        name = f"{user}x{code}"
        world.script(name, [{"status": code}] * 5)
        rid = world.api.create(**world.at_registrar(name, retry_delay=1))
        status = world.api.wait_state(rid, "rejected")
        assert status["code"] == code
        world.api.delete(rid)


def test_500_is_retried_after_the_fixed_delay_until_attempts_are_used(world, user):
    world.script(user, [{"status": 500}] * 20)
    rid = world.api.create(**world.at_registrar(user, retry_delay=1, max_attempts=3))
    status = world.api.wait_state(rid, "given_up")
    assert status["attempt"] == 3
    assert len(world.sent(user)) == 3
    world.script(user, [])
    world.api.update(rid, contact=f"sip:{user}-again@127.0.0.1:5090")
    world.api.wait_state(rid, "registered")


def test_a_302_is_followed(world, user):
    contact = f"<sip:127.0.0.1:{world.registrar.port};transport=tcp>"
    world.script(user, [{"status": 302, "headers": {"Contact": contact}}])
    rid = world.api.create(**world.at_registrar(user))
    status = world.api.wait_state(rid, "registered")
    assert status["target"].startswith("tcp:")


def test_nobody_listening_is_reported_as_a_transport_error(world, user):
    rid = world.api.create(**world.at_registrar(user, domain="127.0.0.1:9", retry_delay=60))
    status = world.api.wait_state(rid, "retrying")
    assert status["code"] == 503 and status["initiator"] == "local"


def test_tcp_is_used_where_the_registration_says_so(world, user):
    rid = world.api.create({"transport-protocol": {"data": {"type": "transport-protocols", "id": "2"}}},
                           **world.at_registrar(user))
    status = world.api.wait_state(rid, "registered")
    assert status["target"].startswith("tcp:")
    assert world.sent(user)[-1].transport == "tcp"


def test_a_200_without_our_contact_is_not_registered(world, user):
    world.script(user, [{"status": 200, "headers": {"Contact": "<sip:somebody@192.0.2.9>;expires=60"}}] * 9)
    rid = world.api.create(**world.at_registrar(user, retry_delay=60))
    status = world.api.wait_state(rid, "retrying")
    assert status["initiator"] == "local"


def test_what_the_registrar_returns_is_reported(world, user):
    world.script(user, [{"status": 200, "headers": {
        "Contact": f"<sip:{user}@127.0.0.1:5090>;expires=60", "Service-Route": "<sip:edge.example.com;lr>",
        "Path": "<sip:path.example.com;lr>", "P-Associated-URI": "<sip:+4930123456@example.com>"}}] * 9)
    rid = world.api.create(**world.at_registrar(user))
    status = world.api.wait_state(rid, "registered")
    assert status["service-route"] == ["<sip:edge.example.com;lr>"]
    assert status["path"] == ["<sip:path.example.com;lr>"]
    assert status["associated-uris"] == ["<sip:+4930123456@example.com>"]


def test_a_challenged_removal_is_answered(world, user):
    rid = world.api.create(**world.at_registrar(user))
    world.api.wait_state(rid, "registered")
    world.registrar.digest.nonces.clear()
    world.api.delete(rid)
    wait_for(lambda: not world.keys_of(rid) and world.grave_of(rid), 20, "the proof")
    last = world.sent(user)[-1]
    assert removes(last) and last.auth_result == "ok"
    assert world.sent(user)[-2].auth_result == "stale"
    assert not world.bound(user)


def test_silence_is_reported_as_a_local_time_out(world, unanswered):
    status = world.api.wait_state(unanswered, "retrying", 50)
    assert status["code"] == 408 and status["initiator"] == "local"
