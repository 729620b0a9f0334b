"""Contract voximplant 7: the published Node.js client, unmodified, over TLS with an authority of the test's own."""
import datetime
import ipaddress
import json
import pathlib
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

import voximplant
from conftest import BUILD, World
from stack import free_port
from voximplant_client import add_accounts, add_key, private_key, private_pem, report


def PRINCIPALS(document):
    add_accounts(document)
    document["accounts"] += [{"name": "own", "number": 12345}, {"name": "child", "number": 12346, "parent": "own"}]
    add_key(document, "0f2a6c1e-7a53-4d0e-9a43-5f7f1c7a8a10", "own")


def certificate(name, issuer, key, issuer_key, extension):
    now = datetime.datetime.utcnow()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject).public_key(key.public_key()).serial_number(
        x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(
        now + datetime.timedelta(days=1)).add_extension(extension, critical=False).sign(issuer_key, hashes.SHA256())


def pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A certificate authority, a certificate for 127.0.0.1 and the client's credentials file."""
    directory = tmp_path_factory.mktemp("sdk")
    authority = certificate("Test authority", None, private_key("ca"), private_key("ca"), x509.BasicConstraints(True, None))
    server = certificate("gateway", authority.subject, private_key("tls"), private_key("ca"),
                         x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]))
    (directory / "ca.pem").write_bytes(pem(authority))
    (directory / "server.pem").write_bytes(pem(server))
    (directory / "server.key").write_text(private_pem("tls"))
    (directory / "credentials.json").write_text(json.dumps({
        "account_email": "a@example.com", "account_id": 12345, "key_id": "0f2a6c1e-7a53-4d0e-9a43-5f7f1c7a8a10",
        "private_key": private_pem("keys")}))
    return pathlib.Path(directory)


def make_principals(file, credentials):
    """An account and a key as an operator makes them; the command writes the file that the client reads."""
    command = pathlib.Path(BUILD) / "services/gateway/principals/rollcall-principals"
    for arguments in (["account", file, "--name", "made", "--number", "777"],
                      ["key", file, "--account", "made", "--credentials", credentials, "--email", "a@example.com"]):
        subprocess.run([command, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def world(files):
    cause = voximplant.unavailable()
    if cause:
        pytest.skip(f"the published client: {cause}")
    port = free_port()
    w = World({"ROLLCALL_HTTPS_LISTEN": f"127.0.0.1:{port}", "ROLLCALL_TLS_CERTIFICATE_FILE": str(files / "server.pem"),
               "ROLLCALL_TLS_KEY_FILE": str(files / "server.key")}, PRINCIPALS)
    w.https_port = port
    make_principals(w.stack.principals_file, files / "made.json")
    try:
        w.start()
        yield w
    finally:
        w.stop()


@pytest.fixture(scope="module")
def sdk(world, files):
    client = voximplant.Sdk(files / "credentials.json", f"127.0.0.1:{world.https_port}", files / "ca.pem")
    yield client
    client.stop()


def ids(answer):
    return [row["sipRegistrationId"] for row in answer["result"]]


def test_7_the_five_methods_one_after_the_other(sdk, world):
    created = sdk.call("createSipRegistration", sipUsername="JohnGalt", proxy="localhost", password="s3cr&t=é", isPersistent=False,
                       outboundProxy="edge.example.net:5060")
    id = created["sipRegistrationId"]
    assert created == {"result": 1, "sipRegistrationId": id,
                       "accountInfo": {"accountId": 12345, "balance": 0, "currency": "USD", "frozen": False}}
    assert sdk.call("updateSipRegistration", sipRegistrationId=id, authUser="john", applicationId="123") == {"result": 1}
    assert sdk.call("bindSipRegistration", sipRegistrationId=str(id), applicationId="123", userId=9, bind="true") == {"result": 1}
    report(world, id)
    answer = sdk.call("getSipRegistrations", userId="9", deactivated=False)
    row = answer["result"][0]
    assert (answer["count"], ids(answer)) == (1, [id])
    for name in ("lastUpdated", "nextSubscriptionRenewal", "purchaseDate"):
        assert row.pop(name)
    assert row == {"sipRegistrationId": id, "sipUsername": "JohnGalt", "proxy": "localhost", "authUser": "john",
                   "outboundProxy": "edge.example.net:5060", "successful": True, "statusCode": 200, "deactivated": False,
                   "subscriptionPrice": "0.00", "isPersistent": False, "applicationId": 123, "userId": 9}
    assert sdk.call("bindSipRegistration", userId="9", bind="false") == {"result": 1}
    assert ids(sdk.call("getSipRegistrations", userId=9)) == []
    assert sdk.call("deleteSipRegistration", sipRegistrationId=str(id)) == {"result": 1}
    assert ids(sdk.call("getSipRegistrations", sipRegistrationId=id)) == []


def test_8_the_observed_request(sdk):
    one = sdk.call("createSipRegistration", sipUsername="bob", proxy="a.example.net", applicationId=1, userName="bob")
    sdk.call("createSipRegistration", sipUsername="carol", proxy="a.example.net", applicationId=2, userName="carol")
    answer = sdk.call("getSipRegistrations", applicationId=[1, 2], ruleId="any", userName="bob", deactivated=False, count=5, offset=0)
    assert ids(answer) == [one["sipRegistrationId"]]
    assert sdk.call("getSipRegistrations", applicationId=[1, 2], statusCode="200;400:499")["result"] == []


def test_6_errors_come_back_as_they_were_sent(sdk):
    answer = sdk.call("deleteSipRegistration", sipRegistrationId=987654321)
    assert answer["error"]["code"] == 275 and answer["errors"] == [answer["error"]]
    assert sdk.call("createSipRegistration", sipUsername="x")["error"]["code"] == 134
    assert sdk.call("getSipRegistrations", count="x")["error"]["code"] == 101


def test_2_account_id_of_a_child(sdk, world, files):
    child = voximplant.Sdk(files / "credentials.json", f"127.0.0.1:{world.https_port}", files / "ca.pem", account_id=12346)
    try:
        created = child.call("createSipRegistration", sipUsername="x", proxy="child.example.net")
        assert created["accountInfo"]["accountId"] == 12346
        assert ids(child.call("getSipRegistrations")) == [created["sipRegistrationId"]]
    finally:
        child.stop()
    assert created["sipRegistrationId"] not in ids(sdk.call("getSipRegistrations", count=1000))


def test_2_a_key_that_rollcall_principals_made(world, files):
    client = voximplant.Sdk(files / "made.json", f"127.0.0.1:{world.https_port}", files / "ca.pem")
    try:
        created = client.call("createSipRegistration", sipUsername="x", proxy="made.example.net")
        assert created["accountInfo"]["accountId"] == 777
    finally:
        client.stop()


def test_an_authority_that_is_not_trusted_is_refused(world, files, tmp_path):
    other = tmp_path / "none.pem"
    other.write_bytes(pem(certificate("Another", None, private_key("other"), private_key("other"), x509.BasicConstraints(True, None))))
    client = voximplant.Sdk(files / "credentials.json", f"127.0.0.1:{world.https_port}", other)
    try:
        with pytest.raises(AssertionError, match="rejected"):
            client.call("getSipRegistrations")
    finally:
        client.stop()
