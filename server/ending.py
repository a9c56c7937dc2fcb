"""The end of a session: everything it has is removed, and nothing is made after that was asked for."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from server.books.database import writing
from server.books.turns import forget_line
from server.crash import nowhere
from server.errors import LegError
from server.legs.deadline import within
from server.settings import LEGS, VENDOR_OF, LegName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.books.books import Books
    from server.books.record import Session
    from server.crash import Crash
    from server.legs import Leg as VendorLeg

RECOVER_SECONDS = 60.0
AT_ONCE = 8
BROKEN_OFF = timedelta(minutes=5)  # whoever began to remove it surely does so no more


class Ending:
    """Removes sessions. May be asked for twice, and goes on where it broke off."""

    def __init__(
        self,
        books: Books,
        legs: Mapping[LegName, VendorLeg],
        *,
        budget_seconds: float,
        queue_seconds: float = 0.0,
        at: Crash = nowhere,
    ) -> None:
        self._books = books
        self._sessions = books.sessions
        self._legs = legs
        self._budget_seconds = budget_seconds
        self._queue_seconds = queue_seconds
        self._at = at

    async def destroy(self, slug: str) -> None:
        """Remove everything the session has. Raises the first `LegError` after trying every leg."""
        self._sessions.end(slug)
        self._at("end.asked")
        session = self._sessions.by_slug(slug)
        removals = [self._remove(session, name) for name in reversed(LEGS)]
        failures = [error for error in await asyncio.gather(*removals, return_exceptions=True) if error]
        if failures:
            raise failures[0]
        self._at("end.removed")
        with writing(self._books.engine) as connection:
            if self._sessions.destroyed(connection, slug):
                self._books.vault.forget_within(connection, slug)
                self._books.trajectories.forget_within(connection, slug)
                forget_line(connection, slug)
                self._books.events.append_within(connection, slug, "session.destroyed", {})
        self._books.events.wake(slug)

    async def keep_recovering(self) -> None:
        """Go on with the ends that broke off: all of them at start-up, and those of long ago once a minute for ever."""
        await self.recover(broken_off_for=timedelta(0))
        while True:
            await asyncio.sleep(RECOVER_SECONDS)
            await self.recover()

    async def recover(self, *, broken_off_for: timedelta = BROKEN_OFF) -> None:
        """Go on with the ends that broke off so long ago, a few at a time: a vendor that hangs holds up few others."""
        room = asyncio.Semaphore(AT_ONCE)

        async def go_on(slug: str) -> None:
            async with room:
                try:
                    await self.destroy(slug)
                except LegError as error:
                    logging.getLogger("mk0r").warning("%s could not be removed whole: %s", slug, error.message)

        async with asyncio.TaskGroup() as ends:
            for slug in self._sessions.ending(before=datetime.now(UTC) - broken_off_for):
                ends.create_task(go_on(slug))

    async def _remove(self, session: Session, name: LegName) -> None:
        attempts = self._books.rounds.attempts(session.slug, name)
        if attempts is None:
            return
        reference = session.leg(name).reference
        self._at(f"{name}.removing")
        try:
            async with within(self._budget_seconds, queue_seconds=self._queue_seconds):
                if reference:
                    await self._legs[name].remove(session.app_id, reference)
                if attempts != 1 or not reference:
                    # What was tried more than once may be there more than once.
                    await self._legs[name].remove(session.app_id, {})
        except TimeoutError:
            raise LegError(
                f"{VENDOR_OF[name]} took too long to remove what it has of this session.",
                code="timed_out",
                next_action="Destroy the session again in a minute.",
                retryable=True,
            ) from None
        self._at(f"{name}.removed")
        self._books.rounds.forget(session.slug, name)
