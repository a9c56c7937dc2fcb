"""`GET /consumption_history/v2/projects`: what projects used, by the hour, the day or the month.

Source: Neon API v2, getConsumptionHistoryPerProjectV2. What the twin has none of is 0: no history is kept to
restore from, nothing goes over a private network, and snapshots are not charged while they are in beta.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from server.twins.neon.documents import consumption_period, moment, timestamp
from server.twins.neon.errors import api_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.twins.neon.metering import Meter
    from server.twins.neon.plans import Plan
    from server.twins.neon.rows import Doc, ProjectRow, UsageRow

METRICS = (
    "compute_unit_seconds",
    "root_branch_bytes_month",
    "child_branch_bytes_month",
    "instant_restore_bytes_month",
    "public_network_transfer_bytes",
    "private_network_transfer_bytes",
    "extra_branches_month",
    "snapshot_storage_bytes_month",
)
REACH = {"hourly": timedelta(hours=168), "daily": timedelta(days=60), "monthly": timedelta(days=366)}


def check_range(
    begin: datetime | None, end: datetime | None, granularity: str, now: datetime
) -> tuple[datetime, datetime]:
    """Both ends, rounded down. Raises 422 and 406."""
    if begin is None or end is None:
        raise api_error(422, "from and to are required")
    begin, end = (_floor(each.astimezone(UTC), granularity) for each in (begin, end))
    if begin > end or begin < _floor(now - REACH[granularity], granularity):
        raise api_error(406, f"the range from {timestamp(begin)} to {timestamp(end)} is not available {granularity}")
    return begin, min(end, now)


def history(
    project: ProjectRow,
    meter: Meter,
    plan: Plan,
    *,
    metrics: list[str],
    begin: datetime,
    end: datetime,
    granularity: str,
) -> Doc:
    """One project's periods, each with its time frames, oldest first."""
    begin = max(begin, _floor(moment(project["doc"]["created_at"]), granularity))
    rows = meter.between(project["id"], timestamp(begin), timestamp(end))
    periods: dict[str, Doc] = {}
    for start, stop in _frames(begin, end, granularity):
        first, last = consumption_period(start)
        period = periods.setdefault(
            timestamp(first),
            {
                "period_id": str(uuid5(NAMESPACE_URL, f"{project['org']} {timestamp(first)}")),
                "period_plan": plan.name,
                "period_start": timestamp(first),
                **({"period_end": timestamp(last)} if last <= end else {}),
                "consumption": [],
            },
        )
        inside = [row for row in rows if timestamp(start) <= row["hour"] < timestamp(stop)]
        hours = (last - first) / timedelta(hours=1)
        values = _values(inside, plan, hours)
        period["consumption"].append(
            {
                "timeframe_start": timestamp(start),
                "timeframe_end": timestamp(stop),
                "metrics": [{"metric_name": name, "value": values[name]} for name in metrics],
            }
        )
    return {"project_id": project["id"], "periods": [*periods.values()]}


def _values(rows: list[UsageRow], plan: Plan, hours: float) -> dict[str, int]:
    """`hours` is how long the month is."""
    branches: dict[str, set[str]] = {}
    for row in rows:
        branches.setdefault(row["hour"], set()).add(row["branch"])
    extra = sum(max(0, len(each) - plan.included_branches) for each in branches.values())
    figures = {
        "compute_unit_seconds": sum(row["compute_seconds"] for row in rows),
        "root_branch_bytes_month": sum(row["byte_hours"] for row in rows if row["root"]) / hours,
        "child_branch_bytes_month": sum(row["byte_hours"] for row in rows if not row["root"]) / hours,
        "public_network_transfer_bytes": sum(row["transfer_bytes"] for row in rows),
        "extra_branches_month": extra / hours,
    }
    return {name: round(figures.get(name, 0)) for name in METRICS}


def _floor(when: datetime, granularity: str) -> datetime:
    when = when.replace(minute=0, second=0, microsecond=0)
    if granularity == "hourly":
        return when
    when = when.replace(hour=0)
    return when if granularity == "daily" else when.replace(day=1)


def _frames(begin: datetime, end: datetime, granularity: str) -> Iterator[tuple[datetime, datetime]]:
    start = _floor(begin, granularity)
    while start < end:
        if granularity == "monthly":
            _, stop = consumption_period(start)
        else:
            stop = start + (timedelta(hours=1) if granularity == "hourly" else timedelta(days=1))
        yield start, stop
        start = stop
