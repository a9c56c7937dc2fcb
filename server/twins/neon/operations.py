"""Operations: what a call sets going behind its answer, in order, and can be asked about until it is over.

A call's operations are one chain; while one runs, the project takes no other (423). Each is written down
with what it does before it begins, and does the same when it is done twice, so a restarted twin goes on.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING

import psycopg

from server.twins.core import ids
from server.twins.neon.documents import timestamp
from server.twins.neon.errors import locked, not_found
from server.twins.neon.pool import PoolBusy
from server.twins.neon.rows import OperationRow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.twins.core import Site
    from server.twins.neon.rows import Doc
    from server.twins.neon.tables import Tables

log = logging.getLogger(__name__)
GOING_ON = ("scheduling", "running", "failed")
RETRY_SECONDS = 2.0
ATTEMPTS = 5
"""After so many failures an operation is given up. While PostgreSQL is away it is not: that is not its fault."""
KEPT = 1000
"""Operations kept of one project."""


@dataclass(frozen=True)
class Step:
    """One operation of a chain; `work` is `{"do": name, ...}`, or nothing to do."""

    action: str
    branch: str | None = None
    endpoint: str | None = None
    work: Doc | None = None


class Operations:
    def __init__(self, site: Site, tables: Tables) -> None:
        self._site = site
        self._tables = tables
        self._works: dict[str, Callable[[Doc], Awaitable[None]]] = {}
        self._chains: dict[str, asyncio.Task[None]] = {}

    def register(self, name: str, work: Callable[[Doc], Awaitable[None]]) -> None:
        """What `{"do": name, ...}` means."""
        self._works[name] = work

    def check_free(self, project: str) -> None:
        """Raises the vendor's 423 while operations of this project are going on."""
        if self.busy(project):
            raise locked()

    def busy(self, project: str) -> bool:
        return project in self._chains

    def schedule(self, project: str, *steps: Step) -> list[Doc]:
        """Write the chain down and set it going; its operations as they are at this moment."""
        self.check_free(project)
        rows = [self._row(project, step, "running" if first else "scheduling") for step, first in _marked(steps)]
        shown = [{**row["doc"]} for row in rows]
        if rows:
            self._start(project, rows)
        return shown

    def over(self, project: str, *steps: Step, milliseconds: int = 0) -> list[Doc]:
        """Operations that were over before their call was answered."""
        rows = [self._row(project, step, "finished", milliseconds) for step in steps]
        return [{**row["doc"]} for row in rows]

    def resume(self) -> None:
        """Go on with what an earlier run left."""
        waiting: dict[str, list[OperationRow]] = {}
        for row in sorted(self._tables.operations.all(), key=lambda row: row["position"]):
            if row["doc"]["status"] in GOING_ON:
                waiting.setdefault(row["project"], []).append(row)
        for project, rows in waiting.items():
            self._start(project, rows)

    async def stop(self) -> None:
        """End the chains where they are; `resume` goes on with them."""
        going = [*self._chains.values()]
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
        self._chains.clear()

    async def settled(self, project: str) -> None:
        """Returns when nothing is going on in the project."""
        while task := self._chains.get(project):
            await asyncio.wait((task,))

    def get(self, project: str, operation: str) -> OperationRow:
        row = self._tables.operations.get(operation)
        if row is None or row["project"] != project:
            raise not_found("operation")
        return row

    def newest_first(self, project: str) -> list[OperationRow]:
        return sorted(self._tables.operations.by("project", project), key=lambda row: row["position"], reverse=True)

    def _row(self, project: str, step: Step, status: str, milliseconds: int = 0) -> OperationRow:
        now = self._site.clock()
        at = timestamp(now)
        doc: Doc = {
            "id": ids.uuid(),
            "project_id": project,
            **({"branch_id": step.branch} if step.branch else {}),
            **({"endpoint_id": step.endpoint} if step.endpoint else {}),
            "action": step.action,
            "status": status,
            "failures_count": 0,
            "created_at": at,
            "updated_at": at,
            "total_duration_ms": milliseconds,
        }
        position = self._position(project, now.isoformat(timespec="microseconds"))
        row = OperationRow(id=doc["id"], project=project, position=position, doc=doc, work=step.work or {})
        self._tables.operations.put(row)
        return row

    def _position(self, project: str, moment: str) -> str:
        """A cursor: the moment, and a number that keeps operations of one moment in order."""
        rows = self._tables.operations.by("project", project)
        if len(rows) >= KEPT:
            self._tables.operations.delete(min(rows, key=lambda row: row["position"])["id"])
        return f"{moment}~{sum(row['position'].startswith(moment) for row in rows):03d}"

    def _start(self, project: str, rows: list[OperationRow]) -> None:
        task = asyncio.create_task(self._run(project, rows))
        self._chains[project] = task

    async def _run(self, project: str, rows: list[OperationRow]) -> None:
        try:
            given_up = False
            for row in rows:
                if given_up:
                    self._change(row, status="cancelled")
                else:
                    given_up = not await self._carry_out(row)
        finally:
            self._chains.pop(project, None)

    async def _carry_out(self, row: OperationRow) -> bool:
        """Whether it finished; tried again for as long as that can help."""
        self._change(row, status="running")
        began = monotonic()
        while True:
            try:
                await self._meet_fault(row)
                if row["work"]:
                    await self._works[row["work"]["do"]](row["work"])
            except (psycopg.Error, PoolBusy, OSError) as error:
                if not await self._failed(row, error):
                    return False
            except Exception as error:
                log.exception("%s cannot be done", row["doc"]["action"])
                self._change(row, status="error", failures_count=1, error=type(error).__name__)
                return False
            else:
                took = round((monotonic() - began) * 1000)
                self._change(row, status="finished", total_duration_ms=took)
                return True

    async def _failed(self, row: OperationRow, error: Exception) -> bool:
        """Note it and wait for the next attempt; false when there is none."""
        log.warning("%s failed (%s)", row["doc"]["action"], type(error).__name__)
        failures = row["doc"]["failures_count"] + 1
        away = isinstance(error, (psycopg.OperationalError, PoolBusy, OSError))
        if failures >= ATTEMPTS and not away:
            self._change(row, status="error", failures_count=failures, error=str(error).split("\n", 1)[0])
            return False
        again = timestamp(self._site.clock() + timedelta(seconds=RETRY_SECONDS))
        self._change(row, status="failed", failures_count=failures, retry_at=again)
        await asyncio.sleep(RETRY_SECONDS)
        self._change(row, status="running")
        return True

    async def _meet_fault(self, row: OperationRow) -> None:
        """An ordered fault of method `OPERATION` on `/operations/<action>` holds, delays or fails an operation."""
        fault = self._site.faults.take("OPERATION", f"/operations/{row['doc']['action']}")
        if fault is None:
            return
        await self._site.faults.wait(fault)
        if fault.status is not None:
            raise psycopg.InternalError(fault.body or "ordered to fail")

    def _change(self, row: OperationRow, **fields: object) -> None:
        row["doc"] = {**row["doc"], **fields, "updated_at": timestamp(self._site.clock())}
        self._tables.operations.put(row)


def _marked(steps: tuple[Step, ...]) -> list[tuple[Step, bool]]:
    return [(step, number == 0) for number, step in enumerate(steps)]
