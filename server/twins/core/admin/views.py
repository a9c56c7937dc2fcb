"""`/_twin/`: the page for a person, and what it draws."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from starlette.responses import FileResponse, JSONResponse, RedirectResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from server.twins.core.errors import WireError
from server.twins.core.faults import Fault
from server.twins.core.view import PAGE, Table

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.core.admin import On
    from server.twins.core.site import Site
    from server.twins.core.view import Viewer


def view_routes(site: Site, view: Viewer, on: On) -> list[BaseRoute]:
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
        *([Table("Faults ordered", ["Id", "Requests", "What happens"], ordered)] if ordered else []),
        *([Table("Faults met", ["Id", "Request"], met[:50])] if met else []),
    ]


def _effect(fault: Fault) -> str:
    when = {"id", "method", "path"}
    changed = {name: value for name, value in asdict(fault).items() if name not in when and value != _PLAIN[name]}
    return ", ".join(f"{name}={value}" for name, value in changed.items())


_PLAIN = asdict(Fault())
