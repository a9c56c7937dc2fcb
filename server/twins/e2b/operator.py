"""The twin's own door: every sandbox there is, whoever asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.twins.core.admin import admin_only

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.core import Site
    from server.twins.e2b.state import Sandboxes


def operator_routes(site: Site, sandboxes: Sandboxes) -> list[Route]:
    async def list_sandboxes(_request: Request) -> Response:
        return JSONResponse(
            [
                {
                    "sandbox_id": record.id,
                    "metadata": record.metadata,
                    "state": record.state,
                    "door": f"http://127.0.0.1:{record.door}",
                }
                for record in sandboxes.all()
            ]
        )

    return [Route("/_twin/sandboxes", admin_only(site, list_sandboxes), methods=["GET"])]
