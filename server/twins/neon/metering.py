"""What a branch uses, hour by hour: time its computes are active, bytes sent from it, bytes it holds.

Bytes are counted where the twin carries them (SQL over HTTP, WebSocket), not on a direct connection. What is
written cannot be told apart on a log shared by all, so it is always 0.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from server.twins.neon.documents import consumption_period, timestamp
from server.twins.neon.rows import UsageRow, size_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from server.twins.core import Site
    from server.twins.neon.rows import BranchRow, Doc
    from server.twins.neon.tables import Tables

HOURLY = timedelta(hours=168)
"""For so long it is kept by the hour."""
SAMPLE = timedelta(minutes=1)


class Meter:
    def __init__(self, site: Site, tables: Tables) -> None:
        self._site = site
        self._tables = tables
        self._sampled: dict[str, datetime] = {}
        """When the bytes a branch holds were last counted."""

    def active(self, branch: BranchRow, seconds: float, compute_units: float) -> None:
        row = self._now(branch)
        row["active_seconds"] += max(0.0, seconds)
        row["compute_seconds"] += max(0.0, seconds) * compute_units
        self._tables.usage.put(row)

    def sent(self, branch: BranchRow, size: int) -> None:
        if size:
            row = self._now(branch)
            row["transfer_bytes"] += size
            self._tables.usage.put(row)

    def holds(self, branch: BranchRow) -> None:
        """Count what it has held since the last time."""
        now = self._site.clock()
        since = self._sampled.setdefault(branch["id"], now)
        if now - since > SAMPLE:
            self._sampled[branch["id"]] = now
            row = self._now(branch)
            row["byte_hours"] += size_of(branch) * (now - since).total_seconds() / 3600
            self._tables.usage.put(row)

    def this_period(self, project: str) -> list[UsageRow]:
        begin, _ = consumption_period(self._site.clock())
        return self.between(project, timestamp(begin), "9999")

    def between(self, project: str, begin: str, end: str) -> list[UsageRow]:
        return [row for row in self._tables.usage.by("project", project) if begin <= row["hour"] < end]

    def compact(self) -> None:
        """Hours older than anybody can ask for one by one become days."""
        before = timestamp(self._site.clock() - HOURLY)
        for row in self._tables.usage.all():
            if row["hour"] >= before or row["hour"].endswith("T00:00:00Z"):
                continue
            self._tables.usage.delete(row["id"])
            day = row["hour"][:10] + "T00:00:00Z"
            into = self._tables.usage.get(f"{row['branch']}~{day}") or self._row(row["project"], row["branch"], day)
            into["root"] = row["root"]
            into["active_seconds"] += row["active_seconds"]
            into["compute_seconds"] += row["compute_seconds"]
            into["transfer_bytes"] += row["transfer_bytes"]
            into["byte_hours"] += row["byte_hours"]
            self._tables.usage.put(into)

    def _now(self, branch: BranchRow) -> UsageRow:
        hour = timestamp(self._site.clock().replace(minute=0, second=0, microsecond=0))
        found = self._tables.usage.get(f"{branch['id']}~{hour}")
        if found is None:
            found = self._row(branch["project"], branch["id"], hour)
            found["root"] = "parent_id" not in branch["doc"]
        return found

    @staticmethod
    def _row(project: str, branch: str, hour: str) -> UsageRow:
        return UsageRow(
            id=f"{branch}~{hour}",
            project=project,
            branch=branch,
            hour=hour,
            root=True,
            active_seconds=0.0,
            compute_seconds=0.0,
            transfer_bytes=0,
            byte_hours=0.0,
        )


def totals(rows: Iterable[UsageRow]) -> Doc:
    """As projects and branches show them."""
    rows = [*rows]
    compute = round(sum(row["compute_seconds"] for row in rows))
    return {
        "active_time_seconds": round(sum(row["active_seconds"] for row in rows)),
        "compute_time_seconds": compute,
        "cpu_used_sec": compute,
        "written_data_bytes": 0,
        "data_transfer_bytes": sum(row["transfer_bytes"] for row in rows),
    }
