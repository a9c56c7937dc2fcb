"""`/_twin/snapshots` and `/_twin/reset`: the whole state put aside, brought back, emptied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from server.twins.core.errors import WireError
from server.twins.core.keep import NAME

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from server.twins.core.admin import On
    from server.twins.core.keep import Snapshots


def snapshot_routes(snapshots: Snapshots, on: On) -> list[BaseRoute]:
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
