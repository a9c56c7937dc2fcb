"""Roles and databases of the shared cluster: one of each per project, spare ones made ahead of need.

Making a database takes some 50 ms, claiming a spare one by renaming it some 5 ms, and dropping one can
wait seconds for a checkpoint. So a request claims and disables; making and dropping happen behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from psycopg import errors
from psycopg.sql import SQL, Identifier, Literal

from server.twins.core import ids
from server.twins.neon.pool import Login, Pool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import psycopg

    from server.local.postgres import PostgresServer
    from server.secrets import Secret

SPARE = "mk0r_spare_"
CONNECTION_LIMIT = 40
STATEMENT_SECONDS = 30
DROP_SECONDS = 300
MAKERS = 2


class Cluster:
    """What the twin does as superuser. A role sees its own database and no other: CONNECT is not public."""

    def __init__(self, server: PostgresServer, *, spares: int) -> None:
        self.server = server
        self._wanted = spares
        self._spares: deque[str] = deque()
        self._pool = Pool(server, cap=MAKERS + 6, wait_seconds=60)
        self._making = asyncio.Semaphore(MAKERS)

    async def prepare(self) -> None:
        """Close the databases everybody may connect to, and take over the spares an earlier run left."""
        async with self._session() as session:
            for database in ("postgres", "template1"):
                await _seal(session, database)
            found = await session.execute(
                "SELECT rolname, datname FROM pg_roles FULL JOIN pg_database ON datname = rolname"
                " WHERE starts_with(coalesce(rolname, datname), %s)",
                (SPARE,),
            )
            for role, database in await found.fetchall():
                if database is None:
                    # Unless its database is just being made, by a backend whose client was killed.
                    with contextlib.suppress(errors.DependentObjectsStillExist, errors.UndefinedObject):
                        await session.execute(SQL("DROP ROLE {}").format(Identifier(role)))
                elif role is not None:
                    await _seal(session, database)
                    self._spares.append(database)

    async def refill(self) -> None:
        """Make spares until there are enough."""
        while len(self._spares) < self._wanted:
            await asyncio.gather(*(self._make_spare() for _ in range(min(MAKERS, self._missing()))))

    async def claim(self, role: str, database: str, password: Secret) -> None:
        """Give a spare database and its role these names; makes one first when none is left."""
        while True:
            if not self._spares:
                await self._make_spare()
            with contextlib.suppress(errors.UndefinedObject):  # another twin on this cluster was faster
                return await self._rename(self._spares.popleft(), role, database, password)

    async def _rename(self, spare: str, role: str, database: str, password: Secret) -> None:
        async with self._session() as session, session.transaction():
            old, new = Identifier(spare), Identifier(role)
            await session.execute(SQL("ALTER ROLE {} RENAME TO {}").format(old, new))
            await _log_in_with(session, role, password)
            await session.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(old, Identifier(database)))

    async def reset_password(self, role: str, password: Secret) -> None:
        """Also ends the role's connections, as Neon does."""
        async with self._session() as session:
            await _log_in_with(session, role, password)
            await _hang_up(session, role)

    async def disable(self, role: str, database: str) -> None:
        """Nobody can connect any more and nobody is connected; nothing is dropped. May be called twice."""
        async with self._session() as session:
            try:
                await session.execute(SQL("ALTER ROLE {} NOLOGIN").format(Identifier(role)))
                await session.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(Identifier(database)))
            except (errors.UndefinedObject, errors.InvalidCatalogName):
                return
            await _hang_up(session, role)

    async def drop(self, role: str, database: str) -> None:
        """May be called twice."""
        async with self._making, self._session() as session:
            await session.execute(SQL("SET statement_timeout = {}").format(f"{DROP_SECONDS}s"))
            await session.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(database)))
            await session.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(role)))

    async def close(self) -> None:
        await self._pool.close_idle()

    def _missing(self) -> int:
        return self._wanted - len(self._spares)

    async def _make_spare(self) -> None:
        name = SPARE + ids.lower(12)
        async with self._making, self._session() as session:
            await session.execute(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(name)))
            await session.execute(SQL("CREATE DATABASE {0} OWNER {0}").format(Identifier(name)))
            await _seal(session, name)
        self._spares.append(name)

    @asynccontextmanager
    async def _session(self) -> AsyncGenerator[psycopg.AsyncConnection]:
        async with self._pool.connection(Login(self.server.superuser, "postgres", self.server.password)) as session:
            await session.execute(SQL("SET statement_timeout = {}").format(f"{STATEMENT_SECONDS}s"))
            yield session


async def _seal(session: psycopg.AsyncConnection, database: str) -> None:
    await session.execute(SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(Identifier(database)))


async def _log_in_with(session: psycopg.AsyncConnection, role: str, password: Secret) -> None:
    """The server is sent a verifier, so the password is in no statement it could log."""
    verifier = session.pgconn.encrypt_password(password.reveal().encode(), role.encode(), b"scram-sha-256")
    await session.execute(
        SQL("ALTER ROLE {} LOGIN CONNECTION LIMIT {} PASSWORD {}").format(
            Identifier(role), Literal(CONNECTION_LIMIT), Literal(verifier.decode())
        )
    )


async def _hang_up(session: psycopg.AsyncConnection, role: str) -> None:
    await session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (role,))
