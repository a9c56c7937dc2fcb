"""Comparisons as HogQL means them: nothing equals nothing, what is missing differs from everything that is not,
and a text beside a time is a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.posthog.hogql.function import number, text, time
from server.twins.posthog.hogql.sql import NUMBERS, TIMES, Sql, built, listed

if TYPE_CHECKING:
    from collections.abc import Callable

_ORDERED = {"less": "<", "lessOrEquals": "<=", "greater": ">", "greaterOrEquals": ">="}
_PATTERNS = {
    "like": "coalesce(hog_like({}, {}, 0), 0)",
    "ilike": "coalesce(hog_like({}, {}, 1), 0)",
    "notLike": "(not coalesce(hog_like({}, {}, 0), 0))",
    "notILike": "(not coalesce(hog_like({}, {}, 1), 0))",
    "match": "coalesce(hog_match({}, {}, 0), 0)",
    "iMatch": "coalesce(hog_match({}, {}, 1), 0)",
    "notMatch": "(not coalesce(hog_match({}, {}, 0), 0))",
    "notIMatch": "(not coalesce(hog_match({}, {}, 1), 0))",
}


def compare(name: str, left: Sql, right: Sql) -> Sql | None:
    """None for what is no comparison."""
    if name in _PATTERNS:
        return built(_PATTERNS[name], left, right, type="Int", nullable=False)
    if name in ("equals", "notEquals"):
        left, right = _alike(left, right)
        if left.nullable or right.nullable:
            sign = "is" if name == "equals" else "is not"
        else:
            sign = "=" if name == "equals" else "<>"
        return built(f"({{}} {sign} {{}})", left, right, type="Int", nullable=False)
    if sign := _ORDERED.get(name):
        left, right = _alike(left, right)
        template = f"({{}} {sign} {{}})" if not (left.nullable or right.nullable) else f"coalesce({{}} {sign} {{}}, 0)"
        return built(template, left, right, type="Int", nullable=False)
    return None


def among(name: str, left: Sql, items: list[Sql]) -> Sql:
    """`in` and `notIn` a list."""
    pairs = [_alike(left, item) for item in items]
    if not pairs:
        return Sql("0" if name == "in" else "1", (), "Int", nullable=False)
    inside = listed([right for _, right in pairs])
    found = built("coalesce({} in ({}), 0)", pairs[0][0], inside, type="Int", nullable=False)
    return found if name == "in" else built("(not {})", found, type="Int", nullable=False)


def _alike(left: Sql, right: Sql) -> tuple[Sql, Sql]:
    """Both as what they are compared as."""
    types = {left.type, right.type}
    if types & {*TIMES}:
        return _time(left), _time(right)
    if types == {"Property", "Bool"}:
        return _spelled(left), _spelled(right)
    if "Property" in types:
        return _beside(left, right), _beside(right, left)
    return left, right


def _spelled(value: Sql) -> Sql:
    """A property that is true is kept as the word."""
    return Sql("?", ("true" if value.values[0] else "false",)) if value.constant else text(value)


def _time(value: Sql) -> Sql:
    return value if value.type in ("DateTime64", "DateTime") else time(value).of("DateTime64", nullable=value.nullable)


def _beside(value: Sql, other: Sql) -> Sql:
    """A property is JSON: a number beside a number, `true` beside true, and else a text."""
    as_a: Callable[[Sql], Sql] = number if other.type in NUMBERS else text
    if other.type == "Property" or value.type == "Any":
        return value
    return as_a(value) if value.type == "Property" or other.type != "Any" else value
