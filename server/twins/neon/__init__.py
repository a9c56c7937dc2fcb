"""Neon's twin: its API v2 and its data plane over one real PostgreSQL.

A project is a role and a database of the shared cluster. Because the cluster is shared, their names
carry the project's id (`neondb` is `neondb_misty_harbor_40318552`), and the same names are in every
document and connection string, so whatever a caller copies from an answer connects.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from server.twins.core import app
from server.twins.neon.cluster import Cluster
from server.twins.neon.errors import answer_http_error
from server.twins.neon.pool import Pool
from server.twins.neon.routes import api_routes
from server.twins.neon.sql_http import sql_routes
from server.twins.neon.state import Projects
from server.twins.neon.websocket import websocket_routes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.applications import Starlette

    from server.local.postgres import PostgresServer
    from server.twins.core import Site

__all__ = ["build"]


def build(site: Site, *, postgres: PostgresServer, spares: int = 6) -> Starlette:
    """`spares` databases are kept ready (some 8 MB of disk each)."""
    cluster = Cluster(postgres, spares=spares)
    records = site.records()
    projects = Projects(site, records, cluster)
    pool = Pool(postgres)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        await cluster.prepare()
        projects.resume()
        behind = [asyncio.create_task(chore.run()) for chore in projects.chores]
        behind.append(asyncio.create_task(pool.sweep()))
        try:
            yield
        finally:
            for task in behind:
                task.cancel()
            await asyncio.gather(*behind, return_exceptions=True)
            await pool.close_idle()
            await cluster.close()
            records.close()

    routes = [
        *api_routes(site, projects),
        *sql_routes(pool, reserved=postgres.superuser),
        *websocket_routes(postgres),
    ]
    return app(site, routes, lifespan, exception_handlers={HTTPException: answer_http_error})
