"""Open connections, kept for the next request with the same login."""

from __future__ import annotations

import asyncio
import contextlib
import select
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import psycopg
from psycopg.pq import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from server.local.postgres import PostgresServer
    from server.secrets import Secret

CONNECT_SECONDS = 10
CLOSE_SECONDS = 1.0


@dataclass(frozen=True)
class Login:
    """The password is part of what a connection is found by: a wrong one never meets an open connection."""

    role: str
    database: str
    password: Secret


class PoolBusy(Exception):
    """Every connection of this login stayed in use for as long as a caller waits."""


class _Shelf:
    """The connections of one login: idle ones (with the time they became so), and room for the others."""

    def __init__(self, cap: int) -> None:
        self.room = asyncio.Semaphore(cap)
        self.idle: list[tuple[psycopg.AsyncConnection, float]] = []
        self.users = 0


class Pool:
    """At most `cap` connections a login; one idle for `idle_seconds` is closed, one in doubt is not kept."""

    def __init__(
        self,
        server: PostgresServer,
        *,
        cap: int = 16,
        idle_seconds: float = 30.0,
        wait_seconds: float = 10.0,
        options: str = "",
    ) -> None:
        """`options`: settings every connection begins with, whatever its database or its role were given."""
        self._server = server
        self._cap = cap
        self._idle_seconds = idle_seconds
        self._wait_seconds = wait_seconds
        self._options = options
        self._shelves: dict[Login, _Shelf] = {}

    @asynccontextmanager
    async def connection(self, login: Login) -> AsyncGenerator[psycopg.AsyncConnection]:
        """An autocommit connection with no session state of an earlier user.

        Raises PoolBusy, and psycopg.OperationalError when PostgreSQL refuses the login.
        """
        shelf = self._shelves.setdefault(login, _Shelf(self._cap))
        shelf.users += 1
        try:
            try:
                await asyncio.wait_for(shelf.room.acquire(), self._wait_seconds)
            except TimeoutError:
                raise PoolBusy from None
            try:
                connection = await self._take(shelf, login)
                try:
                    yield connection
                finally:
                    await self._give_back(shelf, connection)
            finally:
                shelf.room.release()
        finally:
            shelf.users -= 1
            if not shelf.users and not shelf.idle:
                self._shelves.pop(login, None)

    async def sweep(self) -> None:
        """Close what has been idle for too long; runs until cancelled."""
        while True:
            await asyncio.sleep(self._idle_seconds / 2)
            await self.close_idle(before=monotonic() - self._idle_seconds)

    async def close_idle(self, *, before: float | None = None, database: str | None = None) -> None:
        """Close idle connections: those idle since `before`, those of one database, or all."""
        for login, shelf in list(self._shelves.items()):
            if database is not None and login.database != database:
                continue
            done = [pair for pair in shelf.idle if before is None or pair[1] < before]
            shelf.idle = [pair for pair in shelf.idle if pair not in done]
            if not shelf.users and not shelf.idle:
                del self._shelves[login]
            for connection, _ in done:
                await _close(connection)

    async def _take(self, shelf: _Shelf, login: Login) -> psycopg.AsyncConnection:
        while shelf.idle:
            connection, _ = shelf.idle.pop()
            if not connection.closed and not _hung_up(connection):
                return connection
            await _close(connection)
        return await psycopg.AsyncConnection.connect(
            host=str(self._server.socket_dir),
            port=self._server.port,
            user=login.role,
            password=login.password.reveal(),
            dbname=login.database,
            sslmode="disable",
            connect_timeout=CONNECT_SECONDS,
            application_name="neon-twin",
            options=self._options,
            autocommit=True,
            prepare_threshold=None,  # DISCARD ALL would leave the client believing in statements that are gone
        )

    async def _give_back(self, shelf: _Shelf, connection: psycopg.AsyncConnection) -> None:
        if connection.closed or connection.pgconn.transaction_status != TransactionStatus.IDLE:
            await _close(connection)
            return
        try:
            await asyncio.wait_for(connection.execute("DISCARD ALL"), CLOSE_SECONDS)
        except (psycopg.Error, TimeoutError, asyncio.CancelledError):
            await _close(connection)
            raise
        shelf.idle.append((connection, monotonic()))


def _hung_up(connection: psycopg.AsyncConnection) -> bool:
    """Whether an idle connection has something to say: that is its end, or news nobody here asked for."""
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


async def _close(connection: psycopg.AsyncConnection) -> None:
    with contextlib.suppress(psycopg.Error, TimeoutError):
        await asyncio.wait_for(connection.close(), CLOSE_SECONDS)
