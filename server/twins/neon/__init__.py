"""Neon's twin: its API v2 and its data plane over one real PostgreSQL.

A branch is roles and databases of the cluster. Because the cluster is shared, their names carry what they
belong to (`neondb` is `neondb_misty_harbor_40318552`), and the same names are in every document and
connection string, so whatever a caller copies from an answer connects.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from server.twins.core import app
from server.twins.neon.accounts import Accounts
from server.twins.neon.activity import Activity
from server.twins.neon.chores import Chore
from server.twins.neon.cluster import Cluster
from server.twins.neon.computes import Computes
from server.twins.neon.copies import Copies
from server.twins.neon.errors import answer_http_error
from server.twins.neon.keep import NeonKeep
from server.twins.neon.logins import Logins
from server.twins.neon.metering import Meter
from server.twins.neon.operations import Operations
from server.twins.neon.operator import operator_routes
from server.twins.neon.parts import Parts
from server.twins.neon.pool import Pool
from server.twins.neon.routes import api_routes
from server.twins.neon.sql_http import sql_routes
from server.twins.neon.state import rules_over
from server.twins.neon.tables import Tables
from server.twins.neon.trash import Trash
from server.twins.neon.view import Viewing
from server.twins.neon.websocket import websocket_routes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.applications import Starlette

    from server.local.postgres import PostgresServer
    from server.twins.core import Site

__all__ = ["build"]

WATCH_SECONDS = 15.0
TIDY_SECONDS = 60.0


def build(site: Site, *, postgres: PostgresServer, spares: int = 6) -> Starlette:
    """`spares` databases are kept ready (some 8 MB of disk each)."""
    parts = _parts(site, postgres, spares)
    rules = rules_over(parts)
    pool = Pool(postgres)
    keep = NeonKeep(parts, site.data / "snapshots", pool)

    async def watch() -> None:
        ready = [row["id"] for row in parts.tables.projects.all() if row["status"] == "ready"]
        await parts.activity.look(ready)

    async def tidy() -> None:
        rules.branch_changes.expire()
        rules.snapshots.expire()
        parts.meter.compact()
        async with keep.alone:
            await keep.forget_removed()
            await parts.trash.empty()

    refill = Chore("making spare databases", parts.cluster.refill)
    chores = [refill, Chore("looking at the databases", watch, every=WATCH_SECONDS)]
    chores.append(tidying := Chore("tidying up", tidy, every=TIDY_SECONDS))
    parts.cluster.claimed = refill.wake
    parts.trash.wake = tidying.wake

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        await parts.cluster.prepare()
        parts.accounts.found()
        rules.projects.resume()
        parts.operations.resume()
        behind = [asyncio.create_task(chore.run()) for chore in chores]
        behind.append(asyncio.create_task(pool.sweep()))
        try:
            yield
        finally:
            for task in behind:
                task.cancel()
            await asyncio.gather(*behind, return_exceptions=True)
            await parts.operations.stop()
            await pool.close_idle()
            await parts.cluster.close()
            parts.tables.records.close()

    routes = [
        *operator_routes(site, parts),
        *api_routes(rules),
        *sql_routes(pool, parts.computes, reserved=postgres.superuser),
        *websocket_routes(postgres, parts.computes),
    ]
    handlers = {HTTPException: answer_http_error}
    return app(site, routes, lifespan, view=Viewing(rules).view, keep=keep, exception_handlers=handlers)


def _parts(site: Site, postgres: PostgresServer, spares: int) -> Parts:
    tables = Tables(site.records())
    cluster = Cluster(postgres, spares=spares)
    operations = Operations(site, tables)
    logins = Logins(cluster, tables)
    meter = Meter(site, tables)
    computes = Computes(site, tables, logins, meter, operations)
    return Parts(
        site=site,
        tables=tables,
        cluster=cluster,
        accounts=Accounts(site, tables),
        operations=operations,
        logins=logins,
        meter=meter,
        computes=computes,
        activity=Activity(
            site, tables, cluster=cluster, logins=logins, computes=computes, meter=meter, operations=operations
        ),
        copies=Copies(cluster, computes),
        trash=Trash(site, tables, cluster, logins),
    )
