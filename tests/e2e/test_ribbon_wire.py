"""Contract ribbon 6.2 to 6.5 on the wire: what each switch of a server row, each AOR type and each row of credentials does to the
REGISTERs that a scriptable registrar sees, all of it said by forms of an SBC Edge's client."""
import datetime
import re
import time

import pytest
from certificates import Certificates
from ribbon_client import CONTACT, CREDENTIALS, SERVERS, Ribbon, credential_path, entry_path, path, server_path
from stack import wait_for
from world import are_staggered, removes

WORLD = {"kamailio": False}
REALM = "127.0.0.1"  # of the registrar, whose password is the same for everybody
CHALLENGE = {"status": 401, "headers": {"WWW-Authenticate": f'Digest realm="{REALM}", nonce="%s", qop="auth"'}}


@pytest.fixture
def ribbon(world):
    client = Ribbon(world.gateway.port)
    client.registrar_password = world.registrar_password
    assert client.login(world.stack.username, world.stack.password).done
    for table, id in ((CONTACT, 3), (SERVERS, 2), (CREDENTIALS, 4)):
        client.make(path(table, id), Description="on the wire")
    yield client
    for table, id in ((SERVERS, 2), (CONTACT, 3), (CREDENTIALS, 4)):
        client.delete(path(table, id))


def server(world, client, **fields):
    client.make(server_path(2, 1), **{"Host": "127.0.0.1", "Port": world.registrar.port, "ContactRegistrantTableID": 3,
                                      "RemoteAuthorizationTableID": 4, **fields})


def credential(client, row, user, password=None, **fields):
    client.make(credential_path(4, row), User=user, EncryptedPassword=password or client.registrar_password, **fields)


def entry(client, user, row=1, **fields):
    client.make(entry_path(3, row), **{"AOR": f"sip:{user}", "AorTtl": "600", **fields})


def runtime(client):
    return client.get(entry_path(3, 1), "?filter=runtime").item.values


def wait_state(client, state):
    wait_for(lambda: runtime(client).get("rt_State") == state, 20, f"rt_State {state}, not {runtime(client)}", every=0.05)
    return runtime(client)


def settled(requests):
    return [r for r in requests if r.answer and 200 <= r.answer.status < 300]


def is_in(text, seconds, since):
    """Whether that time of whole seconds is so many after one between `since` and now."""
    at = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
    return since + seconds - 1 <= at <= time.time() + seconds + 1


# ---- 6.2 and 6.3

@pytest.mark.parametrize("kind, aor, domain, to, ruri", [
    (1, "sip:{user}", "", "sip:{user}@127.0.0.1", "sip:127.0.0.1"),
    (1, "{user}", "pbx.example", "sip:{user}@127.0.0.1", "sip:pbx.example"),
    (2, "sip:{user}", "", "sip:{user}@127.0.0.1", "sip:127.0.0.1"),
    (2, "{user}", "pbx.example", "sip:{user}@pbx.example", "sip:pbx.example"),
    (3, "sip:{user}@static.example", "pbx.example", "sip:{user}@static.example", "sip:pbx.example")])
def test_6_2_headers_of_an_aor_type(world, ribbon, user, kind, aor, domain, to, ruri):
    """6.2 row by row: To and From; 6.3: the Request-URI is the registrar's domain and has no user."""
    credential(ribbon, 1, user)
    server(world, ribbon, DomainName=domain)
    entry(ribbon, user, AorType=kind, AOR=aor.format(user=user))
    wait_state(ribbon, "registered")
    last = settled(world.registrar.requests(to.format(user=user)))[-1]
    assert last.header("to") == f"<{to.format(user=user)}>"
    assert last.header("from").startswith(f"<{to.format(user=user)}>;tag=")
    assert re.fullmatch(re.escape(ruri) + r"(:\d+)?", last.ruri)


def test_6_3_contacts_of_one_register(world, ribbon, user):
    """6.3: all contacts in one REGISTER, user from URIn, own address, q from Qn, expires from TTLn or AorTtl."""
    credential(ribbon, 1, user)
    server(world, ribbon)
    entry(ribbon, user, AorTtl="900", URI1="one", TTL1="300", Q1="100", URI2="sip:two@elsewhere:5099", TTL2="0", Q2="50", URI8="three",
          Q8="0")
    wait_state(ribbon, "registered")
    first = world.sent(user)[0]
    assert first.expires == 900
    host = re.match(r"sip:one@(.*)", first.contacts[0].uri).group(1)
    assert [c.uri for c in first.contacts] == [f"sip:{name}@{host}" for name in ("one", "two", "three")]
    assert host.startswith("127.0.0.1")
    assert [float(c.params["q"]) for c in first.contacts] == [1.0, 0.5, 0.0]
    assert [c.expires for c in first.contacts] == [300, 900, 64]


