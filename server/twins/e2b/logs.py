"""What happened in a sandbox, as E2B's log routes tell it: its life, its processes and what they print.

Kept in memory and only so much of it: a sandbox that floods its output pushes out its own oldest lines.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Level = Literal["debug", "info", "warn", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warn", "error")
KEPT = 1000
"""Entries of one sandbox."""

MESSAGE_LIMIT = 2000
"""Characters of one entry."""


@dataclass(frozen=True)
class Entry:
    at: datetime
    level: Level
    message: str
    fields: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def milliseconds(self) -> int:
        return int(self.at.timestamp() * 1000)

    def wire(self) -> dict[str, Any]:
        return {
            "timestamp": self.at.isoformat(),
            "level": self.level,
            "message": self.message,
            "fields": self.fields,
        }


class Log:
    """One sandbox's entries, oldest first."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)

    def add(self, level: Level, message: str, **fields: str) -> None:
        self._entries.append(Entry(datetime.now(UTC), level, message[:MESSAGE_LIMIT], fields))

    def output(self, level: Level, data: bytes, pid: int) -> None:
        text = data[:MESSAGE_LIMIT].decode(errors="replace").rstrip("\n")
        if text:
            self.add(level, text, pid=str(pid))

    def join(self, earlier: Log) -> Log:
        """`earlier`, with what came here since."""
        earlier._entries.extend(self._entries)
        return earlier

    def entries(self, *, least: Level = "debug", search: str = "") -> list[Entry]:
        found: Iterable[Entry] = self._entries
        return [
            entry for entry in found if LEVELS.index(entry.level) >= LEVELS.index(least) and search in entry.message
        ]
