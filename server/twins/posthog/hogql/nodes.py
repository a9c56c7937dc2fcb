"""What a HogQL query is made of. Operators are calls, as they are to ClickHouse: `a = b` is `equals(a, b)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = str | int | float | bool | None


class HogQLError(Exception):
    """What is wrong with a query, in a sentence for whoever wrote it."""


@dataclass(frozen=True)
class Literal:
    value: Value


@dataclass(frozen=True)
class Field:
    """`properties.$browser` is `("properties", "$browser")`."""

    chain: tuple[str, ...]


@dataclass(frozen=True)
class Star:
    table: str = ""


@dataclass(frozen=True)
class Items:
    """An array or a tuple; they differ in how they print."""

    items: tuple[Expression, ...]
    brackets: str = "()"


@dataclass(frozen=True)
class Call:
    name: str
    args: tuple[Expression, ...]
    parameters: tuple[Expression, ...] = ()
    """Of a parametric aggregate: `quantile(0.9)(duration)`."""
    distinct: bool = False


@dataclass(frozen=True)
class Alias:
    expression: Expression
    name: str


@dataclass(frozen=True)
class Order:
    expression: Expression
    descending: bool = False


@dataclass(frozen=True)
class Table:
    name: str
    alias: str = ""


@dataclass(frozen=True)
class Subquery:
    query: Query
    alias: str = ""


@dataclass(frozen=True)
class Join:
    left: Source
    right: Source
    kind: str
    on: Expression


@dataclass(frozen=True)
class Select:
    columns: tuple[Expression, ...]
    source: Source | None = None
    distinct: bool = False
    where: Expression | None = None
    group_by: tuple[Expression, ...] = ()
    having: Expression | None = None
    order_by: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int | None = None


@dataclass(frozen=True)
class UnionAll:
    """`UNION ALL` of queries with as many columns each."""

    selects: tuple[Select, ...]


Query: TypeAlias = "Select | UnionAll"
Source: TypeAlias = "Table | Subquery | Join"
Expression: TypeAlias = "Literal | Field | Star | Items | Call | Alias | Subquery"
