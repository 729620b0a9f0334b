"""Contract ribbon 6.4, 6.5 and 6.6: servers, credentials, who refers to what; 4 and 7: routes and the codes of errors."""
import itertools
import threading

import pytest
from ribbon_client import (CONTACT, CREDENTIAL, CREDENTIALS, ENTRY, MASK, SERVER, SERVERS, connect, credential_path,
                           entry_path, path, server_path)
from stack import wait_for

SERVER_DEFAULTS = {
    "ServerLookup": "0", "ServerType": "0", "Host": "192.0.2.1", "HostIpVersion": "0", "DomainName": "",
    "ServiceName": "sip", "Port": "5060", "Protocol": "1", "TLSProfileID": "0", "Priority": "0", "Weight": "0",
    "ContactRegistrantTableID": "0", "RemoteAuthorizationTableID": "0", "StaggerRegistration": "0",
    "ClearRemoteRegistrationOnStartup": "0", "ContactURIRandomizer": "0", "AuthorizationOnRefresh": "1",
    "RetryNonStaleNonce": "1", "SessionURIValidation": "0", "Monitor": "", "KeepAliveFrequency": "",
    "RecoverFrequency": "", "LocalUserName": "", "PeerUserName": "", "ReuseTransport": "", "ReuseTimeout": "",
    "TransportSocket": ""}


@pytest.fixture
def ribbon(world):
    client = connect(world)
    client.make(path(CONTACT, 3), Description="contacts")
    client.make(path(SERVERS, 2), Description="servers")
    client.make(path(CREDENTIALS, 4), Description="credentials")
    return client


# ---- 6.4 servers

def test_6_4_defaults_and_order(ribbon):
    item = ribbon.make(server_path(2, 1), Host="192.0.2.1")
    assert item.values == SERVER_DEFAULTS and item.order == list(SERVER_DEFAULTS)


def test_6_4_every_parameter_is_kept(ribbon):
    given = {"ServerLookup": "0", "ServerType": "2", "Host": "2001:db8::1", "HostIpVersion": "1",
             "DomainName": "example.com", "ServiceName": "sips", "Port": "65535", "Protocol": "4", "TLSProfileID": "7",
             "Priority": "16", "Weight": "65535", "ContactRegistrantTableID": "3", "RemoteAuthorizationTableID": "4",
             "StaggerRegistration": "1", "ClearRemoteRegistrationOnStartup": "1", "ContactURIRandomizer": "1",
             "AuthorizationOnRefresh": "0", "RetryNonStaleNonce": "0", "SessionURIValidation": "1", "Monitor": "2",
             "KeepAliveFrequency": "30", "RecoverFrequency": "5", "LocalUserName": "Anonymous", "PeerUserName": "Peer",
             "ReuseTransport": "True", "ReuseTimeout": "Forever", "TransportSocket": "1"}
    assert ribbon.make(server_path(2, 1), **given).values == given
    assert ribbon.get(server_path(2, 1)).item.values == given


NUMBERS = [("Port", 1024, 65535), ("TLSProfileID", 0, 65535), ("Priority", 0, 16), ("Weight", 0, 65535)]


@pytest.mark.parametrize("name,low,high", NUMBERS, ids=[n[0] for n in NUMBERS])
def test_6_4_bounds_of_numbers(ribbon, name, low, high):
    ribbon.make(server_path(2, 1), Host="h")
    for good in (low, high):
        assert ribbon.post(server_path(2, 1), **{name: good}).item[name] == str(good)
    for bad in (low - 1, high + 1, "", "x"):
        assert ribbon.post(server_path(2, 1), **{name: bad}).error == (500, 20038, f"{SERVER}|2:1")


ENUMS = [("ServerLookup", "01"), ("ServerType", "012"), ("HostIpVersion", "01"), ("Protocol", "124"), ("StaggerRegistration", "01"),
         ("ClearRemoteRegistrationOnStartup", "01"), ("ContactURIRandomizer", "01"), ("AuthorizationOnRefresh", "01"),
         ("RetryNonStaleNonce", "01"), ("SessionURIValidation", "01")]


