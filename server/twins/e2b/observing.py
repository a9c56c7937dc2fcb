"""Control routes that only look: a sandbox's metrics and its logs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from server.errors import StackError
from server.twins.e2b.errors import FileTrouble, wire
from server.twins.e2b.guard import number
from server.twins.e2b.logs import LEVELS

if TYPE_CHECKING:
    from starlette.requests import Request

    from server.twins.e2b.guard import Handler
    from server.twins.e2b.logs import Entry, Level
    from server.twins.e2b.metrics import Metrics, Sample
    from server.twins.e2b.state import Sandboxes

LOGS = 1000
MANY = 100
FRESH = 1.0
"""Seconds; a younger sample is not taken anew."""


class Observing:
    def __init__(self, sandboxes: Sandboxes, metrics: Metrics) -> None:
        self._sandboxes = sandboxes
        self._metrics = metrics

    def table(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/sandboxes/metrics", self.metrics_of_many),  # before `/sandboxes/{id}`, which it would match
            ("GET", "/sandboxes/{id}/metrics", self.metrics),
            ("GET", "/sandboxes/{id}/logs", self.logs_v1),
            ("GET", "/v2/sandboxes/{id}/logs", self.logs),
        ]

    async def metrics(self, request: Request) -> Response:
        record = self._sandboxes.get(request.path_params["id"])
        query = request.query_params
        start, end = number(request, "start", 0), number(request, "end", 0)
        if start and end and start > end:
            raise wire(400, "start time cannot be after end time")
        await self._refresh(record.id)
        found = self._metrics.between(record.id, start or None, end if query.get("end") else None)
        return JSONResponse([sample.wire(record.cpus, record.memory_mb) for sample in found])

    async def metrics_of_many(self, request: Request) -> Response:
        asked = [name for name in request.query_params.get("sandbox_ids", "").split(",") if name]
        if not asked or len(asked) > MANY:
            raise wire(400, f"Between 1 and {MANY} sandbox_ids are needed")
        known = {record.id: record for record in self._sandboxes.all()}
        found: dict[str, object] = {}
        for name in asked:
            if (record := known.get(name)) is not None and (sample := await self._refresh(name)) is not None:
                found[name] = sample.wire(record.cpus, record.memory_mb)
        return JSONResponse({"sandboxes": found})

    async def _refresh(self, sandbox_id: str) -> Sample | None:
        """The latest sample, a new one if it is old and the sandbox is there to be measured."""
        latest, machine = self._metrics.latest(sandbox_id), self._sandboxes.up.get(sandbox_id)
        if machine is None or machine.record.state != "running":
            return latest
        if latest is None or (self._sandboxes.site.clock() - latest.at).total_seconds() > FRESH:
            with contextlib.suppress(StackError, FileTrouble, OSError):
                return await self._metrics.now(self._sandboxes, machine)
        return latest

    async def logs_v1(self, request: Request) -> Response:
        found = self._of(request)
        start = number(request, "start", 0)
        part = [entry for entry in found if entry.milliseconds >= start][: number(request, "limit", LOGS)]
        lines = [{"timestamp": entry.at.isoformat(), "line": entry.message} for entry in part]
        return JSONResponse({"logs": lines, "logEntries": [entry.wire() for entry in part]})

    async def logs(self, request: Request) -> Response:
        query = request.query_params
        level, direction = query.get("level", "debug"), query.get("direction", "forward")
        if level not in LEVELS or direction not in ("forward", "backward"):
            raise wire(400, "Error when parsing query parameters 'level' and 'direction'")
        found = self._of(request, level, query.get("search", ""))
        limit = number(request, "limit", LOGS, most=LOGS)
        cursor = number(request, "cursor", 0)
        if direction == "backward":
            found = [entry for entry in reversed(found) if not cursor or entry.milliseconds <= cursor]
        else:
            found = [entry for entry in found if entry.milliseconds >= cursor]
        return JSONResponse({"logs": [entry.wire() for entry in found[:limit]]})

    def _of(self, request: Request, least: Level = "debug", search: str = "") -> list[Entry]:
        record = self._sandboxes.get(request.path_params["id"])
        return self._sandboxes.log(record.id).entries(least=least, search=search)
