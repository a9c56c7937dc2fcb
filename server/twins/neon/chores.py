"""Work done behind the requests."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import psycopg

from server.twins.neon.pool import PoolBusy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)
RETRY_SECONDS = 5.0


class Chore:
    """Done once at the start, whenever it is woken, every so many seconds if told so, and again when it fails."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], *, every: float | None = None) -> None:
        self._name = name
        self._work = work
        self._every = every
        self._due = asyncio.Event()

    def wake(self) -> None:
        self._due.set()

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            self._due.clear()
            try:
                await self._work()
            except (psycopg.Error, PoolBusy, OSError) as error:
                log.warning("%s failed (%s), again soon", self._name, type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            try:
                await asyncio.wait_for(self._due.wait(), self._every)
            except TimeoutError:
                continue
