"""The server's own tables: SQLite embedded, PostgreSQL hosted. Nothing else touches them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

METADATA = sa.MetaData()

SESSIONS = sa.Table(
    "sessions",
    METADATA,
    sa.Column("slug", sa.String(12), primary_key=True),
    sa.Column("key_hash", sa.String(64), nullable=False),
    sa.Column("idea", sa.Text, nullable=False, default=""),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("services", sa.JSON, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
)
LEGS = sa.Table(
    "legs",
    METADATA,
    sa.Column("slug", sa.String(12), primary_key=True),
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("intent_at", sa.DateTime(timezone=True)),
    sa.Column("outcome", sa.JSON),
)
SECRETS = sa.Table(
    "secrets",
    METADATA,
    sa.Column("slug", sa.String(12), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("leg", sa.String(16), nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("slug", sa.String(12), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
)


def open_engine(url: str) -> sa.Engine:
    """An engine; SQLite gets WAL, so that readers and one writer do not wait for each other."""
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _pragmas(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction] - a listener
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA busy_timeout=10000")

    return engine


def upsert(connection: sa.Connection, table: sa.Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Write the row with this key, whether or not it is there."""
    where = sa.and_(*(table.c[name] == value for name, value in key.items()))
    if connection.execute(sa.update(table).where(where).values(**values)).rowcount == 0:
        connection.execute(sa.insert(table).values(**key, **values))


class Vault:
    """Secrets at rest: encrypted with one key that is never in the same place as they are."""

    def __init__(self, engine: sa.Engine, key: Secret) -> None:
        self._engine = engine
        self._cipher = Fernet(key.reveal().encode())

    def put(self, slug: str, leg: str, values: dict[str, Secret]) -> None:
        with self._engine.begin() as connection:
            for name, secret in values.items():
                sealed = self._cipher.encrypt(secret.reveal().encode())
                upsert(connection, SECRETS, {"slug": slug, "name": name}, {"leg": leg, "value": sealed})

    def get(self, slug: str, *, legs: Iterable[str] | None = None) -> dict[str, Secret]:
        """The session's secrets by name, in the order they were named."""
        query = sa.select(SECRETS.c.name, SECRETS.c.value).where(SECRETS.c.slug == slug)
        if legs is not None:
            query = query.where(SECRETS.c.leg.in_(list(legs)))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(SECRETS.c.leg, SECRETS.c.name)).all()
        return {name: Secret(self._cipher.decrypt(value).decode()) for name, value in rows}

    def legs_of(self, slug: str) -> dict[str, str]:
        """Which leg each name came from."""
        query = sa.select(SECRETS.c.name, SECRETS.c.leg).where(SECRETS.c.slug == slug)
        with self._engine.connect() as connection:
            return {row.name: row.leg for row in connection.execute(query)}

    def forget(self, slug: str, leg: str | None = None) -> None:
        query = sa.delete(SECRETS).where(SECRETS.c.slug == slug)
        with self._engine.begin() as connection:
            connection.execute(query if leg is None else query.where(SECRETS.c.leg == leg))


@dataclass(frozen=True)
class Event:
    """Something that happened in a session. `seq` counts from 1 without gaps."""

    seq: int
    at: datetime
    type: str
    data: dict[str, Any]


class Events:
    """A session's story, in order, for every view of it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._changed: dict[str, asyncio.Event] = {}

    def append(self, slug: str, type: str, data: dict[str, Any]) -> int:  # noqa: A002 - the field's own name
        last = sa.select(sa.func.coalesce(sa.func.max(EVENTS.c.seq), 0)).where(EVENTS.c.slug == slug)
        for _ in range(20):
            try:
                with self._engine.begin() as connection:
                    seq: int = connection.execute(last).scalar_one() + 1
                    row = {"slug": slug, "seq": seq, "at": datetime.now(UTC), "type": type, "data": data}
                    connection.execute(sa.insert(EVENTS).values(**row))
            except IntegrityError:
                continue  # another process took this number
            if changed := self._changed.pop(slug, None):
                changed.set()
            return seq
        raise RuntimeError("could not number an event")

    def since(self, slug: str, seq: int) -> list[Event]:
        query = sa.select(EVENTS).where(EVENTS.c.slug == slug, EVENTS.c.seq > seq).order_by(EVENTS.c.seq)
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [Event(row["seq"], row["at"], row["type"], row["data"]) for row in rows]

    async def wait(self, slug: str, seq: int, timeout: float) -> list[Event]:  # noqa: ASYNC109 - a long wait
        """Events after `seq`: at once if there are any, else within `timeout` seconds, else none."""
        changed = self._changed.setdefault(slug, asyncio.Event())
        if found := self.since(slug, seq):
            return found
        try:
            async with asyncio.timeout(timeout):
                await changed.wait()
        except TimeoutError:
            pass
        return self.since(slug, seq)

    def forget(self, slug: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.delete(EVENTS).where(EVENTS.c.slug == slug))
