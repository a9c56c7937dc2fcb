"""`python -m tests.contract.distil VENDOR DESCRIPTION`: what an OpenAPI description says of answers.

Writes `described/VENDOR.json` without any prose: every operation, and the JSON schema of each of its answers.
A vendor's description changes; run it again with the new one and see in git what did.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

import yaml

HERE = Path(__file__).parent / "described"
METHODS = ("get", "post", "put", "patch", "delete")
SHAPE = (
    *("type", "enum", "const", "nullable", "required", "additionalProperties", "properties", "items"),
    *("allOf", "anyOf", "oneOf", "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum", "pattern"),
)
Json = dict[str, Any]


def distil(description: Json) -> Json:
    """The operations, with references to the schemas their answers need and no others."""
    schemas: Json = {}
    operations = {
        f"{method.upper()} {path}": _answers(operation, description, schemas)
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }
    info = description["info"]
    return {"title": info["title"], "version": str(info["version"]), "operations": operations, "schemas": schemas}


def _answers(operation: Json, description: Json, schemas: Json) -> Json:
    found: Json = {}
    for status, given in operation["responses"].items():
        answer = _followed(given, description)
        content = next((body for kind, body in answer.get("content", {}).items() if "json" in kind), None)
        found[str(status)] = (
            _shape(content["schema"], description, schemas) if content and "schema" in content else None
        )
    return found


def _followed(node: Json, description: Json) -> Json:
    while "$ref" in node:
        target: Any = description
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = cast("Json", target)
    return node


def _shape(node: Any, description: Json, schemas: Json) -> Any:
    if isinstance(node, list):
        return [_shape(each, description, schemas) for each in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    given = cast("Json", node)
    if "$ref" in given:
        name = given["$ref"].rsplit("/", 1)[1]
        if name not in schemas:
            schemas[name] = {}  # before its parts: some refer to themselves
            schemas[name] = _shape(_followed(given, description), description, schemas)
        return {"$ref": f"#/schemas/{name}"}
    kept = {key: given[key] for key in SHAPE if key in given}
    for key in ("items", "allOf", "anyOf", "oneOf", "additionalProperties"):
        if key in kept:
            kept[key] = _shape(kept[key], description, schemas)
    if "properties" in kept:
        kept["properties"] = {name: _shape(each, description, schemas) for name, each in kept["properties"].items()}
    if any(_demands_nothing(each, schemas) for each in kept.get("oneOf", [])):
        kept["anyOf"] = kept.pop("oneOf")  # they cannot be told apart: more than one always fits
    return _nullable(kept)


def _demands_nothing(schema: Json, schemas: Json) -> bool:
    named = schemas[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    return named.get("type") == "object" and not named.get("required")


def _nullable(schema: Json) -> Json:
    """OpenAPI 3.0's `nullable`, as JSON Schema says it."""
    if not schema.pop("nullable", False):
        return schema
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


def main(vendor: str, source: Path) -> None:
    description = yaml.safe_load(source.read_text())
    target = HERE / f"{vendor}.json"
    lines = json.dumps(distil(description), separators=(",", ":"), sort_keys=True)
    # A line an operation and a line a schema, so that git can show what changed.
    target.write_text(lines.replace('},"', '},\n"') + "\n")
    print(f"{target}: {target.stat().st_size // 1024} KiB")  # noqa: T201 - a command


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
