"""The OpenAPI description as tests read it: operations with their references followed, and a check of answers against it.

An answer in XML is turned into the value that its schema describes (names, attributes and arrays as the schema's `xml` says) and
then judged like one in JSON.
"""
import json
import re
import xml.etree.ElementTree as ElementTree

import jsonschema

FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time")
def is_time(text):
    return not isinstance(text, str) or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text) is not None


@FORMATS.checks("uri")
def is_uri(text):
    return not isinstance(text, str) or re.fullmatch(r"https?://[!-~]+", text) is not None


METHODS = ("get", "put", "post", "patch", "delete", "options")


class Operation:
    def __init__(self, method, path, node, parameters):
        self.method, self.path, self.node, self.parameters = method.upper(), path, node, parameters
        self.responses = node["responses"]
        self.body = node.get("requestBody")
        self.media = (self.body or {}).get("content", {})

    @property
    def key(self):
        return f"{self.method} {self.path}"

    def parameters_in(self, place):
        return [p for p in self.parameters if p["in"] == place]


def media_type(text):
    return text.partition(";")[0].strip().lower()


def best(errors):
    """The one that says most; a member that no part of a schema judged well is a consequence of another."""
    errors = list(errors)
    causes = [e for e in errors if e.validator != "unevaluatedProperties"]
    return jsonschema.exceptions.best_match(causes or errors)


class Document:
    def __init__(self, raw):
        self.raw = raw
        self.validators = {}
        self.all = list(self._operations())

    def at(self, reference):
        node = self.raw
        for step in reference.removeprefix("#/").split("/"):
            node = node[step.replace("~1", "/").replace("~0", "~")]
        return node

    def plain(self, node):
        """The node with every reference in it followed; members beside a reference stay."""
        if isinstance(node, list):
            return [self.plain(n) for n in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return {**self.plain(self.at(node["$ref"])), **{k: self.plain(v) for k, v in node.items() if k != "$ref"}}
        return {k: self.plain(v) for k, v in node.items()}

    def _operations(self):
        for path, item in self.raw["paths"].items():
            shared = item.get("parameters", [])
            for method in METHODS:
                if method in item:
                    parameters = [self.plain(p) for p in shared + item[method].get("parameters", [])]
                    yield Operation(method, path, self.plain(item[method]), parameters)

    def validator(self, schema):
        key = id(schema)
        if key not in self.validators:
            self.validators[key] = (schema, jsonschema.Draft202012Validator(schema, format_checker=FORMATS))  # kept, so that the id stays its own
        return self.validators[key][1]

    def misfit(self, schema, value):
        """What of the value does not fit the schema, in one line; None: it fits."""
        error = best(self.validator(schema).iter_errors(value))
        while error is not None and error.context:
            error = best(error.context)
        if error is None:
            return None
        return f"at /{'/'.join(map(str, error.absolute_path))}: {error.message[:400]}"

    # ---- answers

    def declared(self, operation, status):
        return operation.responses.get(str(status)) or operation.responses.get(f"{status // 100}XX")

    def complaint(self, operation, answer):
        """Why the answer is none that the operation declares, or None."""
        declared = self.declared(operation, answer.status)
        if declared is None:
            return f"status {answer.status} is not declared"
        for name, header in declared.get("headers", {}).items():
            value = answer.header(name)
            if value is None and header.get("required"):
                return f"the header {name} is missing"
            if value is not None and (wrong := self.misfit(header["schema"], value)):
                return f"header {name}: {wrong}"
        content = declared.get("content")
        if not content:
            return None if not answer.body else f"a body where none is declared: {answer.body[:200]!r}"
        given = answer.header("content-type") or ""
        schema = next((m["schema"] for name, m in content.items() if name == given), None)
        if schema is None:
            schema = next((m["schema"] for name, m in content.items() if name == media_type(given)), None)
        if schema is None:
            return f"media type {given!r} is not declared for {answer.status}"
        return None if answer.is_head else self.body_complaint(schema, media_type(given), answer.body)

    def body_complaint(self, schema, media, body):
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as e:
            return f"the body is no UTF-8: {e}"
        if media.startswith("text/") and media != "text/xml":
            return self.misfit(schema, text)
        try:
            if media == "text/xml":
                return self.xml_complaint(schema, ElementTree.fromstring(text.strip()))
            values = [json.loads(line) for line in text.split("\n") if line] if media == "application/x-ndjson" else [json.loads(text)]
        except (ValueError, ElementTree.ParseError) as e:
            return f"the body cannot be read: {e}: {text[:200]!r}"
        return next((wrong for value in values if (wrong := self.misfit(schema, value))), None)

    def xml_complaint(self, schema, root):
        """Of several forms that an answer may have, one must fit."""
        wrong = []
        for form in schema.get("oneOf", [schema]):
            name = form.get("xml", {}).get("name")
            problem = f"the root is {root.tag}" if name and name != root.tag else self.misfit(form, xml_value(root, form))
            if not problem:
                return None
            wrong.append(problem)
        return "; ".join(wrong)


# ---- XML

def members(schema):
    """The properties of an object schema, those of its allOf too."""
    found = dict(schema.get("properties", {}))
    for part in schema.get("allOf", []):
        found.update(members(part))
    return found


def patterns(schema):
    found = dict(schema.get("patternProperties", {}))
    for part in schema.get("allOf", []):
        found.update(patterns(part))
    return found


def scalar(text, schema):
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    chosen = schema.get("enum", []) + ([schema["const"]] if "const" in schema else [])
    numeric = "integer" in kinds or any(isinstance(v, int) for v in chosen)
    return int(text) if numeric and re.fullmatch(r"-?(0|[1-9][0-9]*)", text) else text


def xml_value(element, schema):
    """What the element says, in the form that the schema describes; what no schema names keeps its own name, to be refused."""
    properties = members(schema)
    if not properties and not patterns(schema):
        return scalar(element.text or "", schema) if not len(element) and not element.attrib else \
            {"": element.text, **element.attrib, **{c.tag: True for c in element}}
    value = {}
    for name, text in element.attrib.items():
        described = properties.get(name, {})
        value[name if described.get("xml", {}).get("attribute") else "@" + name] = scalar(text, described)
    if len(element) == 0 and (element.text or "").strip():
        value["#text"] = element.text
    for child in element:
        described = properties.get(child.tag)
        if described is None:
            described = next((s for p, s in patterns(schema).items() if re.search(p, child.tag)), {})
        if described.get("xml", {}).get("attribute"):
            value["<" + child.tag] = True
        elif described.get("type") == "array":
            value.setdefault(child.tag, []).append(xml_value(child, described["items"]))
        elif child.tag in value:
            value["twice " + child.tag] = True
        else:
            value[child.tag] = xml_value(child, described)
    return value
