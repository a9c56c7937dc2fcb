"""ClickHouse's functions of time for SQLite. Times are text that sorts as time does:
`2026-11-23 07:22:05.123456`, always UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_FIXED = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_FORMATS = {
    "%i": "%M",
    "%h": "%I",
    "%R": "%H:%M",
    "%T": "%H:%M:%S",
    "%D": "%m/%d/%y",
    "%F": "%Y-%m-%d",
    "%M": "%B",
    "%s": "%S",
}
_FIRST = datetime(1970, 1, 1)  # noqa: DTZ001 - all times here are UTC


def time_functions(now: datetime) -> dict[str, Callable[..., Any]]:
    second = now.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    return {
        "hog_now": lambda: _written(second),
        "hog_time": _time,
        "hog_start": _start,
        "hog_add": _add,
        "hog_diff": _diff,
        "hog_part": _part,
        "hog_unix": _unix,
        "hog_from_unix": _time,
        "hog_format": _format,
    }


def _read(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def _written(instant: datetime) -> str:
    return instant.isoformat(" ", timespec="microseconds")


def _time(value: Any) -> str | None:
    """Whatever may be meant as a time, in the one form that sorts."""
    if value is None:
        return None
    if isinstance(value, (int, float)):
        return _written(_FIRST + timedelta(seconds=value))
    try:
        return _written(_read(value))
    except ValueError:
        return None


def _unix(text: str | None) -> int | None:
    return None if text is None else int((_read(text) - _FIRST).total_seconds())


def _start(unit: str, text: str | None, count: int = 1, mode: int = 0) -> str | None:
    """When the minute, hour, day ... began; a week begins on Sunday, or on Monday in mode 1."""
    if text is None:
        return None
    instant = _read(text)
    if unit == "week":
        day = instant.replace(hour=0, minute=0, second=0, microsecond=0)
        return _written(day - timedelta(days=day.weekday() if mode % 2 else day.isoweekday() % 7))
    if unit in _FIXED:
        length = timedelta(seconds=_FIXED[unit] * count)
        return _written(_FIRST + (instant - _FIRST) // length * length)
    step = _MONTHS[unit] * count
    months = (instant.year * 12 + instant.month - 1) // step * step
    return _written(datetime(months // 12, months % 12 + 1, 1))  # noqa: DTZ001 - UTC


def _add(text: str | None, count: float | None, unit: str) -> str | None:
    if text is None or count is None:
        return None
    instant = _read(text)
    if unit in _FIXED:
        return _written(instant + timedelta(seconds=_FIXED[unit] * count))
    months = instant.year * 12 + instant.month - 1 + _MONTHS[unit] * int(count)
    first = instant.replace(year=months // 12, month=months % 12 + 1, day=1)
    last = ((first + timedelta(days=31)).replace(day=1) - timedelta(days=1)).day
    return _written(first.replace(day=min(instant.day, last)))


def _diff(unit: str, begin: str | None, end: str | None) -> int | None:
    """How many times the unit's border lies between them."""
    if begin is None or end is None:
        return None
    if unit in _FIXED:
        first, last = _read(cast("str", _start(unit, begin, 1, 1))), _read(cast("str", _start(unit, end, 1, 1)))
        return round((last - first).total_seconds() / _FIXED[unit])
    one, other = _read(begin), _read(end)
    step = _MONTHS[unit]
    return (other.year * 12 + other.month - 1) // step - (one.year * 12 + one.month - 1) // step


def _part(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    instant = _read(text)
    special = {
        "isoweekday": instant.isoweekday(),
        "yday": instant.timetuple().tm_yday,
        "yyyymm": instant.year * 100 + instant.month,
    }
    special |= {
        "quarter": (instant.month + 2) // 3,
        "yyyymmdd": (instant.year * 100 + instant.month) * 100 + instant.day,
    }
    return special[name] if name in special else getattr(instant, name)


def _format(text: str | None, pattern: str) -> str | None:
    if text is None:
        return None
    return _read(text).strftime(re.sub("%.", lambda found: _FORMATS.get(found[0], found[0]), pattern))
