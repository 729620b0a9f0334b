"""Contract voximplant 2: tokens as every client makes them, child accounts, legacy credentials, roles, limits."""
import hashlib
import hmac
import time

import jwt
import pytest

from voximplant_client import METHODS, Vox, add_accounts, add_key, encode, make_token, new_vox, private_pem, public_pem, sign

GATEWAY = {"ROLLCALL_FAILED_LOGINS": "0"}
ROLES = ["owner", "admin", "developer", "supervisor", "accountant", "support"]
ALLOWED = {
    "CreateSipRegistration": {"owner", "admin", "accountant"},
    "UpdateSipRegistration": {"owner", "admin", "developer"},
    "BindSipRegistration": {"owner", "admin", "developer"},
    "DeleteSipRegistration": {"owner", "admin", "developer"},
    "GetSipRegistrations": set(ROLES),
}


def PRINCIPALS(document):
    add_accounts(document)
    document["accounts"] += [
        {"name": "parent", "number": 1}, {"name": "child", "number": 2, "parent": "parent"},
        {"name": "grandchild", "number": 3, "parent": "child"}, {"name": "stranger", "number": 4}]
    add_key(document, "parents", "parent")
    add_key(document, "childs", "child")
    for role in ROLES:
        add_key(document, f"only-{role}", "parent", roles=[role])
    add_key(document, "two-roles", "parent", roles=["support", "accountant"])
    document["keys"].append({"id": "legacy", "account": "parent",
                             "api_key_sha256": hashlib.sha256(b"the-api-key").hexdigest()})
    document["keys"].append({"id": "legacy-support", "account": "parent", "roles": ["support"],
                             "api_key_sha256": hashlib.sha256(b"the-support-key").hexdigest()})


@pytest.fixture
def vox(world):
    return new_vox(world)


@pytest.fixture
def parent(world):
    return Vox(world.gateway.port, 1, "parents")


def ask(vox, token):
    return vox.call("GetSipRegistrations", _token=token)


# ---- what each client puts into the token

CLIENTS = {
    "Node": {"exp": +64},
    "Python": {"iat": -5, "exp": +24},
    "PHP": {"exp": +60},
    "Go": {"exp": +30},
    "Java": {"iat": -5, "exp": +60, "text": True},
    ".NET": {"exp": +3600, "nbf": 0, "text": True},
}


@pytest.mark.parametrize("client", CLIENTS)
def test_2_the_token_of_every_client_is_taken(vox, client):
    form = CLIENTS[client]
    now = int(time.time())
    claims = {name: now + form[name] for name in ("iat", "exp", "nbf") if name in form}
    issuer = str(vox.number) if form.get("text") else vox.number
    assert ask(vox, vox.token(iss=issuer, **claims)).result == []


def test_2_typ_may_be_absent(vox):
    assert ask(vox, make_token(vox.number, vox.kid, header={"typ": None})).result == []


def test_2_one_token_may_be_used_again(vox):
    token = vox.token()
    assert [ask(vox, token).result for _ in range(5)] == [[]] * 5


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
def test_2_the_scheme_is_read_in_any_case(vox, scheme):
    assert vox.send("GET", "/GetSipRegistrations", {"Authorization": scheme + vox.token()}, token="").result == []


@pytest.mark.parametrize("iat", [5, 9])
def test_2_a_few_seconds_of_skew_are_allowed(vox, iat):
    assert ask(vox, vox.token(iat=int(time.time()) + iat)).result == []


# ---- what is wrong with a token: contract 6, rows 100 and 447 to 456

@pytest.mark.parametrize("token", ["x", "a.b", "a.b.c", "....", "é", "Zm9v.Zm9v.Zm9v"])
def test_447_what_is_no_token(vox, token):
    code, text = vox.send("GET", "/GetSipRegistrations", {"Authorization": f"Bearer {token}".encode()}, token="").error
    assert code == 447 and "JWT" in text


def test_447_an_empty_bearer(vox):
    assert vox.send("GET", "/GetSipRegistrations", {"Authorization": "Bearer"}, token="").code == 447


