"""The `/_twin` routes every twin has. Nothing of a vendor's is here."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from server.twins.core.auth import bearer, same
from server.twins.core.errors import WireError
from server.twins.core.faults import Fault
from server.twins.core.keep import NAME
from server.twins.core.limits import Allowance
from server.twins.core.view import PAGE, Table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from server.twins.core.keep import Snapshots
    from server.twins.core.site import Site
    from server.twins.core.view import Viewer

    Handler = Callable[[Request], Awaitable[Response]]


def admin_only(site: Site, handler: Handler) -> Handler:
    """`handler`, behind the admin token. For a twin's own `/_twin/*` routes."""

    async def guarded(request: Request) -> Response:
        if not same(bearer(request), site.admin):
            raise WireError(401, {"error": "this route needs the twin's admin token"})
        return await handler(request)

    return guarded


def admin_routes(site: Site, view: Viewer | None, snapshots: Snapshots | None) -> list[BaseRoute]:
    def on(method: str, path: str, handler: Handler) -> Route:
        return Route(f"/_twin/{path}", admin_only(site, handler), methods=[method])

    async def health(_request: Request) -> Response:
        return JSONResponse({"vendor": site.vendor, "ok": True})

    return [
        Route("/_twin/health", health, methods=["GET"]),
        *_fault_routes(site, on),
        *_limit_routes(site, on),
        *(_view_routes(site, view, on) if view else []),
        *(_snapshot_routes(snapshots, on) if snapshots else []),
    ]


def _fault_routes(site: Site, on: Callable[[str, str, Handler], Route]) -> list[BaseRoute]:
    faults = site.faults
    fault = TypeAdapter(Fault)

    async def list_faults(_request: Request) -> Response:
        return JSONResponse({"faults": [asdict(each) for each in faults.list()]})

    async def add_fault(request: Request) -> Response:
        try:
            added = faults.add(fault.validate_json(await request.body()))
        except (ValidationError, re.error) as error:
            raise WireError(422, {"error": str(error)}) from None
        except OSError:
            raise WireError(501, {"error": "this machine cannot make a listener deaf"}) from None
        return JSONResponse(asdict(added), 201)

    async def clear_faults(request: Request) -> Response:
        if fault_id := request.query_params.get("id"):
            faults.remove(fault_id)
        else:
            faults.clear()
        return Response(status_code=204)

    async def met(_request: Request) -> Response:
        return JSONResponse({"met": [asdict(each) for each in faults.met]})

    async def held(_request: Request) -> Response:
        return JSONResponse({"held": faults.held()})

    async def release(request: Request) -> Response:
        faults.release((await request.json())["name"])
        return Response(status_code=204)

    return [
        on("GET", "faults", list_faults),
        on("POST", "faults", add_fault),
        on("DELETE", "faults", clear_faults),
        on("GET", "faults/met", met),
        on("GET", "held", held),
        on("POST", "release", release),
    ]


def _limit_routes(site: Site, on: Callable[[str, str, Handler], Route]) -> list[BaseRoute]:
    limits = site.limits
    allowances = TypeAdapter(dict[str, Allowance])

    def shown() -> dict[str, Any]:
        return asdict(limits)

    async def list_limits(_request: Request) -> Response:
        return JSONResponse(shown())

    async def change_limits(request: Request) -> Response:
        body = await request.json()
        try:
            changed = allowances.validate_python(body.get("allowances", {}))
        except ValidationError as error:
            raise WireError(422, {"error": str(error)}) from None
        if unknown := changed.keys() - limits.allowances.keys():
            raise WireError(422, {"error": f"no limit is called {', '.join(sorted(unknown))}"})
        limits.enforced = bool(body.get("enforced", limits.enforced))
        limits.allowances.update(changed)
        return JSONResponse(shown())

    return [on("GET", "limits", list_limits), on("PUT", "limits", change_limits)]


def _view_routes(site: Site, view: Viewer, on: Callable[[str, str, Handler], Route]) -> list[BaseRoute]:
    async def show(request: Request) -> Response:
        try:
            shown = await view(request.query_params.get("at", ""))
        except KeyError:
            raise WireError(404, {"error": "nothing to see there"}) from None
        if not request.query_params.get("at"):
            shown = replace(shown, blocks=[*shown.blocks, *_disorder(site)])
        return JSONResponse(asdict(shown))

    async def page(_request: Request) -> Response:
        policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self';"
        headers = {"content-security-policy": policy + " img-src data:; frame-src 'self'", "cache-control": "no-store"}
        return FileResponse(PAGE / "index.html", headers=headers)

    async def to_page(_request: Request) -> Response:
        return RedirectResponse("/_twin/")

    return [
        on("GET", "view", show),
        Route("/_twin", to_page),
        Route("/_twin/", page),
        Mount("/_twin/page", StaticFiles(directory=PAGE)),
    ]


def _disorder(site: Site) -> list[Table]:
    """What was ordered to go wrong and whom it met, under every front page while there is any."""
    ordered = [[fault.id, f"{fault.method} {fault.path}", _effect(fault)] for fault in site.faults.list()]
    met = [[each.fault, f"{each.method} {each.path}"] for each in reversed(site.faults.met)]
    return [
        *([Table("Faults ordered", ["id", "requests", "what happens"], ordered)] if ordered else []),
        *([Table("Faults met", ["id", "request"], met[:50])] if met else []),
    ]


def _effect(fault: Fault) -> str:
    when = {"id", "method", "path"}
    changed = {name: value for name, value in asdict(fault).items() if name not in when and value != _PLAIN[name]}
    return ", ".join(f"{name}={value}" for name, value in changed.items())


_PLAIN = asdict(Fault())


def _snapshot_routes(snapshots: Snapshots, on: Callable[[str, str, Handler], Route]) -> list[BaseRoute]:
    def named(request: Request) -> str:
        return request.path_params["name"]

    async def list_all(_request: Request) -> Response:
        return JSONResponse({"snapshots": snapshots.list()})

    async def take(request: Request) -> Response:
        name = str((await request.json()).get("name", ""))
        if not NAME.fullmatch(name):
            raise WireError(422, {"error": "a snapshot's name is lower-case letters, digits and dashes, at most 40"})
        try:
            await snapshots.take(name)
        except FileExistsError:
            raise WireError(409, {"error": "there is a snapshot of this name"}) from None
        return JSONResponse({"name": name}, 201)

    async def restore(request: Request) -> Response:
        try:
            await snapshots.restore(named(request))
        except FileNotFoundError:
            raise WireError(404, {"error": "there is no snapshot of this name"}) from None
        return Response(status_code=204)

    async def remove(request: Request) -> Response:
        await snapshots.remove(named(request))
        return Response(status_code=204)

    async def reset(_request: Request) -> Response:
        await snapshots.reset()
        return Response(status_code=204)

    return [
        on("GET", "snapshots", list_all),
        on("POST", "snapshots", take),
        on("POST", "snapshots/{name:str}/restore", restore),
        on("DELETE", "snapshots/{name:str}", remove),
        on("POST", "reset", reset),
    ]
