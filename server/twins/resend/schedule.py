"""When a `scheduled_at` means: ISO 8601, or the phrases Resend's docs show.

`in 1 min`, `in an hour`, `tomorrow at 9am`, `Friday at 3pm ET`, `next monday 10:00` (Resend docs, "Schedule email";
changelog, "Schedule API with natural language" and "Extended email scheduling": at most 30 days ahead). Without a
time zone a phrase is UTC; a day without a time is its noon.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.twins.resend import errors

FURTHEST = timedelta(days=30)
NOON = time(12)

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_ZONES = {"et": "America/New_York", "ct": "America/Chicago", "mt": "America/Denver", "pt": "America/Los_Angeles"}
_NAMED_TIMES = {"noon": NOON, "midnight": time(0), "morning": time(9), "afternoon": time(15), "evening": time(18)}

_AHEAD = re.compile(
    r"in (?P<count>\d{1,18}|an?|one) "
    r"(?P<unit>s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?|w(?:eeks?)?)"
)
_PHRASE = re.compile(
    r"(?:(?P<day>today|tomorrow|(?:this |next )?(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?)\b,?)?"
    r"(?:\s*(?:at |in the |@ ?)?(?P<time>\d{1,2}(?::\d{2})?\s?(?:am|pm)?|noon|midnight|morning|afternoon|evening)\b)?"
    r"(?:\s+(?P<zone>utc|gmt|[ecmp][sd]?t))?"
)


def when(text: str, now: datetime) -> datetime:
    """Raises Resend's validation error for what is not a time, is past, or is too far ahead."""
    found = _iso(text) or _ahead(text.strip().lower(), now) or _phrase(text.strip().lower(), now)
    if found is None:
        raise errors.invalid(
            "The `scheduled_at` field must be an ISO 8601 date (2026-01-31T09:30:00.000Z) or a phrase like `in 1 hour`."
        )
    if found < now:
        raise errors.invalid("The `scheduled_at` field must be in the future.")
    if found > now + FURTHEST:
        raise errors.invalid("The `scheduled_at` field must be within 30 days from now.")
    return found.astimezone(UTC)


def _iso(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _ahead(text: str, now: datetime) -> datetime | None:
    match = _AHEAD.fullmatch(text)
    if match is None:
        return None
    one = timedelta(**{_UNITS[match["unit"][0]]: 1})
    count = int(match["count"]) if match["count"].isdecimal() else 1
    # One more than the furthest is too far already, and a vast number would not fit a date.
    return now + min(count, FURTHEST // one + 1) * one


def _phrase(text: str, now: datetime) -> datetime | None:
    match = _PHRASE.fullmatch(text)
    if match is None or not (match["day"] or match["time"]):
        return None
    zone = _zone(match["zone"])
    at = _time(match["time"])
    if zone is None or at is None:
        return None
    here = now.astimezone(zone)
    found = datetime.combine(here.date(), at, zone)
    day = match["day"] or ""
    if day == "tomorrow":
        return found + timedelta(days=1)
    if day in ("", "today"):
        return found if found >= here or day else found + timedelta(days=1)
    wanted = next(index for index, name in enumerate(_DAYS) if name.startswith(day.split()[-1][:3]))
    found += timedelta(days=(wanted - here.weekday()) % 7)
    return found if found >= here else found + timedelta(days=7)


def _zone(name: str | None) -> ZoneInfo | None:
    letters = (name or "utc").replace("st", "t").replace("dt", "t")
    try:
        return ZoneInfo(_ZONES.get(letters, "UTC"))
    except ZoneInfoNotFoundError:  # this machine has no time zones
        return None


def _time(text: str | None) -> time | None:
    if text is None:
        return NOON
    if text in _NAMED_TIMES:
        return _NAMED_TIMES[text]
    hours, _, minutes = text.rstrip("apm ").partition(":")
    hour, minute = int(hours), int(minutes or 0)
    if text.endswith("m"):
        if not 1 <= hour <= 12:  # noqa: PLR2004 - a clock's face
            return None
        hour = hour % 12 + (12 if text.endswith("pm") else 0)
    return time(hour, minute) if hour < 24 and minute < 60 else None  # noqa: PLR2004 - a day's hours
