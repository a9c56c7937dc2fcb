"""Whether a property fits a flag's filter, as the flags service and its SDKs' local evaluation decide it.

Sources: flags service `properties/property_matching.rs`, posthog (Python) 7.91 `feature_flags.py`, @posthog/core
`featureFlagLocalEvaluation`. All of them must agree, or a flag flickers between page and server.
"""

from __future__ import annotations

import json
import operator
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Doc = dict[str, Any]
Version = tuple[int, int, int]

TEXT_OPERATORS = ("icontains", "starts_with", "ends_with", "regex")
NUMERIC_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
DATE_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "is_date_before": operator.lt,
    "is_date_after": operator.gt,
    "is_date_exact": operator.eq,
}
VERSION_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "semver_eq": operator.eq,
    "semver_neq": operator.ne,
    **{f"semver_{name}": compare for name, compare in NUMERIC_OPERATORS.items()},
}
VERSION_RANGES = ("semver_tilde", "semver_caret", "semver_wildcard")
OPERATORS = (
    *("exact", "is_not", "is_set", "is_not_set"),
    *(name for text in TEXT_OPERATORS for name in (text, f"not_{text}")),
    *(*NUMERIC_OPERATORS, *DATE_OPERATORS, *VERSION_OPERATORS, *VERSION_RANGES),
)

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_RELATIVE = re.compile(r"-?([0-9]{1,4})([hdwmy])")
_VERSION_PART = re.compile(r"0|[1-9][0-9]*")
_ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def fits(condition: Doc, properties: Mapping[str, Any], now: datetime) -> bool:
    """Whether `properties` fit one filter: `{key, operator, value}`. What is not set fits only a negation."""
    key, name, wanted = str(condition.get("key")), condition.get("operator") or "exact", condition.get("value")
    if name in ("is_set", "is_not_set"):
        return (key in properties) == (name == "is_set")
    if key not in properties:
        return name == "is_not" or name.startswith("not_")
    found = properties[key]
    if name in ("exact", "is_not"):
        return _equal(wanted, found) == (name == "exact")
    if (positive := name.removeprefix("not_")) in TEXT_OPERATORS:
        matched = _text(positive, text_of(wanted), text_of(found))
        return matched is not None and matched == (positive == name)
    return _compared(name, wanted, found, now)


def text_of(value: Any) -> str:
    """As JSON writes it, without the quotes around a text."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _equal(wanted: Any, found: Any) -> bool:
    """Whatever says true or false is compared as that, in any spelling; all else as text in any case."""
    if _says_boolean(wanted):
        return _says_true(wanted) == _says_true(found)
    among = cast("list[Any]", wanted) if isinstance(wanted, list) else [wanted]
    return text_of(found).lower() in [text_of(each).lower() for each in among]


def _says_boolean(value: Any) -> bool:
    if isinstance(value, list):
        return all(_says_boolean(each) for each in cast("list[Any]", value))
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false"))


def _says_true(value: Any) -> bool:
    if isinstance(value, list):
        return all(_says_true(each) for each in cast("list[Any]", value))
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _text(name: str, wanted: str, found: str) -> bool | None:
    """None for a pattern that is none, which matches nothing and neither does its negation."""
    if name == "regex":
        try:
            return re.search(wanted, found) is not None
        except re.error:
            return None
    wanted, found = wanted.translate(_ASCII_LOWER), found.translate(_ASCII_LOWER)
    if name == "icontains":
        return wanted in found
    return found.startswith(wanted) if name == "starts_with" else found.endswith(wanted)


def _compared(name: str, wanted: Any, found: Any, now: datetime) -> bool:
    if compare := NUMERIC_OPERATORS.get(name):
        left, right = number_of(found), number_of(wanted)
        return left is not None and right is not None and compare(left, right)
    if compare := DATE_OPERATORS.get(name):
        happened, limit = date_of(found, now), date_of(wanted, now)
        return happened is not None and limit is not None and compare(happened, limit)
    version = _version(text_of(found))
    if version is None:
        return False
    if compare := VERSION_OPERATORS.get(name):
        other = _version(text_of(wanted))
        return other is not None and compare(version, other)
    bounds = _bounds(name, text_of(wanted))
    return bounds is not None and bounds[0] <= version < bounds[1]


def number_of(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    text = text_of(value)
    return float(text) if _NUMBER.fullmatch(text) else None


def date_of(value: Any, now: datetime) -> datetime | None:
    """A date, a Unix time in seconds, or so long ago: `-7d`."""
    if (seconds := number_of(value)) is not None:
        return datetime.fromtimestamp(seconds, UTC)
    text = text_of(value).strip()
    if ago := _RELATIVE.fullmatch(text):
        return _before(now, int(ago[1]), ago[2])
    try:
        found = datetime.fromisoformat(re.sub(r" ([+-]\d\d:\d\d)$", r"\1", text.removesuffix(" UTC")))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _before(now: datetime, count: int, unit: str) -> datetime:
    if unit in "hdw":
        return now - count * {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[unit]
    months = now.year * 12 + now.month - 1 - count * (12 if unit == "y" else 1)
    first = now.replace(year=max(1, months // 12), month=months % 12 + 1, day=1)
    last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(now.day, last.day))


def _version(text: str) -> Version | None:
    """Three numbers; what is missing is 0, what follows `-` or `+` does not count."""
    parts = re.split(r"[-+]", text.strip().lstrip("vV"))[0].split(".")
    if not parts[0] or not all(_VERSION_PART.fullmatch(part) for part in parts[:3] if part):
        return None
    major, minor, patch = [int(part or 0) for part in [*parts, "", ""][:3]]
    return major, minor, patch


def _bounds(name: str, text: str) -> tuple[Version, Version] | None:
    """The versions a range begins with, and ends before."""
    version = _version(text.replace("*", "").rstrip(".") if name == "semver_wildcard" else text)
    if version is None:
        return None
    major, minor, patch = version
    if name == "semver_tilde":
        return version, (major, minor + 1, 0)
    if name == "semver_caret":
        return version, (major + 1, 0, 0) if major else (0, minor + 1, 0) if minor else (0, 0, patch + 1)
    given = len([part for part in text.split(".") if part.strip("*vV ")])
    ends = {1: (major + 1, 0, 0), 2: (major, minor + 1, 0)}
    return version, ends.get(given, (major, minor, patch + 1))
