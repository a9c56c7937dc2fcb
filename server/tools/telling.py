"""A session's story as an MCP caller hears it while it waits: one line for each service, and who waits for what."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp.server.mcpserver import Context

    from server.books.store import Event
    from server.workbench import Workbench

LISTEN_SECONDS = 5.0
A_LITTLE = 0.01  # the protocol wants every notification to be further on, and who waits in line is not


@asynccontextmanager
async def telling(ctx: Context[Any, Any], bench: Workbench, slug: str, *, newest: bool = False) -> AsyncGenerator[None]:
    """Meanwhile tell the caller, if it asked to be told, as each service comes on.

    `newest`: from the beginning of the session's newest round; else what happens from now on.
    """
    if (ctx.request_context.meta or {}).get("progress_token") is None:
        yield
        return
    seen, story = 0 if newest else bench.events.last(slug), Progress()

    async def tell(events: list[Event]) -> None:
        nonlocal seen
        for event in events if seen else newest_round(events):
            seen = event.seq
            if said := story.told(event):
                await ctx.report_progress(*said)

    async def listen() -> None:
        while True:
            await tell(await bench.events.wait(slug, seen, LISTEN_SECONDS))

    listening = asyncio.create_task(listen())
    try:
        yield
    finally:
        listening.cancel()
    await tell(bench.events.since(slug, seen))


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
        case "vm.lost":
            return "the VM was gone for good: another is made from the repository"
        case "leg.finished":
            return f"{data['leg']}: {data['outcome']}"
        case _:
            return None
