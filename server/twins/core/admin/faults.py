"""`/_twin/faults`, `/_twin/held` and `/_twin/release`: what shall go wrong, and what has."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response

from server.twins.core.errors import WireError
from server.twins.core.faults import Fault

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from server.twins.core.admin import On
    from server.twins.core.site import Site


def fault_routes(site: Site, on: On) -> list[BaseRoute]:
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
