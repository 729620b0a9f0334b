"""A client of the Kazoo dialect as its SDKs are: one login with credentials or an API key, then requests with the token."""
import hashlib

import requests


class KazooSession:
    """`stack` is the one whose account is asked for, at the gateway of `url`."""

    def __init__(self, url, stack, by_api_key=False):
        pair = f"{stack.username}:{stack.password}".encode()
        path, data = ("/api_auth", {"api_key": stack.api_key}) if by_api_key else ("/user_auth", {
            "credentials": hashlib.md5(pair).hexdigest(), "account_realm": f"{stack.account}.localhost"})
        answer = requests.put(f"{url}/v2{path}", json={"data": data}, timeout=30)
        assert answer.status_code == 201, answer.text
        self.headers = {"X-Auth-Token": answer.json()["auth_token"]}
        self.path = f"/v2/accounts/{answer.json()['data']['account_id']}/registrations"
        self.url = url

    def call(self, method, rest=""):
        answer = requests.request(method, self.url + self.path + rest, headers=self.headers, timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "success"
        return answer.json()["data"]

    def entries(self, **wanted):
        """The live bindings of which each member is as wanted."""
        return [e for e in self.call("GET") if all(e[k] == v for k, v in wanted.items())]

    def count(self):
        return self.call("GET", "/count")["count"]
