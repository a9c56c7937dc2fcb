"""A small durable document store: one SQLite file, one table."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_SCHEMA = """
create table if not exists record (
    seq integer primary key autoincrement,
    kind text not null,
    id text not null,
    doc text not null,
    unique (kind, id)
)
"""


class Records:
    """Documents by kind and id. Calls are short and synchronous, so two requests never see half a change."""

    def __init__(self, path: Path) -> None:
        # Autocommit: a record that has been put survives the twin's death.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")
        self._db.execute(_SCHEMA)

    def put(self, kind: str, id: str, doc: dict[str, Any]) -> None:  # noqa: A002 - a record's id is its id
        """Add or replace; a replaced record keeps its place in the order."""
        self._db.execute(
            "insert into record (kind, id, doc) values (?, ?, ?) "
            "on conflict (kind, id) do update set doc = excluded.doc",
            (kind, id, json.dumps(doc)),
        )

    def get(self, kind: str, id: str) -> dict[str, Any] | None:  # noqa: A002
        row = self._db.execute("select doc from record where kind = ? and id = ?", (kind, id)).fetchone()
        return json.loads(row[0]) if row else None

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Every document of a kind, oldest first."""
        rows = self._db.execute("select doc from record where kind = ? order by seq", (kind,))
        return [json.loads(doc) for (doc,) in rows]

    def delete(self, kind: str, id: str) -> bool:  # noqa: A002
        """Whether there was one to delete."""
        return self._db.execute("delete from record where kind = ? and id = ?", (kind, id)).rowcount > 0

    def save(self, path: Path) -> None:
        """Copy everything into a new file."""
        with closing(sqlite3.connect(path)) as copy:
            self._db.backup(copy)

    def load(self, path: Path) -> None:
        """Be what `save` wrote there."""
        with closing(sqlite3.connect(path)) as copy:
            copy.backup(self._db)

    def clear(self) -> None:
        self._db.execute("delete from record")

    def close(self) -> None:
        self._db.close()
