"""What an operator denies is told where the registration is looked at; how it is judged: tests/conformance/test_networks.py."""
from stack import wait_for

DENIED = "127.0.0.66"
WORLD = {"kamailio": False, "registrant_env": {"ROLLCALL_SIP_DENY": f"{DENIED}, 169.254.0.0/16"}}


def test_a_registrar_in_a_denied_network_is_a_status_with_its_cause(world, user):
    with world.new_registrar(host=DENIED) as inside:
        id = world.api.create(**world.at_registrar(user, domain=f"{DENIED}:{inside.port}"))
        status = world.api.wait_state(id, "rejected")
        assert status["reason"] == f"address {DENIED} is not allowed (ROLLCALL_SIP_DENY)"
        assert (status["code"], status["initiator"]) == (403, "local") and not status["contacts"]
        assert not inside.journal
        world.api.update(id, domain=f"127.0.0.1:{world.registrar.port}")
        world.api.wait_state(id, "registered")
        assert not inside.journal
        world.api.delete(id)
    wait_for(lambda: world.grave_of(id), 20, "its grave")


def test_the_clouds_metadata_is_not_asked(world, user):
    id = world.api.create(**world.at_registrar(user, domain="169.254.169.254:80"))
    assert world.api.wait_state(id, "rejected")["reason"] == "address 169.254.169.254 is not allowed (ROLLCALL_SIP_DENY)"
    world.api.delete(id)
    wait_for(lambda: world.grave_of(id), 20, "its grave")
