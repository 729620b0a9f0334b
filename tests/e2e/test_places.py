"""Pop and node decide where a registration is sent from; a move neither doubles nor drops a binding."""
from stack import wait_for

WORLD = {"kamailio": False, "registrant_env": {"ROLLCALL_PLACES": "any"}}


def linkage(kind, number):
    return {"data": {"type": kind, "id": str(number)}}


def test_a_registration_moves_to_its_node_and_back(world, user):
    api = world.api
    assert api.call("POST", "/pops", {"data": {"type": "pops", "id": "3", "attributes": {"name": "fra"}}}).status_code == 201
    answer = api.call("POST", "/nodes", {"data": {"type": "nodes", "id": "7", "attributes": {
        "name": "fra-7", "rpc-endpoint": "127.0.0.1:7080"}, "relationships": {"pop": linkage("pops", 3)}}})
    assert answer.status_code == 201, answer.text
    rid = api.create(**world.at_registrar(user, contact="sip:{user}@{local}".replace("{user}", user)))
    assert api.wait_state(rid, "registered")["node"] == "registrant-1"
    first = world.sent(user)[-1]
    node = world.stack.new_registrant("node-seven", env={"ROLLCALL_PLACES": "node-7"}).start()
    api.update(rid, relationships={"node": linkage("nodes", 7)})
    wait_for(lambda: api.status(rid)["node"] == "node-seven", 40, "the node to report it", every=0.1)
    api.wait_state(rid, "registered")
    wait_for(lambda: world.bound(user) ==
             [f"sip:{user}@127.0.0.1:{node.sip_port}"], 20, "the contact of the node alone")
    moved = world.sent(user)[-1]
    assert moved.call_id == first.call_id and moved.cseq > first.cseq
    api.update(rid, relationships={"node": {"data": None}})
    wait_for(lambda: api.status(rid)["node"] == "registrant-1", 40, "the way back", every=0.1)
    wait_for(lambda: world.bound(user) ==
             [f"sip:{user}@127.0.0.1:{world.registrant.sip_port}"], 20, "the first contact alone")


def test_a_move_with_a_fixed_contact_sends_nothing_before_it_is_due(world, user):
    world.grant(user, 600)
    rid = world.api.create(**world.at_registrar(user, expire=600))
    world.api.wait_state(rid, "registered")
    count = len(world.sent(user))
    world.api.update(rid, relationships={"node": linkage("nodes", 7)})
    wait_for(lambda: world.api.status(rid)["node"] == "node-seven", 40, "the node to report it", every=0.1)
    assert len(world.sent(user)) == count
    assert world.api.status(rid)["state"] == "registered"
