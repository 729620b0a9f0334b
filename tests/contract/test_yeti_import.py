"""Import and export of newline-delimited JSON, additions to contract 4."""
import http.client
import json
import socket
import threading
import time

import pytest
from conftest import HOST, MEDIA_TYPE, PREFIX
from stack import wait_for
from voximplant_client import add_accounts, new_vox

LINES = "application/x-ndjson"
READER = 1000


def PRINCIPALS(document):
    add_accounts(document)
    document["users"].append({**document["users"][0], "id": READER, "username": "reader", "account": "read-only", "roles": ["support"]})


BASE = {"domain": "example.com", "username": "u", "contact": "sip:u@h"}


def line(name, relationships=None, type="registrations", **attributes):
    data = {"type": type, "attributes": {"name": name, **BASE, **{k.replace("_", "-"): v for k, v in attributes.items()}}}
    if relationships is not None:
        data["relationships"] = relationships
    return data


def encode(lines):
    return b"".join(x if isinstance(x, bytes) else json.dumps(x).encode() + b"\n" for x in lines)


def send(api, lines, query="", headers=None):
    body = lines if isinstance(lines, bytes) else encode(lines)
    return api.call("POST", f"/registrations/import{query}", body, {"Content-Type": LINES, "Accept": LINES, **(headers or {})})


def report(answer):
    """The bad lines by their number, and the summary."""
    assert answer.status == 200, answer.body
    assert answer.header("content-type") == LINES
    rows = [json.loads(row) for row in answer.body.splitlines()]
    assert list(rows[-1]) == ["summary"] and all(list(r) == ["line", "name", "errors"] for r in rows[:-1])
    return {r["line"]: r for r in rows[:-1]}, rows[-1]["summary"]


def counts(answer):
    bad, summary = report(answer)
    assert len(bad) == summary["failed"]
    return [summary[n] for n in ("lines", "created", "updated", "unchanged", "failed")]


def export(api, query="", **headers):
    answer = api.call("GET", f"/registrations/export{query}", headers={"Accept": LINES, **headers})
    assert answer.status == 200, answer.body
    assert answer.header("content-type") == LINES and answer.header("content-length") is None
    return [json.loads(row) for row in answer.body.splitlines()]


def names(api):
    return [d["attributes"]["name"] for d in api.get("/registrations?page[size]=1000").data]


# ---- import

def test_lines_create_then_change_and_can_be_sent_again(api, world):
    """Identified by the name in the account; only what changes gets a revision."""
    lines = [line(f"n{i}", expire=i) for i in range(300)]
    assert counts(send(api, lines)) == [300, 300, 0, 0, 0]
    assert names(api) == [f"n{i}" for i in range(300)]
    key = world.key(api.get("/registrations?filter[name_eq]=n7").data[0]["id"])
    revision = world.redis.hget(key, "revision")
    lines[8]["attributes"]["expire"] = 5000
    assert counts(send(api, lines)) == [300, 0, 1, 299, 0]
    assert world.redis.hget(key, "revision") == revision
    assert api.get("/registrations?filter[name_eq]=n8").data[0]["attributes"]["expire"] == 5000
    assert counts(send(api, lines)) == [300, 0, 0, 300, 0]


def test_a_line_changes_what_it_holds_and_nothing_else(api):
    """As a PATCH: members left out stay as they are."""
    id = api.create(name="x", expire=60, auth_user="a", auth_password="secret", route_set=["sip:p;lr"])
    assert counts(send(api, [{"type": "registrations", "attributes": {"name": "x", "enabled": False}}])) == [1, 0, 1, 0, 0]
    found = api.read(id)
    assert (found["enabled"], found["expire"], found["auth-user"], found["route-set"]) == (False, 60, "a", ["sip:p;lr"])


