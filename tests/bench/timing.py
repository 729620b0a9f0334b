#!/usr/bin/python3
"""Whether the time of an answer tells a stranger something: medians of the same request with two secrets, asked in turn, of which one is
nearer to the truth, and the share of pairs in which the nearer one took longer (0.5: no difference).

    tests/bench/timing.py [--rounds 300]         on the build of ROLLCALL_TEST_BUILD, or build/tests

It asserts nothing: what a busy machine does to single requests is more than what is looked for.
"""
import argparse
import hashlib
import json
import pathlib
import random
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/contract")]
import conftest  # noqa: E402
import http.client  # noqa: E402

KEY = hashlib.sha256(b"the key of the bench").hexdigest()


def principals(document):
    document["accounts"] = [{"name": "account2", "number": 2}]
    document.setdefault("keys", []).append({"id": "bench", "account": "account2", "api_key_sha256": hashlib.sha256(KEY.encode()).hexdigest()})


class Asker:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def ask(self, method, path, headers, body=None):
        """Seconds until the whole answer is there."""
        begin = time.perf_counter()
        self.connection.request(method, path, body, headers)
        self.connection.getresponse().read()
        return time.perf_counter() - begin


def flipped(text, at):
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1:]


def cases(world):
    api, snapshot = Asker(world.gateway.port), Asker(world.gateway.snapshot_port)
    token = world.token(2)
    head, claims, signature = token.split(".")
    secret = world.stack.snapshot_token
    json_type = {"Content-Type": "application/json"}

    def login(name):
        return api.ask("POST", "/api/rest/admin/auth", json_type, json.dumps({"auth": {"username": name, "password": "wrong"}}))

    def kazoo(name):
        data = {"data": {"credentials": "0" * 32, "account_name": name}}
        return api.ask("PUT", "/v2/user_auth", json_type, json.dumps(data))

    def key(text):
        return api.ask("GET", f"/platform_api/GetSipRegistrations?account_id=2&api_key={text}", {})

    def bearer(text):
        return api.ask("GET", "/api/rest/admin/registrations", {"Authorization": f"Bearer {head}.{claims}.{text}"})

    def session(text):
        return api.ask("GET", "/rest/sipservertable", {"Cookie": f"PHPSESSID={text}"})

    def snap(text):
        return snapshot.ask("GET", "/snapshot?place=any&partition=0&partitions=4", {"Authorization": f"Bearer {text}"})

    yield "login: unknown user, known user", 8, login, "nobody-at-all", "user2"
    yield "login (Kazoo): unknown account, known account", 8, kazoo, "nobody", "account2"
    yield "API key: first character wrong, last character wrong", 1, key, flipped(KEY, 0), flipped(KEY, len(KEY) - 1)
    yield "signature of a token: first character wrong, last but one wrong", 1, bearer, flipped(signature, 0), flipped(signature, len(signature) - 2)
    yield "snapshot token: first character wrong, last character wrong", 1, snap, flipped(secret, 0), flipped(secret, len(secret) - 1)
    yield "session: of no shard's keys, of the user's shard", 1, session, "0" * 41, "f" * 41


def measure(rounds, ask, far, near):
    samples = {far: [], near: []}
    for _ in range(rounds):
        pair = [far, near]
        random.shuffle(pair)
        for text in pair:
            samples[text].append(ask(text))
    longer = sum(b > a for a, b in zip(samples[far], samples[near])) / rounds
    return statistics.median(samples[far]) * 1e6, statistics.median(samples[near]) * 1e6, longer


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=300)
    rounds = parser.parse_args().rounds
    world = conftest.World({"ROLLCALL_FAILED_LOGINS": "0"}, principals)
    try:
        world.start()
        print(f"{'':64} {'far':>10} {'near':>10}   near took longer")
        for name, cost, ask, far, near in cases(world):
            count = max(10, rounds // cost)
            a, b, longer = measure(count, ask, far, near)
            print(f"{name:64} {a:7.0f} µs {b:7.0f} µs   {longer:.2f} of {count}")
    finally:
        world.stop()


if __name__ == "__main__":
    main()
