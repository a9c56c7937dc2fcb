"""What a server wrote down of its sessions, read from its own database file."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from server.local.home import Home


@dataclass(frozen=True)
class Told:
    """One session's story as the server wrote it down; moments in seconds since 1970."""

    legs: dict[str, float]
    """Milliseconds each leg took."""
    last_leg_at: float
    provisioned_at: float


def told_of(home: Home, slugs: Collection[str]) -> list[Told]:
    """What became of these sessions, from the server's own book."""
    with closing(sqlite3.connect(home.database)) as book:
        return [_told(book, slug) for slug in slugs]


def _told(book: sqlite3.Connection, slug: str) -> Told:
    rows = book.execute("SELECT type, at, data FROM events WHERE slug = ? ORDER BY seq", (slug,)).fetchall()
    legs = [(at, json.loads(data)) for kind, at, data in rows if kind == "leg.finished"]
    [ended] = [_moment(at) for kind, at, _ in rows if kind == "provisioned"]
    return Told({leg["leg"]: leg["ms"] for _, leg in legs}, max(_moment(at) for at, _ in legs), ended)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