def test_relationships_go_with_a_line(api, place):
    here = {"pop": {"data": {"type": "pops", "id": str(place[0])}}, "node": {"data": {"type": "nodes", "id": place[1]}},
            "transport-protocol": {"data": {"type": "transport-protocols", "id": "3"}}}
    assert counts(send(api, [line("r", here)])) == [1, 1, 0, 0, 0]
    found = api.get("/registrations?include=pop,node,transport-protocol").data[0]["relationships"]
    assert [found[n]["data"]["id"] for n in ("pop", "node", "transport-protocol")] == [str(place[0]), str(place[1]), "3"]
    assert counts(send(api, [line("r", {"node": {"data": None}})])) == [1, 0, 1, 0, 0]
    bad, _ = report(send(api, [line("s", {"pop": {"data": {"type": "pops", "id": "7777777"}}})]))
    assert bad[1]["errors"] == [{"title": "must exist", "detail": "pop - must exist", "code": "100",
                                 "source": {"pointer": "/data/relationships/pop"}, "status": "422"}]


def test_each_bad_line_is_named_with_its_cause_and_the_rest_goes_on(api):
    lines = [line("a"), b"{\n", b"\n", b"  \r\n", line("b", contact="x"), b"[]\n", line("c", bogus=1), line("d", type="pops"), line("e"),
             {"type": "registrations", "attributes": {"expire": 1}}, line("f", {"pop": {"links": {}}, "bogus": {}}), line("g", retry_delay=0),
             b"5\n", b"\xff\n", {"attributes": {"name": "h"}}, {**line("i"), "links": {"self": "x"}}, line("j")]
    bad, summary = report(send(api, lines))
    assert summary == {"lines": 15, "created": 3, "updated": 0, "unchanged": 0, "failed": 12}
    assert names(api) == ["a", "e", "j"]
    found = {n: (r["name"], [(e["code"], e["detail"]) for e in r["errors"]]) for n, r in bad.items()}
    assert found[2][0] is None and found[2][1][0][0] == "400"
    assert found[5] == ("b", [("100", "contact - is invalid")])
    assert found[6] == (None, [("400", "A line must be a resource object")])
    assert found[7] == ("c", [("105", "bogus is not allowed.")])
    assert found[8] == ("d", [("101", "pops is not a valid resource.")])
    assert found[10] == (None, [("100", "name - can't be blank"), ("100", "domain - can't be blank"), ("100", "username - can't be blank"),
                                ("100", "contact - is invalid")])
    assert found[11] == ("f", [("105", "bogus is not allowed.")])
    assert found[12] == ("g", [("100", "retry-delay - must be greater than 0")])
    assert found[13][1] == [("400", "A line must be a resource object")] and found[14][1][0][0] == "400"
    assert found[15] == ("h", [("106", "The required parameter, type, is missing.")])
    assert found[16] == ("i", [("105", "links is not allowed.")])
    assert bad[5]["errors"][0]["source"] == {"pointer": "/data/attributes/contact"}


def test_the_errors_are_those_of_a_post(api):
    """Contract 2.1: attribute, message and order."""
    wrong = line("", domain="", retry_delay="x", sip_schema_id=7, max_attempts=0)
    bad, _ = report(send(api, [wrong]))
    assert bad[1]["errors"] == api.call("POST", "/registrations", {"data": wrong}).json["errors"]


def test_a_masked_password_is_kept_on_a_change_and_refused_on_a_creation(api, world):
    api.create(name="has", auth_user="u", auth_password="secret")
    api.create(name="has-not")
    mask = {"auth_password": "********"}
    bad, summary = report(send(api, [line("has", expire=9, **mask), line("has-not", **mask), line("new", **mask)]))
    assert (summary["updated"], summary["failed"], set(bad)) == (1, 2, {2, 3})
    assert {e["detail"] for r in bad.values() for e in r["errors"]} == {"auth-password - is invalid"}
    spec = json.loads(world.redis.hget(world.key(api.get("/registrations?filter[name_eq]=has").data[0]["id"]), "spec"))
    assert spec["credentials"][0]["secret"]


def test_the_same_password_in_clear_changes_nothing(api):
    password = line("p", auth_user="u", auth_password="in clear")
    assert counts(send(api, [password])) == [1, 1, 0, 0, 0]
    assert counts(send(api, [password])) == [1, 0, 0, 1, 0]
    assert counts(send(api, [line("p", auth_password="another")])) == [1, 0, 1, 0, 0]


