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
    """algorithms: in order of preference, each its own challenge. qop: "auth", "auth,auth-int", "auth-int" or None.
    passwords: {user: password} or a function of the user name that gives one or None. proxy: challenges are 407; None: as
    the registrar says. userhash: offered (RFC 7616 3.4.4), for users of a dictionary. max_uses: a nonce is stale after so
    many. extra: more parameters of every challenge, as text."""

    def __init__(self, passwords, realm="example.com", algorithms=("MD5",), qop="auth", nonce_lifetime=300.0,
                 opaque=None, proxy=None, userhash=False, max_uses=None, extra=None):
        self.passwords = passwords
        self.realm = realm
        self.algorithms = list(algorithms)
        self.qop = qop
        self.nonce_lifetime = nonce_lifetime
        self.opaque = opaque
        self.proxy, self.userhash, self.max_uses, self.extra = proxy, userhash, max_uses, extra
        self.nonces = {}  # nonce: [time made, highest count, uses]

    def new_nonce(self):
        nonce = secrets.token_hex(16)
        self.nonces[nonce] = [time.monotonic(), 0, 0]
        return nonce

    def forget_nonces(self):
        """Every nonce is old from now on."""
        self.nonces.clear()

    def challenges(self, stale=False):
        """The values of the WWW-Authenticate headers."""
        values = []
        for algorithm in self.algorithms:
            parts = ['realm="%s"' % self.realm, 'nonce="%s"' % self.new_nonce(), "algorithm=" + algorithm]
            if self.qop:
                parts.append('qop="%s"' % self.qop)
            if self.opaque:
                parts.append('opaque="%s"' % self.opaque)
            if self.userhash:
                parts.append("userhash=true")
            if stale:
                parts.append("stale=true")
            if self.extra:
                parts.append(self.extra)
            values.append("Digest " + ", ".join(parts))
        return values

    def password_of(self, user):
        if callable(self.passwords):
            return self.passwords(user)
        return self.passwords.get(user)

    def user_of(self, params):
        """Whose credentials they are: by the name, or by its hash."""
        if params.get("userhash", "false").lower() != "true":
            return params["username"]
        algorithm = params.get("algorithm", "MD5").upper().removesuffix("-SESS")
        for user in self.passwords:
            hashed = hashlib.new(HASHES[algorithm], ("%s:%s" % (user, self.realm)).encode()).hexdigest()
            if self.userhash and hashed == params["username"].lower():
                return user
        return None

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
        user = self.user_of(params)
        password = None if user is None else self.password_of(user)
        if password is None or params["realm"] != self.realm or params["uri"] != ruri:
            return "wrong"
        # What is hashed is the name itself, whichever way it was sent (RFC 7616 3.4.2).
        if response_of(dict(params, username=user), method, password, body) != params["response"].lower():
            return "wrong"
        return self._check_nonce(params)

    def _check_nonce(self, params):
        nonce = self.nonces.get(params["nonce"])
        if nonce is None or time.monotonic() - nonce[0] > self.nonce_lifetime:
            return "stale"
        if self.max_uses is not None and nonce[2] >= self.max_uses:
            return "stale"
        count = int(params.get("nc", "0"), 16)
        if "qop" in params and count <= nonce[1]:
            return "stale"
        nonce[1] = max(nonce[1], count)
        nonce[2] += 1
        return "ok"


class Authentication:
    """Every digest must be satisfied. together: all that are not are challenged in one answer (a 401 where one of them is the
    registrar's own); else the first alone. wrong_status: answer to wrong credentials."""

    def __init__(self, digests, proxy=False, wrong_status=401, together=True):
        self.digests, self.proxy, self.wrong_status, self.together = list(digests), proxy, wrong_status, together

    def is_proxy(self, digest):
        return self.proxy if digest.proxy is None else digest.proxy

    def challenge(self, digests=None, stale=(), status=None):
        """(status, headers). stale: the digests whose challenge says so."""
        digests = self.digests if digests is None else digests
        headers = []
        for digest in digests:
            proxy = self.is_proxy(digest) if status is None else status == 407
            name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
            headers += [(name, value) for value in digest.challenges(digest in stale)]
        if status is None:
            status = 407 if all(self.is_proxy(d) for d in digests) else 401
        return status, headers

    def _credentials_for(self, digest, credentials):
        of_kind = [params for proxy, params in credentials if proxy == self.is_proxy(digest)]
        alone = sum(self.is_proxy(d) == self.is_proxy(digest) for d in self.digests) == 1
        matching = [params for params in of_kind if params.get("realm") == digest.realm]
        return (matching or (of_kind if alone else []) or [None])[0]

    def check(self, credentials, method, ruri, body):
        """credentials: [(of a proxy, parameters)]. (result, refusal): result as Digest.check, or None without any that fit;
        refusal: (status, headers), or None where all is well."""
        unsatisfied, stale, results = [], [], []
        for digest in self.digests:
            params = self._credentials_for(digest, credentials)
            result = digest.check(params, method, ruri, body) if params else None
            results.append(result)
            if result == "malformed":
                return result, (400, [])
            if result == "wrong" and self.wrong_status not in (401, 407):
                return result, (self.wrong_status, [])
            if result != "ok":
                unsatisfied.append(digest)
            if result == "stale":
                stale.append(digest)
        result = next((r for r in results if r != "ok"), "ok")
        if not unsatisfied:
            return result, None
        return result, self.challenge(unsatisfied if self.together else unsatisfied[:1], stale)
