"""The rows in memory and in the records at once, so that looking costs nothing and a kill loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from server.twins.neon.rows import (
    BranchRow,
    EndpointRow,
    KeyRow,
    OperationRow,
    OrganizationRow,
    ProjectRow,
    SnapshotRow,
    TransferRow,
    TrashRow,
    UsageRow,
    UserRow,
)

if TYPE_CHECKING:
    from server.twins.core import Records

Row = TypeVar("Row")


class Table(Generic[Row]):
    """Rows of one kind by id, oldest first. A row that was changed counts once it is put again."""

    def __init__(self, records: Records, kind: str, *indexed: str) -> None:
        self._records = records
        self._kind = kind
        self._indexed = indexed
        self.load()

    def load(self) -> None:
        self._rows: dict[str, Row] = {}
        self._found: dict[tuple[str, str], dict[str, None]] = {}
        self._entries: dict[str, tuple[tuple[str, str], ...]] = {}
        for row in self._records.all(self._kind):
            self._remember(row["id"], cast("Row", row))

    def get(self, row_id: str) -> Row | None:
        return self._rows.get(row_id)

    def all(self) -> list[Row]:
        return [*self._rows.values()]

    def by(self, field: str, value: str) -> list[Row]:
        """Those whose indexed `field` is `value`."""
        return [self._rows[row_id] for row_id in self._found.get((field, value), ())]

    def put(self, row: Row) -> None:
        doc = cast("dict[str, Any]", row)
        self._records.put(self._kind, doc["id"], doc)
        self._remember(doc["id"], row)

    def delete(self, row_id: str) -> None:
        self._records.delete(self._kind, row_id)
        self._rows.pop(row_id, None)
        self._forget(row_id)

    def _remember(self, row_id: str, row: Row) -> None:
        self._rows[row_id] = row
        entries = tuple((field, str(cast("dict[str, Any]", row)[field])) for field in self._indexed)
        if self._entries.get(row_id) == entries:
            return
        self._forget(row_id)
        self._entries[row_id] = entries
        for entry in entries:
            self._found.setdefault(entry, {})[row_id] = None

    def _forget(self, row_id: str) -> None:
        for entry in self._entries.pop(row_id, ()):
            found = self._found[entry]
            del found[row_id]
            if not found:
                del self._found[entry]


class Tables:
    def __init__(self, records: Records) -> None:
        self.records = records
        self.projects = Table[ProjectRow](records, "projects", "org")
        self.branches = Table[BranchRow](records, "branches", "project", "scope")
        self.endpoints = Table[EndpointRow](records, "endpoints", "project", "branch")
        self.snapshots = Table[SnapshotRow](records, "snapshots", "project")
        self.operations = Table[OperationRow](records, "operations", "project")
        self.organizations = Table[OrganizationRow](records, "organizations")
        self.users = Table[UserRow](records, "users")
        self.keys = Table[KeyRow](records, "keys", "digest", "org", "user", "project")
        self.transfers = Table[TransferRow](records, "transfers", "project")
        self.usage = Table[UsageRow](records, "usage", "project")
        self.trash = Table[TrashRow](records, "trash")

    def load(self) -> None:
        """Read the records anew, after somebody else has changed them."""
        for table in vars(self).values():
            if isinstance(table, Table):
                table.load()
