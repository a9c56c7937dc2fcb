"""What ClickHouse's functions do, given to SQLite: times, patterns, arrays and medians."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from server.twins.posthog.hogql.clock import time_functions

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from datetime import datetime


def equip(connection: sqlite3.Connection, now: datetime) -> None:
    """Every function and aggregate a translated query may call."""
    scalars: dict[str, Callable[..., Any]] = {
        **time_functions(now),
        "hog_number": _number,
        "hog_like": _like,
        "hog_match": _match,
        "hog_extract": _extract,
        "hog_replace_regexp": _replace_regexp,
        "hog_split": _split,
        "hog_starts": _starts,
        "hog_ends": _ends,
        "hog_divide": _divide,
        "hog_concat": _concat,
    }
    for name, function in scalars.items():
        connection.create_function(name, -1, function)
    for name, aggregate in (("hog_quantile", _Quantile), ("hog_array", _Array), ("hog_arg", _Arg)):
        connection.create_aggregate(name, -1, aggregate)  # pyright: ignore[reportArgumentType] - typed for one arity


def _number(value: Any) -> float | None:
    try:
        return None if value is None else value if isinstance(value, (int, float)) else float(value)
    except ValueError:
        return None


def _split(by: str, text: str | None) -> str | None:
    return None if text is None else json.dumps(text.split(by) if by else [*text])


def _starts(text: str | None, start: str) -> int | None:
    return None if text is None else int(text.startswith(start))


def _ends(text: str | None, end: str) -> int | None:
    return None if text is None else int(text.endswith(end))


def _divide(a: float | None, b: float | None) -> float | None:
    return None if a is None or not b else a / b


def _concat(*parts: Any) -> str | None:
    return None if None in parts else "".join(map(str, parts))


@lru_cache(maxsize=256)
def _pattern(pattern: str, *, like: bool, any_case: bool) -> re.Pattern[str]:
    flags = re.DOTALL | (re.IGNORECASE if any_case else 0)
    if not like:
        return re.compile(pattern, flags)
    parts: list[str] = re.findall(r"\\.|.", pattern, re.DOTALL)
    meant = {"%": ".*", "_": "."}
    return re.compile("".join(meant.get(each, re.escape(each.removeprefix("\\"))) for each in parts), flags)


def _like(value: Any, pattern: str | None, any_case: int) -> int | None:
    if value is None or pattern is None:
        return None
    return int(_pattern(pattern, like=True, any_case=bool(any_case)).fullmatch(str(value)) is not None)


def _match(value: Any, pattern: str | None, any_case: int) -> int | None:
    if value is None or pattern is None:
        return None
    return int(_pattern(pattern, like=False, any_case=bool(any_case)).search(str(value)) is not None)


def _extract(value: Any, pattern: str) -> str:
    found = _pattern(pattern, like=False, any_case=False).search(str(value or ""))
    return (found[1] if found.re.groups else found[0]) or "" if found else ""


def _replace_regexp(value: Any, pattern: str, by: str) -> str | None:
    return None if value is None else _pattern(pattern, like=False, any_case=False).sub(by, str(value))


class _Quantile:
    """Interpolated between the two nearest values."""

    def __init__(self) -> None:
        self._level, self._values = 0.5, list[float]()

    def step(self, level: float, value: float | None) -> None:
        self._level = level
        if value is not None:
            self._values.append(value)

    def finalize(self) -> float | None:
        if len(self._values) < 2:  # noqa: PLR2004 - nothing to interpolate between
            return self._values[0] if self._values else None
        if self._level in (0, 1):
            return max(self._values) if self._level else min(self._values)
        place = self._level * 1000
        return quantiles(self._values, n=1000, method="inclusive")[round(place) - 1]


class _Array:
    """`groupArray`, and with `distinct` `groupUniqArray`."""

    def __init__(self) -> None:
        self._items: list[Any] = []

    def step(self, value: Any, *_: Any) -> None:
        if value is not None:
            self._items.append(value)

    def finalize(self) -> str:
        return json.dumps(self._items)


class _Arg:
    """`argMin` and `argMax`: the one value where the other is least or greatest."""

    def __init__(self) -> None:
        self._found: tuple[Any, Any] | None = None

    def step(self, sign: int, value: Any, by: Any) -> None:
        if by is None:
            return
        if self._found is None or (by > self._found[1] if sign > 0 else by < self._found[1]):
            self._found = (value, by)

    def finalize(self) -> Any:
        return self._found[0] if self._found else None
