"""Answers a caller may have already: marked, and not sent again."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from starlette.responses import Response

from server.twins.github.call import Json

if TYPE_CHECKING:
    from starlette.requests import Request


def conditional(request: Request, response: Response) -> Response:
    """With its entity tag, or as 304 where the caller has it already."""
    if request.method not in ("GET", "HEAD") or response.status_code != 200 or not isinstance(response, Json):  # noqa: PLR2004
        return response
    tag = f'"{sha256(bytes(response.body)).hexdigest()}"'
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    dated = response.headers.get("last-modified")
    # An entity tag is the surer of the two (RFC 9110, 13.2.2).
    if tag in known or (not any(known) and dated and request.headers.get("if-modified-since") == dated):
        response = Response(status_code=304, headers={"Last-Modified": dated} if dated else None)
    response.headers["ETag"] = f"W/{tag}"
    return response