@pytest.mark.parametrize("name,values", ENUMS, ids=[e[0] for e in ENUMS])
def test_6_4_enums(ribbon, name, values):
    ribbon.make(server_path(2, 1), Host="h", DomainName="d")
    for value in [str(i) for i in range(6)] + ["", "true"]:
        answer = ribbon.post(server_path(2, 1), **{name: value})
        if value and value in values:
            assert answer.item[name] == value
        else:
            assert answer.error == (500, 20038, f"{SERVER}|2:1")


TEXTS = [("ServiceName", 64), ("LocalUserName", 256), ("PeerUserName", 256),
         *((name, 64) for name in ("Monitor", "KeepAliveFrequency", "RecoverFrequency", "ReuseTransport", "ReuseTimeout", "TransportSocket"))]


@pytest.mark.parametrize("name,longest", TEXTS)
def test_6_4_longest_texts(ribbon, name, longest):
    ribbon.make(server_path(2, 1), Host="h")
    assert ribbon.post(server_path(2, 1), **{name: "t" * longest}).item[name] == "t" * longest
    assert ribbon.post(server_path(2, 1), **{name: "t" * (longest + 1)}).app == 20038


HOST_253 = ".".join(["h" * 50] * 4 + ["h" * 49])


@pytest.mark.parametrize("name", ["Host", "DomainName"])
@pytest.mark.parametrize("host,good", [("example.com", True), ("192.0.2.1", True), ("2001:db8::1", True), pytest.param(HOST_253, True, id="253"),
                                       ("h" * 257, False), ("a b", False), ("example.com:5060", False), ("a@b", False)])
def test_6_4_hosts(ribbon, name, host, good):
    answer = ribbon.put(server_path(2, 1), **{"Host": "h", name: host})
    if good:
        assert answer.item[name] == host
    else:
        assert answer.error == (500, 20038, f"{SERVER}|2:1")


def test_6_4_what_is_looked_up_must_be_there(ribbon):
    assert ribbon.put(server_path(2, 1)).error == (500, 20045, "")
    assert ribbon.put(server_path(2, 1), ServerLookup="1", Host="h").error == (500, 20045, "")
    assert ribbon.put(server_path(2, 1), ServerLookup="1", DomainName="d").http_code == 200


def test_6_4_kinds_of_rows_are_not_mixed(ribbon):
    ribbon.make(server_path(2, 1), Host="h")
    assert ribbon.put(server_path(2, 2), ServerLookup="1", DomainName="d").error == (500, 31020, "2")
    ribbon.make(server_path(2, 2), Host="h")
    assert ribbon.post(server_path(2, 2), ServerLookup="1", DomainName="d").error == (500, 31020, "2")
    assert ribbon.delete(server_path(2, 2)).done
    assert ribbon.post(server_path(2, 1), ServerLookup="1", DomainName="d").http_code == 200, "alone it may change"


@pytest.mark.parametrize("row,error", [(1, None), (99, None), (100, 20031), (0, 20036)])
def test_5_3_ids_of_server_rows(ribbon, row, error):
    answer = ribbon.put(server_path(2, row), Host="h")
    assert answer.app == error


@pytest.mark.parametrize("client", ["S12", "S13"])
def test_6_4_what_real_clients_send_of_a_row(ribbon, client):
    """Empty texts, a field that is none, and nothing of many that have a default."""
    sent = "ServerLookup=0&ServerType=0&Priority=1&Host=192.0.2.7&Port=5061&Protocol=4&DomainName=&Weight=0&TLSProfileID=1&Monitor=1"
    sent += {"S12": "&SipServerTableId=2", "S13": "&ReuseTimeout=1000&TransportSocket=4"}[client]
    item = ribbon.call("PUT", server_path(2, 1), sent, headers={"Content-Type": None}).item
    given = dict(pair.split("=") for pair in sent.split("&"))
    assert item.values == {**SERVER_DEFAULTS, **{k: v for k, v in given.items() if k in SERVER_DEFAULTS}}


