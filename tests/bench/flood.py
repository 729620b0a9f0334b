"""What a flood on one account does to another's latency. Used by bench.py.

The victim asks one request after the other over one connection; the flood comes over hundreds of connections from a generator
that is niced. Calm and flooded seconds alternate, and each flooded round is set against the calm ones before and after it; what
is told is the median of these ratios, so that what else the machine does falls out.

Generator, gateway and Redis share the machine with the victim. What of a ratio is the machine's and not a queue's shows the
control: the same flood against a gateway and a Redis of its own, with which the victim shares nothing but the processors and the
disk. There the flood is alone with its gateway, which does not hold it back for anybody.
"""
import json
import pathlib
import re
import statistics
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


def importing(lines):
    line = """('{"type":"registrations","attributes":{"name":"bench-%d","display-username":"d%d"}}\\n'):format(i, n)"""
    return (f'(function() local t = {{}} for i = 1, {lines} do t[i] = {line} end return wrk.format("POST", "{REGISTRATIONS}/import", '
            '{Authorization = wrk.headers.Authorization, ["Content-Type"] = "application/x-ndjson"}, table.concat(t)) end)()')


def floods(stack, ids):
    token = token_of(stack, 2)
    login = f'wrk.format("POST", "/api/rest/admin/auth", nil, \'{{"auth":{{"username":"user\' .. n .. \'","password":"x"}}}}\')'
    walk = get(f'"{REGISTRATIONS}?filter[auth_user_cont]=u" .. n % 100')
    return {"GET": lua(token, [get(one_of(ids))]),
            "PUT": lua(token, [put(ids)]),
            "lists of 1000": lua(token, [get(f'"{REGISTRATIONS}?page%5Bsize%5D=1000"')]),
            "walks": lua(token, [walk.replace("[", "%5B").replace("]", "%5D")]),
            "imports": lua(token, [importing(100)]),
            "exports": lua(token, [get(f'"{REGISTRATIONS}/export"')]),
            "bad tokens": lua("x." + token, [get(one_of(ids))]),
            "logins": lua("", [login]),
            "new connections": lua(token, [get(one_of(ids))]) + '\nwrk.headers["Connection"] = "close"'}


class Generator:
    """wrk over so many connections for so many seconds. Once there is a result, `refused`: answers in a second that were errors."""

    def __init__(self, url, script, directory, name, connections, seconds, nice):
        path = pathlib.Path(directory) / f"{name}.lua"
        path.write_text(script)
        self.seconds, self.refused = seconds, 0
        self.process = subprocess.Popen(
            ["nice", "-n", str(nice), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s",
             str(path), url], stdout=subprocess.PIPE, text=True)

    def result(self):
        text = self.process.communicate(timeout=120)[0]
        latency = {p: round(float(v) * UNIT[u], 3) for p, v, u in LATENCY.findall(text)}
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        self.refused = round(int(refused.group(1)) / self.seconds) if refused else 0
        return latency, round(rate)


class Victim:
    def __init__(self, world, ids):
        token = token_of(world.stack, 1)
        self.world, self.scripts = world, {"get": lua(token, [get(one_of(ids))]), "put": lua(token, [put(ids)])}

    def asks(self, seconds):
        """Latencies in ms, of reads and of writes."""
        return {name: Generator(self.world.gateway.url, script, self.world.stack.directory, f"victim-{name}", 1, seconds, 0).result()[0]
                for name, script in self.scripts.items()}


def rounds(victim, begin_flood, count, seconds):
    """Calm, flood, calm, …, calm: the calm rounds, the flooded ones, and what the flood was answered in a second, and refused."""
    calm, under, rates = [victim.asks(seconds)], [], []
    for _ in range(count):
        storm = begin_flood(2 * seconds + 1)
        time.sleep(0.5)  # until all its connections ask
        under.append(victim.asks(seconds))
        rates.append((storm.result()[1], storm.refused))
        calm.append(victim.asks(seconds))
    return calm, under, rates


def compare(calm, under, kind, p):
    ratios = [under[i][kind][p] / ((calm[i][kind][p] + calm[i + 1][kind][p]) / 2) for i in range(len(under))]
    return {"calm_ms": round(statistics.median(c[kind][p] for c in calm), 3),
            "flood_ms": round(statistics.median(u[kind][p] for u in under), 3),
            "ratio": round(statistics.median(ratios), 2), "ratios": [round(r, 2) for r in sorted(ratios)]}


def prepare(world, post_all, body):
    """Registrations of the victim and of the flood."""
    ids = post_all(world.api, world.gateway.url, [body(i, 9) for i in range(100)])
    flooder = type("Flooder", (), {"token": token_of(world.stack, 2)})
    return ids, post_all(flooder, world.gateway.url, [body(i, 9) for i in range(5000)])[:500]


def flood(world, elsewhere, post_all, body, report, only=None, count=5, seconds=1):
    """elsewhere: another world, for the control; None: without."""
    ids, theirs = prepare(world, post_all, body)
    victim = Victim(world, ids)
    targets = [("gateway", world, floods(world.stack, theirs))]
    if elsewhere:
        targets.append(("elsewhere", elsewhere, floods(elsewhere.stack, prepare(elsewhere, post_all, body)[1])))
    for name in targets[0][2]:
        for target, at, scripts in targets if not only or name in only else []:
            def begin_flood(lasts, at=at, script=scripts[name]):
                return Generator(at.gateway.url, script, at.stack.directory, "flood", CONNECTIONS, lasts, 19)

            calm, under, rates = rounds(victim, begin_flood, count, seconds)
            report(bench="flood", flood=name, of=target, connections=CONNECTIONS, rounds=count,
                   flood_per_s=round(statistics.median(r[0] for r in rates)), refused_per_s=round(statistics.median(r[1] for r in rates)),
                   **{f"{k}_{p}": compare(calm, under, k, q) for k in ("get", "put") for p, q in (("p50", "50"), ("p99", "99"))})
