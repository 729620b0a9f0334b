"""The server's side of Digest (RFC 7616, RFC 8760): challenges given out and credentials checked.

Keeps nonces with their age and highest count, so that a replay and an old nonce are told apart from a wrong
password.
"""

import hashlib
import re
import secrets
import time

HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def parse_credentials(value):
    """The parameters of an Authorization value without quotes, names in lower case; "scheme" is the first word."""
    scheme, _, rest = value.strip().partition(" ")
    params = {"scheme": scheme.lower()}
    for name, quoted, plain in re.findall(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))', rest):
        params[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
    return params


def response_of(params, method, password, body=""):
    """The response that the credentials should hold (RFC 7616 3.4.1)."""
    algorithm = params.get("algorithm", "MD5")
    base = algorithm[:-5] if algorithm.lower().endswith("-sess") else algorithm

    def digest(text):
        return hashlib.new(HASHES[base.upper()], text.encode("utf-8", "surrogateescape")).hexdigest()

    ha1 = digest("%s:%s:%s" % (params["username"], params["realm"], password))
    if base != algorithm:
        ha1 = digest("%s:%s:%s" % (ha1, params["nonce"], params["cnonce"]))
    qop = params.get("qop")
    ha2 = method + ":" + params["uri"] + (":" + digest(body) if qop == "auth-int" else "")
    if qop:
        middle = [params["nonce"], params["nc"], params["cnonce"], qop]
    else:
        middle = [params["nonce"]]
    return digest(":".join([ha1] + middle + [digest(ha2)]))


class Digest:
    """algorithms: in order of preference, each its own challenge. qop: "auth", "auth,auth-int" or None.
    passwords: {user: password} or a function of the user name that gives one or None."""

    def __init__(self, passwords, realm="example.com", algorithms=("MD5",), qop="auth", nonce_lifetime=300.0,
                 opaque=None, check_nc=True):
        self.passwords = passwords
        self.realm = realm
        self.algorithms = list(algorithms)
        self.qop = qop
        self.nonce_lifetime = nonce_lifetime
        self.opaque = opaque
        self.check_nc = check_nc
        self.nonces = {}  # nonce: [time made, highest count]

    def new_nonce(self):
        nonce = secrets.token_hex(16)
        self.nonces[nonce] = [time.monotonic(), 0]
        return nonce

    def challenges(self, stale=False):
        """The values of the WWW-Authenticate headers."""
        values = []
        for algorithm in self.algorithms:
            parts = ['realm="%s"' % self.realm, 'nonce="%s"' % self.new_nonce(), "algorithm=" + algorithm]
            if self.qop:
                parts.append('qop="%s"' % self.qop)
            if self.opaque:
                parts.append('opaque="%s"' % self.opaque)
            if stale:
                parts.append("stale=true")
            values.append("Digest " + ", ".join(parts))
        return values

    def password_of(self, user):
        if callable(self.passwords):
            return self.passwords(user)
        return self.passwords.get(user)

    def check(self, params, method, ruri, body=""):
        """"ok", "wrong", "stale" (a nonce that is too old, unknown, or whose count was used before), or
        "malformed"."""
        needed = {"username", "realm", "nonce", "uri", "response"} | ({"nc", "cnonce"} if "qop" in params else set())
        if params["scheme"] != "digest" or needed - set(params):
            return "malformed"
        if params.get("algorithm", "MD5").upper() not in [a.upper() for a in self.algorithms]:
            return "malformed"
        if self.qop and params.get("qop") not in self.qop.split(","):
            return "malformed"
        if self.opaque and params.get("opaque") != self.opaque:
            return "malformed"
        password = self.password_of(params["username"])
        if password is None or params["realm"] != self.realm or params["uri"] != ruri:
            return "wrong"
        if response_of(params, method, password, body) != params["response"].lower():
            return "wrong"
        nonce = self.nonces.get(params["nonce"])
        if nonce is None or time.monotonic() - nonce[0] > self.nonce_lifetime:
            return "stale"
        count = int(params.get("nc", "0"), 16)
        if self.check_nc and "qop" in params and count <= nonce[1]:
            return "stale"
        nonce[1] = max(nonce[1], count)
        return "ok"
