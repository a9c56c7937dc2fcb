"""The pool's books. An entry is a session made ahead, in one state at a time:

    making ─▶ ready ─▶ claimed ─▶ (handed over: no entry any more)
       │        └────▶ leaving ─▶ (destroyed: no entry any more)
       └─────▶ failed: destroyed too, and remembered for an hour, so that all servers slow down

Every change is one transaction, so whatever dies, an entry is in exactly one state and any server goes on with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from server.books.database import now, writing
from server.books.schema import POOL, SESSIONS
from server.crash import nowhere

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.books.books import Books
    from server.crash import Crash

MAKING_AT_ONCE = 2
"""Of all servers together: who asks now goes before who may ask later."""
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 900.0  # seconds without a new entry after one that failed; doubled each time
REMEMBERED_SECONDS = 3600.0
OTHERS_SECONDS = 600.0
"""What another version of us made is left to its own servers for so long: while versions change, both are there."""
_ALONE = 0x6D6B3070  # any number, the same for every server


@dataclass(frozen=True)
class Entry:
    slug: str
    state: str
    seconds: float
    """How long it has been in this state."""


class Entries:
    """Begins and ends entries. `recipe`: what they are made from today; others are not handed out."""

    def __init__(self, books: Books, recipe: str, *, size: int, max_age_seconds: float, at: Crash = nowhere) -> None:
        self._books = books
        self._recipe = recipe
        self.size = size
        self._max_age_seconds = max_age_seconds
        self._at = at

    def reserve(self) -> str | None:
        """A new entry, where one is missing and may be made now. Servers decide this one after the other."""
        with writing(self._books.engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ALONE)))
            at = now(connection)
            slots = connection.execute(sa.select(POOL)).all()
            ours = sum(slot.state in ("making", "ready") and slot.recipe == self._recipe for slot in slots)
            making = sum(slot.state == "making" for slot in slots)
            if ours >= self.size or making >= MAKING_AT_ONCE or at < _failing_until(slots):
                return None
            key = self._books.sessions.mint()
            row = {"slug": key.slug, "state": "making", "recipe": self._recipe, "made_at": at, "since": at}
            connection.execute(sa.insert(POOL).values(**row))
            self._books.sessions.open_within(connection, key)
        self._at("pool.reserved")
        return key.slug

    def keep(self, slug: str) -> None:
        """It was made whole: from now on it may be claimed, and what failed before is forgiven."""
        with writing(self._books.engine) as connection:
            turn(connection, slug, "ready", was="making")
            connection.execute(sa.update(POOL).where(POOL.c.state == "failed").values(state="leaving"))
        self._at("pool.kept")

    def fail(self, slug: str) -> bool:
        """It was not made whole; whether the caller is the one to destroy it."""
        with writing(self._books.engine) as connection:
            return turn(connection, slug, "failed", was="making") and self._books.sessions.end_within(connection, slug)

    def retire(self) -> list[str]:
        """Those too old, too many or made otherwise are not claimable any more; the caller destroys them."""
        doomed: list[str] = []
        with writing(self._books.engine) as connection:
            query = sa.select(POOL).where(POOL.c.state == "ready").order_by(POOL.c.made_at.desc())
            at, kept = now(connection), 0
            for slot in connection.execute(query.with_for_update(skip_locked=True)).all():
                too_old = slot.made_at <= at - self._max_age_seconds
                if slot.recipe == self._recipe and not too_old and kept < self.size:
                    kept += 1
                elif too_old or slot.recipe == self._recipe or slot.since <= at - OTHERS_SECONDS or not self.size:
                    doomed.append(slot.slug)
                    turn(connection, slot.slug, "leaving")
                    self._books.sessions.end_within(connection, slot.slug)
        return doomed

    def bury(self) -> None:
        """Forget entries whose sessions are destroyed; failed ones after an hour."""
        with writing(self._books.engine) as connection:
            destroyed = sa.select(SESSIONS.c.slug).where(SESSIONS.c.state == "destroyed")
            over = sa.or_(POOL.c.state != "failed", POOL.c.since < now(connection) - REMEMBERED_SECONDS)
            connection.execute(sa.delete(POOL).where(POOL.c.slug.in_(destroyed), over))

    def all(self) -> list[Entry]:
        with self._books.engine.connect() as connection:
            at = now(connection)
            slots = connection.execute(sa.select(POOL).order_by(POOL.c.made_at)).all()
        return [Entry(slot.slug, slot.state, at - slot.since) for slot in slots]


def turn(connection: sa.Connection, slug: str, state: str, *, was: str = "ready") -> bool:
    """The entry comes into this state, as part of a larger change; False where it was not in that one."""
    here = sa.and_(POOL.c.slug == slug, POOL.c.state == was)
    return connection.execute(sa.update(POOL).where(here).values(state=state, since=now(connection))).rowcount == 1


def _failing_until(slots: Sequence[sa.Row[Any]]) -> float:
    failures = [slot.since for slot in slots if slot.state == "failed"]
    if not failures:
        return 0.0
    return max(failures) + min(FIRST_PAUSE * 2 ** (len(failures) - 1), LONGEST_PAUSE)