def test_lines_of_one_name_are_done_in_their_order(api):
    lines = [line("same", expire=i) for i in range(1, 101)] + [line("other")] + [line("same", expire=7)] * 3
    assert counts(send(api, lines)) == [104, 2, 100, 2, 0]
    assert api.get("/registrations?filter[name_eq]=same").data[0]["attributes"]["expire"] == 7


def test_a_line_that_is_too_long_is_one_bad_line(api):
    long = b'{"type":"registrations","attributes":{"name":"' + b"x" * 70000 + b'"}}\n'
    longest = encode([line("fits")])
    longest = longest.rstrip(b"\n") + b" " * (65536 - len(longest) + 1) + b"\n"
    assert len(longest) == 65537
    for chunked in (False, True):
        body = encode([line("a")]) + long + encode([line("b")]) + b"z" * 300000 + b"\n" + longest + encode([line("c")]) + b"y" * 66000
        bad, summary = report(send_chunked(api, body) if chunked else send(api, body))
        assert set(bad) == {2, 4, 7} and (summary["lines"], summary["failed"]) == (7, 3)
        assert {e["detail"] for r in bad.values() for e in r["errors"]} == {"A line may be 65536 bytes long"}
    assert names(api) == ["a", "b", "fits", "c"]


def send_chunked(api, body, size=1000):
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=20)
    connection.request("POST", f"{PREFIX}/registrations/import", (body[i:i + size] for i in range(0, len(body), size)),
                       {"Host": HOST, "Authorization": api.token, "Content-Type": LINES}, encode_chunked=True)
    from conftest import Answer
    return Answer(connection.getresponse())


@pytest.mark.parametrize("size", [1, 7, 100000])
def test_how_the_body_is_cut_does_not_matter(api, size):
    body = encode([line(f"k{i}", display_username="ü" * i) for i in range(20)])
    answer = send_chunked(api, body + encode([line("last")]).rstrip(b"\n"), size)
    assert counts(answer) == [21, 21, 0, 0, 0]
    assert names(api) == [f"k{i}" for i in range(20)] + ["last"]


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\n\t"])
def test_nothing_is_nothing(api, body):
    assert counts(send(api, body)) == [0, 0, 0, 0, 0]


def test_a_byte_order_mark_at_the_beginning_is_passed_over(api):
    """RFC 8259, 8.1; anywhere else it is no JSON."""
    mark = b"\xef\xbb\xbf"
    assert counts(send(api, mark + encode([line("a"), line("b")]))) == [2, 2, 0, 0, 0]
    assert counts(send_chunked(api, mark + encode([line("a")]), 1)) == [1, 0, 0, 1, 0]
    assert counts(send(api, mark)) == counts(send(api, mark + b"\r\n")) == [0, 0, 0, 0, 0]
    bad, summary = report(send(api, encode([line("c")]) + mark + encode([line("d")]) + b"\n" + mark))
    assert set(bad) == {2, 4} and summary["created"] == 1


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [b"", b"\n"])
def test_lines_end_as_they_like(api, end, last):
    body = end.join(json.dumps(line(n)).encode() for n in "abc") + last
    assert counts(send(api, body)) == [3, 3, 0, 0, 0] and names(api) == ["a", "b", "c"]


@pytest.mark.parametrize("text, cause", [
    (b'{"type":"registrations","type":"pops"}', 'the key "type" stands twice'),
    (b'{"type":"registrations","attributes":{"name":"x","domain":"h","name":"y"}}', 'the key "name" stands twice'),
    (b'{"type":"registrations","attributes":{"name":"\xff"}}', "not UTF-8"), (b'{"type":"registrations","attributes":{"name":"\\ud800"}}', "surrogate"),
    (b"[" * 5000, "nested deeper"), (b"\x1f\x8b\x08\x00", "not UTF-8"), (b'{"type":"registrations"} {}', "")])
