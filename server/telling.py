"""A session's story as an MCP caller hears it while it waits: one line for each service, and who waits for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.books.store import Event

A_LITTLE = 0.01  # the protocol wants every notification to be further on, and who waits in line is not


class Progress:
    """How far a round is: its services, as they get their outcomes. (MCP, "Progress": the value must increase.)"""

    def __init__(self) -> None:
        self._legs = 0
        self._done = 0
        self._last = 0.0

    def told(self, event: Event) -> tuple[float, float | None, str] | None:
        """The progress, the total and the words; None for an event that is not told."""
        if event.type == "provisioning":
            self._legs, self._done = len(event.data["legs"]), 0
        self._done += event.type == "leg.finished"
        if (said := _said(event)) is None:
            return None
        self._last = max(float(self._done), self._last + A_LITTLE)
        return self._last, self._legs or None, said


def newest_round(story: list[Event]) -> list[Event]:
    """What belongs to the session's newest round: who asks now need not hear of those before."""
    begins = [place for place, event in enumerate(story) if event.type == "provisioning"]
    return story[begins[-1] :] if begins else story


def _said(event: Event) -> str | None:
    data = event.data
    match event.type:
        case "queued":
            return f"many ask at once: number {data['place']} in line"
        case "leg.queued":
            return f"{data['leg']}: its turn comes in {data['seconds']} s"
        case "leg.finished":
            return f"{data['leg']}: {data['outcome']}"
        case _:
            return None