def test_6_3_after_a_failure_the_retry_timer_runs(world, ribbon, user):
    """6.3: FailedRegistrationRetryTimer, as it is given."""
    credential(ribbon, 1, user)
    world.script(user, [{"status": 500}])
    server(world, ribbon)
    began = time.time()
    entry(ribbon, user, FailedRegistrationRetryTimer="77")
    seen = wait_state(ribbon, "retrying")
    assert seen["rt_StatusCode"] == "500" and is_in(seen["rt_NextAction"], 77, began)


# ---- 6.4

@pytest.mark.parametrize("protocol, transport", [("1", "udp"), ("2", "tcp")])
def test_6_4_protocol(world, ribbon, user, protocol, transport):
    """Host, Port and Protocol: where it is sent, and by what."""
    credential(ribbon, 1, user)
    server(world, ribbon, Protocol=protocol)
    entry(ribbon, user)
    seen = wait_state(ribbon, "registered")
    assert {r.transport.lower() for r in world.sent(user)} == {transport}
    assert seen["rt_Target"] == f"{transport}:{world.registrar.address}"


def test_6_4_a_certificate_that_is_refused_is_told(world, ribbon, user, tmp_path):
    """Protocol 4: its status says why nothing is sent."""
    certificate = Certificates(tmp_path).self_signed("localhost")
    registrar = world.new_registrar(tls=certificate.context())
    registrar.start()
    credential(ribbon, 1, user)
    server(world, ribbon, Host="localhost", Port=registrar.tls_port, Protocol="4")
    entry(ribbon, user)
    seen = wait_state(ribbon, "retrying")
    assert "certificate" in seen["rt_Reason"] and "not trusted" in seen["rt_Reason"]
    assert not world.sent(user, registrar)
    registrar.stop()
    ribbon.post(server_path(2, 1), Host="127.0.0.1", Port=world.registrar.port, Protocol="1")
    wait_state(ribbon, "registered")


def test_6_4_a_name_is_looked_up_for_the_registrants_own_family(world, ribbon, user):
    """HostIpVersion is kept and not followed."""
    credential(ribbon, 1, user)
    server(world, ribbon, Host="localhost", HostIpVersion="1")
    entry(ribbon, user, AorType="1")
    assert wait_state(ribbon, "registered")["rt_Target"] == f"udp:{world.registrar.address}"
    assert ribbon.get(server_path(2, 1)).item["HostIpVersion"] == "1"


def test_6_4_stagger_registration(world, ribbon, user):
    """StaggerRegistration: REGISTERs and un-REGISTERs of several entries are a second apart."""
    names = [f"{user}s{i}" for i in range(3)]
    for row, name in enumerate(names, 1):
        credential(ribbon, row, name)
        entry(ribbon, name, row)
    server(world, ribbon, StaggerRegistration="1")
    wait_for(lambda: all(settled(world.sent(n)) for n in names), 20, "all to be registered")
    assert ribbon.delete(server_path(2, 1)).done
    wait_for(lambda: not any(world.bound(n) for n in names), 20, "all to be gone")
    for wanted in (False, True):
        sent = [r for n in names for r in settled(world.sent(n)) if removes(r) is wanted]
        assert len(sent) == 3 and are_staggered(sent), f"removals: {wanted}"


@pytest.mark.parametrize("switch, wanted", [("1", [True, False]), ("0", [False])])
def test_6_4_clear_remote_registration_on_startup(world, ribbon, user, switch, wanted):
    """ClearRemoteRegistrationOnStartup: first a REGISTER with Expires 0, then the real one."""
    credential(ribbon, 1, user)
    server(world, ribbon, ClearRemoteRegistrationOnStartup=switch)
    entry(ribbon, user)
    wait_state(ribbon, "registered")
    sent = settled(world.sent(user))
    assert [r.expires == 0 for r in sent] == [removes(r) for r in sent] == wanted
    assert world.bound(user)


@pytest.mark.parametrize("switch", ["1", "0"])
def test_6_4_authorization_on_refresh(world, ribbon, user, switch):
    """AuthorizationOnRefresh: 1 re-uses the earlier authorization header on a refresh, 0 waits for a challenge."""
    world.grant(user, 6)
    credential(ribbon, 1, user)
    server(world, ribbon, AuthorizationOnRefresh=switch)
    entry(ribbon, user)
    wait_state(ribbon, "registered")
    refresh = world.wait_sent(user, 3)[2]
    if switch == "1":
        assert refresh.auth["nonce"] == world.sent(user)[1].auth["nonce"] and refresh.answer.status == 200
        return
    assert refresh.auth is None and refresh.answer.status == 401
    assert world.wait_sent(user, 4)[3].auth_result == "ok"


