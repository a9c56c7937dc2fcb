"""Between JSON and PostgreSQL's text format, as Neon's proxy does it (its `json` module)."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any, cast

BOOL, INT2, INT4, FLOAT4, FLOAT8, JSON, JSONB = 16, 21, 23, 700, 701, 114, 3802


def parameter(value: Any) -> bytes | None:
    """A JSON value as a parameter: arrays become array literals, objects JSON text, strings stay."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return _array_literal(cast("list[Any]", value)).encode()
    return _scalar(value).encode()


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _array_literal(values: list[Any]) -> str:
    return "{" + ",".join(_element(value) for value in values) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return _array_literal(cast("list[Any]", value))
    text = value if isinstance(value, str) else _scalar(value)
    if isinstance(value, (str, dict)):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


def value(text: str, oid: int) -> Any:
    """A column's text as JSON. What JSON cannot hold exactly (int8, numeric, dates, NaN) stays text."""
    if oid == BOOL:
        return text == "t"
    if oid in (INT2, INT4):
        return int(text)
    if oid in (FLOAT4, FLOAT8):
        number = float(text)
        return number if math.isfinite(number) else text
    if oid in (JSON, JSONB):
        return json.loads(text)
    element = _element_types().get(oid)
    return text if element is None else _Array(text, element).read()


@cache
def _element_types() -> dict[int, int]:
    """Array type → element type, of the built-in types; an array of any other type stays text."""
    from psycopg.postgres import types

    comma = (known for known in types if known.array_oid and known.delimiter == ",")
    return {known.array_oid: known.oid for known in comma}


class _Array:
    """A reader of array literals: `{1,NULL,"a,b"}`, nested, with or without leading bounds."""

    def __init__(self, text: str, element: int) -> None:
        self._text = text.partition("=")[2] if text.startswith("[") else text
        self._at = 0
        self._type = element

    def read(self) -> list[Any]:
        found: list[Any] = []
        self._at += 1  # the opening brace
        while self._text[self._at] != "}":
            here = self._text[self._at]
            if here == "{":
                found.append(self.read())
            elif here == '"':
                found.append(value(self._quoted(), self._type))
            elif here == ",":
                self._at += 1
            else:
                bare = self._bare()
                found.append(None if bare == "NULL" else value(bare, self._type))
        self._at += 1
        return found

    def _quoted(self) -> str:
        letters: list[str] = []
        self._at += 1
        while (letter := self._text[self._at]) != '"':
            self._at += letter == "\\"
            letters.append(self._text[self._at])
            self._at += 1
        self._at += 1
        return "".join(letters)

    def _bare(self) -> str:
        start = self._at
        while self._text[self._at] not in ",}":
            self._at += 1
        return self._text[start : self._at]
