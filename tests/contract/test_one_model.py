"""One registration seen from everywhere: what one dialect creates, the others of the same account list; a change through one is
seen through all and leaves alone what that dialect does not show; deleted through one it is gone in all; another account sees
none of it; ids and names do not collide. Kazoo makes and changes nothing: it lists live bindings."""
import hashlib
import itertools
import json

import pytest

import kazoo_client
import ribbon_client
import voximplant_client
from ribbon_client import CONTACT, CREDENTIALS, ENTRY, SERVERS, credential_path, entry_path, path, server_path

GATEWAY = {"ROLLCALL_CONTACT": "sip:{username}@192.0.2.77:5090"}
MAKERS = ["yeti", "voximplant", "ribbon"]
ALL = [*MAKERS, "kazoo"]
VIRTUAL = 65535


def api_key(number):
    return f"{number:064x}"


def PRINCIPALS(document):
    voximplant_client.add_accounts(document)
    for account in document["accounts"]:
        number = account["number"] - voximplant_client.FIRST_NUMBER
        account["hex_id"] = f"{number:032x}"
        document["keys"].append({"id": f"kazoo{number}", "account": account["name"],
                                 "api_key_sha256": hashlib.sha256(api_key(number).encode()).hexdigest()})


class Account:
    """One account, asked through all four dialects."""

    _users = itertools.count(1)

    def __init__(self, world):
        self.world = world
        self.ribbon = ribbon_client.connect(world)
        self.number, self.name, self.yeti = self.ribbon.number, self.ribbon.account, self.ribbon.yeti
        self.voximplant = voximplant_client.Vox(world.gateway.port, voximplant_client.FIRST_NUMBER + self.number, f"key{self.number}")
        self.kazoo = kazoo_client.log_in(world, api_key(self.number))
        self.entries = {}

    # ---- making

    def make(self, dialect, user=None):
        """A registration that this dialect makes in its plainest form, with a live binding: its id."""
        user = user or f"user{next(self._users)}"
        id = getattr(self, f"make_{dialect}")(user)
        kazoo_client.bind(self.world, self.name, id)
        return id

    def make_yeti(self, user):
        return int(self.yeti.create(username=user, domain="example.com", contact=f"sip:{user}@192.0.2.77:5090", auth_user=user,
                                    auth_password="pw"))

    def make_voximplant(self, user):
        return self.voximplant.create(sip_username=user, proxy="example.com", password="pw")

    def make_ribbon(self, user, **fields):
        """An entry of table 3, at the one server row that names it."""
        if not self.entries:
            self.ribbon.make(path(CONTACT, 3), Description="contacts")
            self.ribbon.make(path(CREDENTIALS, 4), Description="credentials")
            self.ribbon.make(path(SERVERS, 2), Description="servers")
            self.ribbon.make(server_path(2, 1), Host="192.0.2.1", DomainName="example.com", Port="5070",
                             ContactRegistrantTableID="3", RemoteAuthorizationTableID="4", AuthorizationOnRefresh="0",
                             StaggerRegistration="1")
        n = len(self.entries) + 1
        for row, realm in ((2 * n, "one"), (2 * n + 1, "two")):
            self.ribbon.make(credential_path(4, row), Realm=realm, User=user, EncryptedPassword="pw")
        item = self.ribbon.make(entry_path(3, n), **{"AorType": "2", "AOR": f"sip:{user}", "URI1": user, **fields})
        assert item.id == f"3:{n}"
        [id] = [int(r["id"]) for r in self.yeti.get("/registrations").data if r["attributes"]["name"] == f"ribbon:3:{n}@2:1"]
        self.entries[id] = entry_path(3, n)
        return id

    # ---- seeing

    def entry(self, id):
        return self.entries.get(id, entry_path(VIRTUAL, id))

    def user_in(self, dialect, id):
        """The user name as that dialect shows it, or None where it has no such registration."""
        if dialect == "yeti":
            answer = self.yeti.get(f"/registrations/{id}")
            return answer.attributes["username"] if answer.status == 200 else None
        if dialect == "voximplant":
            rows = self.voximplant.list(sip_registration_id=id)
            return rows[0]["sip_username"] if rows else None
        if dialect == "ribbon":
            answer = self.ribbon.get(self.entry(id))
            return answer.item["AOR"].partition(":")[2].partition("@")[0] if answer.http_code == 200 else None
        return next((e["username"] for e in self.bindings() if e["authorizing_id"] == str(id)), None)

    def users_everywhere(self, id):
        return {dialect: self.user_in(dialect, id) for dialect in ALL}

    def bindings(self):
        return self.kazoo.get(self.kazoo.of(f"{self.number:032x}")).data

    def count(self):
        return self.kazoo.get(self.kazoo.of(f"{self.number:032x}", "/count")).data["count"]

    def lists(self):
        """Ids of what each dialect lists."""
        made = {path: id for id, path in self.entries.items()}
        tables = [VIRTUAL] + ([3] if made else [])
        links = [link for t in tables for link, _ in self.ribbon.get(path(CONTACT, t, ENTRY)).links]
        parts = [tuple(map(int, link.split(":"))) for link in links]
        return {"yeti": sorted(int(r["id"]) for r in self.yeti.get("/registrations").data),
                "voximplant": self.voximplant.ids(),
                "ribbon": sorted(row if table == VIRTUAL else made[entry_path(table, row)] for table, row in parts),
                "kazoo": sorted(int(e["authorizing_id"]) for e in self.bindings())}

    def spec(self, id):
        return json.loads(self.world.redis.hget(self.world.key(id), "spec"))

    # ---- changing

    def patch(self, id, **attributes):
        answer = self.yeti.patch(id, {k.replace("_", "-"): v for k, v in attributes.items()})
        assert answer.status == 200, answer.body

    def rename(self, dialect, id, user):
        if dialect == "yeti":
            self.patch(id, username=user)
        elif dialect == "voximplant":
            self.voximplant.update(id, sip_username=user)
        else:
            domain = "" if id in self.entries else "@example.com"
            assert self.ribbon.post(self.entry(id), AOR=f"sip:{user}{domain}").http_code == 200

    def delete(self, dialect, id):
        if dialect == "yeti":
            assert self.yeti.call("DELETE", f"/registrations/{id}").status == 204
        elif dialect == "voximplant":
            self.voximplant.delete(id)
        else:
            assert self.ribbon.delete(self.entry(id)).done


