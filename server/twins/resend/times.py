"""Moments as Resend writes them: its database's form in resources, ISO 8601 in events and signed links."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(moment: datetime) -> str:
    """`2026-01-31 09:30:00.123456+00`, as resources carry it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") + "+00"


def iso(moment: datetime) -> str:
    """`2026-01-31T09:30:00.123Z`, as webhook events, usage and expiry dates carry it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read(text: str) -> datetime:
    """What `stamp` or `iso` wrote."""
    return datetime.fromisoformat(text)
