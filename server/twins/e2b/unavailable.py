"""What E2B has and this twin has not, refused as E2B refuses a team that may not use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.e2b.errors import wire

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from server.twins.e2b.guard import Handler


def table() -> list[tuple[str, str, Handler]]:
    found: list[tuple[str, str, Handler]] = []
    for path, one, what in (("/secrets", "{id:path}", "Secrets"), ("/volumes", "{id:path}", "Volumes")):
        refuse = _refusing(what)
        found += [(method, path, refuse) for method in ("GET", "POST")]
        found += [(method, f"{path}/{one}", refuse) for method in ("GET", "POST", "DELETE")]
    return found


def _refusing(what: str) -> Handler:
    async def refuse(_request: Request) -> Response:
        raise wire(403, f"{what} are not available for your team.")

    return refuse
