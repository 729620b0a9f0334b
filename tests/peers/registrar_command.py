"""The scriptable registrar as a program: registrar.py --help."""

import argparse
import json
import signal
import threading

from digest_check import Digest
from registrar import Registrar


def line_of(request):
    return json.dumps({"method": request.method, "aor": request.aor, "call_id": request.call_id,
                       "cseq": request.cseq, "contacts": [c.text for c in request.contacts],
                       "expires": request.expires, "auth": request.auth_result, "transport": request.transport,
                       "source": "%s:%d" % request.source, "repeated": request.repeated,
                       "status": request.answer and request.answer.status})


def main():
    parser = argparse.ArgumentParser(description="A scriptable SIP registrar; prints its journal as JSON lines.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", action="append", default=[], metavar="NAME:PASSWORD",
                        help="challenge, and know this user; without any, everyone is believed")
    parser.add_argument("--realm", default="example.com")
    parser.add_argument("--algorithm", action="append", help="MD5, SHA-256, SHA-512-256, with -sess; in order")
    parser.add_argument("--qop", default="auth", help='"auth", "auth,auth-int" or ""')
    parser.add_argument("--nonce-lifetime", type=float, default=300.0)
    parser.add_argument("--min-expires", type=int, default=0)
    parser.add_argument("--max-expires", type=int, default=3600)
    options = parser.parse_args()
    digest = None
    if options.user:
        digest = Digest(dict(user.split(":", 1) for user in options.user), options.realm,
                        options.algorithm or ["MD5"], options.qop or None, options.nonce_lifetime)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with Registrar(options.port, options.host, digest, min_expires=options.min_expires,
                   max_expires=options.max_expires) as registrar:
        print("listening", registrar.address, flush=True)
        printed = 0
        while not stopped.wait(0.05):
            for request in registrar.journal[printed:]:
                print(line_of(request), flush=True)
                printed += 1