@pytest.mark.parametrize("table", [SERVERS, CREDENTIALS])
def test_6_4_and_6_5_descriptions_of_tables(ribbon, table):
    assert ribbon.make(path(table, 9), Description="d" * 64).values == {"Description": "d" * 64, "Sequence": ""}
    assert ribbon.put(path(table, 10), Description="d" * 65).error == (500, 20038, f"{table}|10")
    assert ribbon.put(path(table, 10), Description="").error == (500, 20039, f"{table}|10")
    assert ribbon.put(path(table, 10)).error == (500, 20045, "")


# ---- 6.5 credentials

def test_6_5_defaults_and_order(ribbon):
    item = ribbon.make(credential_path(4, 1), User="u", EncryptedPassword="p")
    assert item.order == ["Realm", "User", "EncryptedPassword", "FromURIUserMatch", "MatchRegex"]
    assert item.values == {"Realm": "", "User": "u", "EncryptedPassword": MASK, "FromURIUserMatch": "0", "MatchRegex": ""}


@pytest.mark.parametrize("given", [{}, {"User": "u"}, {"EncryptedPassword": "p"}])
def test_6_5_user_and_password_are_required(ribbon, given):
    assert ribbon.put(credential_path(4, 1), **given).error == (500, 20045, "")


TEXTS_6_5 = [("Realm", 512, "", None), ("User", 64, "", 20039), ("EncryptedPassword", 64, "", 20039),
             ("MatchRegex", 128, "", None)]


@pytest.mark.parametrize("name,longest,empty,error", TEXTS_6_5, ids=[t[0] for t in TEXTS_6_5])
def test_6_5_lengths(ribbon, name, longest, empty, error):
    ribbon.make(credential_path(4, 1), User="u", EncryptedPassword="p")
    assert ribbon.post(credential_path(4, 1), **{name: "t" * longest}).http_code == 200
    assert ribbon.post(credential_path(4, 1), **{name: "t" * (longest + 1)}).error == (500, 20038, f"{CREDENTIAL}|4:1")
    assert ribbon.post(credential_path(4, 1), **{name: empty}).app == error


@pytest.mark.parametrize("value,error", [("0", None), ("1", 20045), ("2", 20038), ("", 20038)])
def test_6_5_from_uri_user_match(ribbon, value, error):
    given = {"User": "u", "EncryptedPassword": "p", "FromURIUserMatch": value}
    assert ribbon.put(credential_path(4, 1), **given).app == error


@pytest.mark.parametrize("regex,good", [("^40[0-9]{2}$", True), ("(a|b)+", True), ("(", False), ("[", False), ("*", False),
                                        ("a\\C", False)])
def test_6_5_match_regex_must_compile(ribbon, regex, good):
    given = {"User": "u", "EncryptedPassword": "p", "FromURIUserMatch": "1", "MatchRegex": regex}
    assert (ribbon.put(credential_path(4, 1), **given).app is None) == good


def test_6_5_sequence_is_kept(ribbon):
    assert ribbon.post(path(CREDENTIALS, 4), Sequence="2,1").item["Sequence"] == "2,1"
    assert ribbon.make(path(SERVERS, 5), Description="s", Sequence="3")["Sequence"] == "3"
    for bad in ("a", "1,,2", "1,-2", "0"):
        assert ribbon.post(path(CREDENTIALS, 4), Sequence=bad).error == (500, 20038, f"{CREDENTIALS}|4")


def stored(world, ribbon):
    return [v for k in world.redis.scan_iter(f"rc:*:acct:{ribbon.account}:obj:ribbon-*") if world.redis.type(k) == "hash"
            for v in world.redis.hvals(k)]


def test_6_5_the_password_is_nowhere_in_clear(world, ribbon):
    secret = "very-secret-indeed"
    ribbon.make(credential_path(4, 1), User="4001", EncryptedPassword=secret)
    ribbon.make(server_path(2, 1), Host="192.0.2.1", ContactRegistrantTableID="3", RemoteAuthorizationTableID="4")
    ribbon.make(entry_path(3, 1), AOR="sip:4001")
    assert any("sealed:" in text for text in stored(world, ribbon))
    for key in world.redis.scan_iter("*"):
        read = {"hash": world.redis.hgetall, "string": world.redis.get}.get(world.redis.type(key), lambda k: "")
        assert secret not in str(read(key)), key
    for file in world.stack.directory.rglob("*.aof"):
        assert secret.encode() not in file.read_bytes()
    assert secret not in world.gateway.log_text()


