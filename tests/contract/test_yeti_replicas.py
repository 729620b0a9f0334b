"""ROLLCALL_REDIS_WAIT: a write that too few replicas confirm stands, and the answer says so."""

GATEWAY = {"ROLLCALL_REDIS_WAIT": "1", "ROLLCALL_REDIS_WAIT_TIMEOUT": "50"}


def test_a_write_without_its_replicas_stands_and_is_answered_503(api):
    answer = api.post(api.required(name="stands"))
    assert answer.status == 503 and answer.header("retry-after") == "1"
    assert "The write stands" in answer.errors[0][1]
    listed = api.get("/registrations").data
    assert [d["attributes"]["name"] for d in listed] == ["stands"]
    answer = api.patch(listed[0]["id"], {"expire": 77})
    assert answer.status == 503 and "The write stands" in answer.errors[0][1]
    assert api.read(listed[0]["id"])["expire"] == 77
