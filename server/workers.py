"""Several servers on one database: each says that it lives, and takes over from those that no longer do.

A server that only slept finds on waking that it is fenced out: the engine takes no step's outcome from it, and
`rounds` no attempt's, once another has begun on the same work.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from server.books.database import now, upsert, writing
from server.books.schema import WORKERS

if TYPE_CHECKING:
    from server.durable import Durable

BEATS = 5  # so many of them missed, and a server is taken for dead
FORGOTTEN_SECONDS = 3600.0
STANDS_STILL_SECONDS = 60.0
LAST_BEAT_SECONDS = 2.0


def new_executor() -> str:
    """A name for this life of this process, and no other."""
    return f"{socket.gethostname()[:60]}-{os.getpid()}-{token_hex(4)}"


class Workers:
    """The heartbeats, by the database's own clock."""

    def __init__(self, engine: sa.Engine, durable: Durable, *, alive_seconds: float = 15.0) -> None:
        self._engine = engine
        self._durable = durable
        self._alive_seconds = alive_seconds
        self._pause_seconds = alive_seconds / BEATS
        self._seen = time.monotonic()

    async def keep(self) -> None:
        """Beat and look after the others, for ever."""
        ended = threading.Event()
        beats = threading.Thread(target=self._beat_until, args=(ended,), name="heartbeat", daemon=True)
        beats.start()
        try:
            while True:
                self._seen = time.monotonic()
                await self.look()
                await asyncio.sleep(self._pause_seconds)
        except asyncio.CancelledError:
            ended.set()
            beats.join(LAST_BEAT_SECONDS)
            with suppress(SQLAlchemyError):
                self._leave()
            raise
        finally:
            ended.set()

    def _beat_until(self, ended: threading.Event) -> None:
        """A server with much to do still lives: so its heart waits for no turn of the event loop or of the pool.

        One whose loop stands still does not: whoever could finish its work shall have it.
        """
        while not ended.is_set():
            try:
                with self._engine.connect().execution_options(writes=True) as connection:
                    while True:
                        if time.monotonic() - self._seen < STANDS_STILL_SECONDS:
                            with connection.begin():
                                self._beat(connection)
                        if ended.wait(self._pause_seconds):
                            return
            except Exception as error:  # noqa: BLE001 - whatever it was, a server that lives says so again
                logging.getLogger("mk0r").warning("a heartbeat was lost: %s", type(error).__name__)
                ended.wait(self._pause_seconds / 2)

    def beat(self) -> None:
        """This process lives. Before it has said so, it must not begin a workflow."""
        with writing(self._engine) as connection:
            self._beat(connection)

    def _beat(self, connection: sa.Connection) -> None:
        at = now(connection)
        upsert(connection, WORKERS, {"executor": self._durable.executor}, {"beat_at": at})
        connection.execute(sa.delete(WORKERS).where(WORKERS.c.beat_at < at - FORGOTTEN_SECONDS))

    async def look(self) -> None:
        """Take over from everybody who has work and shows no life."""
        working = await self._durable.executors()
        # Never from itself: a machine under load may be late to say that it lives, and it knows better.
        dead = working - await asyncio.to_thread(self._living) - {self._durable.executor}
        if dead:
            logging.getLogger("mk0r").warning("taking over from %s", ", ".join(sorted(dead)))
            await self._durable.take_over(dead)

    def _living(self) -> set[str]:
        with self._engine.connect() as connection:
            since = now(connection) - self._alive_seconds
            return set(connection.execute(sa.select(WORKERS.c.executor).where(WORKERS.c.beat_at >= since)).scalars())

    def _leave(self) -> None:
        """Nobody has to wait for the life that ends in order."""
        with writing(self._engine) as connection:
            connection.execute(sa.delete(WORKERS).where(WORKERS.c.executor == self._durable.executor))
