"""Admission control: no more sessions are provisioned at once than a server can serve, in the order asked."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from server.books.store import Events


class Admission:
    """This server's room for sessions. More of them than that, and all would run out of time."""

    def __init__(self, events: Events, at_once: int) -> None:
        self._events = events
        self._room = asyncio.Semaphore(at_once)
        self._waiting = 0

    @asynccontextmanager
    async def admitted(self, slug: str, *, in_use: bool) -> AsyncGenerator[None]:
        """Inside once there is room; who has to wait is told. A session in use stands in no line."""
        if in_use:
            yield
            return
        if self._room.locked():
            with suppress(SQLAlchemyError):  # it is only told
                self._events.append(slug, "queued", {"place": self._waiting + 1})
        self._waiting += 1
        try:
            await self._room.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._room.release()
