"""The vendors' published descriptions of their answers, and whether an answer is as described."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

HERE = Path(__file__).parent / "described"
Json = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    name: str
    """`GET /things/{id}`, as the vendor writes it."""
    pattern: re.Pattern[str]
    answers: dict[str, Any]
    """A JSON schema, or null for no JSON, by status."""


class Description:
    """One vendor's, as `distil` wrote it."""

    def __init__(self, vendor: str) -> None:
        told = json.loads((HERE / f"{vendor}.json").read_text())
        self.title = f"{told['title']} {told['version']}"
        others = HERE / f"{vendor}.others.txt"
        self.names = [*told["operations"], *(others.read_text().splitlines() if others.exists() else ())]
        """Every operation's, those of products that are no concern here as well."""
        self._schemas: Json = told["schemas"]
        _widen(self._schemas, HERE.parent / vendor / "nulls.json")
        self.operations = [_operation(name, answers) for name, answers in told["operations"].items()]
        # A literal path before one with a parameter in the same place, as routers do.
        self.operations.sort(key=lambda each: each.name.count("{"))

    def find(self, method: str, path: str) -> Operation | None:
        for operation in self.operations:
            if operation.name.startswith(f"{method} ") and operation.pattern.fullmatch(path):
                return operation
        return None

    def faults(self, method: str, path: str, status: int, body: Any) -> list[str]:
        """What of an answer is not as described; empty for one that is, and for a path nobody described."""
        operation = self.find(method, path)
        if operation is None:
            return []
        wildcard = f"{status // 100}XX"
        told = next((key for key in (str(status), wildcard, "default") if key in operation.answers), None)
        if told is None:
            return [] if status >= 400 else [f"{operation.name} answered {status}, which is not described"]
        schema = operation.answers[told]
        if schema is None:
            return []
        checker = Draft202012Validator({**schema, "schemas": self._schemas})
        return [
            f"{operation.name} {status}: {_where(error)}: {error.message[:200]}" for error in _errors(checker, body)
        ]


def _widen(schemas: Json, corrections: Path) -> None:
    """Let be null what a vendor's description forgets to say can be, and its own SDK's types say."""
    for pointer in json.loads(corrections.read_text())["schemas"] if corrections.exists() else ():
        schema = schemas
        for part in pointer.split("/"):
            schema = schema[part]
        schema["type"] = [schema["type"], "null"]


def _errors(checker: Draft202012Validator, body: Any) -> list[Any]:
    return list(checker.iter_errors(body))[:5]  # pyright: ignore[reportUnknownMemberType] # untyped


def _where(error: Any) -> str:
    return "/".join(map(str, error.absolute_path)) or "the body"


def _operation(name: str, answers: Json) -> Operation:
    path = re.escape(name.split(" ", 1)[1]).replace(r"\{", "{").replace(r"\}", "}")
    return Operation(name, re.compile(re.sub(r"{path}", ".+", re.sub(r"{(?!path})[^}]+}", "[^/]+", path))), answers)


@cache
def description(vendor: str) -> Description:
    return Description(vendor)
