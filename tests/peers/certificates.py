"""Certificate authorities and certificates of every kind that a test of TLS needs, as files in one directory, and the
contexts of a server that uses them.

    made = Certificates(tmp_path)
    good = made.server("example.com")                      # dNSName
    Registrar(tls=good.context())
    harness("--tls-ca", made.ca.certificate)
"""

import datetime
import ipaddress
import pathlib
import ssl
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2,
            "1.3": ssl.TLSVersion.TLSv1_3}


class Pair:
    """certificate: path of the PEM of the certificate, and of those between it and the authority. key: of its key."""

    def __init__(self, certificate, key, held, signing_key):
        self.certificate, self.key, self.held, self.signing_key = certificate, key, held, signing_key

    def context(self, clients=None, least=None, most=None):
        """Of a server. clients: the authority (Pair) that must have signed the client's certificate. least, most: versions,
        as "1.2"."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients.certificate)
        if "1.0" in (least, most) or "1.1" in (least, most):
            context.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL 3 refuses their signatures at the usual level
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of versions that are there to be refused
            context.minimum_version = VERSIONS[least] if least else ssl.TLSVersion.TLSv1_2
            context.maximum_version = VERSIONS[most] if most else ssl.TLSVersion.MAXIMUM_SUPPORTED
        return context


class Certificates:
    """directory: where the files go. `ca` is the authority that tests trust; `stranger` one that they do not."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.count = 0
        self.ca = self._authority("Test authority")
        self.stranger = self._authority("Unknown authority")

    # ---- servers

    def server(self, *dns, uris=(), ips=(), common_name=None, issuer=None, days=(-1, 30), usage="server", chain=()):
        """dns: dNSName subject alternative names; uris: uniformResourceIdentifier ones, as "sip:example.com"; ips. days: from
        when until when, counted from now. usage: "server", "client" or None for no extended key usage. chain: Pairs that
        follow it in the file."""
        names = [x509.DNSName(n) for n in dns] + [x509.UniformResourceIdentifier(u) for u in uris]
        names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips]
        return self._make(common_name or "registrar", names, issuer or self.ca, days, usage, chain=chain)

    def expired(self, *dns):
        return self.server(*dns, days=(-30, -1))

    def not_yet_valid(self, *dns):
        return self.server(*dns, days=(2, 30))

    def of_stranger(self, *dns):
        """Signed by an authority that nobody trusts."""
        return self.server(*dns, issuer=self.stranger)

    def self_signed(self, *dns):
        return self._make("registrar", [x509.DNSName(n) for n in dns], None, (-1, 30), "server")

    def behind_intermediate(self, *dns):
        between = self._authority("Intermediate authority", self.ca)
        return self.server(*dns, issuer=between, chain=[between])

    # ---- clients

    def client(self, common_name="registrant", issuer=None, days=(-1, 30)):
        return self._make(common_name, [x509.DNSName("registrant.example.net")], issuer or self.ca, days, "client")

    # ---- making

    def _authority(self, name, issuer=None):
        return self._make(name, [], issuer, (-2, 60), None, authority=True)

    def _make(self, common_name, names, issuer, days, usage, authority=False, chain=()):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(subject)
                   .issuer_name(issuer.held.subject if issuer else subject).public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now + days[0] * DAY).not_valid_after(now + days[1] * DAY)
                   .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if usage:
            oid = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}[usage]
            builder = builder.add_extension(x509.ExtendedKeyUsage([oid]), critical=False)
        held = builder.sign(issuer.signing_key if issuer else key, hashes.SHA256())
        return self._write(common_name, held, key, chain)

    def _write(self, common_name, held, key, chain):
        self.count += 1
        stem = self.directory / ("%02d-%s" % (self.count, common_name.replace(" ", "-").lower()))
        certificate, key_file = stem.with_suffix(".crt"), stem.with_suffix(".key")
        certificate.write_bytes(b"".join(c.public_bytes(serialization.Encoding.PEM)
                                         for c in [held, *(pair.held for pair in chain)]))
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                               serialization.NoEncryption()))
        return Pair(certificate, key_file, held, key)