def test_6_5_the_mask_written_back_changes_nothing(world, ribbon):
    ribbon.make(credential_path(4, 1), User="u", EncryptedPassword="p")
    before = stored(world, ribbon)
    assert ribbon.post(credential_path(4, 1), EncryptedPassword=MASK).http_code == 200
    assert sorted(stored(world, ribbon)) == sorted(before)
    ribbon.post(credential_path(4, 1), EncryptedPassword="p")
    assert sorted(stored(world, ribbon)) == sorted(before), "the same password keeps its sealed text"
    ribbon.post(credential_path(4, 1), EncryptedPassword="other")
    assert sorted(stored(world, ribbon)) != sorted(before)


def test_6_5_there_is_nothing_that_a_mask_could_keep_on_create(ribbon):
    answer = ribbon.put(credential_path(4, 1), User="u", EncryptedPassword=MASK)
    assert answer.error == (500, 20038, f"{CREDENTIAL}|4:1")


# ---- 6.6 references

REFERENCES = [("ContactRegistrantTableID", CONTACT, 3, 31011), ("RemoteAuthorizationTableID", CREDENTIALS, 4, 31010)]


@pytest.mark.parametrize("field,table,id,code", REFERENCES, ids=[r[0] for r in REFERENCES])
def test_6_6_a_table_in_use_is_protected(ribbon, field, table, id, code):
    ribbon.make(server_path(2, 5), Host="h", **{field: id})
    ribbon.make(server_path(2, 7), Host="h", **{field: id})
    assert ribbon.delete(path(table, id)).error == (500, code, f"{id}|2:5")
    assert ribbon.delete(server_path(2, 5)).done
    assert ribbon.delete(path(table, id)).error == (500, code, f"{id}|2:7")
    assert ribbon.post(server_path(2, 7), **{field: 0}).http_code == 200
    assert ribbon.delete(path(table, id)).done


@pytest.mark.parametrize("field,table,id,code", REFERENCES, ids=[r[0] for r in REFERENCES])
def test_6_6_a_server_table_takes_its_references_with_it(ribbon, field, table, id, code):
    ribbon.make(server_path(2, 5), Host="h", **{field: id})
    assert ribbon.delete(path(SERVERS, 2)).done
    assert ribbon.get(server_path(2, 5)).app == 20012
    assert ribbon.delete(path(table, id)).done


@pytest.mark.parametrize("field,table,id,code", REFERENCES, ids=[r[0] for r in REFERENCES])
@pytest.mark.parametrize("absent", [1, 65534, 65535])
def test_6_6_a_reference_to_nothing(ribbon, field, table, id, code, absent):
    answer = ribbon.put(server_path(2, 1), Host="h", **{field: absent})
    assert answer.error == (500, 20040, f"{SERVER}|2:1|{field}|{absent}")
    ribbon.make(server_path(2, 1), Host="h", **{field: id})
    assert ribbon.post(server_path(2, 1), **{field: absent}).app == 20040
    assert ribbon.post(server_path(2, 1), **{field: 65536}).app == 20038
    assert ribbon.get(server_path(2, 1)).item[field] == str(id)


def test_6_6_delete_order_of_a_real_client(ribbon):
    ribbon.make(credential_path(4, 1), User="u", EncryptedPassword="p")
    ribbon.make(entry_path(3, 1), AOR="sip:1")
    ribbon.make(server_path(2, 1), Host="h", ContactRegistrantTableID="3", RemoteAuthorizationTableID="4")
    for target in (server_path(2, 1), path(SERVERS, 2), entry_path(3, 1), path(CONTACT, 3), credential_path(4, 1),
                   path(CREDENTIALS, 4)):
        assert ribbon.delete(target).done, target


# ---- 4: every resource × method

