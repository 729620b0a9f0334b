"""Joins the parts of the OpenAPI description (YAML) into the one document that is served, and writes it as a C file that holds
compact JSON: openapi_embed.py OUT.c ROLLCALL.yaml [PART.yaml …]

The first part says what the document is; each further one adds tags, paths and components, none of which may stand twice. Two
members of a part are said once for all its operations and end here: `security` becomes that of those that name none, and
`x-responses` are added to what each of them answers, unless it says that status itself, be it with null. Read by tests too.
"""
import copy
import json
import pathlib
import sys

import yaml

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
KINDS = ("schemas", "responses", "parameters", "headers", "securitySchemes", "requestBodies", "examples")


class JoinError(Exception):
    """A part that cannot be joined; the text says what of it."""


def add(to, members, what):
    for name, value in members.items():
        if name in to:
            raise JoinError(f"{what} {name} stands twice")
        to[name] = value


def spread(part):
    """What a part says for all its operations, said by each."""
    security, responses = part.pop("security", None), part.pop("x-responses", {})
    for path, item in part.get("paths", {}).items():
        item = part["paths"][path] = copy.deepcopy(item)  # YAML's anchors make several paths one object
        for method in METHODS:
            if method not in item:
                continue
            operation = item[method]
            if security is not None:
                operation.setdefault("security", security)
            said = {**responses, **operation.get("responses", {})}
            operation["responses"] = {status: said[status] for status in sorted(said) if said[status] is not None}
    return part


def join(parts):
    """One document of several; the first is the main one."""
    whole = {**parts[0], "tags": [], "paths": {}, "components": {kind: {} for kind in KINDS}}
    for member in ("security", "x-responses"):
        whole.pop(member, None)
    for i, part in enumerate(parts):
        part = spread(dict(part))
        foreign = set(part) - {"tags", "paths", "components"}
        if i and foreign:
            raise JoinError(f"a part may not have {', '.join(sorted(foreign))}")
        whole["tags"] += part.get("tags", [])
        add(whole["paths"], part.get("paths", {}), "path")
        for kind, members in part.get("components", {}).items():
            if kind not in KINDS:
                raise JoinError(f"components may not have {kind}")
            add(whole["components"][kind], members, kind)
    names = [tag["name"] for tag in whole["tags"]]
    if len(names) != len(set(names)):
        raise JoinError("a tag stands twice")
    whole["components"] = {kind: members for kind, members in whole["components"].items() if members}
    return whole


def read(files):
    return join([yaml.safe_load(pathlib.Path(f).read_text(encoding="utf-8")) for f in files])


def main(target, *files):
    text = json.dumps(read(files), ensure_ascii=True, separators=(",", ":"))
    lines = [json.dumps(text[i:i + 100]) for i in range(0, len(text), 100)]
    with open(target, "w", encoding="utf-8") as out:
        out.write('#include "services/gateway/openapi.h"\n\n'
                  '#pragma GCC diagnostic ignored "-Woverlength-strings" // no compiler of ours has C99\'s small limit\n\n'
                  'static const char text[] =\n    ')
        out.write("\n    ".join(lines))
        out.write(";\n\nstruct str openapi_json(void)\n{\n    return (struct str){.p = text, .n = sizeof(text) - 1};\n}\n")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except JoinError as e:
        sys.exit(f"openapi_embed: {e}")
