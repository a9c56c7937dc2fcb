"""The `/_twin` routes every twin has. Nothing of a vendor's is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.twins.core.admin.faults import fault_routes
from server.twins.core.admin.limits import limit_routes
from server.twins.core.admin.snapshots import snapshot_routes
from server.twins.core.admin.views import view_routes
from server.twins.core.auth import bearer, same
from server.twins.core.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from server.twins.core.keep import Snapshots
    from server.twins.core.site import Site
    from server.twins.core.view import Viewer

    Handler = Callable[[Request], Awaitable[Response]]
    # A route of a method and a path below `/_twin/`, behind the admin token.
    On = Callable[[str, str, Handler], Route]


def admin_only(site: Site, handler: Handler) -> Handler:
    """`handler`, behind the admin token. For a twin's own `/_twin/*` routes."""

    async def guarded(request: Request) -> Response:
        if not same(bearer(request), site.admin):
            raise WireError(401, {"error": "this route needs the twin's admin token"})
        return await handler(request)

    return guarded


def admin_routes(
    site: Site, view: Viewer | None, snapshots: Snapshots | None, credentials: Callable[[], Mapping[str, str]]
) -> list[BaseRoute]:
    def on(method: str, path: str, handler: Handler) -> Route:
        return Route(f"/_twin/{path}", admin_only(site, handler), methods=[method])

    async def health(_request: Request) -> Response:
        return JSONResponse({"vendor": site.vendor, "ok": True})

    async def list_credentials(_request: Request) -> Response:
        return JSONResponse({**credentials()})

    return [
        Route("/_twin/health", health, methods=["GET"]),
        on("GET", "credentials", list_credentials),
        *fault_routes(site, on),
        *limit_routes(site, on),
        *(view_routes(site, view, on) if view else []),
        *(snapshot_routes(snapshots, on) if snapshots else []),
    ]
