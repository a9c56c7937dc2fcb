"""What a vendor's client asks of a limit that all servers share. See `server.limits`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Turn:
    """A turn that was booked: a moment of the event loop's clock, and how far every turn had been put off by then."""

    at: float
    put_off: float = 0.0


class Turns(Protocol):
    """One vendor's turns."""

    async def take(self) -> None:
        """Wait for one's turn. Raises `LegError` when it does not come within the leg's time."""
        ...

    async def book(self, calls: int) -> list[Turn]:
        """So many turns, one right after the other, for `until`. Raises as `take` does."""
        ...

    async def until(self, turn: Turn) -> None:
        """Wait for a turn that was booked. Raises as `take` does, should the vendor meanwhile put it off."""
        ...

    async def hold(self, seconds: float) -> None:
        """The vendor asked for quiet: nobody's turn comes before this has passed."""
        ...