def test_a_line_that_is_no_json(api, text, cause):
    """The line is named, nothing of it is done, and the next goes on."""
    bad, summary = report(send(api, text + b"\n" + encode([line("next")])))
    assert (set(bad), summary["created"], names(api)) == ({1}, 1, ["next"])
    assert bad[1]["name"] is None and bad[1]["errors"][0]["code"] == "400" and cause in bad[1]["errors"][0]["detail"]


@pytest.mark.parametrize("coding", ["gzip", "br", "gzip, identity"])
def test_a_body_that_is_packed_is_refused(api, coding):
    """RFC 9110, 8.4 and 15.5.16: it is not taken for lines."""
    answer = send(api, [line("x")], headers={"Content-Encoding": coding})
    assert (answer.status, answer.titles) == (415, ["Unsupported media type"])
    assert answer.json["errors"][0]["detail"] == f"This path takes a body without Content-Encoding. This request specified '{coding}'."
    assert names(api) == []
    assert counts(send(api, [line("x")], headers={"Content-Encoding": "identity"})) == [1, 1, 0, 0, 0]


def test_an_id_of_a_line_is_not_looked_at(api, world):
    """What identifies is the name: neither the id of another of the account nor that of another account's is touched."""
    mine, theirs = api.create(name="mine"), world.api().create(name="theirs")
    lines = [{"id": id, **line(name, expire=9)} for id, name in ((theirs, "mine"), (mine, "new"), ("abc", "newer"), (None, "newest"))]
    assert counts(send(api, lines)) == [4, 3, 1, 0, 0]
    assert names(api) == ["mine", "new", "newer", "newest"]


def test_a_registration_of_another_dialect_is_known_by_its_name(world):
    """Exported like any other, and changed by a line that has the name that was made for it."""
    vox = new_vox(world)
    id = vox.create(sip_username="alice", proxy="sip.example.net", auth_user="a", password="secret", application_id=12, user_id=9)
    api = world.api(vox.user)
    (row,) = export(api)
    assert row["id"] == str(id) and row["attributes"]["name"].startswith("alice@sip.example.net/vox-")
    assert counts(send(api, [row])) == [1, 0, 0, 1, 0]
    row["attributes"]["expire"] = 77
    assert counts(send(api, [row])) == [1, 0, 1, 0, 0]
    found = vox.read(id)
    assert (found["user_id"], found["application_id"], found["auth_user"]) == (9, 12, "a") and api.read(id)["expire"] == 77


def test_a_dry_run_judges_and_writes_nothing(api):
    api.create(name="old", expire=5, auth_user="u", auth_password="secret")
    lines = [line("new"), line("old", expire=6), line("bad", contact="x")]
    bad, summary = report(send(api, lines, "?dry-run=true"))
    assert summary == {"lines": 3, "created": 1, "updated": 1, "unchanged": 0, "failed": 1, "dry-run": True} and set(bad) == {3}
    assert names(api) == ["old"] and api.get("/registrations").data[0]["attributes"]["expire"] == 5
    same = {"type": "registrations", "attributes": {"name": "old", "auth-password": "secret"}}
    assert report(send(api, [same], "?dry-run=1"))[1]["unchanged"] == 1
    other = {"type": "registrations", "attributes": {"name": "old", "auth-password": "another"}}
    assert report(send(api, [other], "?dry-run=1"))[1]["updated"] == 1
    assert send(api, lines, "?dry-run=perhaps").status == 400
    assert counts(send(api, lines, "?dry-run=false")) == [3, 1, 1, 0, 1]


def test_after_ten_thousand_bad_lines_it_stops_and_says_where(api):
    bad, summary = report(send(api, b"{}\n" * 10500 + encode([line("late")])))
    assert len(bad) == 10000 and summary["failed"] == 10000
    assert summary["stopped-at"] == 10001 and summary["reason"] == "There are too many bad lines."
    assert names(api) == []


def test_an_import_stays_in_its_account(api, world):
    other = world.api()
    other.create(name="shared", expire=1)
    assert counts(send(api, [line("shared", expire=2)])) == [1, 1, 0, 0, 0]
    assert other.get("/registrations").data[0]["attributes"]["expire"] == 1


