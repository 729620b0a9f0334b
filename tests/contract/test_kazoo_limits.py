"""Contract kazoo 2.1, 4 and 6: rate limits and failed logins."""
from kazoo_client import PARENT, PARENT_KEY, STRANGER, UNKNOWN, Kazoo, add_principals, basic, credentials, session

PRINCIPALS = add_principals
GATEWAY = {"ROLLCALL_REQUEST_RATE": "50", "ROLLCALL_FAILED_LOGINS": "3", "ROLLCALL_HTTP_THREADS": "1"}
COLLECTION = f"/accounts/{PARENT}/registrations"


def test_the_envelope_tells_the_tokens_and_their_end_is_429(world):
    """Section 4 `tokens`; section 6 rate limited; a login costs 35."""
    k = Kazoo(world)
    answer = k.call("PUT", "/api_auth", {"api_key": PARENT_KEY})
    assert answer.json["tokens"] == {"consumed": 35, "remaining": 65}
    k.token = answer.json["auth_token"]
    first = k.get(COLLECTION).json["tokens"]
    assert first["consumed"] == 1 and first["remaining"] == 99
    for _ in range(400):
        answer = k.get(COLLECTION)
        if answer.status != 200:
            break
    assert answer.error == (429, "too_many_requests", {"message": "too many requests"})
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json["tokens"]["remaining"] == 0
    assert "version" not in answer.json, "nobody is authenticated yet"


def test_3_6_the_limit_comes_after_the_account_and_before_whose_it_is(world):
    """Section 3: 429 at step 6: verb (405) and account (404) win over it and cost nothing, 403 is told only to who has tokens."""
    k = Kazoo(world, session(world, key="reader-key"))
    seen = [k.get(f"/accounts/{STRANGER}/registrations").status]
    while seen[-1] == 403 and len(seen) < 1000:
        seen.append(k.get(f"/accounts/{STRANGER}/registrations").status)
    assert set(seen) == {403, 429}
    for _ in range(120):
        assert k.get(f"/accounts/{UNKNOWN}/registrations").status == 404
    assert k.call("PUT", COLLECTION).status == 405


def test_another_principal_has_tokens_of_its_own(world):
    assert Kazoo(world).get(COLLECTION, headers={"Authorization": basic(PARENT, "bob", "bob-pw")}).status == 200


def test_failed_logins_of_a_name_end_in_429(world):
    """Too many wrong passwords: then the right one waits, too."""
    k = Kazoo(world)
    wrong = {"credentials": credentials("alice", "wrong"), "account_name": "Child Ltd"}
    seen = []
    for _ in range(4):
        world.redis.ping()
        answer = k.call("PUT", "/user_auth", wrong)
        seen.append(answer.status)
    assert 429 in seen and set(seen) <= {401, 429}
    assert k.get(f"/accounts/{STRANGER}/registrations", headers={"Authorization": basic(PARENT, "alice", "wrong")}).status in (401, 429)
