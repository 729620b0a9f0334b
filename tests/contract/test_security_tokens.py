"""Attacks on every kind of token: Yeti's and Kazoo's JWT (HS256), Voximplant's (RS256), API keys, Ribbon's session, the snapshot's
token. One list of spoiled tokens is made for every kind of JWT, each spoiled in one way only, so that a reader who forgets one check
takes one of them."""
import base64
import hashlib
import hmac
import http.client
import json
import socket
import threading
import time

import kazoo_client
import pytest
import voximplant_client
from conftest import Api, encode
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from kazoo_client import Kazoo
from ribbon_client import Ribbon
from stack import StartError
from voximplant_client import private_key, public_pem

GATEWAY = {"ROLLCALL_FAILED_LOGINS": "0"}
NUMBER, KID = 501, "key-one"


def PRINCIPALS(document):
    kazoo_client.add_principals(document)
    document["accounts"].append({"name": "account5", "number": NUMBER})
    voximplant_client.add_key(document, KID, "account5")
    document["keys"].append({"id": "plain", "account": "account5", "api_key_sha256": hashlib.sha256(b"plain-key").hexdigest()})


def hs(secret, digest=hashlib.sha256):
    secret = secret if isinstance(secret, bytes) else secret.encode()
    return lambda signed: hmac.new(secret, signed, digest).digest()


def rs(key="keys", digest=hashes.SHA256(), pad=None):
    return lambda signed: private_key(key).sign(signed, pad or padding.PKCS1v15(), digest)


class Kind:
    """A kind of JWT: what a good one is made of, and how the gateway is asked with one."""

    def __init__(self, header, claims, signer, ask):
        self.header, self.claims, self.signer, self.ask = header, claims, signer, ask

    def token(self, header=None, claims=None, signer=None):
        """header, claims: members that differ, None takes one out; or bytes in place of the whole."""
        parts = []
        for whole, change in ((self.header, header), (self.claims, claims)):
            if not isinstance(change, bytes):
                change = {k: v for k, v in {**whole, **(change or {})}.items() if v is not None}
            parts.append(encode(change))
        signed = b".".join(parts)
        signature = (signer or self.signer)(signed)
        return (signed + b"." + encode(signature)).decode()


