"""A session's events as a stream any view can join, leave and rejoin where it left."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from starlette.requests import Request

    from server.books.store import Event, Events

PING_SECONDS = 15.0  # proxies close a silent stream; this is well inside the usual limits

THE_END = "event: stream.end\ndata: {}\n\n"  # tells a story that is over from a connection that broke


def stream(request: Request, events: Events, slug: str) -> StreamingResponse:
    """Server-sent events after `Last-Event-ID`. Ends when nothing more is under way, unless `?follow=1`."""
    try:
        after = max(0, int(request.headers.get("last-event-id", "0")))
    except ValueError:
        after = 0
    follow = request.query_params.get("follow") == "1"
    return StreamingResponse(
        _lines(events, slug, after, follow=follow),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _lines(events: Events, slug: str, after: int, *, follow: bool) -> AsyncGenerator[str]:
    under_way = UnderWay()
    under_way.see(event for event in events.since(slug, 0) if event.seq <= after)
    yield "retry: 1000\n\n"
    batch = events.since(slug, after)
    while True:
        for event in batch:
            yield _line(event)
            after = event.seq
        under_way.see(batch)
        if not follow and not under_way:
            yield THE_END
            return
        batch = await events.wait(slug, after, PING_SECONDS)
        if not batch:
            yield ": ping\n\n"


def _line(event: Event) -> str:
    at = event.at.replace(tzinfo=UTC)  # SQLite gives back no zone; it was written in this one
    data = json.dumps({"at": at.isoformat(timespec="milliseconds"), **event.data}, ensure_ascii=False)
    return f"id: {event.seq}\nevent: {event.type}\ndata: {data}\n\n"


class UnderWay:
    """Whether a session, by its own story, still has something going on."""

    def __init__(self) -> None:
        self._open: set[str] = set()

    def see(self, events: Iterable[Event]) -> None:
        for event in events:
            match event.type:
                case "session.created" | "provisioning":
                    self._open.add("provisioning")
                case "provisioned" | "session.destroyed":
                    self._open.discard("provisioning")
                case "run.requested":
                    self._open.add(event.data["run"])
                case "run.finished":
                    self._open.discard(event.data.get("run", ""))
                case _:
                    pass

    @property
    def run(self) -> str | None:
        """The run that was asked for and has not finished."""
        return next((run for run in self._open if run != "provisioning"), None)

    def __bool__(self) -> bool:
        return bool(self._open)
