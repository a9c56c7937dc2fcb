"""A session's story as an MCP caller hears it while it waits: one line for each service, and who waits for what."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from mcp.server.mcpserver import Context

    from server.books.store import Event, Events
    from server.workbench import Workbench

LISTEN_SECONDS, LAST_WORDS_SECONDS = 5.0, 2.0
BEGINS = {"provisioning", "vm.lost"}  # a round for some services, or for another VM
A_LITTLE = 0.01  # the protocol wants every notification to be further on, and who waits in line is not


@asynccontextmanager
async def telling(ctx: Context[Any, Any], bench: Workbench, slug: str, *, newest: bool = False) -> AsyncGenerator[None]:
    """Meanwhile tell the caller, if it asked to be told, as each service comes on.

    `newest`: from the beginning of the session's newest round; else what happens from now on.
    """
    if (ctx.request_context.meta or {}).get("progress_token") is None:
        yield
        return
    story = _Story(bench.events, slug, after=0 if newest else bench.events.last(slug))
    listening, telling = asyncio.create_task(story.listen()), asyncio.create_task(story.tell(ctx.report_progress))
    try:
        yield
        listening.cancel()
        try:  # what was done is done, whether or not the last of it can be told
            story.end()
            await asyncio.wait_for(telling, LAST_WORDS_SECONDS)
        except Exception as error:  # noqa: BLE001 - a caller that hung up, or books that are away
            logging.getLogger("mk0r").warning("a caller was not told the last of %s: %s", slug, type(error).__name__)
    finally:
        listening.cancel()
        telling.cancel()
        await asyncio.gather(listening, telling, return_exceptions=True)


class _Story:
    """A session's events on their way to one caller. Whoever listens may be stopped at any moment, and none is lost."""

    def __init__(self, events: Events, slug: str, *, after: int) -> None:
        self._events = events
        self._slug = slug
        self._seen = after
        self._heard = asyncio.Queue["Event | None"]()

    async def listen(self) -> None:
        while True:
            self._hear(await self._events.wait(self._slug, self._seen, LISTEN_SECONDS))

    def end(self) -> None:
        """What has happened until now is all there is to tell."""
        self._hear(self._events.since(self._slug, self._seen))
        self._heard.put_nowait(None)

    def _hear(self, events: list[Event]) -> None:
        for event in events if self._seen else newest_round(events):
            self._seen = event.seq
            self._heard.put_nowait(event)

    async def tell(self, report: Callable[[float, float | None, str | None], Awaitable[None]]) -> None:
        progress = Progress()
        while event := await self._heard.get():
            if said := progress.told(event):
                await report(*said)


class Progress:
    """How far a round is: its services, as they get their outcomes. (MCP, "Progress": the value must increase.)"""

    def __init__(self) -> None:
        self._legs = 0
        self._done = 0
        self._last = 0.0

    def told(self, event: Event) -> tuple[float, float | None, str] | None:
        """The progress, the total and the words; None for an event that is not told."""
        if event.type in BEGINS:
            self._legs, self._done = len(event.data.get("legs", ["vm"])), 0
        self._done += event.type == "leg.finished"
        if (said := _said(event)) is None:
            return None
        self._last = max(float(self._done), self._last + A_LITTLE)
        return self._last, max(self._legs, self._done) or None, said


def newest_round(story: list[Event]) -> list[Event]:
    """What belongs to the session's newest round: who asks now need not hear of those before."""
    begins = [place for place, event in enumerate(story) if event.type in BEGINS]
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
