"""Looks at what goes on in the cluster, and does what follows: computes fall asleep, quotas are enforced.

Done every few seconds, and before an answer that shows figures, so that an answer is never old.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from server.twins.neon import cluster_databases as databases
from server.twins.neon.documents import moment
from server.twins.neon.metering import totals
from server.twins.neon.operations import Step
from server.twins.neon.rows import size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.twins.core import Site
    from server.twins.neon.cluster import Cluster
    from server.twins.neon.computes import Computes
    from server.twins.neon.logins import Logins
    from server.twins.neon.metering import Meter
    from server.twins.neon.operations import Operations
    from server.twins.neon.rows import BranchRow, ProjectRow
    from server.twins.neon.tables import Tables

ENFORCED = ("active_time_seconds", "compute_time_seconds", "data_transfer_bytes")
SEEN = """
SELECT datname, usename, max(CASE WHEN state = 'idle' THEN state_change ELSE clock_timestamp() END), min(backend_start)
FROM pg_stat_activity WHERE datname = ANY(%s) AND usename <> %s AND backend_type = 'client backend' GROUP BY 1, 2
"""
CHANGED = "SELECT datname, tup_inserted + tup_updated + tup_deleted FROM pg_stat_database WHERE datname = ANY(%s)"


@dataclass(frozen=True)
class Session:
    """Who is connected to a database as one login: when one of them last did something, when the first came."""

    database: str
    login: str
    last: datetime
    first: datetime


class Activity:
    def __init__(
        self,
        site: Site,
        tables: Tables,
        *,
        cluster: Cluster,
        logins: Logins,
        computes: Computes,
        meter: Meter,
        operations: Operations,
    ) -> None:
        self._site = site
        self._tables = tables
        self._cluster = cluster
        self._logins = logins
        self._computes = computes
        self._meter = meter
        self._operations = operations

    async def watch(self, seconds: float) -> None:
        """Runs until cancelled by its caller's chore."""
        while True:
            await self.look([row["id"] for row in self._tables.projects.all() if row["status"] == "ready"])
            await asyncio.sleep(seconds)

    async def look(self, projects: Sequence[str]) -> None:
        """Raises PoolBusy and psycopg.OperationalError while PostgreSQL is away."""
        branches = [b for p in projects for b in self._tables.branches.by("project", p) if b["status"] == "ready"]
        if not branches:
            return
        owner = {name: branch for branch in branches for name in self._logins.databases_of(branch)}
        async with self._cluster.session() as session:
            found = await session.execute(SEEN, ([*owner], self._cluster.server.superuser))
            seen = [Session(*row) for row in await found.fetchall()]
            changed = dict(await (await session.execute(CHANGED, ([*owner],))).fetchall())
            # PostgreSQL tells of changes some seconds late; where somebody is connected there may be some untold.
            inside = {session.database for session in seen}
            moved = [n for n, branch in owner.items() if n in inside or branch["counters"].get(n) != changed.get(n)]
            sizes = await databases.sizes(session, moved) if moved else {}
        self._note_sessions(owner, seen)
        for branch in branches:
            self._note_size(branch, changed, sizes)
            await self._asleep(branch)
        for project in projects:
            row = self._tables.projects.get(project)
            if row is not None and not self._operations.busy(project):
                await self._enforce(row)

    def _note_sessions(self, owner: dict[str, BranchRow], seen: list[Session]) -> None:
        for session in seen:
            endpoint = self._computes.endpoint_of(owner[session.database], session.login)
            if endpoint is None:
                continue
            if endpoint["doc"]["current_state"] == "idle" and session.last > _or_never(
                endpoint["doc"].get("suspended_at")
            ):
                self._computes.wake(endpoint)
            if session.last > _or_never(endpoint["last_active"]):
                endpoint["last_active"] = session.last.astimezone(UTC).isoformat()

    def _note_size(self, branch: BranchRow, changed: dict[str, int], sizes: dict[str, int]) -> None:
        self._meter.holds(branch)
        names = self._logins.databases_of(branch)
        counters = {name: int(changed.get(name) or 0) for name in names}
        measured = {name: sizes.get(name, branch["sizes"].get(name, 0)) for name in names}
        if counters == branch["counters"] and measured == branch["sizes"]:
            return
        branch["counters"], branch["sizes"] = counters, measured
        branch["still_since"] = self._site.clock().isoformat()
        self._tables.branches.put(branch)

    async def _asleep(self, branch: BranchRow) -> None:
        """Count the time of what is awake; who was alone for too long fell asleep, at that moment."""
        now = self._site.clock()
        for endpoint in self._logins.endpoints(branch["id"]):
            if endpoint["doc"]["current_state"] != "active":
                continue
            until = self._computes.asleep_at(endpoint)
            if until is None or until > now:
                self._computes.count(endpoint, now)
                continue
            self._computes.stopped(endpoint, until)
            self._operations.over(branch["project"], Step("suspend_compute", branch["id"], endpoint["id"]))
            await self._logins.hang_up(branch, self._logins.through(branch, endpoint))

    async def _enforce(self, project: ProjectRow) -> None:
        quota: dict[str, int] = project["doc"]["settings"].get("quota") or {}
        used = totals(self._meter.this_period(project["id"]))
        over = next((name for name in ENFORCED if 0 < (quota.get(name) or 0) <= used[name]), "")
        limit: int = quota.get("logical_size_bytes") or project["doc"]["branch_logical_size_limit_bytes"]
        changed = over != project["blocked"]
        if changed:
            project["blocked"] = over
            self._tables.projects.put(project)
        for branch in self._tables.branches.by("project", project["id"]):
            full = size_of(branch) > limit
            if branch["status"] == "ready" and (changed or full != branch["full"]):
                branch["full"] = full
                self._tables.branches.put(branch)
                await self._apply(branch, blocked=bool(over))

    async def _apply(self, branch: BranchRow, *, blocked: bool) -> None:
        await self._logins.settle(branch)
        await self._logins.hang_up(branch)  # sessions begun before follow the old rules
        if blocked:
            for endpoint in self._logins.endpoints(branch["id"]):
                if endpoint["doc"]["current_state"] == "active":
                    self._computes.stopped(endpoint, self._site.clock())


def _or_never(text: str | None) -> datetime:
    return moment(text) if text else datetime.min.replace(tzinfo=UTC)
