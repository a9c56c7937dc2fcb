"""What was said in a session's runs: where its next run goes on, on whichever server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from server.books.database import upsert, writing
from server.books.schema import TRAJECTORIES

if TYPE_CHECKING:
    from collections.abc import Mapping


class Trajectories:
    """One per run, as JSON; a run's holds the conversation of all runs before it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def save(self, slug: str, number: int, told: Mapping[str, Any]) -> None:
        with writing(self._engine) as connection:
            upsert(connection, TRAJECTORIES, {"slug": slug, "number": number}, {"told": told})

    def newest(self, slug: str, *, before: int) -> dict[str, Any] | None:
        """The last one saved of the runs before this number."""
        mine = sa.and_(TRAJECTORIES.c.slug == slug, TRAJECTORIES.c.number < before)
        query = sa.select(TRAJECTORIES.c.told).where(mine).order_by(TRAJECTORIES.c.number.desc()).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def forget_within(self, connection: sa.Connection, slug: str) -> None:
        """Forget all of a session's, as part of a larger change."""
        connection.execute(sa.delete(TRAJECTORIES).where(TRAJECTORIES.c.slug == slug))
