"""The project's feature flags, as they are defined."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from server.twins.posthog.store import Store

Doc = dict[str, Any]


class Flags:
    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def all(self) -> list[Doc]:
        """Newest first, the deleted ones left out."""
        return [flag for flag in self._every() if not flag["deleted"]]

    def get(self, flag_id: int) -> Doc | None:
        row = self._store.one("select id, doc from flag where id = ?", flag_id)
        return {"id": row["id"], **json.loads(row["doc"])} if row else None

    def named(self, key: str) -> Doc | None:
        return next((flag for flag in self.all() if flag["key"] == key), None)

    def add(self, fields: Doc) -> Doc:
        """A new flag. One of the same key that was deleted is gone for good."""
        self._store.run("delete from flag where key = ? and json_extract(doc, '$.deleted')", fields["key"])
        now = self._now()
        doc = {**fields, "deleted": False, "version": 1, "created_at": now, "updated_at": now}
        flag_id = self._store.add("insert into flag (key, doc) values (?, ?)", doc["key"], json.dumps(doc))
        return {"id": flag_id, **doc}

    def change(self, flag: Doc, fields: Doc) -> Doc:
        """The flag with other fields and the next version."""
        doc = {**flag, **fields, "version": flag["version"] + 1, "updated_at": self._now()}
        flag_id = doc.pop("id")
        self._store.run("update flag set key = ?, doc = ? where id = ?", doc["key"], json.dumps(doc), flag_id)
        return {"id": flag_id, **doc}

    def hash_keys(self, distinct_id: str, anonymous_id: str | None) -> dict[str, str]:
        """By flag key: what a person is bucketed by where a flag must not change as they sign in.

        Told the id they had before, it is remembered for good.
        """
        if anonymous_id:
            for flag in self.all():
                if flag["ensure_experience_continuity"]:
                    values = (distinct_id, flag["key"], anonymous_id)
                    self._store.run("insert or ignore into flag_hash_key values (?, ?, ?)", *values)
        rows = self._store.all("select * from flag_hash_key where distinct_id = ?", distinct_id)
        return {row["flag_key"]: row["hash_key"] for row in rows}

    def _every(self) -> list[Doc]:
        rows = self._store.all("select id, doc from flag order by id desc")
        return [{"id": row["id"], **json.loads(row["doc"])} for row in rows]

    def _now(self) -> str:
        return self._clock().isoformat().replace("+00:00", "Z")
