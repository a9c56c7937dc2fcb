"""What the twin does unasked: scheduled mail, broadcasts, webhooks, DNS checks, tidying.

Each chore looks at the site's clock and at the records only, so that what was due while the twin was down is done when
it is up again.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    Chore = Callable[[], Awaitable[None]]

PACE = 1.0
"""Seconds between two rounds when nothing wakes them earlier."""
TIDY_EVERY = 60
"""Rounds between two tidyings."""

log = logging.getLogger(__name__)


class Chores:
    def __init__(self) -> None:
        self._due: Sequence[Chore] = ()
        self._tidy: Sequence[Chore] = ()
        self._woken = asyncio.Event()
        self._busy = asyncio.Lock()

    def give(self, due: Sequence[Chore], tidy: Sequence[Chore]) -> None:
        self._due, self._tidy = due, tidy

    def wake(self) -> None:
        """There is something to do now."""
        self._woken.set()

    def resting(self) -> asyncio.Lock:
        """Held, while nothing is to be done."""
        return self._busy

    async def round(self, *, tidy: bool = False) -> None:
        """Everything that is due, once. One chore's failure keeps no other from being done."""
        async with self._busy:
            for chore in (*self._due, *(self._tidy if tidy else ())):
                try:
                    await chore()
                except Exception:
                    log.exception("a chore of the Resend twin failed")

    @asynccontextmanager
    async def running(self, _app: Any) -> AsyncGenerator[None]:
        running = asyncio.create_task(self._run())
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def _run(self) -> None:
        rounds = 0
        while True:
            await self.round(tidy=rounds % TIDY_EVERY == 0)
            rounds += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(PACE):
                    await self._woken.wait()
            self._woken.clear()
