"""One file per vendor, three verbs each: make, find, remove; and a listing, for the reaper."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from server.secrets import Secret
    from server.settings import LegName


@dataclass(frozen=True)
class Intent:
    """What is about to be made, written down before anything is sent."""

    app_id: str
    attempt: int
    """Counts up over all a session's life; what an earlier attempt made may be replaced by a later one, never after."""
    life: int = 1
    """Counts how often the leg's resources were removed and begun anew."""
    look: bool = False
    """An earlier intent has no outcome: something may be there."""


@dataclass(frozen=True)
class Resources:
    """What a leg made or found: `env` for `/app/.env`, `reference` with the ids `remove` needs (no secret)."""

    env: dict[str, Secret] = field(default_factory=dict["str", "Secret"])
    reference: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Listed:
    """Something at a vendor that carries one of our names."""

    app_id: str
    reference: dict[str, str]
    """What `remove` takes to remove this one and nothing else."""
    made_at: datetime


class Leg(Protocol):
    """One vendor's part of a session. Every error is a `LegError`."""

    name: LegName

    async def make(self, intent: Intent) -> Resources:
        """Make the resources named after the app."""
        ...

    async def find(self, intent: Intent) -> Resources | None:
        """Adopt what an interrupted `make` left, or None when the vendor surely has nothing by this name."""
        ...

    async def remove(self, app_id: str, reference: dict[str, str]) -> None:
        """Remove exactly what the reference names; with an empty one, everything by this name. Gone is no error."""
        ...

    def listed(self) -> AsyncIterator[Listed]:
        """Everything that carries a name of ours, to the end. Raises `LegError` when the listing is incomplete."""
        ...
