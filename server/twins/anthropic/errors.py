"""Errors as the Messages API writes them: a type, a sentence, and the request's id (Claude docs, Errors)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from server.twins.anthropic.coverage import absent
from server.twins.core import WireError, ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
SENTENCES = {"api_error": "Internal server error", "overloaded_error": "Overloaded"}
"""What the API says where there is nothing more to say."""
TRY_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504, 529})


def request_id() -> str:
    return ids.token("req_01", 22)


def body(kind: str, message: str, request: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"type": kind, "message": message} | ({"details": details} if details else {})
    return {"type": "error", "error": told, "request_id": request}


def error(
    status: int, message: str, headers: Mapping[str, str] | None = None, details: dict[str, Any] | None = None
) -> WireError:
    request = request_id()
    kind = TYPES.get(status, "api_error")
    return WireError(status, body(kind, message, request, details), {**_headers(status, request), **(headers or {})})


def invalid(message: str, details: dict[str, Any] | None = None) -> WireError:
    return error(400, message, details=details)


def _headers(status: int, request: str) -> dict[str, str]:
    return {"request-id": request, "x-should-retry": "true" if status in TRY_AGAIN else "false"}


def handlers() -> dict[Any, Callable[..., Any]]:
    """For what no route raised: an unknown path, a wrong method, a fault of the twin's own."""

    async def http(request: Request, problem: Exception) -> Response:
        status = problem.status_code if isinstance(problem, HTTPException) else 500
        told = {
            404: absent(request.method, request.url.path) or "Not Found",
            405: "Method Not Allowed",
            500: SENTENCES["api_error"],
        }.get(status, "Bad request")
        refused = error(status, told)
        return JSONResponse(refused.body, status, refused.headers)

    return {HTTPException: http, 500: http}
