"""The JSON Schemas of proto/schemas hold for the examples, and refuse what must never be on the wire.

The unit tests compare the examples byte for byte with what the code writes, so this covers the code too.
"""

import copy
import json
import pathlib

import jsonschema
import pytest

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
NAMES = ("spec", "status", "event", "change")


def load(folder, name):
    return json.loads((PROTO / folder / f"{name}.json").read_text(encoding="utf-8"))


def validator(name):
    schemas = {(PROTO / "schemas" / f"{n}.json").as_uri(): load("schemas", n) for n in NAMES}
    uri = (PROTO / "schemas" / f"{name}.json").as_uri()
    jsonschema.Draft202012Validator.check_schema(schemas[uri])
    resolver = jsonschema.RefResolver(uri, schemas[uri], store=schemas)
    return jsonschema.Draft202012Validator(schemas[uri], resolver=resolver)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_is_valid(name):
    assert [e.message for e in validator(name).iter_errors(load("examples", name))] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_member_of_a_later_version_is_valid(name):
    document = load("examples", name)
    document["later"] = {"a": 1}
    assert validator(name).is_valid(document)


def change(path, value):
    """A function that sets the member at `path`, or removes it where value is None."""

    def apply(document):
        *above, last = path
        for step in above:
            document = document[step]
        if value is None:
            del document[last]
        else:
            document[last] = value

    return apply


REFUSED = {
    "spec: a clear secret": ("spec", change(["credentials", 0, "secret"], "hunter2")),
    "spec: an id as text": ("spec", change(["id"], "7")),
    "spec: no domain": ("spec", change(["domain"], None)),
    "spec: an unknown transport": ("spec", change(["transport"], "sctp")),
    "spec: q above 1": ("spec", change(["contacts", 0, "q"], "1.1")),
    "status: no epoch": ("status", change(["epoch"], None)),
    "status: an unknown state": ("status", change(["state"], "fine")),
    "status: bound without a domain": ("status", change(["bound", "sent", "domain"], None)),
    "status: a clear secret in bound": ("status", change(["bound", "sent", "credentials", 0, "secret"], "hunter2")),
    "event: nonces and Call-ID": ("event", change(["status", "bound"], load("examples", "status")["bound"])),
    "event: a secret": ("event", change(["registration"], load("examples", "spec"))),
    "event: an HA1": ("event", change(["registration"], {**load("examples", "spec"), "credentials": [
        c for c in load("examples", "spec")["credentials"] if "ha1" in c]})),
    "event: nothing that happened": ("event", change(["status"], None)),
    "change: an unknown op": ("change", change(["op"], "forget")),
    "change: remove without a specification": ("change", change(["spec"], None)),
    "change: remove without a revision": ("change", change(["revision"], 0)),
    "change: desired for the sake of a twin": ("change", change(["op"], "desired")),
    "change: a clear secret": ("change", change(["spec", "credentials", 0, "secret"], "hunter2")),
    "change: a status without an epoch": ("change", change(["status", "epoch"], None)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case):
    name, apply = REFUSED[case]
    document = copy.deepcopy(load("examples", name))
    apply(document)
    assert not validator(name).is_valid(document)


def test_an_event_of_a_write_is_valid_without_the_secrets():
    registration = load("examples", "spec")
    for credential in registration["credentials"]:
        credential.pop("secret", None)
        credential.pop("ha1", None)
    event = {"v": 1, "id": 1207, "account": "acme", "name": "trunk-berlin", "revision": 5, "actor": "admin",
             "registration": registration}
    assert [e.message for e in validator("event").iter_errors(event)] == []


def test_each_op_has_a_valid_form():
    whole = load("examples", "change")
    head = {name: whole[name] for name in ("v", "id", "account", "revision")}
    for form in ({**head, "op": "desired", "spec": whole["spec"]},
                 {**head, "op": "desired", "spec": whole["spec"], "status": whole["status"]},
                 {**head, "op": "desired", "spec": whole["spec"], "status": whole["status"], "stray": True},
                 {**head, "op": "remove", "spec": whole["spec"]},
                 {**head, "op": "moved"},
                 {**head, "op": "deleted", "revision": 0, "status": whole["status"], "twin": True}):
        assert [e.message for e in validator("change").iter_errors(form)] == [], form["op"]


def test_an_op_takes_what_is_said_of_it_and_no_other():
    whole = load("examples", "change")
    head = {name: whole[name] for name in ("v", "id", "account", "revision")}
    assert not validator("change").is_valid({**head, "op": "moved", "spec": whole["spec"]})
    assert not validator("change").is_valid({**head, "op": "moved", "twin": True})
    assert not validator("change").is_valid({**head, "op": "desired", "spec": whole["spec"], "stray": True})
    assert not validator("change").is_valid({**head, "op": "deleted"})
