"""`/api/projects/{id}/query`: HogQL, and the events query that is written as a list of columns and conditions.

Source: PostHog docs "Queries" and "API queries". Results are never cached and always ready.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from starlette.responses import JSONResponse, Response

from server.twins.core import WireError, ids
from server.twins.posthog import errors
from server.twins.posthog.events_query import events_query
from server.twins.posthog.hogql import HogQLError, parse, run
from server.twins.posthog.hogql.nodes import Select
from server.twins.posthog.hogql.printer import printed_query
from server.twins.posthog.hogql.run import TooLong
from server.twins.posthog.private import body_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import Route

    from server.twins.posthog.hogql.nodes import Query
    from server.twins.posthog.private import Door
    from server.twins.posthog.state import Project

Doc = dict[str, Any]

DEFAULT_ROWS, MOST_ROWS = 100, 50_000
AT_ONCE = 3
KINDS = ("HogQLQuery", "EventsQuery")


class QueryApi:
    def __init__(self, project: Project, door: Door) -> None:
        self._project = project
        self._door = door
        self._places = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> list[Route]:
        return self._door.routes("/query", "query", "query", {"POST": self._query})

    async def _query(self, request: Request) -> Response:
        body = await body_of(request)
        asked: Any = body.get("query")
        if not isinstance(asked, dict):
            raise errors.invalid("This field is required.", "query", "required")
        query = cast("Doc", asked)
        kind = query.get("kind")
        if kind not in KINDS:
            raise errors.invalid(f"Unsupported query kind: {kind}. This local PostHog knows {' and '.join(KINDS)}.")
        try:
            meant = _hogql(query) if kind == "HogQLQuery" else events_query(query)
            return JSONResponse(await self._answer(query, meant, body.get("client_query_id")))
        except HogQLError as error:
            raise errors.invalid(str(error)) from None
        except TooLong:
            raise _too_long() from None

    async def _answer(self, asked: Doc, meant: Query, query_id: Any) -> Doc:
        limit = min(meant.limit if isinstance(meant, Select) and meant.limit is not None else DEFAULT_ROWS, MOST_ROWS)
        if isinstance(meant, Select):
            meant = replace(meant, limit=limit + 1)
        began = time.monotonic()
        async with self._places:
            found = await asyncio.to_thread(run, meant, self._project.store.path, self._project.now(), limit + 1)
        now = self._project.now().isoformat().replace("+00:00", "Z")
        shown = replace(meant, limit=limit) if isinstance(meant, Select) else meant
        return {
            "cache_key": f"cache_{ids.lower(32)}",
            "calculation_trigger": None,
            "clickhouse": None,
            "columns": found.columns,
            "error": None,
            "explain": None,
            "hasMore": len(found.rows) > limit,
            "hogql": printed_query(shown),
            "is_cached": False,
            "last_refresh": now,
            "limit": limit,
            "metadata": None,
            "modifiers": {},
            "next_allowed_client_refresh": now,
            "offset": (meant.offset if isinstance(meant, Select) else None) or 0,
            "query": asked.get("query"),
            "query_status": None,
            "results": found.rows[:limit],
            "timezone": "UTC",
            "timings": [{"k": ".", "t": round(time.monotonic() - began, 6)}],
            "types": [list(pair) for pair in found.types],
            **({"query_id": query_id} if query_id else {}),
        }


def _hogql(query: Doc) -> Query:
    text = query.get("query")
    values: Doc = query.get("values") or {}
    if not isinstance(text, str) or not text.strip():
        raise errors.invalid("This field is required.", "query.query", "required")
    plain = (str, int, float, bool, type(None))
    return parse(text, {name: value for name, value in values.items() if isinstance(value, plain)})


def _too_long() -> WireError:
    detail = "Query has hit the max execution time before completing. "
    detail += "See our docs for how to improve your query performance."
    return WireError(504, {"type": "server_error", "code": "clickhouse_query_timeout", "detail": detail, "attr": None})
