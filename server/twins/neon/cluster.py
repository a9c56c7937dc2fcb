"""The twin's own sessions on the shared cluster, and the spare databases made ahead of need.

Making a database takes some 50 ms, claiming a spare one by renaming it some 5 ms, and dropping one can
wait seconds for a checkpoint. So a create claims; making spares and dropping happen behind the requests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from psycopg import errors
from psycopg.sql import SQL, Identifier

from server.twins.core import ids
from server.twins.neon import cluster_roles
from server.twins.neon.cluster_databases import seal
from server.twins.neon.pool import Login, Pool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import psycopg

    from server.local.postgres import PostgresServer
    from server.secrets import Secret

SPARE = "mk0r_spare_"
STATEMENT_SECONDS = 300
# An app may give its own database settings of any kind; in a superuser's session none of its own may be found.
OPTIONS = "-c search_path=pg_catalog -c role=none -c default_transaction_read_only=off"
MAKERS = 2


class Cluster:
    """What the twin does as superuser. A role sees its own databases and no other: CONNECT is not public."""

    def __init__(self, server: PostgresServer, *, spares: int) -> None:
        self.server = server
        self._wanted = spares
        self._spares: deque[str] = deque()
        self._pool = Pool(server, cap=MAKERS + 6, wait_seconds=60, options=OPTIONS)
        self.making = asyncio.Semaphore(MAKERS)
        """Held while a whole database is written or dropped: more at once are not faster, and slow the rest."""
        self.claimed: Callable[[], None] = lambda: None
        """Told that spares are wanted."""

    async def prepare(self) -> None:
        """Close the databases everybody may connect to, and take over the spares an earlier run left."""
        async with self.session() as session:
            for database in ("postgres", "template1"):
                await seal(session, database)
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
                    await seal(session, database)
                    self._spares.append(database)

    async def refill(self) -> None:
        """Make spares until there are enough."""
        while len(self._spares) < self._wanted:
            missing = self._wanted - len(self._spares)
            await asyncio.gather(*(self._make_spare() for _ in range(min(MAKERS, missing))))

    async def claim(self, role: str, database: str, password: Secret) -> str:
        """Give a spare database and its role these names; makes one first when none is left.

        Answers with what PostgreSQL checks the password with.
        """
        try:
            while True:
                if not self._spares:
                    await self._make_spare()
                with contextlib.suppress(errors.UndefinedObject):  # another twin on this cluster was faster
                    return await self._rename(self._spares.popleft(), role, database, password)
        finally:
            self.claimed()

    async def _rename(self, spare: str, role: str, database: str, password: Secret) -> str:
        async with self.session() as session, session.transaction():
            old, new = Identifier(spare), Identifier(role)
            await session.execute(SQL("ALTER ROLE {} RENAME TO {}").format(old, new))
            verifier = cluster_roles.verifier(session, role, password)
            await cluster_roles.let_in(session, role, verifier)
            await session.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(old, Identifier(database)))
            return verifier

    async def close(self) -> None:
        await self._pool.close_idle()

    @asynccontextmanager
    async def session(self, database: str = "postgres") -> AsyncGenerator[psycopg.AsyncConnection]:
        """Autocommit, as superuser: in an app's database, run nothing that could call what the app has made.

        Raises PoolBusy and psycopg.OperationalError.
        """
        async with self._pool.connection(Login(self.server.superuser, database, self.server.password)) as session:
            await session.execute(SQL("SET statement_timeout = {}").format(f"{STATEMENT_SECONDS}s"))
            yield session

    async def forget(self, database: str) -> None:
        """Close the twin's own idle sessions there: one may be in the way of a copy or a rename."""
        await self._pool.close_idle(database=database)

    async def _make_spare(self) -> None:
        name = SPARE + ids.lower(12)
        async with self.making, self.session() as session:
            await session.execute(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(name)))
            await session.execute(SQL("CREATE DATABASE {0} OWNER {0}").format(Identifier(name)))
            await seal(session, name)
        self._spares.append(name)
