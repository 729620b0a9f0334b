"""A read and a write of one registration in the dialects beside Yeti's, as scripts for wrk. Used by bench.py's http_load.

Kazoo writes nothing but a flush, so its write is the flush of one username. Ribbon's entry belongs to no server row: what is
measured is the REST API, not the making of registrations.
"""
import json
import secrets
import time
import urllib.parse

import jwt
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kazoo_session import KazooSession

FORM = "application/x-www-form-urlencoded"


class VoximplantKey:
    def __init__(self):
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.id = secrets.token_hex(16)

    def add_to(self, principals_file):
        """Before the gateway starts."""
        document = json.loads(principals_file.read_text())
        pem = self.private.public_key().public_bytes(serialization.Encoding.PEM,
                                                     serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        document["keys"] = [{"id": self.id, "account": document["accounts"][0]["name"], "public_key": pem}]
        principals_file.write_text(json.dumps(document))

    def token(self):
        now = int(time.time())
        return jwt.encode({"iss": 1, "iat": now, "exp": now + 3600}, self.private, algorithm="RS256", headers={"kid": self.id})


def script(method, headers, path, body=None):
    """path and body: Lua expressions, in which n counts the requests."""
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    return "\n".join([*lines, "local n = 0", "request = function() n = n + 1",
                      f'  return wrk.format("{method}", {path}, nil, {body or "nil"}) end'])


def voximplant(key, ids):
    headers = {"Authorization": f"Bearer {key.token()}", "Content-Type": FORM}
    one = f"({{{','.join(ids)}}})[n % {len(ids)} + 1]"
    return [("Voximplant GetSipRegistrations", script(
                "POST", headers, '"/platform_api/GetSipRegistrations"', f'"sip_registration_id=" .. {one}')),
            ("Voximplant UpdateSipRegistration", script(
                "POST", headers, '"/platform_api/UpdateSipRegistration"',
                f'"sip_registration_id=" .. {one} .. "&auth_user=u" .. n'))]


def kazoo(stack, url, count):
    session = KazooSession(url, stack)
    return [("Kazoo count", script("GET", session.headers, f'"{session.path}/count"')),
            ("Kazoo flush of a username", script("DELETE", session.headers, f'"{session.path}/u" .. n % {count}'))]


def ribbon(stack, url):
    login = requests.post(f"{url}/rest/login", data={"Username": stack.username, "Password": stack.password}, timeout=10)
    assert "<http_code>200<" in login.text, login.text
    headers = {"Cookie": f"PHPSESSID={login.cookies['PHPSESSID']}", "Content-Type": FORM}
    entry = "/rest/sipcontactregistrant/1/sipregistrantentry/1"
    for path, fields in (("/rest/sipcontactregistrant/1", {"Description": "bench"}), (entry, {"AorType": 3, "AOR": "sip:a@example.com"})):
        made = requests.put(url + path, data=urllib.parse.urlencode(fields), headers=headers, timeout=10)
        assert "<http_code>200<" in made.text, made.text
    return [("Ribbon GET of an entry", script("GET", headers, f'"{entry}"')),
            ("Ribbon POST of an entry", script("POST", headers, f'"{entry}"', '"AorTtl=" .. (60 + n % 3600)'))]
