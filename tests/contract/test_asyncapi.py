"""proto/asyncapi describes the topics of proto/topics.md, and everything that it refers to is there."""

import json
import pathlib
import re

import yaml

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
DOCUMENT = PROTO / "asyncapi/rollcall.yaml"
API = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
TOPICS = (PROTO / "topics.md").read_text(encoding="utf-8")


def at(document, pointer):
    """The value that a JSON pointer names; KeyError where there is none."""
    for step in pointer.strip("/").split("/") if pointer.strip("/") else []:
        document = document[step.replace("~1", "/").replace("~0", "~")]
    return document


def resolve(reference):
    path, _, pointer = reference.partition("#")
    if not path:
        return at(API, pointer)
    return at(json.loads((DOCUMENT.parent / path).read_text(encoding="utf-8")), pointer)


def references(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def followed(value):
    while isinstance(value, dict) and "$ref" in value:
        value = resolve(value["$ref"])
    return value


def types_of(channel):
    """Every ce_type that a channel's messages may have."""
    found = set()
    for message in API["channels"][channel]["messages"].values():
        for part in followed(message)["headers"]["allOf"]:
            kind = followed(part)["properties"]["ce_type"]
            found |= set(kind.get("enum", [])) | ({kind["const"]} if "const" in kind else set())
    return found


def test_every_reference_leads_somewhere():
    found = list(references(API))
    assert "../schemas/change.json" in found
    for reference in found:
        assert resolve(reference) is not None, reference


def test_the_channels_are_the_topics():
    documented = set(re.findall(r"^\| `(rollcall\.[^`]+)` \|", TOPICS, re.M))
    described = {c["address"].replace("{place}", "<place>") for c in API["channels"].values()}
    assert described == documented


def test_the_types_of_events_are_the_documented_ones():
    section = TOPICS.split("## events")[1].split("| member |")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.M)
    documented = {f"rollcall.registration.{name}" for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert "rollcall.registration.removed" in documented
    assert types_of("events") == documented


def test_the_types_of_changes_are_the_ops_of_the_schema():
    ops = resolve("../schemas/change.json#/properties/op")["enum"]
    assert types_of("changes") == {f"rollcall.change.{op}" for op in ops}


def test_every_operation_names_messages_of_its_channel():
    for name, operation in API["operations"].items():
        prefix = operation["channel"]["$ref"] + "/messages/"
        assert operation["messages"], name
        assert all(m["$ref"].startswith(prefix) for m in operation["messages"]), name
