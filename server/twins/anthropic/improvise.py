"""A value that fits a JSON Schema, for what no script foresees: a forced tool call, or an answer in a given format."""

from __future__ import annotations

import math
from typing import Any, cast

Json = dict[str, Any]
WORD = "rehearsal"
FORMATS = {
    "date": "2026-01-01",
    "time": "12:00:00Z",
    "date-time": "2026-01-01T12:00:00Z",
    "duration": "PT1H",
    "email": "rehearsal@example.com",
    "hostname": "example.com",
    "uri": "https://example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def fitting(schema: Json) -> Any:
    """The plainest fitting value: what the schema itself names, required properties only, the shortest lists.

    `pattern`, `not` and `if` are not looked at, and a schema that requires itself without end raises `RecursionError`.
    """
    return _value(schema, schema)


def _value(schema: Any, root: Json) -> Any:
    if not isinstance(schema, dict):
        return WORD  # `true`: anything
    told = _resolved(cast("Json", schema), root)
    for name in ("const", "default"):
        if name in told:
            return told[name]
    for name in ("enum", "examples"):
        if told.get(name):
            return told[name][0]
    match _type(told):
        case "object":
            return {name: _value(_properties(told).get(name, True), root) for name in _many(told, "required")}
        case "array":
            return _list(told, root)
        case kind:
            return _scalar(kind, told)


def _scalar(kind: str, schema: Json) -> Any:
    match kind:
        case "string":
            return _string(schema)
        case "integer" | "number":
            return _number(schema, whole=kind == "integer")
        case "boolean":
            return False
        case _:
            return None


def _resolved(schema: Json, root: Json) -> Json:
    """Without references and alternatives: the first of those, and all of what must hold together."""
    parts = [*_many(schema, "anyOf")[:1], *_many(schema, "oneOf")[:1], *_many(schema, "allOf")]
    if "$ref" in schema:
        parts.append(_pointed(str(schema["$ref"]), root))
    told = {name: value for name, value in schema.items() if name not in ("$ref", "anyOf", "oneOf", "allOf")}
    for part in parts:
        told = _both(_resolved(part, root), told)
    return told


def _both(one: Json, other: Json) -> Json:
    """What fits it fits the two."""
    both: Json = {**one, **other}
    both["required"] = [*dict.fromkeys([*_many(one, "required"), *_many(other, "required")])]
    both["properties"] = {**_properties(one), **_properties(other)}
    return both


def _properties(schema: Json) -> Json:
    return cast("Json", schema.get("properties") or {})


def _pointed(reference: str, root: Json) -> Json:
    """What a JSON pointer within the schema leads to (RFC 6901)."""
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")] if step else found
    return found


def _type(schema: Json) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((one for one in cast("list[str]", kind) if one != "null"), "null")
    if kind:
        return str(kind)
    return (
        "object" if schema.get("properties") or schema.get("required") else "array" if "items" in schema else "string"
    )


def _many(schema: Json, name: str) -> list[Any]:
    return cast("list[Any]", schema.get(name) or [])


def _list(schema: Json, root: Json) -> list[Any]:
    firsts = [_value(each, root) for each in _many(schema, "prefixItems")]
    more = max(0, int(schema.get("minItems", 0)) - len(firsts))
    return [*firsts, *(_value(schema.get("items", True), root) for _ in range(more))]


def _string(schema: Json) -> str:
    text = FORMATS.get(str(schema.get("format")), WORD)
    while len(text) < schema.get("minLength", 0):
        text += f" {WORD}"
    return text[: schema.get("maxLength", len(text))]


def _number(schema: Json, *, whole: bool) -> float:
    step = schema.get("multipleOf") or (1 if whole else 0)
    least, most = schema.get("minimum"), schema.get("maximum")
    if (above := schema.get("exclusiveMinimum")) is not None:
        least = above + (step or 1)
    if (below := schema.get("exclusiveMaximum")) is not None:
        most = below - (step or 1)
    value = least if least is not None else min(0, most) if most is not None else 0
    if step:
        value = math.ceil(value / step) * step
    return int(value) if whole else value