def raw_get(port, path, headers):
    """(status, body), with the headers as they are."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        lines = [f"GET {path} HTTP/1.1", "Host: h", "Connection: close", *headers]
        s.sendall("".join(line + "\r\n" for line in [*lines, ""]).encode("latin-1"))
        answer = http.client.HTTPResponse(s)
        answer.begin()
        return answer.status, answer.read()


def yeti_takes(world, headers, query=""):
    return raw_get(world.gateway.port, "/api/rest/admin/registrations" + query, headers)[0] == 200


def vox_takes(world, headers, query=""):
    status, body = raw_get(world.gateway.port, "/platform_api/GetSipRegistrations" + query, headers)
    return status == 200 and "result" in json.loads(body)


def kazoo_takes(world, headers, query=""):
    return raw_get(world.gateway.port, "/v2/account/registrations" + query, headers)[0] == 200


def ribbon_takes(world, headers, query=""):
    return b"<http_code>200<" in raw_get(world.gateway.port, "/rest/sipservertable" + query, headers)[1]


def kinds(world):
    now = int(time.time())
    secret = world.stack.token_secret
    return {
        "yeti": Kind({"alg": "HS256"}, {"sub": 5, "aud": ["admin"], "exp": now + 600}, hs(secret),
                     lambda t: yeti_takes(world, [f"Authorization: Bearer {t}"])),
        "kazoo": Kind({"alg": "HS256"}, {"aud": "kazoo", "jti": "a" * 32, "account_id": kazoo_client.PARENT, "method": "cb_api_auth",
                                         "key": "parent-key", "exp": now + 600}, hs(secret),
                      lambda t: kazoo_takes(world, [f"X-Auth-Token: {t}"])),
        "voximplant": Kind({"alg": "RS256", "kid": KID}, {"iss": NUMBER, "iat": now, "exp": now + 600}, rs(),
                           lambda t: vox_takes(world, [f"Authorization: Bearer {t}"]))}


NAMES = ["yeti", "kazoo", "voximplant"]
NONES = ["none", "None", "NONE", "nOnE", "none ", "", "null", "NULL", "HS0", "dir"]
SPELLINGS = ["hs256", "Hs256", "HS256 ", " HS256", "HS256\u0000", "HS-256", "SHA256", "rs256", "RS256 ", "RS256\u0000none", "HMAC", "ES256K"]
KEYS = ["../../../../dev/null", "/dev/null", "../../../etc/passwd", "key-one\u0000", "key-one/../key-one", "key-one'--", "' or 1=1 --",
        "key-one' UNION SELECT '", "$(id)", "`id`", "|id", "%00", "%6bey-one", "KEY-ONE", " key-one", "key-one ", "", "k" * 100000,
        "\ud83d\ude00", "*", "{s1}", "file:///etc/passwd", "http://127.0.0.1/x", 0, None, True, [], ["key-one"], {"kid": "key-one"}]


def bad_headers(kind):
    """Changes of a header under which a good signature, or none, must not open."""
    own = kind.header["alg"]
    for name in NONES:
        yield f"alg {name!r} unsigned", {"alg": name}, lambda signed: b""
        yield f"alg {name!r} signed", {"alg": name}, None
    for name in SPELLINGS + ["HS256", "RS256", "ES256", "PS256", "HS384", "HS512", "RS384", "RS512", "EdDSA", "RSA-OAEP"]:
        if name != own:
            yield f"alg {name!r}", {"alg": name}, None
    for value in (True, 256, [own], {"alg": own}, 0):
        yield f"alg {value!r}", {"alg": value}, None
    yield "no alg", {"alg": None}, None
    yield "crit", {"crit": ["exp"]}, None
    yield "crit b64", {"crit": ["b64"], "b64": False}, None
    yield "typ of another", {"typ": "JWE"}, None


def wrong_signers(world):
    """Keys that everybody has, or nobody."""
    pem, public = public_pem(), private_key("keys").public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    pkcs1 = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)
    modulus = public.public_numbers().n.to_bytes(256, "big")
    for name, secret in [("public PEM", pem), ("public PEM without its end", pem.strip()), ("public PEM in one line", pem.replace("\n", "")),
                         ("public DER", der), ("PKCS1", pkcs1), ("modulus", modulus), ("modulus base64", base64.b64encode(modulus)), ("nothing", b""),
                         ("NUL", b"\0"), ("secret", b"secret"), ("its own name", b"HS256"),
                         ("half of the secret", world.stack.token_secret[:len(world.stack.token_secret) // 2]),
                         ("the secret and a NUL", world.stack.token_secret.encode() + b"\0"),
                         ("hash of the secret", hashlib.sha256(world.stack.token_secret.encode()).digest())]:
        yield f"HMAC of {name}", "HS256", hs(secret)
        yield f"HMAC-512 of {name}", "HS512", hs(secret, hashlib.sha512)
    yield "another RSA key", "RS256", rs("others")
    yield "RSA-512", "RS512", rs(digest=hashes.SHA512())
    yield "RSA-1", "RS256", rs(digest=hashes.SHA1())
    yield "PSS", "PS256", rs(pad=padding.PSS(padding.MGF1(hashes.SHA256()), 32))
    yield "PSS as RS256", "RS256", rs(pad=padding.PSS(padding.MGF1(hashes.SHA256()), 32))
    yield "all zero", "RS256", lambda signed: b"\0" * 256
    yield "one", "RS256", lambda signed: b"\0" * 255 + b"\1"
    yield "modulus itself", "RS256", lambda signed: modulus
    yield "a byte more", "RS256", lambda signed: b"\0" + rs()(signed)
    yield "a byte less", "RS256", lambda signed: rs()(signed)[1:]


def bad_times(kind, now):
    for name, value in [("past", now - 11), ("long past", 1), ("zero", 0), ("negative", -1), ("text", str(now + 600)), ("list", [now + 600]),
                        ("true", True), ("object", {}), ("far", 2 ** 53), ("farther", 2 ** 63), ("farthest", 2 ** 64 + 600)]:
        yield f"exp {name}", {"exp": value}
    yield "nbf ahead", {"nbf": now + 300}
    yield "nbf text", {"nbf": "0"}
    if "iat" in kind.claims:
        yield "iat ahead", {"iat": now + 300}
        yield "no iat", {"iat": None}
        yield "no exp", {"exp": None}
        yield "too long", {"exp": now + 3700}


def bad_claims(name):
    """By the kind's name: claims that make it somebody else's, or nobody's."""
    owners = {"yeti": "sub", "kazoo": "account_id", "voximplant": "iss"}[name]
    for value in (None, 0, -1, 1.5, "", "x", "5 ", "05\u0000", [5], {"id": 5}, True, 2 ** 64 + 5, 10 ** 30, "../5", "*", "{s0}", "5\n"):
        yield f"{owners} {value!r}", {owners: value}
    if name != "voximplant":
        other = {"yeti": "kazoo", "kazoo": "admin"}[name]
        for value in (None, other, "", [], [other], {"aud": "x"}, 1, True, "admin kazoo", "ADMIN", "Kazoo", [["admin"]], ["kazoo "]):
            yield f"aud {value!r}", {"aud": value}


