"""Error bodies of the Neon API v2: `{"request_id", "code", "message"}`, `code` mostly empty (schema GeneralError)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from server.twins.core import WireError, ids

if TYPE_CHECKING:
    from starlette.requests import Request


def api_error(status: int, message: str, *, code: str = "") -> WireError:
    return WireError(status, {"request_id": ids.uuid(), "code": code, "message": message})


def unauthorized() -> WireError:
    """The same for a missing credential and a wrong one."""
    return api_error(401, "supplied credentials do not pass authentication")


def not_found(what: str) -> WireError:
    return api_error(404, f"{what} not found")


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Unknown paths and methods, which the router reports as an HTTPException."""
    status: int = getattr(error, "status_code", 500)
    if not request.url.path.startswith("/api/"):
        return JSONResponse({"message": "query is not supported"}, 400)
    message = {404: "this route does not exist", 405: "method not allowed"}.get(status, "internal error")
    return api_error(status, message).response()
