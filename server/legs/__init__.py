"""One file per vendor, three verbs each: make, find, remove."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from server.secrets import Secret
    from server.settings import LegName


@dataclass(frozen=True)
class Resources:
    """What a leg made or found: `env` for `/app/.env`, `reference` with the ids `remove` needs (no secret)."""

    env: dict[str, Secret] = field(default_factory=dict["str", "Secret"])
    reference: dict[str, str] = field(default_factory=dict[str, str])


class Leg(Protocol):
    """One vendor's part of a session. Every error is a `LegError`."""

    name: LegName

    async def make(self, app_id: str) -> Resources:
        """Make the resources named after `app_id`."""
        ...

    async def find(self, app_id: str) -> Resources | None:
        """Adopt what an interrupted `make` left, or None when the vendor surely has nothing by this name."""
        ...

    async def remove(self, app_id: str, reference: dict[str, str]) -> None:
        """Remove them. What is already gone is no error."""
        ...