@pytest.mark.parametrize("claims", [{"iss": None}, {"iss": "x"}, {"iss": -1}, {"iss": 1.5}, {"iss": True}, {"iss": []}, {"iss": ""},
                                    {"iat": None}, {"iat": "x"}, {"exp": None}, {"exp": "x"}, {"nbf": "x"}],
                         ids=lambda c: str(c))
def test_447_claims_that_are_missing_or_of_another_type(vox, claims):
    now = int(time.time())
    whole = {"iss": vox.number, "iat": now, "exp": now + 60, **claims}
    token = sign({"alg": "RS256", "kid": vox.kid}, {k: v for k, v in whole.items() if v is not None})
    assert ask(vox, token).code == 447


def hs256(vox):
    """HS256 keyed with the public key, as everybody has it."""
    now = int(time.time())
    signed = encode({"alg": "HS256", "kid": vox.kid}) + b"." + encode({"iss": vox.number, "iat": now, "exp": now + 60})
    return (signed + b"." + encode(hmac.new(public_pem().encode(), signed, hashlib.sha256).digest())).decode()


def none(vox):
    now = int(time.time())
    return jwt.encode({"iss": vox.number, "iat": now, "exp": now + 60}, None, algorithm="none", headers={"kid": vox.kid})


def rs512(vox):
    now = int(time.time())
    return jwt.encode({"iss": vox.number, "iat": now, "exp": now + 60}, private_pem(), algorithm="RS512",
                      headers={"kid": vox.kid})


@pytest.mark.parametrize("make", [hs256, none, rs512])
def test_447_another_algorithm(vox, make):
    code, text = ask(vox, make(vox)).error
    assert code == 447 and "RS256" in text


def test_100_an_unknown_kid(vox):
    assert ask(vox, vox.token(kid="nobody")).code == 100


def test_100_no_kid(vox):
    assert ask(vox, make_token(vox.number, vox.kid, header={"kid": ""})).code == 100


def test_100_a_signature_by_another_key(vox):
    code, text = ask(vox, make_token(vox.number, vox.kid, key="other")).error
    assert code == 100 and "signature" in text


def test_100_changed_claims(vox):
    head, _, tail = vox.token().split(".")
    claims = encode({"iss": 1, "iat": int(time.time()), "exp": int(time.time()) + 60}).decode()
    assert ask(vox, f"{head}.{claims}.{tail}").code == 100


def test_454_a_lifetime_over_3600_s(vox):
    now = int(time.time())
    assert ask(vox, vox.token(iat=now, exp=now + 3601)).code == 454
    assert ask(vox, vox.token(iat=now, exp=now + 3600)).result == []


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_455_issued_in_the_future(vox, claim):
    now = int(time.time())
    assert ask(vox, vox.token(**{claim: now + 30, "exp": now + 60})).code == 455


def test_456_expired(vox):
    now = int(time.time())
    assert ask(vox, vox.token(iat=now - 100, exp=now - 20)).code == 456


def test_100_without_credentials(vox):
    code, text = vox.call("GetSipRegistrations", _token="").error
    assert code == 100 and "Authorization" in text and "api_key" in text


def test_100_another_scheme(vox):
    assert vox.send("GET", "/GetSipRegistrations", {"Authorization": "Basic YTpi"}, token="").code == 100


# ---- whose registrations

def test_2_iss_may_be_a_child_account(parent):
    id = parent.create(sip_username="of-the-parent")
    child = Vox(parent.port, 2, "parents")
    of_child = child.create(sip_username="of-the-child")
    assert id in parent.ids() and of_child not in parent.ids()
    assert child.ids(sip_username="of-the-child") == [of_child]
    assert Vox(parent.port, 2, "childs").ids(sip_username="of-the-child") == [of_child]
    answer = child.call("CreateSipRegistration", sip_username="x", proxy="sip.example.net")
    assert answer.json["account_info"]["account_id"] == 2


def test_2_a_childs_child_is_a_child(parent):
    assert Vox(parent.port, 3, "parents").ids() == []


