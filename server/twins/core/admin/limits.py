"""`/_twin/limits`: what is enforced, and whether."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse

from server.twins.core.errors import WireError
from server.twins.core.limits import Allowance

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from server.twins.core.admin import On
    from server.twins.core.site import Site


def limit_routes(site: Site, on: On) -> list[BaseRoute]:
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
