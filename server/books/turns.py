"""The turns at one vendor, written down: a limit of N in a window lets turn k go one window after turn k - N.

That is all of a vendor's burst, and never more than its limit in any window. Turns are numbered in the order they were
asked for, so waiting is fair; every server writes in the same book.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from server.books.database import insert_new, now, upsert, writing
from server.books.schema import SLOTS, TURNS
from server.legs import refusals

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_HOLD = 3600.0


def line_of(slug: str) -> str:
    """The line in which one app's contacts wait."""
    return f"The relay of mk0r-{slug}"


def forget_line(connection: sa.Connection, slug: str) -> None:
    """Part of a session's end."""
    for table in (SLOTS, TURNS):
        connection.execute(sa.delete(table).where(table.c.name.startswith(f"{line_of(slug)} ")))


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


@dataclass(frozen=True)
class Booked:
    """Seconds until each of the turns, and how far all had been put off when they were booked."""

    waits: list[float]
    put_off: float


class TurnBook:
    """One vendor's turns. Reserving one costs a small transaction."""

    def __init__(
        self, engine: sa.Engine, vendor: str, limits: tuple[Limit, ...], clock: Callable[[], float] | None = None
    ) -> None:
        self._engine = engine
        self._vendor = vendor
        self._limits = limits
        self._clock = clock

    def reserve(self, patience: float, calls: int = 1) -> Booked:
        """The next turns. Raises `LegError`, reserving none, when the last comes later than this many seconds."""
        with writing(self._engine) as connection:
            waits = [self._next(connection) for _ in range(calls)]
            if waits[-1] > patience:
                raise refusals.not_yet(self._vendor, waits[-1])
            return Booked(waits, self._put_off(connection))

    def hold(self, seconds: float) -> None:
        """The vendor asked for quiet: every turn, booked or to come, is put off by what this adds to the quiet."""
        with writing(self._engine) as connection:
            for limit in self._limits:
                self._hold(connection, self._name(limit), min(seconds, LONGEST_HOLD))

    def put_off(self) -> float:
        """By how many seconds booked turns were put off, in all."""
        with self._engine.connect() as connection:
            return self._put_off(connection)

    def _next(self, connection: sa.Connection) -> float:
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

    def _hold(self, connection: sa.Connection, name: str, seconds: float) -> None:
        ring = sa.update(TURNS).where(TURNS.c.name == name)
        locked = ring.values(taken=TURNS.c.taken).returning(TURNS.c.held_until)
        held_until = connection.execute(locked).scalar()
        begins = self._now(connection)
        if held_until is None or begins + seconds <= held_until:
            return
        more = begins + seconds - max(held_until, begins)
        connection.execute(ring.values(held_until=begins + seconds, put_off=TURNS.c.put_off + more))
        waiting = sa.and_(SLOTS.c.name == name, SLOTS.c.at > begins)
        connection.execute(sa.update(SLOTS).where(waiting).values(at=SLOTS.c.at + more))

    def _put_off(self, connection: sa.Connection) -> float:
        """Of any one limit: they are put off together."""
        query = sa.select(TURNS.c.put_off).where(TURNS.c.name == self._name(self._limits[0]))
        return connection.execute(query).scalar() or 0.0

    def _name(self, limit: Limit) -> str:
        return f"{self._vendor} {limit.text}"

    def _now(self, connection: sa.Connection) -> float:
        return self._clock() if self._clock else now(connection)
