"""Handing out what the pool has: each entry once, whoever asks at the same time and whatever dies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from server.books.database import now, writing
from server.books.schema import POOL
from server.books.sessions import load
from server.crash import nowhere
from server.pool.entries import turn

if TYPE_CHECKING:
    from server.books.books import Books
    from server.books.record import Session, SessionKey
    from server.crash import Crash

TOLD_AGAIN = {"provisioning", "leg.finished", "env.written"}


class Claims:
    """One transaction hands an entry out; another ends it as an entry, once its session is on its own."""

    def __init__(self, books: Books, recipe: str, *, max_age_seconds: float, at: Crash = nowhere) -> None:
        self._books = books
        self._recipe = recipe
        self._max_age_seconds = max_age_seconds
        self._at = at

    def take(self, idea: str) -> SessionKey | None:
        """Hand out the oldest entry, to nobody else; None where there is none. Its session begins now."""
        began = time.perf_counter()
        with writing(self._books.engine) as connection:
            while (slug := self._oldest(connection)) is not None:
                session = load(connection, slug, lock=True)
                if session.ending or session.state != "ready":
                    turn(connection, slug, "leaving")
                    self._books.sessions.end_within(connection, slug)
                    continue
                turn(connection, slug, "claimed")
                key = self._books.sessions.hand_over(connection, slug, idea)
                self._books.events.retell_within(connection, slug, self._story(connection, session, idea, began))
                self._at("pool.claiming")
                return key
        return None

    def handed_over(self, slug: str, preview_url: str | None) -> None:
        """The claimed session is on its own; its story ends as that of any other, once."""
        with writing(self._books.engine) as connection:
            mine = sa.and_(POOL.c.slug == slug, POOL.c.state == "claimed")
            since = connection.execute(sa.delete(POOL).where(mine).returning(POOL.c.since)).scalar()
            if since is not None and preview_url is not None:
                told = {"url": preview_url, "ms": round((now(connection) - since) * 1000)}
                self._books.events.append_within(connection, slug, "preview.ready", told)
        self._books.events.wake(slug)

    def _oldest(self, connection: sa.Connection) -> str | None:
        """Locked; one that somebody else is just taking is passed over."""
        young = POOL.c.made_at > now(connection) - self._max_age_seconds
        fit = sa.and_(POOL.c.state == "ready", POOL.c.recipe == self._recipe, young)
        oldest = sa.select(POOL.c.slug).where(fit).order_by(POOL.c.made_at).limit(1)
        return connection.execute(oldest.with_for_update(skip_locked=True)).scalar()

    def _story(
        self, connection: sa.Connection, session: Session, idea: str, began: float
    ) -> list[tuple[str, dict[str, Any]]]:
        """As if it had just been made: every outcome with its own time, the whole with the claim's."""
        made = [
            (event.type, event.data)
            for event in self._books.events.since_within(connection, session.slug, 0)
            if event.type in TOLD_AGAIN
        ]
        created = {"slug": session.slug, "app_id": session.app_id, "idea": idea, "ahead": True}
        done = {"ms": round((time.perf_counter() - began) * 1000), "state": session.state}
        return [("session.created", created), *made, ("provisioned", done)]