def doubled(kind):
    """Members that stand twice, also where an escape hides it."""
    header, claims = json.dumps(kind.header), json.dumps(kind.claims)
    alg = kind.header["alg"]
    yield "alg twice", header.replace("{", '{"alg":"none",', 1).encode(), None
    yield "alg twice, escaped", (header[:-1] + ',"\\u0061lg":"none"}').encode(), None
    yield "alg twice, the same", (header[:-1] + f',"alg":"{alg}"}}').encode(), None
    yield "exp twice", None, claims.replace("{", '{"exp":1,', 1).encode()
    yield "exp twice, escaped", None, (claims[:-1] + ',"ex\\u0070":99999999999}').encode()
    yield "header of nothing", b"", None
    yield "header no object", b"[]", None
    yield "header and more", header.encode() + b"{}", None
    yield "header in UTF-16", header.encode("utf-16"), None
    yield "header with a mark", b"\xef\xbb\xbf" + header.encode(), None
    yield "claims of nothing", None, b""
    yield "claims null", None, b"null"
    yield "claims with a comment", None, b"/**/" + claims.encode()
    yield "claims with a NUL", None, claims.encode() + b"\0"
    yield "deep claims", None, (claims[:-1] + ',"x":' + "[" * 3000 + "]" * 3000 + "}").encode()
    yield "broken UTF-8", None, claims[:-1].encode() + b',"x":"\xff"}'


