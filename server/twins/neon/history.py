"""What is known of a branch's past. There is no log to go back through, only moments that were kept.

A moment can be had when nobody has been connected and nothing has changed since, or when a snapshot was taken
of it.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from server.twins.neon.documents import moment, timestamp
from server.twins.neon.errors import api_error

if TYPE_CHECKING:
    from datetime import datetime

    from server.twins.core import Site
    from server.twins.neon.rows import BranchRow, Data
    from server.twins.neon.tables import Tables


def data_at(site: Site, tables: Tables, branch: BranchRow, lsn: str | None, when: datetime | None) -> Data:
    """The branch itself, or the snapshot that holds it as it was. Raises 400 and 422."""
    if lsn and when:
        raise api_error(400, "a timestamp and an LSN cannot be specified at the same time")
    snapshots = [
        row
        for row in tables.snapshots.by("project", branch["project"])
        if row["doc"].get("source_branch_id") == branch["id"]
    ]
    if lsn:
        for row in snapshots:
            if row["doc"].get("lsn") == lsn:
                return row
        raise api_error(422, f"nothing is kept of this branch at LSN {lsn}: take a snapshot at a moment to return to")
    if when is None:
        return branch
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if when > site.clock():
        raise api_error(422, "the timestamp is in the future")
    seen = [branch["still_since"], *(e["last_active"] for e in tables.endpoints.by("branch", branch["id"]))]
    if all(when >= moment(text) for text in seen if text) and branch["still_since"]:
        return branch
    for row in snapshots:
        if row["doc"].get("timestamp") == timestamp(when.astimezone(UTC)):
            return row
    raise api_error(422, "nothing is kept of this branch at this timestamp: take a snapshot at a moment to return to")
