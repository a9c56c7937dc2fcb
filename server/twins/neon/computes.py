"""Computes: what stands between a connection and a branch. They wake, fall asleep, and can be held shut.

Everything the twin carries passes through `visit`. A direct connection to the cluster cannot be held back:
it is seen afterwards (`activity`), and wakes the compute then.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from server.twins.neon.documents import SUSPEND_SECONDS, moment, timestamp
from server.twins.neon.operations import Step

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime

    from server.twins.core import Site
    from server.twins.neon.logins import Logins
    from server.twins.neon.metering import Meter
    from server.twins.neon.operations import Operations
    from server.twins.neon.rows import BranchRow, EndpointRow
    from server.twins.neon.tables import Tables

GRACE_SECONDS = 2.0
"""How long requests under way may take before their database is shut under them."""
SHUT_SECONDS = 60.0
"""How long a request waits for a database that is being copied."""
SAID = {
    "active_time_seconds": "Your project has exceeded the active time quota. Upgrade your plan to increase limits.",
    "compute_time_seconds": (
        "Your account or project has exceeded the compute time quota. Upgrade your plan to increase limits."
    ),
    "data_transfer_bytes": "Your project has exceeded the data transfer quota. Upgrade your plan to increase limits.",
}
NO_ENDPOINT = (
    "The requested endpoint could not be found, or you don't have access to it. "
    "Please check the provided ID and try again."
)
DISABLED = "The endpoint has been disabled. Enable it using Neon API and retry."


class Refused(Exception):
    """No compute serves this connection. `status` is the answer's over HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass
class Visit:
    """One connection or request; whoever carries it counts what went to the client."""

    sent: int = 0


class Computes:
    def __init__(self, site: Site, tables: Tables, logins: Logins, meter: Meter, operations: Operations) -> None:
        self._site = site
        self._tables = tables
        self._logins = logins
        self._meter = meter
        self._operations = operations
        self._inside: Counter[str] = Counter()
        self._shut: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def visit(self, role: str, database: str, *, lasting: bool = False) -> AsyncGenerator[Visit]:
        """Wakes the compute where it sleeps. Raises Refused. A `lasting` visit is not waited for by `shut`."""
        visit = Visit()
        branch = self.branch_of(database)
        if branch is None:  # PostgreSQL itself will say so
            yield visit
            return
        await self._opened(database)
        endpoint = self._serving(branch, role)
        if endpoint["doc"]["current_state"] != "active":
            self.wake(endpoint)
        endpoint["last_active"] = timestamp(self._site.clock())
        self._inside[database] += not lasting
        try:
            yield visit
        finally:
            self._inside[database] -= not lasting
            endpoint["last_active"] = timestamp(self._site.clock())
            self._meter.sent(branch, visit.sent)

    def branch_of(self, database: str) -> BranchRow | None:
        """By the name on the cluster: what it belongs to is at its end."""
        parts = database.split("_")
        for length in (4, 3):
            for row in self._tables.branches.by("scope", "-".join(parts[-length:])):
                if row["status"] == "ready":
                    return row
        return None

    def endpoint_of(self, branch: BranchRow, role: str) -> EndpointRow | None:
        """The one a login of this name comes through."""
        reader = self._tables.endpoints.get("-".join(role.split("_")[-4:]))
        if reader is not None and reader["branch"] == branch["id"] and not reader["deleted_at"]:
            return reader
        return next(iter(self._logins.endpoints(branch["id"], kind="read_write")), None)

    def _serving(self, branch: BranchRow, role: str) -> EndpointRow:
        endpoint = self.endpoint_of(branch, role)
        project = self._tables.projects.get(branch["project"])
        if endpoint is None or project is None or project["status"] != "ready":
            raise Refused(400, NO_ENDPOINT)
        if project["blocked"]:
            raise Refused(402, SAID[project["blocked"]])
        if endpoint["doc"]["disabled"]:
            raise Refused(500, DISABLED)
        return endpoint

    def wake(self, endpoint: EndpointRow) -> None:
        """Because somebody connects; what a call does is an operation of its own."""
        self.started(endpoint, self._site.clock())
        self._operations.over(endpoint["project"], Step("start_compute", endpoint["branch"], endpoint["id"]))

    def started(self, endpoint: EndpointRow, at: datetime) -> None:
        if endpoint["doc"]["current_state"] == "active":
            return
        state = {"current_state": "active", "started_at": timestamp(at)}
        endpoint["doc"] = {**_without_pending(endpoint), **state}
        endpoint["active_since"] = endpoint["last_active"] = at.isoformat()
        self._tables.endpoints.put(endpoint)

    def stopped(self, endpoint: EndpointRow, at: datetime) -> None:
        self.count(endpoint, at)
        endpoint["active_since"] = ""
        endpoint["doc"] = {**_without_pending(endpoint), "current_state": "idle", "suspended_at": timestamp(at)}
        self._tables.endpoints.put(endpoint)

    def count(self, endpoint: EndpointRow, until: datetime) -> None:
        """Charge its branch for the time it has been active since this was last done."""
        branch = self._tables.branches.get(endpoint["branch"])
        if not endpoint["active_since"] or branch is None:
            return
        since = moment(endpoint["active_since"])
        if until > since:
            units = endpoint["doc"]["autoscaling_limit_min_cu"]
            self._meter.active(branch, (until - since).total_seconds(), units)
            endpoint["active_since"] = until.isoformat()
            self._tables.endpoints.put(endpoint)

    def asleep_at(self, endpoint: EndpointRow) -> datetime | None:
        """When it falls asleep if nobody comes; `None` for never."""
        seconds = endpoint["doc"]["suspend_timeout_seconds"] or SUSPEND_SECONDS
        if seconds < 0 or not endpoint["last_active"]:
            return None
        return moment(endpoint["last_active"]) + timedelta(seconds=seconds)

    @asynccontextmanager
    async def shut(self, databases: Sequence[str]) -> AsyncGenerator[None]:
        """Requests wait outside for the length of the block; those inside get a moment to finish."""
        opening = asyncio.Event()
        for database in databases:
            self._shut[database] = opening
        try:
            await self._left(databases)
            yield
        finally:
            for database in databases:
                self._shut.pop(database, None)
            opening.set()

    async def _left(self, databases: Sequence[str]) -> None:
        until = asyncio.get_running_loop().time() + GRACE_SECONDS
        while any(self._inside[database] for database in databases):
            if asyncio.get_running_loop().time() > until:
                return
            await asyncio.sleep(0.005)

    async def _opened(self, database: str) -> None:
        while opening := self._shut.get(database):
            try:
                await asyncio.wait_for(opening.wait(), SHUT_SECONDS)
            except TimeoutError:
                raise Refused(500, "Control plane request failed") from None


def _without_pending(endpoint: EndpointRow) -> dict[str, object]:
    return {name: value for name, value in endpoint["doc"].items() if name != "pending_state"}