def other_texts(token):
    """Texts that some reader would take for the token."""
    head, claims, signature = token.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    loose = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
    return {"without its signature": f"{head}.{claims}.", "two parts": f"{head}.{claims}", "four parts": f"{token}.{signature}",
            "five parts": f"{token}.x.y", "padded": token + "=", "padded parts": f"{head}==.{claims}==.{signature}==", "a dot behind": token + ".",
            "a dot before": "." + token, "a space inside": f"{head}. {claims}.{signature}", "a tab inside": f"{head}.\t{claims}.{signature}",
            "unused bits": f"{head}.{claims}.{loose}", "a letter more": token + "A", "four more": token + "AAAA", "a letter less": token[:-1],
            "half a signature": token[:-len(signature) // 2], "claims swapped": f"{claims}.{head}.{signature}", "quoted": f'"{token}"',
            "a comma list": f"{token}, {token}", "percent": token.replace(".", "%2e"), "upper": token.upper(), "huge": token + "A" * 8000,
            "standard alphabet": f"{head}.{claims}.{signature[:-2]}+/", "unicode dots": token.replace(".", "\xb7")}


def every_bad(world, name):
    kind = kinds(world)[name]
    now = int(time.time())
    for what, header, signer in bad_headers(kind):
        yield what, kind.token(header=header, signer=signer)
    for what, alg, signer in wrong_signers(world):
        yield what, kind.token(header={"alg": alg}, signer=signer)
        yield f"{what}, as it should be named", kind.token(signer=signer)
    for what, claims in [*bad_times(kind, now), *bad_claims(name)]:
        yield what, kind.token(claims=claims)
    for what, header, claims in doubled(kind):
        yield what, kind.token(header=header, claims=claims)
    if name == "voximplant":
        for kid in KEYS:
            yield f"kid {str(kid)[:30]!r}", kind.token(header={"kid": kid})
            yield f"kid {str(kid)[:30]!r} by HMAC of nothing", kind.token(header={"kid": kid, "alg": "HS256"}, signer=hs(b""))
    yield from other_texts(kind.token()).items()


@pytest.mark.parametrize("name", NAMES)
def test_no_spoiled_token_opens(world, name):
    kind = kinds(world)[name]
    assert kind.ask(kind.token())
    taken, tried = [], 0
    for what, token in every_bad(world, name):
        if len(token) > 15000 or (name, what) == ("yeti", "a comma list"):  # a header too long; its last word (contract 6.2)
            continue
        tried += 1
        if kind.ask(token):
            taken.append(what)
    assert not taken and tried > 150
    print(f"{tried} spoiled tokens of {name}")
    assert kind.ask(kind.token())


@pytest.mark.parametrize("name", NAMES)
def test_what_a_token_says_of_keys_elsewhere_is_not_followed(world, name):
    """jku, x5u, jwk, x5c: signed with a key that the token brings along. Nobody connects to where it points."""
    kind = kinds(world)[name]
    numbers = private_key("others").public_key().public_numbers()
    jwk = {"kty": "RSA", "n": encode(numbers.n.to_bytes(256, "big")).decode(), "e": "AQAB", "kid": KID, "alg": "RS256"}
    secret = {"kty": "oct", "k": encode(b"mine").decode()}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
        for extra in ({"jku": url}, {"x5u": url}, {"jwk": jwk}, {"x5c": ["MIIB"]}, {"jku": url, "jwk": jwk}, {"jwk": secret}, {"kid": url}):
            assert not kind.ask(kind.token(header=extra | {"alg": "RS256"}, signer=rs("others")))
            assert not kind.ask(kind.token(header=extra, signer=rs("others")))
            assert not kind.ask(kind.token(header=extra, signer=hs(b"mine")))
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_token_of_one_dialect_opens_no_other(world):
    tokens = {name: kind.token() for name, kind in kinds(world).items()}
    ribbon = Ribbon(world.gateway.port)
    assert ribbon.login("user5", world.stack.password).done
    tokens |= {"ribbon": ribbon.session, "csrf": ribbon.csrf, "api key": "plain-key", "kazoo's key": kazoo_client.PARENT_KEY,
               "snapshot": world.stack.snapshot_token, "secret": world.stack.token_secret}
    opens = {(f"{place} {name}", dialect) for name, token in tokens.items() for place, headers, query in
             [("bearer", [f"Authorization: Bearer {token}"], ""), ("header", [f"X-Auth-Token: {token}"], ""),
              ("word", [f"Authorization: {token}"], ""), ("query", [], f"?token={token}&auth_token={token}"),
              ("cookie", [f"Cookie: PHPSESSID={token}; token={token}; jwt={token}"], ""), ("api_key", [], f"?account_id={NUMBER}&api_key={token}"),
              ("basic", ["Authorization: Basic " + base64.b64encode(f":{token}".encode()).decode()], "")]
             for dialect, takes in (("yeti", yeti_takes), ("kazoo", kazoo_takes), ("voximplant", vox_takes), ("ribbon", ribbon_takes))
             if takes(world, headers, query)}
    assert opens == {("bearer yeti", "yeti"), ("word yeti", "yeti"), ("query yeti", "yeti"), ("bearer kazoo", "kazoo"), ("header kazoo", "kazoo"),
                     ("query kazoo", "kazoo"), ("bearer voximplant", "voximplant"), ("cookie ribbon", "ribbon"), ("api_key api key", "voximplant")}


DOUBLE = [("yeti", yeti_takes, "Authorization", "Bearer {}"), ("voximplant", vox_takes, "Authorization", "Bearer {}"),
          ("kazoo", kazoo_takes, "X-Auth-Token", "{}")]


@pytest.mark.parametrize("name, takes, field, form", DOUBLE, ids=[d[0] for d in DOUBLE])
def test_credentials_that_stand_twice_are_refused(world, name, takes, field, form):
    """What stands before us might look at the one, and we at the other."""
    token = kinds(world)[name].token()
    good, bad = f"{field}: {form.format(token)}", f"{field}: {form.format('x')}"
    assert takes(world, [good])
    for headers in ([good, bad], [bad, good], [good, good], [good, f"{field}:"], [f"{field}:", good]):
        assert not takes(world, headers), headers


def test_a_session_that_stands_twice_is_refused(world):
    ribbon = Ribbon(world.gateway.port)
    assert ribbon.login("user5", world.stack.password).done
    other = "0" * len(ribbon.session)
    assert ribbon_takes(world, [f"Cookie: PHPSESSID={ribbon.session}"])
    assert not ribbon_takes(world, [f"Cookie: PHPSESSID={other}", f"Cookie: PHPSESSID={ribbon.session}"])
    assert not ribbon_takes(world, [f"Cookie: PHPSESSID={ribbon.session}", f"Cookie: PHPSESSID={other}"])


SCHEMES = ["Basic {}", "Digest {}", "Token {}", "Bearer{}", "Bearer:{}", "Bearer={}", "Bearer,{}", "Bearer\xa0{}", "XBearer {}", "Bearer Bearer {}"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_another_scheme_opens_nothing(world, scheme):
    """Yeti takes the last word of the header, whatever stands before it (contract 6.2)."""
    made = kinds(world)
    assert not vox_takes(world, ["Authorization: " + scheme.format(made["voximplant"].token())])
    assert not kazoo_takes(world, ["Authorization: " + scheme.format(made["kazoo"].token())])


def test_sessions_are_made_by_the_gateway_alone(world):
    """Fixation: what a client brings as a session does not become one; each login makes another; its end is the end of it."""
    seen, chosen = set(), "5" + "ab" * 20
    for _ in range(5):
        ribbon = Ribbon(world.gateway.port)
        ribbon.session, ribbon.csrf = chosen, "c" * 40
        assert ribbon.login("user5", world.stack.password).done
        seen |= {ribbon.session, ribbon.csrf}
        assert not ribbon_takes(world, [f"Cookie: PHPSESSID={chosen}"])
    assert len(seen) == 10 and chosen not in seen
    assert all(len(set(s)) > 8 for s in seen), "no counter, no repetition"
    assert ribbon.call("POST", "/logout", {}).done
    for session in (ribbon.session, ribbon.session.upper(), ribbon.session + "; x", f'"{ribbon.session}"'):
        assert not ribbon_takes(world, [f"Cookie: PHPSESSID={session}"])


@pytest.mark.parametrize("session", ["*", "?" * 41, "[0-9]" * 8, "{s0}", "../" * 13, "0" * 40, "0" * 42, "0" * 41, "g" * 41, "\xff" * 41, "0" * 12000,
                                     "%30" * 41, "0" * 20 + " " + "0" * 20, "0x" + "0" * 39, "-" + "0" * 40])
def test_what_is_no_session_is_looked_up_nowhere(world, session):
    assert not ribbon_takes(world, [f"Cookie: PHPSESSID={session}"])


def test_a_revoked_token_stays_so_at_every_gateway(world):
    client = Kazoo(world).login_key(kazoo_client.PARENT_KEY)
    other = world.stack.new_gateway("gateway-2").start()
    try:
        for port in (world.gateway.port, other.port):
            assert raw_get(port, "/v2/account/registrations", [f"X-Auth-Token: {client.token}"])[0] == 200
        assert client.delete("/token_auth").status == 200
        for port in (world.gateway.port, other.port):
            assert raw_get(port, "/v2/account/registrations", [f"X-Auth-Token: {client.token}"])[0] == 401
            assert raw_get(port, "/v2/account/registrations", [f"Authorization: Bearer {client.token}"])[0] == 401
    finally:
        other.stop()


KEY_TEXTS = ["plain-key ", " plain-key", "PLAIN-KEY", "plain-ke", "plain-key\x00", "plain-key%00", "", "*", hashlib.sha256(b"plain-key").hexdigest(),
             "k" * 100000]


@pytest.mark.parametrize("key", KEY_TEXTS, ids=lambda k: repr(k[:20]))
def test_no_other_text_is_an_api_key(world, key):
    api = Api(world.gateway.port, None)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    vox = api.call("POST", "/GetSipRegistrations", json.dumps({"account_id": NUMBER, "api_key": key}).encode(), headers, "/platform_api")
    assert "result" not in vox.json
    kazoo = api.call("PUT", "/api_auth", json.dumps({"data": {"api_key": key}}).encode(), headers, "/v2")
    assert kazoo.status in (400, 401, 404) and "auth_token" not in kazoo.json


@pytest.mark.parametrize("how", ["{}x", "x{}", "{} x", "", "*", "{}\t\x0b", "{},{}", "{}{}", "Bearer {}"])
def test_the_snapshot_wants_its_own_token(world, how):
    port, token = world.gateway.snapshot_port, world.stack.snapshot_token
    path = "/snapshot?place=any&partition=0&partitions=4"
    assert raw_get(port, path, [f"Authorization: Bearer {token}"])[0] == 200
    given = how.format(token, token)
    assert raw_get(port, path, [f"Authorization: Bearer {given}"])[0] in (400, 401)
    for headers in ([], [f"Authorization: {token}"], [f"Authorization: Basic {token}"], [f"X-Auth-Token: {token}"]):
        assert raw_get(port, path, headers)[0] == 401
    assert raw_get(port, path + f"&token={token}", [])[0] == 401


@pytest.mark.parametrize("name, length", [("ROLLCALL_TOKEN_SECRET", 31), ("ROLLCALL_SNAPSHOT_TOKEN", 15)])
def test_secrets_that_can_be_guessed_are_refused_and_not_told(world, name, length):
    secret = "Weak-" + "x" * (length - 5)
    gateway = world.stack.new_gateway("weak", env={name: secret})
    with pytest.raises(StartError, match=f"{name} takes"):
        gateway.start()
    assert secret not in gateway.log_text()
    world.stack.gateways.remove(gateway)
    world.stack.parts.remove(gateway)


def test_a_login_costs_an_unknown_user_as_much(world):
    """The same work is done for both: as many hashes. How long they take is measured by the bench `timing`."""
    done = []

    def log_in(name):
        answer = Api(world.gateway.port, None).call("POST", "/auth", {"auth": {"username": name, "password": "wrong"}})
        done.append((answer.status, answer.body))

    threads = [threading.Thread(target=log_in, args=(name,)) for name in ("user5", "nobody-at-all", "user5\u0000", "*")]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(done) == 4 and len(set(done)) == 1 and done[0][0] == 401
