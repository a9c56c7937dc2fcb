"""Puts the twin together from its parts."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from e2b.envd.filesystem.filesystem_connect import FilesystemASGIApplication
from e2b.envd.process.process_connect import ProcessASGIApplication
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response

from server.twins.core import WireError
from server.twins.core import app as twin
from server.twins.e2b import envd, files
from server.twins.e2b.builds import Builder
from server.twins.e2b.filesystem import FilesystemService
from server.twins.e2b.front import Front
from server.twins.e2b.guard import Guard
from server.twins.e2b.keep import Kept
from server.twins.e2b.life import living
from server.twins.e2b.limits import Limits, chosen
from server.twins.e2b.machines import Machines
from server.twins.e2b.metrics import Metrics
from server.twins.e2b.operator import operator_routes
from server.twins.e2b.preview import Preview
from server.twins.e2b.process_service import ProcessService
from server.twins.e2b.routes import control_routes
from server.twins.e2b.setup import setup
from server.twins.e2b.state import Sandboxes
from server.twins.e2b.uploads import Uploads
from server.twins.e2b.view import Viewing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from server.local.home import Home
    from server.twins.core import Site
    from server.twins.e2b.guards import Guards
    from server.twins.e2b.tier import Tier


def assemble(
    site: Site,
    *,
    home: Home,
    node: Path,
    services: Mapping[str, int],
    environment: Mapping[str, str],
    registry: str | None,
    tier: Tier | None,
    environ: Mapping[str, str] | None,
    guards: Guards | None,
) -> Starlette:
    environ = os.environ if environ is None else environ
    # Readable by the sandboxes' user, which the folders of ours may not be.
    if (home.stack / "node" / "bin" / "node").exists():
        node = home.stack / "node"
    base = setup(site, home, node, services, environment, registry, tier, environ)
    machines = Machines(base if guards is None else replace(base, guards=guards))
    records = site.records()
    metrics, uploads = Metrics(site), Uploads(site)
    sandboxes = Sandboxes(site, records, machines, Limits(site, chosen(environ)))
    builder, front = Builder(sandboxes, uploads.folder), Front(sandboxes)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncGenerator[None]:
        async with living(sandboxes, metrics, builder):
            yield

    routes = [
        *control_routes(Guard(site, sandboxes.limits), sandboxes, metrics, builder, uploads),
        *envd.routes(front, sandboxes, metrics),
        *files.routes(front.for_files),
        *operator_routes(site, sandboxes),
    ]
    middleware = [Middleware(Preview, sandboxes=sandboxes), Middleware(_Envd, front=front)]
    handlers = {404: _no_route, 405: _no_route}
    return twin(
        site,
        routes,
        lifespan,
        view=Viewing(sandboxes, metrics, builder).view,
        keep=Kept(sandboxes, builder, uploads),
        middleware=middleware,
        exception_handlers=handlers,
    )


class _Envd:
    """The Connect services, by path, in front of the other routes; each call is admitted first. Like a sandbox's
    files they may be asked for by any page, for it is the token that opens them."""

    def __init__(self, app: ASGIApp, front: Front) -> None:
        self._app = app
        self._front = front
        self._services: dict[str, Any] = {
            "process.Process": ProcessASGIApplication(cast("Any", ProcessService(front.processes))),
            "filesystem.Filesystem": FilesystemASGIApplication(cast("Any", FilesystemService(front.for_rpc))),
        }
        all_of = ["*"]
        self._shared = CORSMiddleware(self._serve, allow_origins=all_of, allow_methods=all_of, allow_headers=all_of)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = scope["path"].split("/")[1] if scope["type"] == "http" else ""
        await (self._shared if first in (*self._services, "files") else self._app)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._services.get(scope["path"].split("/")[1])
        if service:
            try:
                await self._front.admit(scope)
            except WireError as error:
                service = error.response()
        await (service or self._app)(scope, receive, send)


async def _no_route(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    said = "no matching operation was found" if status == 404 else "method not allowed"  # noqa: PLR2004
    return JSONResponse({"code": status, "message": said}, status)