@pytest.fixture
def account(world):
    return Account(world)


# ---- the matrix

@pytest.mark.parametrize("maker", MAKERS)
def test_what_one_makes_all_list(account, maker):
    ids = [account.make(maker, f"alice{i}") for i in range(3)]
    assert account.lists() == dict.fromkeys(ALL, ids)
    assert account.count() == 3
    for i, id in enumerate(ids):
        assert account.users_everywhere(id) == dict.fromkeys(ALL, f"alice{i}")


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("changer", MAKERS)
def test_what_one_changes_all_show(account, maker, changer):
    id, other = account.make(maker, "alice"), account.make(maker, "carol")
    account.rename(changer, id, "bob")
    assert account.users_everywhere(id) == dict.fromkeys(ALL, "bob")
    assert account.users_everywhere(other) == dict.fromkeys(ALL, "carol")


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("deleter", MAKERS)
def test_what_one_deletes_is_gone_in_all(account, maker, deleter):
    id, other = account.make(maker), account.make(maker)
    account.delete(deleter, id)
    assert account.users_everywhere(id) == dict.fromkeys(ALL)
    assert account.lists() == dict.fromkeys(ALL, [other])
    assert account.count() == 1
    for dialect in MAKERS:
        with pytest.raises(AssertionError):
            account.delete(dialect, id)


@pytest.mark.parametrize("maker", MAKERS)
def test_another_account_sees_and_touches_none_of_it(world, account, maker):
    id = account.make(maker, "alice")
    before = account.spec(id)
    other = Account(world)
    assert other.lists() == dict.fromkeys(ALL, []) and other.count() == 0
    assert other.users_everywhere(id) == dict.fromkeys(ALL)
    assert other.yeti.patch(id, {"name": "mine"}).status == 404
    assert other.voximplant.call("UpdateSipRegistration", sip_registration_id=id, password="x").code == 275
    assert other.ribbon.post(entry_path(VIRTUAL, id), AorTtl="60").app == 20012
    assert other.kazoo.delete(other.kazoo.of(f"{other.number:032x}", "/alice")).status == 404
    assert other.kazoo.get(other.kazoo.of(f"{account.number:032x}")).status == 403
    for dialect in MAKERS:
        with pytest.raises(AssertionError):
            other.delete(dialect, id)
    assert account.spec(id) == before


