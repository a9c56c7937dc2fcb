"""A twin's ASGI app: the vendor's routes, the `/_twin` routes beside them, and the faults in front."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette

from server.twins.core.admin import admin_routes
from server.twins.core.errors import WireError
from server.twins.core.keep import Snapshots
from server.twins.core.meet import meet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send

    from server.twins.core.faults import Faults
    from server.twins.core.keep import Keep
    from server.twins.core.site import Site
    from server.twins.core.view import Viewer


def app(
    site: Site,
    routes: Sequence[BaseRoute],
    lifespan: Callable[[Any], Any] | None = None,
    *,
    view: Viewer | None = None,
    keep: Keep | None = None,
    credentials: Callable[[], Mapping[str, str]] = dict,
    middleware: Sequence[Middleware] = (),
    exception_handlers: Mapping[Any, Callable[..., Any]] | None = None,
) -> Starlette:
    """`credentials`: what opens it beside the operator's key, by the name of an environment variable.
    `exception_handlers` gives 404, 405 and 500 the vendor's bodies; a raised `WireError` is answered as it is."""
    snapshots = Snapshots(keep, site.data / "snapshots") if keep else None
    return Twin(
        site.faults,
        snapshots,
        routes=[*admin_routes(site, view, snapshots, credentials), *routes],
        lifespan=lifespan,
        middleware=middleware,
        exception_handlers={WireError: _answer_wire_error, **(exception_handlers or {})},
    )


async def _answer_wire_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, WireError)  # noqa: S101 - registered for nothing else
    return error.response()


class Twin(Starlette):
    """Starlette with the faults outermost: no middleware may turn a dropped connection into a 500."""

    def __init__(self, faults: Faults, snapshots: Snapshots | None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.faults = faults
        self._snapshots = snapshots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"].startswith("/_twin/"):
            await super().__call__(scope, receive, send)
            return
        if self._snapshots:
            await self._snapshots.opened()
        method = scope.get("method", "WEBSOCKET")
        if fault := self.faults.take(method, scope["path"]):
            await self.faults.wait(fault)
            await meet(fault, super().__call__, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