@pytest.mark.parametrize("type, status", [(LINES, 200), (f"{LINES}; charset=utf-8", 200), ("application/jsonl", 200), (MEDIA_TYPE, 415),
                                          ("application/json", 415), (None, 415)])
def test_the_content_type(api, type, status):
    assert send(api, [line("x")], headers={"Content-Type": type}).status == status


@pytest.mark.parametrize("accept, status", [(LINES, 200), (None, 200), ("*/*", 200), ("application/*", 200), ("text/html", 406), (MEDIA_TYPE, 406)])
def test_accept(api, accept, status):
    for answer in (send(api, b"", headers={"Accept": accept}), api.call("GET", "/registrations/export", headers={"Accept": accept})):
        assert answer.status == status
        assert status == 200 or answer.json["errors"][0]["detail"] == f"This path answers with '{LINES}'. This request specified '{accept}'."


def test_the_token_is_asked_for_before_anything_is_read(api):
    for answer in (send(api, [line("x")], headers={"Authorization": None}),
                   api.call("GET", "/registrations/export", headers={"Authorization": None})):
        assert (answer.status, answer.body) == (401, b"")


def test_roles_rule_what_is_written_at_once_too(world):
    """As single requests: everybody reads, some write."""
    reader = world.api(READER)
    operations = {"atomic:operations": [{"op": "add", "data": line("x")}]}
    atomic = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'
    for answer in (send(reader, [line("x")]), send(reader, [line("x")], "?dry-run=true"),
                   reader.call("POST", "/operations", operations, {"Content-Type": atomic})):
        assert answer.status == 403 and answer.errors == [("403", "The user's roles do not allow this.", None)]
    assert export(reader) == []


def test_a_client_that_leaves_leaves_nothing_behind(api, world):
    """What had come whole is done; the gateway lives and takes the same again."""
    body = encode([line(f"g{i}") for i in range(400)])
    with socket.create_connection(("127.0.0.1", api.port)) as s:
        s.sendall(f"POST {PREFIX}/registrations/import HTTP/1.1\r\nHost: x\r\nAuthorization: {api.token}\r\nContent-Type: {LINES}\r\n"
                  f"Content-Length: {len(body) + 100}\r\n\r\n".encode() + body)
        wait_for(lambda: len(names(api)) > 100, 10, "lines of a body that is not whole")
    wait_for(lambda: world.gateway.running() and len(names(api)) >= 100, 10, "the gateway")
    bad, summary = report(send(api, body))
    assert summary["lines"] == summary["created"] + summary["unchanged"] == 400 and not bad


def test_an_account_is_imported_while_others_are_answered(api, world):
    """A long import holds up nobody: requests beside it are answered in milliseconds."""
    body = encode([line(f"w{i}") for i in range(3000)])
    sender = threading.Thread(target=send, args=(world.api(5), body))
    sender.start()
    slowest = 0
    while sender.is_alive():
        begun = time.monotonic()
        assert api.get("/registrations").status == 200
        slowest = max(slowest, time.monotonic() - begun)
    sender.join()
    assert slowest < 1


def test_redis_away_for_a_moment_is_waited_out(world):
    """Retried for a while: the import goes on where it was."""
    api = world.api()
    lines = encode([line(f"v{i}") for i in range(50)])
    world.redis.client_pause(1500)
    assert counts(send(api, lines)) == [50, 50, 0, 0, 0]


# ---- export

def test_an_export_can_be_imported(api, world, place):
    here = {"pop": {"data": {"type": "pops", "id": str(place[0])}}}
    api.create(here, name="one", expire=5, route_set=["sip:a;lr", "sip:b"], enabled=False)
    api.create(name="two", auth_user="", display_username="ü \"x\"", expire=-1, sip_schema_id=2)
    rows = export(api)
    assert [list(r) for r in rows] == [["id", "type", "attributes", "relationships"]] * 2
    assert rows[0]["attributes"] == api.read(rows[0]["id"]) and list(rows[0]["attributes"]) == list(api.read(rows[0]["id"]))
    assert rows[0]["relationships"] == {"transport-protocol": {"data": {"type": "transport-protocols", "id": "1"}}, **here, "node": {"data": None}}
    assert counts(send(api, rows)) == [2, 0, 0, 2, 0]
    other = world.api()
    assert counts(send(other, rows)) == [2, 2, 0, 0, 0]
    assert [r["attributes"] for r in export(other)] == [r["attributes"] for r in rows]