def test_ids_never_collide(world, account):
    accounts = [account, Account(world)]
    ids = [a.make(maker) for _ in range(3) for a in accounts for maker in MAKERS]
    assert len(set(ids)) == len(ids) and ids == sorted(ids), "one sequence for all"
    for id in ids[:6:2]:
        account.delete("yeti", id) if id in account.lists()["yeti"] else accounts[1].delete("yeti", id)
    assert account.make("voximplant") not in ids


# ---- names

def test_names_that_dialects_make_are_nobody_elses(account):
    names = {}
    for maker in ("voximplant", "ribbon"):
        names[maker] = account.yeti.read(account.make(maker))["name"]
        answer = account.yeti.post(account.yeti.required(name=names[maker]))
        assert answer.status == 422 and answer.errors[0][1] == "name - has already been taken"


def test_a_name_that_somebody_has_keeps_no_entry_from_being_registered(account):
    account.make("ribbon")
    account.yeti.create(name="ribbon:3:9@2:1")
    account.ribbon.make(entry_path(3, 9), AorType="2", AOR="sip:nine", URI1="nine")
    names = {r["attributes"]["name"] for r in account.yeti.get("/registrations").data if r["attributes"]["username"] == "nine"}
    assert len(names) == 1 and names != {"ribbon:3:9@2:1"}


@pytest.mark.parametrize("maker", MAKERS)
def test_another_name_breaks_nothing(account, maker):
    id = account.make(maker, "alice")
    before = account.spec(id)
    account.patch(id, name="another")
    assert account.spec(id) == {**before, "name": "another"}
    for changer in ("voximplant", "ribbon"):
        account.rename(changer, id, "bob")
        assert account.users_everywhere(id) == dict.fromkeys(ALL, "bob")
        assert account.yeti.read(id)["name"] == "another"
        account.rename(changer, id, "alice")


@pytest.mark.parametrize("changer", ["voximplant", "ribbon"])
def test_a_digest_user_that_is_the_user_name_goes_with_it(account, changer):
    """Yeti says so with null; elsewhere it is the same text."""
    id = int(account.yeti.create(username="alice", auth_user=None, auth_password="pw"))
    account.rename(changer, id, "bob")
    assert account.spec(id)["credentials"][0]["user"] == "bob"
    assert account.yeti.read(id)["auth-user"] is None and account.voximplant.read(id)["auth_user"] == "bob"
    account.voximplant.update(id, auth_user="digest")
    account.rename(changer, id, "carol")
    assert account.yeti.read(id)["auth-user"] == "digest" and account.yeti.read(id)["username"] == "carol"


# ---- what a dialect does not show stays

SECRET = {"realm": "second.example", "user": "u2", "secret": "gcm:none"}


def fill(account, id):
    """What no dialect alone could have written, put where the store keeps it."""
    spec = account.spec(id)
    first = spec["contacts"][0]["uri"]
    spec.update(
        display_username="Alice", aor=f"sip:{spec['username']}@{{local}}", registrar="sip:198.51.100.7:5080",
        credentials=[{**spec["credentials"][0], "realm": "first.example"}, SECRET],
        contacts=[{"uri": first, "q": "0.755", "expires": 300}]
        + [{"uri": f"<sip:c{i}@192.0.2.{i};transport=tcp>;x=y", "q": f"0.{i}", "expires": 60 + i} for i in range(2, 9)],
        expires=444, force_expire=True, route_set=["<sip:r1.example;lr>", "<sip:r2.example;lr>"], transport="tcp", interface="eth7",
        retry_delay_s=77, retry_shape="growing", max_attempts=9,
        quirks={"challenge_first": True, "non_stale": "retry", "stagger": True, "clear_first": True},
        labels={**spec.get("labels", {}), "somebody": {"a": [1, {"b": None}]},
                "index": {**spec.get("labels", {}).get("index", {}), "somebody": "x"}})
    spec["from"] = "<sip:third@party.example>"
    account.world.redis.hset(account.world.key(id), "spec", json.dumps(spec))
    return account.spec(id)


