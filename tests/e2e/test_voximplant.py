"""A registration made through the Voximplant dialect, from its creation to its end, at a real registrar."""
import pytest

from stack import wait_for
from voximplant_client import Vox, add_key, check_entry


def PRINCIPALS(document):
    document["accounts"] = [{"name": "default", "number": 77}]
    add_key(document, "key-77", "default")


@pytest.fixture
def vox(world):
    return Vox(world.gateway.port, 77, "key-77")


def create(vox, world, user, **fields):
    return vox.create(sip_username=user, proxy=world.kamailio.address, password=world.stack.sip_password, **fields)


def wait_row(vox, id, condition, what, seconds=30):
    """The row once condition(row) holds."""
    last = {}

    def there():
        last.clear()
        last.update(vox.read(id))
        return condition(last)

    try:
        wait_for(there, seconds, what, every=0.05)
    except TimeoutError:
        raise AssertionError(f"waited for {what}; the row is {last}") from None
    return last


def test_the_life_of_a_registration(world, vox, user):
    """Created, bound at Kamailio, seen; a wrong password, seen; the right one again; deleted and gone."""
    id = create(vox, world, user)
    wait_for(lambda: world.kamailio_contacts(user), 20, "the binding")
    row = wait_row(vox, id, lambda r: r.get("successful") is True, "success")
    check_entry(row)
    assert row["status_code"] == 200 and "error_message" not in row
    assert vox.ids(successful="true", status_code="200", sip_username=user) == [id]

    vox.update(id, password="wrong")
    row = wait_row(vox, id, lambda r: r.get("successful") is False, "the failure")
    assert row["status_code"] in (401, 403) and row["error_message"]
    assert vox.ids(status_code="400:499", sip_username=user) == [id] and vox.ids(successful="true", sip_username=user) == []

    vox.update(id, password=world.stack.sip_password)
    wait_row(vox, id, lambda r: r.get("successful") is True and r["status_code"] == 200, "success again")

    vox.delete(id)
    assert vox.ids(sip_registration_id=id) == []
    wait_for(lambda: not world.kamailio_contacts(user), 20, "the binding to go")
    wait_for(lambda: not world.keys_of(id) and world.grave_of(id), 20, "the keys to go")


def test_one_that_is_not_persistent_registers_only_while_a_user_is_bound(world, vox, user):
    id = create(vox, world, user, is_persistent="false")
    wait_row(vox, id, lambda r: vox.ids(sip_registration_id=id, in_progress="false"), "the first report")
    assert not world.kamailio_contacts(user) and "successful" not in vox.read(id)
    vox.bind(id, application_id=1, user_id=9)
    wait_for(lambda: world.kamailio_contacts(user), 20, "the binding")
    vox.bind(user_id=9, bind="false")
    wait_for(lambda: not world.kamailio_contacts(user), 20, "the binding to go")
    row = vox.read(id)
    assert (row["deactivated"], row["is_persistent"]) == (False, False)
    vox.delete(id)


def test_a_user_who_moves_takes_the_binding_along(world, vox, user):
    """Two that are not persistent: only the one that has the user is registered."""
    other = user + "b"
    first = create(vox, world, user, is_persistent="false", application_id=1, user_id=10)
    second = create(vox, world, other, is_persistent="false")
    wait_for(lambda: world.kamailio_contacts(user), 20, "the binding of the first")
    vox.bind(second, application_id=1, user_id=10)
    wait_for(lambda: world.kamailio_contacts(other) and not world.kamailio_contacts(user), 20, "the second in its place")
    for id in (first, second):
        vox.delete(id)


def test_a_change_of_user_name_moves_the_binding(world, vox, user):
    new = user + "new"
    id = create(vox, world, user)
    wait_for(lambda: world.kamailio_contacts(user), 20, "the binding")
    vox.update(id, sip_username=new)
    wait_for(lambda: world.kamailio_contacts(new) and not world.kamailio_contacts(user), 20, "the binding of the new name alone")
    assert wait_row(vox, id, lambda r: r.get("successful") is True, "success")["auth_user"] == new


def test_an_outbound_proxy_is_where_it_is_sent(world, vox, user):
    """Nobody listens at the proxy; the outbound proxy, Kamailio itself, is where it is sent."""
    id = vox.create(sip_username=user, proxy="127.0.0.1:9", outbound_proxy=world.kamailio.address, password=world.stack.sip_password)
    wait_for(lambda: world.kamailio_contacts(user), 20, "the binding")
    assert wait_row(vox, id, lambda r: r.get("successful") is True, "success")["outbound_proxy"] == world.kamailio.address


def test_both_dialects_see_one_registration(world, vox, user):
    id = create(vox, world, user)
    world.api.wait_state(id, "registered")
    world.api.update(str(id), enabled=False)
    wait_for(lambda: not world.kamailio_contacts(user), 20, "the binding to go")
    assert vox.read(id)["deactivated"] is True
    of_yeti = int(world.api.create(**world.at_kamailio(user + "y")))
    world.api.wait_state(of_yeti, "registered")
    row = vox.read(of_yeti)
    assert row["successful"] is True and row["sip_username"] == user + "y"
    vox.delete(of_yeti)
    wait_for(lambda: not world.kamailio_contacts(user + "y"), 20, "the binding of the other to go")
