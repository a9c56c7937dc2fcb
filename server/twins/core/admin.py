"""The `/_twin` routes every twin has: health, faults and barriers. Nothing of a vendor's is here."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.twins.core.auth import bearer, same
from server.twins.core.errors import WireError
from server.twins.core.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from server.twins.core.site import Site


def admin_only(site: Site, handler: Callable[[Request], Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
    """`handler`, behind the admin token. For a twin's own `/_twin/*` routes."""

    async def guarded(request: Request) -> Response:
        if not same(bearer(request), site.admin):
            raise WireError(401, {"error": "this route needs the twin's admin token"})
        return await handler(request)

    return guarded


def admin_routes(site: Site) -> list[Route]:
    faults = site.faults
    fault = TypeAdapter(Fault)

    async def health(_request: Request) -> Response:
        return JSONResponse({"vendor": site.vendor, "ok": True})

    async def list_faults(_request: Request) -> Response:
        return JSONResponse({"faults": [asdict(each) for each in faults.list()]})

    async def add_fault(request: Request) -> Response:
        try:
            added = faults.add(fault.validate_json(await request.body()))
        except (ValidationError, re.error) as error:
            raise WireError(422, {"error": str(error)}) from None
        return JSONResponse(asdict(added), 201)

    async def clear_faults(request: Request) -> Response:
        if fault_id := request.query_params.get("id"):
            faults.remove(fault_id)
        else:
            faults.clear()
        return Response(status_code=204)

    async def held(_request: Request) -> Response:
        return JSONResponse({"held": faults.held()})

    async def release(request: Request) -> Response:
        faults.release((await request.json())["name"])
        return Response(status_code=204)

    return [
        Route("/_twin/health", health, methods=["GET"]),
        Route("/_twin/faults", admin_only(site, list_faults), methods=["GET"]),
        Route("/_twin/faults", admin_only(site, add_fault), methods=["POST"]),
        Route("/_twin/faults", admin_only(site, clear_faults), methods=["DELETE"]),
        Route("/_twin/held", admin_only(site, held), methods=["GET"]),
        Route("/_twin/release", admin_only(site, release), methods=["POST"]),
    ]