def without(spec, *names):
    return {k: v for k, v in spec.items() if k not in names}


# what is done -> how, and which members of the specification it may change
CHANGES = {
    "yeti name": (lambda a, id: a.patch(id, name="another"), ["name"]),
    "yeti enabled": (lambda a, id: a.patch(id, enabled=False), ["enabled"]),
    "yeti password": (lambda a, id: a.patch(id, auth_password="new"), ["credentials"]),
    "yeti pop": (lambda a, id: a.yeti.patch(id, {}, {"pop": {"data": None}}), []),
    "yeti all that it read": (lambda a, id: a.patch(id, **{k.replace("-", "_"): v for k, v in a.yeti.read(id).items()}), []),
    "voximplant password": (lambda a, id: a.voximplant.update(id, password="new"), ["credentials"]),
    "voximplant proxy as read": (lambda a, id: a.voximplant.update(id, proxy=a.voximplant.read(id)["proxy"]), []),
    "voximplant outbound proxy as read": (lambda a, id: a.voximplant.update(id, outbound_proxy=a.voximplant.read(id)["outbound_proxy"]), []),
    "voximplant user": (lambda a, id: a.voximplant.bind(id, application_id=1, user_id=9), ["labels"]),
    "ribbon lifetime": (lambda a, id: a.ribbon.post(a.entry(id), AorTtl="555"), ["expires"]),
    "ribbon all that it read": (lambda a, id: a.ribbon.post(a.entry(id), **a.ribbon.get(a.entry(id)).item.values), []),
}


@pytest.mark.parametrize("maker", ["yeti", "voximplant"])
@pytest.mark.parametrize("what", CHANGES)
def test_a_change_leaves_alone_what_it_does_not_name(account, maker, what):
    change, members = CHANGES[what]
    id = account.make(maker, "alice")
    before = fill(account, id)
    change(account, id)
    after = account.spec(id)
    assert without(after, *members) == without(before, *members)
    assert [c["realm"] for c in after["credentials"]] == ["first.example", "second.example"]
    assert after["credentials"][1] == SECRET and [c["user"] for c in after["credentials"]] == [before["credentials"][0]["user"], "u2"]
    assert {k: v for k, v in after["labels"].items() if k in ("somebody", "yeti")} == {
        k: v for k, v in before["labels"].items() if k in ("somebody", "yeti")}
    assert after["labels"]["index"]["somebody"] == "x"


def test_what_changes_nothing_makes_no_revision(world, account):
    """Whatever order the labels of several dialects stand in."""
    id = account.make("ribbon")
    account.voximplant.bind(id, application_id=1, user_id=9)
    account.patch(id, display_username="")
    before = world.redis.hgetall(world.key(id))
    account.patch(id, **{k.replace("-", "_"): v for k, v in account.yeti.read(id).items()})
    account.voximplant.update(id, proxy=account.voximplant.read(id)["proxy"])
    account.voximplant.bind(id, application_id=1, user_id=9)
    account.ribbon.post(account.entry(id), **account.ribbon.get(account.entry(id)).item.values)
    assert world.redis.hgetall(world.key(id)) == before


def test_a_contact_changed_through_yeti_is_the_first_alone(account):
    id = account.make("yeti")
    before = fill(account, id)["contacts"]
    account.patch(id, contact="sip:new@192.0.2.50")
    assert account.spec(id)["contacts"] == [{**before[0], "uri": "sip:new@192.0.2.50"}, *before[1:]]


def test_a_lifetime_changed_through_ribbon_is_that_of_one_contact_alone(account):
    id = account.make("yeti")
    spec = fill(account, id)
    del spec["aor"], spec["contacts"][1]["q"]
    account.world.redis.hset(account.world.key(id), "spec", json.dumps(spec))
    account.ribbon.post(account.entry(id), TTL3="90")
    contacts = spec["contacts"]
    assert account.spec(id)["contacts"] == [*contacts[:2], {**contacts[2], "expires": 90}, *contacts[3:]]


