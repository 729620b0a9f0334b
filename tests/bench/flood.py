"""What a flood on one account does to another's latency. Used by bench.py.

The victim asks one request after the other over one connection; the flood comes over hundreds of connections from a generator
that is niced, so that what is measured is the gateway's and Redis's queues and not the generator's share of the processors.
Each flood is measured against calm seconds just before it, in the same run.
"""
import json
import pathlib
import re
import subprocess
import time

import jwt

LATENCY = re.compile(r"(50|99)%\s+([\d.]+)(us|ms|s)")
UNIT = {"us": 0.001, "ms": 1, "s": 1000}
CONNECTIONS = 200
REGISTRATIONS = "/api/rest/admin/registrations"


def token_of(stack, user):
    return jwt.encode({"sub": user, "aud": ["admin"], "exp": int(time.time()) + 3600}, stack.token_secret, algorithm="HS256")


def add_user(stack):
    """The flood's account, before the gateway starts: the user 2."""
    document = json.loads(stack.principals_file.read_text())
    document["users"].append({**document["users"][0], "id": 2, "username": "flood", "account": "flood"})
    stack.principals_file.write_text(json.dumps(document))


def lua(token, requests):
    """requests: Lua expressions, taken in turn; n counts them."""
    return "\n".join([f'wrk.headers["Authorization"] = "Bearer {token}"',
                      'wrk.headers["Content-Type"] = "application/vnd.api+json"', "local n = 0", "request = function() n = n + 1",
                      *(f"  if n % {len(requests)} == {i} then return {r} end" for i, r in enumerate(requests)), "end"])


def get(path):
    return f'wrk.format("GET", {path})'


def one_of(ids):
    return f'"{REGISTRATIONS}/" .. ({{{",".join(ids)}}})[n % {len(ids)} + 1]'


def put(ids):
    id = f"({{{','.join(ids)}}})[n % {len(ids)} + 1]"
    return (f'wrk.format("PUT", "{REGISTRATIONS}/" .. {id}, nil, \'{{"data":{{"type":"registrations","id":"\' .. {id} .. '
            '\'","attributes":{"display-username":"d\' .. n .. \'"}}}\')')


def floods(stack, ids):
    token = token_of(stack, 2)
    login = f'wrk.format("POST", "/api/rest/admin/auth", nil, \'{{"auth":{{"username":"user\' .. n .. \'","password":"x"}}}}\')'
    walk = get(f'"{REGISTRATIONS}?filter[auth_user_cont]=u" .. n % 100')
    return {"GET": lua(token, [get(one_of(ids))]),
            "PUT": lua(token, [put(ids)]),
            "lists of 1000": lua(token, [get(f'"{REGISTRATIONS}?page%5Bsize%5D=1000"')]),
            "walks": lua(token, [walk.replace("[", "%5B").replace("]", "%5D")]),
            "exports": lua(token, [get(f'"{REGISTRATIONS}/export"')]),
            "bad tokens": lua("x." + token, [get(one_of(ids))]),
            "logins": lua("", [login]),
            "new connections": lua(token, [get(one_of(ids))]) + '\nwrk.headers["Connection"] = "close"'}


class Generator:
    def __init__(self, url, script, directory, name, connections, seconds, nice):
        path = pathlib.Path(directory) / f"{name}.lua"
        path.write_text(script)
        self.process = subprocess.Popen(
            ["nice", "-n", str(nice), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s",
             str(path), url], stdout=subprocess.PIPE, text=True)

    def result(self):
        text = self.process.communicate(timeout=120)[0]
        latency = {p: round(float(v) * UNIT[u], 3) for p, v, u in LATENCY.findall(text)}
        return latency, round(float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)))


def victim(world, ids, seconds):
    """Latencies in ms of reads and of writes."""
    token, found = token_of(world.stack, 1), {}
    for name, request in (("get", get(one_of(ids))), ("put", put(ids))):
        found[name] = Generator(world.gateway.url, lua(token, [request]), world.stack.directory, f"victim-{name}", 1, seconds,
                                0).result()[0]
    return found


def flood(world, post_all, body, report, seconds=2, only=None):
    ids = post_all(world.api, world.gateway.url, [body(i, 9) for i in range(100)])
    other = type("Flooder", (), {"token": token_of(world.stack, 2)})
    theirs = post_all(other, world.gateway.url, [body(i, 9) for i in range(5000)])[:500]
    for name, script in floods(world.stack, theirs).items():
        if only and name not in only:
            continue
        calm = victim(world, ids, seconds)
        storm = Generator(world.gateway.url, script, world.stack.directory, "flood", CONNECTIONS, 2 * seconds + 1, 19)
        time.sleep(0.5)
        under = victim(world, ids, seconds)
        report(bench="flood", flood=name, connections=CONNECTIONS, flood_per_s=storm.result()[1],
               **{f"{k}_{p}": {"calm_ms": calm[k][q], "flood_ms": under[k][q], "ratio": round(under[k][q] / calm[k][q], 2)}
                  for k in ("get", "put") for p, q in (("p50", "50"), ("p99", "99"))})