ROUTES = [(path(CONTACT, 3), path(CONTACT), {"Description": "d"}), (path(SERVERS, 2), path(SERVERS), {"Description": "d"}),
          (path(CREDENTIALS, 4), path(CREDENTIALS), {"Description": "d"}),
          (entry_path(3, 1), path(CONTACT, 3, ENTRY), {"AOR": "sip:1"}),
          (server_path(2, 1), path(SERVERS, 2, SERVER), {"Host": "h"}),
          (credential_path(4, 1), path(CREDENTIALS, 4, CREDENTIAL), {"User": "u", "EncryptedPassword": "p"})]


@pytest.mark.parametrize("item,collection,body", ROUTES, ids=[r[0].split("/")[-2] for r in ROUTES])
def test_4_life_of_an_object(world, item, collection, body):
    client = connect(world)
    table = "/" + "/".join(item.split("/")[1:3])
    if table != item:
        client.make(table, Description="t")
    id = ":".join(item.split("/")[2::2])
    name = item.split("/")[-2]
    for method in ("GET", "POST"):
        assert client.call(method, item, body).error == (404, 20012, f"{id}|{name}")
    assert client.delete(item).error == (500, 20012, f"{id}|{name}")
    made = client.make(item, **body)
    assert made.name == name and made.id == id
    assert client.put(item, **body).error == (500, 20013, f"{id}|{name}")
    assert client.get(item).item.values == client.post(item, **body).item.values == made.values
    assert [i for i, _ in client.get(collection).links] == [id]
    assert client.delete(item).done
    assert client.get(item).app == 20012 and client.get(collection).links == []


@pytest.mark.parametrize("target", [r[0] for r in ROUTES])
def test_4_unknown_actions(ribbon, target):
    for whole in (target, target.rpartition("/")[0]):
        assert ribbon.call("POST", whole + "?action=reset", {}).error == (400, 20046, "reset")


@pytest.mark.parametrize("target", [r[1] for r in ROUTES])
def test_4_collections_are_read_only(ribbon, target):
    for method in ("PUT", "POST", "DELETE"):
        assert ribbon.call(method, target, {"Description": "d"}).error == (400, 20036, "")


@pytest.mark.parametrize("target,params", [
    ("/zzzz", "|zzzz"), ("/zzzz/1", "1|zzzz"), (path(ENTRY), f"|{ENTRY}"), (path(ENTRY, 1), f"1|{ENTRY}"),
    (path(CONTACT, 3, "zzzz"), "3|zzzz"), (path(CONTACT, 3, SERVER), f"3|{SERVER}"), (path("siprauthentry"), "|siprauthentry"),
    (path(CONTACT.upper()), f"|{CONTACT.upper()}"), (entry_path(3, 1) + "/x", f"3|{ENTRY}")])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_7_unknown_resources(ribbon, method, target, params):
    assert ribbon.call(method, target).error == (404, 20012, params)


@pytest.mark.parametrize("target", ["", "/", "//"])
def test_7_an_empty_resource(ribbon, target):
    assert ribbon.call("GET", target).error == (400, 20033, "")


# ---- many writers

def test_parallel_writers_of_one_account_all_succeed(world, ribbon):
    clients = []
    for _ in range(8):
        client = connect(world, ribbon.number)
        clients.append(client)
    ribbon.make(server_path(2, 1), Host="192.0.2.1", ContactRegistrantTableID="3")
    failed = []

    def work(client, numbers):
        for n in numbers:
            answer = client.put(entry_path(3, n), AOR=f"sip:u{n}")
            if answer.http_code != 200:
                failed.append(answer.text)

    threads = [threading.Thread(target=work, args=(c, range(1 + 10 * i, 11 + 10 * i))) for i, c in enumerate(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed[0]
    assert len(ribbon.get(path(CONTACT, 3, ENTRY)).links) == 80
    wait_for(lambda: ribbon.yeti.get("/registrations").json["meta"]["total-count"] == 80, 10, "their registrations")


def test_one_put_of_two_that_race_wins(world, ribbon):
    clients = [connect(world, ribbon.number) for _ in range(4)]
    for n in itertools.islice(itertools.count(1), 10):
        answers = []
        threads = [threading.Thread(target=lambda c=c: answers.append(c.put(path(CONTACT, 100 + n), Description="d")))
                   for c in clients]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted(a.app or 0 for a in answers) == [0, 20013, 20013, 20013]