@pytest.mark.parametrize("domain", ["example.com", "example.com:5070", "2001:db8::1", "[2001:db8::1]:5070"])
def test_a_user_changed_through_ribbon_leaves_the_address_to_the_domain(account, domain):
    id = int(account.yeti.create(username="alice", domain=domain))
    aor = account.ribbon.get(account.entry(id)).item["AOR"]
    account.ribbon.post(account.entry(id), AOR=aor.replace("alice", "bob"))
    assert account.spec(id)["username"] == "bob" and "aor" not in account.spec(id)
    account.ribbon.post(account.entry(id), AOR="carol@else.example")
    assert account.spec(id)["aor"] == "sip:carol@else.example"
    assert account.ribbon.get(account.entry(id)).item["AOR"] == "sip:carol@else.example"


def test_an_outbound_proxy_changed_through_voximplant_is_the_first_route_alone(account):
    id = account.make("yeti")
    account.patch(id, route_set=["<sip:r1.example;lr>", "<sip:r2.example;lr>"])
    assert account.voximplant.read(id)["outbound_proxy"] == "r1.example"
    account.voximplant.update(id, outbound_proxy="r9.example")
    assert account.yeti.read(id)["route-set"] == ["<sip:r9.example;lr>", "<sip:r2.example;lr>"]
    account.voximplant.update(id, outbound_proxy="")
    assert account.yeti.read(id)["route-set"] == [] and "outbound_proxy" not in account.voximplant.read(id)


def test_no_credential_in_yeti_is_none_of_any_realm(account):
    id = account.make("ribbon")
    assert len(account.spec(id)["credentials"]) == 2
    account.patch(id, auth_user=None, auth_password=None)
    assert account.yeti.read(id)["auth-user"] is None and "credentials" not in account.spec(id)
    assert "auth_user" not in account.voximplant.read(id)


# ---- lifetimes and delays of another dialect's making

def test_yeti_leaves_lifetime_and_shape_of_delays_to_the_maker(account):
    id = account.make("voximplant")
    before = account.spec(id)
    account.patch(id, name="n", display_username="d", retry_delay=before["retry_delay_s"], expire=None)
    after = account.spec(id)
    assert [after.get(k) for k in ("expires", "default_expires", "retry_shape")] == [
        before.get(k) for k in ("expires", "default_expires", "retry_shape")] and before["retry_shape"] == "growing"
    assert account.ribbon.get(account.entry(id)).item["AorTtl"] == "3600"
    account.patch(id, retry_delay=9)
    assert account.spec(id)["retry_shape"] == "fixed"


# ---- where it is sent

@pytest.mark.parametrize("changer", ["yeti", "voximplant"])
def test_another_domain_or_route_is_where_it_is_sent(account, changer):
    """Ribbon's host and port stand apart from the domain; who sets the domain or the route means to move it."""
    domain, route = account.make("ribbon"), account.make("ribbon")
    assert account.spec(domain)["registrar"] == "sip:192.0.2.1:5070"
    if changer == "yeti":
        account.patch(domain, domain="else.example")
        account.patch(route, route_set=["<sip:edge.example;lr>"])
    else:
        account.voximplant.update(domain, proxy="else.example")
        account.voximplant.update(route, outbound_proxy="edge.example")
    assert account.spec(domain)["domain"] == "else.example" and account.spec(route)["route_set"] == ["<sip:edge.example;lr>"]
    assert "registrar" not in account.spec(domain) and "registrar" not in account.spec(route)
    account.ribbon.post(account.entry(domain), AorTtl="99")
    assert account.spec(domain)["domain"] == "else.example" and account.spec(domain)["expires"] == 99


@pytest.mark.parametrize("changer", ["yeti", "voximplant"])
def test_an_address_of_record_follows_the_user_name(account, changer):
    id = account.make_ribbon("alice", AorType="1")
    assert account.spec(id)["aor"] == "sip:alice@{local}"
    account.rename(changer, id, "b b")
    assert account.spec(id)["aor"] == "sip:b%20b@{local}"
    item = account.ribbon.get(account.entry(id)).item
    assert (item["AorType"], item["AOR"]) == ("1", "sip:b%20b")