@pytest.mark.parametrize("switch, state", [("1", "retrying"), ("0", "rejected")])
def test_6_4_retry_non_stale_nonce(world, ribbon, user, switch, state):
    """RetryNonStaleNonce: a fresh challenge that is not stale starts the retry timer; with 0 the same is never sent again."""
    credential(ribbon, 1, user)
    world.script(user, [{**CHALLENGE, "headers": {k: v % i for k, v in CHALLENGE["headers"].items()}} for i in "ab"])
    server(world, ribbon, RetryNonStaleNonce=switch)
    began = time.time()
    entry(ribbon, user, FailedRegistrationRetryTimer="30")
    seen = wait_state(ribbon, state)
    sent = world.sent(user)
    assert len(sent) == 2 and sent[1].auth["nonce"] == "a" and seen["rt_StatusCode"] == "401"
    if switch == "1":
        assert is_in(seen["rt_NextAction"], 30, began)
    else:
        assert "rt_NextAction" not in seen
    ribbon.post(credential_path(4, 1), EncryptedPassword="another")
    ribbon.post(credential_path(4, 1), EncryptedPassword=ribbon.registrar_password)
    wait_state(ribbon, "registered")


def test_6_4_contact_uri_randomizer(world, ribbon, user):
    """ContactURIRandomizer: SBCxxxx before each contact's user, the same in refreshes and in the removal."""
    world.grant(user, 6)
    credential(ribbon, 1, user)
    server(world, ribbon, ContactURIRandomizer="1")
    entry(ribbon, user, URI1="one", URI2="two", TTL1="0", TTL2="0")
    wait_state(ribbon, "registered")
    world.wait_sent(user, 3)
    assert ribbon.delete(entry_path(3, 1)).done
    wait_for(lambda: not world.bound(user), 20, "the bindings to go")
    contacts = {tuple(c.uri for c in r.contacts) for r in world.sent(user)}
    assert len(contacts) == 1
    [(one, two)] = contacts
    assert re.match(r"sip:SBC[0-9a-f]{4}one@", one) and two == one.replace("one@", "two@")


# ---- 6.5

@pytest.mark.parametrize("rows, sequence, taken", [
    ([("{user}", {"Realm": "elsewhere", "password": "wrong"}), ("{user}", {"Realm": REALM})], "", "{user}"),
    ([("other", {}), ("{user}", {})], "", "{user}"),
    ([("other", {"FromURIUserMatch": "1", "MatchRegex": "^x"}), ("trunk", {"FromURIUserMatch": "1", "MatchRegex": "^u[0-9]+$"})], "",
     "trunk"),
    ([("a", {"FromURIUserMatch": "1", "MatchRegex": "^u"}), ("b", {"FromURIUserMatch": "1", "MatchRegex": "^u"})], "", "a"),
    ([("a", {"FromURIUserMatch": "1", "MatchRegex": "^u"}), ("b", {"FromURIUserMatch": "1", "MatchRegex": "^u"})], "2,1", "b"),
    ([("a", {"FromURIUserMatch": "1", "MatchRegex": "^u"}),
      ("b", {"FromURIUserMatch": "1", "MatchRegex": "^u", "Realm": REALM})], "1,2", "a")],
    ids=["realm", "user", "expression", "by id", "by sequence", "an empty realm is any"])
def test_6_5_credentials_are_chosen(world, ribbon, user, rows, sequence, taken):
    """6.5: the first row in the table's order whose Realm is the challenge's, or empty, and whose rule takes the From user."""
    for row, (name, fields) in enumerate(rows, 1):
        credential(ribbon, row, name.format(user=user), **fields)
    ribbon.post(path(CREDENTIALS, 4), Sequence=sequence)
    server(world, ribbon)
    entry(ribbon, user)
    wait_state(ribbon, "registered")
    bare, answered = world.sent(user)[:2]
    assert bare.auth is None and answered.auth_result == "ok"
    assert answered.auth["username"] == taken.format(user=user)


def test_6_5_without_a_row_that_fits_the_challenge_is_final(world, ribbon, user):
    """6.5: rows of other realms and users answer nothing."""
    credential(ribbon, 1, user, Realm="elsewhere")
    credential(ribbon, 2, "other")
    server(world, ribbon)
    entry(ribbon, user)
    wait_for(lambda: runtime(ribbon).get("rt_StatusCode") == "401", 20, "the refusal")
    assert [r.auth for r in world.sent(user)] == [None]
