"""The twin's own doors: streams that are to break off."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.twins.anthropic.interruptions import Interruption, Interruptions
from server.twins.core import WireError
from server.twins.core.admin import admin_only

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.core import Site


def operator_routes(site: Site, interruptions: Interruptions) -> list[Route]:
    async def order(request: Request) -> Response:
        try:
            ordered = TypeAdapter(Interruption).validate_json(await request.body())
        except ValidationError as problem:
            raise WireError(422, {"error": str(problem)}) from None
        interruptions.order(ordered)
        return JSONResponse(asdict(ordered), 201)

    async def clear(_request: Request) -> Response:
        interruptions.clear()
        return Response(status_code=204)

    return [
        Route("/_twin/stream_errors", admin_only(site, order), methods=["POST"]),
        Route("/_twin/stream_errors", admin_only(site, clear), methods=["DELETE"]),
    ]