def test_the_scheme_of_an_address_of_record_follows(account):
    id = account.make_ribbon("alice", AorType="1")
    account.patch(id, sip_schema_id=2)
    assert account.spec(id)["aor"] == "sips:alice@{local}"
    assert account.ribbon.get(account.entry(id)).item["AOR"] == "sips:alice"


def test_a_static_address_of_the_domain_follows_it(account):
    id = account.make_ribbon("alice", AorType="3", AOR="sip:alice@example.com")
    account.patch(id, domain="else.example")
    item = account.ribbon.get(account.entry(id)).item
    assert (item["AorType"], item["AOR"]) == ("3", "sip:alice@else.example")


def test_a_sips_contact_can_stay_in_yeti_and_cannot_be_written_there(account):
    """Yeti asks for sip: in it; Ribbon makes sips: of a sips AOR."""
    id = account.make_ribbon("alice", AOR="sips:alice")
    contact = account.yeti.read(id)["contact"]
    assert contact == "sips:alice@{local}"
    account.patch(id, name="n")
    account.patch(id, contact=contact, sip_schema_id=2)
    assert account.yeti.patch(id, {"contact": "sips:bob@{local}"}).errors == [
        ("100", "contact - is invalid", "/data/attributes/contact")]


@pytest.mark.parametrize("maker", MAKERS)
def test_a_place_survives_changes_through_others(account, place, maker):
    pop, node = place
    id = account.make(maker)
    answer = account.yeti.patch(id, {}, {"pop": {"data": {"type": "pops", "id": str(pop)}},
                                         "node": {"data": {"type": "nodes", "id": str(node)}}})
    assert answer.status == 200, answer.body
    account.voximplant.update(id, password="new")
    account.voximplant.bind(id, application_id=1, user_id=9)
    account.ribbon.post(account.entry(id), AorTtl="99", URI2="x")
    if maker == "ribbon":
        account.ribbon.post(server_path(2, 1), Protocol="2")
        account.ribbon.post(credential_path(4, 2), EncryptedPassword="new")
    spec = account.spec(id)
    assert (spec["pop"], spec["node"], spec["expires"], len(spec["contacts"])) == (pop, node, 99, 2)
    assert account.world.redis.hget(account.world.key(id), "place") == f"node-{node}"


# ---- enabled

@pytest.mark.parametrize("maker", MAKERS)
def test_disabling_is_seen_and_survives_other_changes(world, account, maker):
    id = account.make(maker)
    account.patch(id, enabled=False)
    assert account.voximplant.read(id)["deactivated"] is True
    account.voximplant.update(id, password="new")
    account.voximplant.bind(id, application_id=1, user_id=9)
    account.ribbon.post(account.entry(id), AorTtl="99")
    if maker == "ribbon":
        account.ribbon.post(server_path(2, 1), Protocol="2")
    assert account.yeti.read(id)["enabled"] is False and account.voximplant.read(id)["deactivated"] is True
    voximplant_client.report(world, id, "disabled")
    assert account.ribbon.get(account.entry(id), "?filter=runtime").item["rt_State"] == "disabled"
    account.patch(id, enabled=True)
    assert account.voximplant.read(id)["deactivated"] is False


def test_a_persistent_one_of_another_dialect_stays_enabled_without_a_user(account):
    for maker in ("yeti", "ribbon"):
        id = account.make(maker)
        account.voximplant.bind(id, application_id=1, user_id=9)
        account.voximplant.bind(id, bind="false", user_id=9)
        assert account.yeti.read(id)["enabled"] is True


# ---- passwords

@pytest.mark.parametrize("maker", MAKERS)
def test_a_mask_written_back_through_yeti_keeps_the_password(account, maker):
    id = account.make(maker)
    before = account.spec(id)["credentials"]
    assert account.yeti.read(id)["auth-password"] == "********"
    account.patch(id, auth_password="********", name="another")
    assert account.spec(id)["credentials"] == before
    account.voximplant.update(id, password="new")
    assert account.spec(id)["credentials"][0]["secret"] != before[0]["secret"]
    assert account.spec(id)["credentials"][1:] == before[1:]


