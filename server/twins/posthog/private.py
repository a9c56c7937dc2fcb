"""The private API's door: a key that is not public, its scope, its share of calls, and pages of results.

Source: PostHog docs "API overview"; the order of the checks is REST framework's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from starlette.routing import Route

from server.twins.posthog import errors
from server.twins.posthog.json_text import parsed
from server.twins.posthog.payload import received
from server.twins.posthog.state import PROJECT_ID

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from server.twins.posthog.limits import Kind, Limits
    from server.twins.posthog.state import Project

    Handler = Callable[[Request], Awaitable[Response]]

Doc = dict[str, Any]

LARGEST_BODY = 2 * 1024 * 1024
DEFAULT_PAGE, LARGEST_PAGE = 100, 1000
_SAFE = ("GET", "HEAD")
_FOR_SECRET_KEYS = ("local_evaluation", "remote_config")
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Door:
    def __init__(self, project: Project, limits: Limits) -> None:
        self._project = project
        self._limits = limits

    def routes(self, path: str, what: str, kind: Kind, handlers: Mapping[str, Handler]) -> list[Route]:
        """`path` inside the project, under both of the names it has; `what` is the object of its scopes."""
        open_door = self._guard(what, kind, handlers)
        # Who calls is asked before what may be called, so the door refuses the other methods itself.
        others = [method for method in _METHODS if method not in handlers]
        return [
            Route(f"/api/{name}/{{project_id}}{path}{slash}", open_door, methods=methods, include_in_schema=told)
            for name in ("projects", "environments")
            for slash in ("", "/")
            for methods, told in (([*handlers], True), (others, False))
            if methods
        ]

    def _guard(self, what: str, kind: Kind, handlers: Mapping[str, Handler]) -> Handler:
        async def guarded(request: Request) -> Response:
            key = self._project.keys.caller(request)
            if request.path_params["project_id"] not in ("@current", str(PROJECT_ID)):
                raise errors.not_found("Project not found.")
            if kind == "query" or request.method in _SAFE:
                if not (key.is_secret and kind in _FOR_SECRET_KEYS):
                    key.demand(f"{what}:read")
            else:
                key.demand(f"{what}:write")
            self._limits.take(kind, key.digest)
            handler = handlers.get("GET" if request.method == "HEAD" else request.method)
            if handler is None:
                raise errors.method_not_allowed(f'Method "{request.method}" not allowed.')
            return await handler(request)

        return guarded


async def body_of(request: Request) -> Doc:
    raw = await received(request, LARGEST_BODY)
    try:
        found: Any = parsed(raw or b"{}")
    except ValueError as error:
        raise errors.malformed(f"JSON parse error - {error}") from None
    if not isinstance(found, dict):
        raise errors.invalid(
            f"Invalid data. Expected a dictionary, but got {type(found).__name__}.", "non_field_errors"
        )
    return cast("Doc", found)


def page_of(request: Request) -> tuple[int, int]:
    """Limit and offset; nonsense is taken for the default."""
    limit, offset = (request.query_params.get(name, "") for name in ("limit", "offset"))
    size = min(int(limit), LARGEST_PAGE) if limit.isdecimal() and int(limit) else DEFAULT_PAGE
    return size, int(offset) if offset.isdecimal() else 0


def page(request: Request, results: list[Doc], limit: int, offset: int, total: int) -> Doc:
    """One page, and where the ones beside it are."""
    return {
        "count": total,
        "next": _at(request, limit, offset + limit) if offset + limit < total else None,
        "previous": _at(request, limit, max(0, offset - limit)) if offset else None,
        "results": results,
    }


def _at(request: Request, limit: int, offset: int) -> str:
    query = {**request.query_params, "limit": limit, "offset": offset}
    return f"{request.url.replace(query='')}?{urlencode(query)}"
