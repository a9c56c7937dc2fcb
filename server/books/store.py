"""The server's records: secrets, sealed, and each session's story, numbered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import sqlalchemy as sa
from cryptography.fernet import Fernet

from server.books.database import in_utc, open_engine, upsert_all, writing
from server.books.schema import EVENTS, METADATA, SECRETS
from server.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["METADATA", "Event", "Events", "Vault", "open_engine"]

CHANNEL = "mk0r_events"


class Vault:
    """Secrets at rest: encrypted with one key that is never in the same place as they are."""

    def __init__(self, engine: sa.Engine, key: Secret) -> None:
        self._engine = engine
        self._cipher = Fernet(key.reveal().encode())

    def put(self, slug: str, leg: str, values: Mapping[str, Secret]) -> None:
        with writing(self._engine) as connection:
            self.put_within(connection, slug, leg, values)

    def put_within(self, connection: sa.Connection, slug: str, leg: str, values: Mapping[str, Secret]) -> None:
        """Put them as part of a larger change."""
        sealed = {name: self._cipher.encrypt(secret.reveal().encode()) for name, secret in values.items()}
        rows = [{"slug": slug, "name": name, "leg": leg, "value": value} for name, value in sealed.items()]
        upsert_all(connection, SECRETS, ["slug", "name"], rows)

    def get(self, slug: str, *, legs: Iterable[str] | None = None) -> dict[str, Secret]:
        """The session's secrets by name, in the order they were named."""
        with self._engine.connect() as connection:
            return self.get_within(connection, slug, legs=legs)

    def get_within(
        self, connection: sa.Connection, slug: str, *, legs: Iterable[str] | None = None
    ) -> dict[str, Secret]:
        """The same as part of a larger change."""
        query = sa.select(SECRETS.c.name, SECRETS.c.value).where(SECRETS.c.slug == slug)
        if legs is not None:
            query = query.where(SECRETS.c.leg.in_(list(legs)))
        rows = connection.execute(query.order_by(SECRETS.c.leg, SECRETS.c.name)).all()
        return {name: Secret(self._cipher.decrypt(value).decode()) for name, value in rows}

    def legs_of(self, slug: str) -> dict[str, str]:
        """Which leg each name came from."""
        query = sa.select(SECRETS.c.name, SECRETS.c.leg).where(SECRETS.c.slug == slug)
        with self._engine.connect() as connection:
            return {row.name: row.leg for row in connection.execute(query)}

    def forget_within(self, connection: sa.Connection, slug: str) -> None:
        """Forget all of a session's, as part of a larger change."""
        connection.execute(sa.delete(SECRETS).where(SECRETS.c.slug == slug))


@dataclass(frozen=True)
class Event:
    """Something that happened in a session. `seq` counts from 1 without gaps."""

    seq: int
    at: datetime
    type: str
    data: dict[str, Any]


class Events:
    """A session's story, in order, for every view of it, whichever process it happens in."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        # As long as somebody waits, and no longer: a server has many more sessions than waiters.
        self._changed: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self._over: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    def append(self, slug: str, type: str, data: dict[str, Any]) -> int:  # noqa: A002 - the field's own name
        with writing(self._engine) as connection:
            seq = self.append_within(connection, slug, type, data)
        self.wake(slug, over=False)
        return seq

    def append_within(self, connection: sa.Connection, slug: str, type: str, data: dict[str, Any]) -> int:  # noqa: A002
        """Append as part of a larger change; `wake` after it."""
        if connection.dialect.name == "postgresql":
            # Numbering is one at a time for one session; SQLite's writers are one at a time anyway.
            connection.execute(_TELL, {"of": slug})
        row = {"of": slug, "now": datetime.now(UTC), "kind": type, "told": data}
        return connection.execute(_APPEND, row).scalar_one()

    def retell_within(self, connection: sa.Connection, slug: str, story: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Put this story in the place of the session's own, which nobody has heard. Part of a larger change."""
        connection.execute(sa.delete(EVENTS).where(EVENTS.c.slug == slug))
        row = {"slug": slug, "at": datetime.now(UTC)}
        told = [{**row, "seq": seq, "type": kind, "data": data} for seq, (kind, data) in enumerate(story, 1)]
        connection.execute(sa.insert(EVENTS), told)

    def wake(self, slug: str | None = None, *, over: bool = True) -> None:
        """Let whoever waits for this session's events (or any session's) look again, and, where a round may be over,
        whoever waits for that."""
        for waiting in (self._changed, self._over) if over else (self._changed,):
            for name in [slug] if slug else [*waiting]:
                if changed := waiting.pop(name, None):
                    changed.set()

    def over(self, slug: str) -> asyncio.Event:
        """Set once a round of this session may be over. Ask for it first, then look whether it is already."""
        return self._over.setdefault(slug, asyncio.Event())

    async def listen(self) -> None:
        """Wake waiters for what other processes append, for ever. On SQLite there are no others."""
        if self._engine.dialect.name != "postgresql":
            return
        import psycopg

        told = self._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        while True:
            try:
                there = await psycopg.AsyncConnection.connect(told, autocommit=True, connect_timeout=5)
                async with there as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self.wake()
                    async for note in connection.notifies():
                        self.wake(note.payload)
            except psycopg.OperationalError:
                await asyncio.sleep(1)

    def last(self, slug: str) -> int:
        """The newest event's number; 0 before the first."""
        with self._engine.connect() as connection:
            return connection.execute(_LAST, {"of": slug}).scalar_one()

    def since(self, slug: str, seq: int) -> list[Event]:
        with self._engine.connect() as connection:
            return self.since_within(connection, slug, seq)

    def since_within(self, connection: sa.Connection, slug: str, seq: int) -> list[Event]:
        rows = connection.execute(_SINCE, {"of": slug, "after": seq}).all()
        return [Event(row.seq, in_utc(row.at), row.type, row.data) for row in rows]

    async def wait(self, slug: str, seq: int, timeout: float) -> list[Event]:  # noqa: ASYNC109 - a long wait
        """Events after `seq`: at once if there are any, else within `timeout` seconds, else none."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    changed = self._changed.setdefault(slug, asyncio.Event())
                    if found := self.since(slug, seq):
                        return found
                    await changed.wait()
        except TimeoutError:
            return self.since(slug, seq)


_TELL = sa.select(
    sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("of"), 0)),
    sa.func.pg_notify(CHANNEL, sa.bindparam("of")),
)
# Made once: these are what a session's story consists of.
_OF = EVENTS.c.slug == sa.bindparam("of")
_LAST = sa.select(sa.func.coalesce(sa.func.max(EVENTS.c.seq), 0)).where(_OF)
_SINCE = sa.select(EVENTS).where(_OF, EVENTS.c.seq > sa.bindparam("after")).order_by(EVENTS.c.seq)
_NEXT = sa.select(
    sa.bindparam("of", type_=EVENTS.c.slug.type),
    _LAST.scalar_subquery() + 1,
    sa.bindparam("now", type_=EVENTS.c.at.type),
    sa.bindparam("kind", type_=EVENTS.c.type.type),
    sa.bindparam("told", type_=EVENTS.c.data.type),
)
_APPEND = sa.insert(EVENTS).from_select(["slug", "seq", "at", "type", "data"], _NEXT).returning(EVENTS.c.seq)
