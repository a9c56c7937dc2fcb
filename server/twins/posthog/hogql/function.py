"""What a function of HogQL is to SQLite, and how its arguments are made into what it works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.twins.posthog.hogql.sql import NUMBERS, Sql, built

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.twins.posthog.hogql.sql import Type

ANY_NUMBER = 99


@dataclass(frozen=True)
class Function:
    """How many arguments it takes, and what it is in SQL."""

    least: int
    most: int
    render: Callable[[list[Sql]], Sql]


def as_is(value: Sql) -> Sql:
    return value


def number(value: Sql) -> Sql:
    """As a number, where what is kept may be a text that looks like one."""
    return value if value.type in NUMBERS else built("hog_number({})", value, type="Float")


def time(value: Sql) -> Sql:
    return value if value.type in ("DateTime64", "DateTime") else built("hog_time({})", value, type="DateTime64")


def text(value: Sql) -> Sql:
    if value.type == "String":
        return value
    return built("cast({} as text)", value, type="String", nullable=value.nullable)


def plain(template: str, kind: Type, count: int = 1, prepare: Callable[[Sql], Sql] = as_is) -> Function:
    """One with `count` arguments, each prepared the same way."""
    return Function(count, count, lambda args: built(template, *map(prepare, args), type=kind))
