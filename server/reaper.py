"""The reaper: finds what no record claims any more and sessions nobody uses, and removes them when told to.

It touches nothing it cannot prove is ours: a name of our form is not enough, our own books must know the session.
Another installation on the same account has sessions of its own, and keeps them.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Literal

from server.errors import LegError, UnknownSession
from server.legs import refusals
from server.legs.deadline import within
from server.settings import VENDOR_OF

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from server.books.books import Books
    from server.books.record import Session
    from server.ending import Ending
    from server.legs import Leg, Listed
    from server.settings import LegName

REMOVAL_SECONDS = 60.0
LISTING_SECONDS = 1800.0
"""Of one vendor. At two requests a second and a hundred things a page that is 300,000 of them."""
Standing = Literal["claimed", "orphan", "young", "unrecorded"]


@dataclass(frozen=True)
class Orphan:
    """Something at a vendor that is ours and that nothing needs."""

    leg: LegName
    listed: Listed


@dataclass
class Sweep:
    """What one sweep saw and did. Without `apply` it did nothing."""

    seen: int = 0
    orphans: list[Orphan] = field(default_factory=list[Orphan])
    abandoned: list[str] = field(default_factory=list[str])
    """Slugs of sessions whose time to live is over."""
    young: int = 0
    """Orphans so new that whoever made them may still be at it."""
    unrecorded: list[str] = field(default_factory=list[str])
    """Names of our form of which our books know nothing. Never touched."""
    removed: int = 0
    ended: int = 0
    failed: list[str] = field(default_factory=list[str])
    left: int = 0
    """What the cap left for the next sweep."""


class Reaper:
    """`grace`: nothing younger is removed. `cap`: at most so many removals a sweep. `ttl` None: sessions stay."""

    def __init__(
        self,
        books: Books,
        legs: Mapping[LegName, Leg],
        ending: Ending,
        *,
        grace: timedelta,
        cap: int,
        ttl: timedelta | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._books = books
        self._legs = legs
        self._ending = ending
        self._grace = grace
        self._cap = cap
        self._ttl = ttl
        self._clock = clock

    async def keep_sweeping(self, every: timedelta) -> None:
        """Sweep and remove, again and again, until cancelled. A listing with a hole is waited out."""
        while True:
            await asyncio.sleep(every.total_seconds())
            try:
                done = await self.sweep(apply=True)
            except LegError as error:
                logging.getLogger("mk0r").warning("[reaper] removed nothing: %s", error.message)
            else:
                told = "[reaper] seen=%d removed=%d ended=%d failed=%d left=%d"
                logging.getLogger("mk0r").info(told, done.seen, done.removed, done.ended, len(done.failed), done.left)

    async def sweep(self, *, apply: bool = False) -> Sweep:
        """Look everywhere, then remove. Raises `LegError`, having removed nothing, when one listing has a hole."""
        found = Sweep()
        # Every listing to its end before the first removal, and the books after the listings: what is at a
        # vendor was in the books before it was made.
        listed: list[tuple[LegName, Listed]] = []
        for name, leg in self._legs.items():
            listed.extend((name, item) for item in await self._listed(leg))
        await asyncio.to_thread(self._sort_all, listed, found)
        if self._ttl is not None:
            found.abandoned = self._books.sessions.unused(since=self._clock() - self._ttl)
        if apply:
            await self._remove(found)
        return found

    async def _listed(self, leg: Leg) -> list[Listed]:
        """The whole listing. Raises `LegError` where its end does not come."""
        try:
            async with within(LISTING_SECONDS):
                return [item async for item in leg.listed()]
        except TimeoutError:
            raise refusals.incomplete(VENDOR_OF[leg.name]) from None

    def _sort_all(self, listed: list[tuple[LegName, Listed]], found: Sweep) -> None:
        look = cache(self._session)
        for name, item in listed:
            self._sort(name, item, look(item.app_id), found)

    def _sort(self, name: LegName, item: Listed, session: Session | None, found: Sweep) -> None:
        found.seen += 1
        match self._standing(name, item, session):
            case "orphan":
                found.orphans.append(Orphan(name, item))
            case "young":
                found.young += 1
            case "unrecorded":
                found.unrecorded.append(item.app_id)
            case _:
                pass

    def _session(self, app_id: str) -> Session | None:
        try:
            return self._books.sessions.by_slug(app_id.removeprefix("mk0r-"))
        except UnknownSession:
            return None

    def _standing(self, name: LegName, item: Listed, session: Session | None) -> Standing:
        if session is None:
            return "unrecorded"
        leg = session.leg(name)
        # A leg without a standing outcome may be adopting this very thing.
        other = leg.stands and any(leg.reference.get(key, value) != value for key, value in item.reference.items())
        if session.state != "destroyed" and not other:
            return "claimed"
        return "young" if self._clock() - item.made_at < self._grace else "orphan"

    async def _remove(self, found: Sweep) -> None:
        wanted = len(found.abandoned) + len(found.orphans)
        for slug in found.abandoned[: self._cap]:
            await self._end(slug, found)
        for orphan in found.orphans[: max(self._cap - len(found.abandoned), 0)]:
            session = self._session(orphan.listed.app_id)
            if self._standing(orphan.leg, orphan.listed, session) != "orphan":
                continue  # something has changed since it was listed
            try:
                async with within(REMOVAL_SECONDS):
                    await self._legs[orphan.leg].remove(orphan.listed.app_id, orphan.listed.reference)
            except (LegError, TimeoutError):
                found.failed.append(orphan.listed.app_id)
            else:
                found.removed += 1
        found.left = max(wanted - self._cap, 0)

    async def _end(self, slug: str, found: Sweep) -> None:
        """Destroy the session, unless its key was used since we looked."""
        assert self._ttl is not None  # noqa: S101 - or there were none
        if not self._books.sessions.end(slug, unused_since=self._clock() - self._ttl):
            return
        try:
            await self._ending.destroy(slug)
        except LegError:
            found.failed.append(f"mk0r-{slug}")
        else:
            found.ended += 1