@pytest.mark.parametrize("number", [4, 12345678901])
def test_100_iss_of_no_child(parent, number):
    code, text = ask(parent, parent.token(iss=number)).error
    assert code == 100 and str(number) in text


def test_100_a_child_may_not_manage_its_parent(world):
    assert ask(Vox(world.gateway.port, 1, "childs"), None).code == 100


def test_2_account_id_beside_a_token_is_ignored(vox):
    assert vox.call("GetSipRegistrations", account_id=4).result == []


def test_accounts_see_only_their_own(vox, world):
    id = vox.create()
    other = new_vox(world)
    assert other.ids() == [] and other.ids(sip_registration_id=id) == []
    for method in ("UpdateSipRegistration", "BindSipRegistration", "DeleteSipRegistration"):
        assert other.call(method, sip_registration_id=id).code == 275
    assert vox.ids() == [id]


# ---- legacy credentials

@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_2_legacy_credentials_in_the_query(parent, verb):
    answer = parent.send(verb, "/GetSipRegistrations/?account_id=1&api_key=the-api-key", {"Content-Length": "0"} if verb == "POST" else {}, token="")
    assert isinstance(answer.result, list)


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_2_legacy_credentials_manage_children_too(parent, verb):
    """As a token's iss may be a child (contract 2); an account that is no child is refused."""
    made = parent.send(verb, "/CreateSipRegistration/?account_id=2&api_key=the-api-key&sip_username=deep&proxy=h.example", token="")
    assert made.json["account_info"]["account_id"] == 2
    answer = parent.send(verb, "/GetSipRegistrations?account_id=2&api_key=the-api-key&sip_username=deep", token="")
    assert made.json["sip_registration_id"] in [r["sip_registration_id"] for r in answer.result]
    assert parent.send(verb, "/GetSipRegistrations?account_id=1&api_key=the-api-key&sip_username=deep", token="").result == []
    assert parent.send(verb, "/GetSipRegistrations?account_id=4&api_key=the-api-key", token="").code == 100


def test_2_legacy_credentials_in_the_body(parent):
    fields = {"account_id": 1, "api_key": "the-api-key", "sip_username": "x", "proxy": "y.example.net"}
    assert parent.call("CreateSipRegistration", _token="", **fields).result == 1
    assert parent.call("GetSipRegistrations", _token="", account_id=2, api_key="the-api-key").json["count"] >= 0


@pytest.mark.parametrize("fields", [
    {"account_id": 1, "api_key": "wrong"}, {"account_id": 4, "api_key": "the-api-key"}, {"api_key": "the-api-key"},
    {"account_id": "x", "api_key": "the-api-key"}, {"account_id": 1, "api_key": ""}, {"account_id": 1}], ids=str)
def test_100_wrong_legacy_credentials(parent, fields):
    assert parent.call("GetSipRegistrations", _token="", **fields).code == 100


# ---- roles: the tables of contract 3

@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", METHODS)
def test_3_roles(world, method, role):
    code = Vox(world.gateway.port, 1, f"only-{role}").call(method, sip_registration_id=999999).json.get("error", {}).get("code")
    if role in ALLOWED[method]:
        assert code != 100
    else:
        assert code == 100


def test_100_a_missing_role_names_those_that_may(world):
    code, text = Vox(world.gateway.port, 1, "only-support").call("CreateSipRegistration").error
    assert code == 100 and "Owner, Admin, Accountant" in text


def test_3_one_of_several_roles_is_enough(world):
    both = Vox(world.gateway.port, 1, "two-roles")
    assert both.call("CreateSipRegistration").code == 134
    assert both.call("DeleteSipRegistration").code == 100


def test_3_the_roles_of_a_legacy_key_count_too(parent):
    answer = parent.call("CreateSipRegistration", _token="", account_id=1, api_key="the-support-key")
    assert answer.code == 100


# ---- order

def test_the_method_is_checked_before_the_credentials(vox):
    assert vox.call("GetAccountInfo", _token="").code == 103
    assert vox.send("GET", "", token="").code == 102