def test_an_export_is_whole_and_in_the_order_of_ids(api):
    send(api, [line(f"x{i}", expire=i % 5, username="odd" if i % 2 else "even") for i in range(1234)])
    rows = export(api)
    assert [r["attributes"]["name"] for r in rows] == [f"x{i}" for i in range(1234)]
    assert [int(r["id"]) for r in rows] == sorted(int(r["id"]) for r in rows)
    assert len(export(api, "?filter[username_eq]=odd")) == 617
    assert {r["attributes"]["expire"] for r in export(api, "?filter[expire_gt]=2")} == {3, 4}
    assert len(export(api, "?filter[username_eq]=odd&filter[name_cont]=x1&sort=id")) == sum(1 for i in range(1, 1234, 2) if "x1" in f"x{i}")
    ids = [r["id"] for r in rows[5:8]]
    assert [r["id"] for r in export(api, "?filter[id]=" + ",".join(ids))] == ids
    assert export(api, "?filter[name_eq]=nobody") == []


def test_an_export_shows_the_fields_that_are_asked_for(api):
    api.create(name="f")
    assert export(api, "?fields[registrations]=name,domain") == [
        {"id": api.get("/registrations").data[0]["id"], "type": "registrations", "attributes": {"domain": "example.com", "name": "f"}}]


def test_passwords_are_masked_in_an_export(api):
    api.create(name="p", auth_user="u", auth_password="secret")
    rows = export(api)
    assert rows[0]["attributes"]["auth-password"] == "********"
    assert counts(send(api, rows)) == [1, 0, 0, 1, 0]


def test_an_empty_account_exports_nothing(api):
    assert export(api) == []


@pytest.mark.parametrize("query, code", [("filter[bogus]=1", "102"), ("filter[name_eq]=a,b", "107"), ("sort=name", "114"), ("sort=-id", "114"),
                                         ("include=pop", "112"), ("fields[registrations]=bogus", "104")])
def test_a_query_that_an_export_does_not_take(api, query, code):
    answer = api.call("GET", f"/registrations/export?{query}", headers={"Accept": LINES})
    assert (answer.status, answer.errors[0][0]) == (400, code)


def test_head_of_an_export(api):
    answer = api.call("HEAD", "/registrations/export", headers={"Accept": LINES})
    assert (answer.status, answer.body, answer.header("content-type")) == (200, b"", LINES)
    assert api.get("/registrations").status == 200, "nothing of a body came behind it"
    answer = api.call("HEAD", "/registrations/export?filter[bogus]=1", headers={"Accept": LINES})
    assert (answer.status, answer.body) == (400, b"")


def test_a_client_that_reads_slowly_or_leaves_is_no_harm(api, world):
    """Back-pressure: what is not read is not fetched."""
    send(api, [line(f"b{i}", display_username="x" * 900) for i in range(3000)])
    request = f"GET {PREFIX}/registrations/export HTTP/1.1\r\nHost: x\r\nAuthorization: {api.token}\r\n\r\n".encode()
    slow, gone = (socket.create_connection(("127.0.0.1", api.port)) for _ in range(2))
    for s in (slow, gone):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.sendall(request)
    gone.recv(2000)
    gone.close()
    assert api.get("/registrations").json["meta"]["total-count"] == 3000
    received, slow_ends = b"", time.monotonic() + 20
    while not received.endswith(b"0\r\n\r\n") and time.monotonic() < slow_ends:
        received += slow.recv(65536)
    slow.close()
    assert received.count(b'"type":"registrations"') == 3000
