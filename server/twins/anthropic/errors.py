"""Errors as the Messages API writes them: a type, a sentence, and the request's id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from server.twins.core import WireError, ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def request_id() -> str:
    return ids.token("req_01", 22)


def body(status: int, message: str, request: str) -> dict[str, Any]:
    kind = TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request}


def error(status: int, message: str) -> WireError:
    request = request_id()
    return WireError(status, body(status, message, request), {"request-id": request})


def invalid(message: str) -> WireError:
    return error(400, message)


def handlers() -> dict[Any, Callable[..., Any]]:
    """For what no route raised: an unknown path, a wrong method, a fault of the twin's own."""

    async def http(_request: Request, problem: Exception) -> Response:
        status = problem.status_code if isinstance(problem, HTTPException) else 500
        told = "Not Found" if status == 404 else "Internal server error" if status == 500 else "Bad request"  # noqa: PLR2004
        request = request_id()
        return JSONResponse(body(status, told, request), status, {"request-id": request})

    return {HTTPException: http, 500: http}
