"""Error bodies of the Neon API v2: `{"request_id", "code", "message"}`, `code` mostly empty (schema GeneralError).

The wording of the ones that callers are known to look for is Neon's own.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from server.twins.core import WireError, ids

if TYPE_CHECKING:
    from starlette.requests import Request

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The caller's `X-Request-ID`, which comes back in an error."""


def api_error(status: int, message: str, *, code: str = "") -> WireError:
    return WireError(status, {"request_id": request_id.get() or ids.uuid(), "code": code, "message": message})


def unauthorized() -> WireError:
    """The same for a missing credential and a wrong one."""
    return api_error(401, "supplied credentials do not pass authentication")


def not_found(what: str) -> WireError:
    return api_error(404, f"{what} not found")


def not_for_organizations() -> WireError:
    return api_error(404, "not allowed for organization API keys")


def outside_project(project: str) -> WireError:
    said = "not allowed to perform actions outside the project this key is scoped to"
    return api_error(404, f'{said}; subject_project_id:"{project}"')


def organization_required() -> WireError:
    return api_error(400, "org_id is required, you can find it on your organization settings page")


def locked() -> WireError:
    return api_error(423, "project already has running conflicting operations, scheduling of new ones is prohibited")


def rate_limited() -> WireError:
    return api_error(429, "You've exceeded the rate limit. Please wait a moment and try again.")


def unavailable() -> WireError:
    return api_error(503, "the service is temporarily unavailable")


def exists(what: str, code: str = "", **named: str) -> WireError:
    details = "".join(f'; {name}:"{value}"' for name, value in named.items())
    return api_error(409, f"{what} already exists{details}", code=code)


def limit_exceeded(what: str, whose: str, limit: int, have: int) -> WireError:
    return api_error(
        422, f"{whose} {what} limit of {limit} exceeded, got {have}", code=f"{what.upper()}_LIMIT_EXCEEDED"
    )


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Unknown paths and methods, which the router reports as an HTTPException."""
    status: int = getattr(error, "status_code", 500)
    if not request.url.path.startswith("/api/"):
        return JSONResponse({"message": "query is not supported"}, 400)
    message = {404: "this route does not exist", 405: "method not allowed"}.get(status, "internal error")
    return api_error(status, message).response()
