"""Neon API v2 under `/api/v2`. Each area's routes are in a file of their own; here they get their guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from starlette.routing import BaseRoute, Mount, Route

from server.twins.neon.account_routes import AccountRoutes
from server.twins.neon.branch_routes import BranchRoutes
from server.twins.neon.consumption_routes import ConsumptionRoutes
from server.twins.neon.endpoint_routes import EndpointRoutes
from server.twins.neon.errors import request_id, unavailable
from server.twins.neon.key_routes import KeyRoutes
from server.twins.neon.limits import Limits
from server.twins.neon.pool import PoolBusy
from server.twins.neon.project_routes import ProjectRoutes
from server.twins.neon.role_routes import RoleRoutes
from server.twins.neon.snapshot_routes import SnapshotRoutes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from server.twins.neon.accounts import Caller
    from server.twins.neon.state import Rules

    Handler = Callable[[Request, Caller], Awaitable[Response]]

AREAS = (
    AccountRoutes,
    KeyRoutes,
    ConsumptionRoutes,
    ProjectRoutes,
    BranchRoutes,
    EndpointRoutes,
    RoleRoutes,
    SnapshotRoutes,
)


def api_routes(rules: Rules) -> list[BaseRoute]:
    limits = Limits(rules.parts.site)
    table = [entry for area in AREAS for entry in area(rules).table]
    routes = [Route(path, _guarded(rules, limits, f"{verb} {path}", do), methods=[verb]) for verb, path, do in table]
    return [Mount("/api/v2", routes=routes)]


def _guarded(rules: Rules, limits: Limits, route: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Who calls, how often they may, and what is said while PostgreSQL is away."""

    async def guarded(request: Request) -> Response:
        request_id.set(request.headers.get("x-request-id", ""))
        caller = rules.parts.accounts.caller(request)
        limits.take(caller.account, route)
        try:
            return await handler(request, caller)
        except (psycopg.OperationalError, PoolBusy):
            raise unavailable() from None

    return guarded
