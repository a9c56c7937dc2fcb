"""The vendors' rate limits, shared by every server: a turn is reserved in the database before a request is sent."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from server.books.turns import Limit, TurnBook
from server.errors import BadInput
from server.legs import refusals
from server.legs.deadline import patience, queue_until, turn_came
from server.legs.turns import Turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import sqlalchemy as sa

_LIMIT = re.compile(r"(\d{1,6})/(s|m|h|d)")
AT_ONCE_SECONDS = 0.05  # a turn that is used as soon as it was booked cannot have been put off since
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def read(text: str) -> tuple[Limit, ...]:
    """`80/m 500/h` as limits; `0` is none. Raises `BadInput`."""
    if text.strip() == "0":
        return ()
    found = [(_LIMIT.fullmatch(part), part) for part in text.split()]
    if not found or any(match is None or int(match[1]) == 0 for match, _ in found):
        raise BadInput(f"{text!r} is no rate limit.", next_action="Write `80/m 500/h`, or `0` for none.")
    return tuple(Limit(part, int(match[1]), _SECONDS[match[2]]) for match, part in found if match)


def turns(engine: sa.Engine, vendor: str, text: str) -> VendorTurns:
    """The turns at a vendor that allows so much. Raises `BadInput`."""
    limits = read(text)
    return VendorTurns(vendor, TurnBook(engine, vendor, limits) if limits else None)


class VendorTurns:
    """One vendor's turns, waited for. None of it costs anything where no limit is kept."""

    def __init__(
        self,
        vendor: str,
        book: TurnBook | None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._vendor = vendor
        self._book = book
        self._sleep = sleep
        self._in_order = asyncio.Lock()  # who asks this server first has the earlier turn

    async def take(self) -> None:
        """Wait for one's turn. Raises `LegError`, and takes none, when that is longer than the leg may wait."""
        [turn] = await self.book(1)
        await self.until(turn)

    async def book(self, calls: int) -> list[Turn]:
        """So many turns, one right after the other. Raises as `take` does.

        What only makes sense together is booked together: else everybody's first call goes before anybody's second,
        and all of them run out of time in between.
        """
        loop = asyncio.get_running_loop()
        if self._book is None:
            return [Turn(loop.time())] * calls
        async with self._in_order:
            booked = await asyncio.to_thread(self._book.reserve, patience(), calls)
        now = loop.time()
        queue_until(now + booked.waits[-1])
        return [Turn(now + wait, booked.put_off) for wait in booked.waits]

    async def until(self, turn: Turn) -> None:
        """Wait for a turn that was booked. Raises as `take` does when the vendor's wish for quiet puts it off too far.

        Everybody who waits is put off by as much, so the order and the pace stay what they were.
        """
        loop = asyncio.get_running_loop()
        waited = turn.at > loop.time()
        while self._book and not 0 <= loop.time() - turn.at < AT_ONCE_SECONDS:
            if turn.at > loop.time():
                await self._sleep(turn.at - loop.time())
            put_off = await asyncio.to_thread(self._book.put_off)
            if put_off == turn.put_off:
                break
            turn = Turn(turn.at + put_off - turn.put_off, put_off)
            if turn.at - loop.time() > patience():
                raise refusals.not_yet(self._vendor, turn.at - loop.time())
            queue_until(turn.at)
        turn_came(waited=waited)

    async def hold(self, seconds: float) -> None:
        """Nobody's turn comes before this has passed: the vendor said so."""
        if self._book:
            await asyncio.to_thread(self._book.hold, seconds)