# ---- what only the model has

HA1 = {"MD5": "0123456789abcdef0123456789abcdef"}


def give_ha1(account, id, user):
    held = account.yeti.get(f"/registrations/{id}?fields[registrations]=sip").attributes["sip"]["credentials"]
    account.patch(id, sip={"credentials": [{"realm": "example.com", "user": user, "ha1": HA1}, *held[1:]]})
    return account.spec(id)["credentials"][0]


@pytest.mark.parametrize("maker, changer", [(m, c) for m in MAKERS for c in ("voximplant", "ribbon") if (m, c) != ("ribbon", "ribbon")])
def test_an_ha1_keeps_its_user_when_the_user_name_changes(account, maker, changer):
    """The user is hashed into it. (An entry of Ribbon's own that changes its user takes the credentials of the rows that fit.)"""
    id = account.make(maker, "alice")
    held = give_ha1(account, id, "alice")
    account.rename(changer, id, "bob")
    assert account.spec(id)["credentials"][0] == held
    assert account.users_everywhere(id) == dict.fromkeys(ALL, "bob")


def test_an_ha1_gives_way_to_a_password_and_not_to_another_user(account):
    id = account.make("voximplant", "alice")
    held = give_ha1(account, id, "alice")
    refused = account.voximplant.call("UpdateSipRegistration", sip_registration_id=id, auth_user="bob")
    assert "auth_user" in refused.body.decode() and account.spec(id)["credentials"] == [held]
    account.voximplant.update(id, auth_user="alice")
    assert account.spec(id)["credentials"] == [held]
    account.voximplant.update(id, auth_user="bob", password="new")
    [now] = account.spec(id)["credentials"]
    assert now["user"] == "bob" and now["secret"].startswith("sealed:") and "ha1" not in now


def test_credentials_of_rows_take_the_place_of_an_ha1(account):
    """Ribbon: a change of a row of credentials makes them all anew."""
    id = account.make("ribbon", "alice")
    give_ha1(account, id, "alice")
    assert account.ribbon.post(credential_path(4, 2), EncryptedPassword="other").http_code == 200
    assert [(c["realm"], "ha1" in c) for c in account.spec(id)["credentials"]] == [("one", False), ("two", False)]


@pytest.mark.parametrize("maker", MAKERS)
def test_what_only_sip_writes_stays_through_the_others(account, maker):
    id = account.make(maker, "alice")
    account.patch(id, sip={"from": "sip:desk@example.com", "retry-shape": "growing", "contacts": [
        {"uri": "sip:alice@192.0.2.77:5090", "q": "0.5", "expires": 90}, {"uri": "<sip:alice@192.0.2.78>", "q": "0.3", "expires": 80}]})
    before = account.spec(id)
    account.rename("voximplant", id, "alice")
    assert account.ribbon.post(account.entry(id), AorTtl="700").http_code == 200
    now = account.spec(id)
    assert now["expires"] == 700
    assert [now[m] for m in ("from", "retry_shape", "contacts")] == [before[m] for m in ("from", "retry_shape", "contacts")]


@pytest.mark.parametrize("changer", ["yeti", "voximplant"])
def test_a_transport_goes_before_the_one_that_a_server_row_had(account, changer):
    """With DNS SRV a row's UDP stands in the registrar's URI, which is sent to before the transport is looked at."""
    id = account.make("ribbon", "alice")
    row = account.ribbon.post(server_path(2, 1), Host="", ServerLookup="1", DomainName="example.com")
    assert row.http_code == 200
    held = account.spec(id)
    assert (held["registrar"], held["transport"]) == ("sip:example.com;transport=udp", "udp")
    if changer == "yeti":
        answer = account.yeti.patch(id, None, {"transport-protocol": {"data": {"type": "transport-protocols", "id": "2"}}})
        assert answer.status == 200
    else:
        account.voximplant.update(id, proxy="example.com;transport=tcp")
    now = account.spec(id)
    assert "registrar" not in now and (now["domain"], now["transport"]) == ("example.com", "tcp")
