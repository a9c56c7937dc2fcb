"""The vendors' rate limits, shared by every server: a turn is reserved in the database before a request is sent.

A limit of N in a window lets turn k go no sooner than one window after turn k - N: all of a vendor's burst,
and never more than its limit in any window. Turns are numbered in the order they were asked for, so waiting is fair.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from server.books.database import insert_new, now, upsert, writing
from server.books.schema import SLOTS, TURNS
from server.errors import BadInput
from server.legs import refusals
from server.legs.deadline import patience, queue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_LIMIT = re.compile(r"(\d{1,6})/(s|m|h|d)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST_HOLD = 3600.0


@dataclass(frozen=True)
class Limit:
    """At most `most` in any `seconds`."""

    text: str
    most: int
    seconds: float

    @property
    def window(self) -> float:
        """A little longer than the vendor's own: requests do not arrive as evenly as they are sent."""
        return self.seconds + min(self.seconds * 0.04, 2.0)


def read(text: str) -> tuple[Limit, ...]:
    """`80/m 500/h` as limits; `0` is none. Raises `BadInput`."""
    if text.strip() == "0":
        return ()
    found = [(_LIMIT.fullmatch(part), part) for part in text.split()]
    if not found or any(match is None or int(match[1]) == 0 for match, _ in found):
        raise BadInput(f"{text!r} is no rate limit.", next_action="Write `80/m 500/h`, or `0` for none.")
    return tuple(Limit(part, int(match[1]), _SECONDS[match[2]]) for match, part in found if match)


class VendorTurns:
    """One vendor's turns. Reserving one costs a small transaction and no wait while the vendor is idle."""

    def __init__(
        self,
        engine: sa.Engine,
        vendor: str,
        limits: tuple[Limit, ...],
        *,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._vendor = vendor
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._in_order = asyncio.Lock()  # who asks this server first has the earlier turn

    async def take(self) -> None:
        """Wait for one's turn. Raises `LegError`, and takes none, when that is longer than the leg may wait."""
        [turn] = await self.book(1)
        await self.until(turn)

    async def book(self, calls: int) -> list[float]:
        """So many turns, one right after the other: moments of the event loop's clock. Raises as `take` does.

        What only makes sense together is booked together: else everybody's first call goes before anybody's second,
        and all of them run out of time in between.
        """
        loop = asyncio.get_running_loop()
        if not self._limits:
            return [loop.time()] * calls
        async with self._in_order:
            waits = await asyncio.to_thread(self.reserve, patience(), calls)
        queue(waits[-1])
        return [loop.time() + wait for wait in waits]

    async def until(self, turn: float) -> None:
        """Wait for a turn that was booked."""
        wait = turn - asyncio.get_running_loop().time()
        if wait > 0:
            await self._sleep(wait)

    async def hold(self, seconds: float) -> None:
        """Nobody's turn comes before this has passed: the vendor said so."""
        if self._limits:
            await asyncio.to_thread(self._hold, min(seconds, LONGEST_HOLD))

    def reserve(self, patience: float, calls: int = 1) -> list[float]:
        """Seconds until each turn now reserved. Raises `LegError`, reserving none, when the last are too many."""
        with writing(self._engine) as connection:
            waits = [self._reserve(connection) for _ in range(calls)]
            if waits[-1] > patience:
                raise refusals.not_yet(self._vendor, waits[-1])
        return waits

    def _reserve(self, connection: sa.Connection) -> float:
        places = [self._place(connection, limit) for limit in self._limits]
        begins = self._now(connection)
        at = max(begins, *(earliest for _, _, earliest in places))
        for name, slot, _ in places:
            upsert(connection, SLOTS, {"name": name, "slot": slot}, {"at": at})
        return at - begins

    def _place(self, connection: sa.Connection, limit: Limit) -> tuple[str, int, float]:
        """This limit's ring, the next slot in it, and the earliest moment for it. Locks the ring."""
        name = self._name(limit)
        taken = sa.update(TURNS).where(TURNS.c.name == name).values(taken=TURNS.c.taken + 1)
        row = connection.execute(taken.returning(TURNS.c.taken, TURNS.c.held_until)).one_or_none()
        if row is None:
            insert_new(connection, TURNS, {"name": name, "taken": 0})
            return self._place(connection, limit)
        slot = row.taken % limit.most
        before = sa.select(SLOTS.c.at).where(SLOTS.c.name == name, SLOTS.c.slot == slot)
        last = connection.execute(before).scalar()
        return name, slot, max(row.held_until, 0.0 if last is None else last + limit.window)

    def _hold(self, seconds: float) -> None:
        with writing(self._engine) as connection:
            for limit in self._limits:
                until = self._now(connection) + seconds
                later = sa.and_(TURNS.c.name == self._name(limit), TURNS.c.held_until < until)
                connection.execute(sa.update(TURNS).where(later).values(held_until=until))

    def _name(self, limit: Limit) -> str:
        return f"{self._vendor} {limit.text}"

    def _now(self, connection: sa.Connection) -> float:
        return self._clock() if self._clock else now(connection)
