"""What an older gateway left in Redis is served by this one."""
from stack import wait_for

CREATE = {"domain": "example.com", "username": "from-before", "contact": "sip:u@h"}


def forget_indexes(world, ids):
    """As a gateway left it that had none."""
    for id in ids:
        key = world.key(id)
        world.redis.hdel(key, "terms")
        for index in world.redis.scan_iter(key.split("reg:")[0] + "acct:*:by:*"):
            if ":by:binding:" not in index:
                world.redis.zrem(index, id)


def found(api):
    return {r["id"] for r in api.get("/registrations?filter[username-eq]=from-before").data}


def test_registrations_from_before_indexes_are_found_by_them(world, api):
    ids = {api.create(**CREATE) for _ in range(3)}
    assert found(api) == ids
    forget_indexes(world, ids)
    assert found(api) == set()
    world.stack.new_gateway("newer", env=world.env).start()
    wait_for(lambda: found(api) == ids, 20, "the job that a gateway gives them at its start")
