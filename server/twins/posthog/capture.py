"""Capture: every path and every form in which an SDK delivers events, recordings and telemetry."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.twins.core.auth import bearer
from server.twins.posthog import errors
from server.twins.posthog.event import Request as Captured
from server.twins.posthog.event import request_of, token_problem
from server.twins.posthog.payload import LARGEST_BODY, inflate, read, received

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from server.twins.posthog.state import Project

    Handler = Callable[[Request], Awaitable[Response]]

PATHS = ("/e", "/i/v0/e", "/capture", "/track", "/engage", "/batch", "/i/v0/ai/batch")
TELEMETRY = ("/i/v1/logs", "/i/v1/metrics", "/i/v1/traces")
LARGEST_RECORDING = 25 * 1024 * 1024
_MILLISECONDS_SINCE_2020 = 1_577_836_800_000


class Capture:
    def __init__(self, project: Project) -> None:
        self._project = project

    def routes(self) -> list[Route]:
        return [
            *(route for path in PATHS for route in both(path, self._capture, "GET", "POST", "OPTIONS")),
            *both("/s", self._recording, "GET", "POST", "OPTIONS"),
            *(route for path in TELEMETRY for route in both(path, self._telemetry, "POST")),
        ]

    async def _capture(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return JSONResponse({"status": "Ok"})
        captured, _ = await self._read(request, LARGEST_BODY)
        self._project.capture(captured)
        return _taken(request)

    async def _recording(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return JSONResponse({"status": "Ok"})
        captured, size = await self._read(request, LARGEST_RECORDING)
        self._project.record(captured, size)
        if "recordings" in self._project.limited():
            return JSONResponse({"status": "Ok", "quota_limited": ["recordings"]})
        return _taken(request)

    async def _read(self, request: Request, limit: int) -> tuple[Captured, int]:
        raw = await received(request, limit)
        captured = request_of(read(raw, request.headers, request.query_params), request.url.path)
        if captured.sent_at is None and (sent_at := _sent_at(request)):
            captured = Captured(captured.events, captured.token, sent_at)
        return captured, len(raw)

    async def _telemetry(self, request: Request) -> Response:
        """OpenTelemetry in JSON: looked at, and not kept."""
        token = bearer(request) or request.query_params.get("token", "")
        if problem := token_problem(token):
            raise errors.bad_token(problem)
        raw = await received(request)
        inflate(raw, request.headers.get("content-encoding", ""), LARGEST_BODY)
        return JSONResponse({})


def both(path: str, handler: Handler, *methods: str) -> list[Route]:
    """With and without a slash at the end; a redirect between them would cost a browser its POST body."""
    return [Route(path + slash, handler, methods=[*methods]) for slash in ("", "/")]


def _taken(request: Request) -> Response:
    if request.query_params.get("beacon") == "1":
        return Response(status_code=204)
    return JSONResponse({"status": "Ok"})


def _sent_at(request: Request) -> datetime | None:
    """posthog-js says in the query when it sent, in milliseconds; older ones in seconds, which are not believed."""
    written: Any = request.query_params.get("_", "")
    if not written.isdecimal() or not _MILLISECONDS_SINCE_2020 < int(written) < _MILLISECONDS_SINCE_2020 * 10:
        return None
    return datetime.fromtimestamp(int(written) / 1000, UTC)
