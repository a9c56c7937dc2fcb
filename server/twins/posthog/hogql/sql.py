"""A piece of SQLite's SQL, the values bound in it, and what ClickHouse would say its type is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Type = Literal[
    "String",
    "Bool",
    "Int",
    "UInt",
    "Float",
    "DateTime64",
    "DateTime",
    "Date",
    "Property",
    "Properties",
    "Array",
    "Row",
    "Interval",
    "Any",
]

NAMES: dict[Type, str] = {
    "String": "String",
    "Bool": "Bool",
    "Int": "Int64",
    "UInt": "UInt64",
    "Float": "Float64",
    "DateTime64": "DateTime64(6, 'UTC')",
    "DateTime": "DateTime('UTC')",
    "Date": "Date",
    "Property": "Nullable(String)",
    "Properties": "String",
    "Array": "Array(String)",
    "Row": "Tuple",
    "Interval": "IntervalDay",
    "Any": "Nullable(String)",
}
TIMES = ("DateTime64", "DateTime", "Date")
NUMBERS = ("Bool", "Int", "UInt", "Float")


@dataclass(frozen=True)
class Sql:
    text: str
    values: tuple[Any, ...] = ()
    type: Type = "Any"
    nullable: bool = True
    constant: bool = False
    """Whether it is a literal; `values[0]` is what it says."""

    def of(self, type: Type, *, nullable: bool | None = None) -> Sql:  # noqa: A002 - it is one
        return Sql(self.text, self.values, type, self.nullable if nullable is None else nullable)


def built(template: str, *parts: Sql, type: Type = "Any", nullable: bool = True) -> Sql:  # noqa: A002 - it is one
    """`template` with a `{}` for each part, whose values are bound in the same order."""
    values = tuple(value for part in parts for value in part.values)
    return Sql(template.format(*(part.text for part in parts)), values, type, nullable)


def listed(parts: list[Sql]) -> Sql:
    return Sql(", ".join(part.text for part in parts), tuple(value for part in parts for value in part.values))


def bound(value: Any) -> Sql:
    """A constant. True and false are numbers to ClickHouse and to SQLite."""
    if isinstance(value, bool):
        return Sql("?", (int(value),), "Bool", nullable=False, constant=True)
    kind: Type = "Int" if isinstance(value, int) else "Float" if isinstance(value, float) else "String"
    return Sql("?", (value,), "Any" if value is None else kind, nullable=value is None, constant=True)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
