"""Puts the twin together from its parts."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.envd.filesystem.filesystem_connect import FilesystemASGIApplication
from e2b.envd.process.process_connect import ProcessASGIApplication
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.errors import StackError
from server.twins.core import app as twin
from server.twins.core.admin import admin_only
from server.twins.e2b import certificates, control, files, namespaces
from server.twins.e2b import tier as tiers
from server.twins.e2b.errors import NOT_FOUND, NoSandbox, proxy_error, wire
from server.twins.e2b.filesystem import FilesystemService
from server.twins.e2b.machine import TLS_PORT, Machine, Machines, Setup
from server.twins.e2b.preview import Preview, addressed
from server.twins.e2b.process import ProcessService
from server.twins.e2b.relay import Target
from server.twins.e2b.state import Record, Sandboxes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from server.local.home import Home
    from server.twins.core import Site
    from server.twins.e2b.guest import Guest
    from server.twins.e2b.process import Processes


def assemble(
    site: Site,
    *,
    home: Home,
    node: Path,
    services: Mapping[str, int],
    environment: Mapping[str, str],
    registry: str | None,
    tier: tiers.Tier | None,
    environ: Mapping[str, str] | None,
) -> Starlette:
    environ = os.environ if environ is None else environ
    # Readable by the sandboxes' user, which the folders of ours may not be.
    if (home.stack / "node" / "bin" / "node").exists():
        node = home.stack / "node"
    setup = _setup(site, home, node, services, environment, registry, tier, environ)
    sandboxes = Sandboxes(site, site.records(), Machines(setup))
    front = _Front(sandboxes)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncGenerator[None]:
        async with sandboxes.living():
            yield

    async def list_sandboxes(_request: Request) -> Response:
        return JSONResponse([_admin_view(record) for record in sandboxes.all()])

    routes = [
        *control.routes(site, sandboxes),
        Route("/health", front.health, methods=["GET"]),
        *files.routes(front.for_files),
        Route("/_twin/sandboxes", admin_only(site, list_sandboxes), methods=["GET"]),
    ]
    middleware = [Middleware(Preview, find=sandboxes.machine), Middleware(_Envd, front=front)]
    handlers = {404: _no_route, 405: _no_route}
    return twin(site, routes, lifespan, middleware=middleware, exception_handlers=handlers)


def _setup(  # noqa: PLR0917 - private, called once
    site: Site,
    home: Home,
    node: Path,
    services: Mapping[str, int],
    environment: Mapping[str, str],
    registry: str | None,
    tier: tiers.Tier | None,
    environ: Mapping[str, str],
) -> Setup:
    home.stack.mkdir(parents=True, exist_ok=True)
    site.data.mkdir(parents=True, exist_ok=True)
    tier = tier or _probed(home, environ)
    made = certificates.prepare(site.data / "authority", home.stack / "certificates.pem", environ)
    targets = {
        TLS_PORT if name == "neon" else port: Target("127.0.0.1", port, tls=name == "neon")
        for name, port in services.items()
    }
    template = home.template
    parts = namespaces.Parts(
        bwrap=tier.bwrap or home.stack,
        node=node,
        modules=template / "app" / "node_modules",
        opt=template / "opt",
        certificates=made.bundle,
        overlay=tier.overlay,
    )
    return Setup(
        home=home,
        tier=tier,
        parts=parts,
        services=targets,
        environment=environment,
        registry=registry,
        chain=made.chain,
        environ=environ,
        pid_file=site.data / "supervisor.pid",
    )


def _probed(home: Home, environ: Mapping[str, str]) -> tiers.Tier:
    found = tiers.probe(home.stack / "bubblewrap")
    if found.name == "weak" and environ.get("MK0R_WEAK_SANDBOX") != "1":
        raise StackError(
            f"This machine cannot isolate a sandbox: {found.reason}.",
            next_action=f"{found.remedy} Or set MK0R_WEAK_SANDBOX=1 to go on with weaker isolation.",
        )
    return found


class _Front:
    """From a request to its sandbox: by the SDK's header or by the host name, and with its token."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes

    async def _machine(self, sandbox_id: str, token: str) -> Machine | None:
        """A running sandbox, or `None` for a wrong token, which brings nothing up."""
        if not self._sandboxes.opens(sandbox_id, token):
            return None
        return await self._sandboxes.machine(sandbox_id)

    async def for_rpc(self, ctx: Any) -> Machine:
        headers = ctx.request_headers
        name = headers.get("e2b-sandbox-id") or headers.get("host", "").partition("-")[2].partition(".")[0]
        try:
            machine = await self._machine(name, headers.get("x-access-token", ""))
        except NoSandbox:
            raise ConnectError(Code.UNAVAILABLE, NOT_FOUND) from None
        except StackError as error:
            raise ConnectError(Code.INTERNAL, error.message) from None
        if machine is None:
            raise ConnectError(Code.UNAUTHENTICATED, "unauthorized access, please provide a valid access token")
        return machine

    async def health(self, request: Request) -> Response:
        """Whether a sandbox is running. Asking does not bring one up: the SDK asks after one that has just died."""
        name = _named(request)
        if not self._sandboxes.is_running(name):
            raise proxy_error(name, NOT_FOUND)
        return Response(status_code=204)

    async def for_files(self, request: Request) -> Guest:
        name = _named(request)
        try:
            machine = await self._machine(name, request.headers.get("x-access-token", ""))
        except NoSandbox:
            raise proxy_error(name, NOT_FOUND) from None
        except StackError as error:
            raise wire(500, error.message) from None
        if machine is None:
            raise wire(401, "unauthorized access, please provide a valid access token or method signing if supported")
        return machine.guest

    async def processes(self, ctx: Any) -> Processes:
        return (await self.for_rpc(ctx)).processes

    async def guest(self, ctx: Any) -> Guest:
        return (await self.for_rpc(ctx)).guest


def _named(request: Request) -> str:
    """The sandbox a request is for: the SDK's header says, or the host name."""
    place = addressed(request.scope)
    return request.headers.get("e2b-sandbox-id") or (place[1] if place else "")


class _Envd:
    """The Connect services, by path, in front of the other routes."""

    def __init__(self, app: ASGIApp, front: _Front) -> None:
        self._app = app
        self._services: dict[str, Any] = {
            "process.Process": ProcessASGIApplication(cast("Any", ProcessService(front.processes))),
            "filesystem.Filesystem": FilesystemASGIApplication(cast("Any", FilesystemService(front.guest))),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = scope["type"] == "http" and self._services.get(scope["path"].split("/")[1])
        await (service or self._app)(scope, receive, send)


async def _no_route(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    said = "no matching operation was found" if status == 404 else "method not allowed"  # noqa: PLR2004
    return JSONResponse({"code": status, "message": said}, status)


def _admin_view(record: Record) -> dict[str, Any]:
    return {
        "sandbox_id": record.id,
        "metadata": record.metadata,
        "state": record.state,
        "door": f"http://127.0.0.1:{record.door}",
    }
